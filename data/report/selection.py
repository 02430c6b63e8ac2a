"""Which results a report or an export is about: any choice of runs, machines, versions, cases and time."""

import fnmatch
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from data import queries
from data.errors import BadInput, NotFound
from data.index import Index

__all__ = ["Selection", "moment"]

Row = dict[str, Any]

_NEWEST = "QUALIFY row_number() OVER (PARTITION BY series_id ORDER BY started DESC, run_id DESC) = 1"
_ORDER = "ORDER BY machine, machine_id, kernel, case_id, threads, variant, condition, backend, device"


def moment(text: str) -> datetime:
    """Return a moment from ``2026-11-22``, ``2026-11-22T10:00`` or ``30d`` (ago); raises BadInput."""
    if text.endswith("d") and text[:-1].isdigit():
        return datetime.now(UTC) - timedelta(days=int(text[:-1]))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"{text!r} is no moment; give a date such as 2026-11-22, or 30d for days ago"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Selection:
    """The choice; empty means everything.  Of each series the newest row in the choice counts."""

    runs: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out by run."""
        return not (self.runs or self.machines or self.versions or self.since or self.until)

    def run_ids(self, index: Index) -> list[str] | None:
        """Return the runs in the choice, or None for all; raises NotFound where a wish means nothing."""
        if self.everything:
            return None
        rows = index.query("SELECT run_id, machine_id, machine, environment_id, started, flopwatch_version, "
                           "flopwatch_commit FROM runs ORDER BY run_id")  # fmt: skip
        named = {queries.resolve_run(index, wish) for wish in self.runs}
        packages = _packages(index) if self.versions else {}
        for wish in self.machines:
            if not any(_is_machine(row, wish) for row in rows):
                known = ", ".join(sorted({str(row["machine"]) for row in rows})) or "there is none yet"
                raise NotFound(f"no machine is called {wish!r}: {known}")
        found = [
            str(row["run_id"])
            for row in rows
            if (not named or row["run_id"] in named)
            and (not self.machines or any(_is_machine(row, wish) for wish in self.machines))
            and all(_has_version(row, packages, wish) for wish in self.versions)
            and (self.since is None or row["started"] >= self.since)
            and (self.until is None or row["started"] <= self.until)
        ]
        if not found:
            raise NotFound("no run is in this choice; flopwatch db info counts what is held")
        return found

    def newest(self, index: Index, *, ceilings: bool = False) -> list[Row]:
        """Return the newest row of each series in the choice, in reading order."""
        runs = self.run_ids(index)
        whole, part = ("latest_ceilings", "ceilings") if ceilings else ("latest", "board")
        if runs is None:
            rows = index.query(f"FROM {whole} {_ORDER}")
        else:
            rows = index.query(f"FROM {part} WHERE run_id IN (SELECT unnest(?)) {_NEWEST} {_ORDER}", [runs])
        return rows if ceilings else [row for row in rows if self._has_case(row)]

    def _has_case(self, row: Row) -> bool:
        return not self.cases or any(fnmatch.fnmatchcase(str(row["case_id"]), wish) for wish in self.cases)


def _is_machine(row: Row, wish: str) -> bool:
    return row["machine_id"] == wish or fnmatch.fnmatchcase(str(row["machine"]), wish)


def _packages(index: Index) -> dict[str, dict[str, str]]:
    import msgspec

    rows = index.query("SELECT environment_id, packages FROM environments")
    return {str(row["environment_id"]): msgspec.json.decode(row["packages"]) for row in rows}


def _has_version(row: Row, packages: dict[str, dict[str, str]], wish: str) -> bool:
    """``numpy==2.4*`` asks for a package, ``0.1.0`` or the begin of a commit for flopwatch itself."""
    name, separator, version = wish.partition("==")
    if separator:
        held = packages.get(str(row["environment_id"]), {}).get(name)
        return held is not None and fnmatch.fnmatchcase(held, version)
    return row["flopwatch_version"] == wish or str(row["flopwatch_commit"] or "").startswith(wish)
