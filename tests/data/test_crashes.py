"""Processes killed at random moments: what was acknowledged is there, nothing is there by half.

Each promise is tried a few times here and many times by ``just soak``.
"""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data import maintenance, places, snapshots
from data.errors import SchemaError
from data.index import Index
from data.ledger import open_ledger
from data.runfile import read
from data.store import Store
from tests.data.killed_runs import KilledRuns
from tests.data.postgres_server import PostgresServer
from tests.data.run_files import run_bytes

pytestmark = pytest.mark.usefixtures("home")

SOAK = pytest.mark.soak
ROOT = Path(__file__).parents[2]

_HEAD = """
import os, sys, time
from pathlib import Path
from tests.data.run_files import lines, run_bytes, write_run
folder = Path(sys.argv[1]); seed = int(sys.argv[2])
def acknowledge(what):
    os.write(1, f"{what}\\n".encode())
"""

#: Records one run after the other; each receipt is acknowledged.
RECORDING = """
from data.index import record
acknowledge("ready")
while True:
    seed += 1
    acknowledge(record(write_run(folder / f"{seed}.run.jsonl", seed=seed, cells=2, samples=4)).sha256)
"""

#: Writes run files; the number of lines written is acknowledged.
WRITING = """
from data.records import Note
from data.runfile import RunFileWriter
acknowledge("ready")
with RunFileWriter(folder / f"{seed}.run.jsonl") as writer:
    for line in lines(seed=seed): writer.write(line); acknowledge(1)
    while True:
        writer.write(Note(at="2026-11-22T10:00:00Z", topic="again", text="x" * (seed % 5000))); acknowledge(1)
"""

#: Owns the index and publishes one copy after the other.
PUBLISHING = """
from data.index import Index
index = Index.open()
acknowledge("ready" if index.owned else "not the owner")
while True:
    index._store.remember("generation", str(time.time_ns())); index.publish(); acknowledge(1)
"""

#: Appends to the ledger of the environment; each digest is acknowledged.
APPENDING = """
from data import places
from data.ledger import open_ledger
ledger = open_ledger(places.ledger())
ledger.follow()
acknowledge("ready")
while True:
    seed += 1
    acknowledge(ledger.append("run", run_bytes(folder, seed=seed, cells=1, samples=3)).sha256)
"""


def _run_and_kill(code: str, folder: Path, rng: random.Random, longest_s: float = 0.3) -> list[str]:
    """Start a process, kill it at a random moment after it is ready, and return what it had acknowledged."""
    seed = rng.randrange(10**9)
    process = subprocess.Popen(
        [sys.executable, "-c", _HEAD + code, folder, str(seed)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    said = [process.stdout.readline() for _ in range(rng.randrange(3))]
    time.sleep(rng.uniform(0, longest_s))
    process.kill()
    rest, _ = process.communicate()
    return (b"".join(said) + rest).decode().splitlines()


@pytest.fixture
def rng() -> random.Random:
    """Another sequence of moments each time; a failure would show at any of them."""
    return random.Random(os.urandom(8))


def _require_whole_runs(index: Index | Store) -> set[str]:
    """Check that each run in the index has all its rows; return the digests of their files."""
    rows = index.query(
        "SELECT sha256, run_id, (SELECT count(*) FROM board AS b WHERE b.run_id = r.run_id) AS board, "
        "(SELECT count(*) FROM samples AS s WHERE s.run_id = r.run_id) AS samples, "
        "(SELECT count(*) FROM notes AS n WHERE n.run_id = r.run_id) AS notes FROM runs AS r"
    )
    assert {(row["board"], row["samples"], row["notes"]) for row in rows} <= {(4, 21, 1)}
    return {row["sha256"] for row in rows}


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=SOAK)])
def test_a_killed_recorder_loses_no_receipt(tmp_path: Path, rng: random.Random, kills: int) -> None:
    """After each kill -9 the index opens, holds whole runs only, and in the end every receipt's run."""
    acknowledged: set[str] = set()
    for number in range(kills):
        acknowledged |= set(_run_and_kill(RECORDING, tmp_path, rng))
        if places.database().exists() and number % 4 == 3:
            with contextlib.suppress(SchemaError), Store(places.database(), read_only=True) as store:
                _require_whole_runs(store)
    with Index.open() as index:
        assert acknowledged <= _require_whole_runs(index)
    assert acknowledged
    report = maintenance.check()
    assert report["findings"] == []


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=SOAK)])
def test_a_killed_writer_leaves_a_readable_file(tmp_path: Path, rng: random.Random, kills: int) -> None:
    """Every line whose writing had returned is in the file, and the file can be read."""
    for _ in range(kills):
        for old in tmp_path.glob("*.run.jsonl"):
            old.unlink()
        acknowledged = _run_and_kill(WRITING, tmp_path, rng, 0.1)
        for path in tmp_path.glob("*.run.jsonl"):
            if path.stat().st_size or acknowledged:
                assert read(path).content.count(b"\n") >= len(acknowledged)


@pytest.mark.parametrize(
    ("case", "at_once", "kills"), [("fake/steady", 2, 4), pytest.param("relu/1M", 4, 50, marks=SOAK)]
)
def test_a_killed_run_is_completed(
    tmp_path: Path, rng: random.Random, monkeypatch: pytest.MonkeyPatch, case: str, at_once: int, kills: int
) -> None:
    """``flopwatch run`` and its workers are killed: all that was written stays, and ``--resume`` completes it."""
    if case.startswith("fake/"):
        monkeypatch.setenv("FLOPWATCH_KERNELS", str(ROOT / "tests" / "runners" / "fake_kernels.py"))
    wishes = ("--case", case, "--backend", "numpy", "--threads", "1", "--effort", "smoke")
    homes = [
        KilledRuns(tmp_path / str(number), tmp_path / "numba", wishes, rng.randrange(2**32))
        for number in range(at_once)
    ]
    with ThreadPoolExecutor(at_once) as threads:  # much of a run is waiting
        list(threads.map(lambda home: home.kill(kills), homes))
    assert {home.kills for home in homes} == {kills}


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=SOAK)])
def test_a_killed_publisher_leaves_a_whole_copy(tmp_path: Path, rng: random.Random, kills: int) -> None:
    """Whatever was being copied, the newest copy is whole, and the next owner goes on."""
    for seed in range(3):
        open_ledger(places.ledger()).append("run", run_bytes(tmp_path, seed=seed, cells=2, samples=4))
    Index.open().close()
    for _ in range(kills):
        _run_and_kill(PUBLISHING, tmp_path, rng)
        newest = snapshots.newest(places.database(), places.snapshots())
        assert newest is not None
        with Store(newest, read_only=True) as copy:
            assert len(_require_whole_runs(copy)) == 3
    with Index.open() as index:
        assert index.owned
        assert len(_require_whole_runs(index)) == 3
    assert list(places.snapshots().glob("*.aside")) == []


@pytest.fixture
def server(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[PostgresServer]:
    """The PostgreSQL server with an empty ledger that FLOPWATCH_LEDGER names."""
    monkeypatch.setenv("FLOPWATCH_LEDGER", postgres.create_database("crash_" + os.urandom(6).hex()))
    yield postgres
    if not postgres.running:
        postgres.start()


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=SOAK)])
def test_a_killed_server_loses_no_acknowledged_entry(
    tmp_path: Path, rng: random.Random, server: PostgresServer, kills: int
) -> None:
    """PostgreSQL is killed while a process appends: after its restart, each acknowledged entry is there and whole."""
    acknowledged: set[str] = set()
    follower = open_ledger(places.ledger())
    seen: set[str] = set()
    cursor = ""
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", _HEAD + APPENDING, tmp_path, str(rng.randrange(10**9))],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.05, 0.6))
        server.kill()
        said, _ = process.communicate()
        acknowledged |= set(said.decode().splitlines())
        assert process.returncode != 0
        server.start()
        found, cursor = follower.follow(cursor)
        seen |= {entry.sha256 for entry in found}
    assert acknowledged
    assert acknowledged <= seen
    for sha256 in seen:
        assert not read(follower.read(sha256)).interrupted
    follower.close()
