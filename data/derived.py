"""What follows from several entries together: names, withdrawals, the newest row of each series, counts."""

# ruff: noqa: S608 - names of tables and columns are constants of this module
from collections.abc import Iterable, Sequence

import duckdb

from data.entries import Record, Reinstatement, Withdrawal

__all__ = [
    "add_newest",
    "count",
    "find_newest",
    "name_machines",
    "remove_runs",
    "trim_samples",
    "withdraw",
]

Cursor = duckdb.DuckDBPyConnection

#: Environments side by side and repetitions of older runs are no new state of a machine.
_MAKES_HISTORY = "coalesce(r.protocol ->> 'purpose', 'series') = 'series'"
#: The newest measurement of each series among those that fulfil a condition; wide rows are read last, and only these.
_NEWEST = (
    "SELECT * FROM measurement WHERE (series, run) IN (SELECT series, arg_max(run, (r.started, r.run_id)) "
    "FROM measurement AS m JOIN run AS r USING (run) WHERE NOT m.withdrawn AND "
    + _MAKES_HISTORY
    + " AND {condition} GROUP BY series)"
)


def remove_runs(cursor: Cursor, runs: Sequence[int]) -> set[int]:
    """Remove runs with all that belongs to them; return the series that lost a point."""
    if not runs:
        return set()
    lost = _series(cursor, runs)
    for table in ("sample", "measurement", "process", "note", "run"):
        cursor.execute(f"DELETE FROM {table} WHERE run IN (SELECT unnest(?))", [list(runs)]).fetchall()
    return lost


def _series(cursor: Cursor, runs: Iterable[int]) -> set[int]:
    found = cursor.execute(
        "SELECT DISTINCT series FROM measurement WHERE run IN (SELECT unnest(?::INTEGER[]))", [list(runs)]
    )
    return {series for (series,) in found.fetchall()}


def name_machines(cursor: Cursor) -> None:
    """Give each machine the newest name that people gave it."""
    cursor.execute(
        "UPDATE machine SET given_name = g.name, given_at = g.given_at FROM ("
        'SELECT subject, arg_max(content ->> \'name\', ("at", id)) AS name, max("at") AS given_at '
        "FROM statement WHERE kind = 'machine-name' GROUP BY subject) AS g "
        "WHERE machine_id = g.subject AND given_name IS DISTINCT FROM g.name"
    ).fetchall()


def withdraw(cursor: Cursor, first: int, statements: Sequence[Record]) -> set[int]:
    """Mark what is withdrawn among the runs from number ``first`` on and those that statements are about.

    Returns the series of held runs that changed.
    """
    runs = {one.run for one in statements if isinstance(one, Withdrawal)}
    undone = [one.withdrawal for one in statements if isinstance(one, Reinstatement)]
    held = cursor.execute(
        "SELECT DISTINCT r.run FROM run AS r JOIN statement AS w ON w.kind = 'withdrawal' AND w.subject = r.run_id "
        "WHERE r.run >= ? OR r.run_id IN (SELECT unnest(?::VARCHAR[])) OR w.id IN (SELECT unnest(?::VARCHAR[]))",
        [first, list(runs), undone],
    )
    numbers = [number for (number,) in held.fetchall()]
    if not numbers:
        return set()
    _mark(cursor, numbers)
    count(cursor, first, numbers)
    return _series(cursor, numbers)


def _mark(cursor: Cursor, numbers: list[int]) -> None:
    cursor.execute(
        "UPDATE run SET withdrawn = run_id IN (SELECT w.run_id FROM withdrawals AS w "
        "WHERE w.undone_at IS NULL AND len(w.measurement_ids) = 0) WHERE run IN (SELECT unnest(?))",
        [numbers],
    ).fetchall()
    cursor.execute(
        "UPDATE measurement SET withdrawn = r.withdrawn OR measurement_id IN ("
        "SELECT unnest(w.measurement_ids) FROM withdrawals AS w WHERE w.undone_at IS NULL) "
        "FROM run AS r WHERE r.run = measurement.run AND measurement.run IN (SELECT unnest(?))",
        [numbers],
    ).fetchall()


def add_newest(cursor: Cursor, first: int) -> None:
    """Let the runs from number ``first`` on take their place among the newest rows."""
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE candidate AS {_NEWEST.format(condition='run >= $first')} AND run >= $first",
        {"first": first},
    ).fetchall()
    cursor.execute(
        "DELETE FROM candidate AS c USING newest AS n, run AS a, run AS b WHERE n.series = c.series "
        "AND a.run = c.run AND b.run = n.run AND (b.started, b.run_id) > (a.started, a.run_id)"
    ).fetchall()
    cursor.execute("DELETE FROM newest WHERE series IN (SELECT series FROM candidate)").fetchall()
    cursor.execute("INSERT INTO newest FROM candidate").fetchall()


def find_newest(cursor: Cursor, series: set[int]) -> None:
    """Find the newest row of the given series anew."""
    if not series:
        return
    cursor.execute("DELETE FROM newest WHERE series IN (SELECT unnest(?))", [list(series)]).fetchall()
    cursor.execute(
        f"INSERT INTO newest {_NEWEST.format(condition='series IN (SELECT unnest(?))')}",
        [list(series)],
    ).fetchall()


def count(cursor: Cursor, first: int, others: Sequence[int] = ()) -> None:
    """Count the measurements of the runs from number ``first`` on, and of others."""
    cursor.execute(
        "UPDATE run SET measurements = c.measurements, ok = c.ok, not_ok = c.measurements - c.ok FROM ("
        "SELECT r.run, count(m.run) AS measurements, count(m.run) FILTER (m.status = 'ok') AS ok "
        "FROM run AS r LEFT JOIN measurement AS m ON m.run = r.run AND NOT m.is_ceiling AND NOT m.withdrawn "
        "AND m.status NOT IN ('unsupported', 'unavailable', 'skipped') "
        "WHERE r.run >= ? OR r.run IN (SELECT unnest(?::INTEGER[])) GROUP BY r.run) AS c WHERE run.run = c.run",
        [first, list(others)],
    ).fetchall()


def trim_samples(cursor: Cursor, limit_bytes: int) -> bool:
    """Remove the samples of older runs once those held come from a quarter more bytes of run files than allowed."""
    held = cursor.execute(
        "SELECT r.run, sum(e.size_bytes) OVER (ORDER BY e.received DESC, e.sha256)::BIGINT FROM run AS r "
        "JOIN entry AS e USING (sha256) WHERE r.samples_indexed"
    ).fetchall()
    if max([total for _, total in held], default=0) <= limit_bytes * 1.25:
        return False
    runs = [run for run, total in held if total > limit_bytes]
    cursor.execute("DELETE FROM sample WHERE run IN (SELECT unnest(?))", [runs]).fetchall()
    cursor.execute(
        "UPDATE run SET samples_indexed = false WHERE run IN (SELECT unnest(?))", [runs]
    ).fetchall()
    return True
