"""How fast the store takes results in and answers, and how both grow.

Sizes are chosen by FLOPWATCH_BENCH_MEASUREMENTS (with raw samples, default 10,000) and FLOPWATCH_BENCH_SUMMARIES
(summaries only, default 1,000,000).
"""

import hashlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from data.follow import follow
from data.index import Index
from data.ledger import RUN
from data.ledgers.directory import DirectoryLedger
from data.store import Store
from tests.benchmarks.histories import fill_ledger, fill_summaries, run_file

MEASUREMENTS = int(os.environ.get("FLOPWATCH_BENCH_MEASUREMENTS", "10000"))
SUMMARIES = int(os.environ.get("FLOPWATCH_BENCH_SUMMARIES", "1000000"))

#: What pages ask, by view; $series, $run, $machine and $measurement are chosen anew each time.
QUESTIONS = {
    "board, a series": "FROM board WHERE series_id = $series ORDER BY started",
    "board, a run": "FROM board WHERE run_id = $run",
    "board, a measurement": "FROM board WHERE measurement_id = $measurement",
    "board, a case on all machines": "SELECT machine, started, variant, rate FROM board WHERE case_id = $case",
    "board, last month": "SELECT count(*), avg(rate) FROM board WHERE started > "
    "(SELECT max(started) FROM run) - INTERVAL 30 DAY",
    "latest": "FROM latest",
    "latest, a machine": "FROM latest WHERE machine_id = $machine",
    "latest, speedups over a variant": "SELECT a.machine, a.case_id, a.variant, b.time_ns / a.time_ns AS speedup "
    "FROM latest AS a JOIN latest AS b USING (machine_id, case_id, backend, device, threads) WHERE b.variant = 'naive'",
    "problems": "FROM problems",
    "absent": "FROM absent",
    "ceilings": "FROM ceilings WHERE machine_id = $machine",
    "latest_ceilings": "FROM latest_ceilings",
    "runs, newest 100": "FROM runs ORDER BY started DESC LIMIT 100",
    "machines": "FROM machines",
    "environments": "FROM environments",
    "samples, a run": "FROM samples WHERE run_id = $run",
    "notes, a run": "FROM notes WHERE run_id = $run",
    "withdrawn, newest 100": "FROM withdrawn ORDER BY started DESC LIMIT 100",
    "withdrawals": "FROM withdrawals",
    "annotations": "FROM annotations",
    "decisions": "FROM decisions",
    "noise_floors": "FROM noise_floors",
    "change of every series": "SELECT series_id, last(time_ns ORDER BY started) / median(time_ns) AS ratio FROM board "
    "WHERE started > (SELECT max(started) FROM run) - INTERVAL 10 DAY GROUP BY series_id",
}


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _parse_and_hash(files: list[Path]) -> None:
    for file in files:
        content = file.read_bytes()
        hashlib.sha256(content).hexdigest()
        for line in content.splitlines():
            orjson.loads(line)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> DirectoryLedger:
    """A ledger of ``MEASUREMENTS`` measurements, 100 in each run."""
    folder = tmp_path_factory.mktemp("history")
    ledger = DirectoryLedger(folder / "ledger")
    for _ in fill_ledger(ledger, MEASUREMENTS, folder):
        pass
    return ledger


@pytest.mark.parametrize("parallel", [False, True], ids=["a thread reads", "processes read"])
@pytest.mark.parametrize("sampled", ["summaries", "newest samples", "all samples"])
def test_index_against_parsing_and_hashing(
    benchmark: Any,
    history: DirectoryLedger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sampled: str,
    parallel: bool,
) -> None:
    """Make an index anew, without raw samples, with those of the newest runs, and with all."""
    files = sorted(history.root.glob("??/*.jsonl"))
    bare = min(_seconds(lambda: _parse_and_hash(files)) for _ in range(3))
    if sampled != "newest samples":
        monkeypatch.setattr("data.follow.SAMPLED_BYTES", 0 if sampled == "summaries" else 1 << 60)
    paths = iter(tmp_path / f"{number}.duckdb" for number in range(100))

    def index() -> None:
        with Store(next(paths), bulk=True) as store:
            assert follow(store, history, parallel=parallel) == len(files)
            store.checkpoint()

    benchmark.pedantic(index, rounds=3)
    seconds = benchmark.stats.stats.min
    benchmark.extra_info |= {
        "measurements": MEASUREMENTS,
        "microseconds_per_measurement": round(seconds / MEASUREMENTS * 1e6, 1),
        "bare_microseconds_per_measurement": round(bare / MEASUREMENTS * 1e6, 1),
        "share_of_bare_speed": round(bare / seconds, 3),
        "index_bytes_per_measurement": round((tmp_path / "0.duckdb").stat().st_size / MEASUREMENTS),
        "ledger_bytes_per_measurement": round(sum(file.stat().st_size for file in files) / MEASUREMENTS),
    }


def test_one_more_run(benchmark: Any, history: DirectoryLedger, tmp_path: Path) -> None:
    """Take in one more run, and publish the copy that readers see, beside a history."""
    path = tmp_path / "index.duckdb"
    with Store(path, bulk=True) as store:
        follow(store, history)
        store.checkpoint()
    seeds = iter(range(10**6, 2 * 10**6))
    with Index.open(path, history) as index:

        def append() -> None:
            history.append(RUN, run_file(tmp_path / "next.run.jsonl", next(seeds)).read_bytes())
            (tmp_path / "next.run.jsonl").unlink()

        benchmark.pedantic(index.sync, setup=append, rounds=10)
    benchmark.extra_info["index_bytes"] = path.stat().st_size


@pytest.fixture(scope="module")
def summaries(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """An index of ``SUMMARIES`` measurements whose raw samples are left in the ledger."""
    path = tmp_path_factory.mktemp("summaries") / "index.duckdb"
    store = Store(path)
    seconds = _seconds(lambda: fill_summaries(store, SUMMARIES))
    print(f"\n{SUMMARIES} summaries: {seconds:.1f} s, {path.stat().st_size / SUMMARIES:.0f} bytes each")  # noqa: T201
    return store


@pytest.mark.parametrize("question", QUESTIONS)
def test_question(benchmark: Any, summaries: Store, question: str) -> None:
    """Answer what a page asks of a long history."""
    sql = QUESTIONS[question]
    chosen = summaries.query(
        "SELECT series_id AS series, run_id AS run, machine_id AS machine, measurement_id AS measurement, "
        "case_id AS 'case' FROM board USING SAMPLE 30"
    )
    names = [name for name in chosen[0] if f"${name}" in sql]
    turn = iter(range(10**6))

    def ask() -> list[dict[str, Any]]:
        row = chosen[next(turn) % len(chosen)]
        return summaries.query(sql, {name: row[name] for name in names} or None)

    benchmark.pedantic(ask, rounds=20, warmup_rounds=1)
    times = sorted(benchmark.stats.stats.data)
    benchmark.extra_info |= {
        "rows": len(ask()),
        "median_ms": round(statistics.median(times) * 1e3, 1),
        "p95_ms": round(times[int(0.95 * len(times))] * 1e3, 1),
    }
