"""Questions that several pages and commands ask, each with a name.  All answer with dicts, one a row."""

# ruff: noqa: S608 - what is put into the SQL is a constant of this module
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from data.errors import FlopwatchError, NotFound
from data.index import Index
from data.records import Run
from data.regressions import Decided, History, State
from data.rundocument import read

__all__ = [
    "absent",
    "decided",
    "environment",
    "first_line",
    "histories",
    "history",
    "last_ok",
    "latest",
    "machines",
    "measurement",
    "measurements",
    "notes",
    "problems",
    "reproduced",
    "reproductions",
    "resolve_run",
    "run",
    "run_file",
    "runs",
    "samples",
]

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READING_ORDER = "kernel, case_id, threads, variant, condition, backend, device"


def latest(index: Index, *, machine_id: str | None = None, kernel: str | None = None) -> list[Row]:
    """The newest row of each series, in reading order."""
    return index.query(
        "FROM latest WHERE machine_id = coalesce($machine_id, machine_id) AND kernel = coalesce($kernel, kernel) "
        f"ORDER BY machine, {_READING_ORDER}",
        {"machine_id": machine_id, "kernel": kernel},
    )


def problems(index: Index) -> list[Row]:
    """Newest rows that went wrong, the newest first."""
    return index.query("FROM problems ORDER BY started DESC, machine, case_id, variant")


def absent(index: Index) -> list[Row]:
    """Newest rows of what could not run, with the reason and how to get it."""
    return index.query("FROM absent ORDER BY machine, case_id, variant, backend")


def runs(index: Index, limit: int = 100) -> list[Row]:
    """The newest runs, the newest first."""
    return index.query("FROM runs ORDER BY started DESC, run_id DESC LIMIT ?", [limit])


def run(index: Index, run_id: str) -> Row:
    """One run; raises NotFound."""
    return _one(index, "FROM runs WHERE run_id = ?", run_id, "run")


def resolve_run(index: Index, wish: str) -> str:
    """Return the id of the run that ``wish`` means: an id, the begin of one, ``latest`` or ``previous``.

    Raises NotFound where there is none or more than one.
    """
    if wish in ("latest", "previous"):
        rows = runs(index, 2)[wish == "previous" :]
    else:
        rows = index.query("SELECT run_id FROM runs WHERE starts_with(run_id, ?) LIMIT 2", [wish])
    if not rows or (len(rows) > 1 and wish not in ("latest", "previous")):
        what = "more than one run begins with" if rows else "no run is called"
        raise NotFound(f"{what} {wish!r}; give an id (flopwatch db info counts them), latest or previous")
    return str(rows[0]["run_id"])


def run_file(index: Index, run_id: str) -> bytes:
    """The run file as it was recorded, byte for byte, withdrawn or not; raises NotFound."""
    row = _one(index, "SELECT sha256 FROM run WHERE run_id = ?", run_id, "run")
    return index.ledger.read(row["sha256"])


def measurements(index: Index, run_id: str) -> list[Row]:
    """The measurements and ceilings of a run, ceilings first."""
    return index.query(
        "SELECT * FROM (SELECT true AS is_ceiling, * FROM ceilings UNION ALL BY NAME "
        f"SELECT false AS is_ceiling, * FROM board) WHERE run_id = ? ORDER BY NOT is_ceiling, {_READING_ORDER}",
        [run_id],
    )


def measurement(index: Index, measurement_id: str) -> Row:
    """One measurement, ceiling or not; raises NotFound."""
    sql = "SELECT * FROM (FROM board UNION ALL BY NAME FROM ceilings) WHERE measurement_id = ?"
    return _one(index, sql, measurement_id, "measurement")


def history(index: Index, series_id: str) -> list[Row]:
    """All rows of a series, the oldest first."""
    return index.query("FROM board WHERE series_id = ? ORDER BY started, run_id", [series_id])


_SERIES_OVER_TIME = """
SELECT series_id, machine_id, machine, any_value(kernel) AS kernel, any_value(case_id) AS case_id,
    any_value(variant) AS variant, any_value(condition) AS condition, any_value(backend) AS backend,
    any_value(device) AS device, any_value(threads) AS threads, list(run_id ORDER BY started, run_id) AS run_ids,
    list(epoch_us(started) ORDER BY started, run_id) AS started_us, list(time_ns ORDER BY started, run_id) AS time_ns,
    list(low_ns ORDER BY started, run_id) AS low_ns, list(high_ns ORDER BY started, run_id) AS high_ns
FROM {view}
WHERE status = 'ok' AND time_ns > 0 AND purpose = 'series' AND machine_id = coalesce($machine_id, machine_id)
GROUP BY series_id, machine_id, machine ORDER BY series_id
"""
_CELL = ("kernel", "case_id", "variant", "condition", "backend", "device", "threads")


def histories(index: Index, machine_id: str | None = None) -> list[History]:
    """Every series over time with its noise floor, ceilings included: what :mod:`data.regressions` looks at.

    Environments side by side and repetitions of old runs are no state of the machine, and make no history.
    """
    floors = {
        row["series_id"]: row["noise_floor"]
        for row in index.query("SELECT series_id, noise_floor FROM noise_floors")
    }
    return [
        History(
            row["series_id"],
            row["machine_id"],
            row["machine"],
            {("case" if name == "case_id" else name): row[name] for name in _CELL},
            row["run_ids"],
            [_EPOCH + timedelta(microseconds=started) for started in row["started_us"]],
            row["time_ns"],
            row["low_ns"],
            row["high_ns"],
            floors.get(row["series_id"]),
            view == "ceilings",
        )
        for view in ("board", "ceilings")
        for row in index.query(_SERIES_OVER_TIME.format(view=view), {"machine_id": machine_id})
    ]


def decided(index: Index) -> list[Decided]:
    """What was decided about changes; a decision in words that are not of :class:`State` counts for nothing."""
    rows = index.query('SELECT series_id, kind, decision, change_at, "at" FROM decisions ORDER BY "at"')
    words = {state.value for state in State}
    return [
        Decided(row["series_id"], row["change_at"], State(word), row["at"])
        for row in rows
        if (word := "accepted" if row["kind"] == "acceptance" else row["decision"]) in words
    ]


def first_line(index: Index, run_id: str) -> Run | None:
    """The first line of a run's file: machine, environment and code as they were then; None where it cannot be read."""
    try:
        line = run_file(index, run_id).partition(b"\n")[0]
        return msgspec.json.decode(line, type=Run)
    except (FlopwatchError, msgspec.MsgspecError):
        return None


def last_ok(index: Index) -> dict[str, datetime]:
    """When each series was ok last."""
    rows = index.query(
        "SELECT series_id, max(started) AS started FROM board WHERE status = 'ok' GROUP BY series_id"
    )
    return {row["series_id"]: row["started"] for row in rows}


def machines(index: Index) -> list[Row]:
    """The machines, the one that ran last first."""
    return index.query("FROM machines ORDER BY last_seen DESC, machine_id")


def environment(index: Index, environment_id: str) -> Row:
    """One environment; raises NotFound."""
    return _one(index, "FROM environments WHERE environment_id = ?", environment_id, "environment")


def reproduced(index: Index) -> list[Row]:
    """How many results were measured again and came out again: all machines first (``machine_id`` None), then each."""
    return index.query("FROM reproduced ORDER BY machine_id IS NOT NULL, machine")


def reproductions(index: Index, run_id: str) -> list[Row]:
    """Every attempt to measure a run again, or that the run itself was, the newest first."""
    return index.query(
        "FROM reproductions WHERE original_run_id = $run_id OR run_id = $run_id "
        "ORDER BY started DESC, case_id, threads, variant, condition, backend, device",
        {"run_id": run_id},
    )


def notes(index: Index, run_id: str) -> list[Row]:
    """The notes of a run, in order."""
    return index.query('FROM notes WHERE run_id = ? ORDER BY "at"', [run_id])


def samples(index: Index, measurement_id: str) -> list[Row]:
    """The raw samples of a measurement, one row a process; from the ledger where the index does not hold them."""
    rows = index.query(
        "SELECT * EXCLUDE (measurement_id, run_id, run) FROM samples WHERE measurement_id = ? ORDER BY process",
        [measurement_id],
    )
    return rows or _samples_of_ledger(index, measurement_id)


def _samples_of_ledger(index: Index, measurement_id: str) -> list[Row]:
    found = index.query(
        "SELECT r.sha256, s.* FROM measurement AS m JOIN run AS r USING (run) JOIN series AS s USING (series) "
        "WHERE m.measurement_id = ? AND NOT m.withdrawn AND NOT r.samples_indexed",
        [measurement_id],
    )
    if not found:
        return []
    document = read(index.ledger.read(found[0]["sha256"]))
    key = tuple(
        found[0][name] for name in ("case_id", "variant", "condition", "backend", "device", "threads")
    )
    blocks = {process.index: process.block for process in document.processes}
    return [
        {
            "process": line.process,
            "block": None if line.process is None else blocks.get(line.process),
            "status": str(line.status),
            "first_call_ns": line.first_call_ns,
            "batch": line.samples.batch,
            **{name: getattr(line.samples, name) for name in ("time_ns", "clean", "cpu_ns", "switches")},
            **{name: getattr(line.samples, name) for name in ("probe_ns", "round")},
            "covariates": line.attributes,
        }
        for line in sorted(document.lines, key=lambda line: line.process or 0)
        if line.key == key and line.samples
    ]


def _one(index: Index, sql: str, name: str, what: str) -> Row:
    rows = index.query(sql, [name])
    if not rows:
        raise NotFound(f"no {what} is called {name!r}")
    return rows[0]
