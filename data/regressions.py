"""Regressions and improvements of a board: changes that matter, told once each, with their cause.

Change points of every series are filtered by size and noise floor; the false discovery rate is controlled over all
series that were looked at; what happened at one time on one machine is one event with its members and its attribution.
Thresholds are arguments: nothing of them is stored.
"""

import hashlib
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Any

import numpy as np

from data.attribution import Attribution, Difference, attribute, differences
from data.changes import Change, Interval, change_points_of
from data.estimate import MARGIN
from data.family import discoveries
from data.noise import spread
from data.records import Run

__all__ = ["Decided", "Event", "History", "Member", "State", "Thresholds", "find_events", "is_alarm"]

#: Two changes at most so many runs apart may be one event: the place of a change is known to about that.
NEAR_RUNS = 2
#: Runs before and after a change that tell how its yardstick moved.
AROUND = 8


class State(StrEnum):
    """What people, or a re-measurement, made of a change."""

    NEW = "new"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    NOISE = "noise"
    FIXED = "fixed"


@dataclass(frozen=True)
class Thresholds:
    """What counts: the least size as a share, the false discovery rate, the confidence that fires a gate."""

    size: float = MARGIN
    discovery_rate: float = 0.05
    certain: float = 0.95


@dataclass(frozen=True)
class History:
    """One series over time: equal lists, the oldest first.  ``floor`` is its measured noise floor, if any."""

    series: str
    machine_id: str
    machine: str
    cell: Mapping[str, Any]
    runs: Sequence[str]
    started: Sequence[datetime]
    time_ns: Sequence[float]
    low_ns: Sequence[float | None]
    high_ns: Sequence[float | None]
    floor: float | None = None
    is_ceiling: bool = False


@dataclass(frozen=True)
class Decided:
    """A decision or an acceptance about a change of a series."""

    series: str
    change_at: datetime | None
    state: State
    at: datetime


@dataclass(frozen=True)
class Member:
    """One series that changed: new time / old time with its interval; ``sure`` if the discovery rate holds with it."""

    history: History
    index: int
    ratio: float
    low: float
    high: float
    confidence: float
    before_ns: float
    after_ns: float
    sure: bool = False
    state: State = State.NEW

    @property
    def at(self) -> datetime:
        """When the first run of the new level began."""
        return self.history.started[self.index]

    @property
    def slower(self) -> bool:
        """Whether it is a regression."""
        return self.ratio > 1

    def to_json(self) -> dict[str, Any]:
        """Return it with stable names."""
        names = ("ratio", "low", "high", "confidence", "before_ns", "after_ns", "sure")
        return {
            "series": self.history.series,
            "at": self.at.isoformat(),
            **{name: getattr(self, name) for name in names},
            "state": self.state.value,
            "run_before": self.history.runs[self.index - 1],
            "run": self.history.runs[self.index],
            "machine": self.history.machine,
            **self.history.cell,
        }


@dataclass(frozen=True)
class Event:
    """Everything that changed at one time on one machine, and why."""

    id: str
    machine_id: str
    machine: str
    at: datetime
    run_before: str
    run: str
    members: Sequence[Member]
    attribution: Attribution
    sentence: str
    differences: Sequence[Difference]

    @property
    def worst(self) -> Member:
        """The member that moved most, a slower one where there is one."""
        return max(self.members, key=lambda one: (one.slower, abs(math.log(one.ratio))))

    def to_json(self) -> list[dict[str, Any]]:
        """Return one object a member."""
        same = {
            "event": self.id,
            "attribution": self.attribution.value,
            "sentence": self.sentence,
            "differences": [str(one) for one in self.differences],
        }
        return [member.to_json() | same for member in self.members]


def find_events(
    histories: Sequence[History],
    first_line: Callable[[str], Run | None],
    decided: Iterable[Decided] = (),
    thresholds: Thresholds | None = None,
) -> list[Event]:
    """Return the events of all machines, the newest first.

    ``first_line`` answers the first line of a run's file, which describes its circumstances, or None where it cannot.
    """
    limits = thresholds or Thresholds()
    subjects = [history for history in histories if not history.is_ceiling]
    ceilings = [history for history in histories if history.is_ceiling]
    members = _discovered(_members(subjects, limits), subjects, limits)
    members = _with_states(members, list(decided))
    events = []
    for machine in dict.fromkeys(one.history.machine_id for one in members):
        runs = _runs_of(machine, histories)
        beside = [history for history in ceilings if history.machine_id == machine]
        for group in _groups([one for one in members if one.history.machine_id == machine], runs):
            events.append(_event(group, runs, beside, first_line, limits))
    return sorted(events, key=lambda event: (event.at, event.id), reverse=True)


def is_alarm(event: Event, member: Member, thresholds: Thresholds | None = None) -> bool:
    """Whether a member is reason enough to stop somebody's work: slower, open, and confirmed or beyond doubt.

    What nothing explains (noise), or the machine itself (baseline), waits for a confirmation.
    """
    limits = thresholds or Thresholds()
    if not member.slower:
        return False
    if member.state == State.CONFIRMED:
        return True
    explained = event.attribution not in (Attribution.NOISE, Attribution.BASELINE)
    return member.state == State.NEW and explained and member.sure and member.confidence >= limits.certain


# -- members -------------------------------------------------------------------------------------------------------


def _members(histories: Sequence[History], limits: Thresholds) -> list[Member]:
    """Return the changes of all series that are large enough."""
    able = [history for history in histories if len(history.time_ns) >= 2]
    changes = change_points_of(
        [history.time_ns for history in able],
        [max(limits.size, history.floor or 0.0) for history in able],
        [_interval(history) for history in able],
    )
    found = []
    for history, held in zip(able, changes, strict=True):
        borders = [0, *(change.index for change in held), len(history.time_ns)]
        found += [
            _member(history, change, borders[place], borders[place + 2]) for place, change in enumerate(held)
        ]
    return found


def _interval(history: History) -> Interval:
    low = [end for end in history.low_ns if end is not None]
    high = [end for end in history.high_ns if end is not None]
    whole = len(low) == len(high) == len(history.time_ns)
    return (low, high) if whole else (None, None)


def _member(history: History, change: Change, begin: int, end: int) -> Member:
    logs = np.log(np.asarray(history.time_ns[begin:end], dtype=float))
    at = change.index - begin
    before, after = logs[:at], logs[at:]
    old, new = float(np.median(before)), float(np.median(after))
    rest = np.concatenate((before - old, after - new))
    error = 1.2533 * float(spread(rest)) * math.sqrt(1 / len(before) + 1 / len(after))  # that of two medians
    step = math.log(change.ratio)
    return Member(
        history,
        change.index,
        change.ratio,
        math.exp(step - 1.96 * error),
        math.exp(step + 1.96 * error),
        change.confidence,
        math.exp(old),
        math.exp(new),
    )


def _discovered(members: Sequence[Member], subjects: Sequence[History], limits: Thresholds) -> list[Member]:
    """Mark those that remain when the false discovery rate holds over all series."""
    chances = [1 - member.confidence for member in members]
    unchanged = [1.0] * max(0, len(subjects) - len(members))
    held = discoveries([*chances, *unchanged], limits.discovery_rate) if members else []
    return [replace(member, sure=sure) for member, sure in zip(members, held, strict=False)]


def _with_states(members: Sequence[Member], decided: Sequence[Decided]) -> list[Member]:
    by_series: dict[str, list[Decided]] = {}
    for one in sorted(decided, key=lambda one: one.at):
        by_series.setdefault(one.series, []).append(one)
    return [
        replace(member, state=_state(member, by_series.get(member.history.series, []), members))
        for member in members
    ]


def _state(member: Member, decided: Sequence[Decided], members: Sequence[Member]) -> State:
    """Return the newest decision about this change, else whether a later change took it back."""
    started = member.history.started
    first = started[max(0, member.index - NEAR_RUNS)] - timedelta(seconds=1)
    last = started[min(len(started) - 1, member.index + NEAR_RUNS)] + timedelta(seconds=1)
    about = [one.state for one in decided if one.change_at is not None and first <= one.change_at <= last]
    if about:
        return about[-1]
    later = [one for one in members if one.history is member.history and one.index > member.index]
    level = member.ratio
    for one in later:
        level *= one.ratio
        if abs(math.log(level)) <= math.log1p(MARGIN):
            return State.FIXED
    return State.NEW


# -- events --------------------------------------------------------------------------------------------------------


def _runs_of(machine: str, histories: Sequence[History]) -> list[tuple[datetime, str]]:
    """Return the runs of a machine in order."""
    return sorted(
        {
            pair
            for history in histories
            if history.machine_id == machine
            for pair in zip(history.started, history.runs, strict=True)
        }
    )


def _place(member: Member, runs: Sequence[tuple[datetime, str]]) -> int:
    return bisect_left(runs, (member.at, member.history.runs[member.index]))


def _groups(members: Sequence[Member], runs: Sequence[tuple[datetime, str]]) -> list[list[Member]]:
    """Put together what changed at most NEAR_RUNS runs after the first change of the group."""
    groups: list[list[Member]] = []
    first = 0
    for member in sorted(members, key=lambda one: _place(one, runs)):
        place = _place(member, runs)
        if groups and place - first <= NEAR_RUNS:
            groups[-1].append(member)
        else:
            groups.append([member])
            first = place
    return groups


def _event(
    members: Sequence[Member],
    runs: Sequence[tuple[datetime, str]],
    ceilings: Sequence[History],
    first_line: Callable[[str], Run | None],
    limits: Thresholds,
) -> Event:
    place, found = _cause([_place(member, runs) for member in members], runs, first_line)
    step = median(math.log(member.ratio) for member in members)
    threads = {member.history.cell.get("threads") for member in members}
    yardstick = _yardstick([one for one in ceilings if one.cell.get("threads") in threads], runs[place][0])
    attribution, sentence = attribute(found, step, yardstick, math.log1p(limits.size))
    history = members[0].history
    name = hashlib.blake2b(f"{history.machine_id}\0{runs[place][1]}".encode(), digest_size=4).hexdigest()
    return Event(
        name,
        history.machine_id,
        history.machine,
        runs[place][0],
        runs[max(0, place - 1)][1],
        runs[place][1],
        sorted(members, key=lambda one: -abs(math.log(one.ratio))),
        attribution,
        sentence,
        found,
    )


def _cause(
    places: Sequence[int], runs: Sequence[tuple[datetime, str]], first_line: Callable[[str], Run | None]
) -> tuple[int, list[Difference]]:
    """Return where the event is, and what differs there: at the run where most members changed, or at one near it.

    The place of a change is uncertain by a run or two; a step of the environment or the code within that is its cause.
    """
    usual = Counter(places).most_common(1)[0][0]
    near = sorted(range(usual - NEAR_RUNS, usual + NEAR_RUNS + 1), key=lambda place: abs(place - usual))
    for place in near:
        if 0 < place < len(runs):
            before, after = first_line(runs[place - 1][1]), first_line(runs[place][1])
            found = differences(before, after) if before and after else []
            if found:
                return place, found
    return usual, []


def _yardstick(ceilings: Sequence[History], at: datetime) -> float | None:
    """Return the logarithm by which the ceilings moved at a time: the median of their medians around it."""
    steps = []
    for history in ceilings:
        index = bisect_left(history.started, at)
        before, after = (
            history.time_ns[max(0, index - AROUND) : index],
            history.time_ns[index : index + AROUND],
        )
        if before and after:
            steps.append(math.log(median(after) / median(before)))
    return median(steps) if steps else None
