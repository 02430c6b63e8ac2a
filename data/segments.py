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
from data.noise import SMALLEST_WINDOW, Places, Values, despiked, noise_by_scale, scales_of

__all__ = ["Segments", "Split"]

#: A split is kept if its deviate exceeds this: about one in 25,000 by chance, for each place that it could be at.
ACCEPTED = 4.1
#: Candidates below this are not looked at.
CANDIDATE = 3.6
#: Points before the first, between two, and after the last split: shorter runs are outliers, or too new to judge here.
FIRST, BETWEEN, LAST = 3, 5, 3
#: The two sides of a split are looked at over so many points: what is farther away says little about it.
REACH = 128
#: Steps beyond doubt: their deviate in windows of so many points, and the share of the step that four points show.
_CERTAIN, _CERTAIN_REACH, _AT_ONCE, _AT_ONCE_POINTS = 5.0, 32, 0.6, 4
#: Noise that grows more than this from windows of two points (the second scale) on has many steps in it, or memory.
_GROWS, _SHORT = 1.3, 1
#: Noise at a scale over that of single points, at most: where most values are equal the latter is nothing.
_LONGEST_MEMORY = 10.0
#: So many points are worked on at a time where each is looked at: they and what is made of them stay in the cache.
_BLOCK_POINTS = 1 << 15


@dataclass(frozen=True)
class Split:
    """A change of level: the first point of the new one, how far it moved, and the deviate that speaks for it."""

    index: int
    step: float
    deviate: float


class _Stretches(NamedTuple):
    """Parts of series between two splits: the row, and from where to before where."""

    row: Places
    low: Places
    high: Places


class _Hits(NamedTuple):
    """Places at which a split is significant: in which stretch, at which scale, its windows and its deviate."""

    stretch: Places
    scale: Places
    begin: Places
    at: Places
    end: Places
    deviate: Values

    def where(self, wanted: NDArray[np.bool_]) -> "_Hits":
        return _Hits(*(part[wanted] for part in self))


class Splits(NamedTuple):
    """Splits of many series, by row and place: the step and deviate of each, and whether it holds."""

    row: Places
    at: Places
    step: Values
    deviate: Values
    holds: NDArray[np.bool_]


def _joined(hits: list[_Hits]) -> _Hits:
    return _Hits(*(np.concatenate(parts) for parts in zip(*hits, strict=True)))


def looked_at(values: Values) -> tuple[Values, Values]:
    """Return many series without their spikes, and the noise of each by scale without the steps beyond doubt."""
    block = max(1, _BLOCK_POINTS // values.shape[1])
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
    at_once = search.moved(found.row, found.at, _AT_ONCE_POINTS)
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
        self.values, self.noise, self.reach, self.accepted = values, noise, reach, accepted
        rows, self.points = values.shape
        self.smooth = smooth - smooth.mean(axis=-1, keepdims=True)
        self.scales = np.array(scales_of(self.points))
        self.memory = np.minimum(noise / noise[:, :1], _LONGEST_MEMORY)
        self.least_step = np.broadcast_to(least_step, rows)
        self.weighted = weights is not None
        self.sums = np.zeros((3, rows, self.points + 1))
        weight = np.ones(values.shape) if weights is None else np.broadcast_to(weights, values.shape)
        for power, sums in enumerate(self.sums):
            np.cumsum(weight * self.smooth**power, axis=-1, out=sums[:, 1:])

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
        row, at = self._candidates()
        order = np.lexsort((at, row))
        splits = Splits(row[order], at[order], *np.zeros((2, len(row))), np.zeros(len(row), bool))
        pending = np.arange(len(row))
        while len(pending):
            self._judge(splits, pending)
            weakest = _weakest(splits)
            rows = splits.row[weakest]
            splits = Splits(*(np.delete(part, weakest) for part in splits))
            after = weakest - np.arange(len(weakest))
            pending = np.concatenate(
                [places[_held(splits.row, places, rows)] for places in (after - 1, after)]
            )
        return splits

    def moved(self, row: Places, at: Places, points: int) -> Values:
        """Return by how much the mean of so many points after each place is above that of as many before it."""
        sums, begin, end = self.sums[1], np.maximum(at - points, 0), np.minimum(at + points, self.points)
        before = (sums[row, at] - sums[row, begin]) / (at - begin)
        moved: Values = (sums[row, end] - sums[row, at]) / (end - at) - before
        return moved

    # -- candidates --------------------------------------------------------------------------------------------------

    def _candidates(self) -> tuple[Places, Places]:
        """Return the row and place of all splits worth a look: the strongest of each stretch, then of its halves."""
        rows = len(self.values)
        stretches = _Stretches(np.arange(rows), np.zeros(rows, np.intp), np.full(rows, self.points))
        hits = self._anywhere()
        found = [(np.zeros(0, np.intp), np.zeros(0, np.intp))]
        while len(hits.at):
            at = self._strongest(hits, len(stretches.row))
            split = np.flatnonzero(at >= 0)
            found.append((stretches.row[split], at[split]))
            halves = _halves(stretches, split, at[split])
            number = np.zeros(len(at), np.intp)
            number[split] = np.arange(len(split))
            hits = _joined([_kept(hits, at, number), self._at_new_ends(halves)])
            stretches = halves
        rows_found, places = zip(*found, strict=True)
        return np.concatenate(rows_found), np.concatenate(places)

    def _strongest(self, hits: _Hits, stretches: int) -> Places:
        """Return the place of the strongest hit of each stretch, at the smallest scale and first of equals; or -1."""
        most = np.full(stretches, -np.inf)
        np.maximum.at(most, hits.stretch, hits.deviate)
        best = hits.where(hits.deviate == most[hits.stretch])
        none = len(self.scales) * (self.points + 1)
        order = np.full(stretches, none)
        np.minimum.at(order, best.stretch, best.scale * (self.points + 1) + best.at)
        return np.where(order < none, order % (self.points + 1), -1)

    def _anywhere(self) -> _Hits:
        """Return the hits of all series as wholes."""
        block = max(1, _BLOCK_POINTS // self.points)
        rows = len(self.values)
        return _joined([self._of_rows(start, min(start + block, rows)) for start in range(0, rows, block)])

    def _of_rows(self, start: int, stop: int) -> _Hits:
        """Return the hits of some rows, whose windows are slices of the sums, which go on level at both ends."""
        tested = range(int(np.searchsorted(self.scales, SMALLEST_WINDOW)), len(self.scales))
        pad = int(self.scales[-2])
        sums = np.pad(self.sums[1, start:stop], ((0, 0), (pad, pad)), mode="edge")
        counted = self.sums[0, start : stop if self.weighted else start + 1]
        counts = np.pad(counted, ((0, 0), (pad, pad)), mode="edge")
        places = slice(pad + FIRST, pad + self.points - LAST + 1)
        found = []
        for scale in tested:
            window = int(self.scales[scale])
            if window < self.points:
                begin, end = (slice(places.start + by, places.stop + by) for by in (-window, window))
            else:
                begin, end = slice(0, 1), slice(-1, None)
            before, after = (
                counts[:, places] - counts[:, begin],
                counts[:, end] - counts[:, places],
            )
            both = before + after
            step = sums[:, end] - sums[:, places]
            step *= np.sqrt(before / (after * both))
            down = sums[:, places] - sums[:, begin]
            down *= np.sqrt(after / (before * both))
            step -= down
            # The noise inside the windows can only lower this.
            row, at = np.nonzero(np.abs(step, out=step) >= CANDIDATE * self.noise[start:stop, scale, None])
            found.append((row + start, np.full(len(row), scale), at + FIRST))
        row, scale, at = (np.concatenate(parts) for parts in zip(*found, strict=True))
        window = self.scales[scale]
        begin, end = np.maximum(at - window, 0), np.minimum(at + window, self.points)
        return self._significant(row, _Hits(row, scale, begin, at, end, np.zeros(0)))

    def _significant(self, row: Places, hits: _Hits) -> _Hits:
        """Return those of the hits whose deviate is worth a look."""
        deviate = self._deviates(row, hits.begin, hits.at, hits.end, hits.scale)
        return hits._replace(deviate=deviate).where(deviate >= CANDIDATE)

    def _at_new_ends(self, halves: _Stretches) -> _Hits:
        """Return the hits whose windows reach the end that a stretch and the next one got when they were parted.

        All others are those of the stretch that was parted.
        """
        low, high = halves.low, halves.high
        first, last = (
            np.where(low == 0, FIRST, BETWEEN) + low,
            high - np.where(high == self.points, LAST, BETWEEN),
        )
        smallest = int(np.searchsorted(self.scales, SMALLEST_WINDOW))
        window = self.scales[smallest:, None]
        is_first = np.arange(len(low)) % 2 == 0
        start = np.where(is_first, np.maximum(first, high - window + 1), first)
        stop = np.where(is_first, last, np.minimum(last, low + window - 1)) + 1
        count = np.where(
            self.scales[smallest - 1 : -1, None] < high - low, np.maximum(stop - start, 0), 0
        ).ravel()
        which = np.repeat(np.arange(len(count)), count)
        at = start.ravel()[which] + np.arange(len(which)) - (np.cumsum(count) - count)[which]
        scale, stretch = which // len(low) + smallest, which % len(low)
        window = self.scales[scale]
        begin, end = np.maximum(at - window, low[stretch]), np.minimum(at + window, high[stretch])
        hits = _Hits(stretch, scale, begin, at, end, np.zeros(len(at)))
        row = halves.row[stretch]
        return self._significant(row, hits)

    def _deviates(self, row: Places, begin: Places, at: Places, end: Places, scale: Places) -> Values:
        """Return the deviate of each split ``at`` between its two windows."""
        sums = self.sums.reshape(3, -1)
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

    # -- votes -------------------------------------------------------------------------------------------------------

    def _judge(self, splits: Splits, which: Places) -> None:
        """Say of some of the splits whether they hold between their neighbours, with their step and deviate."""
        row, at = splits.row[which], splits.at[which]
        begin, end = (
            np.where(
                _held(splits.row, beside, row), splits.at[np.clip(beside, 0, len(splits.at) - 1)], border
            )
            for beside, border in ((which - 1, 0), (which + 1, self.points))
        )
        begin, end = np.maximum(begin, at - self.reach), np.minimum(end, at + self.reach)
        scale = np.searchsorted(self.scales, np.maximum(at - begin, end - at))
        deviate = self._deviates(row, begin, at, end, np.minimum(scale, len(self.scales) - 1))
        splits.deviate[which], splits.holds[which] = deviate, False
        asked = np.stack((which, row, begin, at, end, np.minimum(scale, len(self.scales) - 1)))
        asked = self._with_ranks(splits, asked[:, deviate >= self.accepted])
        which, row, begin, at, end, scale = asked
        sides = votes.sides_of(self.smooth, row, (begin, at, end), self.reach, 0.0)
        sharp = votes.is_sharp(sides, self.noise[row, scale], self.accepted)
        shrunk = np.maximum(1.0, votes.inflation(sides) / self.memory[row, scale])
        splits.deviate[which[sharp]] /= shrunk[sharp]
        splits.holds[which] = sharp & (splits.deviate[which] >= self.accepted)

    def _with_ranks(self, splits: Splits, asked: Places) -> Places:
        """Return those whose step is large enough and whose ranks agree with it."""
        which, row, begin, at, end, scale = asked
        sides = votes.ordered(votes.sides_of(self.values, row, (begin, at, end), self.reach, math.inf))
        step = splits.step[which] = votes.step_of(sides)
        agree = votes.ranks_agree(sides, step, self.memory[row, scale])
        return asked[:, agree & (np.abs(step) >= self.least_step[row])]


def _halves(stretches: _Stretches, split: Places, at: Places) -> _Stretches:
    """Return the two halves of each stretch that is split, one after the other."""
    row, low, high = (part[split] for part in stretches)
    pairs = ((row, row), (low, at), (at, high))
    return _Stretches(*(np.stack(pair, axis=1).ravel() for pair in pairs))


def _kept(hits: _Hits, at: Places, number: Places) -> _Hits:
    """Return the hits whose windows lie within one half of their stretch, for which they are as they were.

    ``at`` is where each stretch is split, ``number`` the how manieth of those that are.
    """
    split = at[hits.stretch]
    first = (hits.end <= split) & (hits.at <= split - BETWEEN)
    second = (hits.begin >= split) & (hits.at >= split + BETWEEN)
    halved = hits._replace(stretch=2 * number[hits.stretch] + second)
    return halved.where(first | second)


def _held(rows: Places, places: Places, row: Places) -> NDArray[np.bool_]:
    """Return whether there are splits at these places of the list, and of this row."""
    inside = (places >= 0) & (places < len(rows))
    found: NDArray[np.bool_] = inside & (rows.take(places, mode="clip") == row) if len(rows) else inside
    return found


def _weakest(splits: Splits) -> Places:
    """Return the places in the list of the weakest split of each row among those that do not hold."""
    fails = np.flatnonzero(~splits.holds)
    order = fails[np.lexsort((splits.deviate[fails], splits.row[fails]))]
    rows = splits.row[order]
    first: Places = np.sort(order[np.concatenate(([True], rows[1:] != rows[:-1]))[: len(order)]])
    return first


def _normal_deviate(t: Values, freedom: Values) -> Values:
    """Return the normal deviate that is as unlikely as a Student t (Wallace, Ann. Math. Stat. 30, 1959, 1124-1130)."""
    found: Values = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t * t / freedom))
    return found
