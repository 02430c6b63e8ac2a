"""The real server in a real Chromium: what people see is what was measured, and nothing leaves the machine."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import app
from app import colours
from data.index import record_in_ledger
from data.words import Status
from tests.app.builder import MACHINES, Cell, Plan, standard_cells, write_run

pytestmark = pytest.mark.browser

ROOT = Path(app.__file__).parent.parent
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
DRAWN = ".js-plotly-plot .bars path"
WAIT_MS = 60_000


def needed(condition: object, what: str) -> None:
    """Skip where something is missing, but fail on the machine that has to have it."""
    if not condition:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def record(home: Path, plan: Plan) -> str:
    """Append a run to the ledger of ``home``, as another process would."""
    os.environ["FLOPWATCH_HOME"] = str(home)
    path = home / "runs" / f"{time.time_ns()}.run.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    run = write_run(path, plan)
    record_in_ledger(path)
    return run


def serve(home: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers."""
    environment = {**os.environ, "FLOPWATCH_HOME": str(home)}
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "app" / "main.py"),
        "--server.port",
        str(port),
    ]
    log = (home / "server.log").open("wb")
    server = subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log)
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=5):
                return server
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.25)
    server.kill()
    pytest.fail((home / "server.log").read_text())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running Chromium."""
    needed(CHROMIUM, "no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with the runs of three machines; its address and its home."""
    home = tmp_path_factory.mktemp("board")
    kept = os.environ.get("FLOPWATCH_HOME")
    now = datetime.now(UTC)
    record(home, Plan(standard_cells(2.1), machine=MACHINES["borealis"], started=now - timedelta(days=12)))
    record(home, Plan(standard_cells(1.4), machine=MACHINES["cirrus"], started=now - timedelta(days=2)))
    record(home, Plan(standard_cells(0.94), started=now - timedelta(hours=30)))
    record(home, Plan(standard_cells(), started=now - timedelta(hours=3)))
    port = free_port()
    server = serve(home, port)
    yield f"http://127.0.0.1:{port}", home
    server.terminate()
    server.wait(timeout=30)
    os.environ.pop("FLOPWATCH_HOME") if kept is None else os.environ.update(FLOPWATCH_HOME=kept)


class Visit:
    """One page in the browser, and what went wrong while it was open."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        """Open a fresh context, so that nothing is remembered from another visit."""
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.address, self.trouble = address, list[str]()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        # Opened at /throughput, Streamlit's page first looks for its server there, and then where it is.
        looking = message.location.get("url", "").endswith(("/_stcore/health", "/_stcore/host-config"))
        if message.type == "error" and not looking:
            self.trouble.append(f"console: {message.text} {message.location}")

    def _asked(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.trouble.append(f"request to {request.url}")

    def open(self, path: str, shown: str = DRAWN) -> "Visit":
        """Open a path and wait until ``shown`` is there."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector(shown)
        self.page.wait_for_timeout(700)
        return self

    def charts(self) -> list[dict[str, Any]]:
        """Return data and layout of every chart as Plotly holds them, with the number of bars in its SVG."""
        found: list[dict[str, Any]] = self.page.evaluate(
            """() => [...document.querySelectorAll('.js-plotly-plot')].map(gd => ({
                bars: [...gd.querySelectorAll('.bars .point > path')].filter(p => p.getBBox().height > 0.5).length,
                background: getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor,
                yTitle: gd.layout.yaxis.title && gd.layout.yaxis.title.text, yType: gd.layout.yaxis.type,
                plus: gd.layout.xaxis.title && gd.layout.xaxis.title.text,
                paper: gd.layout.paper_bgcolor,
                traces: gd.data.map(t => ({type: t.type, name: t.name, x: t.x, y: [...(t.y || [])],
                    color: t.marker && t.marker.color, hover: t.hovertext, whiskers: t.error_y && t.error_y.color})),
            }))"""
        )
        return found

    def query(self) -> dict[str, list[str]]:
        """Return what the address says."""
        return parse_qs(urlsplit(self.page.url).query)

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page where somebody asked for pictures."""
        folder = os.environ.get("FLOPWATCH_PICTURES")
        if folder:
            size = self.page.viewport_size
            height = self.page.evaluate(
                "() => document.querySelector('[data-testid=stMain]').scrollHeight + 80"
            )
            self.page.set_viewport_size({"width": size["width"], "height": min(height, 8000)})
            self.page.wait_for_timeout(1200)
            self.page.screenshot(path=Path(folder) / f"{name}.png")
            self.page.set_viewport_size(size)

    def close(self) -> None:
        """End the visit; nothing may have gone wrong, and nobody else may have been asked."""
        self.context.close()
        assert not self.trouble, "\n".join(self.trouble)


def wanted(cells: list[Cell], kernel: str) -> dict[str, dict[str, float]]:
    """Return the rates that the chart of a kernel has to show: by series, by case."""
    series: dict[str, dict[str, float]] = {}
    for cell in cells:
        if cell.kernel == kernel and cell.status is Status.OK:
            shape = cell.case.partition("/")[2]
            series.setdefault(f"{cell.backend} · {cell.variant}", {})[shape] = cell.rate
    return series


def bars(chart: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the traces of bars by name, without the ceilings."""
    found = {trace["name"]: trace for trace in chart["traces"] if trace["type"] == "bar"}
    found.pop("measured ceiling", None)
    return found


def _opaque(colour: str) -> str:
    """Return a colour as #rrggbb: fewer threads are drawn as a lighter shade of the same colour."""
    if not colour.startswith("rgba("):
        return colour
    return "#" + "".join(f"{int(part):02x}" for part in colour[5:].split(",")[:3])


@pytest.mark.parametrize("unit", ["GFLOP/s", "GElement/s", "GB/s"])
def test_throughput_draws_a_bar_for_each_result(chromium: Any, board: tuple[str, Path], unit: str) -> None:
    """Each backend and variant has its bars in its colour, as high as what was measured."""
    kernels = {"GFLOP/s": ["matmul"], "GElement/s": ["relu", "layernorm"], "GB/s": ["save", "load"]}[unit]
    visit = Visit(chromium, board[0]).open(f"/throughput?machine=atlas&unit={unit}")
    charts = visit.charts()
    visit.picture(f"throughput-{unit.split('/')[0]}")
    assert len(charts) == len(kernels)
    for kernel, chart in zip(kernels, charts, strict=True):
        expected, drawn = wanted(standard_cells(), kernel), bars(chart)
        assert set(drawn) == set(expected)
        assert chart["yTitle"] == unit
        for name, rates in expected.items():
            assert dict(zip(drawn[name]["x"], drawn[name]["y"], strict=True)) == pytest.approx(
                rates, rel=1e-4
            )
            assert _opaque(drawn[name]["color"]) == colours.backend(name.split(" · ")[0])
        # One path for each result and one for the ceiling behind it.
        assert chart["bars"] == 2 * sum(len(rates) for rates in expected.values())
    visit.close()


def test_a_wrong_result_is_named_and_has_no_bar(chromium: Any, board: tuple[str, Path]) -> None:
    """The wrong one is a cross with its reason in the chart, and named on the Overview; it has no time anywhere."""
    visit = Visit(chromium, board[0]).open("/throughput?machine=atlas&unit=GFLOP/s")
    (cross,) = (
        trace
        for trace in visit.charts()[0]["traces"]
        if trace["type"] == "scatter" and "naive" in trace["hover"][0]
    )
    assert cross["y"] == [0]
    assert "largest relative error 0.31" in cross["hover"][0]
    assert "numba · naive" in bars(visit.charts()[0])
    assert "512" not in bars(visit.charts()[0])["numba · naive"]["x"]
    visit.open("/", "[data-testid=stMetric]")
    line = visit.page.get_by_text("matmul/512 · numba · naive").locator("xpath=ancestor::p").inner_text()
    assert line.startswith("wrong")
    assert "atlas, borealis, cirrus" in line
    assert not any(unit in line for unit in (" ms", " µs", " ns", "GFLOP/s"))
    visit.close()


def test_links_reopen_exactly_the_view(chromium: Any, board: tuple[str, Path]) -> None:
    """What is chosen is in the address, and the address opens the same view for somebody else."""
    visit = Visit(chromium, board[0]).open("/throughput")
    visit.page.wait_for_url("**machine=atlas**")
    assert visit.query() == {"machine": ["atlas"], "unit": ["GFLOP/s"]}
    visit.page.get_by_role("radio", name="cirrus").click()
    visit.page.wait_for_url("**machine=cirrus**")
    visit.page.get_by_role("radio", name="log").click()
    visit.page.wait_for_url("**scale=log**")
    visit.page.get_by_role("combobox", name="Backend").click()
    visit.page.get_by_role("option", name="openblas").click()
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_url("**backend=openblas**")
    visit.page.wait_for_function(
        "() => [...document.querySelectorAll('.js-plotly-plot')].map(gd => gd.data.length).join() === '2'"
    )
    seen, address = visit.charts(), visit.page.url.removeprefix(board[0])
    visit.close()

    other = Visit(chromium, board[0]).open(address)
    assert other.charts() == seen
    assert other.query() == {
        "machine": ["cirrus"], "unit": ["GFLOP/s"], "scale": ["log"], "backend": ["openblas"],
    }  # fmt: skip
    assert seen[0]["yType"] == "log"
    assert set(bars(seen[0])) == {"openblas · blas"}
    assert bars(seen[0])["openblas · blas"]["y"] == pytest.approx([214 * 1.4, 461 * 1.4, 518 * 1.4], rel=1e-4)
    other.picture("throughput-log")
    other.close()


def test_pages_keep_their_choices_in_one_visit(chromium: Any, board: tuple[str, Path]) -> None:
    """From page to page and back through the history, the machine stays the one that was chosen."""
    visit = Visit(chromium, board[0]).open("/")
    visit.page.get_by_role("radio", name="borealis").click()
    visit.page.wait_for_url("**machine=borealis**")
    visit.page.get_by_text("All backends and variants on borealis").wait_for()
    visit.page.get_by_role("link", name="Throughput", exact=True).first.click()
    visit.page.wait_for_url("**/throughput?**machine=borealis**")
    visit.page.wait_for_selector(DRAWN)
    for _ in range(3):
        visit.page.go_back()
        visit.page.wait_for_timeout(1500)
        visit.page.get_by_role("radio", name="borealis", checked=True).wait_for()
        assert not visit.page.locator("[data-testid=stException]").count()
    visit.close()


EVERY_PAGE = {
    "/speedups?machine=atlas&kernel=matmul": ".js-plotly-plot",
    "/regressions?machine=atlas": ".js-plotly-plot",
    "/hardware?kernel=matmul": DRAWN,
    "/versions?machine=atlas&kernel=matmul&program=numpy": "[data-testid=stDataFrame]",
    "/serialization?machine=atlas&model=small": DRAWN,
    "/claims?machine=atlas": ".js-plotly-plot",
    "/run": ".js-plotly-plot",
    "/exchange?do=export": "[data-testid=stDownloadButton]",
    "/exchange?do=ask+in+SQL": "[data-testid=stTextArea]",
}


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_page_is_drawn_without_trouble(chromium: Any, board: tuple[str, Path], path: str) -> None:
    """Each page draws in the dark and on a phone, with no error in the console and no request to another host."""
    for name, options in (
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True}),
    ):
        visit = Visit(chromium, board[0], **options).open(path, EVERY_PAGE[path])
        assert not visit.page.locator("[data-testid=stException]").count()
        assert visit.page.evaluate("() => document.scrollingElement.scrollWidth") <= (
            390 if name == "phone" else 1280
        )
        visit.picture(f"{urlsplit(path).path.strip('/')}-{name}")
        visit.close()


def test_a_click_on_a_point_opens_its_run(chromium: Any, board: tuple[str, Path]) -> None:
    """A point of a series is a link to the run that it is from."""
    visit = Visit(chromium, board[0]).open("/regressions?machine=atlas", ".js-plotly-plot .points path")
    visit.page.locator(".js-plotly-plot .points path").first.click(force=True)
    visit.page.wait_for_url("**/run?**measurement=**")
    visit.close()


def test_a_table_is_kept_as_csv(chromium: Any, board: tuple[str, Path]) -> None:
    """The button under a table gives all rows and columns of it."""
    visit = Visit(chromium, board[0]).open("/throughput?machine=atlas&unit=GFLOP/s")
    with visit.page.expect_download() as waiting:
        visit.page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    text = Path(waiting.value.path()).read_text()
    assert text.startswith("measurement_id,run_id,")
    assert "matmul/1024" in text
    visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/throughput?machine=atlas&unit=GFLOP/s"])
def test_pages_follow_the_theme(chromium: Any, board: tuple[str, Path], path: str, scheme: str) -> None:
    """In light and dark the page, the chart and the whiskers have the colours of the theme."""
    visit = Visit(chromium, board[0], color_scheme=scheme).open(path)
    theme = colours.theme(scheme)
    page = "rgb({}, {}, {})".format(*(int(theme.surface[i : i + 2], 16) for i in (1, 3, 5)))
    for chart in visit.charts():
        assert chart["background"] == page
        for trace in bars(chart).values():
            assert trace["whiskers"] in (None, theme.ink)
    visit.picture(f"{urlsplit(path).path.strip('/') or 'overview'}-{scheme}")
    visit.close()


@pytest.mark.parametrize("path", ["/", "/throughput?machine=atlas&unit=GFLOP/s"])
def test_pages_fit_a_phone(chromium: Any, board: tuple[str, Path], path: str) -> None:
    """On a phone nothing is wider than the screen, and the chart is drawn."""
    visit = Visit(chromium, board[0], viewport={"width": 390, "height": 844}, has_touch=True).open(path)
    assert visit.page.evaluate("() => document.scrollingElement.scrollWidth") <= 390
    widths = visit.page.evaluate(
        "() => [...document.querySelectorAll('.js-plotly-plot, [data-testid=stDataFrame]')].map(e => "
        "e.getBoundingClientRect().right)"
    )
    assert widths
    assert max(widths) <= 390
    visit.picture(f"{urlsplit(path).path.strip('/') or 'overview'}-phone")
    visit.close()


def test_charts_have_words_for_those_who_cannot_see_them(chromium: Any, board: tuple[str, Path]) -> None:
    """Every chart has an alternative text that names the fastest results."""
    visit = Visit(chromium, board[0]).open("/throughput?machine=atlas&unit=GFLOP/s")
    described = visit.page.locator("[aria-label*='Bar chart of matmul'], [alt*='Bar chart of matmul']")
    assert described.count() >= 1
    visit.close()


def test_an_open_page_follows_new_results(chromium: Any, board: tuple[str, Path]) -> None:
    """When another process records a run, an open page shows it without being touched."""
    visit = Visit(chromium, board[0]).open("/", "[data-testid=stMetric]")
    assert visit.page.get_by_test_id("stMetric").filter(has_text="Machines").inner_text().split() == [
        "Machines",
        "3",
    ]
    import msgspec

    newcomer = msgspec.structs.replace(MACHINES["atlas"], id="dddddddddddd", name="delphi")
    record(board[1], Plan(standard_cells(), machine=newcomer, started=datetime(2026, 1, 1, tzinfo=UTC)))
    visit.page.get_by_test_id("stMetric").filter(has_text="Machines").get_by_text("4").wait_for()
    visit.close()


def test_an_empty_store_says_what_to_do_and_then_fills(
    chromium: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """The first visitor sees the one command; after the first run the page shows it by itself."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path))
    port = free_port()
    server = serve(tmp_path, port)
    try:
        visit = Visit(chromium, f"http://127.0.0.1:{port}").open("/", "[data-testid=stCode]")
        assert visit.page.get_by_test_id("stCode").inner_text().strip() == "flopwatch run --profile quick"
        visit.picture("empty")
        record(tmp_path, Plan(standard_cells()))
        visit.page.wait_for_selector(DRAWN)
        visit.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=10) as answer:
            assert json.load(answer)["index"] == "owner"
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_the_server_is_not_reachable_from_outside(board: tuple[str, Path]) -> None:
    """The server listens on the loopback interface alone, whatever folder it was started from."""
    port = int(board[0].rpartition(":")[2])
    listening = Path("/proc/net/tcp")
    needed(listening.exists(), "no /proc/net/tcp on this system")
    rows = [line.split() for line in listening.read_text().splitlines()[1:]]
    places = {
        row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port
    }
    assert places == {"0100007F"}
