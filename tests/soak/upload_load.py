"""Load on the way in: ``python -m tests.soak.upload_load [--clients 50] [--seconds 120] [--pages 2] [--file RUN]``.

Many clients send run files, each file another run, while pages are open in a browser: as fast as they are answered, or
with ``--rate`` so many a second together.
Prints uploads a second, their latencies, what was lost or held twice (nothing), the memory of the server over time and
how far the index was behind, and the processor time that an upload costs the server, the browser and the clients,
which all share the processors of this machine.
"""

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import json
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from data.index import Index
from data.ledger import open_ledger
from data.records import uuid7
from tests.app.board_server import BoardServer
from tests.data.run_files import write_run

#: So long pages may take to appear.
_LOADING_S = 10.0
#: Files that are prepared for each second of a load without a pace.
_MOST_PER_S = 80


class Upload(NamedTuple):
    """A run file that is ready to be sent: what it has for itself; the middle is shared by all."""

    run_id: str
    begin: bytes
    end: bytes


class Files:
    """Run files that differ in their id: only the first and the last line are packed anew."""

    def __init__(self, path: Path) -> None:
        first, *middle, last = path.read_bytes().splitlines(keepends=True)
        self._first, self._last = json.loads(first), json.loads(last)
        self._middle = b"".join(middle)
        self.packed = gzip.compress(self._middle, 6)
        self.bytes = path.stat().st_size
        self._ready: list[Upload] = []

    def prepare(self, count: int) -> None:
        """Pack so many beforehand: the load shall not share the processors with its own making."""
        self._ready = [self._make() for _ in range(count)]

    def next(self) -> Upload:
        """Return another run."""
        return self._ready.pop() if self._ready else self._make()

    def _make(self) -> Upload:
        run_id = uuid7()
        first = _line(self._first | {"id": run_id})
        digest = hashlib.sha256(first)
        digest.update(self._middle)
        last = _line(self._last | {"sha256": digest.hexdigest()})
        return Upload(run_id, gzip.compress(first, 1), gzip.compress(last, 1))


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


class Connection:
    """One client's connection, kept open.  As bare as HTTP can be: it shares the processors with the server."""

    def __init__(self, board: BoardServer, token: str) -> None:
        self._board, self._token = board, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, *parts: bytes) -> int:
        """Send a packed run file; return the status of the answer.  Raises OSError or EOFError where that is cut."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._board.host, self._board.port)
        reader, writer = self._streams
        head = (
            f"POST /api/v1/runs HTTP/1.1\r\nHost: {self._board.host}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Encoding: gzip\r\nContent-Length: {sum(map(len, parts))}\r\n\r\n"
        )
        try:
            writer.write(b"".join([head.encode(), *parts]))
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", answer)
            await reader.readexactly(int(length[1]) if length else 0)
            return int(answer.split(b" ", 2)[1])
        except (OSError, EOFError):
            self.close()
            raise

    def close(self) -> None:
        """End it; the next upload begins another."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


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
        """Send one file after the other until the time is over; each until it has a receipt.

        A paced file counts from the moment in which it is due, also where the one before holds it up.
        """
        connection = Connection(self.board, token)
        due = time.monotonic() + random.uniform(0, self.pause_s)
        while (begun := max(due, time.monotonic())) < self.until:
            await asyncio.sleep(begun - time.monotonic())
            begun = due if self.pause_s else begun
            due += self.pause_s
            upload = self.files.next()
            status = 0
            while status not in (200, 201):
                try:
                    status = await connection.post(upload.begin, self.files.packed, upload.end)
                    self.answers[str(status)] += 1
                except (OSError, EOFError) as error:
                    self.answers[type(error).__name__] += 1
            self.latencies_s.append(time.monotonic() - begun)
            self.sent.add(upload.run_id)
        connection.close()

    async def watch(self, token: str) -> None:
        """Ask each second how far the index is, and look at the memory of the server."""
        assert self.board.process is not None
        server = psutil.Process(self.board.process.pid)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.board.url, headers=headers, timeout=60) as http:
            while time.monotonic() < self.until:
                family = [server, *server.children(recursive=True)]
                self.memory_mib.append(sum(process.memory_info().rss for process in family) / 2**20)
                answer = await http.get("/api/v1/machines")
                now = datetime.now(UTC)
                for machine in answer.json().get("machines", []):
                    newest = datetime.fromisoformat(machine["last_upload"])
                    self.lags_s.append((now - newest).total_seconds())
                await asyncio.sleep(1.0)


@contextlib.contextmanager
def pages(board: BoardServer, count: int) -> Iterator[list[psutil.Process]]:
    """Open pages of the board, each in a browser of its own; raises RuntimeError where one does not stay open."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not count:
        yield []
        return
    if not chromium:
        raise RuntimeError("there is no Chromium that could open pages; choose --pages 0")
    addresses = [f"{board.url}/{name}" for name in ("", "throughput", "speedups", "run")[:count]]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profiles:
        browsers = [
            psutil.Popen(
                [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
                 f"--user-data-dir={profiles}/{number}", address],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for number, address in enumerate(addresses)
        ]  # fmt: skip
        try:
            time.sleep(_LOADING_S)
            if any(browser.poll() is not None for browser in browsers):
                raise RuntimeError("a browser ended at once; start it by hand to see why")
            yield browsers
        finally:
            for browser in browsers:
                browser.kill()
                browser.wait()


def _share(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def _spent_s(*processes: psutil.Process) -> float:
    """Return the processor time of processes and of all that they have started, as far as these still run."""
    spent_s = 0.0
    for one in [found for process in processes for found in (process, *process.children(recursive=True))]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            spent_s += times.user + times.system
    return spent_s


def measure(
    path: Path, clients: int, seconds: float, page_count: int, rate_per_s: float = 0.0
) -> dict[str, Any]:
    """Run the load and return what came of it."""
    files = Files(path)
    files.prepare(round(seconds * (rate_per_s or _MOST_PER_S)) + clients)
    with tempfile.TemporaryDirectory() as home:
        with BoardServer(Path(home), FLOPWATCH_REQUESTS_PER_MINUTE="1000000") as board:
            tokens = [board.token(f"client {number}") for number in range(clients)]
            watcher = board.token("watcher")
            with pages(board, page_count) as browsers:
                load = Load(board, files, seconds, clients / rate_per_s if rate_per_s else 0.0)

                async def everybody() -> None:
                    await asyncio.gather(load.watch(watcher), *[load.client(token) for token in tokens])

                assert board.process is not None
                server = psutil.Process(board.process.pid)
                started, before = (
                    time.monotonic(),
                    (_spent_s(server), _spent_s(*browsers), time.process_time()),
                )
                asyncio.run(everybody())
                elapsed_s = time.monotonic() - started
                after = (_spent_s(server), _spent_s(*browsers), time.process_time())
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
        "processor_ms_per_upload": {
            name: round(1e3 * (late - early) / max(1, len(load.sent)), 1)
            for name, early, late in zip(("server", "browsers", "clients"), before, after, strict=True)
        },
        "uploads_per_s": round(len(load.sent) / elapsed_s, 1),
        **{f"p{share}_ms": round(1e3 * _share(load.latencies_s, share / 100), 1) for share in (50, 95, 99)},
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
