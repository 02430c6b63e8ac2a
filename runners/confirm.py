"""Measuring suspicious cases again, and remembering what came of it: an alarm counts when a re-run agrees with it.

Where the environment changed and the code did not, the environment of before and that of after are built anew and
measured side by side, so that what else happened to the machine since then cancels.  Otherwise, and where they cannot
be had any more, the present environment is measured and compared with the old level.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from data import entries, queries
from data.errors import BadInput, NotFound, NothingMeasured
from data.estimate import MARGIN
from data.index import Index
from data.regressions import Event, Member, State
from data.rundocument import read
from data.summary import Key, key_of
from data.versions import compare_arms
from data.words import Status
from runners.environments import Refused, build
from runners.execute import Setting, execute
from runners.lines import Observer
from runners.machine import describe_machine
from runners.matrix import Arm, measure_matrix
from runners.printing import Screen
from runners.recipes import Recipe
from runners.reproduce import recipe_of
from runners.wishes import Wishes

__all__ = ["confirm", "outcome_of"]

#: What both ways write into their runs: they are no points of a history.
_PURPOSE = "confirmation"
_COMMAND = ("flopwatch", "regressions", "--confirm")

#: New time / old time of a measurement with its interval, where there is one.
Figures = Mapping[str, float | None]


def confirm(index: Index, events: Sequence[Event], *, quiet: bool = False) -> int:
    """Measure every new change of this machine again, and append one decision each; return how many were decided.

    Cases that share variant, backend and threads are one run, or one pair of runs.  What the re-run cannot tell stays
    new.  The runs are kept like any others, with the label ``confirms``.
    """
    here = describe_machine().id
    decided = 0
    for event in events:
        open_ = [one for one in event.members if event.machine_id == here and one.state == State.NEW]
        if not open_:
            continue
        with Screen(quiet=quiet) as screen:
            environments = _environments(index, event, open_, screen)
            for members in _together(open_):
                try:
                    found, run = _measure(members, environments, screen)
                except (BadInput, NothingMeasured):
                    continue  # this version knows the case no more, or cannot run it here
                decided += sum(_decide(index, one, found.get(_key(one), {}), run) for one in members)
    return decided


def _decide(index: Index, member: Member, figures: Figures, run: Mapping[str, str]) -> bool:
    """Append what a re-measurement says of a change; return whether it says something."""
    state = outcome_of(member, figures)
    if state == State.NEW:
        return False
    beside = f", beside the environment of before in run {run['beside']}" if "beside" in run else ""
    index.state(
        entries.Decision(
            series=member.history.series,
            decision=state.value,
            change_at=f"{member.at:%Y-%m-%dT%H:%M:%S.%fZ}",
            reason=f"measured again in run {run['run']}{beside}",
            attributes={**figures, **run},
        )
    )
    return True


def _key(member: Member) -> Key:
    return key_of(member.history.cell, "case")


def _together(members: Iterable[Member]) -> list[list[Member]]:
    groups: dict[tuple[Any, ...], list[Member]] = {}
    for one in members:
        cell = one.history.cell
        groups.setdefault((cell["variant"], cell["backend"], cell["threads"]), []).append(one)
    return list(groups.values())


def _environments(index: Index, event: Event, members: Sequence[Member], observer: Observer) -> list[Arm]:
    """Return the environments of before and after an event, built.

    None where the code changed, where they do not differ in what can be built, or where one is not to be had.
    """
    if any(one.kind == "code" for one in event.differences):
        return []
    backends = {str(one.history.cell["backend"]) for one in members}
    try:
        documents = [read(queries.run_file(index, run)) for run in (event.run_before, event.run)]
        recipes = [recipe_of(document) for document in documents]
        if _what_it_is(recipes[0][0]) == _what_it_is(recipes[1][0]):
            return []
        observer.remark(f"building the environments before and after {event.at:%Y-%m-%d %H:%M}")
        return [
            Arm(replace(recipe, name=name), build(recipe, backends, lock))
            for name, (recipe, lock) in zip(("before", "after"), recipes, strict=True)
        ]
    except (BadInput, NotFound, Refused) as error:
        observer.remark(f"only the present environment is measured: {error}")
        return []


def _what_it_is(recipe: Recipe) -> Recipe:
    return replace(recipe, name="", requirements=tuple(sorted(recipe.requirements)))


def _measure(
    members: Sequence[Member], environments: Sequence[Arm], observer: Observer
) -> tuple[dict[Key, Figures], dict[str, str]]:
    """Measure some cases again; return new time / old time of each, and which runs say so."""
    cell = members[0].history.cell
    wishes = Wishes(
        profile="full",
        effort="quick",
        cases=tuple(sorted({one.history.cell["case"] for one in members})),
        variants=(cell["variant"],),
        backends=(cell["backend"],),
        threads=(cell["threads"],),
        labels={"confirms": members[0].history.runs[members[0].index]},
    )
    if environments:
        return _side_by_side(environments, wishes, observer)
    outcome = execute(wishes, observer, Setting(protocol={"purpose": _PURPOSE}))
    rows = {row.key: row for row in outcome.rows if row.status == Status.OK}
    found: dict[Key, Figures] = {}
    for one in members:
        row = rows.get(_key(one))
        if row is not None:
            ends = {"ratio": row.time_ns, "low": row.low_ns, "high": row.high_ns}
            found[row.key] = {name: end and end / one.before_ns for name, end in ends.items()}
    return found, {"run": outcome.run, "file": outcome.file.name}


def _side_by_side(
    environments: Sequence[Arm], wishes: Wishes, observer: Observer
) -> tuple[dict[Key, Figures], dict[str, str]]:
    matrix = measure_matrix(environments, wishes, observer, _COMMAND, _PURPOSE)
    if matrix.stopped == "interrupted":
        raise KeyboardInterrupt
    (_, before), (_, after) = matrix.documents()
    found: dict[Key, Figures] = {
        key: {"ratio": one.ratio, "low": one.low, "high": one.high}
        for key, one in compare_arms(before, after).items()
    }
    return found, {
        "run": after.run.id,
        "file": matrix.files["after"].name,
        "beside": before.run.id,
    }


def outcome_of(member: Member, figures: Figures) -> State:
    """Return what a re-measurement says of a change: confirmed, noise, or still new where it cannot tell.

    Confirmed if its interval lies on the changed side of the old level by more than the margin; noise if it lies within
    the margin of the old level, or nearer to it than to the new one throughout.
    """
    low, high = figures.get("low"), figures.get("high")
    if low is None or high is None:
        return State.NEW
    halfway = member.ratio**0.5
    slower, faster = low > max(1 + MARGIN, halfway), high < min(1 / (1 + MARGIN), halfway)
    if slower if member.slower else faster:
        return State.CONFIRMED
    if high < halfway if member.slower else low > halfway:
        return State.NOISE
    return State.NEW
