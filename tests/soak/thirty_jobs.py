"""Jobs in a row that nobody watches, and what people see of them: a history in which nothing changed.

    python -m tests.soak.thirty_jobs --jobs 30 --folder FOLDER --seconds 540 --out FILE

Each is a real ``flopwatch job`` of a short choice of cases.  It ends with the first job after ``--seconds``; called
again with the same folder, it goes on.  Once all jobs are done, it asks ``flopwatch regressions`` what changed, and
opens the page Regressions on each series.  Exit status 0 if both are silent and each series has a point for each job.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.soak.history_of_runs import CASES, changes, copy_program, flopwatch

__all__ = ["judge", "work"]

NAME = "nightly"
#: Not the hour, but the loop rings; another program may be at work, and the result is marked then.
JOB = (
    *("job", "--name", NAME, "--every", "24h", "--now", "--quiet-limit", "30s", "--even-if-unfit"),
    *(*CASES, "--backend", "numpy", "--threads", "1", "--effort", "smoke"),
)


def _done(home: Path) -> int:
    state = home / "jobs" / f"{NAME}.json"
    return int(json.loads(state.read_bytes())["count"]) if state.exists() else 0


def work(folder: Path, jobs: int, until: float) -> int:
    """Do jobs until so many are done or the clock says ``until``; return how many are done."""
    home, program = folder / "home", copy_program(folder / "program", 0.0)
    while _done(home) < jobs and time.monotonic() < until:
        started = time.monotonic()
        done = flopwatch(program, home, *JOB)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        sys.stderr.write(f"job {_done(home)} of {jobs}: {time.monotonic() - started:.0f} s\n")
    return _done(home)


def _page(home: Path) -> dict[str, Any]:
    """Return what the page Regressions shows: the words under its list, and how many points each series has."""
    os.environ |= {"FLOPWATCH_HOME": str(home), "STREAMLIT_LOGGER_LEVEL": "error"}
    from app import reading
    from tests.app.test_pages import figures, opened

    page = "views/regressions.py"
    try:
        first = opened(page, view="both")
        (choice,) = [box for box in first.selectbox if box.label == "Series"]
        series = [row["series_id"] for row in reading.store().query("SELECT DISTINCT series_id FROM latest")]
        points = {}
        for one in series:
            test = opened(page, view="both", series=one)
            (box,) = [box for box in test.selectbox if box.label == "Series"]
            drawn = [
                len(trace["x"]) for trace in figures(test)[0]["data"] if "markers" in trace.get("mode", "")
            ]
            points[box.options[box.index]] = max(drawn)
        return {
            "says": [text.value for text in first.success],
            "series": len(choice.options),
            "points": points,
        }
    finally:
        reading.close()


def judge(folder: Path) -> dict[str, Any]:
    """Return what the log, the program and the page say of the jobs."""
    home, program = folder / "home", folder / "program"
    log = "".join(path.read_text() for path in sorted((home / "jobs").glob("job.log*")))
    return {
        "in_the_log": {word: log.count(f"{NAME}: {word}") for word in ("measured:", "failed:", "skipped:")},
        "baselines": log.count("is a baseline"),
        "measured_although_unfit": log.count("measuring all the same"),
        "stored": json.loads(flopwatch(program, home, "db", "info", "--json").stdout)["runs"],
        "changes": changes(program, home),
        "gate": flopwatch(program, home, "regressions", "--fail-on", "change").returncode,
        "page": _page(home),
    }


def main() -> int:
    """Work, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=540.0, help="begin no further job after so many")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    done = work(options.folder, options.jobs, time.monotonic() + options.seconds)
    report: dict[str, Any] = {"jobs": done}
    if done >= options.jobs:
        report |= judge(options.folder)
    text = json.dumps(report, indent=1)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n")
    silent = not report.get("changes") and not report.get("gate")
    shown = all(points == done for points in report.get("page", {}).get("points", {}).values())
    return int(done >= options.jobs and not (silent and shown))


if __name__ == "__main__":
    sys.exit(main())
