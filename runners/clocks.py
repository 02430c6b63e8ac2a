"""Clocks and covariates: how long a call took, and whether something disturbed it.

Runs in the worker: standard library only.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["Covariates", "floor_ns", "loop_ns", "now", "probe", "time_calls"]

#: The clock of every timing; a test replaces it by one that it sets.
now: Callable[[], int] = time.perf_counter_ns

#: The same bytes in every environment; about 1-2 ms of hashing on current machines.
_PROBE_BUFFER = bytes(range(256)) * 5120

#: One thread: waiting more than this share of the wall time means that the call was preempted.
_MAXIMUM_WAITING = 0.02
#: Several threads: more than this share of the wall time in the run queue means the same.
_MAXIMUM_RUN_DELAY = 0.01


def probe() -> int:
    """Return the ns that hashing a fixed buffer took: the state of the machine, told by the same code everywhere."""
    start = now()
    hashlib.blake2b(_PROBE_BUFFER).digest()
    return now() - start


#: Calls a turn of the batch loop; batches are powers of two.
_UNROLLED = 8


def time_calls(call: Callable[[], Any], count: int) -> tuple[int, Any]:
    """Return the wall time in ns of ``count`` calls, and what the last one returned."""
    if count == 1:
        start = now()
        returned = call()
        return now() - start, returned
    rest = count % _UNROLLED
    start = now()
    # Eight calls a turn: the loop itself then costs about a nanosecond a call.
    for _ in repeat(None, count // _UNROLLED):
        call()
        call()
        call()
        call()
        call()
        call()
        call()
        returned = call()
    for _ in repeat(None, rest):
        returned = call()
    return now() - start, returned


def floor_ns(count: int = 1024) -> float:
    """Return the ns per call that measuring costs, from an empty function through the same path."""

    def nothing() -> None:
        return None

    return min(time_calls(nothing, count)[0] for _ in range(5)) / count


def loop_ns(count: int = 1024) -> float:
    """Return the ns per call of the loop alone, without the calls."""
    times = []
    for _ in range(5):
        start = now()
        for _ in repeat(None, count // _UNROLLED):
            pass
        times.append(now() - start)
    return min(times) / count


class Covariates:
    """Reads the causes of disturbance around a sample, outside its timed window.

    With one thread its own processor time and involuntary switches tell; with several the processor time says
    nothing, so the kernel's run-queue delay of all threads of the process is used (Linux), or else the process's
    involuntary switches.  Where a system has none of these, samples stay unfiltered.
    """

    def __init__(self, threads: int) -> None:
        """Choose what can be read here for a kernel that uses ``threads`` threads."""
        self.single = threads == 1
        self.available = resource is not None and hasattr(time, "thread_time_ns")
        self._who = 0
        if resource is not None:
            own = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
            self._who = own if self.single else resource.RUSAGE_SELF
        self._files: dict[str, int] = {}
        self._delays = (
            not self.single and sys.platform == "linux" and os.access("/proc/self/schedstat", os.R_OK)
        )

    def follow_threads(self) -> None:
        """Find the threads of this process anew; call it after a library may have started some."""
        if not self._delays:
            return
        self.close()
        for task in Path("/proc/self/task").iterdir():
            try:
                self._files[task.name] = os.open(task / "schedstat", os.O_RDONLY)
            except OSError:  # the thread has ended meanwhile
                continue

    def close(self) -> None:
        """Close the files of the threads."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def _run_delay_ns(self) -> int:
        total = 0
        for descriptor in self._files.values():
            try:
                total += int(os.pread(descriptor, 64, 0).split()[1])
            except (OSError, IndexError, ValueError):  # the thread has ended meanwhile
                continue
        return total

    def read(self) -> tuple[int, int, int]:
        """Return processor time in ns, involuntary switches, and ns of waiting in the run queue so far."""
        if not self.available or resource is None:
            return 0, 0, 0
        cpu_ns = time.thread_time_ns() if self.single else time.process_time_ns()
        return cpu_ns, resource.getrusage(self._who).ru_nivcsw, self._run_delay_ns() if self._delays else 0

    def is_clean(self, wall_ns: int, cpu_ns: int, switches: int, delay_ns: int) -> bool:
        """Judge a sample by the causes seen around it, never by its time."""
        if not self.available:
            return True
        if self.single:
            return switches == 0 and wall_ns - cpu_ns < _MAXIMUM_WAITING * wall_ns
        if self._delays:
            return delay_ns < _MAXIMUM_RUN_DELAY * wall_ns
        return switches == 0
