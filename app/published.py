"""What others published, held against what a machine measured: one row a claim, machine and backend."""

from collections.abc import Sequence
from typing import Any

from app import questions, reading
from app.rows import Row
from data import queries
from data.claims import ClaimVerdict, judge_claims
from data.index import Index
from data.published import publications
from data.speedups import pairs_of_runs

__all__ = ["VERDICTS", "findings", "in_one_line", "sources"]

#: Verdicts in the order in which people want to see them.
VERDICTS = tuple(verdict.value for verdict in ClaimVerdict)
_PLURAL = {"holds": "hold", "falls short": "fall short"}


def _findings(index: Index, machine: str) -> list[Row]:
    found = judge_claims(
        publications(),
        queries.latest(index, machine_id=machine),
        index.query(questions.MACHINE, [machine]),
        pairs_of_runs(index),
    )
    return [one.to_json() | {"cases": ", ".join(one.claim.cases), "note": one.claim.note} for one in found]


def findings(machine: str) -> Sequence[Row]:
    """Return the verdicts on all claims for one machine, with the names of ``flopwatch claims --json``."""
    found: list[Row] = reading.ask_of_machine(_findings, machine)
    return found


def sources() -> dict[str, Any]:
    """Return the sources of the claims by their id."""
    return {one.source.id: one.source for one in publications()}


def in_one_line(found: Sequence[Row]) -> str:
    """Return how many claims have which verdict: ``12 hold, 3 fall short …``; empty where nothing was measured."""
    counts = {verdict: sum(1 for row in found if row["verdict"] == verdict) for verdict in VERDICTS}
    if not sum(counts[verdict] for verdict in VERDICTS if verdict != ClaimVerdict.NOT_MEASURED):
        return ""
    return ", ".join(
        f"{count} {verdict if count == 1 else _PLURAL.get(verdict, verdict)}"
        for verdict, count in counts.items()
        if count
    )
