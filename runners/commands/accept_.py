"""``flopwatch accept``."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.regressions import Event, Member

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch accept 3f2a9c1e --reason 'the new default is safer'      a whole event, as regressions names it
  flopwatch accept 9c41d2aa30b1e7f5 --at 2026-11-20                  the change of one series at that time
  flopwatch accept 3f2a9c1e --as noise --reason 'the fan was off'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from runners.commands._words import moment

    parser.epilog = _EPILOG
    add = parser.add_argument
    add("what", metavar="EVENT|SERIES", help="an event or a series, as flopwatch regressions prints them")
    add(
        "--at",
        type=moment,
        metavar="DATE",
        help="when the series changed (needed where it changed more than once)",
    )
    add(
        "--as",
        dest="state",
        choices=("accepted", "confirmed", "noise", "fixed"),
        default="accepted",
        help="what it is",
    )
    add("--reason", default="", metavar="TEXT", help="why")
    add("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Append an acceptance or a decision for each series that is meant."""
    from data import entries, queries
    from data.index import Index
    from data.regressions import find_events
    from runners.commands._words import author

    with Index.open() as index:
        events = find_events(queries.histories(index), lambda run_id: queries.first_line(index, run_id))
        members = _meant(events, options)
        for member in members:
            common = {
                "series": member.history.series,
                "change_at": f"{member.at:%Y-%m-%dT%H:%M:%S.%fZ}",
                "reason": options.reason,
                "by": author(),
            }
            if options.state == "accepted":
                index.state(entries.Acceptance(**common))
            else:
                index.state(entries.Decision(decision=options.state, **common))
    rows = [
        {"series": one.history.series, "at": one.at.isoformat(), "state": options.state} for one in members
    ]
    if options.json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(f"{row['series']}: the change at {row['at']} is {row['state']}")
    return 0


def _meant(events: "list[Event]", options: argparse.Namespace) -> "list[Member]":
    from data.errors import NotFound

    for event in events:
        if event.id == options.what:
            return list(event.members)
    found = [one for event in events for one in event.members if one.history.series == options.what]
    if options.at is not None and found:
        found = [min(found, key=lambda one: abs(one.at - options.at))]
    if not found:
        raise NotFound(
            f"no event or changed series is called {options.what!r}; flopwatch regressions --all lists them"
        )
    if len(found) > 1:
        dates = ", ".join(f"{one.at:%Y-%m-%d %H:%M}" for one in found)
        raise NotFound(f"{options.what} changed at {dates}; say which: --at {found[0].at:%Y-%m-%d}")
    return found
