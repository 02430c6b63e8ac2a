"""The index in DuckDB: one connection, a cursor for each unit of work, one transaction for each batch of entries."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, Self

import duckdb

from data.derived import trim_samples
from data.errors import BadInput, IndexOwned, SchemaError, StorageError
from data.ingest import REFUSED, Arrival, apply
from data.ledger import Entry, Ledger
from data.migrations import migrate, require_current

__all__ = ["Store"]

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_MOMENT = "TIMESTAMP WITH TIME ZONE"


class Store:
    """One index file.  Any thread may use it; writers take turns."""

    def __init__(self, path: Path, *, read_only: bool = False, bulk: bool = False) -> None:
        """Open the file, made and migrated if need be.

        With ``bulk``, only :meth:`checkpoint` makes anything durable: for a file that is made anew and that nobody
        reads until it is whole.

        Raises IndexOwned if another process holds it, SchemaError where this version cannot use it, StorageError
        where the file system refuses.
        """
        self.path, self.read_only, self._bulk = path, read_only, bulk
        self._writing = threading.RLock()
        self._connection = _connect_bulk(path) if bulk else _connect(path, read_only)
        try:
            with self.cursor() as cursor:
                require_current(cursor) if read_only else migrate(cursor)
        except duckdb.Error as error:
            self.close()
            raise _in_words(path, error) from error
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a cursor for one unit of work; fetch what you execute to the end."""
        cursor = self._connection.cursor()
        try:
            if self._bulk:
                cursor.execute("USE bulk").fetchall()
            yield cursor
        finally:
            cursor.close()

    def query(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a SELECT as dicts; moments are aware datetimes in UTC.

        Raises BadInput where the SQL is wrong.
        """
        try:
            with self.cursor() as cursor:
                relation = cursor.sql(sql, params=parameters)
                names, moments = relation.columns, [str(kind) == _MOMENT for kind in relation.types]
                if any(moments):
                    relation = relation.project(
                        ", ".join(_plain(name, moment) for name, moment in zip(names, moments, strict=True))
                    )
                rows = relation.fetchall()
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
            raise BadInput(f"the query cannot be answered: {error}") from error
        except duckdb.Error as error:
            raise _in_words(self.path, error) from error
        aware = [position for position, moment in enumerate(moments) if moment]
        return [dict(zip(names, _aware(row, aware), strict=True)) for row in rows]

    def frame(self, sql: str, parameters: Sequence[Any] | dict[str, Any] | None = None) -> Any:
        """Return the rows of a SELECT as a pandas DataFrame (pandas must be installed)."""
        with self.cursor() as cursor:
            return cursor.execute(sql, parameters).df()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a cursor inside a transaction that happens as a whole or not at all."""
        with self._writing, self.cursor() as cursor:
            try:
                cursor.execute("BEGIN").fetchall()
                yield cursor
                cursor.execute("COMMIT").fetchall()
            except BaseException as error:
                with contextlib.suppress(duckdb.Error):
                    cursor.execute("ROLLBACK").fetchall()
                if isinstance(
                    error, duckdb.IOException | duckdb.OutOfMemoryException | duckdb.FatalException
                ):
                    raise _in_words(self.path, error) from error
                raise

    def ingest(self, arrivals: Sequence[Arrival], ledger: Ledger) -> None:
        """Index a batch.  Where one arrival does not fit, it is refused alone and the others are indexed.

        Raises StorageError where the index cannot be written; then the batch can be given again.
        """
        if not arrivals:
            return
        try:
            self._ingest(arrivals, ledger)
        except (duckdb.Error, BadInput) as error:
            if len(arrivals) > 1:
                for arrival in arrivals:
                    self.ingest([arrival], ledger)
                return
            refused = Arrival(
                arrivals[0].entry, state=REFUSED, message=f"does not fit into the index: {error}"
            )
            self._ingest([refused], ledger)

    def _ingest(self, arrivals: Sequence[Arrival], ledger: Ledger) -> None:
        with self.transaction() as cursor:
            apply(cursor, arrivals, ledger)
            _set(cursor, "generation", str(time.time_ns()))

    def unknown(self, entries: Sequence[Entry], *, retry: bool = False) -> list[Entry]:
        """Return those entries that are not in the index yet; with ``retry``, also those that were refused."""
        with self.cursor() as cursor:
            rows = cursor.execute(
                "SELECT sha256 FROM entry WHERE sha256 IN (SELECT unnest(?::VARCHAR[])) "
                "AND (state != 'refused' OR NOT ?)",
                [[entry.sha256 for entry in entries], retry],
            ).fetchall()
        held = {sha256 for (sha256,) in rows}
        return [entry for entry in entries if entry.sha256 not in held]

    def trim(self, limit_bytes: int) -> None:
        """Leave the samples of older runs to the ledger, where those held come from more bytes of run files."""
        with self.transaction() as cursor:
            if trim_samples(cursor, limit_bytes):
                _set(cursor, "generation", str(time.time_ns()))

    @property
    def alive(self) -> bool:
        """Whether the file can still be asked: DuckDB gives up what it could not write to, until it is opened again."""
        try:
            with self.cursor() as cursor:
                cursor.execute("SELECT 1").fetchall()
        except duckdb.Error:
            return False
        return True

    def setting(self, name: str) -> str:
        """Return a remembered value, or an empty string."""
        with self.cursor() as cursor:
            rows = cursor.execute("SELECT value FROM setting WHERE name = ?", [name]).fetchall()
        return rows[0][0] if rows else ""

    def remember(self, name: str, value: str) -> None:
        """Remember a value."""
        with self.transaction() as cursor:
            _set(cursor, name, value)

    def checkpoint(self) -> None:
        """Bring everything into the file itself, so that a copy of it is whole until the next write."""
        try:
            with self.cursor() as cursor:
                cursor.execute("CHECKPOINT").fetchall()
        except duckdb.Error as error:
            raise _in_words(self.path, error) from error

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[Path]:
        """Lend the file while nothing writes to it."""
        with self._writing:
            self.checkpoint()
            yield self.path

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()


def _set(cursor: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    cursor.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", [name, value]).fetchall()


def _plain(name: str, moment: bool) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{quoted}::TIMESTAMP AS {quoted}" if moment else quoted


def _aware(row: tuple[Any, ...], positions: Sequence[int]) -> tuple[Any, ...]:
    if not positions:
        return row
    values = list(row)
    for position in positions:
        if values[position] is not None:
            values[position] = values[position].replace(tzinfo=UTC)
    return tuple(values)


def _connect_bulk(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a file without a write-ahead log; one processor is left to whoever reads the ledger meanwhile."""
    connection = _connect(
        Path(":memory:"),
        False,
        threads=max(1, (os.cpu_count() or 1) - 1),
        checkpoint_threshold="256MB",
        auto_checkpoint_skip_wal_threshold=1 << 28,
        temp_directory=f"{path}.tmp",
    )
    name = str(path).replace("'", "''")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"ATTACH '{name}' AS bulk (RECOVERY_MODE NO_WAL_WRITES)").fetchall()
    except OSError as error:
        raise StorageError.from_os(path, error) from error
    except duckdb.Error as error:
        connection.close()
        raise _in_words(path, error) from error
    return connection


def _connect(path: Path, read_only: bool, **settings: int | str) -> duckdb.DuckDBPyConnection:
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), read_only=read_only, config=_CONFIG | settings)
        connection.execute("SET GLOBAL TimeZone = 'UTC'").fetchall()
        return connection
    except OSError as error:
        raise StorageError.from_os(path, error) from error
    except duckdb.Error as error:
        raise _in_words(path, error) from error


def _in_words(path: Path, error: Exception) -> Exception:
    """Turn an error of DuckDB into one for people."""
    text = str(error)
    first = text.splitlines()[0]
    if "Could not set lock" in text:
        return IndexOwned(f"{path}: another process holds the index ({first})")
    if "version number" in text:
        return SchemaError(
            f"{path}: written by another version of DuckDB; rebuild it: flopwatch db rebuild ({first})"
        )
    if "No space left" in text or "could not write all bytes" in text.lower():
        return StorageError(path, f"the disk is full; free some space and repeat ({first})")
    if "Permission denied" in text or "Read-only file system" in text:
        return StorageError(
            path, f"cannot be written; choose another place or change its permissions ({first})"
        )
    if isinstance(error, duckdb.IOException | duckdb.SerializationException | duckdb.FatalException):
        return StorageError(path, f"cannot be read or written; rebuild it: flopwatch db rebuild ({first})")
    return StorageError(path, first)
