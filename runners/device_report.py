"""What a worker reports of a device beside the samples: its state, how it was timed, and that it was lost."""

from collections.abc import Iterable
from typing import Any

from runners.device_timing import Timer
from runners.nvml import reasons_of
from runners.workload import Case

__all__ = ["Lost", "state_flags", "timing_facts"]


class Lost(Exception):
    """Raised when a device can no longer be used by this process; ``answer`` says why and what to do."""

    def __init__(self, answer: dict[str, Any]) -> None:
        """Keep the last answer: status and reason."""
        super().__init__(answer["reason"])
        self.answer = answer


def state_flags(states: Iterable[dict[str, Any]], own: int) -> set[str]:
    """Return what the states of a device mean for the numbers between them.

    ``own`` is how many processes of this run compute on it: more than these are others.
    """
    flags = set()
    for state in states:
        flags |= set(reasons_of(int(state.get("clock_reasons", 0))))
        if state.get("computing_processes", 0) > own:
            flags.add("shared_device")
        if state.get("thermal_pressure", "nominal") != "nominal":
            flags.add("heat_slowdown")
    return flags


def timing_facts(timer: Timer, case: Case) -> dict[str, Any]:
    """Return what a timer found out; GFLOP/s per watt is GFLOP per joule."""
    facts = dict(timer.facts())
    if facts.get("energy_j") and case.work.flop:
        facts["gflops_per_watt"] = case.work.flop / facts["energy_j"] / 1e9
    return facts
