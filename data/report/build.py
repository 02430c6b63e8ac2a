"""From an index to a report."""

from collections.abc import Callable
from typing import Any

from data.errors import NotFound
from data.index import Index
from data.published import published
from data.report import cells, summary
from data.report.context import Context
from data.report.model import Report, Section
from data.report.ratios import Ratios
from data.report.sections import CLOSING, SECTIONS
from data.report.selection import Selection

__all__ = ["build", "contexts"]

Row = dict[str, Any]

#: Runs that a machine's list of runs shows.
_RUNS = 50


def contexts(index: Index, selection: Selection, *, draw: bool = True) -> list[Context]:
    """Return what is known of each machine in the choice; raises NotFound where there is nothing."""
    rows = selection.newest(index)
    ceilings = selection.newest(index, ceilings=True)
    names = list(dict.fromkeys(str(row["machine_id"]) for row in rows))
    if not names:
        raise NotFound("nothing is stored that fits; measure first: flopwatch run")
    machines = {row["machine_id"]: row for row in index.query("FROM machines")}
    ratios = Ratios(index)
    found = []
    for name in names:
        mine = [row for row in rows if row["machine_id"] == name]
        limits = [row for row in ceilings if row["machine_id"] == name]
        context = Context(index, selection, machines[name], mine, limits, published(), ratios, draw=draw)
        context.runs = _runs(index, [*mine, *limits])
        found.append(context)
    return found


def _runs(index: Index, rows: list[Row]) -> list[Row]:
    """Return the newest runs that gave the rows."""
    wanted = sorted({str(row["run_id"]) for row in rows})
    return index.query(
        "FROM runs WHERE run_id IN (SELECT unnest(?)) ORDER BY started DESC, run_id DESC LIMIT ?",
        [wanted, _RUNS],
    )


def build(
    index: Index,
    selection: Selection | None = None,
    *,
    draw: bool = True,
    progress: Callable[[str], None] = lambda _what: None,
) -> Report:
    """Return the report of what is chosen; raises NotFound where that is nothing."""
    chosen = contexts(index, selection or Selection(), draw=draw)
    progress("queries")
    sections: list[Section] = []
    for context in chosen:
        machine = context.machine
        if len(chosen) > 1:
            identity = f"machine-{machine['machine_id']}"
            sections.append(Section(identity, f"{machine['machine']}: {machine['cpu_model']}", level=1))
        for make in SECTIONS:
            section = make(context)
            if section:
                section.id = f"{section.id}-{machine['machine_id']}" if len(chosen) > 1 else section.id
                sections.append(section)
    sections += [make(chosen) for make in CLOSING]
    source = published().source
    newest = max((context.runs[0]["started"] for context in chosen if context.runs), default=None)
    return Report(
        title="Benchmark report",
        subtitle=f"Results until {cells.moment(newest)}",
        summary=[summary.counts(chosen), *filter(_filled, map(summary.key_figures, chosen))],
        highlights=[line for context in chosen for line in summary.highlights(context)],
        sections=sections,
        source=f"Published figures: “{source.name}”, {source.about}. They were not measured here.",
    )


def _filled(table: Any) -> bool:
    return bool(table.rows)
