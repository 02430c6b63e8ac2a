"""A fleet in small: so many machines send a run each day, through the real way in, ledger and index.

    python -m tests.soak.fleet --machines 100 --days 30 --folder FOLDER --seconds 120

Appends one line of JSON for each day to ``days.jsonl`` in the folder: what came in, the processor time that each step
took, the bytes in ledger and index, and what publishing and asking cost.  It ends with the first day after
``--seconds``; called again with the same folder, it goes on with the next day.  At the end it prints all days.
"""

import argparse
import hashlib
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data.index import Index
from data.ledger import open_ledger
from data.records import uuid7
from tests.benchmarks.histories import PER_RUN, run_file

__all__ = ["Fleet"]

_BEGIN = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
_PATTERNS = 10
#: So many runs come in between two looks of the board into its ledger.
_TOGETHER = 10
#: what pages ask: the newest of everything, one series over time, the machines
_QUESTIONS = {
    "latest": "SELECT count(*) FROM latest WHERE status = 'ok'",
    "one machine": "SELECT * FROM latest WHERE machine_id = (SELECT min(machine_id) FROM machines)",
    "one series": "SELECT started, time_ns FROM board WHERE series_id = (SELECT min(series_id) FROM latest)",
    "machines": "SELECT * FROM machines",
}


def _patterns(folder: Path) -> list[bytes]:
    files = [folder / f"pattern-{seed}.run.jsonl" for seed in range(_PATTERNS)]
    return [(path if path.exists() else run_file(path, seed)).read_bytes() for seed, path in enumerate(files)]


def _run(pattern: bytes, day: int, machine: int) -> bytes:
    """Return a run file with the samples of a pattern and a head of its own."""
    first, rest = pattern.split(b"\n", 1)
    run = json.loads(first)
    started = _BEGIN + timedelta(days=day, seconds=3 * machine)
    run |= {"id": uuid7(), "started": started.strftime("%Y-%m-%dT%H:%M:%SZ")}
    run |= {"labels": {"job": "nightly", "every": "86400"}}
    run["machine"] |= {"id": f"{machine:012x}", "name": f"machine-{machine}"}
    body = rest[: rest.rstrip(b"\n").rfind(b"\n") + 1]
    end = json.loads(rest.rstrip(b"\n").rsplit(b"\n", 1)[1])
    content = json.dumps(run, separators=(",", ":")).encode() + b"\n" + body
    end["sha256"] = hashlib.sha256(content).hexdigest()
    return content + json.dumps(end, separators=(",", ":")).encode() + b"\n"


class _Spent:
    """Adds up the processor time of this process with all its threads, and the time by the clock, of one step."""

    def __init__(self) -> None:
        self.cpu_s = self.clock_s = 0.0

    def __enter__(self) -> None:
        self._cpu_s, self._clock_s = time.process_time(), time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.cpu_s += time.process_time() - self._cpu_s
        self.clock_s += time.monotonic() - self._clock_s


class Fleet:
    """A board in a folder, and what its days cost."""

    def __init__(self, folder: Path, machines: int) -> None:
        """Go on with what the folder holds, or begin."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.machines, self._log = folder, machines, folder / "days.jsonl"
        self.days = (
            [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []
        )
        self._patterns = _patterns(folder)
        self.index = Index(folder / "flopwatch.duckdb", open_ledger(folder / "ledger"))
        if not self.index.own():
            raise RuntimeError(f"{folder}: {self.index.problem or self.index.owner}")

    def live_through(self) -> dict[str, object]:
        """Take in one day's runs; return its figures, which are in the log as well."""
        day = len(self.days)
        accepting, indexing, publishing = _Spent(), _Spent(), _Spent()
        publish = self.index.publish

        def watched() -> None:
            with publishing:
                publish()

        self.index.publish = watched  # type: ignore[method-assign]
        try:
            for first in range(0, self.machines, _TOGETHER):
                for content in self._arriving(day, first):
                    with accepting:
                        self.index.accept(content)
                with indexing:
                    self.index.sync()
        finally:
            del self.index.publish
        figures = {
            "day": day + 1,
            "runs": self.machines,
            "measurements": self.machines * PER_RUN,
            "accepting_cpu_s": round(accepting.cpu_s, 2),
            "indexing_cpu_s": round(indexing.cpu_s - publishing.cpu_s, 2),
            "publishing_cpu_s": round(publishing.cpu_s, 2),
            "accepting_s": round(accepting.clock_s, 2),
            "indexing_s": round(indexing.clock_s - publishing.clock_s, 2),
            "publishing_s": round(publishing.clock_s, 2),
            **self._sizes(),
            "asking_ms": self._asking(),
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        self.days.append(figures)
        with self._log.open("a") as log:
            log.write(json.dumps(figures) + "\n")
        return figures

    def _arriving(self, day: int, first: int) -> Iterator[bytes]:
        for machine in range(first, min(first + _TOGETHER, self.machines)):
            yield _run(self._patterns[(day + machine) % _PATTERNS], day, machine)

    def _sizes(self) -> dict[str, int]:
        (held,) = self.index.query("SELECT count(*) AS runs, sum(size_bytes)::BIGINT AS bytes FROM entry")
        (rows,) = self.index.query("SELECT count(*) AS rows FROM measurement")
        files = (path for path in (self.folder / "ledger").rglob("*") if path.is_file())
        return {
            "runs_held": held["runs"],
            "rows_held": rows["rows"],
            "run_file_bytes": round(held["bytes"] / held["runs"]),
            "ledger_bytes": sum(path.stat().st_size for path in files),
            "index_bytes": (self.folder / "flopwatch.duckdb").stat().st_size,
        }

    def _asking(self) -> dict[str, float]:
        found = {}
        for name, sql in _QUESTIONS.items():
            times = []
            for _ in range(5):
                started = time.monotonic()
                if not self.index.query(sql):
                    raise RuntimeError(f"no answer to {sql}")
                times.append(time.monotonic() - started)
            found[name] = round(1e3 * statistics.median(times), 1)
        return found


def main() -> None:
    """Read the options, live through days, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=480.0, help="begin no further day after so many")
    parser.add_argument(
        "--folder", type=Path, help="keep the board here; default: a folder that is removed afterwards"
    )
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(prefix="fleet") as scratch:
        fleet = Fleet(options.folder or Path(scratch), options.machines)
        while len(fleet.days) < options.days and time.monotonic() < until:
            sys.stderr.write(f"{json.dumps(fleet.live_through())}\n")
        sys.stdout.write(json.dumps(fleet.days, indent=1) + "\n")
        fleet.index.close()


if __name__ == "__main__":
    main()
