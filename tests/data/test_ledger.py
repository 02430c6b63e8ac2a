"""The ledger, in a folder and in PostgreSQL: the same promises."""

import multiprocessing
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import BadInput, NotFound, StorageError
from data.ledger import Ledger, digest, open_ledger
from data.ledgers.directory import DirectoryLedger


def test_an_entry_is_read_back_byte_for_byte(ledger: Ledger) -> None:
    """What was appended is returned, with its size, kind and digest."""
    entry = ledger.append("run", b"hello\n\x00\xff")
    assert (entry.sha256, entry.kind, entry.size_bytes) == (digest(b"hello\n\x00\xff"), "run", 8)
    assert ledger.read(entry.sha256) == b"hello\n\x00\xff"
    assert ledger.find(entry.sha256) == entry
    path = ledger.path(entry.sha256)
    assert (path.read_bytes() if path else None) == (
        b"hello\n\x00\xff" if isinstance(ledger, DirectoryLedger) else None
    )


def test_appending_twice_is_appending_once(ledger: Ledger) -> None:
    """A second delivery of the same content gives the same entry."""
    first = ledger.append("annotation", b"{}")
    time.sleep(0.02)
    assert ledger.append("annotation", b"{}") == first
    assert [entry.sha256 for entry in ledger.follow()[0]] == [first.sha256]


def test_what_is_not_there_is_not_found(ledger: Ledger) -> None:
    """An unknown digest is no entry, and reading it says so."""
    assert ledger.find("0" * 64) is None
    with pytest.raises(NotFound, match="0" * 64):
        ledger.read("0" * 64)


@pytest.mark.parametrize("kind", ["", "Run", "a/b", "../x", "a.b", "x" * 41])
def test_a_kind_is_a_plain_word(ledger: Ledger, kind: str) -> None:
    """A kind that could not be a file's name is refused."""
    with pytest.raises(BadInput, match="kind"):
        ledger.append(kind, b"content")


def test_following_returns_what_was_appended_since(ledger: Ledger) -> None:
    """Every append shows up after a cursor that was taken before it."""
    cursor, seen = "", set()
    for number in range(30):
        entry = ledger.append("run", f"content {number}".encode())
        found, cursor = ledger.follow(cursor)
        assert entry.sha256 in {new.sha256 for new in found}
        seen |= {new.sha256 for new in found}
    assert len(seen) == 30
    assert len({entry.sha256 for entry in ledger.follow()[0]}) == 30


def test_a_second_object_sees_what_the_first_appended(ledger: Ledger, ledger_address: str) -> None:
    """Two processes need nothing but the address."""
    entry = ledger.append("run", b"shared")
    other = open_ledger(ledger_address)
    assert other.read(entry.sha256) == b"shared"
    assert other.follow()[0] == [entry]
    other.close()


def test_an_entry_of_another_ledger_keeps_its_time(ledger: Ledger) -> None:
    """A restored entry was received when it was first received."""
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(days=400)
    assert ledger.append("run", b"old", long_ago).received == long_ago
    assert ledger.append("run", b"old").received == long_ago


def test_the_name_hides_the_password() -> None:
    """An address with a password can be shown."""
    assert (
        open_ledger("postgresql://me:secret@example.org:5433/board").name
        == "postgresql://example.org:5433/board"
    )


@pytest.mark.parametrize("address", ["mysql://host/db", "postgresql://host/db?colour=red"])
def test_an_address_that_cannot_be_is_refused(address: str) -> None:
    """The message says what an address looks like, or what is wrong with it."""
    with pytest.raises(BadInput, match=r"ledger"):
        open_ledger(address)


def test_a_server_that_cannot_be_reached_is_a_storage_error() -> None:
    """Nobody listens: one line, no traceback of the driver."""
    with pytest.raises(StorageError, match="cannot be reached"):
        open_ledger("postgresql://nobody@127.0.0.1:1/nothing").append("run", b"x")


def _append_many(address: str, writer: int, count: int) -> None:
    ledger = open_ledger(address)
    for number in range(count):
        ledger.append("run", f"{writer}-{number}".encode())
        ledger.append("run", f"common {number}".encode())
    ledger.close()


def test_no_follower_misses_what_many_writers_append(
    ledger: Ledger, ledger_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four processes append at once while one follows: it gets each entry, whatever the order of their commits."""
    # A page under test leaves itself behind as the main module, which spawned processes would run.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    count, context = 25, multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_append_many, args=(ledger_address, writer, count)) for writer in range(4)
    ]
    for writer in writers:
        writer.start()
    seen: set[str] = set()
    cursor = ""
    while any(writer.is_alive() for writer in writers):
        found, cursor = ledger.follow(cursor)
        seen |= {entry.sha256 for entry in found}
    found, _ = ledger.follow(cursor)
    seen |= {entry.sha256 for entry in found}
    assert [writer.exitcode for writer in writers] == [0] * 4
    expected = {f"{writer}-{number}" for writer in range(4) for number in range(count)}
    expected |= {f"common {number}" for number in range(count)}
    assert seen == {digest(text.encode()) for text in expected}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(contents=st.lists(st.binary(max_size=2000), max_size=8))
def test_any_contents_in_any_order_are_kept(ledger: Ledger, contents: list[bytes]) -> None:
    """Bytes of any kind are entries, found by following and read back as they were."""
    appended = {ledger.append("run", content).sha256: content for content in contents}
    held = {entry.sha256 for entry in ledger.follow()[0]}
    assert appended.keys() <= held
    assert {sha256: ledger.read(sha256) for sha256 in appended} == appended


# -- the folder alone ------------------------------------------------------------------------------------------


def test_a_settled_folder_is_not_listed_again(tmp_path: Path) -> None:
    """Following costs no listing where nothing changed, and still sees a change to come."""
    ledger = DirectoryLedger(tmp_path)
    entry = ledger.append("run", b"one")
    long_ago = time.time() - 100
    os.utime(tmp_path / entry.sha256[:2], (long_ago, long_ago))
    _, cursor = ledger.follow()
    assert ledger.follow(cursor)[0] == []
    ledger.append("annotation", b"two")
    assert digest(b"two") in {new.sha256 for new in ledger.follow(cursor)[0]}


def test_a_damaged_file_is_told_and_healed_by_the_next_delivery(tmp_path: Path) -> None:
    """A flipped bit is noticed when it is read; appending the right content again repairs it."""
    ledger = DirectoryLedger(tmp_path)
    entry = ledger.append("run", b"right")
    path = ledger.path(entry.sha256)
    assert path is not None
    path.write_bytes(b"wrong")
    with pytest.raises(StorageError, match="damaged"):
        ledger.read(entry.sha256)
    ledger.append("run", b"right")
    assert ledger.read(entry.sha256) == b"right"


def test_what_killed_writers_leave_aside_is_no_entry(tmp_path: Path) -> None:
    """A half-written file is never seen, and is removed after a day."""
    ledger = DirectoryLedger(tmp_path)
    ledger.append("run", b"whole")
    half = tmp_path / "aside" / "half"
    half.write_bytes(b"ha")
    assert len(ledger.follow()[0]) == 1
    assert ledger.clean() == 0
    os.utime(half, (time.time() - 90_000,) * 2)
    assert ledger.clean() == 1
    assert not half.exists()


def test_a_stray_file_is_no_entry(tmp_path: Path) -> None:
    """A copy that somebody made by hand does not disturb the ledger."""
    ledger = DirectoryLedger(tmp_path)
    entry = ledger.append("run", b"whole")
    for name in ("notes.txt", "x" * 64 + ".run.jsonl", entry.sha256 + ".run.jsonl.bak.old"):
        (tmp_path / entry.sha256[:2] / name).write_bytes(b"stray")
    assert ledger.follow()[0] == [entry]
