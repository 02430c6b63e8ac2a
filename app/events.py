"""What changed in the series of a machine: each change with its size, what else changed then, and what was decided."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from app import rows, texts, versions
from app.rows import Row
from data.changes import change_points, change_points_of
from data.errors import BadInput
from data.index import Index

__all__ = ["NEW", "context_of", "environments", "events", "of_machine", "steps"]

#: The most recent points of a series that are looked at: what changed before them is old news.
POINTS = 300

#: One row a series of a machine, its recent points as lists.
_HISTORIES = f"""
    SELECT series_id, any_value(kernel) AS kernel, any_value(case_id) AS case_id, any_value(variant) AS variant,
        any_value(condition) AS condition, any_value(backend) AS backend, any_value(device) AS device,
        any_value(threads) AS threads, max(started) AS started, list(time_ns ORDER BY started) AS times_ns,
        list(low_ns ORDER BY started) AS lows_ns, list(high_ns ORDER BY started) AS highs_ns,
        list(epoch_us(started) ORDER BY started) AS moments_us,
        list(environment_id ORDER BY started) AS environments, 'ok' AS status
    FROM (
        SELECT * FROM board WHERE machine_id = ? AND status = 'ok' AND time_ns > 0
        QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY started DESC) <= {POINTS}
    ) GROUP BY series_id
"""  # noqa: S608 - a constant

#: What a decision is called in the list; a change without one is new.
NEW, ACCEPTED = "new", "accepted"


_ENVIRONMENTS = """
    SELECT * FROM environments WHERE environment_id IN (SELECT environment_id FROM runs WHERE machine_id = ?)
"""
_DECISIONS = "SELECT * FROM decisions"


def environments(index: Index, machine: str) -> dict[str, Row]:
    """Return the environments in which a machine measured, by id."""
    return {str(one["environment_id"]): one for one in index.query(_ENVIRONMENTS, [machine])}


def of_machine(index: Index, machine: str) -> tuple[list[Row], list[Row]]:
    """Return the series of a machine with their recent points, and what changed in them (see :func:`events`)."""
    histories: list[Row] = list(index.query(_HISTORIES, [machine]))
    found = events(histories, environments(index, machine), index.query(_DECISIONS))
    return histories, found


def _moment(microseconds: Any) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(microseconds))


def events(histories: Sequence[Row], environments: Mapping[str, Row], decisions: Iterable[Row]) -> list[Row]:
    """Return one row a change of any series, those that nobody has decided about first, then the newest first.

    ``ratio`` is new/old time (above 1 is slower), ``state`` what was decided, ``cause`` what else changed between the
    last point before and the first one after.
    """
    long = [row for row in histories if len(row["times_ns"]) >= 2]
    try:
        found = change_points_of([row["times_ns"] for row in long])
    except BadInput:
        return []
    decided = {
        (str(one["series_id"]), _second(one.get("change_at"))): str(one.get("decision") or ACCEPTED)
        for one in sorted(decisions, key=lambda one: str(one.get("at")))
    }
    told: list[Row] = []
    for row, changes in zip(long, found, strict=True):
        for change in changes:
            at = _moment(row["moments_us"][change.index])
            state = decided.get((str(row["series_id"]), _second(at)), NEW)
            before, after = (row["environments"][change.index - back] for back in (1, 0))
            told.append(
                {
                    **{name: row.get(name) for name in _IDENTITY},
                    "at": at,
                    "ratio": change.ratio,
                    "verdict": "slower" if change.ratio > 1 else "faster",
                    "confidence": change.confidence,
                    "state": state,
                    "cause": difference(environments.get(before), environments.get(after)),
                    "recent_ns": row["times_ns"],
                }
            )
    return sorted(told, key=lambda one: (one["state"] != NEW, -one["at"].timestamp()))


_IDENTITY = (*("series_id", "kernel", "case_id", "variant", "condition", "backend", "device", "threads"),)


def _second(value: Any) -> int | None:
    return int(value.timestamp()) if isinstance(value, datetime) else None


def difference(before: Row | None, after: Row | None) -> str:
    """Say what differs between two environments; empty where they are the same or not known."""
    if before is None or after is None or before is after:
        return ""
    old, new = versions.versions_of(before), versions.versions_of(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    told = [f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')}" for name in names]
    return ", ".join(told) or "settings of the environment"


def steps(points: Sequence[Row], environments: Mapping[str, Row]) -> list[Row]:
    """Return the moments at which a series went on in another environment, and what had changed."""
    found: list[Row] = []
    for before, after in pairwise(points):
        one, other = (environments.get(str(row.get("environment_id"))) for row in (before, after))
        if before.get("environment_id") != after.get("environment_id"):
            found.append(
                {"at": after.get("started"), "text": difference(one, other) or "another environment"}
            )
    return found


def context_of(points: Sequence[Row], floor: float | None) -> tuple[list[Row], tuple[float, float] | None]:
    """Return the changes of one series, and the band in which noise alone keeps it now.

    ``floor`` is the measured noise floor as a share; where there is none, the spread since the last change serves.
    """
    speeds = [row for row in points if rows.is_speed(row) and (texts.finite(row.get("time_ns")) or 0.0) > 0]
    times = [float(row["time_ns"]) for row in speeds]
    try:
        found = change_points(times, noise_floor=floor) if len(times) > 1 else []
    except BadInput:
        found = []
    changes: list[Row] = [
        {
            "at": speeds[change.index].get("started"),
            "verdict": "slower" if change.ratio > 1 else "faster",
            "text": f"{'slower' if change.ratio > 1 else 'faster'}, {texts.ratio(change.ratio)}",
            "ratio": change.ratio,
            "confidence": change.confidence,
        }
        for change in found
    ]
    level = times[found[-1].index if found else 0 :]
    if len(level) < 3:
        return changes, None
    middle = median(level)
    spread = floor or 3 * 1.4826 * median(abs(time - middle) for time in level) / middle
    return changes, (middle * (1 - spread), middle * (1 + spread))
