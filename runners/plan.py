"""What a run measures: cells (case × variant × condition × backend × threads), and what cannot run, and why."""

import difflib
import fnmatch
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil

from data.errors import BadInput
from data.records import Cell, Skipped
from data.words import Profile, Status
from runners.workload import Availability, Backend, Case, Variant, backends, cases, variants

__all__ = ["Group", "Plan", "PlannedCell", "default_threads", "listing", "make_plan", "require_known"]

#: A case that needs more than this share of the free memory is skipped.
_MEMORY_SHARE = 0.8
_CEILING = "ceiling"


@dataclass(frozen=True)
class Group:
    """The kind of process that a cell needs: what can share one is compared within one."""

    backends: tuple[str, ...]
    threads: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedCell:
    """One measurement to make."""

    case: Case
    variant: Variant
    device: str
    threads: int

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """The key of its lines in the run file."""
        return (
            self.case.id,
            self.variant.name,
            self.variant.condition,
            backends()[self.variant.backend].name,
            self.device,
            self.threads,
        )

    @property
    def is_ceiling(self) -> bool:
        """Whether it measures a limit of the machine."""
        return self.case.kernel == _CEILING

    def record(self) -> Cell:
        """Return the cell as the run file states it."""
        case, variant, condition, backend, device, threads = self.key
        return Cell(case, self.case.kernel, variant, condition, backend, device, threads)


@dataclass(frozen=True)
class Plan:
    """The cells to measure by the process they need, and those that are not run."""

    groups: dict[Group, list[PlannedCell]]
    skipped: list[Skipped]

    @property
    def cells(self) -> list[PlannedCell]:
        """All cells to measure."""
        return [cell for cells in self.groups.values() for cell in cells]


def default_threads() -> list[int]:
    """One thread, and all physical cores."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return sorted({1, cores})


def _closest(wrong: str, valid: Iterable[str]) -> str:
    names = sorted(set(valid))
    near = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"


def require_known(kind: str, wishes: Sequence[str], valid: Iterable[str]) -> None:
    """Raise BadInput with the nearest valid names if a wish (a name or a glob pattern) matches nothing."""
    names = list(valid)
    for wish in wishes:
        if not any(fnmatch.fnmatchcase(name, wish) for name in names):
            raise BadInput(f"no {kind} matches {wish!r}: {_closest(wish, names)}")


def _chosen_cases(profile: Profile, patterns: Sequence[str]) -> list[Case]:
    require_known("case", patterns, (case.id for case in cases()))
    if patterns:
        chosen = [case for case in cases(tuple(patterns)) if profile in case.profiles]
        if not chosen:
            raise BadInput(
                f"no case of profile {profile} matches {' or '.join(patterns)}; leave out --profile"
            )
        return chosen
    return [case for case in cases() if profile in case.profiles and case.kernel != _CEILING]


def _wanted(variant: Variant, profile: Profile, patterns: Sequence[str]) -> bool:
    if patterns and not any(fnmatch.fnmatchcase(variant.name, pattern) for pattern in patterns):
        return False
    return variant.profiles is None or profile in variant.profiles


def _threads_of(variant: Variant, threads: Sequence[int]) -> list[int]:
    """Return the thread counts at which a variant means something."""
    several = [count for count in threads if count > 1]
    if variant.threads == "one":
        return [1]
    if variant.threads == "many":
        return several
    return list(threads)


def _needed_ceilings(measured: Sequence[PlannedCell]) -> list[Case]:
    """Return the ceilings that cells stand beside on their devices: of bandwidths, those at the nearest footprint."""
    kinds = {
        "flop": "fma",
        "flop-float16": "tensor-float16",
        "flop-bfloat16": "tensor-bfloat16",
        "bytes": "copy",
        "write": "write",
        "read": "read",
    }
    known = backends()
    needed: dict[str, Case] = {}
    held = [
        (case, {known[variant.backend].device for variant in variants(case)})
        for case in cases()
        if case.kernel == _CEILING
    ]
    for case, device in {(cell.case.id, cell.device): (cell.case, cell.device) for cell in measured}.values():
        if case.bound not in kinds:
            continue
        prefix = f"ceiling/{kinds[case.bound]}"
        fitting = [
            ceiling
            for ceiling, devices in held
            if device in devices and (ceiling.id == prefix or ceiling.id.startswith(f"{prefix}-"))
        ]
        if fitting:
            nearest = min(fitting, key=lambda ceiling, case=case: _distance(case, ceiling))  # type: ignore[misc]
            needed[nearest.id] = nearest
    return list(needed.values())


def _distance(case: Case, ceiling: Case) -> float:
    if not case.footprint_bytes or not ceiling.footprint_bytes:
        return 0.0
    return abs(math.log(case.footprint_bytes / ceiling.footprint_bytes))


def _skip(cell: PlannedCell, status: Status, reason: str, install: str = "") -> Skipped:
    case, variant, condition, backend, device, threads = cell.key
    return Skipped(
        case=case,
        kernel=cell.case.kernel,
        variant=variant,
        condition=condition,
        backend=backend,
        device=device,
        threads=threads,
        status=status,
        reason=reason,
        install=install,
    )


def _reason_to_skip(cell: PlannedCell, availability: Availability, free_bytes: int) -> Skipped | None:
    if not availability.available:
        return _skip(cell, Status.UNAVAILABLE, availability.reason, availability.install)
    if cell.case.memory_bytes > _MEMORY_SHARE * free_bytes:
        return _skip(
            cell,
            Status.SKIPPED,
            f"needs {cell.case.memory_bytes / 2**30:.1f} GiB of memory, of which {free_bytes / 2**30:.1f} GiB is free",
        )
    return None


def _group_of(cell: PlannedCell, known: dict[str, Backend]) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Return what decides which cells share a process.

    With one thread everything can, unless a backend says that it must be alone.  With several threads each library
    keeps its own pool spinning, which would slow its neighbours, so each has a process of its own.
    """
    backend = known[cell.variant.backend]
    alone = cell.threads > 1 or getattr(backend, "alone", False) or backend.device != "cpu"
    return ((cell.variant.backend,) if alone else (), cell.threads, cell.variant.flags)


def _groups(cells: Sequence[PlannedCell], known: dict[str, Backend]) -> dict[Group, list[PlannedCell]]:
    together: dict[tuple[tuple[str, ...], int, tuple[str, ...]], list[PlannedCell]] = {}
    for cell in cells:
        together.setdefault(_group_of(cell, known), []).append(cell)
    groups = {}
    for (_, threads, flags), members in together.items():
        names = tuple(name for name in known if any(cell.variant.backend == name for cell in members))
        groups[Group(names, threads, flags)] = members
    return groups


def _is_of(key: str, names: Sequence[str]) -> bool:
    """Say whether a backend is one of those that a person named; a library has one name on all of its devices."""
    return not names or backends()[key].name in names


def _all_cells(chosen: Sequence[Case], threads: Sequence[int]) -> Iterable[PlannedCell]:
    known = backends()
    for case in chosen:
        for variant in variants(case):
            for count in _threads_of(variant, threads):
                yield PlannedCell(case, variant, known[variant.backend].device, count)


def make_plan(
    profile: Profile,
    case_patterns: Sequence[str] = (),
    variant_patterns: Sequence[str] = (),
    backend_names: Sequence[str] = (),
    threads: Sequence[int] = (),
    *,
    beside_ceilings: bool = True,
) -> Plan:
    """Return what to run.

    Cases are those of the profile, narrowed by the patterns where there are any; the ceilings that they stand beside
    come along, unless not wanted.  Raises :class:`~data.errors.BadInput` naming what is unknown and what would have
    been valid.
    """
    known = backends()
    counts = _check_threads(threads)
    require_known("backend", backend_names, {backend.name for backend in known.values()})
    chosen = _chosen_cases(profile, case_patterns)
    require_known(
        "variant", variant_patterns, (variant.name for case in chosen for variant in variants(case))
    )
    measured = [
        cell
        for cell in _all_cells([case for case in chosen if case.kernel != _CEILING], counts)
        if _wanted(cell.variant, profile, variant_patterns) and _is_of(cell.variant.backend, backend_names)
    ]
    asked = [case for case in chosen if case.kernel == _CEILING]
    needed = _needed_ceilings(measured) if beside_ceilings else []
    ceilings = list({case.id: case for case in (*asked, *needed)}.values())
    devices = {cell.device for cell in measured}
    limits = [
        cell
        for cell in _all_cells(ceilings, counts)
        if asked or (cell.device in devices and _wanted(cell.variant, profile, ()))
    ]
    if not measured and not asked:
        raise BadInput(
            "no variant fits all of the given case, variant, backend and threads; see flopwatch list"
        )
    return _divide([*limits, *measured], known)


def _divide(cells: Sequence[PlannedCell], known: dict[str, Backend]) -> Plan:
    availability = {name: known[name].probe() for name in {cell.variant.backend for cell in cells}}
    free_bytes = psutil.virtual_memory().available
    run, skipped = [], []
    for cell in cells:
        reason = _reason_to_skip(cell, availability[cell.variant.backend], free_bytes)
        if reason is None:
            run.append(cell)
        else:
            skipped.append(reason)
    return Plan(_groups(run, known), skipped)


def _check_threads(threads: Sequence[int]) -> list[int]:
    cores = psutil.cpu_count() or 1
    for count in threads:
        if not 1 <= count <= cores:
            raise BadInput(f"--threads {count} is not possible here: this machine has 1 to {cores}")
    return sorted(set(threads)) or default_threads()


def listing(patterns: Sequence[str] = (), backend_names: Sequence[str] = ()) -> list[dict[str, object]]:
    """Return every case × variant × backend of the workload, with whether it can run here or why not."""
    known = backends()
    availability = {name: backend.probe() for name, backend in known.items()}
    return [
        _listed(case, variant, known[variant.backend].device, availability[variant.backend])
        for case in cases(tuple(patterns))
        for variant in variants(case)
        if _is_of(variant.backend, backend_names)
    ]


def _listed(case: Case, variant: Variant, device: str, state: Availability) -> dict[str, object]:
    return {
        "case": case.id,
        "kernel": case.kernel,
        "variant": variant.name,
        "condition": variant.condition,
        "backend": backends()[variant.backend].name,
        "device": device,
        "available": state.available,
        "reason": state.reason,
        "install": state.install,
        "threads": variant.threads,
        "profiles": sorted(case.profiles if variant.profiles is None else variant.profiles),
    }
