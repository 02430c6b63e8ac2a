"""Timing on a device: by its own events and clock, not by the host's.

Runs in the worker: standard library only.  A backend gives a :class:`DeviceClock`; all decisions are here, so that a
clock that a test sets can check them.  The method follows nvbench (a kernel that blocks the device while the host
enqueues, samples thrown away when the clock has fallen) and FlashInfer (rotating copies larger than the cache).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from runners import clocks

__all__ = ["ChainTimer", "DeviceClock", "DeviceMethod", "EventTimer", "Timer"]


@dataclass(frozen=True)
class DeviceMethod:
    """The parameters of timing on a device, all recorded with each measurement."""

    warm_up_ns: int = 500_000_000
    warm_up_limit_ns: int = 3_000_000_000
    window_ns: int = 100_000_000
    clock_drift: float = 0.005
    steady_tolerance: float = 0.02
    graph_below_ns: int = 50_000
    graph_target_ns: int = 1_000_000
    graph_calls: int = 10
    graph_limit: int = 4096
    hot_target_ns: int = 500_000
    hot_calls: int = 500
    linear_tolerance: float = 0.01
    plug_factor: int = 3
    plug_ns: int = 50_000
    plug_limit_ns: int = 200_000_000
    least_clock_share: float = 0.75
    retakes: int = 10
    idle_limit_ns: int = 100_000_000
    rewarm_ns: int = 100_000_000
    chain_ns: int = 5_000_000
    chain_warm_up_ns: int = 2_000_000_000
    chain_limit: int = 1 << 14


class DeviceClock(Protocol):
    """What timing asks of a device; everything but ``reached``, ``elapsed_ns`` and ``clock_khz`` only enqueues."""

    #: the clock that the device is sold for, None where it does not tell
    default_khz: int | None

    def flush(self) -> None:
        """Write over twice the size of the device's last cache."""

    def spin(self, cycles: int) -> None:
        """Keep the device busy for so many cycles of its clock."""

    def mark(self) -> Any:
        """Enqueue an event."""

    def reached(self, mark: Any) -> bool:
        """Say whether the device has come to an event, without waiting."""

    def elapsed_ns(self, first: Any, last: Any) -> float:
        """Wait for the last of two events and return the time between them."""

    def stamp(self) -> Any:
        """Enqueue a reading of the device's cycle counter and wall clock; None where it has none."""

    def clock_khz(self, first: Any, last: Any) -> int | None:
        """Return the clock rate between two stamps that the device has come to."""

    def capture(self, calls: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """Record what ``calls`` enqueues into a graph: return what replays it, and what ``calls`` returned."""

    def energy_mj(self) -> int | None:
        """Return the energy that the device has used so far, in mJ; None where it is not counted."""


class Timer(Protocol):
    """Times a variant in its own way; ``batch`` calls are one sample."""

    batch: int
    typical_ns: float
    flags: list[str]

    def prepare(self) -> None:
        """Warm up and choose the batch."""

    def read(self) -> tuple[int, Any, bool]:
        """Take a sample: ns of all calls, what the last returned, and whether nothing disturbed it."""

    def facts(self) -> dict[str, Any]:
        """Return what was found out besides, as JSON values."""


@dataclass
class EventTimer:
    """Times calls that enqueue work on a device, by events on the device.

    ``cold``: the cache holds nothing of a call's arrays, since twice its size was written before; a call below 50 µs
    is one of a graph over calls on copies of the arrays, which are five times as large as the cache.  ``hot``: the
    same arrays again and again.  Either way the events are enqueued behind a kernel that keeps the device busy, so
    that no time of the host is in between, and a sample is thrown away where that did not last or the clock had fallen.
    """

    clock: DeviceClock
    call: Callable[[], Any]
    cold: bool
    #: makes calls on copies of the arrays, for a graph of calls that find nothing in the cache
    copies: Callable[[], Sequence[Callable[[], Any]]] = tuple
    method: DeviceMethod = field(default_factory=DeviceMethod)
    sleep: Callable[[float], None] = time.sleep
    batch: int = 1
    typical_ns: float = 0.0
    flags: list[str] = field(default_factory=list)
    clocks_khz: list[int] = field(default_factory=list)
    bubbles: int = 0
    slow: int = 0
    energy_j: float | None = None
    plug_cycles: int = 0
    _calls: Sequence[Callable[[], Any]] = ()
    _enqueue: Callable[[], Any] | None = None
    _way: str = "launches"
    _ended: int | None = None

    # -- before the samples ------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Warm up until clock and times are steady, then choose between single launches, a run of them and a graph.

        What was chosen stays: in a further turn of the process the device is only kept warm.
        """
        if self._enqueue is not None:
            return
        self._calls = (self.call,)
        self._warm_up()
        short = self.typical_ns < self.method.graph_below_ns
        if short and self._use_graph():
            return
        if self.cold and not short:
            self.batch = 1
        else:
            wanted = math.ceil(self.method.hot_target_ns / max(self.typical_ns, 1.0))
            self.batch = min(max(wanted, 1), self.method.hot_calls)
        self._enqueue = lambda: self._launch(self.batch)
        self._plug_for(self._host_ns(self.batch))

    def _launch(self, count: int) -> Any:
        returned = None
        for number in range(count):
            returned = self._calls[number % len(self._calls)]()
        return returned

    def _warm_up(self) -> None:
        """Run windows of back-to-back calls for half a second at least, until three agree; 3 s at most."""
        method, start = self.method, clocks.now()
        self._plug_for(self._host_ns(1))
        count, windows = 1, []
        while True:
            before_mj, began = self.clock.energy_mj(), clocks.now()
            window_ns, khz = self._window(count)
            after_mj, wall_ns = self.clock.energy_mj(), clocks.now() - began
            self.typical_ns = max(window_ns / count, 1.0)
            if wall_ns >= method.window_ns / 2 or window_ns >= method.window_ns / 2:
                windows.append((self.typical_ns, khz))
                if before_mj is not None and after_mj is not None and after_mj > before_mj:
                    self.energy_j = (after_mj - before_mj) / 1000 / count
            count = max(1, min(round(method.window_ns / self.typical_ns), 20_000))
            elapsed = clocks.now() - start
            if elapsed >= method.warm_up_ns and self._is_steady(windows):
                break
            if elapsed >= method.warm_up_limit_ns:
                self.flags.append("not_steady")
                break
        self._ended = clocks.now()

    def _host_ns(self, count: int) -> int:
        """Return how long the host takes to enqueue calls, with the device idle before."""
        start = clocks.now()
        self._launch(count)
        self.clock.mark()
        return clocks.now() - start

    def _window(self, count: int) -> tuple[float, int | None]:
        stamps, first = [self.clock.stamp()], self.clock.mark()
        for _ in range(count):
            self.call()
        last = self.clock.mark()
        stamps.append(self.clock.stamp())
        elapsed_ns = self.clock.elapsed_ns(first, last)
        return elapsed_ns, self._khz(stamps)

    def _khz(self, stamps: Sequence[Any]) -> int | None:
        return None if None in stamps else self.clock.clock_khz(*stamps)

    def _is_steady(self, windows: Sequence[tuple[float, int | None]]) -> bool:
        if len(windows) < 3:
            return False
        times, rates = zip(*windows[-3:], strict=True)
        spread = max(times) / min(times) - 1
        known = [rate for rate in rates if rate]
        drift = max(known) / min(known) - 1 if known else 0.0
        return spread <= self.method.steady_tolerance and drift <= self.method.clock_drift

    def _plug_for(self, host_ns: float) -> None:
        """Let the plug last thrice as long as the host takes to enqueue a sample."""
        khz = self.clock.default_khz or 1_500_000
        wanted = max(self.method.plug_ns, self.method.plug_factor * host_ns) * khz / 1e6
        self.plug_cycles = max(self.plug_cycles, int(wanted))

    def _use_graph(self) -> bool:
        """Record a graph of many calls and check that twice as many take twice as long; say whether that worked."""
        method = self.method
        if self.cold:
            self._calls = (self.call, *self.copies())
        for _ in range(2):  # the host may have been slower than the device: then the first graph is too short
            wanted = max(
                method.graph_calls, math.ceil(method.graph_target_ns / self.typical_ns), len(self._calls)
            )
            count = min(wanted, method.graph_limit)
            try:
                once, returned = self.clock.capture(lambda count=count: self._launch(count))  # type: ignore[misc]
                twice, _ = self.clock.capture(lambda count=count: self._launch(2 * count))  # type: ignore[misc]
            except Exception as error:  # whatever a library cannot record is launched call by call
                self.flags.append("no_graph")
                self._way = f"launches ({type(error).__name__}: {error})"[:200]
                return False
            times = [(self._elapsed(once)[0], self._elapsed(twice)[0]) for _ in range(5)]
            once_ns, twice_ns = (median(column) for column in zip(*times, strict=True))
            self.typical_ns = max(once_ns / count, 1.0)
            if once_ns >= 0.9 * method.graph_target_ns:
                break
        if abs((twice_ns - once_ns) / once_ns - 1) > method.linear_tolerance:
            self.flags.append("not_linear")
        self.batch, self._way = count, "graph"

        def replay() -> Any:
            once()
            return returned

        self._enqueue = replay
        return True

    def _elapsed(self, enqueue: Callable[[], Any]) -> tuple[float, int | None, Any, bool]:
        """Return ns, clock rate, what was returned, and whether the host was late."""
        clock = self.clock
        clock.spin(self.plug_cycles)
        stamps, first = [clock.stamp()], clock.mark()
        returned = enqueue()
        last = clock.mark()
        late = clock.reached(first)
        stamps.append(clock.stamp())
        elapsed_ns = clock.elapsed_ns(first, last)
        return elapsed_ns, self._khz(stamps), returned, late

    # -- samples -----------------------------------------------------------------------------------------------

    def read(self) -> tuple[int, Any, bool]:
        """Take a sample, again where the host was late or the clock low; after ten times it is kept and marked."""
        assert self._enqueue is not None, "prepare comes first"
        method, returned, elapsed_ns, khz, fine = self.method, None, 0.0, None, False
        for attempt in range(method.retakes):
            returned = None
            self._stay_warm()
            if self.cold and self._way != "graph":
                self.clock.flush()
            elapsed_ns, khz, returned, late = self._elapsed(self._enqueue)
            self._ended = clocks.now()
            if late:
                self.bubbles += 1
                self._lengthen_plug()
                continue
            if self._is_slow(khz):
                self.slow += 1
                self.sleep(0.1 * (attempt + 1))
                continue
            fine = True
            break
        if not fine:
            flag = "low_clock" if self._is_slow(khz) else "late_host"
            if flag not in self.flags:
                self.flags.append(flag)
        self.clocks_khz.append(khz or 0)
        return max(1, round(elapsed_ns)), returned, fine

    def _lengthen_plug(self) -> None:
        limit = self.method.plug_limit_ns * (self.clock.default_khz or 1_500_000) / 1e6
        self.plug_cycles = min(2 * self.plug_cycles, int(limit))

    def _is_slow(self, khz: int | None) -> bool:
        default = self.clock.default_khz
        return bool(khz and default and khz < self.method.least_clock_share * default)

    def _stay_warm(self) -> None:
        """Run the kernel for a while if the device was idle for long."""
        if self._ended is None or clocks.now() - self._ended <= self.method.idle_limit_ns:
            return
        count = max(1, min(round(self.method.rewarm_ns / max(self.typical_ns, 1.0)), 20_000))
        self._window(count)

    def facts(self) -> dict[str, Any]:
        """Return how it was timed, the clock of each sample, what was thrown away and the energy of a call."""
        found = {
            "way": self._way,
            "plug_cycles": self.plug_cycles,
            "copies": len(self._calls),
            "late_samples_discarded": self.bubbles,
            "slow_samples_discarded": self.slow,
            "default_clock_khz": self.clock.default_khz,
            "sm_clock_khz": self.clocks_khz if any(self.clocks_khz) else None,
            "energy_j": self.energy_j,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass
class ChainTimer:
    """Times calls on a device that shows no events: chains of k and 2·k dependent calls, one wait at the end of each.

    The difference of the two is the time of k calls without the constant cost of handing over and waiting.
    """

    #: enqueues so many calls, each dependent on the one before, waits for the last and returns its answer
    chain: Callable[[int], Any]
    method: DeviceMethod = field(default_factory=DeviceMethod)
    batch: int = 1
    typical_ns: float = 0.0
    flags: list[str] = field(default_factory=list)
    retaken: int = 0
    floor_ns: float = 0.0

    def prepare(self) -> None:
        """Warm up for two seconds, choose k such that a chain takes 5 ms, and check that four times k is linear.

        What was chosen stays in further turns of the process.
        """
        if self.typical_ns:
            return
        start = clocks.now()
        self._time(1)
        while True:
            spent_ns, _ = self._time(self.batch)
            if spent_ns < self.method.chain_ns and self.batch < self.method.chain_limit:
                self.batch *= 2
            elif clocks.now() - start >= self.method.chain_warm_up_ns:
                break
        once, twice, four = (
            median([self._time(factor * self.batch)[0] for _ in range(3)]) for factor in (1, 2, 4)
        )
        self.typical_ns = max((twice - once) / self.batch, 1.0)
        self.floor_ns = once - self.batch * self.typical_ns
        expected = twice + 2 * self.batch * self.typical_ns
        if abs(four / expected - 1) > self.method.linear_tolerance:
            self.flags.append("not_linear")

    def _time(self, count: int) -> tuple[int, Any]:
        start = clocks.now()
        returned = self.chain(count)
        return clocks.now() - start, returned

    def read(self) -> tuple[int, Any, bool]:
        """Take a sample: T(2k) - T(k), again where that is not positive."""
        for _ in range(self.method.retakes):
            once, _ = self._time(self.batch)
            twice, returned = self._time(2 * self.batch)
            if twice > once:
                return twice - once, returned, True
            self.retaken += 1
        self.flags.append("no_slope")
        return max(1, round(self.typical_ns * self.batch)), returned, False

    def facts(self) -> dict[str, Any]:
        """Return the length of a chain and the constant cost of waiting for one."""
        return {"way": "chain", "chain": self.batch, "wait_ns": round(self.floor_ns), "retaken": self.retaken}
