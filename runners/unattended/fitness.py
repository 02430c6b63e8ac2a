"""Waiting until the machine is fit to be measured: quiet, cool and on mains."""

import os
import time
from collections.abc import Callable, Iterable

import psutil

from runners.machine import state
from runners.quiet import LoadMeter, is_quiet
from runners.system import System

__all__ = ["HOT_C", "obstacles", "wait_until_fit"]

#: A machine that does nothing is cooler than this; one that is hotter has just worked, or is badly cooled.
HOT_C = 80.0
#: The load is watched for so long, and looked at again after a pause.
WINDOW_S, PAUSE_S = 5.0, 15.0

Meter = Callable[[Iterable[int]], LoadMeter]


def obstacles(load: dict[str, float], system: System) -> list[str]:
    """Return what speaks against measuring now, in words; empty if nothing does."""
    found, seen = [], state(system)
    battery = seen.get("battery")
    if battery and not battery.get("plugged_in", True):
        found.append(f"on battery ({battery.get('percent')}%)")
    temperature_c = seen.get("temperature_c")
    if temperature_c is not None and temperature_c > HOT_C:
        found.append(f"hot ({temperature_c:.0f} °C, {HOT_C:.0f} °C at most)")
    if not is_quiet(load, threads=psutil.cpu_count() or 1):
        waiting = f", some task waits in {load['waiting']:.0%} of the time" if "waiting" in load else ""
        found.append(f"busy (others use {load['foreign']:.0%} of the processors{waiting})")
    return found


def wait_until_fit(
    limit_s: float,
    remark: Callable[[str], None],
    *,
    system: System | None = None,
    meter: Meter = LoadMeter,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[str]:
    """Wait for ``limit_s`` seconds at most; return what still stands in the way, which is nothing as a rule.

    The first look is always taken; ``remark`` is told once what is waited for.
    """
    system = system or System()
    started, told = clock(), False
    while True:
        load_meter = meter([os.getpid()])
        sleep(WINDOW_S)
        found = obstacles(load_meter.read(), system)
        waited_s = clock() - started
        if not found:
            if told:
                remark(f"fit after {waited_s:.0f} s")
            return []
        if waited_s + PAUSE_S + WINDOW_S > limit_s:
            return found
        if not told:
            remark(f"waiting for {limit_s:.0f} s at most: {'; '.join(found)}")
            told = True
        sleep(PAUSE_S)
