"""What each page costs the server over a long history: processor time of its script, and the questions behind it.

FLOPWATCH_BENCH_PAGES chooses the sizes (default 10,000 and 1,000,000 measurements; 10,000,000 needs 5 GB of disk), and
FLOPWATCH_BENCH_STORES a folder that keeps the histories for the next time.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import app
from app import reading
from data.index import Index
from tests.benchmarks.page_homes import home

SIZES = [int(size) for size in os.environ.get("FLOPWATCH_BENCH_PAGES", "10000,1000000").split(",")]
DASHBOARD = Path(app.__file__).with_name("dashboard.py")
PAGES = {
    "overview": {"machine": "machine-0"},
    "throughput": {"machine": "machine-0", "unit": "GFLOP/s"},
    "speedups": {"machine": "machine-0", "kernel": "matmul"},
    "regressions": {"machine": "machine-0"},
    "hardware": {"kernel": "matmul"},
    "versions": {"machine": "machine-0", "kernel": "matmul", "program": "numpy"},
    "serialization": {"machine": "machine-0", "model": "5", "view": "save"},
    "claims": {"machine": "machine-0"},
    "run": {},
    "exchange": {"do": "export"},
}


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size:,}")
def history(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A home whose index holds so many measurements of 50 machines."""
    kept = os.environ.get("FLOPWATCH_HOME")
    home(request.param, tmp_path_factory.getbasetemp())
    reading.store(600.0)
    yield request.param
    reading.close()
    os.environ.pop("FLOPWATCH_HOME") if kept is None else os.environ.update(FLOPWATCH_HOME=kept)


class Clock:
    """Counts the questions that reach the index, and the time that they take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: list[float] = []
        query = Index.query

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return query(*arguments)
            finally:
                self.seconds.append(time.perf_counter() - began)

        monkeypatch.setattr(Index, "query", timed)


def _opened(page: str) -> AppTest:
    test = AppTest.from_file(str(DASHBOARD), default_timeout=600)
    for name, value in PAGES[page].items():
        test.query_params[name] = value
    test.switch_page(f"views/{page}.py").run()
    assert not test.exception, test.exception
    return test


def _processor_s(test: AppTest) -> float:
    began = time.process_time()
    test.run()
    assert not test.exception, test.exception
    return time.process_time() - began


@pytest.mark.parametrize("page", PAGES)
def test_script(benchmark: Any, history: int, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the script of a page: warm, and after an upload of another machine and of this one; in processor time."""
    test = _opened(page)
    clock = Clock(monkeypatch)
    after: dict[str, float] = {}
    for whose, answers in (
        ("another", [reading._answers]),
        ("its_own", [reading._answers, reading._lasting]),
    ):
        for held in answers:
            held.forget()
        clock.seconds.clear()
        after[whose] = _processor_s(test)
    asked = list(clock.seconds)
    warm: list[float] = []
    benchmark.pedantic(lambda: warm.append(_processor_s(test)), rounds=5, warmup_rounds=1)
    benchmark.extra_info |= {
        "page": page,
        "measurements": history,
        "warm_cpu_ms": round(1e3 * sorted(warm)[len(warm) // 2]),
        **{f"after_{whose}_upload_cpu_ms": round(1e3 * seconds) for whose, seconds in after.items()},
        "questions": len(asked),
        "questions_ms": round(1e3 * sum(asked)),
        "slowest_question_ms": round(1e3 * max(asked, default=0.0)),
        "charts": len(test.get("plotly_chart")),
    }
