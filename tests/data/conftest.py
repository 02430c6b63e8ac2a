"""What the tests of the data room share: a home of their own, and both kinds of ledger."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.ledger import Ledger, open_ledger
from data.records import uuid7
from tests.data.postgres_server import PostgresServer, find_binaries


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty FLOPWATCH_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FLOPWATCH_HOME", str(folder))
    for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL server."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (pip install 'flopwatch[postgres]')")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["directory", "postgres"])
def ledger_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger can be: each test that uses it runs once for a folder and once for PostgreSQL."""
    if request.param == "directory":
        return str(tmp_path / "ledger")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database("test_" + uuid7().replace("-", "_"))


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    """An empty ledger of each kind."""
    opened = open_ledger(ledger_address)
    yield opened
    opened.close()
