"""Ownership of the index: one process at a time, told by a lock that ends with the process, however it ends."""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from data.errors import StorageError
from data.runfile import now

__all__ = ["Owner", "Ownership"]


@dataclass(frozen=True)
class Owner:
    """Who owns an index; other processes read it."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        """Name the process for people."""
        return f"process {self.pid} ({self.command}) since {self.since}"


class Ownership:
    """The lock beside a database, held or not."""

    def __init__(self, database: Path) -> None:
        """Look at the lock of ``database``; nothing is taken yet."""
        self._description = database.with_name(database.name + ".owner")
        self._path = database.with_name(database.name + ".lock")
        self._lock = FileLock(self._path, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._lock.is_locked

    def take(self, wait_s: float = 0.0) -> bool:
        """Try to become the owner for ``wait_s`` seconds; return whether that worked.

        Raises StorageError where the lock cannot be made.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=wait_s)
        except Timeout:
            return False
        except OSError as error:
            raise StorageError.from_os(self._path, error) from error
        owner = Owner(os.getpid(), " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200], now())
        try:
            self._description.write_text(json.dumps(asdict(owner)), encoding="utf-8")
        except OSError as error:
            self.release()
            raise StorageError.from_os(self._description, error) from error
        return True

    def release(self) -> None:
        """Let others own it."""
        self._lock.release(force=True)

    def owner(self) -> Owner | None:
        """Return who took the lock last, if that can be told: while the lock is held, its owner."""
        try:
            return Owner(**json.loads(self._description.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def __enter__(self) -> Self:
        """Return itself; take it with :meth:`take`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()
