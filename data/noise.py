"""How much a series moves when nothing changes: robust deviations, spikes, and the noise at every scale.

All of it takes many series at once: the last axis is the series.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Places", "Values", "despiked", "median", "noise_by_scale", "scales_of", "spread"]

Values = NDArray[np.float64]
Places = NDArray[np.intp]

#: A value is drawn to within so many standard deviations of the median of the five around it: single spikes go.
SPIKE = 3.5
#: Standard deviation over median absolute deviation, and three-quarter quantile of absolute deviations over standard
#: deviation, for a normal distribution.
MEDIAN_DEVIATION, UPPER_QUARTILE = 1.4826, 1.1503
#: No split is looked at in windows that are shorter.
SMALLEST_WINDOW = 4
#: So many values of a batch are worked on at a time: they and what is made of them stay in the cache.
_BLOCK = 1 << 15


def median(values: Values) -> float:
    """Return the median of one series; NumPy's own takes ten times as long for short ones."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    ordered = np.partition(values, (middle - 1, middle))
    return float(ordered[middle - 1] + ordered[middle]) / 2


def spread(values: Values) -> Values:
    """Return a standard deviation along the last axis that outliers do not move.

    Where more than half of the values are equal, as with a coarse clock, the upper quartile stands for the median.
    """
    ordered, points = np.sort(values, axis=-1), values.shape[-1]
    middle = ordered[..., points // 2, None]
    found: Values = MEDIAN_DEVIATION * _deviation(ordered, middle, points // 2)
    still = found == 0
    if np.any(still):
        found = np.where(still, _deviation(ordered, middle, 3 * points // 4) / UPPER_QUARTILE, found)
    return found


def _deviation(ordered: Values, middle: Values, others: int) -> Values:
    """Return how far from the middle the nearest ``others`` + 1 values are: they follow each other in order."""
    below = middle - ordered[..., : ordered.shape[-1] - others]
    found: Values = np.maximum(below, ordered[..., others:] - middle, out=below).min(axis=-1)
    return found


def despiked(values: Values) -> Values:
    """Draw spikes of one or two points to the median of the five points around them."""
    reach = SPIKE * (spread(np.diff(values)) / math.sqrt(2))[..., None]
    around = _median_of_five(np.concatenate((values[..., 2:0:-1], values, values[..., -2:-4:-1]), axis=-1))
    return np.minimum(np.maximum(values, around - reach), around + reach)


def _median_of_five(values: Values) -> Values:
    """Return the median of every five successive values.

    Of two pairs, neither the lower of the low ends nor the higher of the high ends can be it.
    """
    low, high = np.minimum(values[..., 1:], values[..., :-1]), np.maximum(values[..., 1:], values[..., :-1])
    one = np.maximum(low[..., :-3], low[..., 3:])
    other = np.minimum(high[..., :-3], high[..., 3:])
    between = np.minimum(np.maximum(one, other), values[..., 2:-2])
    found: Values = np.maximum(np.minimum(one, other), between)
    return found


@lru_cache(maxsize=64)
def scales_of(points: int) -> tuple[int, ...]:
    """Return the lengths of windows that are looked at: powers of two up to half of the series, and all of it."""
    return (*(2**power for power in range(15) if 2**power <= max(SMALLEST_WINDOW, points // 2)), points)


def noise_by_scale(values: Values) -> Values:
    """Return, for each of :func:`scales_of`, the standard deviation that one point would need for such differences.

    For noise without memory it is the same at every scale; memory and drift let it grow.  Scales of which the series
    holds fewer than eight keep that of the scale below; what a scale adds is discounted by its own uncertainty.
    """
    points = values.shape[-1]
    sums = np.zeros((*values.shape[:-1], points + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    found = []
    held = np.full(values.shape[:-1], 1e-12)
    for window in scales_of(points):
        if 8 * window <= points or window == 1:
            differences: Values = (
                sums[..., 2 * window :] - 2 * sums[..., window:-window] + sums[..., : -2 * window]
            )
            doubt = 0.0 if window == 1 else 0.5 * math.sqrt(2 * window / points)
            held = np.maximum(held, spread(differences) / math.sqrt(2 * window) * (1 - doubt))
        found.append(held)
    return np.stack(found, axis=-1)
