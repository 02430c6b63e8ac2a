"""Twenty people click through the pages for two minutes while results arrive: no error, and memory stays flat."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.app.builder import Plan, standard_cells
from tests.app.test_browser import EVERY_PAGE, Visit, chromium, free_port, record, serve

__all__ = ["chromium"]

pytestmark = [pytest.mark.soak, pytest.mark.browser]

PEOPLE, SECONDS, UPLOAD_EVERY_S = 20, 120.0, 5.0


def test_twenty_people_for_two_minutes(
    chromium: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each opens page after page; every page is drawn, nothing is red, and the last 30 s need no more memory."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path))
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    record(tmp_path, Plan(standard_cells(), started=begin))
    port = free_port()
    server = serve(tmp_path, port)
    try:
        visits = [Visit(chromium, f"http://127.0.0.1:{port}") for _ in range(PEOPLE)]
        paths = list(EVERY_PAGE)
        process = psutil.Process(server.pid)
        seconds: list[float] = []
        resident: list[tuple[float, int]] = []
        started = time.monotonic()
        uploaded, turn = 0, 0
        while (elapsed := time.monotonic() - started) < SECONDS:
            if elapsed / UPLOAD_EVERY_S > uploaded:
                uploaded += 1
                record(tmp_path, Plan(standard_cells(), started=begin + timedelta(hours=uploaded)))
            visit, path = visits[turn % PEOPLE], paths[(turn // PEOPLE + turn) % len(paths)]
            turn += 1
            asked = time.monotonic()
            visit.page.goto(visit.address + path)
            visit.page.wait_for_selector(EVERY_PAGE[path])
            seconds.append(time.monotonic() - asked)
            resident.append((time.monotonic() - started, process.memory_info().rss))
            assert not visit.page.locator("[data-testid=stException]").count(), path
        for visit in visits:
            visit.close()
        early = [size for at, size in resident if SECONDS / 2 <= at < 3 * SECONDS / 4]
        late = [size for at, size in resident if at >= 3 * SECONDS / 4]
        p95 = sorted(seconds)[int(0.95 * len(seconds))]
        print(f"\n{turn} pages, {uploaded} uploads; drawn after {statistics.median(seconds):.2f} s, p95 {p95:.2f} s; "  # noqa: T201
              f"memory {max(early) / 2**20:.0f} then {max(late) / 2**20:.0f} MiB")  # fmt: skip
        assert max(late) <= 1.15 * max(early)
    finally:
        server.terminate()
        server.wait(timeout=60)
