"""Two dashboards with an index each follow one ledger in PostgreSQL."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from data import entries
from data.index import Index, record_in_ledger
from data.ledger import Ledger, open_ledger
from tests.app.builder import Plan, standard_cells, write_run
from tests.data.postgres_server import PostgresServer, find_binaries
from tests.data.views import everything

ROOT = Path(__file__).parents[2]


def _until(reached: Callable[[], bool], seconds: float) -> float:
    """Wait until something is so, and return how long that took."""
    started = time.monotonic()
    while not reached():
        assert time.monotonic() - started < seconds
        time.sleep(0.05)
    return time.monotonic() - started


class Board:
    """A dashboard in a process and a home of its own."""

    def __init__(self, home: Path, ledger: str) -> None:
        self.home, self.ledger = home, ledger
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        options = ["--server.headless=true", f"--server.port={port}", "--browser.gatherUsageStats=false"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app/main.py", *options],
            cwd=ROOT,
            env={**os.environ, "FLOPWATCH_HOME": str(home), "FLOPWATCH_LEDGER": ledger},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def health(self) -> dict[str, Any]:
        """Return what it says of itself; empty while it does not answer."""
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"{self.address}/api/v1/health", timeout=5)
            return dict(answer.json()) if answer.status_code == 200 else {}
        return {}

    def shown(self) -> dict[str, list[str]]:
        """Return all rows of all views in the newest copy that it has published."""
        with Index.open(self.home / "flopwatch.duckdb", open_ledger(self.ledger)) as index:
            assert not index.owned
            return everything(index)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def address() -> Iterator[str]:
    """Return an empty database of a PostgreSQL server."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server.create_database("boards")
    finally:
        server.remove()


def test_what_reaches_one_dashboard_is_soon_in_both(tmp_path: Path, address: str) -> None:
    """Runs recorded anywhere, and a withdrawal, are in both within seconds, and every view is the same."""
    ledger: Ledger = open_ledger(address)
    boards = [Board(tmp_path / name, address) for name in ("one", "two")]
    try:
        for board in boards:
            _until(lambda board=board: board.health().get("index") == "owner", 60)  # type: ignore[misc]
        runs = []
        for number in range(2):
            before = [board.health()["generation"] for board in boards]
            path = tmp_path / f"{number}.run.jsonl"
            runs.append(write_run(path, Plan(standard_cells())))
            record_in_ledger(path, ledger)
            for board, old in zip(boards, before, strict=True):
                _until(lambda board=board, old=old: board.health()["generation"] != old, 15)  # type: ignore[misc]
        _until(lambda: all(len(board.shown()["runs"]) == 2 for board in boards), 15)
        assert boards[0].shown() == boards[1].shown()
        ledger.append(*entries.encode(entries.Withdrawal(run=runs[0], reason="the fan had stopped")))
        _until(lambda: all(len(board.shown()["runs"]) == 1 for board in boards), 15)
        assert boards[0].shown() == boards[1].shown()
    finally:
        for board in boards:
            board.close()
        ledger.close()
