"""Twenty people click through the pages for two minutes while results arrive: no error, and memory stays flat."""

import asyncio
import random
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.app.builder import Plan, standard_cells
from tests.app.test_browser import ARGUMENTS, CHROMIUM, free_port, needed, record, serve

pytestmark = [pytest.mark.soak, pytest.mark.browser]

PEOPLE, SECONDS, UPLOAD_EVERY_S = 20, 120.0, 5.0
#: A person looks at a page for about so long before the next click.
LOOKS_S = 6.0
CHART, TABLE = ".js-plotly-plot", "[data-testid=stDataFrame]"
PAGES = {
    "Overview": "[data-testid=stMetric]",
    **dict.fromkeys(
        ("Throughput", "Speedups", "Regressions", "Hardware", "Serialization", "Claims", "Run"), CHART
    ),
    "Versions": TABLE,
    "Upload and export": "[data-testid=stFileUploader]",
}
_READY = """([name, shown]) => document.querySelector('h1')?.innerText === name && document.querySelector(shown)
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"""
BEGIN = datetime(2026, 10, 1, tzinfo=UTC)


@dataclass
class Seen:
    """What happened: seconds from each click to the whole page, what went wrong, and memory over time."""

    until: float = 0.0
    seconds: list[float] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    resident: list[tuple[float, int]] = field(default_factory=list)
    uploads: int = 0


async def _arrival(browser: Any, address: str, seen: Seen) -> Any:
    """Open the dashboard for one more person; loading it takes the browser of the test longer than the server."""
    page = await (await browser.new_context(viewport={"width": 1280, "height": 900})).new_page()
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: seen.trouble.append(str(error)))
    await page.goto(address)
    await page.wait_for_function(_READY, arg=["Overview", PAGES["Overview"]])
    return page


async def _person(page: Any, number: int, seen: Seen) -> None:
    """Click from page to page until the time is over."""
    random_ = random.Random(number)
    while time.monotonic() < seen.until:
        await asyncio.sleep(random_.uniform(0.5, 1.5) * LOOKS_S)
        name = random_.choice(list(PAGES))
        asked = time.monotonic()
        await page.get_by_role("link", name=name, exact=True).first.click()
        await page.wait_for_function(_READY, arg=[name, PAGES[name]])
        seen.seconds.append(time.monotonic() - asked)
        if await page.locator("[data-testid=stException], [data-testid=stAlertContentWarning]").count():
            seen.trouble.append(f"{name}: {await page.locator('[data-testid=stMain]').inner_text()}")


async def _uploads(home: Path, seen: Seen) -> None:
    while time.monotonic() < seen.until:
        seen.uploads += 1
        plan = Plan(standard_cells(), started=BEGIN + timedelta(hours=seen.uploads))
        await asyncio.to_thread(record, home, plan)
        await asyncio.sleep(UPLOAD_EVERY_S)


async def _memory(process: psutil.Process, seen: Seen) -> None:
    while time.monotonic() < seen.until:
        seen.resident.append((seen.until - time.monotonic(), process.memory_info().rss))
        await asyncio.sleep(1.0)


async def _all_at_once(home: Path, port: int, server: int, seen: Seen) -> None:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        pages = [await _arrival(browser, f"http://127.0.0.1:{port}", seen) for _ in range(PEOPLE)]
        seen.until = time.monotonic() + SECONDS
        people = [_person(page, number, seen) for number, page in enumerate(pages)]
        await asyncio.gather(_uploads(home, seen), _memory(psutil.Process(server), seen), *people)
        await browser.close()


def test_twenty_people_for_two_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each clicks on page after page; every page is drawn, nothing is red, and the end needs no more memory."""
    needed(CHROMIUM, "no Chromium: apt-get install chromium")
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path))
    record(tmp_path, Plan(standard_cells(), started=BEGIN))
    port = free_port()
    server = serve(tmp_path, port)
    try:
        seen = Seen()
        asyncio.run(_all_at_once(tmp_path, port, server.pid, seen))
        spent = sum(psutil.Process(server.pid).cpu_times()[:2])
    finally:
        server.terminate()
        server.wait(timeout=60)
    early = max(size for left, size in seen.resident if SECONDS / 4 < left <= SECONDS / 2)
    late = max(size for left, size in seen.resident if left <= SECONDS / 4)
    p95 = sorted(seen.seconds)[int(0.95 * len(seen.seconds))]
    print(f"\n{len(seen.seconds)} pages, {seen.uploads} uploads; whole after {statistics.median(seen.seconds):.2f} s, "  # noqa: T201
          f"p95 {p95:.2f} s; memory {early / 2**20:.0f} then {late / 2**20:.0f} MiB; server {spent:.0f} s busy; "
          f"{len(seen.trouble)} errors")  # fmt: skip
    assert not seen.trouble, seen.trouble[:3]
    assert len(seen.seconds) >= PEOPLE
    assert late <= 1.15 * early
