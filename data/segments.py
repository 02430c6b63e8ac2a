"""Where the level of a series changes: robust noise at every scale, multi-scale split tests, votes against look-alikes.

The values are taken as they are (pass logarithms for ratios).  A split is tested by the difference of the means of the
windows before and after it, at every scale, against the larger of two noises: that of the whole series at this scale,
and that inside the two windows.  The noise at a scale is the median deviation of such differences over the series, so
autocorrelation and slow drift are in it and need no model, and a few real changes do not raise it.  Many would: where
noise grows with scale, steps that are beyond doubt in short windows are taken out before it is estimated again.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = [
    "Segments",
    "Split",
    "despiked",
    "median",
    "noise_by_scale",
    "scales_of",
    "splits_anywhere",
    "spread",
]

Values = NDArray[np.float64]
Places = NDArray[np.intp]

#: A split is kept if its deviate exceeds this: about one in 25,000 by chance, for each place that it could be at.
ACCEPTED = 4.1
#: Candidates below this are not looked at.
CANDIDATE = 3.6
#: Points before the first, between two, and after the last split: shorter runs are outliers, or too new to judge here.
FIRST, BETWEEN, LAST = 3, 5, 3
#: The two sides of a split are looked at over so many points: what is farther away says little about it.
REACH = 128
#: A value is drawn to within so many standard deviations of the median of the five around it: single spikes go.
SPIKE = 3.5
#: Standard deviation over median absolute deviation, and three-quarter quantile of absolute deviations over standard
#: deviation, for a normal distribution.
MEDIAN_DEVIATION, UPPER_QUARTILE = 1.4826, 1.1503
#: Steps beyond doubt: their deviate in windows of so many points, and the share of the step that four points show.
_CERTAIN, _CERTAIN_REACH, _AT_ONCE = 5.0, 32, 0.6
#: Noise that grows more than this from windows of two points (the second scale) on has many steps in it, or memory.
_GROWS, _SHORT = 1.3, 1
#: Noise at a scale over that of single points, at most: where most values are equal the latter is nothing.
_LONGEST_MEMORY = 10.0
_SMALLEST_WINDOW = 4
#: Ranks agree where the sides are ordered at three standard deviations, or nearly apart where too few for that.
_RANKS, _NEARLY_APART = 3.0, 0.9
#: A line must be worse than a step by so many squared standard deviations; a cubic may be better by so many at most.
_LINE_WORSE, _CUBIC_BETTER = 4.0, 2.0
#: The correlation of successive residuals is underestimated by about this many times 1/n where levels were fitted.
_CORRELATION_BIAS = 4.0


def _median(values: Values) -> Values:
    """Return the upper median along the last axis: the value at n // 2 in order."""
    middle = values.shape[-1] // 2
    found: Values = np.partition(values, middle, axis=-1)[..., middle]
    return found


def median(values: Values) -> float:
    """Return the median of a series; NumPy's own takes ten times as long for short ones."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    ordered = np.partition(values, (middle - 1, middle))
    return float(ordered[middle - 1] + ordered[middle]) / 2


def spread(values: Values) -> Values:
    """Return a standard deviation along the last axis that outliers do not move.

    Where more than half of the values are equal, as with a coarse clock, the upper quartile stands for the median.
    """
    deviations = np.abs(values - _median(values)[..., None])
    found = MEDIAN_DEVIATION * _median(deviations)
    still = found == 0
    if np.any(still):
        place = 3 * values.shape[-1] // 4
        found = np.where(still, np.partition(deviations, place, axis=-1)[..., place] / UPPER_QUARTILE, found)
    return found


def despiked(values: Values) -> Values:
    """Draw spikes of one or two points to the median of the five points around them; the last axis is the series."""
    sigma = spread(np.diff(values)) / math.sqrt(2)
    mirrored = np.concatenate((values[..., 2:0:-1], values, values[..., -2:-4:-1]), axis=-1)
    around = np.partition(sliding_window_view(mirrored, 5, axis=-1), 2, axis=-1)[..., 2]
    reach = SPIKE * sigma[..., None]
    clipped: Values = np.clip(values, around - reach, around + reach)
    return clipped


@lru_cache(maxsize=64)
def scales_of(points: int) -> tuple[int, ...]:
    """Return the lengths of windows that are looked at: powers of two up to half of the series, and all of it."""
    return (*(2**power for power in range(15) if 2**power <= max(_SMALLEST_WINDOW, points // 2)), points)


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
            differences = sums[..., 2 * window :] - 2 * sums[..., window:-window] + sums[..., : -2 * window]
            doubt = 0.0 if window == 1 else 0.5 * math.sqrt(2 * window / points)
            held = np.maximum(held, spread(differences) / math.sqrt(2 * window) * (1 - doubt))
        found.append(held)
    return np.stack(found, axis=-1)


@dataclass(frozen=True)
class _Windows:
    """The splits of a stretch of so many points, and the two windows of each at each scale, counted from its begin."""

    at: NDArray[np.intp]
    begin: NDArray[np.intp]
    end: NDArray[np.intp]
    before: Values
    after: Values
    weight: Values


@lru_cache(maxsize=512)
def _windows(points: int, scales: tuple[int, ...], first: int, last: int) -> _Windows:
    at = np.arange(first, points - last + 1)
    reach = np.array(scales)[:, None]
    begin, end = np.maximum(at - reach, 0), np.minimum(at + reach, points)
    before, after = (at - begin).astype(float), (end - at).astype(float)
    return _Windows(at, begin, end, before, after, np.sqrt(before * after / (before + after)))


def _tested_scales(points: int, scales: tuple[int, ...]) -> tuple[int, ...]:
    return (*(scale for scale in scales if _SMALLEST_WINDOW <= scale < points), points)


def splits_anywhere(values: Values, noise: Values) -> NDArray[np.bool_]:
    """Return for each of many despiked series of equal length whether any split of it could be significant.

    ``values`` has a row a series; ``noise`` is that of :func:`noise_by_scale`.
    """
    points = values.shape[-1]
    scales = scales_of(points)
    tested = _tested_scales(points, scales)
    if points < FIRST + LAST:
        return np.zeros(len(values), bool)
    windows = _windows(points, tested, FIRST, LAST)
    inverse = 1 / noise[:, [scales.index(scale) for scale in tested]]
    sums = np.zeros((len(values), points + 1))
    np.cumsum(values - values.mean(axis=-1, keepdims=True), axis=-1, out=sums[:, 1:])
    highest = np.zeros(len(values))
    for number in range(len(tested)):
        middle = sums[:, windows.at]
        step = (sums[:, windows.end[number]] - middle) * (1 / windows.after[number])
        step -= (middle - sums[:, windows.begin[number]]) * (1 / windows.before[number])
        step *= windows.weight[number]
        highest = np.maximum(highest, np.maximum(step.max(axis=-1), -step.min(axis=-1)) * inverse[:, number])
    return highest >= CANDIDATE


def _normal_deviate(t: Values, freedom: Values) -> Values:
    """Return the normal deviate that is as unlikely as a Student t (Wallace, Ann. Math. Stat. 30, 1959, 1124-1130)."""
    found: Values = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t * t / freedom))
    return found


@dataclass(frozen=True)
class Split:
    """A change of level: the first point of the new one, how far it moved, and the deviate that speaks for it."""

    index: int
    step: float
    deviate: float


def without_certain_steps(smooth: Values, noise: Values) -> Values:
    """Return the noise by scale of a despiked series without the steps that short windows put beyond doubt.

    A walk has none: what it moves in the long run is not moved at once.
    """
    if not noise_grows(noise[None])[0]:
        return noise
    held = np.minimum(noise, noise[_SHORT])
    splits = Segments(smooth, smooth, held, accepted=_CERTAIN, reach=_CERTAIN_REACH).find()
    rest = smooth.copy()
    for split in splits:
        before, after = smooth[max(0, split.index - 4) : split.index], smooth[split.index : split.index + 4]
        at_once = float(after.mean() - before.mean())
        if at_once * split.step > 0 and abs(at_once) >= _AT_ONCE * abs(split.step):
            rest[split.index :] -= split.step
    return np.minimum(noise, noise_by_scale(rest)) if splits else noise


def noise_grows(noise: Values) -> NDArray[np.bool_]:
    """Return for each row of :func:`noise_by_scale` whether there may be many steps in it."""
    grows: NDArray[np.bool_] = noise[:, -1] > _GROWS * noise[:, _SHORT]
    return grows


class Segments:
    """The changes of level of one series."""

    def __init__(
        self,
        values: Values,
        smooth: Values | None = None,
        noise: Values | None = None,
        weights: Values | None = None,
        least_step: float = 0.0,
        accepted: float = ACCEPTED,
        reach: int = REACH,
    ) -> None:
        """Take a series, if known its despiked form and noise, and how much each point counts (1 if not told).

        Steps smaller than ``least_step`` are none; ``accepted`` is the deviate that a split needs within ``reach``
        points.
        """
        self.values, self.points, self.reach = values, len(values), reach
        smooth = despiked(values) if smooth is None else smooth
        self.noise = without_certain_steps(smooth, noise_by_scale(smooth)) if noise is None else noise
        self.smooth = smooth - smooth.mean()
        self.scales = scales_of(self.points)
        self.memory = np.minimum(self.noise / self.noise[0], _LONGEST_MEMORY)
        self.least_step, self.accepted, self.weighted = least_step, accepted, weights is not None
        weight = np.ones(self.points) if weights is None else weights
        self.sums = np.zeros((3, self.points + 1))
        for row, power in zip(self.sums, (0, 1, 2), strict=True):
            np.cumsum(weight * self.smooth**power, out=row[1:])

    def find(self) -> list[Split]:
        """Return the changes: candidates from the strongest down, then the weakest taken back until all hold."""
        found = self._candidates()
        votes = [self._judge(found, position) for position in range(len(found))]
        while found:
            weakest = min(range(len(found)), key=lambda i: (votes[i][0], votes[i][1].deviate))
            if votes[weakest][0]:
                return [split for _, split in votes]
            del found[weakest], votes[weakest]
            for position in (weakest - 1, weakest):
                if 0 <= position < len(found):
                    votes[position] = self._judge(found, position)
        return []

    def _candidates(self) -> list[int]:
        found: list[int] = []
        stretches = [(0, self.points)]
        while stretches:
            low, high = stretches.pop()
            at = self._best_split(low, high)
            if at is not None:
                found.append(at)
                stretches += [(low, at), (at, high)]
        return sorted(found)

    def _best_split(self, low: int, high: int) -> int | None:
        """Return the most significant split of a stretch, or None where none is worth a look."""
        points = high - low
        first, last = BETWEEN if low else FIRST, BETWEEN if high < self.points else LAST
        if points < first + last:
            return None
        tested = _tested_scales(points, self.scales)
        windows = _windows(points, tested, first, last)
        scale = np.minimum(np.searchsorted(self.scales, tested), len(self.scales) - 1)
        sums = self.sums[1, low : high + 1]
        before, after, weight = windows.before, windows.after, windows.weight
        if self.weighted:
            count = self.sums[0, low : high + 1]
            before, after = count[windows.at] - count[windows.begin], count[windows.end] - count[windows.at]
            weight = np.sqrt(before * after / (before + after))
        middle = sums[windows.at]
        step = (sums[windows.end] - middle) / after
        step -= (middle - sums[windows.begin]) / before
        step *= weight
        # The noise inside the windows can only lower this.
        rows, columns = np.nonzero(np.abs(step, out=step) >= CANDIDATE * self.noise[scale][:, None])
        if not len(rows):
            return None
        at = windows.at[columns] + low
        begin, end = windows.begin[rows, columns] + low, windows.end[rows, columns] + low
        deviates = self._deviates(begin, at, end, scale[rows])
        best = int(np.argmax(deviates))
        return int(at[best]) if deviates[best] >= CANDIDATE else None

    def _deviates(self, begin: Places, at: Places, end: Places, scale: Places) -> Values:
        """Return the deviate of each split ``at`` between its two windows."""
        sums = self.sums
        before, after = sums[:, at] - sums[:, begin], sums[:, end] - sums[:, at]
        mean_before, mean_after = before[1] / before[0], after[1] / after[0]
        rest = before[2] - before[1] * mean_before + after[2] - after[1] * mean_after
        freedom = np.maximum(before[0] + after[0] - 2, 1e-9)
        inside = np.sqrt(np.maximum(rest, 0) / freedom) * self.memory[scale]
        sigma = np.maximum(self.noise[scale], inside)
        t = np.abs(mean_after - mean_before) / (sigma * np.sqrt(1 / before[0] + 1 / after[0]))
        return _normal_deviate(t, np.maximum(np.maximum(freedom, 0.4 * self.points), 1))

    def _judge(self, found: list[int], position: int) -> tuple[bool, Split]:
        """Return whether a split holds between its neighbours, with its size and deviate."""
        at = found[position]
        begin = max(found[position - 1] if position else 0, at - self.reach)
        end = min(found[position + 1] if position + 1 < len(found) else self.points, at + self.reach)
        scale = min(int(np.searchsorted(self.scales, max(at - begin, end - at))), len(self.scales) - 1)
        places = (np.array([place]) for place in (begin, at, end, scale))
        deviate = float(self._deviates(*places)[0])
        before, after = self.values[begin:at], self.values[at:end]
        step = median(after) - median(before)
        sigma, memory = float(self.noise[scale]), float(self.memory[scale])
        split = Split(at, step, deviate)
        if deviate < self.accepted or abs(step) < self.least_step:
            return False, split
        if not ranks_agree(before, after, step, memory):
            return False, split
        sides = self.smooth[begin:at], self.smooth[at:end]
        if not is_sharp(*sides, sigma, self.accepted):
            return False, split
        deviate /= max(1.0, inflation(*sides) / memory)
        return deviate >= self.accepted, Split(at, step, deviate)


def ranks_agree(before: Values, after: Values, step: float, memory: float) -> bool:
    """Whether the ranks of the two sides are apart in the direction of the step (Mann and Whitney 1947)."""
    ordered = np.sort(before)
    wins = np.searchsorted(ordered, after, "left").sum() + np.searchsorted(ordered, after, "right").sum()
    pairs = len(before) * len(after)
    share = wins / 2 / pairs - 0.5
    unit = math.sqrt(12 * pairs / (len(before) + len(after) + 1)) / memory
    return bool(share * step > 0 and abs(share) * unit >= min(_RANKS, _NEARLY_APART * 0.5 * unit))


@lru_cache(maxsize=512)
def _cubics(points: int) -> Values:
    """Return an orthonormal basis of constant, line, parabola and cubic, one a column."""
    at = np.linspace(-1, 1, points)
    basis: Values = np.linalg.qr(np.stack((np.ones(points), at, at**2, at**3), axis=1))[0]
    return basis


def is_sharp(before: Values, after: Values, sigma: float, accepted: float = ACCEPTED) -> bool:
    """Whether a step explains the two sides, and not a line, a cubic, or a line with no step in it."""
    n, points = len(before), len(before) + len(after)
    both = np.concatenate((before, after))
    rest_step = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
    basis = _cubics(points)
    parts = basis.T @ both
    total = float(both @ both)
    rest_line = total - float((parts[:2] ** 2).sum())
    rest_cubic = total - float((parts**2).sum()) if points >= 16 else math.inf
    unit = sigma * sigma
    if rest_step + _LINE_WORSE * unit <= rest_line and rest_step <= rest_cubic + _CUBIC_BETTER * unit:
        return True
    step = np.where(np.arange(points) < n, 0.0, 1.0)
    step -= basis[:, :2] @ (basis[:, :2].T @ step)
    size = float(step @ step)
    rest_both = rest_line - float(step @ both) ** 2 / size if size > 1e-9 else rest_line
    needed = accepted**2 * max(unit, rest_both / max(1, points - 3))
    return rest_line - rest_both >= needed and rest_both <= rest_cubic


def inflation(before: Values, after: Values) -> float:
    """Return by how much the memory of successive points widens a mean: sqrt((1 + r) / (1 - r))."""
    one, other = before - before.mean(), after - after.mean()
    squares = float(one @ one + other @ other)
    if squares == 0:
        return 1.0
    r = float(one[1:] @ one[:-1] + other[1:] @ other[:-1]) / squares
    r = min(0.9, max(0.0, r + _CORRELATION_BIAS * (1 + 2 * r) / (len(one) + len(other))))
    return math.sqrt((1 + r) / (1 - r))
