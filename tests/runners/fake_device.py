"""A device with a clock that the test sets: what is enqueued runs after what was enqueued before, the host goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Mark:
    at_ns: float


class FakeDevice:
    """Simulates host and device time; ``khz`` is its clock rate now, ``default_khz`` what it is sold for."""

    def __init__(self, khz: float = 1_000_000, default_khz: int | None = 1_000_000) -> None:
        self.khz, self.default_khz = khz, default_khz
        self.host_ns = self.free_ns = 0.0
        self.enqueue_ns = 5_000.0
        self.cached: int | None = None
        self.recording: list[Callable[[], None]] | None = None
        self.can_record, self.plugged, self.flushes, self.spins = True, True, 0, 0
        self.millijoules_per_ns = 0.0
        self.replay_overhead_ns = 0.0

    # -- what runs on it --

    def kernel(self, hot_ns: float, cold_ns: float, number: int = 0) -> Callable[[], Any]:
        """Return a call of a kernel at the default clock; it is hot if it ran last."""

        def run() -> None:
            at_default = hot_ns if self.cached == number else cold_ns
            self.cached = number
            self._run(at_default * (self.default_khz or self.khz) / self.khz)

        def call() -> str:
            if self.recording is not None:
                self.recording.append(run)
            else:
                self.host_ns += self.enqueue_ns
                run()
            return "answer"

        return call

    def _run(self, duration_ns: float) -> None:
        self.free_ns = max(self.free_ns, self.host_ns) + duration_ns

    # -- the clock --

    def now(self) -> int:
        self.host_ns += 100
        return int(self.host_ns)

    def flush(self) -> None:
        self.host_ns += self.enqueue_ns
        self.cached, self.flushes = None, self.flushes + 1
        self._run(30_000)

    def spin(self, cycles: int) -> None:
        self.host_ns += self.enqueue_ns
        self.spins += 1
        self._run(cycles / self.khz * 1e6 if self.plugged else 0)

    def mark(self) -> Mark:
        self.host_ns += 1_000
        return Mark(max(self.free_ns, self.host_ns))

    def reached(self, mark: Mark) -> bool:
        return mark.at_ns <= self.host_ns

    def elapsed_ns(self, first: Mark, last: Mark) -> float:
        self.host_ns = max(self.host_ns, last.at_ns)
        return last.at_ns - first.at_ns

    def stamp(self) -> Mark:
        return Mark(max(self.free_ns, self.host_ns))

    def clock_khz(self, first: Mark, last: Mark) -> int | None:
        return round(self.khz)

    def capture(self, calls: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        if not self.can_record:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.recording = recorded = []
        returned = calls()
        self.recording = None

        def replay() -> None:
            self.host_ns += self.enqueue_ns
            self._run(self.replay_overhead_ns)
            for run in recorded:
                run()

        return replay, returned

    def energy_mj(self) -> int | None:
        return round(self.free_ns * self.millijoules_per_ns) if self.millijoules_per_ns else None
