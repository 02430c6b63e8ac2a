"""What a person asked of a run, and the command that asks for the same again."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from data.errors import BadInput
from data.rundocument import RunDocument
from data.words import Effort, Profile
from runners.protocol import EFFORTS, UNTIL_DECIDED, Replication

__all__ = ["KEPT", "Wishes", "command", "effort", "replication", "wishes_of"]

#: The wishes that decide what is measured; the run file keeps them, and a resumed run has them.
KEPT = ("profile", "effort", "cases", "variants", "backends", "threads", "precision", "apart_s", "seed", "aa")


@dataclass(frozen=True)
class Wishes:
    """What the person asked for."""

    profile: str = Profile.QUICK
    effort: str | None = None
    cases: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    precision: float | None = None
    #: environments are compared, and what lies within this share of 1 is the same …
    margin: float | None = None
    #: … and with the quick effort, each case goes on until that is known of all its ratios
    until_decided: bool = False
    apart_s: float | None = None
    budget_s: float | None = None
    seed: int = 0
    aa: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    machine: str | None = None
    limit_s: float = 300.0
    out: Path | None = None
    resume: Path | None = None
    store: bool = True


def wishes_of(held: RunDocument, wishes: Wishes) -> Wishes:
    """Return the wishes that an interrupted run was started with; they are part of its protocol."""
    kept = held.run.protocol.get("wishes")
    if not isinstance(kept, dict) or set(kept) != set(KEPT):
        raise BadInput(f"{wishes.resume} does not say what was to be measured; start a new run instead")
    for name in ("cases", "variants", "backends", "threads"):
        kept[name] = tuple(kept[name])
    return Wishes(
        **kept,
        labels=dict(held.run.labels),
        machine=held.run.machine.name,
        out=None,
        resume=wishes.resume,
        store=wishes.store,
        limit_s=wishes.limit_s,
        budget_s=wishes.budget_s,
    )


def effort(wishes: Wishes) -> Effort:
    """Return the effort asked for, else that of the profile's name."""
    return Effort(wishes.effort or ("standard" if wishes.profile == Profile.FULL else wishes.profile))


def replication(wishes: Wishes) -> Replication:
    """Return how the run is replicated; a wished precision means all looks of the rigorous effort.

    What ends as soon as it is decided needs a higher level at each look.
    """
    chosen = EFFORTS[effort(wishes)]
    if wishes.apart_s is not None and chosen.second_sitting:
        chosen = replace(chosen, apart_s=wishes.apart_s)
    looks = EFFORTS[Effort.RIGOROUS].looks
    if wishes.precision is not None:
        chosen = replace(chosen, looks=looks, confidence=0.97, precision=wishes.precision, budget_s=None)
    elif wishes.until_decided and effort(wishes) is Effort.QUICK:
        budget_s = EFFORTS[Effort.STANDARD].budget_s
        chosen = replace(chosen, looks=looks, precision=wishes.margin, budget_s=budget_s)
    if wishes.margin is not None and chosen.precision is not None:
        chosen = replace(chosen, confidence=UNTIL_DECIDED, margin=wishes.margin)
    return chosen


def command(wishes: Wishes) -> list[str]:
    """Return the command that measures the same again."""
    command = ["flopwatch", "run", "--profile", str(wishes.profile)]
    if wishes.effort:
        command += ["--effort", str(wishes.effort)]
    for option, values in (
        ("--case", wishes.cases),
        ("--variant", wishes.variants),
        ("--backend", wishes.backends),
        ("--threads", wishes.threads),
    ):
        for value in values:
            command += [option, str(value)]
    if wishes.precision is not None:
        command += ["--precision", f"{wishes.precision:g}"]
    if wishes.apart_s is not None:
        command += ["--apart", f"{wishes.apart_s:g}s"]
    if wishes.aa:
        command.append("--aa")
    if wishes.seed:
        command += ["--seed", str(wishes.seed)]
    return command
