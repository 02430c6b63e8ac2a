"""What the way in has read is handed to the index: it says the same as what is read from the ledger, and is bounded."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from data import maintenance
from data.handover import Handover, pack
from data.index import Index
from data.ingest import take
from data.ledger import RUN, Ledger
from tests.data.run_files import run_bytes, write_run
from tests.data.views import everything


def test_an_index_of_what_was_handed_over_is_that_of_the_ledger(
    home: Path, tmp_path: Path, ledger_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, interrupted, continued and unknown lines: nothing is read again, and a rebuild says the same."""
    assert home.name == "home"
    monkeypatch.setenv("FLOPWATCH_LEDGER", ledger_address)
    unended = write_run(tmp_path / "a.run.jsonl", end=False, seed=4).read_bytes()
    head, rest = run_bytes(tmp_path, seed=5).split(b"\n", 1)
    later = head + b'\n{"kind":"of-tomorrow","x":1}\n' + b"".join(rest.splitlines(keepends=True)[:-1])
    contents = [run_bytes(tmp_path, seed=seed) for seed in range(3)]
    contents += [unended[: unended.rindex(b"\n", 0, -1) + 1], unended, later]
    with Index.open() as index:
        for content in contents:
            assert index.accept(content)[1]
        with monkeypatch.context() as blind:
            blind.setattr("data.follow.take", None)
            assert index.sync() == len(contents)
        before = everything(index)
        states = index.query("SELECT state, count(*) AS n FROM entry GROUP BY state ORDER BY state")
        assert states == [{"state": "applied", "n": 5}, {"state": "superseded", "n": 1}]
    assert maintenance.check()["findings"] == []
    maintenance.rebuild()
    with Index.open() as index:
        assert everything(index) == before


def test_what_waits_is_bounded(ledger: Ledger, tmp_path: Path) -> None:
    """What has waited longest makes room, each is given away once, and a number that does not fit is read again."""
    arrivals = [take(ledger.append(RUN, run_bytes(tmp_path, seed=seed)), ledger) for seed in range(5)]
    names = [arrival.entry.sha256 for arrival in arrivals]
    handover = Handover(int(3.5 * len(pack(arrivals[0]))))
    for arrival in [*arrivals, arrivals[-1]]:
        handover.give(arrival.entry.sha256, pack(arrival))
    assert [handover.take(name) is not None for name in names] == [False, False, True, True, True]
    assert [handover.take(name) for name in names] == [None] * 5
    assert handover._bytes == 0
    assert arrivals[0].document is not None
    arrivals[0].document.run.protocol["x"] = 10**30
    handover.give(names[0], pack(arrivals[0]))
    assert handover.take(names[0]) is None


def test_a_reader_hands_nothing_over(home: Path, tmp_path: Path) -> None:
    """An index of another process is not given what nobody would fetch."""
    assert home.name == "home"
    with Index.open(), Index.open() as reader:
        assert not reader.owned
        reader.accept(run_bytes(tmp_path))
        assert not reader._handover._held


def test_a_follower_leaves_time_to_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While following takes long, it takes a fifth of the time; else it looks as often as it was told."""
    assert home.name == "home"
    times = []

    def slow(self: Index) -> int:
        times.append(time.monotonic())
        time.sleep(0.1)
        return 0

    with Index.open() as index:
        monkeypatch.setattr(Index, "sync", slow)
        index.follow(poll_s=0.001)
        time.sleep(1.5)
        monkeypatch.setattr(Index, "sync", lambda self: 0)
    assert 2 <= len(times) <= 4
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(times))
