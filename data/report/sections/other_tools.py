"""Results that other tools measured and that were imported."""

import msgspec

from data.report import cells
from data.report.context import Context, Row
from data.report.model import Section, Table

__all__ = ["section"]

_LIMITS = {
    "single-process": "one process: no interval over processes",
    "no-samples": "a summary only: no raw samples",
    "mean-only": "a mean, not a median",
    "no-environment": "environment unknown",
    "no-machine": "machine unknown",
}


def _limits(row: Row) -> str:
    return cells.listed(_LIMITS[flag] for flag in row["flags"] if flag in _LIMITS)


def _own_interval(row: Row) -> str:
    """The interval that the tool itself gave, which speaks of one process."""
    attributes = msgspec.json.decode(row["attributes"])
    found = attributes.get("interval") if isinstance(attributes, dict) else None
    if not found:
        return cells.NONE
    ends = cells.interval({**row, "low_ns": found["low_ns"], "high_ns": found["high_ns"]})
    return f"{ends} ({found['what']})"


def section(context: Context) -> Section:
    """What they said, and what cannot be said for lack of data."""
    rows = [row for row in context.rows if "imported" in row["flags"]]
    found = Section("other-tools", "Results of other tools")
    if not rows:
        return found
    table = Table(
        "other-tools",
        "Imported results",
        ["tool", "case", "variant", "threads", "time", "interval", "the tool's own interval", "limits"],
        right=frozenset({"threads", "time", "interval", "the tool's own interval"}),
    )
    for row in rows:
        table.rows.append(
            [
                *(row["backend"], row["case_id"], cells.label(row), str(row["threads"]), cells.time(row)),
                *(cells.interval(row), _own_interval(row), _limits(row)),
            ]
        )
    found.text.append(
        "These were measured by other programs and imported. What their files do not tell limits what is said: without "
        "several processes there is no interval, and no verdict; nobody has checked their answers here."
    )
    found.tables.append(table)
    return found
