"""Many series of one length as running sums, from which the deviate of any split between any two windows follows."""

import numpy as np

from data.noise import Places, Values, scales_of

__all__ = ["Sums", "student"]

#: Noise at a scale over that of single points, at most: where most values are equal the latter is nothing.
_LONGEST_MEMORY = 10.0


class Sums:
    """Despiked series, a row each, with their noise by scale and how much each point counts (1 if not told)."""

    def __init__(self, smooth: Values, noise: Values, weights: Values | None = None) -> None:
        """Take the series, what :func:`data.noise.noise_by_scale` says of them, and the weights of their points."""
        self.rows, self.points = smooth.shape
        self.smooth = smooth - smooth.mean(axis=-1, keepdims=True)
        self.noise = noise
        self.scales = np.array(scales_of(self.points))
        self.memory = np.minimum(noise / noise[:, :1], _LONGEST_MEMORY)
        self.weighted = weights is not None
        #: Of the weights, of the weighted values and of their squares.
        self.powers = np.zeros((3, self.rows, self.points + 1))
        if weights is None:
            self.powers[0] = np.arange(self.points + 1)
        else:
            np.cumsum(weights, axis=-1, out=self.powers[0, :, 1:])
        weighted = self.smooth if weights is None else weights * self.smooth
        np.cumsum(weighted, axis=-1, out=self.powers[1, :, 1:])
        np.cumsum(weighted * self.smooth, axis=-1, out=self.powers[2, :, 1:])

    def moved(self, row: Places, at: Places, points: int) -> Values:
        """Return by how much the mean of so many points after each place is above that of as many before it."""
        sums, begin, end = self.powers[1], np.maximum(at - points, 0), np.minimum(at + points, self.points)
        before = (sums[row, at] - sums[row, begin]) / (at - begin)
        moved: Values = (sums[row, end] - sums[row, at]) / (end - at) - before
        return moved

    def bounds(self, row: Places, begin: Places, at: Places, end: Places, scale: Places) -> Values:
        """Return what the deviate of each split cannot exceed: the noise inside the windows can only lower it."""
        base = row * (self.points + 1)
        if self.weighted:
            counts = self.powers[0].reshape(-1)
            middle = counts.take(base + at)
            before, after = middle - counts.take(base + begin), counts.take(base + end) - middle
        else:
            before, after = (at - begin).astype(float), (end - at).astype(float)
        sums = self.powers[1].reshape(-1)
        middle = sums.take(base + at)
        step = (sums.take(base + end) - middle) / after - (middle - sums.take(base + begin)) / before
        bound: Values = np.abs(step) * np.sqrt(before * after / (before + after)) / self.noise[row, scale]
        return bound

    def deviates(self, row: Places, begin: Places, at: Places, end: Places, scale: Places) -> Values:
        """Return the deviate of each split ``at`` between its two windows."""
        sums = self.powers.reshape(3, -1)
        base = row * (self.points + 1)
        middle = sums.take(base + at, axis=1)
        before, after = middle - sums.take(base + begin, axis=1), sums.take(base + end, axis=1) - middle
        mean_before, mean_after = before[1] / before[0], after[1] / after[0]
        rest = before[2] - before[1] * mean_before + after[2] - after[1] * mean_after
        freedom = np.maximum(before[0] + after[0] - 2, 1e-9)
        inside = np.sqrt(np.maximum(rest, 0) / freedom) * self.memory[row, scale]
        sigma = np.maximum(self.noise[row, scale], inside)
        t = np.abs(mean_after - mean_before) / (sigma * np.sqrt(1 / before[0] + 1 / after[0]))
        return _normal_deviate(t, np.maximum(np.maximum(freedom, 0.4 * self.points), 1))


def _normal_deviate(t: Values, freedom: Values) -> Values:
    """Return the normal deviate that is as unlikely as a Student t (Wallace, Ann. Math. Stat. 30, 1959, 1124-1130)."""
    found: Values = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t * t / freedom))
    return found


def student(deviate: Values, freedom: float) -> Values:
    """Return what Student t has at least such a deviate: :func:`_normal_deviate` turned round, a little less."""
    found: Values = np.sqrt(
        freedom * np.expm1((deviate * (8 * freedom + 3) / (8 * freedom + 1)) ** 2 / freedom)
    )
    return found * (1 - 1e-9)
