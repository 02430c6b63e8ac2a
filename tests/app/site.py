"""A board without a socket, for tests: its client, its tokens, and the run files that are sent to it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import api, reading
from app.api import access
from data import places
from data.ledger import open_ledger
from data.tokens import Tokens
from tests.data.run_files import run_bytes

__all__ = ["RUNS", "Site", "open_site"]

RUNS = "/api/v1/runs"
#: Opening an index takes long on a machine that is measuring.
_PATIENCE_S = 120.0


class Site:
    """The board of ``FLOPWATCH_HOME``; ``folder`` is for files that are made and sent."""

    def __init__(self, client: TestClient, folder: Path) -> None:
        self.client, self.tokens, self.folder = client, Tokens(), folder
        self._names = itertools.count()
        self._own = ""

    def token(self, name: str = "", **options: Any) -> str:
        """Make a token and return its text."""
        return self.tokens.create(name or f"token {next(self._names)}", **options)[1]

    @property
    def own(self) -> str:
        """The token that is used where a test names none."""
        self._own = self._own or self.token("own")
        return self._own

    def run(self, **options: Any) -> bytes:
        """Return a new run file."""
        return run_bytes(self.folder, **options)

    def send(self, content: Any, token: str = "", **headers: str) -> Any:
        """Send something; an empty header is left out."""
        sent = {"Authorization": f"Bearer {token or self.own}", "Content-Type": "application/x-ndjson"}
        sent |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        return self.client.post(RUNS, content=content, headers={k: v for k, v in sent.items() if v})

    def get(self, path: str, token: str = "") -> Any:
        """Ask for something."""
        return self.client.get(path, headers={"Authorization": f"Bearer {token or self.own}"})

    def held(self) -> int:
        """How many entries the ledger has."""
        return len(open_ledger(places.ledger()).follow()[0])


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Open the board of ``FLOPWATCH_HOME``."""
    access.reset()
    with TestClient(Starlette(routes=list(api.routes())), raise_server_exceptions=False) as client:
        reading.store(_PATIENCE_S)
        yield Site(client, folder)
