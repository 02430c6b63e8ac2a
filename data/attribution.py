"""Why a level moved: the code under test, the environment, the yardstick beside it, or nothing that anybody can see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from data.records import Run

__all__ = ["Attribution", "Difference", "attribute", "differences"]


class Attribution(StrEnum):
    """What moved."""

    GENUINE = "genuine"
    BASELINE = "baseline"
    ENVIRONMENT = "environment"
    MIXED = "mixed"
    NOISE = "noise"


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same before and after; an empty text is absence."""

    kind: str
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        """Return it as people read it: ``numpy 1.26.4 → 2.4.6``."""
        if not self.before or not self.after:
            return f"{self.name} {self.after or self.before} {'added' if self.after else 'removed'}"
        return f"{self.name} {self.before} → {self.after}"


#: Parts of a machine's description that can move a result: (attribute, kind of difference).
_MACHINE = {
    "kernel": "kernel",
    "distribution": "system",
    "c_library": "system",
    "clocksource": "clock",
    "frequency_driver": "clock",
    "maximum_frequency_mhz": "clock",
    "simultaneous_multithreading": "system",
    "transparent_huge_pages": "system",
    "hypervisor": "system",
    "cpu_quota": "system",
    "memory_limit_bytes": "system",
    "cpu": "microcode",
    "devices": "driver",
}
#: And of an environment's.
_ENVIRONMENT = {
    "backends": "library",
    "variables": "setting",
    "aslr": "system",
    "container_image": "system",
}
#: What a library tells that decides which of its code runs.
_BLAS = ("version", "architecture", "threading_layer", "internal_api", "library")


def differences(before: Run, after: Run) -> list[Difference]:
    """Return what differs between the circumstances of two runs, the code under test first.

    The commit alone is no difference of the code: what runs in the workers has a digest of its own (``sources``).
    """
    found = _code(before, after)
    old, new = before.environment, after.environment
    found += _named("package", old.packages, new.packages)
    if old.interpreter != new.interpreter:
        found.append(Difference("interpreter", "interpreter", old.interpreter, new.interpreter))
    found += _in_both("blas", _libraries(old.blas), _libraries(new.blas))
    found += _described(_ENVIRONMENT, old.attributes, new.attributes, {one.name for one in found})
    found += _described(_MACHINE, before.machine.attributes, after.machine.attributes, set())
    return found


def _code(before: Run, after: Run) -> list[Difference]:
    """Compare digests of what measures where both runs have them, else version and commit."""
    olds, news = (
        {**run.environment.attributes.get("flopwatch", {}), **run.flopwatch} for run in (before, after)
    )
    names = ("sources",) if "sources" in olds and "sources" in news else ("version", "commit")
    return [
        Difference("code", f"flopwatch {name}", str(olds.get(name, "")), str(news.get(name, "")))
        for name in names
        if olds.get(name) != news.get(name)
    ]


def _libraries(blas: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {
        str(library.get("internal_api") or library.get("library") or number): " ".join(
            str(library[name]) for name in _BLAS if library.get(name)
        )
        for number, library in enumerate(blas)
    }


def _described(
    parts: Mapping[str, str], before: Mapping[str, Any], after: Mapping[str, Any], told: set[str]
) -> list[Difference]:
    found: list[Difference] = []
    for name, kind in parts.items():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found += [one for one in _in_both(kind, old, new) if one.name not in told]
        else:
            found.append(Difference(kind, name.replace("_", " "), _text(old), _text(new)))
    return found


def _named(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(kind, name, _text(before.get(name)), _text(after.get(name)))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _in_both(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Compare what both runs used: what only one of them loaded follows from its choice of cases."""
    shared = before.keys() & after.keys()
    return _named(kind, {name: before[name] for name in shared}, {name: after[name] for name in shared})


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and len(value) == 1:
        return str(value[0])
    return str(value)


def attribute(
    found: Sequence[Difference], step: float, yardstick: float | None, least: float
) -> tuple[Attribution, str]:
    """Return what moved, and the sentence that says so.

    ``step`` is the logarithm of the ratio of the subject, ``yardstick`` that of the ceilings beside it in the same
    runs (None where there are none), ``least`` the smallest step that counts.
    """
    code = [one for one in found if one.kind == "code"]
    other = [one for one in found if one.kind != "code"]
    moved = yardstick is not None and yardstick * step > 0 and abs(yardstick) >= max(least, abs(step) / 2)
    beside = "the ceilings measured beside it moved as well" if moved else ""
    if code and (other or moved):
        return Attribution.MIXED, _join("code and surroundings changed together", found, beside)
    if code:
        return Attribution.GENUINE, _join("the code under test changed, and nothing else", code, "")
    if other:
        return Attribution.ENVIRONMENT, _join("the code is the same, the environment changed", other, beside)
    if moved:
        return Attribution.BASELINE, f"code and environment are the same, and {beside}: the machine moved"
    return (
        Attribution.NOISE,
        "code and environment are the same, and so are the ceilings beside it: suspect noise",
    )


def _join(begin: str, found: Sequence[Difference], end: str) -> str:
    shown = ", ".join(str(one) for one in found[:6]) + (
        f" and {len(found) - 6} more" if len(found) > 6 else ""
    )
    return f"{begin}: {shown}" + (f"; {end}" if end else "")
