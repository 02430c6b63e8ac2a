"""What changed in the series of one machine, as the detector finds it, and what surrounds the points of one series."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import msgspec

from app import rows, texts, versions
from app.rows import Row
from data import queries
from data.errors import FlopwatchError
from data.index import Index
from data.records import Run
from data.regressions import Decided, History, State, find_events, is_alarm

__all__ = ["OPEN", "Changes", "environments", "of_machine", "steps", "surroundings"]

#: States in which a change still asks for somebody's attention.
OPEN = (State.CONFIRMED.value, State.NEW.value)

#: The most recent points of a series that are looked at: what changed before them is old news.
_POINTS = 300

#: One row a series of a machine (and a ceiling, the yardstick), its recent points as lists.
_HISTORIES = f"""
    SELECT series_id, any_value(kernel) AS kernel, any_value(case_id) AS case_id, any_value(variant) AS variant,
        any_value(condition) AS condition, any_value(backend) AS backend, any_value(device) AS device,
        any_value(threads) AS threads, any_value(machine) AS machine, max(started) AS started, 'ok' AS status,
        is_ceiling, list(run_id ORDER BY started) AS runs, list(epoch_us(started) ORDER BY started) AS moments_us,
        list(time_ns ORDER BY started) AS times_ns, list(low_ns ORDER BY started) AS lows_ns,
        list(high_ns ORDER BY started) AS highs_ns
    FROM (
        SELECT * FROM (
            SELECT false AS is_ceiling, * FROM board UNION ALL BY NAME SELECT true AS is_ceiling, * FROM ceilings
        )
        WHERE machine_id = ? AND status = 'ok' AND time_ns > 0
        QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY started DESC) <= {_POINTS}
    ) GROUP BY series_id, is_ceiling
"""  # noqa: S608 - a constant
_ENVIRONMENTS = """
    SELECT * FROM environments WHERE environment_id IN (SELECT environment_id FROM runs WHERE machine_id = ?)
"""
_DECISIONS = "SELECT * FROM decisions"
_FLOORS = "SELECT series_id, noise_floor FROM noise_floors"
_ACCEPTANCE = "acceptance"


@dataclass(frozen=True)
class Changes:
    """The series of a machine, and one row a change of any of them, the newest first.

    A row has the identity of its series, ``at``, ``ratio`` (new/old time, above 1 is slower) with ``low`` and ``high``,
    ``verdict``, ``confidence``, ``state``, ``alarm``, ``cause`` in words, ``index`` of the first point of the new level
    and ``recent_ns``, the points to draw small.
    """

    series: Sequence[Row]
    rows: Sequence[Row]


def environments(index: Index, machine: str) -> dict[str, Row]:
    """Return the environments in which a machine measured, by id."""
    return {str(one["environment_id"]): one for one in index.query(_ENVIRONMENTS, [machine])}


def of_machine(index: Index, machine: str) -> Changes:
    """Return the series of a machine with their recent points, and what changed in them."""
    held = index.query(_HISTORIES, [machine])
    floors = {str(row["series_id"]): row["noise_floor"] for row in index.query(_FLOORS)}
    histories = [_history(row, machine, floors.get(str(row["series_id"]))) for row in held]
    decided = [one for row in index.query(_DECISIONS) if (one := _decided(row)) is not None]
    found: list[Row] = [
        {
            "series_id": member.history.series,
            **member.history.cell,
            "at": member.at,
            "ratio": member.ratio,
            "low": member.low,
            "high": member.high,
            "verdict": "slower" if member.slower else "faster",
            "confidence": member.confidence,
            "state": member.state.value,
            "alarm": is_alarm(event, member),
            "cause": event.sentence,
            "event": event.id,
            "index": member.index,
            "recent_ns": member.history.time_ns,
        }
        for event in find_events(histories, lambda run: _first_line(index, run), decided)
        for member in event.members
    ]
    return Changes([row for row in held if not row["is_ceiling"]], found)


def _history(row: Row, machine: str, floor: float | None) -> History:
    cell = {
        name: row[name]
        for name in ("kernel", "case_id", "variant", "condition", "backend", "device", "threads")
    }
    return History(
        str(row["series_id"]),
        machine,
        str(row["machine"]),
        cell | {"case": row["case_id"]},
        row["runs"],
        [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment) for moment in row["moments_us"]],
        row["times_ns"],
        row["lows_ns"],
        row["highs_ns"],
        floor,
        bool(row["is_ceiling"]),
    )


def _decided(row: Row) -> Decided | None:
    """Return a decision as the detector reads it; None for a word that it does not know."""
    word = State.ACCEPTED.value if row.get("kind") == _ACCEPTANCE else str(row.get("decision"))
    try:
        return Decided(str(row["series_id"]), row["change_at"], State(word), row["at"])
    except ValueError:
        return None


def _first_line(index: Index, run: str) -> Run | None:
    """Return the first line of a run's file, which describes its circumstances."""
    try:
        line = queries.run_file(index, run).partition(b"\n")[0]
        return msgspec.json.decode(line, type=Run)
    except (FlopwatchError, msgspec.MsgspecError, json.JSONDecodeError):
        return None


def _difference(before: Row | None, after: Row | None) -> str:
    """Say what differs between two environments."""
    if before is None or after is None:
        return "another environment"
    old, new = versions.versions_of(before), versions.versions_of(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    told = [f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')}" for name in names]
    return ", ".join(told) or "settings of the environment"


def steps(points: Sequence[Row], known: dict[str, Row]) -> list[Row]:
    """Return the moments at which a series went on in another environment, and what had changed."""
    return [
        {
            "at": after.get("started"),
            "text": _difference(*(known.get(str(row.get("environment_id"))) for row in (before, after))),
        }
        for before, after in pairwise(points)
        if before.get("environment_id") != after.get("environment_id")
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
