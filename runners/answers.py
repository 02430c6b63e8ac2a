"""What is asked of a worker about a cell, and what is made of an answer that did not come or came with others about."""

from typing import Any

from data.words import Status
from runners.plan import PlannedCell
from runners.process import WorkerRefused, WorkerTimeout
from runners.quiet import is_quiet

__all__ = ["culprits", "disturbances", "status_of", "wish"]

#: A call that takes longer is checked after its timing, not by a call of its own before.
_CHECK_LATER_NS = 2_000_000_000


def wish(index: int, cell: PlannedCell, known_ns: int | None = None) -> dict[str, Any]:
    """Return what a worker is told of a cell; ``known_ns`` is the longest time of one call seen so far."""
    return {
        "index": index,
        "variant": cell.variant.name,
        "backend": cell.variant.backend,
        "condition": cell.variant.condition,
        "known_ns": known_ns,
        "check_later": (known_ns or 0) > _CHECK_LATER_NS,
    }


def disturbances(load: dict[str, float], threads: int, quiet: bool) -> list[str]:
    """Return the labels of a measurement that others disturbed, or that no quiet moment could be had for."""
    return [*([] if is_quiet(load, threads) else ["disturbed"]), *([] if quiet else ["ungated"])]


def status_of(error: Exception) -> Status:
    """Return the status of what was running when a process broke."""
    if isinstance(error, WorkerRefused):
        return Status(error.status)
    return Status.TIMEOUT if isinstance(error, WorkerTimeout) else Status.FAILED


def culprits(running: dict[str, Any], cells: list[PlannedCell]) -> list[PlannedCell]:
    """Return the cell that was running when the process broke, or all where that cannot be told."""
    if "index" in running and running["index"] < len(cells):
        return [cells[running["index"]]]
    return list(cells)
