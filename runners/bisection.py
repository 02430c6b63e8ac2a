"""Finding the version or commit where a case changed, each step decided by a paired measurement.

At each step the good end, the bad end and a point between them are measured side by side.  The point belongs to the
side that it is nearer to: what is judged is ln(point) - (ln(good) + ln(bad))/2 in each block, with its interval.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median

from data.compare import timed
from data.errors import BadInput, NothingMeasured
from data.estimate import minimum_processes, ratio, sign_interval
from data.rundocument import RunDocument, read
from data.summary import Key, merge
from data.versions import logs_by_block
from data.words import Status, Verdict
from runners.lines import Observer
from runners.matrix import measure_matrix, prepare
from runners.recipes import Recipe, package_of, parse, releases
from runners.revisions import Revision, between
from runners.wishes import Wishes

__all__ = ["Located", "Side", "Step", "bisect", "locate", "points"]

#: A point is measured at most so often.  Six processes on one side are enough: a point lies at one end or at the other,
#: so that all of them are mistaken is far less likely than the level says.
_ATTEMPTS, _CONFIDENCE = 4, 0.96


class Side(StrEnum):
    """Where a point belongs."""

    GOOD = "good"
    BAD = "bad"
    UNCLEAR = "unclear"
    ABSENT = "cannot be measured"


@dataclass(frozen=True)
class Step:
    """One point that was measured: its ratio to the good end, and on which side it lies with which interval.

    ``low`` and ``high`` bound where the point lies between the ends: -1 at the good one, 1 at the bad one.
    """

    name: str
    side: Side
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    processes: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Located:
    """The first bad point and the last good one before it; with points between that could not be told apart."""

    good: str
    bad: str
    between: list[str]
    steps: list[Step]
    key: Key
    ratio: float


def points(good: str, bad: str) -> list[Recipe]:
    """Return the recipes from a good to a bad one, which differ in one version or commit, the ends included.

    Raises BadInput where they differ in something else, or where nothing lies between them.
    """
    first, last = parse(good), parse(bad)
    for kind in ("kernels", "package"):
        ends = getattr(first, kind), getattr(last, kind)
        if None not in ends and ends[0] != ends[1]:
            if _at(first, kind, None, "") != _at(last, kind, None, ""):
                break
            found = [_at(first, kind, one, one.name) for one in between(*ends)]
            return _enough(found, good, bad)
    old, new = (
        set(first.requirements) - set(last.requirements),
        set(last.requirements) - set(first.requirements),
    )
    same = replace(first, requirements=(), name="") == replace(last, requirements=(), name="")
    if same and len(old) == len(new) == 1 and "==" in (before := old.pop()) and "==" in (after := new.pop()):
        package = package_of(before)
        if package == package_of(after):
            ends = before.partition("==")[2], after.partition("==")[2]
            kept = tuple(requirement for requirement in first.requirements if requirement != before)
            versions = [ends[0], *releases(package, *ends), ends[1]]
            return _enough(
                [
                    replace(first, name=f"{package}=={one}", requirements=(f"{package}=={one}", *kept))
                    for one in versions
                ],
                good,
                bad,
            )
    raise BadInput(
        f"{good!r} and {bad!r} must differ in one version (numpy==2.0.0 and numpy==2.4.6) or in one commit "
        "(kernels=FILE@v1 and kernels=FILE@main), the older one as good"
    )


def _at(recipe: Recipe, kind: str, revision: Revision | None, name: str) -> Recipe:
    if kind == "kernels":
        return replace(recipe, kernels=revision, name=name)
    return replace(recipe, package=revision, name=name)


def _enough(found: list[Recipe], good: str, bad: str) -> list[Recipe]:
    if len(found) < 3:
        raise BadInput(f"nothing lies between {good} and {bad}; compare them with flopwatch matrix")
    return found


def locate(count: int, side_of: Callable[[int], Side]) -> tuple[int, int]:
    """Return the last good and the first bad of ``count`` points, of which the first is good and the last is bad.

    Asks about as many points as the logarithm of their number; a point that cannot be told is left out, and its
    nearest neighbours are asked instead.
    """
    good, bad = 0, count - 1
    left_out: set[int] = set()
    while True:
        inside = [index for index in range(good + 1, bad) if index not in left_out]
        if not inside:
            return good, bad
        index = min(inside, key=lambda one: abs(2 * one - good - bad))
        side = side_of(index)
        if side is Side.GOOD:
            good = index
        elif side is Side.BAD:
            bad = index
        else:
            left_out.add(index)


def bisect(recipes: Sequence[Recipe], wishes: Wishes, observer: Observer, command: Sequence[str]) -> Located:
    """Return where the wished cases changed; NothingMeasured if the ends do not differ or cannot be built."""
    judge = _Judge(recipes, wishes, observer, command)
    key, ratio_of_ends = judge.ends()
    good, bad = locate(len(recipes), judge.side_of)
    return Located(
        recipes[good].name,
        recipes[bad].name,
        [recipe.name for recipe in recipes[good + 1 : bad]],
        judge.steps,
        key,
        ratio_of_ends,
    )


class _Judge:
    """Measures points beside both ends."""

    def __init__(
        self, recipes: Sequence[Recipe], wishes: Wishes, observer: Observer, command: Sequence[str]
    ) -> None:
        self._recipes, self._wishes, self._observer, self._command = recipes, wishes, observer, command
        self.steps: list[Step] = []
        self._key: Key | None = None

    def ends(self) -> tuple[Key, float]:
        """Measure both ends; return the measurement that differs most and its ratio bad/good."""
        logs: dict[Key, list[float]] = {}
        for _ in range(_ATTEMPTS):
            good, bad = self._measure([self._recipes[0], self._recipes[-1]])
            for key in merge(bad.lines):
                logs.setdefault(key, []).extend(_logs(bad, good, key).values())
            clear = {
                key: found.ratio
                for key, values in logs.items()
                if values
                for found in [ratio(values, _CONFIDENCE)]
                if found.verdict in (Verdict.FASTER, Verdict.SLOWER)
            }
            if clear:
                self._key = max(clear, key=lambda key: abs(math.log(clear[key])))
                self._observer.remark(f"{self._key[0]} {self._key[1]}: bad/good is {clear[self._key]:.3f}")
                return self._key, clear[self._key]
        raise NothingMeasured(
            f"no difference was found between {self._recipes[0].name} and {self._recipes[-1].name} in "
            f"{max(map(len, logs.values()), default=0)} processes each; choose other ends or cases"
        )

    def side_of(self, index: int) -> Side:
        """Measure a point beside both ends until its side is clear, at most so often."""
        assert self._key is not None
        recipe = self._recipes[index]
        places: list[float] = []
        ratios: list[float] = []
        step = Step(recipe.name, Side.UNCLEAR)
        for _ in range(_ATTEMPTS):
            try:
                good, point, bad = self._measure([self._recipes[0], recipe, self._recipes[-1]])
            except _CannotBuild as error:
                step = Step(recipe.name, Side.ABSENT, reason=str(error))
                break
            why = _why_untimed(point, self._key)
            if why:
                step = Step(recipe.name, Side.ABSENT, reason=why)
                break
            to_good, to_bad = _logs(point, good, self._key), _logs(point, bad, self._key)
            both = [block for block in to_good if block in to_bad]
            places += [(to_good[block] + to_bad[block]) / 2 for block in both]
            ratios += [to_good[block] for block in both]
            step = self._step(recipe.name, places, ratios, bad, good)
            if step.side is not Side.UNCLEAR:
                break
        self.steps.append(step)
        shown = "" if step.ratio is None else f", {step.ratio:.3f} of good"
        self._observer.remark(f"{recipe.name}: {step.side}{shown}{step.reason and f': {step.reason}'}")
        return step.side

    def _step(
        self, name: str, places: list[float], ratios: list[float], bad: RunDocument, good: RunDocument
    ) -> Step:
        assert self._key is not None
        if len(places) < minimum_processes(_CONFIDENCE):
            return Step(name, Side.UNCLEAR, reason="too few processes measured it", processes=len(places))
        half = median(_logs(bad, good, self._key).values()) / 2
        low, high = sorted(end / half for end in sign_interval(places, _CONFIDENCE))
        side = Side.BAD if low > 0 else Side.GOOD if high < 0 else Side.UNCLEAR
        return Step(name, side, math.exp(median(ratios)), low, high, len(places))

    def _measure(self, recipes: Sequence[Recipe]) -> list[RunDocument]:
        arms = prepare(recipes, self._wishes, self._observer)
        for arm in arms:
            if arm.built is None:
                raise _CannotBuild(f"{arm.recipe.name}: {arm.refused}")
        matrix = measure_matrix(arms, self._wishes, self._observer, self._command, "bisect")
        if matrix.stopped == "interrupted":
            raise KeyboardInterrupt
        return [read(path) for path in matrix.files.values()]


class _CannotBuild(NothingMeasured):
    """The environment of a point cannot be had."""


def _why_untimed(point: RunDocument, key: Key) -> str:
    """Return why a point has no time, or nothing where it has one."""
    lines = merge(point.lines).get(key, [])
    reasons = [f"{line.status}: {line.reason}" for line in lines if line.status != Status.OK]
    return reasons[0] if reasons else "" if lines else "it was not measured"


def _logs(new: RunDocument, old: RunDocument, key: Key) -> dict[int, float]:
    new_blocks, old_blocks = ({one.index: one.block for one in run.processes} for run in (new, old))
    news, olds = (timed(merge(run.lines).get(key, [])) for run in (new, old))
    return logs_by_block(news, olds, new_blocks, old_blocks)
