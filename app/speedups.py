"""How much faster each series is than a chosen baseline, with the best interval that the results allow.

Where both were measured in one run, they are compared process by process, which cancels what the machine did to
both.  Otherwise the ratio lies between the extremes of the two intervals.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from app import rows, texts
from app.rows import Row, Series
from data import queries
from data.compare import Pair, compare_within
from data.errors import FlopwatchError
from data.estimate import judge
from data.index import Index
from data.rundocument import RunDocument, read
from data.summary import Key

__all__ = ["SEPARATE", "against", "pairs_of_run"]

#: How two results met that do not come from one run.
SEPARATE = "separate runs"

#: Answers new/old for two rows of one run, one of so many comparisons of its case; None where it cannot.
Compare = Callable[[Row, Row, int], Pair | None]


def _key(row: Row) -> Key:
    texts_of = (str(row.get(name)) for name in ("case_id", "variant", "condition", "backend", "device"))
    case, variant, condition, backend, device = texts_of
    return case, variant, condition, backend, device, int(texts.finite(row.get("threads")) or 0)


def _document(index: Index, run_id: str) -> RunDocument:
    return read(queries.run_file(index, run_id))


def pairs_of_run(ask: Callable[..., Any]) -> Compare:
    """Return a comparison of rows of one run, which reads its file through ``ask`` (see :func:`app.reading.ask`)."""

    def compare(new: Row, old: Row, comparisons: int) -> Pair | None:
        if new.get("run_id") != old.get("run_id"):
            return None
        try:
            document: RunDocument = ask(_document, str(new["run_id"]))
        except FlopwatchError:
            return None  # the intervals of the index have to do
        return compare_within(document, document.processes, _key(new), _key(old), comparisons=comparisons)

    return compare


def against(
    board: Iterable[Row], baseline: Series, compare: Compare = lambda _new, _old, _count: None
) -> list[Row]:
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
                found.append({**row, "series": name, **_ratio(row, old, compare, count[case])})
    return sorted(found, key=lambda row: rows.case_order(str(row.get("case_id"))))


def _ratio(new: Row, old: Row, compare: Compare, comparisons: int) -> dict[str, Any]:
    """Return new/old turned round, so that more is faster."""
    pair = compare(new, old, comparisons)
    if pair is not None:
        held = pair.comparison
        ratio, low, high, how = held.ratio, held.low, held.high, f"same {pair.pairing}"
    else:
        time, base = float(new["time_ns"]), float(old["time_ns"])
        ratio, how = time / base, SEPARATE if new.get("run_id") != old.get("run_id") else "same run"
        low, high = _extremes([new.get("low_ns"), new.get("high_ns"), old.get("low_ns"), old.get("high_ns")])
    verdict, _ = judge(low, high)
    return {
        "speedup": 1 / ratio,
        "speedup_low": 1 / high if high else None,
        "speedup_high": 1 / low if low else None,
        "verdict": str(verdict),
        "pairing": how,
    }


def _extremes(ends: Sequence[Any]) -> tuple[float | None, float | None]:
    low, high, old_low, old_high = (texts.finite(end) for end in ends)
    if not low or not high or not old_low or not old_high:
        return None, None
    return low / old_high, high / old_low
