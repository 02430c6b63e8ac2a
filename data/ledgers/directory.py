"""A ledger as a folder of files (``ab/ab….run.jsonl``), named by their SHA-256 so that ``sha256sum`` checks them.

An entry is written aside, synced and renamed, and its folder synced; so a name stands for whole content, also after
a power failure.  Following costs one ``stat`` for each of the 256 folders: only those that changed are listed.
"""

import contextlib
import json
import os
import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data.errors import BadInput, NotFound, StorageError
from data.ledger import RUN, Entry, digest, is_kind

__all__ = ["DirectoryLedger"]

#: A folder that changed this recently may change again without a new time stamp (file systems round it).
_SETTLED_NS = 3_000_000_000
_ASIDE = "aside"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[0-9a-f]{64}\.[a-z][a-z-]{0,39}\.jsonl?")
_ABANDONED_S = 24 * 3600


class DirectoryLedger:
    """Entries as files below ``root``; made on the first append."""

    def __init__(self, root: Path) -> None:
        """Use the folder ``root``, which need not exist yet."""
        self.root = root

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.root)

    def append(self, kind: str, content: bytes, received: datetime | None = None) -> Entry:
        """Store an entry; when this returns, it is on the disk."""
        if not is_kind(kind):
            raise BadInput(f"{kind!r} cannot name a kind of entry")
        sha256 = digest(content)
        target = self._path(sha256, kind)
        try:
            if _holds(target, content):  # its writer may not have synced it yet, and we acknowledge it
                _sync(target)
                _sync_folder(target.parent)
            else:
                self._store(target, content, received)
            return _entry(target.name, target.stat())
        except OSError as error:
            raise StorageError.from_os(self.root, error) from error

    def _store(self, target: Path, content: bytes, received: datetime | None) -> None:
        self._make(self.root / _ASIDE)
        self._make(target.parent)
        aside = self.root / _ASIDE / uuid.uuid4().hex
        try:
            with aside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if received:
                moment_ns = (received - _EPOCH) // timedelta(microseconds=1) * 1000
                os.utime(aside, ns=(moment_ns, moment_ns))
            aside.replace(target)
        finally:
            with contextlib.suppress(OSError):
                aside.unlink()
        _sync_folder(target.parent)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(folder.parent)

    def _path(self, sha256: str, kind: str) -> Path:
        return self.root / sha256[:2] / f"{sha256}.{kind}.{'jsonl' if kind == RUN else 'json'}"

    def find(self, sha256: str) -> Entry | None:
        """Return an entry by its digest, or None."""
        try:
            path = self.path(sha256)
            return _entry(path.name, path.stat()) if path else None
        except OSError as error:
            raise StorageError.from_os(self.root, error) from error

    def read(self, sha256: str) -> bytes:
        """Return the content of an entry, checked against its name."""
        path = self.path(sha256)
        if path is None:
            raise NotFound(f"the ledger {self.name} holds no entry {sha256}")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StorageError.from_os(path, error) from error
        if digest(content) != sha256:
            raise StorageError(path, "is damaged, its SHA-256 is not its name; restore it from a backup")
        return content

    def path(self, sha256: str) -> Path | None:
        """Return the file of an entry, or None."""
        run = self._path(sha256, RUN)
        if run.exists():
            return run
        others = (self.root / sha256[:2]).glob(f"{sha256}.*.json")
        return next((path for path in others if _NAME.fullmatch(path.name)), None)

    def follow(self, cursor: str = "") -> tuple[list[Entry], str]:
        """Return the entries in all folders that changed since ``cursor``."""
        known: dict[str, int] = json.loads(cursor) if cursor else {}
        found: list[Entry] = []
        try:
            for shard in self._shards():
                settled = self._list(shard, known.get(shard.name), found)
                if settled is not None:
                    known[shard.name] = settled
                else:
                    known.pop(shard.name, None)
        except OSError as error:
            raise StorageError.from_os(self.root, error) from error
        found.sort(key=lambda entry: (entry.received, entry.sha256))
        return found, json.dumps(known, separators=(",", ":"))

    def _shards(self) -> list[Path]:
        try:
            return sorted(path for path in self.root.iterdir() if len(path.name) == 2 and path.is_dir())
        except FileNotFoundError:
            return []

    def _list(self, shard: Path, known_ns: int | None, found: list[Entry]) -> int | None:
        """List a folder if it changed; return its time stamp if a later change is sure to change that, too."""
        changed_ns = shard.stat().st_mtime_ns
        if changed_ns == known_ns:
            return changed_ns
        settled = time.time_ns() - changed_ns > _SETTLED_NS
        with os.scandir(shard) as files:
            for file in files:
                if _NAME.fullmatch(file.name):
                    found.append(_entry(file.name, file.stat()))
        return changed_ns if settled else None

    def clean(self) -> int:
        """Remove what killed writers left aside a day ago or earlier; return how many files."""
        removed = 0
        for path in (self.root / _ASIDE).glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()
                    removed += 1
        return removed

    def close(self) -> None:
        """Nothing is held open."""


def _entry(name: str, status: os.stat_result) -> Entry:
    sha256, kind, _ = name.split(".")
    received = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
    return Entry(sha256, kind, received, status.st_size)


def _holds(path: Path, content: bytes) -> bool:
    """Whether the file holds just this; a damaged one is replaced."""
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder, and syncs its entries with the file
        _sync(folder)
