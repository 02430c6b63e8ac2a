"""Run files: written line by line as measured, read whole or not at all.  docs/run-file.md describes them."""

import contextlib
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from data.errors import RunFileError, StorageError
from data.records import End, Line
from data.rundocument import LIMIT_BYTES, RunDocument, json_schema, pack, read, read_bytes, unpack

__all__ = [
    "LIMIT_BYTES",
    "RunDocument",
    "RunFileError",
    "RunFileWriter",
    "StorageError",
    "is_being_written",
    "json_schema",
    "now",
    "pack",
    "read",
    "read_bytes",
    "unpack",
]

_APPEND = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)


def now() -> str:
    """Return the present moment as run files write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class RunFileWriter:
    """Appends records to a run file; each is with the operating system when :meth:`write` returns.

    A record that does not fit on the disk leaves no part of itself.  ``held`` is what a resumed file held.
    """

    def __init__(self, path: Path) -> None:
        """Begin a new file; raises StorageError if it exists or cannot be made."""
        self.held: RunDocument | None = None
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            handle = os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            if not path.exists():
                raise StorageError(path, "a part of this path is a file, not a folder") from None
            raise StorageError(path, "exists already; resume it or choose another name") from None
        except OSError as error:
            raise StorageError.from_os(path, error) from error
        self._begin(path, handle)

    def _begin(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle
        self._digest = hashlib.sha256()
        self._lines = self._size = 0
        if not _lock(handle):
            self._handle = None
            os.close(handle)
            raise StorageError(path, "is being written by another process; wait for it to end")

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Go on with an interrupted file: a torn last line is dropped, ``held`` tells what there is.

        Raises RunFileError for a file that is complete, packed or no run file, and StorageError where it
        cannot be written.
        """
        writer = cls.__new__(cls)
        try:
            handle = os.open(path, _APPEND)
        except OSError as error:
            raise StorageError.from_os(path, error) from error
        writer._begin(path, handle)
        try:
            writer._hold(handle, read_bytes(path))
        except BaseException:
            writer.close()
            raise
        return writer

    def _hold(self, handle: int, content: bytes) -> None:
        if content[:2] == b"\x1f\x8b":
            raise RunFileError("a packed run file cannot be resumed; unpack it first", source=self.path.name)
        self.held = read(content)
        if not self.held.interrupted:
            raise RunFileError("the run is complete; there is nothing to resume", source=self.path.name)
        self._size = len(self.held.content)
        self._lines = self.held.content.count(b"\n")
        self._digest.update(self.held.content)
        os.ftruncate(handle, self._size)

    def write(self, record: Line) -> None:
        """Append one record; raises StorageError (disk full, …), and then the file is as it was before."""
        self._append(msgspec.json.encode(record) + b"\n")

    def _append(self, line: bytes) -> None:
        if self._handle is None:
            raise StorageError(self.path, "is closed")
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise StorageError.from_os(self.path, error) from error
        self._size += len(line)
        self._lines += 1
        self._digest.update(line)

    def end(self) -> None:
        """Write the last line and close: the file is complete."""
        self.write(End(ended=now(), lines=self._lines, sha256=self._digest.hexdigest()))
        self.close()

    def close(self) -> None:
        """Bring the file to the disk; without :meth:`end` before, it stays interrupted and can be resumed."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            os.fsync(handle)
        except OSError as error:
            raise StorageError.from_os(self.path, error) from error
        finally:
            os.close(handle)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, which is not the same as :meth:`end`."""
        self.close()


def is_being_written(path: Path) -> bool:
    """Whether a process is writing a run file at this moment; raises StorageError where it cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError.from_os(path, error) from error
    try:
        return not _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Keep a second writer out, as long as this process lives; return False if there is one."""
    try:
        import fcntl
    except ImportError:  # Windows: opening for exclusive creation has to do
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
