"""What is remembered of a job from one time to the next: a small file in the home, replaced as a whole."""

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from data import places
from data.errors import BadInput, StorageError

__all__ = ["State", "jobs", "lock_file", "log_file"]

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def _folder() -> Path:
    return places.home() / "jobs"


def lock_file() -> Path:
    """Return the file that keeps a second job of this home out."""
    return _folder() / "lock"


def log_file() -> Path:
    """Return the log of all jobs."""
    return _folder() / "job.log"


def jobs() -> list["State"]:
    """Return what is remembered of each job, by name."""
    return [State.read(path.stem) for path in sorted(_folder().glob("*.json"))]


@dataclass
class State:
    """A job by name.  Moments are UTC as text, or empty.

    ``done``: when the last job began that came to an end; ``begun``: when the present one began, left standing if
    it was cut; ``attempts``: how often the present one was begun; ``count``: jobs that came to an end;
    ``environment`` and ``run``: ids of what was measured last.
    """

    name: str
    done: str = ""
    begun: str = ""
    attempts: int = 0
    count: int = 0
    environment: str = ""
    run: str = ""
    last: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str) -> "State":
        """Read the state of a job; a file that cannot be read is a job that never ran."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
            raise BadInput(f"--name {name!r} is no name; use small letters, digits and -, 40 at most")
        try:
            held = json.loads((_folder() / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return cls(name)
        if not isinstance(held, dict):
            return cls(name)
        known = {one.name for one in fields(cls)}
        found = cls(**{key: value for key, value in held.items() if key in known} | {"name": name})
        try:
            found.moment("done"), found.moment("begun")
        except (TypeError, ValueError):
            return cls(name)
        return found

    def moment(self, which: str) -> datetime | None:
        """Return ``done`` or ``begun`` as a moment, or None."""
        text = str(getattr(self, which))
        return datetime.fromisoformat(text) if text else None

    @staticmethod
    def text(moment: datetime) -> str:
        """Return a moment as it is kept."""
        return moment.strftime(_FORMAT)

    def write(self) -> None:
        """Replace the file; raises StorageError."""
        path = _folder() / f"{self.name}.json"
        aside = path.with_name(f"{path.name}.{os.getpid()}.aside")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("w", encoding="utf-8") as file:
                    json.dump(asdict(self), file, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(path)
            finally:
                with contextlib.suppress(OSError):
                    aside.unlink()
        except OSError as error:
            raise StorageError.from_os(path, error) from error
