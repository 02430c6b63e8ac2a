"""A fleet in small: so many machines send a run each day, through the real way in, ledger and index.

    python -m tests.soak.fleet --machines 100 --days 30 --limit 480

Prints one JSON object: what came in, how fast, how many bytes a measurement takes in ledger and index, what publishing
and asking cost, and the memory.  With ``--limit`` it stops after so many seconds and says how many days that were.
"""

import argparse
import hashlib
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data.index import Index
from data.ledger import open_ledger
from data.records import uuid7
from tests.benchmarks.histories import PER_RUN, run_file

__all__ = ["simulate"]

_BEGIN = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
_PATTERNS = 10
#: what pages ask: the newest of everything, one series over time, the machines
_QUESTIONS = {
    "latest": "SELECT count(*) FROM latest WHERE status = 'ok'",
    "one machine": "SELECT * FROM latest WHERE machine_id = (SELECT min(machine_id) FROM machines)",
    "one series": "SELECT started, time_ns FROM board WHERE series_id = (SELECT min(series_id) FROM latest)",
    "machines": "SELECT * FROM machines",
}


def _patterns(folder: Path) -> list[bytes]:
    found = []
    for seed in range(_PATTERNS):
        path = run_file(folder / "pattern.run.jsonl", seed)
        found.append(path.read_bytes())
        path.unlink()
    return found


def _runs(patterns: list[bytes], machines: int, days: int) -> Iterator[tuple[int, bytes]]:
    """Yield each day's run of each machine, in the order in which they come in."""
    for day in range(days):
        for machine in range(machines):
            pattern = patterns[(day + machine) % len(patterns)]
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
            yield day, content + json.dumps(end, separators=(",", ":")).encode() + b"\n"


def simulate(folder: Path, machines: int, days: int, limit_s: float) -> dict[str, object]:
    """Send runs until all are in or the time is over; return the figures."""
    patterns = _patterns(folder)
    accepting_s = indexing_s = 0.0
    count = sent_bytes = days_done = 0
    publishing_s: list[float] = []
    index = Index(folder / "flopwatch.duckdb", open_ledger(folder / "ledger"))
    assert index.own()
    begin, begin_cpu_s = time.monotonic(), time.process_time()
    today = 0
    for day, content in _runs(patterns, machines, days):
        if day != today:
            started = time.monotonic()
            index.sync()
            spent = time.monotonic() - started
            indexing_s += spent
            publishing_s.append(index._publishing_s)
            today, days_done = day, day
            if time.monotonic() - begin > limit_s:
                break
        started = time.monotonic()
        index.accept(content)
        accepting_s += time.monotonic() - started
        count, sent_bytes = count + 1, sent_bytes + len(content)
    else:
        started = time.monotonic()
        index.sync()
        indexing_s += time.monotonic() - started
        publishing_s.append(index._publishing_s)
        days_done = days
    cpu_s = time.process_time() - begin_cpu_s
    asking = {}
    for name, sql in _QUESTIONS.items():
        times = []
        for _ in range(5):
            started = time.monotonic()
            rows = index.query(sql)
            times.append(time.monotonic() - started)
            assert rows
        asking[name] = round(1e3 * statistics.median(times), 1)
    index.close()
    measurements = count * PER_RUN
    ledger_bytes = sum(path.stat().st_size for path in (folder / "ledger").rglob("*") if path.is_file())
    index_bytes = (folder / "flopwatch.duckdb").stat().st_size
    return {
        "machines": machines,
        "days": days_done,
        "runs": count,
        "measurements": measurements,
        "run_file_bytes": round(sent_bytes / count),
        "accepted_runs_per_s": round(count / accepting_s, 1),
        "indexed_runs_per_s": round(count / indexing_s, 1),
        # accepting, indexing and publishing together, on one processor; other programs move this less than the clock
        "cpu_s_per_run": round(cpu_s / count, 3),
        "ledger_bytes_per_measurement": round(ledger_bytes / measurements),
        "index_bytes_per_measurement": round(index_bytes / measurements),
        "publishing_s_last": round(publishing_s[-1], 2),
        "asking_ms": asking,
        "resident_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "elapsed_s": round(time.monotonic() - begin, 1),
    }


def main() -> None:
    """Read the options, simulate in a folder that is removed afterwards, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--limit", type=float, default=480.0, help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleet") as folder:
        print(json.dumps(simulate(Path(folder), options.machines, options.days, options.limit), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
