"""How much faster one result is than another, with the best interval that the results allow.

Where both were measured in one run, they are compared process by process, which cancels what the machine did to both.
Otherwise the ratio lies between the extremes of the two intervals.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from data import queries
from data.compare import Pair, compare_within
from data.errors import FlopwatchError
from data.estimate import judge
from data.index import Index
from data.rundocument import RunDocument, read
from data.summary import key_of
from data.words import Status, Verdict

__all__ = [
    "SEPARATE",
    "Compare",
    "Mean",
    "Speedup",
    "apart",
    "geometric_mean",
    "pairs",
    "pairs_of_runs",
    "speedup",
    "speedups",
    "timed",
]

Row = Mapping[str, Any]
#: Answers new/old for two rows of one run, one of so many comparisons to hold together; None where it cannot.
Compare = Callable[[Row, Row, int], Pair | None]
#: How two results met that do not come from one run.
SEPARATE = "separate runs"
_DOCUMENTS_KEPT = 8


@dataclass(frozen=True)
class Speedup:
    """Baseline time / time: above 1 is faster.  The interval is None where a result has none."""

    ratio: float
    low: float | None
    high: float | None
    verdict: Verdict
    pairing: str


@dataclass(frozen=True)
class Mean:
    """A geometric mean over the cases that both sides have, which is only shown beside its parts."""

    ratio: float
    low: float | None
    high: float | None
    parts: Mapping[str, Speedup]
    missing: Sequence[str]


def pairs(document: Callable[[str], RunDocument]) -> Compare:
    """Return a comparison of rows of one run, whose file ``document`` reads by its id, or raises FlopwatchError."""

    def compare(new: Row, old: Row, comparisons: int) -> Pair | None:
        if new["run_id"] != old["run_id"]:
            return None
        try:
            held = document(str(new["run_id"]))
        except FlopwatchError:
            return None  # the intervals of the index have to do
        return compare_within(held, held.processes, key_of(new), key_of(old), comparisons=comparisons)

    return compare


def pairs_of_runs(index: Index) -> Compare:
    """Return a comparison of rows of one run that reads its file from the ledger, the last few of them once."""

    @lru_cache(maxsize=_DOCUMENTS_KEPT)
    def document(run_id: str) -> RunDocument:
        return read(queries.run_file(index, run_id))

    return pairs(document)


def apart(_new: Row, _old: Row, _comparisons: int) -> Pair | None:
    """Return None: where no run file is at hand, the intervals of the two rows have to do."""
    return None


def speedup(row: Row, baseline: Row, compare: Compare = apart, comparisons: int = 1) -> Speedup:
    """Return how much faster ``row`` is than ``baseline``; both must have a time.

    The intervals of so many ``comparisons`` to one baseline hold together where its run has processes enough.
    """
    pair = compare(row, baseline, comparisons)
    if pair is not None:
        found = pair.comparison
        ratio, low, high, how = found.ratio, found.low, found.high, f"same {pair.pairing}"
    else:
        ratio = float(row["time_ns"]) / float(baseline["time_ns"])
        low, high = _extremes(row, baseline)
        how = SEPARATE if row.get("run_id") != baseline.get("run_id") else "same run"
    verdict, _ = judge(low, high)
    return Speedup(1 / ratio, 1 / high if high else None, 1 / low if low else None, verdict, how)


def _extremes(row: Row, baseline: Row) -> tuple[float | None, float | None]:
    ends = (row.get("low_ns"), row.get("high_ns"), baseline.get("low_ns"), baseline.get("high_ns"))
    if not all(end and math.isfinite(end) for end in ends):
        return None, None
    low, high, old_low, old_high = (float(end) for end in ends if end)
    return low / old_high, high / old_low


def speedups(rows: Iterable[Row], baselines: Iterable[Row], compare: Compare = apart) -> dict[str, Speedup]:
    """Return the speedup of each case that both sides have a time for; one row a case on each side."""
    olds = {str(row["case_id"]): row for row in baselines if timed(row)}
    return {
        case: speedup(row, olds[case], compare)
        for row in rows
        if timed(row) and (case := str(row["case_id"])) in olds
    }


def timed(row: Row) -> bool:
    """Say whether a row has a time that is shown."""
    return row["status"] == Status.OK and bool(row["time_ns"])


def geometric_mean(parts: Mapping[str, Speedup], wanted: Iterable[str]) -> Mean | None:
    """Return the geometric mean of speedups over the cases in ``wanted`` that are there, naming those that are not.

    Its interval goes from the mean of the lower to that of the upper ends, which is wide enough however the parts are
    related.  None where no case is there.
    """
    cases = list(wanted)
    held = {case: parts[case] for case in cases if case in parts}
    if not held:
        return None
    lows, highs = [one.low for one in held.values()], [one.high for one in held.values()]
    return Mean(
        _mean([one.ratio for one in held.values()]),
        _mean(lows),
        _mean(highs),
        held,
        [case for case in cases if case not in held],
    )


def _mean(values: Sequence[float | None]) -> Any:
    if not all(values):
        return None
    return math.exp(sum(math.log(value) for value in values if value) / len(values))
