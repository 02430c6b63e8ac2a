"""Measuring a run again in its own environment, and saying how close that came.

All that is needed is in the run file: packages with the digests of their wheels, interpreter, settings, protocol and
seed.  It works on a machine that never saw the store that the file is from.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data.errors import BadInput, NothingMeasured
from data.reproduction import Reproduction, badge, judge_reproduction
from data.rundocument import RunDocument, read
from data.summary import Key, summarise
from data.words import Profile, Reproduced, Status
from runners.environments import Refused, build
from runners.execute import Job, Setting, store
from runners.lines import Observer
from runners.plan import Plan, make_plan
from runners.process import Place
from runners.recipes import Recipe, package_of, parse
from runners.scratch import Scratch
from runners.uv import interpreter
from runners.wishes import Wishes, wishes_of

__all__ = ["Attempt", "recipe_of", "reproduce", "wishes_for"]

#: Variables that a worker inherits and that choose which code runs: what they were is what they are again.
_CHOOSE_CODE = ("MKL_ENABLE_INSTRUCTIONS", "NUMBA_CPU_NAME", "OPENBLAS_CORETYPE")


@dataclass(frozen=True)
class Attempt:
    """What came of measuring again: the verdicts, the new run file and what became of it."""

    reproduction: Reproduction
    file: Path
    stopped: str
    stored: str


def recipe_of(original: RunDocument, changes: str = "") -> tuple[Recipe, str]:
    """Return the recipe of a run's environment, and its lock where the run has one and nothing is changed on purpose.

    ``changes`` is a recipe that goes before what the run had.  Raises BadInput where the run was measured with kernels
    of a commit, which ``changes`` must then give, and Refused where no interpreter is here.
    """
    run = original.run
    held = run.protocol.get("recipe") or {}
    wished = parse(changes) if changes else Recipe("as it was")
    kernels = held.get("kernels")
    if kernels and wished.kernels is None:
        raise BadInput(
            f"run {run.id} was measured with {kernels['path']} at commit {kernels['commit'][:12]}: "
            f"give --with kernels=PATH@{kernels['commit'][:12]}"
        )
    changed = {package_of(requirement) for requirement in wished.requirements}
    pins = [f"{name}=={version}" for name, version in run.environment.packages.items() if name not in changed]
    variables = _variables(run.environment.attributes.get("variables", {}))
    variables |= {str(name): str(value) for name, value in held.get("variables", {}).items()}
    recipe = Recipe(
        name=f"as in {run.id}",
        requirements=(*wished.requirements, *pins),
        python=wished.python or _interpreter(run.environment.interpreter),
        threads=wished.threads,
        variables=tuple(sorted((variables | dict(wished.variables)).items())),
        kernels=wished.kernels,
        package=wished.package,
    )
    lock = "" if changed or wished.python else "\n".join(run.protocol.get("lock") or [])
    return recipe, lock


def _variables(recorded: dict[str, Any]) -> dict[str, str]:
    return {name: recorded[name][0] for name in _CHOOSE_CODE if len(recorded.get(name, [])) == 1}


def _interpreter(named: str) -> str:
    """Return what to ask uv for: the very interpreter, else one of the same minor version, else our own."""
    match = re.search(r"(\d+\.\d+)(?:\.\d+)?", named)
    if match is None:
        return ""
    if interpreter()[1].startswith(f"{match[0]} "):
        return ""
    for wish in (match[0], match[1]):
        try:
            interpreter(wish)
            return wish
        except Refused:
            continue
    return ""


def wishes_for(original: RunDocument, keys: Sequence[Key] | None, wishes: Wishes) -> Wishes:
    """Return the wishes of the original run, narrowed to the measurements to repeat and by what ``wishes`` names."""
    kept = wishes_of(original, Wishes(resume=Path(original.run.id)))
    measured = [row for row in summarise(original) if row.status == Status.OK and not row.is_ceiling]
    if keys is not None:
        measured = [row for row in measured if row.key in keys]
    if not measured:
        raise BadInput(f"run {original.run.id} has no measurement that was ok among those asked for")
    return replace(
        kept,
        profile=Profile.FULL if keys is not None else kept.profile,
        effort=kept.effort or original.run.effort,
        cases=wishes.cases
        or (tuple(sorted({row.case for row in measured})) if keys is not None else kept.cases),
        variants=wishes.variants or kept.variants,
        backends=wishes.backends or tuple(sorted({row.backend for row in measured})),
        threads=wishes.threads or tuple(sorted({row.threads for row in measured})),
        aa=False,
        labels=wishes.labels | {"reproduces": original.run.id},
        machine=wishes.machine,
        budget_s=wishes.budget_s,
        limit_s=wishes.limit_s,
        out=wishes.out,
        resume=None,
        store=wishes.store,
    )


def reproduce(
    original: RunDocument,
    keys: Sequence[Key] | None,
    wishes: Wishes,
    observer: Observer,
    *,
    changes: str = "",
    here: bool = False,
) -> Attempt:
    """Rebuild the environment of a run, measure the same again, and write the verdict into the new run file.

    ``changes`` alters the environment on purpose, ``here`` takes flopwatch's own.  Raises NothingMeasured with the
    resolver's message where the environment cannot be built any more.
    """
    again = wishes_for(original, keys, wishes)
    plan = _plan(again)
    recipe, place, lock = _place(original, plan, changes, here, observer)
    if recipe is not None and recipe.threads:
        again = replace(again, threads=(recipe.threads,))
        plan = _plan(again)
    setting = Setting(
        place,
        protocol={
            "purpose": "reproduction",
            "reproduces": {"run": original.run.id, "sha256": original.sha256},
            **({"recipe": recipe.to_json(), "lock": lock.splitlines()} if recipe else {}),
        },
        command=("flopwatch", "reproduce", original.run.id),
    )
    with Scratch() as scratch:
        job = Job(again, plan, observer, scratch, setting=setting)
        stopped, found = _measure(job, original, keys)
    stored = str(store(job.path, again))
    return Attempt(found, job.path, stopped, stored)


def _plan(wishes: Wishes) -> Plan:
    plan = make_plan(Profile(wishes.profile), wishes.cases, wishes.variants, wishes.backends, wishes.threads)
    if not plan.groups:
        raise NothingMeasured(f"nothing can be measured: {plan.skipped[0].backend}: {plan.skipped[0].reason}")
    return plan


def _place(
    original: RunDocument, plan: Plan, changes: str, here: bool, observer: Observer
) -> tuple[Recipe | None, Place, str]:
    if here:
        return None, Place(), ""
    observer.remark(f"rebuilding the environment of run {original.run.id}")
    try:
        recipe, lock = recipe_of(original, changes)
        built = build(recipe, {cell.variant.backend for cell in plan.cells}, lock)
    except Refused as error:
        raise NothingMeasured(
            f"the environment of run {original.run.id} cannot be rebuilt: {error} "
            "(--here measures in flopwatch's own environment instead, and names what differs)"
        ) from error
    return recipe, built.place, built.lock


def _measure(job: Job, original: RunDocument, keys: Sequence[Key] | None) -> tuple[str, Reproduction]:
    try:
        job.begin()
        stopped = job.orchestrator.run()
        found = judge_reproduction(original, read(job.path), keys)
        _note(job, original, found)
        job.end(stopped)
        return stopped, found
    except KeyboardInterrupt:
        job.observer.remark(f"interrupted; what was measured is kept at {job.path}")
        raise
    finally:
        job.close()


def _note(job: Job, original: RunDocument, found: Reproduction) -> None:
    """Write the verdicts down, where whoever reads the new run finds them."""
    job.orchestrator.note(
        "reproduction",
        badge(found),
        original=original.run.id,
        comparability=found.comparability.value,
        differences=[
            {"what": one.what, "before": one.before, "now": one.now, "decides": one.decides}
            for one in found.differences
        ],
        results=[result.to_json() for result in found.results],
        reproduced=found.count(Reproduced.YES),
    )
