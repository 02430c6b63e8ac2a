"""What each page costs the server over a long history: processor time of its script, warm and after an upload.

FLOPWATCH_BENCH_PAGES chooses the sizes (default 10,000 and 1,000,000 measurements; 10,000,000 needs 5 GB of disk).
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
from data import places
from data.store import Store
from tests.benchmarks.histories import fill_summaries

SIZES = [int(size) for size in os.environ.get("FLOPWATCH_BENCH_PAGES", "10000,1000000").split(",")]
DASHBOARD = Path(app.__file__).with_name("dashboard.py")
PAGES = {
    "overview": {"machine": "machine-0"},
    "throughput": {"machine": "machine-0", "unit": "GFLOP/s"},
    "speedups": {"machine": "machine-0", "kernel": "matmul"},
    "regressions": {"machine": "machine-0"},
    "hardware": {"kernel": "matmul"},
    "versions": {"machine": "machine-0", "kernel": "matmul", "program": "numpy"},
    "serialization": {"machine": "machine-0", "model": "0"},
    "claims": {"machine": "machine-0"},
    "run": {},
    "exchange": {"do": "export"},
}


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size:,}")
def history(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A home whose index holds so many measurements of 50 machines."""
    size = request.param
    kept = os.environ.get("FLOPWATCH_HOME")
    os.environ["FLOPWATCH_HOME"] = str(tmp_path_factory.mktemp(f"pages-{size}"))
    with Store(places.database()) as store:
        fill_summaries(store, size)
    reading.store(600.0)
    yield size
    reading.close()
    os.environ.pop("FLOPWATCH_HOME") if kept is None else os.environ.update(FLOPWATCH_HOME=kept)


def _opened(page: str) -> AppTest:
    test = AppTest.from_file(str(DASHBOARD), default_timeout=600)
    for name, value in PAGES[page].items():
        test.query_params[name] = value
    test.switch_page(f"views/{page}.py").run()
    assert not test.exception, test.exception
    return test


@pytest.mark.parametrize("page", PAGES)
def test_script(benchmark: Any, history: int, page: str) -> None:
    """Run the script of a page again and again: in processor time warm, and once with every question asked anew."""
    reading._answers.forget()
    began = time.process_time()
    test = _opened(page)
    after_upload = time.process_time() - began
    spent: list[float] = []

    def again() -> None:
        start = time.process_time()
        test.run()
        spent.append(time.process_time() - start)

    benchmark.pedantic(again, rounds=7, warmup_rounds=1)
    charts = [chart.proto.spec for chart in test.get("plotly_chart")]
    benchmark.extra_info |= {
        "measurements": history,
        "warm_cpu_ms": round(1e3 * sorted(spent)[len(spent) // 2], 1),
        "after_upload_cpu_ms": round(1e3 * after_upload, 1),
        "chart_bytes": sum(map(len, charts)),
    }
