"""What a series must be to be judged, and how much each of its points counts."""

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from data.noise import Values, median, spread

__all__ = ["check_times", "scaled", "values_of", "weights_of"]


def values_of(values: Sequence[float], name: str) -> Values:
    """Return the values; raises BadInput with ``name`` for what is no finite number or no list of them."""
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{name}: every value must be a number") from None
    if found.ndim != 1:
        raise BadInput(f"{name}: give one list of numbers, not {found.ndim} dimensions")
    finite = np.isfinite(found)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise BadInput(
            f"{name}: number {bad[0]} (from 0) is {found[bad[0]]}; leave out what was not measured"
        )
    return found


def check_times(times: Sequence[Any], count: int) -> None:
    """Raise BadInput where there is not one time a value, where one is none, or where they are not in order."""
    if len(times) != count:
        raise BadInput(f"{len(times)} times for {count} values; give one time a value")
    moments = [_moment(time, index) for index, time in enumerate(times)]
    for index, (one, other) in enumerate(pairwise(moments), 1):
        if other < one:
            raise BadInput(
                f"times: number {index} (from 0) is before the one before it; give the oldest first"
            )


def _moment(time: Any, index: int) -> float:
    """Return seconds since the epoch."""
    if isinstance(time, int | float | np.number) and not isinstance(time, bool) and math.isfinite(time):
        return float(time)
    try:
        moment = time if isinstance(time, datetime) else datetime.fromisoformat(str(time))
    except ValueError:
        raise BadInput(
            f"times: number {index} (from 0) is {time!r}; write 2026-11-24T12:00:00Z or seconds since 1970"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=_UTC)).timestamp()


_UTC = datetime.fromisoformat("2000-01-01T00:00:00+00:00").tzinfo


def weights_of(series: Values, low: Sequence[float] | None, high: Sequence[float] | None) -> Values | None:
    """Return how much each point counts: 1, and less where its interval is wider than usual."""
    if low is None and high is None:
        return None
    if low is None or high is None:
        raise BadInput("give both low and high, or neither")
    lows, highs = values_of(low, "low"), values_of(high, "high")
    if not len(lows) == len(highs) == len(series):
        raise BadInput(
            f"{len(lows)} low and {len(highs)} high ends for {len(series)} values; give one of each a value"
        )
    wrong = np.flatnonzero((lows > series) | (series > highs))
    if len(wrong):
        index = int(wrong[0])
        raise BadInput(
            f"value number {index} (from 0), {series[index]:g}, is outside of its interval "
            f"{lows[index]:g} to {highs[index]:g}"
        )
    ends = scaled(np.concatenate((series, lows, highs))[None])[0][0]
    middle, lower, upper = np.split(ends, 3)
    own = ((upper - lower) / 2 / 1.96) ** 2  # an interval of 95 %
    between = float(spread(np.diff(middle))) ** 2 / 2 if len(middle) > 1 else 0.0
    usual = between + median(own)
    if usual == 0:
        return None
    weights: Values = np.minimum(1.0, usual / np.maximum(between + own, 1e-300))
    return weights


def scaled(series: Values) -> tuple[Values, NDArray[np.bool_]]:
    """Return the logarithms of many series, and which have them: those with a value of zero or below stay."""
    logarithmic: NDArray[np.bool_] = np.all(series > 0, axis=-1)
    values = series.copy()
    values[logarithmic] = np.log(series[logarithmic])
    return values, logarithmic
