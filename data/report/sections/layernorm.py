"""LayerNorm in one pass and in two."""

from data.report import cells
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["section"]

_BASELINE = {"welford": "two-pass", "welford-naive": "two-pass-naive"}


def section(context: Context) -> Section:
    """Each variant, and what a single pass gains over two."""
    rows = context.find("layernorm")
    found = Section("layernorm", "LayerNorm")
    if not rows:
        return found
    table = Table(
        "layernorm",
        "LayerNorm over the last axis",
        [
            *("case", "variant", "backend", "threads", "time", "interval", "rate", "of ceiling"),
            *("over two passes", "interval of that", "published claim"),
        ],
        right=frozenset(
            {"threads", "time", "interval", "rate", "of ceiling", "over two passes", "interval of that"}
        ),
    )
    for row in rows:
        wanted = {name: row[name] for name in ("case_id", "threads", "condition")}
        baseline = _BASELINE.get(row["variant"])
        old = context.one(rows, variant=baseline, **wanted) if baseline else None
        value, interval = cells.speedup(context.speedup(row, old) if old else None)
        table.rows.append(
            [
                *(row["case_id"], cells.label(row), row["backend"], str(row["threads"]), cells.time(row)),
                *(cells.interval(row), cells.rate(row), cells.share(row), value, interval),
                cells.expected(context.claim("layernorm/32x512x768", "welford", "speedup"))
                if old
                else cells.NONE,
            ]
        )
    found.tables.append(table)
    found.command = context.command("layernorm/*")
    return found
