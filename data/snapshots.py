"""Read-only copies of the index, for everybody who is not its owner.

A copy is written aside and renamed, under a new name each time: DuckDB keeps what it opened by name, and a reader of
an old copy is not disturbed.
"""

import contextlib
import os
import shutil
from pathlib import Path

from data.errors import StorageError

__all__ = ["KEPT", "generation", "newest", "publish"]

#: So many copies stay: a reader may be about to open the last but one.
KEPT = 2
_SUFFIX = ".duckdb"


def _prefix(database: Path) -> str:
    return f"{database.stem}-"


def _all(database: Path, folder: Path) -> list[Path]:
    """Return the copies, oldest first: their names hold a count in digits of one length."""
    return sorted(folder.glob(f"{_prefix(database)}*{_SUFFIX}"))


def newest(database: Path, folder: Path) -> Path | None:
    """Return the newest copy of ``database`` in ``folder``, or None."""
    found = _all(database, folder)
    return found[-1] if found else None


def generation(copy: Path) -> str:
    """Return which state of the index a copy holds."""
    return copy.stem.rpartition("-")[2]


def publish(database: Path, folder: Path, state: str) -> Path:
    """Copy ``database``, which must be at rest, as the copy of generation ``state``; remove old copies.

    Raises StorageError where that is impossible; then the older copies stay.
    """
    held = newest(database, folder)
    count = int(held.stem.split("-")[-2]) + 1 if held else 1
    target = folder / f"{_prefix(database)}{count:010}-{state}{_SUFFIX}"
    aside = folder / f"{target.name}.{os.getpid()}.aside"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(database, aside)
        aside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise StorageError.from_os(folder, error) from error
    _clean(database, folder, target)
    return target


def _clean(database: Path, folder: Path, published: Path) -> None:
    old = [*_all(database, folder)[:-KEPT], *folder.glob(f"{_prefix(database)}*.aside")]
    for path in old:
        if path != published:
            with contextlib.suppress(
                OSError
            ):  # Windows keeps what a reader has open; a later call removes it
                path.unlink()
