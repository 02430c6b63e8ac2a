"""The folder for files that cases write while they are measured."""

import contextlib
import shutil
import uuid
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from data import places
from data.errors import NotStored

__all__ = ["Scratch"]


class Scratch:
    """A folder for files that cases write, removed when the run ends, or by the next run if this one was killed."""

    def __enter__(self) -> Path:
        """Make it; raises NotStored where nothing can be written."""
        try:
            places.scratch().mkdir(parents=True, exist_ok=True)
            _remove_abandoned(places.scratch())
            self._path = places.scratch() / f"run-{uuid.uuid4().hex}"
            self._lock = _lock_of(self._path)
            self._lock.acquire()  # before there is a folder, so that nobody takes it for an abandoned one
            self._path.mkdir(mode=0o700)
        except OSError as error:
            raise NotStored(
                f"cannot write to {places.scratch()}: {error.strerror}; nothing was measured. "
                "Free some space, or set FLOPWATCH_HOME to a folder that can be written"
            ) from error
        return self._path

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        _remove(self._path, self._lock)


def _lock_of(path: Path) -> BaseFileLock:
    """Return the lock that is held as long as the process of a folder lives."""
    return FileLock(path.with_name(path.name + ".lock"), thread_local=False)


def _remove_abandoned(folder: Path) -> None:
    for file in folder.glob("run-*.lock"):
        path = file.with_name(file.name.removesuffix(".lock"))
        lock = _lock_of(path)
        with contextlib.suppress(Timeout, OSError):
            lock.acquire(timeout=0)
            _remove(path, lock)


def _remove(path: Path, lock: BaseFileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()
