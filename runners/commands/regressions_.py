"""``flopwatch regressions``."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from data.index import Index
    from data.regressions import Event, Thresholds

__all__ = ["arguments", "main"]

_EPILOG = """\
An alarm is a regression that was confirmed, or one that is new, beyond doubt, and explained by the code or the
environment.  What nothing explains waits for --confirm, which measures exactly the suspicious cases again.

examples:
  flopwatch regressions                                 what changed, newest first
  flopwatch regressions --confirm --fail-on regression  a gate for continuous integration
  flopwatch regressions --markdown > summary.md         for a pull request
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from runners.commands._words import moment, share

    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--since", type=moment, metavar="DATE", help="only changes since then, such as 2026-11-01")
    add("--machine", metavar="NAME", help="only this machine (name or id)")
    add("--size", type=share, default=0.02, metavar="2%", help="the least change that matters (default: 2%%)")
    add(
        "--rate",
        type=share,
        default=0.05,
        metavar="5%",
        help="false discovery rate over all series (default: 5%%)",
    )
    add("--all", action="store_true", help="also what was accepted, is fixed, or is noise")
    add("--confirm", action="store_true", help="measure the suspicious cases again, and remember the outcome")
    add(
        "--fail-on",
        choices=("regression", "change"),
        help="exit with 1 if there is an alarm (regression), or any open change (change)",
    )
    add("--markdown", action="store_true", help="print Markdown")
    add("--json", action="store_true", help="print JSON, one object a series that changed")


def main(options: argparse.Namespace) -> int:
    """Print the events, and leave with 1 where the gate fires."""
    from data.index import Index
    from data.regression_report import markdown
    from data.regressions import Thresholds, is_alarm

    limits = Thresholds(size=options.size, discovery_rate=options.rate)
    with Index.open() as index:
        events = _events(index, options, limits)
        if options.confirm:
            from runners.confirm import confirm

            if confirm(index, events, quiet=options.json or options.markdown):
                events = _events(index, options, limits)
    if options.json:
        print(json.dumps([row for event in events for row in event.to_json()]))
    elif options.markdown:
        print(markdown(events, limits), end="")
    else:
        _print(events, limits)
    alarms = [one for event in events for one in event.members if is_alarm(event, one, limits)]
    changed = [one for event in events for one in event.members if one.state in ("new", "confirmed")]
    return int(
        bool(alarms if options.fail_on == "regression" else changed if options.fail_on == "change" else [])
    )


def _events(index: "Index", options: argparse.Namespace, limits: "Thresholds") -> "list[Event]":
    from dataclasses import replace

    from data import queries
    from data.regressions import find_events
    from runners.commands._words import machine_id

    machine = machine_id(index, options.machine)
    found = find_events(
        queries.histories(index, machine),
        lambda run_id: queries.first_line(index, run_id),
        queries.decided(index),
        limits,
    )
    open_states = ("new", "confirmed")
    kept = []
    for event in found:
        members = [one for one in event.members if options.all or one.state in open_states]
        if members and _recent(event.at, options.since):
            kept.append(replace(event, members=members))
    return kept


def _recent(at: "datetime", since: "datetime | None") -> bool:
    return since is None or at >= since


def _print(events: "list[Event]", limits: "Thresholds") -> None:
    from rich.table import Table

    from data.regression_report import change_text, name_of
    from data.regressions import is_alarm
    from runners.printing import console

    screen = console()
    if not events:
        screen.print("no change of level was found", markup=False)
    for event in events:
        screen.print(
            f"{event.id}  {event.at:%Y-%m-%d %H:%M} UTC  {event.machine}", markup=False, style="bold"
        )
        screen.print(f"  {event.attribution.value}: {event.sentence}", markup=False)
        table = Table(box=None, pad_edge=False, show_header=False)
        for member in event.members:
            mark = "ALARM" if is_alarm(event, member, limits) else member.state.value
            figures = (change_text(member), f"confidence {member.confidence:.0%}", mark)
            table.add_row("  " + name_of(member), *figures, member.history.series)
        screen.print(table)
    if events:
        screen.print("accept one: flopwatch accept EVENT --reason …; measure again: --confirm", markup=False)
