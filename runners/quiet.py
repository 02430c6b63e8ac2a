"""How busy everybody else keeps the machine, and waiting for a quiet moment."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

__all__ = ["Gate", "LoadMeter", "foreign_limit", "is_quiet"]

#: Quiet is when some task waits for a processor in less than this share of the time.
_WAITING_LIMIT = 0.1

_PRESSURE = Path("/proc/pressure/cpu")


@dataclass(frozen=True)
class _Snapshot:
    at: float
    busy_s: float
    steal_s: float
    own_s: float
    waiting_s: float | None


def _pressure_s() -> float | None:
    """Return the seconds in which some task waited for a processor (Linux pressure-stall information)."""
    try:
        return int(_PRESSURE.read_text().split("total=")[1].split()[0]) / 1e6
    except (OSError, IndexError, ValueError):
        return None


def _own_s(pids: Iterable[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


class LoadMeter:
    """Measures what others did to the machine between two moments, as shares of all processors or of the time."""

    def __init__(self, pids: Iterable[int]) -> None:
        """Count the processes ``pids`` as our own."""
        self._pids = tuple(pids)
        self._start = self._snapshot()

    def _snapshot(self) -> _Snapshot:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        steal = getattr(times, "steal", 0.0)
        busy = sum(times) - idle - steal - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return _Snapshot(time.monotonic(), busy, steal, _own_s(self._pids), _pressure_s())

    def read(self) -> dict[str, float]:
        """Return the shares since the start: ``foreign`` and ``steal`` of all processors, ``waiting`` of the time."""
        now = self._snapshot()
        elapsed = max(now.at - self._start.at, 1e-6)
        capacity = elapsed * (psutil.cpu_count() or 1)
        foreign = (now.busy_s - self._start.busy_s) - (now.own_s - self._start.own_s)
        found = {
            "elapsed_s": round(elapsed, 4),
            "foreign": round(max(0.0, foreign / capacity), 4),
            "steal": round((now.steal_s - self._start.steal_s) / capacity, 4),
        }
        if now.waiting_s is not None and self._start.waiting_s is not None:
            found["waiting"] = round((now.waiting_s - self._start.waiting_s) / elapsed, 4)
        return found


def foreign_limit(threads: int) -> float:
    """Return the share of all processors that others may use beside a kernel of ``threads`` threads: spare + 10 %."""
    cores = psutil.cpu_count() or 1
    return max(0.0, (cores - threads) / cores) + 0.1


def is_quiet(load: dict[str, float], threads: int) -> bool:
    """Tell whether others leave a kernel of ``threads`` threads what it needs."""
    return load["foreign"] <= foreign_limit(threads) and load.get("waiting", 0.0) < _WAITING_LIMIT


class Gate:
    """Waits for the machine to be quiet before a process starts: 30 s at most, and a tenth of the budget in all."""

    def __init__(
        self,
        budget_s: float,
        meter: Callable[[Iterable[int]], LoadMeter] = LoadMeter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Spend at most a tenth of ``budget_s`` on waiting; ``meter`` and ``sleep`` can be replaced in tests."""
        self._left_s = 0.1 * budget_s
        self._meter, self._sleep = meter, sleep

    def wait(
        self, threads: int, pids: Iterable[int], window_s: float = 0.4, limit_s: float = 30.0
    ) -> dict[str, Any]:
        """Wait until others use few enough processors; return how long, the load seen, and whether it was quiet."""
        waited_s, own = 0.0, tuple(pids)
        while True:
            meter = self._meter(own)
            self._sleep(window_s)
            load = meter.read()
            quiet = is_quiet(load, threads)
            if quiet or waited_s + window_s > min(limit_s, self._left_s):
                self._left_s -= waited_s
                return {"waited_s": round(waited_s, 2), "quiet": quiet, **load}
            waited_s += window_s
