"""What ``flopwatch db`` does: tell, check, rebuild, back up and restore.  Every function answers with a dict."""

import contextlib
import io
import os
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from data import places, snapshots
from data.checks import check_index, check_ledger
from data.errors import BadInput, IndexOwned, StorageError
from data.follow import follow
from data.index import WAIT_S, Index
from data.ledger import Ledger, digest, is_kind, open_ledger
from data.migrations import MIGRATIONS
from data.owner import Ownership
from data.store import Store

__all__ = ["backup", "check", "info", "rebuild", "restore"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


def info() -> dict[str, Any]:
    """Return where things are, how many there are, and who owns the index."""
    with Index.open() as index:
        counts = index.query(
            "SELECT (SELECT count(*) FROM entry) AS entries, (SELECT count(*) FROM run) AS runs, "
            "(SELECT count(*) FROM measurement) AS measurements, (SELECT count(*) FROM series) AS series, "
            "(SELECT coalesce(sum(samples), 0)::BIGINT FROM measurement) AS samples, "
            "(SELECT count(*) FROM machine) AS machines, "
            "(SELECT count(*) FROM entry WHERE state = 'refused') AS refused, "
            "(SELECT count(*) FROM entry WHERE state = 'conflict') AS conflicts"
        )[0]
        copy = snapshots.newest(index.database, index.copies)
        return {
            "home": str(places.home()),
            "database": str(index.database),
            "database_bytes": index.database.stat().st_size if index.database.exists() else 0,
            "ledger": index.ledger.name,
            "snapshot": str(copy) if copy else None,
            "owner": None if index.owned else str(index.owner),
            "problem": index.problem or None,
            "schema": MIGRATIONS[-1].version,
            "duckdb": duckdb.__version__,
            **counts,
        }


def check() -> dict[str, Any]:
    """Check every entry of the ledger, the index, and one against the other.

    ``ok`` is whether nothing was found; ``findings`` says what was, each as a sentence.
    """
    with Index.open() as index:
        entries, findings = check_ledger(index.ledger)
        findings += check_index(index, entries)
        if index.problem:
            findings.append(index.problem)
        return {"ok": not findings, "entries": len(entries), "findings": findings}


def rebuild(progress: Progress = _silent, wait_s: float = WAIT_S) -> dict[str, Any]:
    """Make the index anew from the ledger, in a new file that takes the place of the old one when it is whole.

    Raises IndexOwned, naming the owner, if another process owns the index for longer than ``wait_s`` seconds.
    """
    database, started = places.database(), time.monotonic()
    fresh = database.with_name(database.name + ".rebuilding")
    ledger = open_ledger(places.ledger())
    with contextlib.closing(ledger), Ownership(database) as ownership:
        if not ownership.take(wait_s):
            raise IndexOwned(
                f"the index is owned by {ownership.owner()}; end it, then repeat flopwatch db rebuild"
            )
        try:
            _remove(fresh)
            with Store(fresh, bulk=True) as store:
                entries = follow(store, ledger, parallel=True, progress=progress)
                store.checkpoint()
            _remove_log(database)
            fresh.replace(database)
        except OSError as error:
            raise StorageError.from_os(database, error) from error
        finally:
            with contextlib.suppress(OSError):
                _remove(fresh)
    with Index.open() as index:
        measurements = index.query("SELECT count(*) AS held FROM measurement")[0]["held"]
    return {
        "database": str(database),
        "entries": entries,
        "measurements": measurements,
        "database_bytes": database.stat().st_size,
        "seconds": round(time.monotonic() - started, 3),
    }


def _remove(database: Path) -> None:
    database.unlink(missing_ok=True)
    _remove_log(database)


def _remove_log(database: Path) -> None:
    database.with_name(database.name + ".wal").unlink(missing_ok=True)


def backup(target: Path, ledger: Ledger | None = None, progress: Progress = _silent) -> dict[str, Any]:
    """Write all entries of the ledger into one new tar file (gzipped if it is called ``….gz``), also while in use.

    Entries are never changed, so what was there at the beginning is in it.  Raises StorageError where the file
    exists or cannot be written.
    """
    source = ledger or open_ledger(places.ledger())
    entries, _ = source.follow()
    mode = "w:gz" if target.name.endswith("gz") else "w"
    aside = target.with_name(f"{target.name}.{os.getpid()}.aside")
    if target.exists():
        raise StorageError(target, "exists already; choose another name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("xb") as file:
            with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
                for done, entry in enumerate(entries, 1):
                    content = source.read(entry.sha256)
                    member = tarfile.TarInfo(f"{entry.sha256}.{entry.kind}")
                    member.size, member.mtime = len(content), entry.received.timestamp()
                    archive.addfile(member, io.BytesIO(content))
                    progress(done, len(entries))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except OSError as error:
        raise StorageError.from_os(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
    return {"file": str(target), "entries": len(entries), "bytes": target.stat().st_size}


def restore(source: Path, ledger: Ledger | None = None, progress: Progress = _silent) -> dict[str, Any]:
    """Append all entries of a backup to the ledger; what is there stays, and what is held is not doubled.

    The file is checked as a whole before anything is appended.  Raises BadInput naming the member that is wrong.
    """
    target = ledger or open_ledger(places.ledger())
    total = sum(1 for _ in _members(source))
    restored = 0
    for done, (kind, received, content) in enumerate(_members(source), 1):
        if target.find(digest(content)) is None:
            target.append(kind, content, received)
            restored += 1
        progress(done, total)
    if ledger is None:
        target.close()
        Index.open().close()
    return {"file": str(source), "entries": total, "restored": restored}


def _members(source: Path) -> Iterator[tuple[str, datetime, bytes]]:
    try:
        with tarfile.open(source, "r|*") as archive:
            for member in archive:
                sha256, _, kind = member.name.partition(".")
                file = archive.extractfile(member)
                content = file.read() if file else b""
                if digest(content) != sha256 or not is_kind(kind):
                    raise BadInput(f"{source}: {member.name[:100]!r} is damaged; nothing was restored")
                yield kind, _EPOCH + timedelta(microseconds=round(member.mtime * 1e6)), content
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BadInput(f"{source} is no backup of flopwatch ({error}); nothing was restored") from error
    except OSError as error:
        raise StorageError.from_os(source, error) from error
