"""From an index to a report."""

from collections.abc import Callable
from typing import Any

from data import queries
from data.errors import NotFound
from data.index import Index
from data.published import Source, publications
from data.report import cells, summary
from data.report.context import Context
from data.report.model import Report, Section
from data.report.sections import CLOSING, SECTIONS, changes
from data.report.selection import Selection
from data.speedups import pairs_of_runs

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
    compare = pairs_of_runs(index)
    found = []
    for name in names:
        mine = [row for row in rows if row["machine_id"] == name]
        limits = [row for row in ceilings if row["machine_id"] == name]
        context = Context(index, selection, machines[name], mine, limits, publications(), compare, draw=draw)
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
    against: str | None = None,
    progress: Callable[[str], None] = lambda _what: None,
) -> Report:
    """Return the report of what is chosen; raises NotFound where that is nothing.

    ``against`` is an earlier run that the newest one in the choice is compared with.
    """
    chosen = contexts(index, selection or Selection(), draw=draw)
    progress("queries")
    sections: list[Section] = []
    if against:
        sections.append(changes.section(index, queries.resolve_run(index, against), _newest_run(chosen)))
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
    sources = "; ".join(_source(one.source) for one in publications())
    newest = max((context.runs[0]["started"] for context in chosen if context.runs), default=None)
    return Report(
        title="Benchmark report",
        subtitle=f"Results until {cells.moment(newest)}",
        summary=[summary.counts(chosen), *filter(_filled, map(summary.key_figures, chosen))],
        highlights=[line for context in chosen for line in summary.highlights(context)],
        sections=sections,
        source=f"Published figures are of {sources}. They were not measured here.",
    )


def _newest_run(chosen: list[Context]) -> str:
    runs = [run for context in chosen for run in context.runs if run["effort"] != "imported"]
    if not runs:
        raise NotFound("there is no run in this choice to compare")
    return str(max(runs, key=lambda run: (run["started"], run["run_id"]))["run_id"])


def _filled(table: Any) -> bool:
    return bool(table.rows)


def _source(source: Source) -> str:
    return f"{source.title}, {source.date} ({source.machine})"
