"""Variants that run on a device: each under conditions of its own, which are never compared with each other.

``hot`` and ``cold`` are the device's own time of a call, with the call's arrays in its cache and without;
``end-to-end`` is the host's time from the call until the device has finished, arrays already on the device.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from runners.device_timing import ChainTimer, EventTimer
from runners.profiles import STANDARD
from runners.workload import Case, Job, Ready, Variant

__all__ = [
    "CHAIN_CONDITIONS",
    "EVENT_CONDITIONS",
    "Timed",
    "device_variants",
    "timed_by_chains",
    "timed_by_events",
]

#: where a device has events, and where it has none
EVENT_CONDITIONS = ("cold", "hot", "end-to-end")
CHAIN_CONDITIONS = ("hot", "end-to-end")
#: the copies of a call's arrays together are so many times as large as the cache
_CACHES = 5
_MOST_COPIES = 4096

Build = Callable[[Job], Ready]
#: from how a call is built and its condition to how it is built with a timer
Timed = Callable[[Build, str], Build]


def timed_by_events(build: Build, condition: str) -> Build:
    """Let the events of the backend's ``clock`` time a call."""

    def building(job: Job) -> Ready:
        ready = build(job)
        backend: Any = job.backend

        def copies() -> Sequence[Callable[[], Any]]:
            wanted = math.ceil(_CACHES * backend.cache_bytes / max(job.case.footprint_bytes, 1))
            return [build(job).call for _ in range(min(wanted, _MOST_COPIES) - 1)]

        timer = EventTimer(backend.clock, ready.call, condition == "cold", copies)
        return replace(ready, timer=timer)

    return building


def timed_by_chains(build: Build, condition: str) -> Build:
    """Let chains of calls time one: the backend's ``chain`` makes them, each after the one before."""

    def building(job: Job) -> Ready:
        ready = build(job)
        backend: Any = job.backend
        return replace(ready, timer=ChainTimer(backend.chain(ready.call)))

    return building


def device_variants(
    kernel: str,
    name: str,
    backend: str,
    build: Build,
    conditions: Sequence[str] = EVENT_CONDITIONS,
    timed: Timed = timed_by_events,
    applies: Callable[[Case], bool] = lambda case: True,
    profiles: frozenset[str] = STANDARD,
    **options: Any,
) -> tuple[Variant, ...]:
    """Return a variant for each condition; ``build`` returns a call that only enqueues and returns its output."""
    return tuple(
        Variant(
            kernel,
            name,
            backend,
            build if condition == "end-to-end" else timed(build, condition),
            condition,
            threads="one",
            applies=applies,
            profiles=profiles,
            **options,
        )
        for condition in conditions
    )
