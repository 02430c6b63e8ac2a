"""Quantities as people read them: one unit for each, and no digit that the interval does not support."""

import math

__all__ = [
    "format_interval",
    "format_number",
    "format_rate",
    "format_share",
    "format_time",
    "significant_digits",
]

_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def significant_digits(low: float | None, high: float | None, middle: float) -> int:
    """Return how many digits of ``middle`` the interval supports: to a tenth of its half-width, 2 to 5 digits."""
    if low is None or high is None or high <= low or middle == 0:
        return 3
    relative = (high - low) / 2 / abs(middle)
    return min(5, max(2, 1 + math.ceil(-math.log10(relative))))


def format_number(value: float, digits: int) -> str:
    """Return a number with so many significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 6)}f}"


def _time_unit(time_ns: float) -> tuple[float, str]:
    return next(((size, unit) for size, unit in _TIMES if time_ns >= size), _TIMES[-1])


def format_time(time_ns: float | None, low_ns: float | None = None, high_ns: float | None = None) -> str:
    """Return a time in ns as s, ms, µs or ns, such as ``4.31 ms``; a dash where there is none."""
    if time_ns is None:
        return "–"
    size, unit = _time_unit(time_ns)
    return f"{format_number(time_ns / size, significant_digits(low_ns, high_ns, time_ns))} {unit}"


def format_interval(time_ns: float | None, low_ns: float | None, high_ns: float | None) -> str:
    """Return the interval of a time in the unit of the time itself, such as ``4.25 – 4.40 ms``."""
    if time_ns is None or low_ns is None or high_ns is None:
        return "–"
    size, unit = _time_unit(time_ns)
    digits = significant_digits(low_ns, high_ns, time_ns)
    return f"{format_number(low_ns / size, digits)} – {format_number(high_ns / size, digits)} {unit}"


def format_rate(rate: float | None, unit: str, low: float | None = None, high: float | None = None) -> str:
    """Return a rate with its unit, such as ``147 GFLOP/s``; a dash where there is none."""
    return "–" if rate is None else f"{format_number(rate, significant_digits(low, high, rate))} {unit}"


def format_share(share: float | None) -> str:
    """Return a share as a whole percentage; a dash where there is none."""
    return "–" if share is None else f"{share:.0%}"
