"""How long the report of a large store takes, and where the time goes.

The size is chosen by FLOPWATCH_BENCH_SUMMARIES (default 1,000,000 measurements of 50 machines).  With
FLOPWATCH_BENCH_FOLDER the store is made there once and found again.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data.index import Index
from data.ledgers.directory import DirectoryLedger
from data.report import Selection, build, charts, write
from data.store import Store
from tests.benchmarks.histories import fill_summaries

SUMMARIES = int(os.environ.get("FLOPWATCH_BENCH_SUMMARIES", "1000000"))


class Clock:
    """Sums up the time that calls of a function take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Lend an index of so many measurements; raw samples are nowhere."""
    kept = os.environ.get("FLOPWATCH_BENCH_FOLDER")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("report")
    place = folder / f"{SUMMARIES}.duckdb"
    if not place.exists():
        with Store(place) as store:
            fill_summaries(store, SUMMARIES)
    with Index.open(place, DirectoryLedger(folder / "ledger")) as index:
        yield index


@pytest.mark.parametrize("machines", [(), ("machine-7",)], ids=["all machines", "one machine"])
def test_report(
    benchmark: Any, index: Index, tmp_path: Path, machines: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Build and write a report; queries, drawing, the rest of building, and writing are told apart."""
    clocks = {name: Clock() for name in ("queries", "drawing", "building", "writing")}
    monkeypatch.setattr(Index, "query", clocks["queries"].around(Index.query))
    monkeypatch.setattr(charts, "_chart", clocks["drawing"].around(charts._chart))
    builder, writer = clocks["building"].around(build), clocks["writing"].around(write)

    def report() -> None:
        made = builder(index, Selection(machines=machines))
        writer(made, tmp_path / "report.html", "html")

    benchmark.pedantic(report, rounds=1)
    clocks["building"].seconds -= clocks["queries"].seconds + clocks["drawing"].seconds
    whole = sum(clock.seconds for clock in clocks.values())
    shares = {f"{name}_share": round(clock.seconds / whole, 3) for name, clock in clocks.items()}
    benchmark.extra_info |= shares | {"seconds": round(whole, 3), "measurements": SUMMARIES}
    benchmark.extra_info["bytes"] = (tmp_path / "report.html").stat().st_size
