"""Values of a row as text: the digits are those of ``data.units``, and odd values become a dash, not an error."""

import math
from datetime import UTC, datetime
from typing import Any

from data import units

__all__ = [
    "ABSENT",
    "error",
    "escape",
    "finite",
    "interval",
    "moment",
    "program",
    "rate",
    "rate_interval",
    "ratio",
    "ratio_interval",
    "share",
    "size",
    "time",
    "time_scale",
]

ABSENT = "\N{EN DASH}"
_SIZES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()<>#+-.!|~$:&^@\"'="})


def finite(value: Any) -> float | None:
    """Return ``value`` as a float, or None where it is no finite number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def time(time_ns: Any, low_ns: Any = None, high_ns: Any = None) -> str:
    """Return a time such as ``3.48 ms``."""
    number = finite(time_ns)
    return ABSENT if number is None else units.format_time(number, finite(low_ns), finite(high_ns))


def interval(time_ns: Any, low_ns: Any, high_ns: Any) -> str:
    """Return the interval of a time in the unit of the time itself."""
    number = finite(time_ns)
    return ABSENT if number is None else units.format_interval(number, finite(low_ns), finite(high_ns))


def rate(value: Any, unit: Any, low: Any = None, high: Any = None) -> str:
    """Return a rate in the unit of its case: ``77.1 GFLOP/s``."""
    number = finite(value)
    return ABSENT if number is None else units.format_rate(number, str(unit), finite(low), finite(high))


def rate_interval(value: Any, unit: Any, low: Any, high: Any) -> str:
    """Return the interval of a rate, the unit once: ``76.9 – 77.3 GFLOP/s``."""
    lower, upper = finite(low), finite(high)
    if finite(value) is None or lower is None or upper is None:
        return ABSENT
    start = units.format_rate(lower, "", lower, upper).strip()
    return f"{start} {ABSENT} {units.format_rate(upper, str(unit), lower, upper)}"


def share(value: Any) -> str:
    """Return a share as a percentage; below one percent with one more digit."""
    number = finite(value)
    if number is None:
        return ABSENT
    return units.format_share(number) if abs(number) >= 0.01 or number == 0 else f"{number:.2%}"


def ratio(value: Any, low: Any = None, high: Any = None) -> str:
    """Return a ratio such as ``7.4×``."""
    number = finite(value)
    if number is None:
        return ABSENT
    return units.format_rate(number, "", finite(low), finite(high)).strip() + "\N{MULTIPLICATION SIGN}"


def ratio_interval(value: Any, low: Any, high: Any) -> str:
    """Return the interval of a ratio: ``7.2 – 7.6×``."""
    return (
        f"{start}\N{MULTIPLICATION SIGN}"
        if (start := rate_interval(value, "", low, high).strip()) != ABSENT
        else ABSENT
    )


def error(value: Any) -> str:
    """Return an error against the reference with two digits; zero is exact."""
    number = finite(value)
    if number is None:
        return ABSENT
    return "0" if number == 0 else f"{number:.1e}"


def size(value: Any) -> str:
    """Return a number of bytes with three digits: ``193 MiB``."""
    number = finite(value)
    if number is None:
        return ABSENT
    scale, unit = next((entry for entry in _SIZES if abs(number) >= entry[0]), _SIZES[-1])
    places = 0 if scale == 1.0 else max(0, 2 - math.floor(math.log10(abs(number) / scale)))
    return f"{number / scale:,.{places}f} {unit}"


def time_scale(time_ns: float) -> tuple[float, str]:
    """Return the nanoseconds of the unit that suits an axis up to ``time_ns``, and its symbol: (1e6, "ms")."""
    return next((unit for unit in _TIMES if time_ns >= unit[0]), _TIMES[-1])


def moment(value: Any) -> str:
    """Return a moment to the minute, in UTC: ``2026-11-24 12:31``."""
    if not isinstance(value, datetime):
        return ABSENT if value is None else str(value)
    return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M")


def program(version: Any, commit: Any) -> str:
    """Return a version of flopwatch with its commit where that is known: ``0.1.0 (0123abcd)``."""
    return f"{version or '?'} ({str(commit)[:8]})" if commit else str(version or "?")


def escape(text: Any) -> str:
    """Return text from a result so that Markdown shows it as it is: no link, no picture, no formula."""
    return " ".join(str(text).split()).translate(_MARKDOWN)
