"""Places at which the level of series may change: the strongest split of each, then of both its parts, and so on.

All series of one length are searched together, a generation of parts at a time.  A part keeps what was found in the
windows that do not reach its new end.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.noise import SMALLEST_WINDOW, Places, Values
from data.sums import Sums, student

__all__ = ["BETWEEN", "BLOCK_POINTS", "CANDIDATE", "FIRST", "LAST", "candidates"]

#: Candidates below this deviate are not looked at.
CANDIDATE = 3.6
#: Points before the first, between two, and after the last split: shorter runs are outliers, or too new to judge here.
FIRST, BETWEEN, LAST = 3, 5, 3
#: So many points are worked on at a time where each is looked at: they and what is made of them stay in the cache.
BLOCK_POINTS = 1 << 15


class _Stretches(NamedTuple):
    """Parts of series between two splits: the row, and from where to before where."""

    row: Places
    low: Places
    high: Places


class _Hits(NamedTuple):
    """Places at which a split may be significant, in which stretch and at which scale.

    ``bound`` is what the deviate cannot exceed, as a Student t: that with the noise of the series alone.
    """

    stretch: Places
    scale: Places
    at: Places
    bound: Values

    def where(self, wanted: NDArray[np.bool_]) -> "_Hits":
        """Return some of them."""
        return _Hits(self.stretch[wanted], self.scale[wanted], self.at[wanted], self.bound[wanted])

    def after(self, stretches: int) -> "_Hits":
        """Return them with so many stretches before theirs."""
        return self._replace(stretch=self.stretch + stretches)


class _Parted(NamedTuple):
    """What came of a generation: row and place of each split, the halves, and the hits that stay what they were."""

    splits: tuple[Places, Places]
    halves: _Stretches
    kept: _Hits


def candidates(sums: Sums) -> tuple[Places, Places]:
    """Return the row and place of all splits worth a look, by row and place."""
    row, at = _Search(sums).candidates()
    order = np.lexsort((at, row))
    return row[order], at[order]


class _Search:
    """What all generations look at."""

    def __init__(self, sums: Sums) -> None:
        self.sums, self.points, self.scales = sums, sums.points, sums.scales

    def candidates(self) -> tuple[Places, Places]:
        """Return the row and place of all splits worth a look: the strongest of each stretch, then of its halves."""
        rows, block = self.sums.rows, max(1, BLOCK_POINTS // self.points)
        first = [self._first(start, min(start + block, rows)) for start in range(0, rows, block)]
        found = [part.splits for part in first]
        halves = _Stretches(
            *(np.concatenate(parts) for parts in zip(*(one.halves for one in first), strict=True))
        )
        begins = np.cumsum([0, *(len(one.halves.row) for one in first)]).tolist()
        kept = _joined([one.kept.after(begin) for one, begin in zip(first, begins, strict=False)])
        while len(halves.row):
            part = self._part(halves, _joined([kept, self._at_new_ends(halves)]))
            found.append(part.splits)
            halves, kept = part.halves, part.kept
        rows_found, places = zip(*found, strict=True)
        return np.concatenate(rows_found), np.concatenate(places)

    def _first(self, start: int, stop: int) -> "_Parted":
        """Part some series as wholes."""
        rows = np.arange(start, stop)
        whole = _Stretches(rows, np.zeros(len(rows), np.intp), np.full(len(rows), self.points))
        return self._part(whole, self._of_rows(start, stop))

    def _part(self, stretches: _Stretches, hits: _Hits) -> "_Parted":
        """Part each stretch at its strongest hit, where it has one."""
        at = self._strongest(hits, stretches)
        split = np.flatnonzero(at >= 0)
        number = np.zeros(len(at), np.intp)
        number[split] = np.arange(len(split))
        halves = _halves(stretches, split, at[split])
        kept = _kept(hits, self.scales[hits.scale], at, number)
        return _Parted((stretches.row[split], at[split]), halves, kept)

    def _strongest(self, hits: _Hits, stretches: _Stretches) -> Places:
        """Return the place of the strongest hit of each stretch, at the smallest scale and first of equals; or -1.

        That with the highest bound is looked at first, then those whose bound allows them to be stronger.
        """
        highest = np.zeros(len(stretches.row))
        np.maximum.at(highest, hits.stretch, hits.bound)
        first = hits.where(hits.bound == highest[hits.stretch])
        least = np.full(len(highest), CANDIDATE)
        np.maximum.at(least, first.stretch, self._deviates(first, stretches))
        rest = hits.where(hits.bound >= student(least, self.points)[hits.stretch])
        deviate = self._deviates(rest, stretches)
        np.maximum.at(least, rest.stretch, deviate)
        best = rest.where(deviate >= least[rest.stretch])
        none = len(self.scales) * (self.points + 1)
        order = np.full(len(highest), none)
        np.minimum.at(order, best.stretch, best.scale * (self.points + 1) + best.at)
        return np.where(order < none, order % (self.points + 1), -1)

    def _deviates(self, hits: _Hits, stretches: _Stretches) -> Values:
        row, low, high = (part[hits.stretch] for part in stretches)
        window = self.scales[hits.scale]
        begin, end = np.maximum(hits.at - window, low), np.minimum(hits.at + window, high)
        return self.sums.deviates(row, begin, hits.at, end, hits.scale)

    def _of_rows(self, start: int, stop: int) -> _Hits:
        """Return the hits of some series as wholes; windows are slices of the sums, which go on level at both ends."""
        tested = range(int(np.searchsorted(self.scales, SMALLEST_WINDOW)), len(self.scales))
        pad = int(self.scales[-2])
        sums = np.pad(self.sums.powers[1, start:stop], ((0, 0), (pad, pad)), mode="edge")
        counted = self.sums.powers[0, start : stop if self.sums.weighted else start + 1]
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
            np.abs(step, out=step)
            noise = self.sums.noise[start:stop, scale]
            row, at = np.nonzero(step >= CANDIDATE * noise[:, None])
            found.append(_Hits(row, np.full(len(row), scale), at + FIRST, step[row, at] / noise[row]))
        return _joined(found)

    def _at_new_ends(self, halves: _Stretches) -> _Hits:
        """Return the hits whose windows reach the end that a stretch and the next one got when they were parted.

        All others are those of the stretch that was parted.
        """
        block = 2 * max(1, BLOCK_POINTS // self.points // 2)
        hits = []
        for start in range(0, len(halves.row), block):
            some = self._of_halves(_Stretches(*(part[start : start + block] for part in halves)))
            hits.append(some.after(start))
        return _joined(hits)

    def _of_halves(self, halves: _Stretches) -> _Hits:
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
        bound = self.sums.bounds(halves.row[stretch], begin, at, end, scale)
        return _Hits(stretch, scale, at, bound).where(bound >= CANDIDATE)


def _joined(hits: list[_Hits]) -> _Hits:
    return _Hits(*(np.concatenate(parts) for parts in zip(*hits, strict=True)))


def _halves(stretches: _Stretches, split: Places, at: Places) -> _Stretches:
    """Return the two halves of each stretch that is split, one after the other."""
    row, low, high = (part[split] for part in stretches)
    pairs = ((row, row), (low, at), (at, high))
    return _Stretches(*(np.stack(pair, axis=1).ravel() for pair in pairs))


def _kept(hits: _Hits, window: Places, at: Places, number: Places) -> _Hits:
    """Return the hits whose windows lie within one half of their stretch, for which they are as they were.

    ``at`` is where each stretch is split, or -1, ``number`` the how manieth of those that are.
    """
    split = at[hits.stretch]
    first = (hits.at + window <= split) & (hits.at <= split - BETWEEN)
    second = (split >= 0) & (hits.at - window >= split) & (hits.at >= split + BETWEEN)
    halved = hits._replace(stretch=2 * number[hits.stretch] + second)
    return halved.where(first | second)
