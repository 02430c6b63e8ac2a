"""The ledger: append-only entries named by the SHA-256 of their content.

Everything that is known about results is in it; the index is made from it and can be thrown away.  Writers
only append.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from data.errors import BadInput

__all__ = ["RUN", "Entry", "Ledger", "digest", "is_kind", "open_ledger"]

#: The kind of entries that hold a run file; the others are in :mod:`data.entries`.
RUN = "run"


@dataclass(frozen=True)
class Entry:
    """One entry without its content; ``received`` is when the ledger first had it (UTC)."""

    sha256: str
    kind: str
    received: datetime
    size_bytes: int


class Ledger(Protocol):
    """What every kind of ledger can do.  All methods raise StorageError where the storage fails."""

    @property
    def name(self) -> str:
        """Where it is, for people; never with a password."""

    @property
    def address(self) -> str:
        """What :func:`open_ledger` opens it by, password included: not for people."""

    def append(self, kind: str, content: bytes, received: datetime | None = None) -> Entry:
        """Store ``content`` durably and return its entry; what is held already is not stored again.

        ``received`` (default: now) is for entries that come from another ledger.
        """

    def find(self, sha256: str) -> Entry | None:
        """Return an entry by its digest, or None."""

    def read(self, sha256: str) -> bytes:
        """Return the content of an entry; raises NotFound, or StorageError where it is damaged."""

    def path(self, sha256: str) -> Path | None:
        """Return the file that an entry is, where it is one: it must not be changed."""

    def follow(self, cursor: str = "") -> tuple[list[Entry], str]:
        """Return what was appended since ``cursor``, and the next cursor; some may be returned again.

        No entry is ever missed: one whose append had returned before this call is in this answer or in an
        earlier one.
        """

    def close(self) -> None:
        """Let go of connections."""


def is_kind(text: str) -> bool:
    """Whether ``text`` can name a kind of entry: a ledger may hold kinds that this version does not know."""
    return re.fullmatch(r"[a-z][a-z-]{0,39}", text) is not None


def digest(content: bytes) -> str:
    """Return the name of ``content`` in a ledger."""
    return hashlib.sha256(content).hexdigest()


def open_ledger(where: Path | str) -> Ledger:
    """Return the ledger at a folder or a ``postgresql://`` address."""
    text = str(where)
    if text.startswith(("postgresql://", "postgres://")):
        from data.ledgers.postgres import PostgresLedger

        return PostgresLedger(text)
    if "://" in text:
        raise BadInput(f"a ledger is a folder or postgresql://…, not {text.split('://')[0]}://…")
    from data.ledgers.directory import DirectoryLedger

    return DirectoryLedger(Path(text))
