"""Rows of the views, made safe to draw: what counts as a speed, in which order, under which name.

A row is a mapping from column to value.  Nothing here raises because one value is missing or odd: such a row is
left out of a chart.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app import colours, texts
from data.estimate import judge
from data.words import Status, Verdict

__all__ = [
    "Row",
    "Series",
    "case_label",
    "case_order",
    "ceiling_rate",
    "fastest",
    "interval",
    "is_speed",
    "kernel_order",
    "key",
    "moved",
    "podium",
    "series",
    "value",
]

Row = Mapping[str, Any]
#: backend, variant, condition, device, threads: what makes one series of bars.
Series = tuple[str, str, str, str, int]

#: Kernels in the order in which people read them; others follow by name.
_KERNELS = (
    "matmul",
    "attention-scores",
    "attention",
    "decode",
    "relu",
    "exp",
    "sigmoid",
    "tanh",
    "gelu",
    "softmax",
    "layernorm",
    "save",
    "load",
    "lazy-load",
)
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG](?:iB)?)?")
_FACTORS = {"K": 1e3, "M": 1e6, "G": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def _text(row: Row, column: str) -> str:
    found = row.get(column)
    return "" if found is None else str(found)


def value(row: Row) -> float | None:
    """Return what a chart draws: the rate in the row's unit, or the time in ns where the unit is seconds."""
    return texts.finite(row.get("time_ns" if row.get("unit") == "s" else "rate"))


def interval(row: Row) -> tuple[float, float] | None:
    """Return the interval of :func:`value`, or None where there is none or it does not hold the value."""
    names = ("low_ns", "high_ns") if row.get("unit") == "s" else ("rate_low", "rate_high")
    lower, upper = (texts.finite(row.get(name)) for name in names)
    middle = value(row)
    if lower is None or upper is None or middle is None or not 0 <= lower <= middle <= upper:
        return None
    return lower, upper


def is_speed(row: Row) -> bool:
    """Tell whether a row may be drawn as a speed: status ok, with a positive finite value."""
    found = value(row)
    return row.get("status") == Status.OK and found is not None and found > 0


def ceiling_rate(row: Row) -> float | None:
    """Return the rate that the row would have at its ceiling, in the row's own unit.

    The ceiling may be counted in another unit (bytes for a case counted in elements): it is had from the share.
    """
    rate, share = texts.finite(row.get("rate")), texts.finite(row.get("share_of_ceiling"))
    if rate is None or share is None or share <= 0 or row.get("unit") == "s":
        return None
    return rate / share


def case_label(case_id: str) -> str:
    """Return the part of a case's id that names its shape: ``1024`` of ``matmul/1024``."""
    return case_id.partition("/")[2] or case_id


def kernel_order(kernel: str) -> tuple[int, str]:
    """Sort key: kernels in the order of the house, others after them by name."""
    return (_KERNELS.index(kernel) if kernel in _KERNELS else len(_KERNELS), kernel)


def case_order(case_id: str) -> tuple[tuple[int, str], bool, tuple[float, ...], str]:
    """Sort key: by kernel, plain sizes before shapes, then by size: 512 before 1024, 1M before 10M."""
    kernel, _, shape = case_id.partition("/")
    sizes = tuple(float(number) * _FACTORS.get(unit, 1.0) for number, unit in _NUMBER.findall(shape))
    plain = re.fullmatch(r"\d+(?:\.\d+)?[KMG]?", shape) is not None
    return kernel_order(kernel), not plain, sizes, shape


def key(row: Row) -> Series:
    """Return the series that a row belongs to."""
    threads = texts.finite(row.get("threads"))
    return (
        _text(row, "backend"),
        _text(row, "variant"),
        _text(row, "condition"),
        _text(row, "device"),
        int(threads) if threads is not None else 0,
    )


def _order(key: Series) -> tuple[Any, ...]:
    backend, variant, condition, device, threads = key
    return (colours.backend_order(backend), colours.variant_order(variant), threads, condition, device)


def series(rows: Iterable[Row]) -> dict[Series, tuple[str, list[Row]]]:
    """Group rows into series with names that say as much as is needed to tell them apart.

    Threads, condition and device join ``backend · variant`` only where the rows differ in them.
    """
    grouped: dict[Series, list[Row]] = {}
    for row in rows:
        grouped.setdefault(key(row), []).append(row)
    keys = sorted(grouped, key=_order)
    return {key: (_name(key, keys), grouped[key]) for key in keys}


def _name(key: Series, keys: Sequence[Series]) -> str:
    backend, variant, condition, device, threads = key
    alike = [other for other in keys if other[:2] == key[:2]]
    parts = [backend, variant]
    if len({other[2] for other in alike}) > 1:
        parts.append(condition)
    if len({other[3] for other in alike}) > 1:
        parts.append(device)
    if len({other[4] for other in alike}) > 1:
        parts.append(f"{threads} thread" if threads == 1 else f"{threads} threads")
    return " · ".join(part for part in parts if part)


def fastest(rows: Iterable[Row]) -> list[Row]:
    """Return the row with the least time of each case, cases in order; what is no speed does not count."""
    best: dict[str, Row] = {}
    for row in rows:
        time, case = texts.finite(row.get("time_ns")), _text(row, "case_id")
        if not is_speed(row) or time is None or time <= 0:
            continue
        held = best.get(case)
        if held is None or time < float(held["time_ns"]):
            best[case] = row
    return [best[case] for case in sorted(best, key=case_order)]


def podium(board: Iterable[Row]) -> list[Row]:
    """Return the fastest row of each case, told also which comes next, how much longer it takes, and if that is sure.

    ``next_level`` is true where the intervals of the two overlap, and None where one of them has none.
    """
    speeds = [row for row in board if is_speed(row)]
    joined: list[Row] = []
    for first in fastest(speeds):
        others = [row for row in speeds if row.get("case_id") == first.get("case_id") and row is not first]
        second = min(others, key=lambda row: texts.finite(row.get("time_ns")) or float("inf"), default=None)
        joined.append(dict(first) if second is None else {**first, **_behind(first, second)})
    return joined


def _behind(first: Row, second: Row) -> dict[str, Any]:
    high, low = texts.finite(first.get("high_ns")), texts.finite(second.get("low_ns"))
    return {
        "next_backend": second.get("backend"),
        "next_variant": second.get("variant"),
        "next_ratio": (texts.finite(second.get("time_ns")) or 0.0) / float(first["time_ns"]),
        "next_level": None if high is None or low is None else low <= high,
    }


def moved(pairs: Iterable[Row]) -> list[Row]:
    """Return the pairs of an old and a new time whose intervals lie apart by more than the margin, largest first.

    A pair is a row with ``time_ns``, ``low_ns``, ``high_ns`` and the same of the run before as ``old_…``.  The two
    runs are independent, so the ratio lies between the extremes of both intervals.
    """
    found: list[Row] = []
    for row in pairs:
        time, low, high = (texts.finite(row.get(name)) for name in ("time_ns", "low_ns", "high_ns"))
        old, old_low, old_high = (
            texts.finite(row.get(f"old_{name}")) for name in ("time_ns", "low_ns", "high_ns")
        )
        if not (time and low and high and old and old_low and old_high):
            continue
        least, most = low / old_high, high / old_low
        verdict, _ = judge(least, most)
        if verdict in (Verdict.FASTER, Verdict.SLOWER):
            ends = {"ratio": time / old, "ratio_low": least, "ratio_high": most}
            found.append({**row, **ends, "verdict": str(verdict)})
    return sorted(found, key=lambda row: -abs(math.log(row["ratio"])))
