"""What is missing and what is old: cells that have no recent result and why, machines and series gone stale."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from data.words import Status

__all__ = ["RECENT", "Gap", "Stale", "gaps", "stale"]

Row = Mapping[str, Any]

#: A result younger than this is recent.
RECENT = timedelta(days=30)
_CELL = ("case_id", "variant", "condition", "backend", "device", "threads")


@dataclass(frozen=True)
class Gap:
    """A cell that has no recent result on a machine."""

    machine: str
    case: str
    variant: str
    condition: str
    backend: str
    device: str
    threads: int
    why: str
    install: str = ""
    last_ok: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it with stable names."""
        return asdict(self) | {"last_ok": self.last_ok.isoformat() if self.last_ok else None}


@dataclass(frozen=True)
class Stale:
    """A machine or series that was measured, and is no more."""

    kind: str
    name: str
    last_seen: datetime
    days: int

    @property
    def text(self) -> str:
        """Return how long ago: ``last seen 63 days ago``."""
        return f"last seen {self.days} days ago"

    def to_json(self) -> dict[str, Any]:
        """Return it with stable names."""
        return asdict(self) | {"last_seen": self.last_seen.isoformat(), "text": self.text}


def gaps(
    latest: Iterable[Row], last_ok: Mapping[str, datetime], now: datetime, recent: timedelta = RECENT
) -> list[Gap]:
    """Return the cells without a recent result that is ok.

    Expected is, on each machine, every cell that any machine has measured or tried.  ``latest`` are all rows of the
    view of that name; ``last_ok`` says when each series was ok last.
    """
    rows = list(latest)
    cells = {tuple(row[name] for name in _CELL) for row in rows}
    machines: dict[str, dict[tuple[Any, ...], Row]] = {}
    for row in rows:
        machines.setdefault(str(row["machine_id"]), {})[tuple(row[name] for name in _CELL)] = row
    found = []
    for held in machines.values():
        name = str(next(iter(held.values()))["machine"])
        threads = {row["threads"] for row in held.values()}
        for cell in sorted(cells):
            there = held.get(cell)
            if there is None and cell[-1] not in threads:
                continue  # a machine with other cores has other thread counts
            why, install, when = _why(there, last_ok, now, recent)
            if why:
                found.append(Gap(name, *cell, why, install, when))  # type: ignore[call-arg]
    return found


def _why(
    row: Row | None, last_ok: Mapping[str, datetime], now: datetime, recent: timedelta
) -> tuple[str, str, datetime | None]:
    if row is None:
        return "never measured on this machine", "", None
    when = last_ok.get(str(row["series_id"]))
    if row["status"] == Status.OK:
        days = (now - row["started"]).days
        return (f"its last result is {days} days old" if now - row["started"] > recent else ""), "", when
    reason = f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"])
    return reason, str(row["install"] or ""), when


def stale(
    machines: Iterable[Row], latest: Iterable[Row], now: datetime, recent: timedelta = RECENT
) -> list[Stale]:
    """Return machines that no run came from lately, and series that their machine's recent runs left out."""
    seen = {str(row["machine_id"]): row for row in machines}
    found = [
        Stale("machine", str(row["machine"]), row["last_seen"], (now - row["last_seen"]).days)
        for row in seen.values()
        if now - row["last_seen"] > recent
    ]
    gone = {one.name for one in found}
    for row in latest:
        if row["status"] == Status.OK and now - row["started"] > recent and row["machine"] not in gone:
            name = " · ".join(str(row[column]) for column in ("machine", *_CELL))
            found.append(Stale("series", name, row["started"], (now - row["started"]).days))
    return sorted(found, key=lambda one: (one.kind, one.last_seen, one.name))
