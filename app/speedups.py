"""How much faster each series is than a chosen baseline, in the words of the pages: see :mod:`data.speedups`."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from app import rows, texts
from app.rows import Row, Series
from data import queries
from data.index import Index
from data.rundocument import RunDocument, read
from data.speedups import Compare, apart, pairs, speedup

__all__ = ["against", "pairs_of_run", "words"]


def _document(index: Index, run_id: str) -> RunDocument:
    return read(queries.run_file(index, run_id))


def pairs_of_run(ask: Callable[..., Any]) -> Compare:
    """Return a comparison of rows of one run, which reads its file through ``ask`` (see :func:`app.reading.ask`)."""
    return pairs(lambda run_id: ask(_document, run_id))


def against(board: Iterable[Row], baseline: Series, compare: Compare = apart) -> list[Row]:
    """Return one row for each result of a case that the baseline has, too: how much faster it is.

    ``speedup`` is baseline time / time (above 1 is faster), ``speedup_low`` and ``speedup_high`` its interval where
    there is one, ``verdict`` one of four words, ``pairing`` how the two met.  The intervals of a case hold together
    where its run has processes enough.
    """
    grouped = rows.series([row for row in board if rows.is_speed(row) and texts.finite(row.get("time_ns"))])
    olds = {str(row.get("case_id")): row for row in grouped.get(baseline, ("", []))[1]}
    count = Counter(
        str(row.get("case_id")) for key, (_, members) in grouped.items() if key != baseline for row in members
    )
    found: list[Row] = []
    for key, (name, members) in grouped.items():
        for row in members:
            case = str(row.get("case_id"))
            old = olds.get(case)
            if old is not None and key != baseline:
                found.append({**row, "series": name, **words(row, old, compare, count[case])})
    return sorted(found, key=lambda row: rows.case_order(str(row.get("case_id"))))


def words(new: Row, old: Row, compare: Compare = apart, comparisons: int = 1) -> dict[str, Any]:
    """Return how much faster one row is than another, as :func:`against` names it."""
    held = speedup(new, old, compare, comparisons)
    return {
        "speedup": held.ratio,
        "speedup_low": held.low,
        "speedup_high": held.high,
        "verdict": str(held.verdict),
        "pairing": held.pairing,
    }
