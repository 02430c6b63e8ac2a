"""What the sections of a report ask: the newest rows of one machine, its ceilings, ratios and published figures."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data.claims import Finding, judge_claims
from data.index import Index
from data.published import Claim, Publication, Result
from data.report.cells import case_order
from data.report.selection import Selection
from data.speedups import Compare, Speedup, speedup

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
    publications: Sequence[Publication]
    compare: Compare
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

    @cached_property
    def findings(self) -> list[Finding]:
        """What the measurements of this machine say about each published claim."""
        return judge_claims(self.publications, self.native, [self.machine], self.compare)

    @cached_property
    def native(self) -> list[Row]:
        """The rows that were measured here and not imported from another tool."""
        return [row for row in self.rows if "imported" not in row["flags"]]

    def speedup(self, new: Row | None, old: Row | None) -> Speedup | None:
        """Return how many times faster ``new`` is than ``old``, or None where one of them has no time."""
        if not (new and old and new["time_ns"] and old["time_ns"]):
            return None
        return speedup(new, old, self.compare)

    def published(self, case: str, *variants: str) -> Result | None:
        """Return the published result of a case, computed in one of these ways (in any, without)."""
        for publication in self.publications:
            for result in publication.result:
                if result.case == case and (not variants or result.variant in variants):
                    return result
        return None

    def claim(self, case: str, variant: str, quantity: str) -> Claim | None:
        """Return the narrowest published claim of a quantity about a variant of a case."""
        found = [
            claim
            for publication in self.publications
            for claim in publication.claim
            if case in claim.cases
            and claim.subject.variant == variant
            and claim.quantity == quantity
            and claim.subject.device in ("", "cpu")
        ]
        return min(found, key=lambda claim: len(claim.cases), default=None)

    def command(self, *patterns: str) -> str:
        """Return the command that measures these cases again as the newest run of the rows did."""
        profile = next((str(run["profile"]) for run in self.runs if run["effort"] != "imported"), "standard")
        cases = " ".join(f"--case '{pattern}'" for pattern in patterns)
        return f"flopwatch run --profile {profile} {cases}".strip()
