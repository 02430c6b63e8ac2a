"""The jobs of machines that measure unattended: which are done, due and overdue, from their runs and signs of life."""

import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import streamlit as st

from app import parts, reading, tables
from app.rows import Row
from data import places
from data.heartbeats import Heartbeats, job_state

__all__ = ["heartbeats", "jobs", "render"]

#: A machine that only sends or carries run files gives no sign of life, and its runs say what job made them.
_RUNS = """
    SELECT machine_id, machine, labels ->> '$.job' AS job, max(started) AS done,
           arg_max(try_cast(labels ->> '$.every' AS DOUBLE), started) AS every_s, arg_max(run_id, started) AS run_id
    FROM runs WHERE labels ->> '$.job' IS NOT NULL GROUP BY machine_id, machine, job
"""
_ORDER = ("overdue", "due", "done", "unscheduled")


@functools.cache
def _heartbeats(folder: str) -> Heartbeats:
    return Heartbeats(Path(folder))


def heartbeats() -> Heartbeats:
    """Return the signs of life that this server has had."""
    return _heartbeats(str(places.heartbeats()))


def jobs(now: datetime | None = None) -> list[Row]:
    """Return one row a job of a machine, what is overdue first; moments are aware datetimes in UTC, or None."""
    now = now or datetime.now(UTC)
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in reading.ask(_RUNS):
        key = (str(row["machine_id"]), str(row["machine"]), str(row["job"]))
        every_s = row["every_s"]
        due = row["done"] + timedelta(seconds=every_s) if every_s and 0 < every_s <= 366 * 86_400 else None
        found[key] = dict(row) | {
            "due": due,
            "seen": row["done"],
            "outcome": "measured",
            "text": "",
            "waiting": 0,
        }
    for one in heartbeats().all():
        key = (one.machine, one.name, one.job)
        seen, known = _moment(one.at), found.get(key)
        if known and seen and known["seen"] > seen:
            continue
        found[key] = {
            "machine_id": one.machine,
            "machine": one.name,
            "job": one.job,
            "done": _moment(one.done) or (known or {}).get("done"),
            "every_s": one.every_s,
            "run_id": one.run or (known or {}).get("run_id"),
            "due": _moment(one.due),
            "seen": seen,
            "outcome": one.outcome,
            "text": one.text,
            "waiting": one.waiting,
        }
    rows = [row | {"state": job_state(row["due"], row["every_s"], now)} for row in found.values()]
    return sorted(rows, key=lambda row: (_ORDER.index(row["state"]), row["machine"], row["job"]))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def render() -> None:
    """Draw the jobs, where there are any; name what is overdue first."""
    rows = jobs()
    if not rows:
        return
    st.subheader("Jobs", anchor=False)
    counts = {state: sum(row["state"] == state for row in rows) for state in _ORDER}
    colours = {"overdue": "red", "due": "orange", "done": "green", "unscheduled": "gray"}
    st.markdown(
        " ".join(f":{colours[state]}-badge[{count} {state}]" for state, count in counts.items() if count)
    )
    parts.table(rows, tables.JOBS, key="jobs", alt="Jobs of machines, what is overdue first")
