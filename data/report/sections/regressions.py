"""Changes of level in the history of this machine, each with its cause."""

import fnmatch

from data import queries
from data.regression_report import change_text, name_of
from data.regressions import Event, Thresholds, find_events, is_alarm
from data.report import cells
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["section"]

_OPEN = ("new", "confirmed")


def _events(context: Context, limits: Thresholds) -> list[Event]:
    index, choice = context.index, context.selection
    found = find_events(
        queries.histories(index, str(context.machine["machine_id"])),
        lambda run_id: queries.first_line(index, run_id),
        queries.decided(index),
        limits,
    )
    runs = choice.run_ids(index)
    return [event for event in found if runs is None or event.run in runs]


def section(context: Context) -> Section:
    """What became slower or faster and is still open, the newest first."""
    limits = Thresholds()
    found = Section("regressions", "Regressions and improvements")
    if len(context.runs) == 0 or context.machine["runs"] < 2:
        return found
    table = Table(
        "regressions",
        "Open changes, the newest first",
        ["since", "series", "change", "confidence", "state", "cause", "in detail"],
        right=frozenset({"confidence"}),
    )
    patterns = context.selection.cases
    for event in _events(context, limits):
        for member in event.members:
            case = str(member.history.cell["case"])
            if member.state not in _OPEN or (
                patterns and not any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)
            ):
                continue
            state = "alarm" if is_alarm(event, member, limits) else member.state.value
            table.rows.append(
                [
                    *(
                        cells.moment(member.at),
                        name_of(member),
                        change_text(member),
                        f"{member.confidence:.0%}",
                    ),
                    *(state, event.attribution.value, event.sentence),
                ]
            )
    if table.rows:
        found.tables.append(table)
    else:
        found.text.append("No open change of level was found in the history of this machine.")
    found.command = "flopwatch regressions --confirm"
    return found
