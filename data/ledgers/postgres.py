"""A ledger in PostgreSQL, for many writers and many boards.

One table, made on first use.  Appends take turns for the moment of their insertion, so that positions become visible
in their order and a follower that has seen one has seen all before it.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from data.errors import BadInput, NotFound, StorageError
from data.ledger import Entry, digest, is_kind

__all__ = ["PostgresLedger"]

Answer = TypeVar("Answer")

#: Name of the advisory lock that appends take turns by.
_TURN = int.from_bytes(b"flopwtch")
_TABLE = """
CREATE TABLE IF NOT EXISTS flopwatch_entry (
    position BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
    kind TEXT NOT NULL,
    received TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    size_bytes BIGINT NOT NULL,
    content BYTEA NOT NULL
)
"""
_INSERT = (
    "INSERT INTO flopwatch_entry (sha256, kind, received, size_bytes, content) "
    "VALUES (%s, %s, coalesce(%s, clock_timestamp()), %s, %b) ON CONFLICT (sha256) DO NOTHING"
)
_SELECT = "SELECT sha256, kind, received, size_bytes FROM flopwatch_entry WHERE sha256 = %s"


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        raise BadInput(
            "a ledger in PostgreSQL needs psycopg: pip install 'flopwatch[postgres]', or "
            "pip install 'psycopg[binary]'"
        ) from None
    return psycopg


class PostgresLedger:
    """Entries in the table ``flopwatch_entry``; one connection, made when it is needed and again when it breaks."""

    def __init__(self, address: str) -> None:
        """Use the database at ``address``; raises BadInput for what is no address."""
        self._psycopg = _driver()
        try:
            parts = self._psycopg.conninfo.conninfo_to_dict(address)
        except self._psycopg.Error as error:
            raise BadInput(f"the address of the ledger is wrong: {error}") from None
        host = parts.get("host", "localhost")
        port = f":{parts['port']}" if "port" in parts else ""
        self.name = f"postgresql://{host}{port}/{parts.get('dbname', '')}"
        self.address = address
        self._connection: Any = None
        self._lock = threading.RLock()

    def append(self, kind: str, content: bytes, received: datetime | None = None) -> Entry:
        """Store an entry; when this returns, the server has it on its disk."""
        if not is_kind(kind):
            raise BadInput(f"{kind!r} cannot name a kind of entry")
        sha256 = digest(content)

        def insert(connection: Any) -> Entry:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])
                connection.execute(_INSERT, [sha256, kind, received, len(content), content])
            return _entry(*connection.execute(_SELECT, [sha256]).fetchone())

        return self._do(insert)

    def find(self, sha256: str) -> Entry | None:
        """Return an entry by its digest, or None."""
        row = self._do(lambda connection: connection.execute(_SELECT, [sha256]).fetchone())
        return _entry(*row) if row else None

    def read(self, sha256: str) -> bytes:
        """Return the content of an entry, checked against its name."""
        sql = "SELECT content FROM flopwatch_entry WHERE sha256 = %s"
        row = self._do(lambda connection: connection.execute(sql, [sha256], binary=True).fetchone())
        if row is None:
            raise NotFound(f"the ledger {self.name} holds no entry {sha256}")
        content = bytes(row[0])
        if digest(content) != sha256:
            raise StorageError(self.name, f"entry {sha256} is damaged; restore it from a backup")
        return content

    def path(self, sha256: str) -> Path | None:
        """Return None: the entries are rows."""
        return None

    def follow(self, cursor: str = "") -> tuple[list[Entry], str]:
        """Return the entries after the position ``cursor``."""
        sql = (
            "SELECT position, sha256, kind, received, size_bytes FROM flopwatch_entry WHERE position > %s "
            "ORDER BY position"
        )
        after = int(cursor or 0)
        rows = self._do(lambda connection: connection.execute(sql, [after]).fetchall())
        return [_entry(*row[1:]) for row in rows], str(rows[-1][0] if rows else after)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _do(self, work: Callable[[Any], Answer]) -> Answer:
        """Do something with the connection; where it broke, once more with a new one (all of it can be repeated)."""
        with self._lock:
            try:
                return self._attempt(work)
            except self._psycopg.OperationalError:
                self.close()
            try:
                return self._attempt(work)
            except self._psycopg.Error as error:
                self.close()
                raise self._in_words(error) from error

    def _attempt(self, work: Callable[[Any], Answer]) -> Answer:
        try:
            if self._connection is None:
                self._connection = self._connect()
            return work(self._connection)
        except self._psycopg.OperationalError:
            raise
        except self._psycopg.Error as error:
            raise self._in_words(error) from error

    def _connect(self) -> Any:
        connection = self._psycopg.connect(
            self.address, autocommit=True, connect_timeout=10, application_name="flopwatch"
        )
        if connection.execute("SELECT to_regclass('flopwatch_entry')").fetchone() == (None,):
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])
                connection.execute(_TABLE)
        return connection

    def _in_words(self, error: Exception) -> StorageError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return StorageError(self.name, f"the PostgreSQL server refuses or cannot be reached ({reason})")


def _entry(sha256: str, kind: str, received: datetime, size_bytes: int) -> Entry:
    return Entry(sha256, kind, received.astimezone(UTC), size_bytes)
