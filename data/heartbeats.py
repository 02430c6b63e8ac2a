"""Signs of life of machines that measure unattended: what their job did last, and when it is due again.

They say nothing about results and may be lost, so they are no entries of the ledger: a small file for each job of a
machine, which the next sign of life replaces.
"""

import contextlib
import hashlib
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from data import places
from data.errors import BadInput, StorageError
from data.records import Timestamp

__all__ = ["Heartbeat", "Heartbeats", "JobState", "job_state"]

JobState = Literal["done", "due", "overdue", "unscheduled"]
#: The most jobs that are remembered; machines come and go, and nobody shall fill a disk with names.
LIMIT = 100_000
#: Years in which a job may have run or be due.
_FIRST, _LAST = 2000, 2200


class Heartbeat(Struct, kw_only=True, omit_defaults=True):
    """What a job says of itself.  ``every_s`` and ``due`` are absent for a job without a rhythm.

    ``outcome``: measured, failed, skipped, interrupted; ``done``: when the last job began that came to an end.
    """

    machine: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    job: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    at: Timestamp
    outcome: Literal["measured", "failed", "skipped", "interrupted"]
    text: Annotated[str, Meta(max_length=500)] = ""
    run: Annotated[str, Meta(max_length=36)] = ""
    every_s: Annotated[int, Meta(ge=1, le=366 * 86_400)] | None = None
    done: Timestamp | None = None
    due: Timestamp | None = None
    waiting: Annotated[int, Meta(ge=0)] = 0
    flopwatch: Annotated[str, Meta(max_length=100)] = ""

    @classmethod
    def parse(cls, content: bytes) -> "Heartbeat":
        """Read one; raises BadInput."""
        try:
            found = msgspec.json.decode(content, type=cls)
        except msgspec.MsgspecError as error:
            raise BadInput(f"this is no sign of life: {error}") from None
        for moment in (found.at, found.done, found.due):
            if moment is not None and not _is_moment(moment):
                raise BadInput(
                    f"this is no sign of life: {moment!r} is no moment of the years {_FIRST} to {_LAST}"
                )
        return found


def _is_moment(text: str) -> bool:
    """Tell whether a text that looks like a moment is one: the pattern lets a thirteenth month pass."""
    try:
        return _FIRST <= datetime.fromisoformat(text).year <= _LAST
    except ValueError:
        return False


def job_state(due: datetime | None, every_s: float | None, now: datetime) -> JobState:
    """Return whether a job is done, due, or overdue: later than due by a quarter of its rhythm, an hour at least."""
    if due is None or not every_s:
        return "unscheduled"
    if now < due:
        return "done"
    return "due" if now < due + timedelta(seconds=max(3600.0, every_s / 4)) else "overdue"


class Heartbeats:
    """The newest sign of life of each job, in a folder.  Safe for threads and processes."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use ``folder`` (default: in the home)."""
        self._folder = folder or places.heartbeats()
        self._held: dict[str, tuple[int, Heartbeat]] = {}
        self._lock = threading.Lock()

    def note(self, heartbeat: Heartbeat) -> None:
        """Keep it instead of the one before; raises StorageError."""
        who = f"{heartbeat.machine}\0{heartbeat.name}\0{heartbeat.job}"
        path = self._folder / f"{hashlib.sha256(who.encode()).hexdigest()[:24]}.json"
        aside = path.with_name(f"{path.stem}.{os.getpid()}.{threading.get_ident()}.aside")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() and len(self._held) >= LIMIT:
                raise BadInput(
                    f"more than {LIMIT:,} jobs are known; remove old files from the board's heartbeats/"
                )
            try:
                aside.write_bytes(msgspec.json.encode(heartbeat))
                aside.replace(path)
            finally:
                with contextlib.suppress(OSError):
                    aside.unlink()
        except OSError as error:
            raise StorageError.from_os(self._folder, error) from error

    def all(self) -> list[Heartbeat]:
        """Return all, the newest first; only files that have changed are read again."""
        with self._lock:
            held: dict[str, tuple[int, Heartbeat]] = {}
            with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
                for entry in entries:
                    if not entry.name.endswith(".json"):
                        continue
                    with contextlib.suppress(OSError, BadInput):
                        changed = entry.stat().st_mtime_ns
                        known = self._held.get(entry.name)
                        if known is None or known[0] != changed:
                            known = (changed, Heartbeat.parse(Path(entry.path).read_bytes()))
                        held[entry.name] = known
            self._held = held
        return sorted((one for _, one in held.values()), key=lambda one: one.at, reverse=True)
