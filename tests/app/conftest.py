"""A store in a folder of its own for each test, filled from run files that the test describes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import reading
from data.index import record_in_ledger
from tests.app.builder import Plan, write_run

Fill = Callable[..., list[str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home; whatever the test opened is closed after it."""
    for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path / "home"))
    # A busy machine may take its time over what a person would not wait for.
    monkeypatch.setattr(reading, "WAIT_S", 60.0)
    yield tmp_path / "home"
    reading.close()


@pytest.fixture
def fill(home: Path) -> Fill:
    """Return a function that records one run for each plan and returns the ids of the runs."""

    def record(*plans: Plan) -> list[str]:
        ids = []
        for plan in plans:
            folder = home / "runs"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{len(list(folder.iterdir()))}.run.jsonl"
            ids.append(write_run(path, plan))
            record_in_ledger(path)
        return ids

    return record
