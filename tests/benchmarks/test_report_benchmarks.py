"""How long the report of a large store takes, and where the time goes.

The size is chosen by FLOPWATCH_BENCH_SUMMARIES (default 1,000,000 measurements of 50 machines).
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def opened(folder: Path) -> Iterator[Index]:
    """Lend an index of so many measurements; raw samples are nowhere."""
    with Store(folder / "flopwatch.duckdb") as store:
        fill_summaries(store, SUMMARIES)
    with Index.open(folder / "flopwatch.duckdb", DirectoryLedger(folder / "ledger")) as index:
        yield index


@pytest.mark.parametrize("machines", [(), ("machine-7",)], ids=["all machines", "one machine"])
def test_report(
    benchmark: Any, tmp_path: Path, machines: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Build and write a report; queries, drawing, the rest of building, and writing are told apart."""
    clocks = {name: Clock() for name in ("queries", "drawing", "building", "writing")}
    monkeypatch.setattr(Index, "query", clocks["queries"].around(Index.query))
    monkeypatch.setattr(charts, "_chart", clocks["drawing"].around(charts._chart))
    builder, writer = clocks["building"].around(build), clocks["writing"].around(write)
    with opened(tmp_path) as index:

        def report() -> None:
            made = builder(index, Selection(machines=machines))
            writer(made, tmp_path / "report.html", "html")

        benchmark.pedantic(report, rounds=1)
    clocks["building"].seconds -= clocks["queries"].seconds + clocks["drawing"].seconds
    whole = sum(clock.seconds for clock in clocks.values())
    shares = {f"{name}_share": round(clock.seconds / whole, 3) for name, clock in clocks.items()}
    benchmark.extra_info |= shares | {"seconds": round(whole, 3), "measurements": SUMMARIES}
    benchmark.extra_info["bytes"] = (tmp_path / "report.html").stat().st_size
