"""What an importer finds: runs of other tools, with as much as their files tell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from data.importers.source import Source
from data.records import Work

__all__ = ["Imported", "Importer", "Interval", "Result", "Timing", "from_epoch", "parse_moment", "seconds"]

#: unit of time → ns, as tools write it
_UNITS = {"s": 1e9, "seconds": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "μs": 1e3, "ns": 1.0, "ps": 1e-3}


@dataclass
class Timing:
    """The samples of one process in ns of one call; each is the mean of ``batch`` calls, as the tool took it."""

    call_ns: list[float]
    batch: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """What the tool itself says about its time, in ns, and in its words."""

    low_ns: float
    high_ns: float
    what: str


@dataclass(kw_only=True)
class Result:
    """One benchmark.  ``timings`` has one element a process.

    Without raw samples, ``timings`` holds the one number that the tool gave and ``summary`` says which (``mean``,
    ``median``).  A ``reason`` instead of timings says why there is no time, and ``failed`` whether that is a failure.
    """

    name: str
    timings: list[Timing] = field(default_factory=list)
    summary: str = ""
    threads: int = 1
    device: str = "cpu"
    condition: str = "given"
    work: Work = field(default_factory=Work)
    unit: str = "s"
    interval: Interval | None = None
    reason: str = ""
    failed: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Imported:
    """One run.  Empty fields are what the file does not tell."""

    tool: str
    results: list[Result]
    started: datetime | None = None
    tool_version: str = ""
    host: str = ""
    cpu_model: str = ""
    cores: int = 0
    threads: int = 0
    memory_bytes: int = 0
    devices: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    interpreter: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    commit: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Importer:
    """A format: its name, what it is, whether a file is of it, and how it is read."""

    name: str
    title: str
    recognises: Callable[[Source], bool]
    read: Callable[[Source], list[Imported]]


def seconds(unit: str) -> float | None:
    """Return how many ns a unit of time has, or None for what is no unit of time."""
    return _UNITS.get(unit)


def parse_moment(text: str | None) -> datetime | None:
    """Return a moment in UTC as tools write it (without a zone it is taken for UTC), or None."""
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def from_epoch(milliseconds: float) -> datetime:
    """Return a moment from ms since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
