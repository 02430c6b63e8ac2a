"""The outbox: what waits survives, what has a receipt is not sent again, and what is refused is kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.errors import NotStored, RunFileError
from data.ledger import digest
from data.rundocument import read, unpack
from data.runfile import RunFileWriter
from runners.board import Refused
from runners.outbox import Outbox
from runners.uploading import send_waiting, waiting_words
from tests.data.run_files import lines, write_run


class FakeBoard:
    """Answers with a receipt, or raises what it is told to."""

    def __init__(self, *troubles: Exception | None) -> None:
        self.troubles, self.sent = list(troubles), list[str]()

    def send(self, packed: bytes, sha256: str) -> tuple[dict[str, Any], bool]:
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble:
            raise trouble
        assert digest(unpack(packed)) == sha256
        self.sent.append(sha256)
        return {"run": "x", "sha256": sha256, "measurements": 1, "received": "now", "notes": []}, True


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox("https://bench.example.org", tmp_path / "outbox")


def send(board: Any, outbox: Outbox) -> Any:
    return send_waiting(board, outbox, [item for item in outbox.waiting() if not item.refused])


def test_each_board_has_its_own(tmp_path: Path) -> None:
    folders = {
        Outbox(url, tmp_path).folder for url in ("https://a", "https://a/b", "http://a", "https://a:1")
    }
    assert len(folders) == 4
    assert Outbox("https://../../x", tmp_path).folder.resolve().parent == tmp_path


def test_what_was_sent_is_not_sent_again(outbox: Outbox, tmp_path: Path) -> None:
    """By its name and in a folder, until its content has grown."""
    runs = tmp_path / "runs"
    path = write_run(runs / "a.run.jsonl", end=False)
    board = FakeBoard()
    outbox.put(path)
    assert send(board, outbox).complete
    assert outbox.put(path)[1] is None
    assert list(outbox.collect(runs)) == []
    assert outbox.waiting() == []
    with RunFileWriter.resume(path) as writer:
        writer.end()
    renamed = path.rename(runs / f"{read(path).run.id}.run.jsonl")
    assert list(outbox.collect(runs)) == []
    assert send(board, outbox).complete
    assert board.sent[-1] == read(renamed).sha256
    assert len(board.sent) == 2


def test_it_survives_that_the_original_is_deleted(outbox: Outbox, tmp_path: Path) -> None:
    path = write_run(tmp_path / "a.run.jsonl")
    document, _ = outbox.put(path)
    path.unlink()
    again = Outbox(outbox.url, outbox.folder.parent)
    board = FakeBoard()
    assert send(board, again).sent[0].receipt["sha256"] == document.sha256


def test_a_file_that_is_being_written_waits(outbox: Outbox, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with RunFileWriter(runs / "a.run.jsonl") as writer:
        for line in lines():
            writer.write(line)
        ((_, why),) = outbox.collect(runs)
        assert "being written" in why
        assert outbox.preview(runs / "a.run.jsonl")["send"] is False
        writer.end()
    assert list(outbox.collect(runs)) == []
    assert len(outbox.waiting()) == 1


def test_what_is_broken_is_named_and_stops_nothing(outbox: Outbox, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_run(runs / "b.run.jsonl")
    (runs / "a.run.jsonl").write_text("nonsense\n")
    ((path, why),) = outbox.collect(runs)
    assert path.name == "a.run.jsonl"
    assert "line 1" in why
    assert len(outbox.waiting()) == 1
    with pytest.raises(RunFileError):
        outbox.put(runs / "a.run.jsonl")


def test_a_refused_file_is_kept_and_sent_again_only_by_name(outbox: Outbox, tmp_path: Path) -> None:
    path = write_run(tmp_path / "runs" / "a.run.jsonl")
    path = path.rename(path.with_name(f"{read(path).run.id}.run.jsonl"))
    outbox.put(path)
    outcome = send(FakeBoard(Refused("no")), outbox)
    assert not outcome.complete
    assert "no" in str(waiting_words(outcome, outbox))
    assert [item.refused for item in outbox.waiting()] == ["no"]
    assert list(outbox.collect(path.parent)) == []
    board = FakeBoard()
    assert send(board, outbox).sent == []
    outbox.put(path)
    assert send(board, outbox).complete
    assert outbox.waiting() == []


def test_when_the_board_is_gone_the_rest_waits(outbox: Outbox, tmp_path: Path) -> None:
    """Nobody waits for each file in turn; what had a receipt has one."""
    for number in range(4):
        outbox.put(write_run(tmp_path / f"{number}.run.jsonl", seed=number))
    board = FakeBoard(None, NotStored("gone"))
    outcome = send(board, outbox)
    assert (len(outcome.sent), len(outcome.waiting), outcome.trouble) == (1, 3, "gone")
    assert "3 not sent: gone" in str(waiting_words(outcome, outbox))
    assert len(send(board, outbox).sent) == 3


def test_killed_between_receipt_and_removal_it_is_sent_once_more(outbox: Outbox, tmp_path: Path) -> None:
    """The receipt is there before the file goes; the board answers the same again."""
    path = write_run(tmp_path / "a.run.jsonl")
    _, item = outbox.put(path)
    assert item
    content = item.path.read_bytes()
    send(FakeBoard(), outbox)
    item.path.write_bytes(content)
    assert send(FakeBoard(), outbox).complete
    assert not item.path.exists()
    receipt = json.loads((outbox.folder / f"{item.run}.receipt.json").read_text())
    assert receipt["board"] == outbox.url
