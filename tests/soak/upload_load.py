"""Load on the way in: ``python -m tests.soak.upload_load [--clients 50] [--seconds 120] [--pages 2] [--file RUN]``.

Many clients send run files, each file another run, while pages are open in a browser: as fast as they are answered, or
with ``--rate`` so many a second together.
Prints uploads a second, their latencies, what was lost or held twice (nothing), the memory of the server over time and
how far the index was behind, and the processor time that an upload costs the server, which others on the machine do not
change much.  Clients, browser and server share the processors of this machine.
"""

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import json
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from data.index import Index
from data.ledger import open_ledger
from data.records import uuid7
from tests.app.board_server import BoardServer
from tests.data.run_files import write_run


class Files:
    """Run files that differ in their id: only the first and the last line are packed anew."""

    def __init__(self, path: Path) -> None:
        first, *middle, last = path.read_bytes().splitlines(keepends=True)
        self._first, self._last = json.loads(first), json.loads(last)
        self._middle = b"".join(middle)
        self._packed = gzip.compress(self._middle, 6)
        self.bytes = path.stat().st_size

    def make(self) -> tuple[str, bytes]:
        """Return the id of a new run and its packed file."""
        run_id = uuid7()
        first = json.dumps(self._first | {"id": run_id}, separators=(",", ":")).encode() + b"\n"
        digest = hashlib.sha256(first)
        digest.update(self._middle)
        last = json.dumps(self._last | {"sha256": digest.hexdigest()}, separators=(",", ":")).encode() + b"\n"
        return run_id, gzip.compress(first, 1) + self._packed + gzip.compress(last, 1)


class Load:
    """What was sent and what was seen."""

    def __init__(self, board: BoardServer, files: Files, seconds: float, pause_s: float) -> None:
        self.board, self.files, self.pause_s = board, files, pause_s
        self.until = time.monotonic() + seconds
        self.latencies_s: list[float] = []
        self.sent: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.lags_s: list[float] = []
        self.memory_mib: list[float] = []

    async def client(self, token: str) -> None:
        """Send one file after the other until the time is over; each until it has a receipt."""
        headers = {"Authorization": f"Bearer {token}", "Content-Encoding": "gzip"}
        async with httpx.AsyncClient(base_url=self.board.url, headers=headers, timeout=60) as http:
            due = time.monotonic() + random.uniform(0, self.pause_s)
            while time.monotonic() < self.until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due += self.pause_s
                run_id, body = self.files.make()
                status = 0
                while status not in (200, 201):
                    started = time.monotonic()
                    try:
                        status = (await http.post("/api/v1/runs", content=body)).status_code
                    except httpx.TransportError as error:
                        status = 0
                        self.answers[type(error).__name__] += 1
                        continue
                    self.answers[str(status)] += 1
                    self.latencies_s.append(time.monotonic() - started)
                self.sent.add(run_id)

    async def watch(self, token: str) -> None:
        """Ask each second how far the index is, and look at the memory of the server."""
        assert self.board.process is not None
        server = psutil.Process(self.board.process.pid)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.board.url, headers=headers, timeout=60) as http:
            while time.monotonic() < self.until:
                self.memory_mib.append(server.memory_info().rss / 2**20)
                answer = await http.get("/api/v1/machines")
                now = datetime.now(UTC)
                for machine in answer.json().get("machines", []):
                    newest = datetime.fromisoformat(machine["last_upload"])
                    self.lags_s.append((now - newest).total_seconds())
                await asyncio.sleep(1.0)


@contextlib.contextmanager
def pages(board: BoardServer, count: int) -> Iterator[None]:
    """Open pages of the board in a browser in a process of its own."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not count or not chromium:
        yield
        return
    import subprocess

    addresses = [f"{board.url}/{name}" for name in ("", "throughput", "speedups", "run")[:count]]
    with tempfile.TemporaryDirectory() as profile:
        browser = subprocess.Popen(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             "--remote-debugging-port=0", *addresses],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            browser.kill()
            browser.wait()


def _share(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(
    path: Path, clients: int, seconds: float, page_count: int, rate_per_s: float = 0.0
) -> dict[str, Any]:
    """Run the load and return what came of it."""
    files = Files(path)
    with tempfile.TemporaryDirectory() as home:
        with BoardServer(Path(home), FLOPWATCH_REQUESTS_PER_MINUTE="1000000") as board:
            tokens = [board.token(f"client {number}") for number in range(clients)]
            watcher = board.token("watcher")
            with pages(board, page_count):
                if page_count:
                    time.sleep(10)  # the pages have loaded
                load = Load(board, files, seconds, clients / rate_per_s if rate_per_s else 0.0)

                async def everybody() -> None:
                    await asyncio.gather(load.watch(watcher), *[load.client(token) for token in tokens])

                assert board.process is not None
                server = psutil.Process(board.process.pid)
                started, before = time.monotonic(), server.cpu_times()
                asyncio.run(everybody())
                elapsed_s, after = time.monotonic() - started, server.cpu_times()
                server_s = after.user + after.system - before.user - before.system
        held, _ = open_ledger(Path(home) / "ledger").follow()
        with Index.open(Path(home) / "flopwatch.duckdb", wait_s=600) as index:
            rows = [row["run_id"] for row in index.query("SELECT run_id FROM run")]
    third = max(1, len(load.memory_mib) // 3)
    return {
        "clients": clients,
        "pages": page_count,
        "file_bytes": files.bytes,
        "seconds": round(elapsed_s, 1),
        "uploads": len(load.sent),
        "rate_wanted_per_s": rate_per_s or None,
        "server_cpu_ms_per_upload": round(1e3 * server_s / max(1, len(load.sent)), 1),
        "uploads_per_s": round(len(load.sent) / elapsed_s, 1),
        **{f"p{share}_ms": round(1e3 * _share(load.latencies_s, share / 100)) for share in (50, 95, 99)},
        "answers": dict(load.answers),
        "lost": len(load.sent - set(rows)),
        "duplicated": len(rows) - len(set(rows)) + len(held) - len({entry.sha256 for entry in held}),
        "ledger_entries": len(held),
        "memory_mib_thirds": [
            round(statistics.median(load.memory_mib[i : i + third])) for i in range(0, third * 3, third)
        ],
        "memory_mib_peak": round(max(load.memory_mib)),
        "index_lag_s_median": round(statistics.median(load.lags_s), 1) if load.lags_s else None,
        "index_lag_s_longest": round(max(load.lags_s), 1) if load.lags_s else None,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--pages", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.0, help="uploads a second of all clients together")
    parser.add_argument("--file", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_file = chosen.file or write_run(Path(folder) / "a.run.jsonl", cells=59, processes=6, samples=20)
        found = measure(run_file, chosen.clients, chosen.seconds, chosen.pages, chosen.rate)
        print(json.dumps(found, indent=1))  # noqa: T201
