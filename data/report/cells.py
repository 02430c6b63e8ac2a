"""What stands in the cells of a report, and the charts' labels."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from data.claims import judge_range
from data.published import Claim, Result
from data.speedups import Speedup
from data.units import (
    format_interval,
    format_number,
    format_rate,
    format_share,
    format_time,
    significant_digits,
)

__all__ = [
    "NONE",
    "case_order",
    "expected",
    "figures",
    "interval",
    "label",
    "listed",
    "moment",
    "published_rate",
    "published_time",
    "rate",
    "rate_with_interval",
    "share",
    "speedup",
    "time",
    "times",
    "unit",
    "verdict",
]

Row = dict[str, Any]
NONE = "–"

_SIZES = {"K": 1e3, "M": 1e6, "small": 1, "medium": 2}


def case_order(case: str) -> tuple[str, list[float], str]:
    """Order cases as people do: by kernel, then by the numbers in their names, plain ones first."""
    kernel, _, rest = case.partition("/")
    numbers: list[float] = []
    for part in rest.replace("-", "x").replace("+", "x").split("x"):
        scale = next((size for unit, size in _SIZES.items() if part.endswith(unit)), 1.0)
        digits = part.rstrip("KM")
        numbers.append(float(digits) * scale if digits.isdigit() else _SIZES.get(part, 1e12))
    return kernel, numbers, rest


def label(row: Row) -> str:
    """Name a variant, with its condition where that is not the usual one."""
    variant, condition = str(row["variant"]), str(row["condition"])
    return variant if condition == "given" else f"{variant} ({condition})"


def time(row: Row | None) -> str:
    """The time of one call, or the status where there is none."""
    if row is None:
        return NONE
    if row["time_ns"] is None:
        return str(row["status"])
    return format_time(row["time_ns"], row["low_ns"], row["high_ns"])


def interval(row: Row | None) -> str:
    """The interval of the time; what there is instead is said in words."""
    if row is None or row["time_ns"] is None:
        return NONE
    if row["low_ns"] is None:
        return "one process" if row["processes"] == 1 else f"{row['processes']} processes, too few"
    return format_interval(row["time_ns"], row["low_ns"], row["high_ns"])


def times(row: Row | None) -> str:
    """Time and interval in one cell."""
    if row is None or row["time_ns"] is None or row["low_ns"] is None:
        return time(row)
    return f"{time(row)} ({interval(row)})"


def rate(row: Row | None) -> str:
    """The rate with its unit."""
    if row is None or row["rate"] is None:
        return NONE
    return format_rate(row["rate"], row["unit"], row["rate_low"], row["rate_high"])


def figures(value: float, low: float | None, high: float | None) -> tuple[str, ...]:
    """Return a number and the ends of its interval with the digits that the interval supports."""
    digits = significant_digits(low, high, value)
    ends = (NONE if end is None else format_number(end, digits) for end in (low, high))
    return format_number(value, digits), *ends


def rate_with_interval(row: Row | None) -> str:
    """The rate and its interval in the unit of the column."""
    if row is None:
        return NONE
    if row["rate"] is None:
        return str(row["status"]) if row["status"] != "ok" else NONE
    value, low, high = figures(row["rate"], row["rate_low"], row["rate_high"])
    return value if row["rate_low"] is None else f"{value} ({low} – {high})"


def share(row: Row | None) -> str:
    """The rate as a share of the ceiling."""
    return NONE if row is None else format_share(row["share_of_ceiling"])


def speedup(found: Speedup | None) -> tuple[str, str]:
    """Return how many times faster, and the interval of that."""
    if found is None:
        return NONE, NONE
    value, low, high = figures(found.ratio, found.low, found.high)
    return f"{value}x", NONE if found.low is None else f"{low} – {high}x"


def expected(claim: Claim | None) -> str:
    """The range that was published."""
    if claim is None:
        return NONE
    low, high = claim.expected
    return f"{low:,g}{unit(claim)}" if low == high else f"{low:,g} – {high:,g}{unit(claim)}"


def unit(claim: Claim) -> str:
    """What stands behind a number that a claim is about."""
    return "x" if claim.unit == "x" else f" {claim.unit}"


def verdict(low: float | None, high: float | None, claim: Claim | None) -> str:
    """What an interval says about a published range."""
    if claim is None:
        return NONE
    return judge_range(low, high, claim.expected, less_is_better=claim.quantity == "time").value


def published_time(figure: Result | None) -> str:
    """A published time, as exact as it was published."""
    return NONE if figure is None else f"{figure.time_ns / 1e6:g} ms"


def published_rate(figure: Result | None) -> str:
    """A published rate."""
    return NONE if figure is None or figure.rate is None else f"{figure.rate:g} {figure.unit}"


def moment(value: datetime | None) -> str:
    """A moment in UTC, to the minute."""
    return NONE if value is None else value.strftime("%Y-%m-%d %H:%M UTC")


def listed(words: Iterable[str]) -> str:
    """Join words for people."""
    return ", ".join(words) or NONE
