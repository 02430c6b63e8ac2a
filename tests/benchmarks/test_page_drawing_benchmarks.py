"""When the first chart of each page is drawn in Chromium, beside an empty page and beside a chart of one point.

All three are loaded in turn from servers on this machine, with the browser's cache warm.  FLOPWATCH_BENCH_PAGES and
FLOPWATCH_BENCH_STORES are those of the page benchmarks, FLOPWATCH_BENCH_LOADS is how often each is loaded.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.app.test_browser import Visit, chromium, free_port, serve
from tests.benchmarks.page_homes import home
from tests.benchmarks.test_page_benchmarks import PAGES, SIZES

__all__ = ["chromium"]

pytestmark = pytest.mark.browser

LOADS = int(os.environ.get("FLOPWATCH_BENCH_LOADS", "5"))
#: The invented histories hold nothing that a claim is about.
CHARTS = [page for page in PAGES if page not in ("exchange", "claims")]
_TITLE = "() => document.querySelector('h1')"
#: Plotly has calculated the first chart and put it on the screen; answers with the type of its first trace.
_CHART = """() => {
    const chart = document.querySelector('.js-plotly-plot');
    const drawn = chart && chart.calcdata && chart.querySelector('.cartesianlayer .subplot');
    return drawn ? chart.data[0].type : false;
}"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the reference pages."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("reference_pages.py"))]
    options = ["--server.headless=true", "--server.fileWatcherType=none", "--browser.gatherUsageStats=false"]
    log = (tmp_path_factory.mktemp("reference") / "log").open("wb")
    server = subprocess.Popen([*command, f"--server.port={port}", *options], stdout=log, stderr=log)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size:,}")
def board(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """The address of the board of a home with so many measurements."""
    kept = os.environ.get("FLOPWATCH_HOME")
    folder = home(request.param, tmp_path_factory.getbasetemp())
    port = free_port()
    server = serve(folder, port)
    yield request.param, f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=60)
    os.environ.pop("FLOPWATCH_HOME") if kept is None else os.environ.update(FLOPWATCH_HOME=kept)


class Tab:
    """One page of the browser, and how many bytes came over its connection to the script."""

    def __init__(self, browser: Any) -> None:
        self.page = Visit(browser, "").page
        self.bytes = 0
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._received))

    def _received(self, frame: Any) -> None:
        self.bytes += len(frame)

    def load(self, address: str, shown: str) -> tuple[float, Any]:
        """Load an address; return after how many seconds ``shown`` was there, and what it answered."""
        self.bytes = 0
        began = time.perf_counter()
        self.page.goto(address, wait_until="commit")
        answer = self.page.wait_for_function(shown).json_value()
        return time.perf_counter() - began, answer


def _address(page: str) -> str:
    path = "" if page == "overview" else page
    return f"/{path}?" + "&".join(f"{name}={value}" for name, value in PAGES[page].items())


@pytest.mark.parametrize("page", CHARTS)
def test_drawing(benchmark: Any, chromium: Any, reference: str, board: tuple[int, str], page: str) -> None:
    """Load the page, an empty one and one with a point of the same trace type in turn."""
    size, address = board
    tab = Tab(chromium)
    _, kind = tab.load(address + _address(page), _CHART)
    places = {
        "page": (address + _address(page), _CHART),
        "empty": (reference, _TITLE),
        "point": (f"{reference}/?type={kind}", _CHART),
    }
    for place in places.values():
        tab.load(*place)
    seconds: dict[str, list[float]] = {name: [] for name in places}
    sent = 0

    def turn() -> None:
        nonlocal sent
        for name, place in places.items():
            seconds[name].append(tab.load(*place)[0])
            if name == "page":
                tab.page.wait_for_timeout(300)
                sent = tab.bytes

    benchmark.pedantic(turn, rounds=LOADS)
    tab.page.context.close()
    typical = {name: median(values) for name, values in seconds.items()}
    benchmark.extra_info |= {
        "page": page,
        "measurements": size,
        "trace": kind,
        **{f"{name}_drawn_ms": round(1e3 * value) for name, value in typical.items()},
        "over_empty": round(typical["page"] / typical["empty"], 2),
        "over_point": round(
            median(mine / other for mine, other in zip(seconds["page"], seconds["point"], strict=True)), 2
        ),
        "bytes_sent": sent,
    }
