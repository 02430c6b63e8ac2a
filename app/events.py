"""What changed in the series of one machine, as the detector finds it, and what surrounds the points of one series."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from app import rows, texts, versions
from app.rows import Row
from data import queries
from data.index import Index
from data.regressions import History, State, find_events, is_alarm

__all__ = ["OPEN", "Changes", "of_machine", "steps", "surroundings", "together"]

#: So many of a series' last points are drawn small in a list.
_SPARKS = 40
#: So many new versions can be told apart behind the points of a series.
_STEPS = 30
#: States in which a change still asks for somebody's attention.
OPEN = (State.CONFIRMED.value, State.NEW.value)


@dataclass(frozen=True)
class Changes:
    """The series of a machine with how many ``points`` each has, and one row a change of any, the newest first.

    A row has the identity of its series, ``at``, ``ratio`` (new/old time, above 1 is slower) with ``low`` and ``high``,
    ``verdict``, ``confidence``, ``state``, ``alarm``, ``cause`` in words, the ``event`` that it is part of,
    and ``recent_ns``, the points to draw small.
    """

    series: Sequence[Row]
    rows: Sequence[Row]


def of_machine(index: Index, machine: str) -> Changes:
    """Return the series of a machine, and what changed in them."""
    histories = queries.histories(index, machine)
    found = find_events(histories, lambda run: queries.first_line(index, run), queries.decided(index))
    return Changes(
        [
            {**_identity(one), "points": len(one.started)}
            for one in histories
            if one.started and not one.is_ceiling
        ],
        [
            {
                **_identity(member.history),
                "at": member.at,
                "ratio": member.ratio,
                "low": member.low,
                "high": member.high,
                "verdict": "slower" if member.slower else "faster",
                "confidence": member.confidence,
                "state": member.state.value,
                "alarm": is_alarm(event, member),
                "cause": event.sentence[:1].upper() + event.sentence[1:],
                "event": event.id,
                # Whole nanoseconds: a list of them goes to the browser for each change.
                "recent_ns": [round(time) for time in member.history.time_ns[-_SPARKS:]],
            }
            for event in found
            for member in event.members
        ],
    )


def _identity(history: History) -> dict[str, Any]:
    """Return what names a series, in the words of the views."""
    cell = dict(history.cell)
    case = str(cell.pop("case"))
    return {**cell, "series_id": history.series, "case_id": case}


def together(changes: Sequence[Row]) -> list[Row]:
    """Return one row for all open changes that happened at one time: the one that moved most, and how many there are.

    What is confirmed comes first, then what is an alarm, then the newest.
    """
    grouped: dict[str, list[Row]] = {}
    for one in changes:
        if one["state"] in OPEN:
            grouped.setdefault(str(one["event"]), []).append(one)
    found: list[Row] = []
    for members in grouped.values():
        first = min(members, key=lambda one: (*_urgency(one), -abs(math.log(one["ratio"]))))
        count = sum(one["verdict"] == first["verdict"] for one in members)
        found.append({**first, "what": f"{count} of {len(members)} {first['verdict']}"})
    return sorted(found, key=lambda one: (*_urgency(one), -one["at"].timestamp()))


def _urgency(change: Row) -> tuple[int, bool]:
    return OPEN.index(change["state"]), not change["alarm"]


def _difference(before: Row | None, after: Row | None) -> str:
    """Say what differs between two environments."""
    if before is None or after is None:
        return "another environment"
    old, new = versions.versions_of(before), versions.versions_of(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    told = [f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')}" for name in names]
    return ", ".join(told) or "settings of the environment"


def steps(points: Sequence[Row], known: dict[str, Row]) -> list[Row]:
    """Return the newest moments at which a series went on in another environment, and what had changed."""
    moved = [
        (before, after)
        for before, after in pairwise(points)
        if before.get("environment_id") != after.get("environment_id")
    ]
    return [
        {
            "at": after.get("started"),
            "text": _difference(*(known.get(str(row.get("environment_id"))) for row in (before, after))),
        }
        for before, after in moved[-_STEPS:]
    ]


def surroundings(
    points: Sequence[Row], changes: Iterable[Row], floor: float | None
) -> tuple[list[Row], tuple[float, float] | None]:
    """Return the changes of one series as a chart names them, and the band in which noise alone keeps it now.

    ``floor`` is the measured noise floor as a share; where there is none, the spread since the last change serves.
    """
    named: list[Row] = [
        {**one, "text": f"{one['verdict']}, {texts.ratio(one['ratio'], one['low'], one['high'])}"}
        for one in sorted(changes, key=lambda one: str(one["at"]))
    ]
    last = named[-1]["at"] if named else None
    level = [
        float(row["time_ns"])
        for row in points
        if rows.is_speed(row)
        and texts.finite(row.get("time_ns"))
        and (last is None or row["started"] >= last)
    ]
    if len(level) < 3:
        return named, None
    middle = median(level)
    spread: Any = floor or 3 * 1.4826 * median(abs(time - middle) for time in level) / middle
    return named, (middle * (1 - spread), middle * (1 + spread))
