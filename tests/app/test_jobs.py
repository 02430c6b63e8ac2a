"""Jobs on the board: what their runs and their signs of life say together."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app import jobs, reading
from data.heartbeats import Heartbeat, job_state
from data.index import record_in_ledger
from tests.data.run_files import write_run


def test_jobs_of_runs_and_of_signs_of_life_on_the_board(home: Path) -> None:
    """Machines that send signs and machines whose runs were only carried here: done, due and overdue."""
    now = datetime.now(UTC)

    def text(moment: datetime) -> str:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    path = write_run(home.parent / "a.run.jsonl", started=text(now - timedelta(days=3)))
    content = path.read_text().replace('"purpose":"test"', '"job":"nightly","every":"86400"')
    lines = content.splitlines(keepends=True)
    end = json.loads(lines[-1]) | {"sha256": hashlib.sha256("".join(lines[:-1]).encode()).hexdigest()}
    path.write_text("".join(lines[:-1]) + json.dumps(end) + "\n")
    record_in_ledger(path)
    common: dict[str, Any] = {"machine": "0" * 12, "job": "nightly", "at": text(now), "every_s": 86_400}
    for name, hours in (("late", -1), ("fine", 5), ("lost", -50)):
        jobs.heartbeats().note(
            Heartbeat(name=name, outcome="measured", due=text(now + timedelta(hours=hours)), **common)
        )
    jobs.heartbeats().note(Heartbeat(name="battery", outcome="skipped", text="on battery", **common))
    reading.store(120.0)
    states = {row["machine"]: row["state"] for row in jobs.jobs(now)}
    assert states == {
        "testbox": "overdue",
        "lost": "overdue",
        "late": "due",
        "fine": "done",
        "battery": "unscheduled",
    }
    assert job_state(now, None, now) == "unscheduled"
