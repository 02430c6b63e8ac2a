"""Taking in run files: once, in any order, by many threads, before the index knows them; and what is remarked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from data.errors import Conflict, Forbidden, RunFileError, TooLarge
from data.index import Index
from data.intake import Intake
from data.ledger import Ledger, open_ledger
from data.records import Ceiling, Measurement, Run, Work, uuid7
from data.runfile import RunFileWriter, pack
from data.words import Status
from tests.data.run_files import lines, run_bytes


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(tmp_path / "ledger")


@pytest.fixture
def intake(ledger: Ledger) -> Intake:
    """The way in, with an index that knows nothing yet."""
    return Intake(ledger, lambda run_id: [])


def changed(tmp_path: Path, change) -> bytes:
    """A run file whose records went through ``change``; those that it makes None are left out."""
    path = tmp_path / f"{uuid7()}.run.jsonl"
    with RunFileWriter(path) as writer:
        for line in lines():
            line = change(line)
            if line is not None:
                writer.write(line)
        writer.end()
    return path.read_bytes()


def test_the_same_file_has_the_same_receipt(intake: Intake, ledger: Ledger, tmp_path: Path) -> None:
    content = run_bytes(tmp_path)
    first, new = intake.accept(content)
    again, new_again = intake.accept(pack(content))
    assert new
    assert not new_again
    assert first == again
    assert len(ledger.follow()[0]) == 1


def test_many_threads_with_one_file_store_it_once(intake: Intake, ledger: Ledger, tmp_path: Path) -> None:
    content = run_bytes(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: intake.accept(content), range(24)))
    assert sum(new for _, new in answers) == 1
    assert len({receipt.sha256 for receipt, _ in answers}) == 1
    assert len(ledger.follow()[0]) == 1


def test_of_two_files_of_one_run_at_once_one_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """Also while the index knows neither: they take turns."""
    for _ in range(10):
        intake, run_id = Intake(ledger, lambda run_id: []), uuid7()
        files = [run_bytes(tmp_path, run_id=run_id, seed=seed) for seed in (1, 2)]
        barrier, outcomes = threading.Barrier(2), list[str]()

        def send(content: bytes, intake=intake, barrier=barrier, outcomes=outcomes) -> None:
            barrier.wait()
            try:
                intake.accept(content)
                outcomes.append("taken")
            except Conflict:
                outcomes.append("refused")

        threads = [threading.Thread(target=send, args=[content]) for content in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["refused", "taken"]


def test_a_continuation_is_taken_and_another_end_is_not(intake: Intake, tmp_path: Path) -> None:
    content = run_bytes(tmp_path)
    part = b"".join(content.splitlines(keepends=True)[:10])
    receipt, _ = intake.accept(part)
    assert any("interrupted" in remark for remark in receipt.notes)
    with pytest.raises(Conflict):
        intake.accept(part.replace(b'"effort":"quick"', b'"effort":"smoke"'))
    whole, new = intake.accept(content)
    assert new
    assert not whole.notes
    assert intake.accept(part) == (receipt, False)
    assert intake.recent(whole.run) in (whole.sha256, receipt.sha256)


def test_what_the_index_holds_counts_as_well(ledger: Ledger, tmp_path: Path) -> None:
    run_id = uuid7()
    held, _ = Intake(ledger, lambda run_id: []).accept(run_bytes(tmp_path, run_id=run_id))
    later = Intake(ledger, lambda run_id: [held.sha256])
    with pytest.raises(Conflict, match=held.sha256):
        later.accept(run_bytes(tmp_path, run_id=run_id, seed=9))


def test_a_machine_may_send_its_own_runs_only(intake: Intake, ledger: Ledger, tmp_path: Path) -> None:
    content = run_bytes(tmp_path)
    with pytest.raises(Forbidden, match="ffffffffffff") as caught:
        intake.accept(content, machine="ffffffffffff")
    assert caught.value.field == "machine.id"
    assert not ledger.follow()[0]
    assert intake.accept(content, machine="0123456789ab")[1]


def test_a_bomb_is_refused_before_it_goes_off(intake: Intake) -> None:
    """A gigabyte of zeros in a megabyte is unpacked no further than the limit."""
    bomb = pack(b"0" * (1 << 26))
    assert len(bomb) < 1 << 17
    with pytest.raises(TooLarge, match="1 MiB"):
        intake.accept(bomb, 1 << 20)
    with pytest.raises(TooLarge):
        intake.accept(bomb * 50, 1 << 20)


def test_a_start_in_the_future_is_remarked(intake: Intake, tmp_path: Path) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=3)
    content = run_bytes(tmp_path, started=ahead.strftime("%Y-%m-%dT%H:%M:%SZ"))
    receipt, _ = intake.accept(content)
    assert any("3 hours after it arrived" in remark for remark in receipt.notes)
    assert intake.accept(content) == (receipt, False)
    near = datetime.now(UTC) + timedelta(minutes=2)
    assert not intake.accept(run_bytes(tmp_path, started=near.strftime("%Y-%m-%dT%H:%M:%SZ")))[0].notes


def test_an_impossible_rate_is_kept_out_and_remarked(intake: Intake, tmp_path: Path) -> None:
    """Ten thousand times the measured ceiling: the receipt names it."""

    def inflate(line):
        if isinstance(line, Measurement) and line.case == "matmul/1" and line.status == Status.OK:
            line.work = Work(flop=line.work.flop * 1e6)
        return line

    receipt, _ = intake.accept(changed(tmp_path, inflate))
    assert len(receipt.notes) == 1
    assert "1 of 6 are impossible and are kept out, such as matmul/1 blas on numpy" in receipt.notes[0]


def test_rates_without_a_ceiling_are_remarked(intake: Intake, tmp_path: Path) -> None:
    receipt, _ = intake.accept(changed(tmp_path, lambda line: None if isinstance(line, Ceiling) else line))
    assert receipt.notes == ("3 stand beside no ceiling: nothing in the run says whether they are possible",)


def test_times_of_zero_are_no_speed(intake: Intake, tmp_path: Path) -> None:
    """A call that takes no time would be infinitely fast."""

    def stop(line):
        if isinstance(line, Measurement) and line.samples:
            line.samples.time_ns = [0] * len(line.samples.time_ns)
        return line

    receipt, _ = intake.accept(changed(tmp_path, stop))
    assert "3 of 6 are impossible and are kept out" in receipt.notes[0]


def test_what_no_computer_reaches_is_impossible_without_a_ceiling(intake: Intake, tmp_path: Path) -> None:
    """A file cannot lift the limit by a ceiling of its own invention."""

    def invent(line):
        if isinstance(line, Measurement | Ceiling) and line.status == Status.OK:
            line.work = Work(flop=line.work.flop * 1e9)
        return line

    receipt, _ = intake.accept(changed(tmp_path, invent))
    assert "4 of 6 are impossible and are kept out" in receipt.notes[0]
    assert "no computer reaches" in receipt.notes[0]


def test_a_run_of_the_longest_names_is_taken(intake: Intake, tmp_path: Path) -> None:
    def name(line):
        if isinstance(line, Run):
            return replace(line, machine=replace(line.machine, name="m" * 200))
        return line

    assert intake.accept(changed(tmp_path, name))[1]
    with pytest.raises(RunFileError, match=r"machine\.name"):
        intake.accept(run_bytes(tmp_path).replace(b"testbox", b"m" * 201))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"case":"matmul', b'"case":"x","case":"matmul', "'case' is there twice"),
        (b'"samples":{', b'"samples":{"time_ns":[1]},"samples":{', "'samples' is there twice"),
        (b'"steal":0.0', b'"steal":0.0,"st\\u0065al":1', "'steal' is there twice"),
        (b'"steal":0.0', b'"\\u0041":{"a":1},"b":{"a":1},"steal":0.0', ""),
        (b'"threads":1', b'"threads":2147483648', "threads"),
        (b'"process":1', b'"process":2147483648', "process"),
        (b'"index":1', b'"index":2147483648', "index"),
        (b'"labels":{', b'"protocol":{"confidence":[1]},"labels":{', "cannot be summarised"),
        (b'"labels":{', b'"protocol":{"confidence":"x"},"labels":{', "cannot be summarised"),
    ],
)
def test_what_the_index_could_not_hold_is_refused_here(
    home: Path, tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    """The sender learns it, not whoever looks for the run later; what is taken is indexed."""
    content = run_bytes(tmp_path)
    assert old in content
    assert home.name == "home"
    content = b"".join(content.replace(old, new, 1).splitlines(keepends=True)[:-1])
    with Index.open() as index:
        if message:
            with pytest.raises(RunFileError, match=message):
                index.accept(content)
        else:
            index.accept(content)
            index.sync()
            assert index.query("SELECT state FROM entry") == [{"state": "applied"}]
