"""Where the level of series changes: robust noise at every scale, multi-scale split tests, votes against look-alikes.

The values are taken as they are (pass logarithms for ratios).  A split is tested by the difference of the means of the
windows before and after it, at every scale, against the larger of two noises: that of the whole series at this scale,
and that inside the two windows.  The noise at a scale is the median deviation of such differences over the series, so
autocorrelation and slow drift are in it and need no model, and a few real changes do not raise it.  Many would: where
noise grows with scale, steps that are beyond doubt in short windows are taken out before it is estimated again.

All series of one length are searched together: each step of the search is taken for all of them at once.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data import votes
from data.candidates import BLOCK_POINTS, candidates
from data.noise import Places, Values, despiked, noise_by_scale
from data.sums import Sums

__all__ = ["Segments", "Split", "looked_at"]

#: A split is kept if its deviate exceeds this: about one in 25,000 by chance, for each place that it could be at.
ACCEPTED = 4.1
#: The two sides of a split are looked at over so many points: what is farther away says little about it.
REACH = 128
#: Steps beyond doubt: their deviate in windows of so many points, and the share of the step that four points show.
_CERTAIN, _CERTAIN_REACH, _AT_ONCE, _AT_ONCE_POINTS = 5.0, 32, 0.6, 4
#: Noise that grows more than this from windows of two points (the second scale) on has many steps in it, or memory.
_GROWS, _SHORT = 1.3, 1


@dataclass(frozen=True)
class Split:
    """A change of level: the first point of the new one, how far it moved, and the deviate that speaks for it."""

    index: int
    step: float
    deviate: float


class Splits(NamedTuple):
    """Splits of many series, by row and place: the step and deviate of each, and whether it holds."""

    row: Places
    at: Places
    step: Values
    deviate: Values
    holds: NDArray[np.bool_]

    def without(self, some: Places) -> "Splits":
        """Return all but some of them."""
        kept = np.ones(len(self.row), bool)
        kept[some] = False
        return Splits(self.row[kept], self.at[kept], self.step[kept], self.deviate[kept], self.holds[kept])


def looked_at(values: Values) -> tuple[Values, Values]:
    """Return many series without their spikes, and the noise of each by scale without the steps beyond doubt."""
    block = max(1, BLOCK_POINTS // values.shape[1])
    smooth = [despiked(values[start : start + block]) for start in range(0, len(values), block)]
    noise = np.concatenate([noise_by_scale(some) for some in smooth])
    whole = np.concatenate(smooth)
    grows = np.flatnonzero(noise[:, -1] > _GROWS * noise[:, _SHORT])
    if len(grows):
        noise[grows] = _without_certain_steps(whole[grows], noise[grows])
    return whole, noise


def _without_certain_steps(smooth: Values, noise: Values) -> Values:
    """Return the noise by scale of despiked series without the steps that short windows put beyond doubt.

    A walk has none: what it moves in the long run is not moved at once.
    """
    held = np.minimum(noise, noise[:, _SHORT, None])
    search = Segments(smooth, smooth, held, accepted=_CERTAIN, reach=_CERTAIN_REACH)
    found = search.splits()
    at_once = search.sums.moved(found.row, found.at, _AT_ONCE_POINTS)
    sharp = (at_once * found.step > 0) & (np.abs(at_once) >= _AT_ONCE * np.abs(found.step))
    steps = np.zeros(smooth.shape)
    steps[found.row[sharp], found.at[sharp]] = found.step[sharp]
    changed = np.unique(found.row)
    least = noise.copy()
    rest = smooth[changed] - np.cumsum(steps[changed], axis=-1)
    least[changed] = np.minimum(noise[changed], noise_by_scale(rest))
    return least


class Segments:
    """The changes of level of many series of one length."""

    def __init__(
        self,
        values: Values,
        smooth: Values | None = None,
        noise: Values | None = None,
        weights: Values | None = None,
        least_step: Values | float = 0.0,
        accepted: float = ACCEPTED,
        reach: int = REACH,
    ) -> None:
        """Take series, a row each, if known what :func:`looked_at` says of them, and how much each point counts.

        Steps smaller than ``least_step``, which may differ by series, are none; ``accepted`` is the deviate that a
        split needs within ``reach`` points.
        """
        if smooth is None or noise is None:
            smooth, noise = looked_at(values)
        self.values, self.reach, self.accepted = values, reach, accepted
        self.least_step = np.broadcast_to(least_step, len(values))
        self.sums = Sums(smooth, noise, weights)

    def find(self) -> list[list[Split]]:
        """Return the changes of each series, the oldest first."""
        found: list[list[Split]] = [[] for _ in self.values]
        splits = self.splits()
        parts = (part.tolist() for part in (splits.row, splits.at, splits.step, splits.deviate))
        for row, at, step, deviate in zip(*parts, strict=True):
            found[row].append(Split(at, step, deviate))
        return found

    def splits(self) -> Splits:
        """Return the changes: candidates from the strongest down, then the weakest taken back until all hold."""
        row, at = candidates(self.sums)
        splits = Splits(row, at, np.zeros(len(row)), np.zeros(len(row)), np.zeros(len(row), bool))
        pending = np.arange(len(row))
        while len(pending):
            self._judge(splits, pending)
            weakest = _weakest(splits)
            rows = splits.row[weakest]
            splits = splits.without(weakest)
            after = weakest - np.arange(len(weakest))
            pending = np.concatenate(
                [places[_held(splits.row, places, rows)] for places in (after - 1, after)]
            )
        return splits

    def _judge(self, splits: Splits, which: Places) -> None:
        """Say of some of the splits whether they hold between their neighbours, with their step and deviate."""
        row, at = splits.row[which], splits.at[which]
        begin, end = (
            np.where(_held(splits.row, beside, row), splits.at.take(beside, mode="clip"), border)
            for beside, border in ((which - 1, 0), (which + 1, self.sums.points))
        )
        begin, end = np.maximum(begin, at - self.reach), np.minimum(end, at + self.reach)
        scale = np.searchsorted(self.sums.scales, np.maximum(at - begin, end - at))
        deviate = self.sums.deviates(row, begin, at, end, scale)
        splits.deviate[which], splits.holds[which] = deviate, False
        asked = np.stack((which, row, begin, at, end, scale))
        asked = self._with_ranks(splits, asked[:, deviate >= self.accepted])
        which, row, begin, at, end, scale = asked
        sides = votes.sides_of(self.sums.smooth, row, (begin, at, end), self.reach, 0.0)
        sharp = votes.is_sharp(sides, self.sums.noise[row, scale], self.accepted)
        shrunk = np.maximum(1.0, votes.inflation(sides) / self.sums.memory[row, scale])
        splits.deviate[which[sharp]] /= shrunk[sharp]
        splits.holds[which] = sharp & (splits.deviate[which] >= self.accepted)

    def _with_ranks(self, splits: Splits, asked: Places) -> Places:
        """Return those whose step is large enough and whose ranks agree with it."""
        which, row, begin, at, end, scale = asked
        sides = votes.ordered(votes.sides_of(self.values, row, (begin, at, end), self.reach, math.inf))
        step = splits.step[which] = votes.step_of(sides)
        agree = votes.ranks_agree(sides, step, self.sums.memory[row, scale])
        return asked[:, agree & (np.abs(step) >= self.least_step[row])]


def _held(rows: Places, places: Places, row: Places) -> NDArray[np.bool_]:
    """Return whether there are splits at these places of the list, and of this row."""
    found: NDArray[np.bool_] = (places >= 0) & (places < len(rows))
    found[found] = rows[places[found]] == row[found]
    return found


def _weakest(splits: Splits) -> Places:
    """Return the places in the list of the weakest split of each row among those that do not hold."""
    fails = np.flatnonzero(~splits.holds)
    by_row = fails[np.lexsort((splits.deviate[fails], splits.row[fails]))]
    _, first = np.unique(splits.row[by_row], return_index=True)
    found: Places = by_row[first]
    return found
