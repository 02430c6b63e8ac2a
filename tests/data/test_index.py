"""The index among several processes: one owner, everybody else on its copies, nothing lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from data import entries, places, queries, snapshots
from data.checks import check_index
from data.errors import Conflict, IndexOwned, NotFound, RunFileError, StorageError
from data.index import Index, record
from data.ledger import RUN, Ledger, open_ledger
from data.owner import Ownership
from data.receipts import record_in_ledger
from data.records import uuid7
from data.rundocument import read
from data.runfile import pack
from tests.data.run_files import run_bytes, write_run
from tests.data.views import everything

pytestmark = pytest.mark.usefixtures("home")

#: A process that owns the index of this home, says so, follows the ledger and ends when its input does.
OWNER = (
    "import sys; from data.index import Index\n"
    "index = Index.open(); index.follow(0.05); print(index.owned, flush=True); sys.stdin.read(); index.close()"
)


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that happens soon; the limit is only there to fail instead of hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def other_owner() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that owns the index."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert isinstance(process.stdout, IO) or process.stdout is not None
        assert process.stdout.readline().strip() == b"True"
        yield process
        process.kill()


def test_what_is_recorded_can_be_asked_for(tmp_path: Path) -> None:
    """After record() the run is in the ledger and in the index, and the receipt says so."""
    path = write_run(tmp_path / "a.run.jsonl")
    receipt = record(path)
    document = read(path)
    assert receipt.indexed
    assert receipt.to_json() == {
        "run": document.run.id,
        "sha256": document.sha256,
        "measurements": 4,
        "received": receipt.received,
        "notes": [],
    }
    with Index.open() as index:
        assert index.owned
        assert queries.run(index, document.run.id)["sha256"] == receipt.sha256
        assert queries.run_file(index, document.run.id) == path.read_bytes()
    assert record(path).received == receipt.received


def test_an_empty_home_is_an_empty_index() -> None:
    """Asking before anything was recorded answers with nothing, not with an error."""
    with Index.open() as index:
        assert (queries.latest(index), queries.runs(index), index.problem) == ([], [], "")


def test_a_reader_finds_its_own_entry_while_another_process_owns(
    tmp_path: Path, other_owner: subprocess.Popen[bytes]
) -> None:
    """Record, then ask, while a server owns the index: the answer holds what was recorded, and says who owns."""
    receipt = record(write_run(tmp_path / "a.run.jsonl"))
    assert not receipt.indexed
    assert str(other_owner.pid) in receipt.note
    with Index.open(wanted=[receipt.sha256], wait_s=30) as index:
        assert not index.owned
        assert index.owner is not None
        assert index.owner.pid == other_owner.pid
        assert [row["run_id"] for row in queries.runs(index)] == [receipt.run]
        assert index.problem == ""


def test_a_reader_sees_later_runs_without_being_opened_again(
    tmp_path: Path, other_owner: subprocess.Popen[bytes]
) -> None:
    """A board that does not own the index follows the copies, and its generation tells when answers change."""
    with Index.open() as index:
        before = index.generation
        receipt = record(write_run(tmp_path / "a.run.jsonl"))
        _until(lambda: [row["run_id"] for row in queries.runs(index)] == [receipt.run])
        assert index.generation != before
        assert not index.owned


def test_ownership_passes_when_the_owner_is_killed(
    tmp_path: Path, other_owner: subprocess.Popen[bytes]
) -> None:
    """After kill -9 of the owner, a follower owns the index and indexes what had come meanwhile."""
    with Index.open() as index:
        index.follow(0.05)
        assert not index.owned
        os.kill(other_owner.pid, signal.SIGKILL)
        other_owner.wait()
        receipt = record_in_ledger(write_run(tmp_path / "a.run.jsonl"))
        _until(lambda: index.owned)
        _until(lambda: [row["run_id"] for row in queries.runs(index)] == [receipt.run])


def test_waiting_for_an_index_that_is_owned_is_bounded(
    tmp_path: Path, other_owner: subprocess.Popen[bytes]
) -> None:
    """What does not come in time is told with the owner's name; without any copy it is an error that names it."""
    with Index.open(wanted=["0" * 64], wait_s=0.3) as index:
        assert f"process {other_owner.pid}" in index.problem
    assert other_owner.stdin is not None
    other_owner.stdin.close()
    other_owner.wait()
    shutil.rmtree(places.home())
    with Ownership(places.database()) as ownership:
        assert ownership.take()
        with pytest.raises(IndexOwned, match=f"process {os.getpid()}"):
            Index.open(wait_s=0.3)


def test_a_damaged_copy_does_not_stop_a_reader(tmp_path: Path, other_owner: subprocess.Popen[bytes]) -> None:
    """A copy that cannot be opened is passed over until the next one."""
    with Index.open() as index:
        (places.snapshots() / "flopwatch-9999999998-1.duckdb").write_bytes(b"damaged" * 1000)
        time.sleep(1.1)
        assert queries.runs(index) == []


def test_threads_share_one_index(tmp_path: Path) -> None:
    """Many threads ask while another indexes: each answer is of one state, none fails."""
    from concurrent.futures import ThreadPoolExecutor

    record(write_run(tmp_path / "0.run.jsonl"))
    with Index.open() as index:

        def ask(_: int) -> tuple[int, int]:
            rows = index.query(
                "SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM board) AS rows, "
                "(SELECT count(*) FROM samples) AS samples"
            )
            return rows[0]["rows"] / rows[0]["runs"], rows[0]["samples"] / rows[0]["runs"]

        with ThreadPoolExecutor(6) as threads:
            answers = threads.map(ask, range(60))
            for number in range(1, 5):
                record_in_ledger(write_run(tmp_path / f"{number}.run.jsonl", seed=number))
                index.sync()
            assert set(answers) == {(5, 28)}
        assert len(queries.runs(index)) == 5


def test_old_copies_are_removed_and_each_has_a_new_name(tmp_path: Path) -> None:
    """However often something is published, two copies stay, and a name never comes back."""
    names = set()
    with Index.open() as index:
        for seed in range(4):
            record_in_ledger(write_run(tmp_path / f"{seed}.run.jsonl", seed=seed))
            index.sync()
            newest = snapshots.newest(index.database, index.copies)
            assert newest is not None
            names.add(newest.name)
        index.publish()
        assert len(list(index.copies.iterdir())) == snapshots.KEPT
    assert len(names) == 4


# -- uploads ---------------------------------------------------------------------------------------------------


def test_an_upload_is_new_once(tmp_path: Path) -> None:
    """The second delivery, packed or not, gets the same receipt and is not new."""
    content = run_bytes(tmp_path)
    with Index.open() as index:
        receipt, new = index.accept(content)
        again, new_again = index.accept(pack(content))
        assert (new, new_again) == (True, False)
        assert again == receipt
        index.sync()
        assert [row["run_id"] for row in queries.runs(index)] == [receipt.run]


def test_an_upload_with_other_content_is_a_conflict(tmp_path: Path) -> None:
    """The same run id with other results is refused; a continuation and a part of what is held are not."""
    run_id = uuid7()
    content, other = (run_bytes(tmp_path, run_id=run_id, seed=seed) for seed in range(2))
    part = b"".join(content.splitlines(keepends=True)[:7])
    with Index.open() as index:
        for upload in (part, content, part):
            index.accept(upload)
            index.sync()
        before = everything(index)
        with pytest.raises(Conflict, match=run_id):
            index.accept(other)
        assert everything(index) == before
        assert queries.run_file(index, run_id) == content


def test_a_wrong_upload_leaves_no_trace(tmp_path: Path) -> None:
    """What is refused is in neither ledger nor index."""
    with Index.open() as index:
        with pytest.raises(RunFileError):
            index.accept(run_bytes(tmp_path).replace(b"testbox", b"testbux"))
        with pytest.raises(RunFileError, match="MiB allowed"):
            index.accept(run_bytes(tmp_path), limit_bytes=100)
        assert index.ledger.follow()[0] == []


def test_a_withdrawal_is_seen_at_once_by_the_owner(tmp_path: Path) -> None:
    """A statement goes through the ledger and changes the answers of whoever made it."""
    receipt = record(write_run(tmp_path / "a.run.jsonl"))
    with Index.open() as index:
        withdrawal = entries.Withdrawal(run=receipt.run, reason="wrong machine")
        entry = index.state(withdrawal)
        assert json.loads(index.ledger.read(entry.sha256))["reason"] == "wrong machine"
        assert queries.runs(index) == []
        with pytest.raises(NotFound):
            queries.run(index, receipt.run)
        assert queries.run_file(index, receipt.run)
        index.state(entries.Reinstatement(withdrawal=withdrawal.id))
        assert len(queries.runs(index)) == 1


# -- where the disk refuses ------------------------------------------------------------------------------------


def test_the_ledger_keeps_what_cannot_be_indexed(tmp_path: Path) -> None:
    """The index cannot be written (a folder is in its place): the entry is safe, the receipt says what is wrong."""
    places.database().mkdir(parents=True)
    receipt = record(write_run(tmp_path / "a.run.jsonl"))
    assert not receipt.indexed
    assert str(places.database()) in receipt.note
    assert open_ledger(places.ledger()).find(receipt.sha256) is not None
    places.database().rmdir()
    with Index.open() as index:
        assert [row["run_id"] for row in queries.runs(index)] == [receipt.run]


def test_a_ledger_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file is where the ledger should be: an error with the place, and the run file is untouched."""
    path = write_run(tmp_path / "a.run.jsonl")
    before = path.read_bytes()
    places.home().mkdir()
    Path(places.ledger()).write_text("in the way")
    with pytest.raises(StorageError, match="ledger"):
        record(path)
    assert path.read_bytes() == before


# -- both ledgers ----------------------------------------------------------------------------------------------


def test_two_indexes_on_one_ledger_show_the_same(tmp_path: Path, ledger_address: str) -> None:
    """Two boards with indexes of their own follow one ledger: an upload to either is soon in both, the same."""
    boards = [
        Index.open(tmp_path / name / "flopwatch.duckdb", open_ledger(ledger_address))
        for name in ("one", "two")
    ]
    try:
        for board in boards:
            assert board.owned
            board.follow(0.05)
        receipts = [boards[seed % 2].accept(run_bytes(tmp_path, seed=seed))[0] for seed in range(4)]
        expected = {receipt.run for receipt in receipts}
        for board in boards:
            _until(lambda board=board: {row["run_id"] for row in queries.runs(board)} == expected)  # type: ignore[misc]
        boards[0].state(entries.Withdrawal(run=receipts[0].run, reason="typo"))
        for board in boards:
            _until(lambda board=board: len(queries.runs(board)) == 3)  # type: ignore[misc]
        assert everything(boards[0]) == everything(boards[1])
    finally:
        for board in boards:
            board.close()


def test_recording_uses_the_ledger_of_the_environment(
    tmp_path: Path, ledger_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLOPWATCH_LEDGER decides where a run goes, whichever kind it is."""
    monkeypatch.setenv("FLOPWATCH_LEDGER", ledger_address)
    receipt = record(write_run(tmp_path / "a.run.jsonl"))
    assert receipt.indexed
    held = open_ledger(ledger_address)
    assert held.find(receipt.sha256) is not None
    assert [entry.kind for entry in held.follow()[0]] == [RUN]
    held.close()
    with Index.open() as index:
        assert queries.run_file(index, receipt.run) == (tmp_path / "a.run.jsonl").read_bytes()


def test_samples_of_older_runs_are_left_to_the_ledger(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a size the index holds the raw samples of the newest runs only, and finds the others all the same."""
    contents = [run_bytes(tmp_path, seed=seed, started=f"2026-11-2{seed}T10:00:00Z") for seed in range(6)]
    for content in contents[:3]:
        ledger.append("run", content)
    monkeypatch.setattr("data.follow.SAMPLED_BYTES", int(2.5 * len(contents[0])))
    with Index.open(tmp_path / "index.duckdb", ledger) as index:
        sampled = "SELECT samples_indexed FROM run ORDER BY started"
        assert [row["samples_indexed"] for row in index.query(sampled)] == [False, True, True]
        for content in contents[3:]:
            ledger.append("run", content)
            index.sync()
        assert [row["samples_indexed"] for row in index.query(sampled)].count(True) in (2, 3)
        assert index.query(sampled)[-1]["samples_indexed"]
        held = index.query(
            "SELECT b.*, samples_indexed FROM board AS b JOIN run USING (run_id) WHERE samples > 0 "
            "ORDER BY samples_indexed"
        )
        of_ledger = queries.samples(index, held[0]["measurement_id"])
        of_index = queries.samples(index, held[-1]["measurement_id"])
        assert [set(row) for row in of_ledger] == [set(row) for row in of_index]
        assert sum(len(row["time_ns"]) for row in of_ledger) == held[0]["samples"]
        assert check_index(index, ledger.follow()[0]) == []
