"""Measuring suspicious cases again, and remembering what came of it: an alarm counts when a re-run agrees with it."""

from collections.abc import Iterable, Sequence
from typing import Any

from data import entries
from data.errors import BadInput, NothingMeasured
from data.estimate import MARGIN
from data.index import Index
from data.regressions import Event, Member, State
from data.summary import Summary
from data.words import Status
from runners.execute import Outcome, execute
from runners.machine import describe_machine
from runners.printing import Screen
from runners.wishes import Wishes

__all__ = ["confirm", "outcome_of"]


def confirm(index: Index, events: Sequence[Event], *, quiet: bool = False) -> int:
    """Measure every new change of this machine again, and append one decision each; return how many were decided.

    Cases that share variant, backend and threads are one run, with a ceiling beside it.  What the re-run cannot tell
    stays new.  The run is kept like any other, with the label ``confirms``.
    """
    here = describe_machine().id
    open_ = [
        one for event in events if event.machine_id == here for one in event.members if one.state == State.NEW
    ]
    decided = 0
    for members in _together(open_):
        outcome = _measure(members, quiet)
        if outcome is None:
            continue
        rows = {(row.case, row.condition): row for row in outcome.rows}
        for member in members:
            cell = member.history.cell
            row = rows.get((cell["case"], cell["condition"]))
            state, figures = outcome_of(member, row)
            if state == State.NEW:
                continue
            index.state(
                entries.Decision(
                    series=member.history.series,
                    decision=state.value,
                    change_at=f"{member.at:%Y-%m-%dT%H:%M:%S.%fZ}",
                    reason=f"measured again in run {outcome.run}",
                    attributes=figures | {"run": outcome.run, "file": outcome.file.name},
                )
            )
            decided += 1
    return decided


def _together(members: Iterable[Member]) -> list[list[Member]]:
    groups: dict[tuple[Any, ...], list[Member]] = {}
    for one in members:
        cell = one.history.cell
        groups.setdefault((cell["variant"], cell["backend"], cell["threads"]), []).append(one)
    return list(groups.values())


def _measure(members: Sequence[Member], quiet: bool) -> Outcome | None:
    cell = members[0].history.cell
    wishes = Wishes(
        profile="full",
        effort="quick",
        cases=tuple(sorted({one.history.cell["case"] for one in members})),
        variants=(cell["variant"],),
        backends=(cell["backend"],),
        threads=(cell["threads"],),
        labels={"confirms": members[0].history.runs[members[0].index]},
    )
    try:
        with Screen(quiet=quiet) as screen:
            return execute(wishes, screen)
    except (BadInput, NothingMeasured):  # this version knows the case no more, or cannot run it here
        return None


def outcome_of(member: Member, row: Summary | None) -> tuple[State, dict[str, Any]]:
    """Return what a re-measurement says of a change: confirmed, noise, or still new where it cannot tell.

    Confirmed if its interval lies on the changed side of the old level by more than the margin; noise if it lies within
    the margin of the old level, or nearer to it than to the new one throughout.
    """
    if (
        row is None
        or row.status != Status.OK
        or row.low_ns is None
        or row.high_ns is None
        or row.time_ns is None
    ):
        return State.NEW, {}
    low, high = row.low_ns / member.before_ns, row.high_ns / member.before_ns
    figures = {"ratio": row.time_ns / member.before_ns, "low": low, "high": high}
    halfway = member.ratio**0.5
    slower, faster = low > max(1 + MARGIN, halfway), high < min(1 / (1 + MARGIN), halfway)
    if slower if member.slower else faster:
        return State.CONFIRMED, figures
    if high < halfway if member.slower else low > halfway:
        return State.NOISE, figures
    return State.NEW, figures
