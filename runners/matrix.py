"""The same cases in several environments at once: one run file an environment, all measured side by side.

In each block every environment has a fresh process of each kind.  They hold the same case together and take turns of a
few rounds in balanced random order, so that what the machine does meanwhile cancels in the ratio of two environments.
"""

import contextlib
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, cycle
from pathlib import Path
from typing import TypeVar

from data.compare import timed
from data.errors import NothingMeasured
from data.records import Skipped, uuid7
from data.rundocument import RunDocument, read
from data.summary import Key
from data.versions import logs_by_block
from data.words import Profile, Status
from runners.environments import Built, Refused, build
from runners.execute import Job, Setting, store
from runners.lines import Observer
from runners.plan import Group, Plan, PlannedCell, make_plan
from runners.precision import is_decided, spent_s
from runners.recipes import Recipe
from runners.rounds import round_orders
from runners.scratch import Scratch
from runners.turns import Pace
from runners.wishes import Wishes
from runners.workload import kernels

__all__ = ["Arm", "Matrix", "measure_matrix", "prepare"]

_T = TypeVar("_T")

#: Turns of one process at a case: what differs between turns is most of the noise of a ratio, and a turn is cheap.
TURNS = 12


@dataclass
class Arm:
    """One environment of a matrix; ``refused`` is the resolver's reason where it cannot be built."""

    recipe: Recipe
    built: Built | None
    refused: str = ""


@dataclass
class Matrix:
    """What came of it: the run files by environment, in the order in which they were asked for."""

    id: str
    files: dict[str, Path]
    refused: dict[str, str]
    stopped: str
    stored: list[str]
    elapsed_s: float

    def documents(self) -> list[tuple[str, RunDocument]]:
        """Return the runs of the environments that could be built."""
        return [(name, read(path)) for name, path in self.files.items() if name not in self.refused]


def prepare(recipes: Sequence[Recipe], wishes: Wishes, observer: Observer) -> list[Arm]:
    """Build the environments of the recipes with the backends of the wished cases; one that cannot be built says why.

    Raises NothingMeasured where none can be built.
    """
    _know_kernels(recipes)
    names = {cell.variant.backend for cell in _plan(wishes).cells}
    observer.remark(f"preparing {len(recipes)} environments")
    arms = [_prepare(recipe, names) for recipe in recipes]
    if all(arm.built is None for arm in arms):
        raise NothingMeasured(f"no environment can be built: {arms[0].recipe.name}: {arms[0].refused}")
    for arm in arms:
        if arm.refused:
            observer.remark(f"{arm.recipe.name} cannot be built: {arm.refused}")
    return arms


def _know_kernels(recipes: Sequence[Recipe]) -> None:
    """Make the cases of kernel files known here as well, as the files are now: workers get those of their commits."""
    files = {
        str(recipe.kernels.path) for recipe in recipes if recipe.kernels and recipe.kernels.path.is_file()
    }
    known = [path for path in os.environ.get("FLOPWATCH_KERNELS", "").split(os.pathsep) if path]
    if files - set(known):
        os.environ["FLOPWATCH_KERNELS"] = os.pathsep.join([*known, *sorted(files - set(known))])
        kernels.cache_clear()


def _prepare(recipe: Recipe, backend_names: set[str]) -> Arm:
    try:
        return Arm(recipe, build(recipe, sorted(backend_names)))
    except Refused as error:
        return Arm(recipe, None, str(error))


def _plan(wishes: Wishes) -> Plan:
    """Return what to measure: what the environments are compared by, without the limits of the machine."""
    plan = make_plan(
        Profile(wishes.profile),
        wishes.cases,
        wishes.variants,
        wishes.backends,
        wishes.threads,
        beside_ceilings=False,
    )
    if not plan.groups:
        reason = f"{plan.skipped[0].backend}: {plan.skipped[0].reason}" if plan.skipped else "no case is left"
        raise NothingMeasured(f"nothing can be measured: {reason}")
    return plan


def measure_matrix(
    arms: Sequence[Arm], wishes: Wishes, observer: Observer, command: Sequence[str], purpose: str = "matrix"
) -> Matrix:
    """Measure the wished cases in all environments side by side; an interruption keeps what was measured."""
    started = time.monotonic()
    identity = uuid7()
    with Scratch() as scratch:
        jobs = {
            arm.recipe.name: _job(
                arm, wishes, observer, scratch / str(number), identity, arms, command, purpose
            )
            for number, arm in enumerate(arms)
        }
        stopped = _measure(list(jobs.values()), wishes, observer)
    stored = [str(store(job.path, wishes)) for job in jobs.values()]
    return Matrix(
        identity,
        {name: job.path for name, job in jobs.items()},
        {arm.recipe.name: arm.refused for arm in arms if arm.built is None},
        stopped,
        stored,
        time.monotonic() - started,
    )


def _job(
    arm: Arm,
    wishes: Wishes,
    observer: Observer,
    scratch: Path,
    identity: str,
    arms: Sequence[Arm],
    command: Sequence[str],
    purpose: str,
) -> Job:
    scratch.mkdir()
    threads = (arm.recipe.threads,) if arm.recipe.threads else wishes.threads
    wishes = replace(wishes, threads=threads, labels=wishes.labels | {"environment": arm.recipe.name})
    plan = _plan(wishes)
    protocol = {
        "purpose": purpose,
        "matrix": {"id": identity, "environment": arm.recipe.name, "of": [one.recipe.name for one in arms]},
        "turns": TURNS,
        "margin": wishes.margin,
        "recipe": arm.recipe.to_json(),
    }
    if arm.built is None:
        skipped = [_refused(cell, arm.refused) for cell in plan.cells]
        setting = Setting(protocol=protocol, command=tuple(command))
        return Job(wishes, Plan({}, [*plan.skipped, *skipped]), observer, scratch, setting=setting)
    setting = Setting(
        arm.built.place, TURNS, protocol | {"lock": arm.built.lock.splitlines()}, tuple(command)
    )
    return Job(wishes, plan, observer, scratch, setting=setting)


def _refused(cell: PlannedCell, reason: str) -> Skipped:
    record = cell.record()
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return Skipped(**fields, status=Status.UNAVAILABLE, reason=f"the environment cannot be built: {reason}")


def _measure(jobs: Sequence[Job], wishes: Wishes, observer: Observer) -> str:
    stopped = "interrupted"
    try:
        for job in jobs:
            job.begin()
        able = [job for job in jobs if job.plan.groups]
        stopped = _Conductor(able, observer).run() if able else "complete"
        for job in jobs:
            job.end(stopped)
    except KeyboardInterrupt:
        observer.remark("interrupted; what was measured is kept")
    finally:
        for job in jobs:
            job.close()
    return stopped


class _Conductor:
    """Lets the orchestrators of several runs go through each block together."""

    def __init__(self, jobs: Sequence[Job], observer: Observer) -> None:
        self._jobs, self._observer = jobs, observer
        self._replication = jobs[0].replication
        self._rng = random.Random()

    def run(self) -> str:
        """Measure block after block; return why it stopped."""
        cells = sum(len(job.plan.cells) for job in self._jobs)
        self._observer.planned(cells, self._replication.most)
        block_s = 0.0
        for block in range(self._replication.most):
            left = [job.orchestrator.left(block) for job in self._jobs]
            if not any(left):
                break
            if self._jobs[0].orchestrator.out_of_budget(block_s):
                return "budget"
            began = time.monotonic()
            try:
                self._block(block, left, cells)
            finally:
                for job in self._jobs:
                    job.orchestrator.close()
            block_s = time.monotonic() - began
            if block + 1 in self._replication.looks:
                self._look()
        return "complete"

    def _block(self, block: int, left: Sequence[dict[Group, list[PlannedCell]]], total: int) -> None:
        gate = None
        for job, groups in self._shuffled(list(zip(self._jobs, left, strict=True))):
            if groups:
                gate = job.orchestrator.open(block, groups, gate)
        cases = {cell.case.id: None for groups in left for cells in groups.values() for cell in cells}
        for case in self._shuffled(list(cases)):
            self._observer.at(block, case)
            for unit in self._shuffled(_units(self._jobs, left, case)):
                pace = Pace(TURNS)
                members = [job.orchestrator.turns(block, group, cells, pace) for job, group, cells in unit]
                _alternate(members, round_orders(len(members), self._rng))
            done = sum(len(job.lines.done()) for job in self._jobs)
            self._observer.progress(done, total * self._replication.most)

    def _shuffled(self, things: list[_T]) -> list[_T]:
        return self._rng.sample(things, len(things))

    def _look(self) -> None:
        """At a planned look, finish what is decided between every two environments, or has had its time."""
        if self._replication.precision is None:
            return
        for sides in self._shared():
            held = [(timed(job.lines.of(key)), job.lines.blocks) for job, key in sides]
            logs = [logs_by_block(new[0], old[0], new[1], old[1]) for old, new in combinations(held, 2)]
            decided = all(is_decided(list(one.values()), self._replication) for one in logs if one)
            if decided or self._has_had_its_time(sides):
                for job, key in sides:
                    job.orchestrator.finish({key})

    def _shared(self) -> list[list[tuple[Job, Key]]]:
        """Return what is compared, with its key in each run: thread counts may be what the runs differ in."""
        across = len({job.wishes.threads for job in self._jobs}) > 1
        shared: dict[tuple[object, ...], list[tuple[Job, Key]]] = {}
        for job in self._jobs:
            for cell in job.plan.cells:
                shared.setdefault(cell.key[:-1] if across else cell.key, []).append((job, cell.key))
        return list(shared.values())

    def _has_had_its_time(self, sides: Sequence[tuple[Job, Key]]) -> bool:
        budget_s = self._replication.budget_s
        spent = [spent_s({key: job.lines.of(key)}) for job, key in sides]
        return budget_s is not None and max(spent) >= budget_s


Unit = list[tuple[Job, Group, list[PlannedCell]]]


def _units(jobs: Sequence[Job], left: Sequence[dict[Group, list[PlannedCell]]], case: str) -> list[Unit]:
    """Return which processes alternate at a case: those of the same kind in all environments.

    Where the environments differ in their kinds, as with other thread counts, all that hold the case do.
    """
    kinds: dict[Group, Unit] = {}
    for job, groups in zip(jobs, left, strict=True):
        for group, cells in groups.items():
            chosen = [cell for cell in cells if cell.case.id == case]
            if chosen:
                kinds.setdefault(group, []).append((job, group, chosen))
    units = list(kinds.values())
    if len({len(unit) for unit in units}) == 1 and len(units[0]) == sum(1 for groups in left if groups):
        return units
    return [[member for unit in units for member in unit]]


def _alternate(members: Sequence[Iterator[None]], orders: list[list[int]]) -> None:
    """Give each member a turn after the other, in every order in turn, until all are done."""
    live = set(range(len(members)))
    for order in cycle(orders):
        for index in order:
            if index in live:
                live -= _advance(members[index], index)
        if not live:
            return


def _advance(member: Iterator[None], index: int) -> set[int]:
    with contextlib.suppress(StopIteration):
        next(member)
        return set()
    return {index}
