"""Whether a split is a step and not a look-alike: votes of the ranks, of lines and cubics, and of what memory is left.

Each function answers for many splits at once, from the points on both sides of each.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.noise import Places, Values

__all__ = ["Sides", "inflation", "is_sharp", "ordered", "ranks_agree", "sides_of", "step_of"]

Answers = NDArray[np.bool_]

#: Ranks agree where the sides are ordered at three standard deviations, or nearly apart where too few for that.
_RANKS, _NEARLY_APART = 3.0, 0.9
#: A line must be worse than a step by so many squared standard deviations; a cubic may be better by so many at most.
_LINE_WORSE, _CUBIC_BETTER = 4.0, 2.0
#: Fewer points are no evidence for a cubic.
_CUBIC_FROM = 16
#: The correlation of successive residuals is underestimated by about this many times 1/n where levels were fitted.
_CORRELATION_BIAS = 4.0


class Sides(NamedTuple):
    """The points before and after each split, a row a split, the nearest first, and how many there are.

    What is past the last is as :func:`sides_of` was asked.
    """

    before: Values
    after: Values
    befores: Places
    afters: Places


def sides_of(
    values: Values, row: Places, between: tuple[Places, Places, Places], reach: int, past: float
) -> Sides:
    """Return the sides of splits of rows of values, from (begin, at, end), which are at most ``reach`` points apart.

    What is past the last point is ``past``: infinite where they are put in order, zero where they are added up.
    """
    begin, at, end = between
    points = values.shape[1]
    far = np.arange(min(reach, points))
    flat, base = values.reshape(-1), (row * points + at)[:, None]
    befores, afters = at - begin, end - at
    before = np.where(far < befores[:, None], flat.take(base - 1 - far, mode="clip"), past)
    after = np.where(far < afters[:, None], flat.take(base + far, mode="clip"), past)
    return Sides(before, after, befores, afters)


def ordered(sides: Sides) -> Sides:
    """Return the sides with the points of each in order."""
    return sides._replace(before=np.sort(sides.before, axis=-1), after=np.sort(sides.after, axis=-1))


def step_of(sides: Sides) -> Values:
    """Return the difference of the medians of sides in order."""
    return _medians(sides.after, sides.afters) - _medians(sides.before, sides.befores)


def _medians(ordered: Values, count: Places) -> Values:
    rows = np.arange(len(ordered))
    found: Values = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return found


def ranks_agree(sides: Sides, step: Values, memory: Values) -> Answers:
    """Whether the ranks of the two sides are apart in the direction of the step (Mann and Whitney 1947)."""
    pairs = sides.befores * sides.afters
    share = _wins(sides) / 2 / pairs - 0.5
    unit = np.sqrt(12 * pairs / (sides.befores + sides.afters + 1)) / memory
    enough = np.abs(share) * unit >= np.minimum(_RANKS, _NEARLY_APART * 0.5 * unit)
    found: Answers = (share * step > 0) & enough
    return found


def _wins(sides: Sides) -> Places:
    """Return how many pairs of points are higher after the split, and how many are not lower, together.

    To find the points of one side among those of the other takes a third of the time that comparing all pairs takes.
    """
    found = [
        before.searchsorted(after[:count], "left").sum() + before.searchsorted(after[:count], "right").sum()
        for before, after, count in zip(sides.before, sides.after, sides.afters.tolist(), strict=True)
    ]
    return np.array(found, np.intp)


class _Fits(NamedTuple):
    """The squares that are left by a mean for each side, a line, a cubic, and a line with a step."""

    step: Values
    line: Values
    cubic: Values
    both: Values


def is_sharp(sides: Sides, sigma: Values, accepted: float) -> Answers:
    """Whether a step explains the points, and not a line, a cubic, or a line with no step in it."""
    rest = _fits(sides)
    unit = sigma * sigma
    clear = (rest.step + _LINE_WORSE * unit <= rest.line) & (rest.step <= rest.cubic + _CUBIC_BETTER * unit)
    freedom = np.maximum(1, sides.befores + sides.afters - 3)
    needed = accepted**2 * np.maximum(unit, rest.both / freedom)
    found: Answers = clear | ((rest.line - rest.both >= needed) & (rest.both <= rest.cubic))
    return found


def _fits(sides: Sides) -> _Fits:
    """Project the points on the orthogonal polynomials of equally spaced places (Gram's), and on a step."""
    n, m = sides.befores.astype(float), sides.afters.astype(float)
    points = n + m
    square = points * points
    mean = (sides.before.sum(axis=-1) + sides.after.sum(axis=-1)) / points
    values = np.concatenate(_less(sides, mean, mean), axis=-1)
    far = np.arange(sides.before.shape[1])
    place = np.concatenate((-1.0 - far, far + 0.0)) + (n - (points - 1) / 2)[:, None]
    weighted = place * values
    total = (values * values).sum(axis=-1)
    line = weighted.sum(axis=-1)
    parabola = (place * weighted).sum(axis=-1)  # the values' mean is zero, so that no constant is needed
    cubic = (place * place * weighted).sum(axis=-1) - (3 * square - 7) / 20 * line
    of_line = points * (square - 1) / 12
    of_parabola = of_line * (square - 4) / 15
    of_cubic = of_parabola * 9 * (square - 9) / 140
    rest_line = total - line * line / of_line
    rest_cubic = rest_line - parabola * parabola / of_parabola - cubic * cubic / of_cubic
    above = values[:, len(far) :].sum(axis=-1)
    rest_step = total - above * above * points / (n * m)
    slope = n * m / 2 / of_line
    size = n * m / points - slope * slope * of_line
    step = above - slope * line
    rest_both = rest_line - np.divide(step * step, size, out=np.zeros(len(size)), where=size > 1e-9)
    return _Fits(rest_step, rest_line, np.where(points >= _CUBIC_FROM, rest_cubic, math.inf), rest_both)


def inflation(sides: Sides) -> Values:
    """Return by how much the memory of successive points widens a mean: sqrt((1 + r) / (1 - r))."""
    means = sides.before.sum(axis=-1) / sides.befores, sides.after.sum(axis=-1) / sides.afters
    rest = _less(sides, *means)
    squares = sum((side * side).sum(axis=-1) for side in rest)
    products = sum((side[:, 1:] * side[:, :-1]).sum(axis=-1) for side in rest)
    r = np.divide(products, squares, out=np.zeros(len(squares)), where=squares > 0)
    r = np.clip(r + _CORRELATION_BIAS * (1 + 2 * r) / (sides.befores + sides.afters), 0, 0.9)
    found: Values = np.where(squares > 0, np.sqrt((1 + r) / (1 - r)), 1.0)
    return found


def _less(sides: Sides, before: Values, after: Values) -> tuple[Values, Values]:
    """Return the points less a level for each side; past the last they are zero."""
    far = np.arange(sides.before.shape[1])
    return (
        np.where(far < sides.befores[:, None], sides.before - before[:, None], 0),
        np.where(far < sides.afters[:, None], sides.after - after[:, None], 0),
    )
