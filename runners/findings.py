"""What the doctor looks at and what it says."""

from dataclasses import dataclass, field
from typing import Any, Literal

from data.records import Machine

__all__ = ["Facts", "Finding", "Level"]

Level = Literal["ok", "advice", "warning"]


@dataclass(frozen=True)
class Finding:
    """One cause: what was seen, and where it matters what it does to a result and the remedy."""

    id: str
    level: Level
    seen: str
    effect: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Facts:
    """All that the checks look at.

    ``state`` is :func:`runners.machine.state`; ``load`` the shares that others took of all processors (``foreign``,
    ``steal``) or of the time (``waiting``) while the doctor watched; ``busy`` the other programs and the processors
    that each used; ``process`` is :func:`runners.inside.gather` of this process; ``accelerators`` the backends of
    devices other than processors, each with ``backend``, ``device``, ``available``, ``reason`` and ``install``.
    """

    machine: Machine
    state: dict[str, Any] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)
    busy: tuple[tuple[str, float], ...] = ()
    process: dict[str, Any] = field(default_factory=dict)
    device_processes: tuple[dict[str, Any], ...] = ()
    scratch_free_bytes: int | None = None
    accelerators: tuple[dict[str, Any], ...] = ()

    def attribute(self, name: str) -> Any:
        """Return an attribute of the machine, or None where the system does not tell it."""
        return self.machine.attributes.get(name)

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that can move a number."""
        return dict(self.process.get("variables", {}))
