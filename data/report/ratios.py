"""How many times faster one result is than another, with the best interval that the results allow."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from data import queries
from data.compare import compare_within
from data.errors import FlopwatchError
from data.index import Index
from data.rundocument import RunDocument, read
from data.summary import Key, Measured, merge

__all__ = ["Ratios", "Speedup", "key_of"]

Row = dict[str, Any]

#: How two results met that do not come from one run.
SEPARATE = "separate runs"


@dataclass(frozen=True)
class Speedup:
    """Old time / new time: above 1 is faster.  ``pairing`` is how the two met, ``processes`` counts the pairs."""

    value: float
    low: float | None
    high: float | None
    pairing: str
    processes: int | None = None


def key_of(row: Row) -> Key:
    """Return what a row of the views is a measurement of, within its run."""
    return (
        *(str(row["case_id"]), str(row["variant"]), str(row["condition"]), str(row["backend"])),
        *(str(row["device"]), int(row["threads"])),
    )


class Ratios:
    """Compares rows of the views: from the raw samples of their run where they share one."""

    def __init__(self, index: Index) -> None:
        """Compare what ``index`` and its ledger hold."""
        self._index = index
        self._read = lru_cache(maxsize=4)(self._document)

    def _document(self, run_id: str) -> tuple[RunDocument, dict[Key, list[Measured]]] | None:
        try:
            document = read(queries.run_file(self._index, run_id))
        except FlopwatchError:
            return None  # the intervals of the index have to do
        return document, merge(document.lines)

    def speedup(self, new: Row, old: Row) -> Speedup | None:
        """Return how many times faster ``new`` is than ``old``, or None where one of them has no time."""
        if not (new["time_ns"] and old["time_ns"]):
            return None
        return self._within(new, old) or _apart(new, old)

    def _within(self, new: Row, old: Row) -> Speedup | None:
        found = self._read(str(new["run_id"])) if new["run_id"] == old["run_id"] else None
        if found is None:
            return None
        document, grouped = found
        lines: Any = [*grouped.get(key_of(new), []), *grouped.get(key_of(old), [])]
        pair = compare_within(replace(document, lines=lines), document.processes, key_of(new), key_of(old))
        if pair is None:
            return None
        one = pair.comparison
        low, high = (None if end is None else 1 / end for end in (one.high, one.low))
        return Speedup(1 / one.ratio, low, high, pair.pairing, one.processes)


def _apart(new: Row, old: Row) -> Speedup:
    """Results of different runs: the ratio lies between the extremes of the two intervals."""
    ends = [old["low_ns"], old["high_ns"], new["low_ns"], new["high_ns"]]
    low = high = None
    if all(end and math.isfinite(end) for end in ends):
        low, high = old["low_ns"] / new["high_ns"], old["high_ns"] / new["low_ns"]
    return Speedup(old["time_ns"] / new["time_ns"], low, high, SEPARATE)
