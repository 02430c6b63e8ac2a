"""Processes that check run files: the same answer as here, and nobody falls with one that is killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data.checkers import Checkers
from data.checking import Checked, check
from data.errors import NotStored, RunFileError, TooLarge
from data.rundocument import LIMIT_BYTES, pack
from tests.data.run_files import run_bytes

_PATIENCE_S = 300.0


@pytest.fixture
def checkers(tmp_path: Path) -> Iterator[Checkers]:
    """Processes that are ready."""
    found = Checkers()
    found.open()
    try:
        _wait(found, run_bytes(tmp_path))
        yield found
    finally:
        found.close()


def _wait(checkers: Checkers, content: bytes) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not checkers._ready():
        checkers.check(content, LIMIT_BYTES)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _bare(found: Checked) -> Checked:
    return replace(found, arrival=b"")  # it holds the moment


def test_another_process_finds_the_same(checkers: Checkers, tmp_path: Path) -> None:
    """Also packed; what is refused is refused with the same words, line and field."""
    content = run_bytes(tmp_path)
    assert _bare(checkers.check(pack(content), LIMIT_BYTES)) == _bare(check(content))
    wrong = content.replace(b'"threads":1', b'"threads":-1', 1)
    with pytest.raises(RunFileError) as here:
        check(wrong)
    with pytest.raises(RunFileError) as there:
        checkers.check(wrong, LIMIT_BYTES)
    assert there.value.describe() == here.value.describe()
    assert there.value.line
    with pytest.raises(TooLarge):
        checkers.check(pack(content), 100)


def test_a_killed_process_takes_nobody_with_it(checkers: Checkers, tmp_path: Path) -> None:
    """Whoever waits for it is told to come again, others are started, and in the end none is left."""
    content = run_bytes(tmp_path)
    pool = checkers._ready()
    assert pool is not None
    before = set(pool._processes)
    os.kill(min(before), signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE_S
    while not pool._broken:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(NotStored, match="send it again"):
        checkers.check(content, LIMIT_BYTES)
    assert _bare(checkers.check(content, LIMIT_BYTES)) == _bare(check(content))
    _wait(checkers, content)
    assert before.isdisjoint(child.pid for child in multiprocessing.active_children())
    checkers.close()
    while multiprocessing.active_children():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert checkers.check(content, LIMIT_BYTES).run == check(content).run


def test_nothing_is_started_before_the_server_is(tmp_path: Path) -> None:
    """Whoever takes in a file without a server has no processes for it."""
    children = multiprocessing.active_children()
    assert Checkers().check(run_bytes(tmp_path), LIMIT_BYTES).measurements == 4
    assert multiprocessing.active_children() == children
