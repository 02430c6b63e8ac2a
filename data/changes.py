"""Change points of a series: where its level moved, by how much, and how sure that is.

Three looks at each series, all on logarithms, so that a step is a ratio:

* its values, for steps of the level (:mod:`data.segments`);
* its lowest and highest values in blocks of seven, where those are much steadier: with noise of two modes, such as two
  memory layouts, a step of one mode is hidden from means and medians;
* its last one or two points, which are told only if no earlier run of points strayed nearly as far, and with a
  confidence that asks for another measurement.

The points' own intervals lower the weight of what was measured badly; a noise floor bounds the size from below.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.candidates import LAST
from data.errors import BadInput
from data.noise import Values, median, scales_of, spread
from data.segments import Segments, Split, looked_at
from data.series_input import check_times, scaled, values_of, weights_of

__all__ = ["Change", "Interval", "change_points", "change_points_of"]

#: The lower and upper ends of the intervals of a series, or nothing of both.
Interval = tuple[Sequence[float] | None, Sequence[float] | None]

#: Steps smaller than this share are not told, whatever the noise.
LEAST_SHARE = 0.005
#: Fewer points than this have no history that a change could be told from.
FEWEST = 6
#: Points of a block of which only the lowest (highest) counts, how steady these must be against a mean of eight, and
#: the deviate that a step among them needs.
BLOCK, STEADIER, BLOCK_DEVIATE = 7, 0.6, 5.0
#: (points at the end, how much farther they must be than any such run before, history needed, confidence)
ENDINGS = ((2, 1.5, 14, 0.6), (1, 2.5, 40, 0.4))
#: And how many standard deviations that must be.
ENDING_DEVIATES = 6.0
#: No more confidence than this in a change that so few points follow.
YOUNG = {3: 0.8, 4: 0.9}
#: The lowest values, and the highest: the lowest of the values turned round.
_SIGNS = (1.0, -1.0)
#: So many points of series of one length are looked at at a time.
_POINTS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Change:
    """One change: ``index`` is the first point of the new level, ``ratio`` new/old, ``confidence`` from 0 to 1.

    The ratio is NaN where the levels have no ratio (a level of zero or below).
    """

    index: int
    ratio: float
    confidence: float


@dataclass(frozen=True)
class _Found:
    """A change on the scale that was looked at, before it is told as a ratio."""

    index: int
    step: float
    confidence: float


def change_points(
    values: Sequence[float],
    times: Sequence[Any] | None = None,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    noise_floor: float | None = None,
) -> list[Change]:
    """Return the changes of a series, the oldest first.

    ``times`` are ISO 8601 texts or seconds since the epoch, in order; ``low`` and ``high`` the interval of each value,
    both or neither; ``noise_floor`` the share by which the series moves when nothing changes.  Raises BadInput for
    fewer than two values, a value that is not finite, lists of different lengths, times out of order.
    """
    series = values_of(values, "values")
    if len(series) < 2:
        raise BadInput(f"a series needs at least two values; found {len(series)}")
    if times is not None:
        check_times(times, len(series))
    return _change_points([series], [_floor(noise_floor)], [weights_of(series, low, high)])[0]


def change_points_of(
    series: Sequence[Sequence[float]],
    noise_floors: Sequence[float | None] | None = None,
    intervals: Sequence[Interval] | None = None,
) -> list[list[Change]]:
    """Return the changes of each of many series, which is much faster than asking for one after the other.

    ``noise_floors`` and ``intervals`` (low and high, both lists or both None) are those of each series.  Raises
    BadInput as :func:`change_points` does, with the number of the series (from 0).
    """
    all_values = []
    for number, values in enumerate(series):
        found = values_of(values, f"series {number}")
        if len(found) < 2:
            raise BadInput(f"series {number} needs at least two values; found {len(found)}")
        all_values.append(found)
    for name, given in (("noise floors", noise_floors), ("intervals", intervals)):
        if given is not None and len(given) != len(all_values):
            raise BadInput(f"{len(given)} {name} for {len(all_values)} series; give one a series")
    ends = [(None, None)] * len(all_values) if intervals is None else intervals
    weights = [weights_of(values, *pair) for values, pair in zip(all_values, ends, strict=True)]
    floors = [_floor(floor) for floor in ([None] * len(all_values) if noise_floors is None else noise_floors)]
    return _change_points(all_values, floors, weights)


def _floor(noise_floor: float | None) -> float:
    if noise_floor is None:
        return LEAST_SHARE
    if not (math.isfinite(noise_floor) and noise_floor >= 0):
        raise BadInput(f"the noise floor must be a share such as 0.02, not {noise_floor}")
    return max(float(noise_floor), LEAST_SHARE)


# -- looking -------------------------------------------------------------------------------------------------------


def _change_points(
    series: Sequence[Values], floors: Sequence[float], weights: Sequence[Values | None]
) -> list[list[Change]]:
    """Look at many series: those of one length together, so many at a time."""
    answers: list[list[Change]] = [[] for _ in series]
    alike: dict[tuple[int, bool], list[int]] = {}
    for number, (values, weight) in enumerate(zip(series, weights, strict=True)):
        if len(values) >= FEWEST:
            alike.setdefault((len(values), weight is not None), []).append(number)
    for (points, _), numbers in alike.items():
        at_once = max(1, _POINTS_AT_ONCE // points)
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            weighing = [weight for weight in (weights[number] for number in some) if weight is not None]
            found = _of_one_length(
                np.stack([series[number] for number in some]),
                np.log1p([floors[number] for number in some]),
                np.stack(weighing) if weighing else None,
            )
            for number, changes in zip(some, found, strict=True):
                answers[number] = changes
    return answers


def _of_one_length(series: Values, floors: Values, weights: Values | None) -> list[list[Change]]:
    values, logarithmic = scaled(series)
    least = np.where(logarithmic, floors, 0.0)
    smooth, noise = looked_at(values)
    splits = Segments(values, smooth, noise, weights, least).find()
    edges = _edges(values, noise, least)
    strays = _may_stray(values)
    changes: list[list[Change]] = [[] for _ in values]
    for row in range(len(values)):
        if splits[row] or row in edges or strays[row]:
            found = _look(values[row], splits[row], edges.get(row, ()))
            if strays[row]:
                found += _ending(values[row], found, float(noise[row, 0]), float(least[row]))
            changes[row] = _tell(series[row], found, bool(logarithmic[row]))
    return changes


def _look(values: Values, splits: Sequence[Split], edges: Sequence[_Found]) -> list[_Found]:
    """Add to the splits of a series those of its edges that are not near one."""
    if splits and _too_early(values, splits[-1].index):
        splits = splits[:-1]
    found = [_Found(one.index, one.step, _confidence(one.deviate, len(values), one.index)) for one in splits]
    for one in edges:
        if all(abs(one.index - other.index) > BLOCK + 2 for other in found):
            found.append(one)
    return sorted(found, key=lambda one: one.index)


def _too_early(values: Values, index: int) -> bool:
    """Whether a split before the last three points is one of the last two, which are looked at apart."""
    if index != len(values) - LAST:
        return False
    old, new = median(values[:index][-2 * BLOCK :]), median(values[index + 1 :])
    return bool((values[index] - (old + new) / 2) * (new - old) < 0)


def _confidence(deviate: float, points: int, index: int | None = None) -> float:
    """Return 1 - the chance that any of so many places shows such a deviate, less where few points follow."""
    chance = points * math.erfc(deviate / math.sqrt(2))
    bound = YOUNG.get(points - index, 1.0) if index is not None else 1.0
    return min(bound, max(0.0, 1 - chance))


def _lowest(values: Values) -> Values:
    """Return the lowest value of each block; the last axis is the series, of which the first points may be left out."""
    blocks = values.shape[-1] // BLOCK
    first = values.shape[-1] - blocks * BLOCK
    # Seven long looks take a fraction of the time of many short ones.
    return reduce(np.minimum, (values[..., first + place :: BLOCK] for place in range(BLOCK)))


def _edges(values: Values, noise: Values, least: Values) -> dict[int, list[_Found]]:
    """Return the steps of the lowest and of the highest values, for each row where they are worth a look."""
    rows, signs = np.nonzero(_steady_edges(values, noise))
    if not len(rows):
        return {}
    turned = np.array(_SIGNS)[signs, None] * values[rows]
    lowest = _lowest(turned)
    splits = Segments(lowest, least_step=least[rows], accepted=BLOCK_DEVIATE).find()
    found: dict[int, list[_Found]] = {}
    for number, (row, sign) in enumerate(zip(rows.tolist(), signs.tolist(), strict=True)):
        for one in _edge_steps(turned[number], lowest[number], splits[number]):
            found.setdefault(row, []).append(replace(one, step=_SIGNS[sign] * one.step))
    return found


def _steady_edges(values: Values, noise: Values) -> NDArray[np.bool_]:
    """Return for each series whether its lowest, and whether its highest values are far steadier than the others.

    With a coarse clock they always are, and say nothing.
    """
    points = values.shape[-1]
    if points // BLOCK < FEWEST + 2:
        return np.zeros((len(values), len(_SIGNS)), bool)
    of_eight = noise[:, scales_of(points).index(8)] / math.sqrt(8)
    lowest = np.stack([np.diff(_lowest(sign * values)) for sign in _SIGNS], axis=1)
    steady: NDArray[np.bool_] = spread(lowest) / math.sqrt(2) < STEADIER * of_eight[:, None]
    for row in np.flatnonzero(steady.any(axis=1)):
        steady[row] &= 2 * len(np.unique(values[row])) > points
    return steady


def _edge_steps(values: Values, lowest: Values, splits: Sequence[Split]) -> list[_Found]:
    """Return the steps of the lowest values of blocks, where the values themselves take them."""
    blocks, offset = len(lowest), len(values) - BLOCK * len(lowest)
    borders = [0, *(split.index for split in splits), blocks]
    found = []
    for position, split in enumerate(splits):
        before = lowest[borders[position] : split.index]
        after = lowest[split.index : borders[position + 2]]
        middle = (median(before) + median(after)) / 2
        index = _edge_index(values, offset + BLOCK * split.index, middle, split)
        found.append(_Found(index, split.step, _confidence(split.deviate, blocks)))
    return found


def _edge_index(values: Values, about: int, middle: float, split: Split) -> int:
    """Return where the lowest values moved: past the last one below the middle for a rise, else at the first."""
    start, end = max(0, about - BLOCK), min(len(values), about + BLOCK)
    below = np.flatnonzero(values[start:end] < middle)
    if not len(below):
        return about
    return start + int(below[-1] + 1 if split.step > 0 else below[0])


def _may_stray(values: Values) -> NDArray[np.bool_]:
    """Return for each series whether its last two points, or the last, are farther out than the points before them.

    So many points before are looked at as any ending needs.  Where one of them, or two successive ones, are as far out,
    there is no ending.
    """
    found = np.zeros(len(values), bool)
    for points, _, needed, _ in ENDINGS:
        if values.shape[1] >= points + needed:
            for sign in _SIGNS:
                turned = sign * values[:, -points - needed :]
                runs = np.minimum(turned[:, 1:], turned[:, :-1]) if points == 2 else turned
                found |= turned[:, -points:].min(axis=1) > runs[:, :-points].max(axis=1)
    return found


def _ending(values: Values, found: Sequence[_Found], sigma: float, least: float) -> list[_Found]:
    """Return a change of the last two points, or of the last, that has no like in the history of their level."""
    begin = found[-1].index if found else 0
    for points, factor, needed, confidence in ENDINGS:
        at = len(values) - points
        if at - begin < needed:
            continue
        level = values[begin:] - median(values[begin:at])
        new, old = level[-points:], level[:-points]
        if np.ptp(np.sign(new)):
            continue
        farthest = float(_run_sizes(old, points).max())
        size = float(np.abs(new).min())
        if size < max(factor * farthest, ENDING_DEVIATES * sigma, least):
            continue
        if size >= ENDING_DEVIATES * float(spread(old)):
            return [_Found(at, median(new), confidence)]
    return []


def _run_sizes(level: Values, points: int) -> Values:
    """Return how far each run of one or two successive points stays from zero on one side."""
    size = np.abs(level)
    if points == 1:
        return size
    same = np.sign(level[1:]) == np.sign(level[:-1])
    return np.where(same, np.minimum(size[1:], size[:-1]), 0.0)


# -- telling -------------------------------------------------------------------------------------------------------


def _tell(series: Values, found: Sequence[_Found], logarithmic: bool) -> list[Change]:
    """Turn steps into ratios: those of logarithms, else of the levels on both sides."""
    if logarithmic:
        return [Change(one.index, math.exp(one.step), one.confidence) for one in found]
    borders = [0, *(one.index for one in found), len(series)]
    changes = []
    for position, one in enumerate(found):
        old = median(series[borders[position] : one.index])
        new = median(series[one.index : borders[position + 2]])
        ratio = new / old if old > 0 and new > 0 else math.nan
        changes.append(Change(one.index, ratio, one.confidence))
    return changes
