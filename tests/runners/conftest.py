"""A fake kernel in real workers, and a home of their own for all files."""

from pathlib import Path

import pytest

from runners import workload

FAKE_KERNELS = Path(__file__).with_name("fake_kernels.py")


@pytest.fixture
def fake_kernels(monkeypatch):
    """Make the kernel ``fake`` known here and in workers."""
    monkeypatch.setenv("FLOPWATCH_KERNELS", str(FAKE_KERNELS))
    workload.kernels.cache_clear()
    yield workload.kernels()["fake"]
    monkeypatch.undo()
    workload.kernels.cache_clear()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path / "home"))
    for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"
