"""A disk that fills up in the middle of each write path: what was acknowledged stays, and space brings the rest."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from data import maintenance, places, queries
from data.errors import NotStored, StorageError
from data.index import Index, record
from data.ledger import RUN, Entry, Ledger, open_ledger
from data.records import Note
from data.runfile import RunFileWriter, read
from tests.data.postgres_server import PostgresServer, find_binaries
from tests.data.run_files import lines, run_bytes, write_run

pytestmark = [
    pytest.mark.usefixtures("home"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system"),
]


class SmallDisk:
    """A file system in memory of a given size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, mebibytes: float) -> None:
        """Give it another size."""
        options = f"remount,size={mebibytes * 1024:.0f}k"
        subprocess.run(["mount", "-o", options, self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """An empty disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this system does not let us mount")
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", folder], check=True)


def _append_until_full(ledger: Ledger, scratch: Path, cells: int = 20) -> list[Entry]:
    """Append runs until the ledger refuses; return what it acknowledged."""
    acknowledged: list[Entry] = []
    for seed in range(1000):
        content = run_bytes(scratch, seed=seed, cells=cells)
        try:
            acknowledged.append(ledger.append(RUN, content))
        except StorageError as error:
            if "disk is full" in str(error):
                return acknowledged
            raise
    raise AssertionError("the disk never became full")


def test_a_run_file_keeps_all_whole_lines(disk: SmallDisk) -> None:
    """The line that does not fit leaves no part of itself; with space again, the same writer goes on."""
    path = disk.folder / "a.run.jsonl"
    note = Note(at="2026-11-22T10:00:00Z", topic="long", text="x" * 19_999)
    with RunFileWriter(path) as writer:
        for line in lines():
            writer.write(line)
        written = len(list(lines()))
        try:
            while True:
                writer.write(note)
                written += 1
        except StorageError as error:
            refusal = str(error)
        assert "disk is full" in refusal
        assert read(path).content == path.read_bytes()
        assert path.read_bytes().count(b"\n") == written
        disk.resize(4)
        writer.write(note)
        writer.end()
    assert not read(path).interrupted


def test_a_ledger_keeps_what_it_acknowledged(disk: SmallDisk, tmp_path: Path) -> None:
    """Nothing half written is an entry, and no waste stays behind."""
    ledger = open_ledger(disk.folder / "ledger")
    acknowledged = _append_until_full(ledger, tmp_path)
    assert {entry.sha256 for entry in ledger.follow()[0]} == {entry.sha256 for entry in acknowledged}
    assert all(not read(ledger.read(entry.sha256)).interrupted for entry in acknowledged)
    assert list((disk.folder / "ledger" / "aside").iterdir()) == []
    disk.resize(4)
    assert ledger.append(RUN, run_bytes(tmp_path, seed=2000, cells=20))


@pytest.mark.parametrize("what", ["index", "copies"])
def test_an_owner_recovers_without_being_started_again(disk: SmallDisk, tmp_path: Path, what: str) -> None:
    """While its disk is full, an owner says so and answers from what it has; with space it indexes the rest."""
    disk.resize(24)
    ledger = open_ledger(tmp_path / "ledger")
    folders = {"index": tmp_path, "copies": tmp_path} | {what: disk.folder}
    with Index.open(folders["index"] / "own" / "a.duckdb", ledger, folders["copies"] / "copies") as index:
        for seed in range(400):
            for part in range(5):
                ledger.append(RUN, run_bytes(tmp_path, seed=10 * seed + part, cells=30, samples=100))
            index.sync()
            if index.problem:
                break
        assert "full" in index.problem
        held = len(queries.runs(index, 10_000))
        assert 0 < held <= 5 * (seed + 1)
        disk.resize(400)
        index.sync()
        assert index.problem == ""
        assert len(queries.runs(index, 10_000)) == 5 * (seed + 1)
        assert index.query("SELECT count(DISTINCT run_id) AS held FROM board")[0]["held"] == 5 * (seed + 1)
    with Index.open(folders["index"] / "own" / "a.duckdb", ledger, folders["copies"] / "copies") as index:
        assert len(queries.runs(index, 10_000)) == 5 * (seed + 1)


def test_recording_until_the_disk_is_full_loses_no_receipt(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ledger, index and copies share the disk: every receipt's entry is there, and is indexed in the end."""
    disk.resize(12)
    monkeypatch.setenv("FLOPWATCH_HOME", str(disk.folder))
    receipts = []
    refused: list[str] = []
    for seed in range(60):
        try:
            receipts.append(record(write_run(tmp_path / f"{seed}.run.jsonl", seed=seed, cells=60)))
        except StorageError as error:
            refused.append(str(error))
    assert receipts
    assert refused
    assert all("disk is full" in message for message in refused)
    assert any(not receipt.indexed and "full" in receipt.note for receipt in receipts)
    disk.resize(200)
    with Index.open() as index:
        assert index.problem == ""
        assert {row["sha256"] for row in queries.runs(index)} == {receipt.sha256 for receipt in receipts}


def test_a_rebuild_that_does_not_fit_leaves_the_old_index(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is given up, the old index answers as before."""
    disk.resize(100)
    monkeypatch.setenv("FLOPWATCH_DB", str(disk.folder / "a.duckdb"))
    monkeypatch.setenv("FLOPWATCH_LEDGER", str(tmp_path / "ledger"))
    ledger = open_ledger(places.ledger())
    for seed in range(8):
        ledger.append(RUN, run_bytes(tmp_path, seed=seed, cells=30, samples=100))
    Index.open().close()
    used = sum(path.stat().st_size for path in disk.folder.rglob("*") if path.is_file())
    disk.resize(used / 2**20 + 2)
    with pytest.raises(NotStored, match="full"):
        maintenance.rebuild()
    assert not list(disk.folder.glob("*.rebuilding*"))
    with Index.open() as index:
        assert len(queries.runs(index)) == 8


def test_a_backup_that_does_not_fit_leaves_nothing(disk: SmallDisk, tmp_path: Path) -> None:
    """A part of a backup is worth nothing, and is removed."""
    ledger = open_ledger(tmp_path / "ledger")
    for seed in range(8):
        ledger.append(RUN, run_bytes(tmp_path, seed=seed, cells=30, samples=100))
    with pytest.raises(StorageError, match="disk is full"):
        maintenance.backup(disk.folder / "backup.tar", ledger)
    assert list(disk.folder.iterdir()) == []


def test_a_restore_that_does_not_fit_can_be_repeated(disk: SmallDisk, tmp_path: Path) -> None:
    """What fitted is there and whole; after the second attempt everything is."""
    source = open_ledger(tmp_path / "ledger")
    for seed in range(8):
        source.append(RUN, run_bytes(tmp_path, seed=seed, cells=30, samples=100))
    maintenance.backup(tmp_path / "backup.tar", source)
    target = open_ledger(disk.folder / "ledger")
    with pytest.raises(StorageError, match="disk is full"):
        maintenance.restore(tmp_path / "backup.tar", target)
    restored = {entry.sha256 for entry in target.follow()[0]}
    assert 0 < len(restored) < 8
    assert all(target.read(sha256) for sha256 in restored)
    disk.resize(100)
    assert maintenance.restore(tmp_path / "backup.tar", target)["restored"] == 8 - len(restored)


def test_a_postgresql_server_on_a_full_disk_keeps_what_it_acknowledged(
    disk: SmallDisk, tmp_path: Path
) -> None:
    """The writer is told, and after a new start with space every acknowledged entry is there."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg")
    disk.resize(90)
    disk.folder.chmod(0o777)
    for parent in disk.folder.parents[:3]:
        parent.chmod(0o755)
    server = PostgresServer(binaries, disk.folder)
    try:
        server.start()
        ledger = open_ledger(server.create_database("full"))
        acknowledged: list[Entry] = []
        with contextlib.suppress(StorageError):
            for _ in range(1000):
                content = os.urandom(1 << 20).hex().encode()
                acknowledged.append(ledger.append("note", content))
        assert 0 < len(acknowledged) < 300
        server.kill()
        disk.resize(400)
        server.start()
        assert {entry.sha256 for entry in ledger.follow()[0]} >= {entry.sha256 for entry in acknowledged}
        assert all(ledger.read(entry.sha256) for entry in acknowledged)
        assert ledger.append(RUN, run_bytes(tmp_path))
        ledger.close()
    finally:
        server.remove()
