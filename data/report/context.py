"""What the sections of a report ask: the newest rows of one machine, its ceilings, ratios and published figures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from data.index import Index
from data.published import Published
from data.report.cells import case_order
from data.report.ratios import Ratios
from data.report.selection import Selection

__all__ = ["Context"]

Row = dict[str, Any]


@dataclass
class Context:
    """One machine of the choice.  ``rows`` and ``ceilings`` are in reading order."""

    index: Index
    selection: Selection
    machine: Row
    rows: list[Row]
    ceilings: list[Row]
    published: Published
    ratios: Ratios
    #: runs of the rows, the newest first
    runs: list[Row] = field(default_factory=list)
    draw: bool = True

    def find(
        self, *kernels: str, ok: bool = True, where: Callable[[Row], bool] = lambda row: True
    ) -> list[Row]:
        """Return the rows of kernels, with a time only unless ``ok`` is false; cases in the order of people."""
        found = [
            row
            for row in self.rows
            if row["kernel"] in kernels and (not ok or row["time_ns"] is not None) and where(row)
        ]
        place = {kernel: number for number, kernel in enumerate(kernels)}
        return sorted(found, key=lambda row: (place[row["kernel"]], case_order(row["case_id"])[1:]))

    def cases(self, rows: Iterable[Row]) -> list[str]:
        """Return the cases of rows, each once, in their order."""
        return list(dict.fromkeys(str(row["case_id"]) for row in rows))

    def one(self, rows: Iterable[Row], **wanted: Any) -> Row | None:
        """Return the fastest of the rows that have all that is wanted; imported ones only where a backend is."""
        fitting = [
            row
            for row in rows
            if all(row[name] == value for name, value in wanted.items())
            and ("backend" in wanted or "imported" not in row["flags"])
        ]
        return min(fitting, key=lambda row: row["time_ns"] or float("inf"), default=None)

    def command(self, *patterns: str) -> str:
        """Return the command that measures these cases again as the newest run of the rows did."""
        profile = next((str(run["profile"]) for run in self.runs if run["effort"] != "imported"), "standard")
        cases = " ".join(f"--case '{pattern}'" for pattern in patterns)
        return f"flopwatch run --profile {profile} {cases}".strip()
