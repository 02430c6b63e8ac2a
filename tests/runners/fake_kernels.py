"""A kernel whose calls take exactly as long as the test says, on a clock that the test sets.

Loaded in workers through FLOPWATCH_KERNELS.  Each variant behaves as it is called.
"""

import os
import sys
import time

import numpy as np

from runners import clocks
from runners.workload import Case, Check, Job, Kernel, Ready, Work


class Clock:
    """Stands still until a call moves it."""

    def __init__(self):
        self.time_ns = 1_000_000_000

    def __call__(self):
        self.time_ns += 100  # reading a clock takes time as well
        return self.time_ns


_CLOCK = Clock()
if getattr(sys.modules["__main__"], "__file__", "").endswith("worker.py"):
    clocks.now = _CLOCK

_PROFILES = frozenset({"smoke", "quick", "standard", "full"})


def _case(name: str) -> Case:
    work = Work(flop=1e6, bytes=8000.0, elements=1000.0)
    return Case(f"fake/{name}", "fake", {"n": 1000}, work, "GFLOP/s", None, 8000, 10_000, _PROFILES)


def _inputs(case: Case, seed: int) -> dict:
    return {"x": np.random.default_rng(seed).standard_normal(1000, dtype=np.float32)}


def _check(case: Case, inputs: dict, result) -> Check:
    difference = np.abs(np.asarray(result, dtype=np.float64) - inputs["x"].astype(np.float64))
    worst = float(difference.max())
    return Check(worst <= 1e-6, worst, worst, 1e-6)


FAKE = Kernel("fake", "Fake", (_case("steady"), _case("odd"), _case("long"), _case("told")), _inputs, _check)


def _taking(time_ns: int, answer=lambda x: x.copy()):
    def build(job: Job) -> Ready:
        x = job.inputs["x"]

        def call():
            _CLOCK.time_ns += time_ns
            return answer(x)

        return Ready(call)

    return build


def _only(*names: str):
    return lambda case: case.id in {f"fake/{name}" for name in names}


FAKE.variant("one-ms", "numpy", threads="one", applies=_only("steady", "odd"))(_taking(1_000_000))
FAKE.variant("two-ms", "numpy", threads="one", applies=_only("steady"))(_taking(2_000_000))
FAKE.variant("ten-us", "numpy", threads="one", applies=_only("odd"))(_taking(10_000))
FAKE.variant("nothing", "numpy", threads="one", applies=_only("odd"))(_taking(0))
FAKE.variant("seconds", "numpy", threads="one", applies=_only("long"))(_taking(3_000_000_000))
FAKE.variant("wrong", "numpy", threads="one", applies=_only("odd"))(_taking(1_000, lambda x: x + 1))
FAKE.variant("nan", "numpy", threads="one", applies=_only("odd"))(_taking(1_000, lambda x: x * np.nan))


def _wrong_if_data_is_loaded(x):
    return x + any(name.partition(".")[0] == "data" for name in sys.modules)


FAKE.variant("wrong-with-data", "numpy", threads="one", applies=_only("odd"))(
    _taking(1_000, _wrong_if_data_is_loaded)
)


@FAKE.variant("wrong-later", "numpy", threads="one", applies=_only("odd"))
def _wrong_later(job: Job):
    calls = [0]

    def call():
        calls[0] += 1
        _CLOCK.time_ns += 1_000_000
        return job.inputs["x"] + (1 if calls[0] > 5 else 0)

    return call


@FAKE.variant("raises", "numpy", threads="one", applies=_only("odd"))
def _raises(job: Job):
    def call():
        raise ValueError("no such thing")

    return call


@FAKE.variant("crashes", "numpy", threads="one", applies=_only("odd"))
def _crashes(job: Job):
    return lambda: os.kill(os.getpid(), 11)


@FAKE.variant("hangs", "numpy", threads="one", applies=_only("odd"))
def _hangs(job: Job):
    return lambda: time.sleep(3600)


@FAKE.variant("prints", "numpy", threads="one", applies=_only("odd"))
def _prints(job: Job):
    def call():
        print("noise on standard output")  # noqa: T201  # noqa: T201
        os.write(1, b"more noise\n")
        _CLOCK.time_ns += 1_000_000
        return job.inputs["x"]

    return call


@FAKE.variant("as-told", "numpy", threads="one", applies=_only("told"))
def _as_told(job: Job):
    return _taking(int(os.environ["FAKE_MS"]) * 1_000_000)(job)


KERNELS = (FAKE,)
