"""Where things lie."""

from pathlib import Path

import pytest

from data import places


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLOPWATCH_HOME", "FLOPWATCH_DB", "FLOPWATCH_LEDGER", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_a_checkout_keeps_its_data_in_itself() -> None:
    """Without any setting, a checkout uses data/local."""
    assert places.home() == Path(places.__file__).parent / "local"
    assert places.database() == places.home() / "flopwatch.duckdb"
    assert places.ledger() == str(places.home() / "ledger")


def test_an_installed_package_uses_the_data_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of a checkout the platform says where data goes."""
    monkeypatch.setattr(places, "_ROOT", tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.home() == tmp_path / ".local" / "share" / "flopwatch"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert places.home() == tmp_path / "data" / "flopwatch"
    monkeypatch.setattr("sys.platform", "darwin")
    assert places.home() == tmp_path / "Library" / "Application Support" / "flopwatch"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "AppData"))
    assert places.home() == tmp_path / "AppData" / "flopwatch"


def test_home_moves_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLOPWATCH_HOME alone decides where all of it is."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path))
    found = [
        places.database(),
        places.runs(),
        places.scratch(),
        places.outbox(),
        places.snapshots(),
        places.numba(),
    ]
    assert {place.parent for place in found} == {tmp_path}
    assert Path(places.ledger()).parent == tmp_path


def test_with_a_database_alone_the_ledger_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLOPWATCH_DB takes the ledger and the snapshots along, FLOPWATCH_HOME keeps the rest."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLOPWATCH_DB", str(tmp_path / "other" / "index.duckdb"))
    assert places.ledger() == str(tmp_path / "other" / "ledger")
    assert places.snapshots() == tmp_path / "other" / "snapshots"
    assert places.runs() == tmp_path / "home" / "runs"


def test_the_ledger_can_be_a_server_or_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLOPWATCH_LEDGER goes before everything else, and an address is left as it is."""
    monkeypatch.setenv("FLOPWATCH_DB", str(tmp_path / "index.duckdb"))
    monkeypatch.setenv("FLOPWATCH_LEDGER", str(tmp_path / "shared"))
    assert places.ledger() == str(tmp_path / "shared")
    monkeypatch.setenv("FLOPWATCH_LEDGER", "postgresql://host/board")
    assert places.ledger() == "postgresql://host/board"
