"""Kernels on a device whose clock is set here, for real workers: loaded through FLOPWATCH_KERNELS.

NumPy's backend plays the device: it explains errors as CUDA's do.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from runners import clocks
from runners.backends.backend_numpy import NumpyBackend
from runners.backends.cuda import trouble
from runners.device_timing import EventTimer
from runners.workload import Case, Check, Job, Kernel, Ready, Work
from tests.runners.fake_device import FakeDevice

DEVICE = FakeDevice(khz=1_500_000, default_khz=1_500_000)
DEVICE.millijoules_per_ns = 4e-4
if getattr(sys.modules["__main__"], "__file__", "").endswith("worker.py"):
    clocks.now = DEVICE.now
    NumpyBackend.explain = lambda self, error: trouble(error)
    NumpyBackend.device_state = lambda self: {
        "clock_reasons": 0x4,
        "computing_processes": 2,
        "temperature_c": 60,
    }

_CASES = tuple(
    Case(
        f"on-device/{name}",
        "on-device",
        {"n": 10},
        Work(flop=1e9),
        "GFLOP/s",
        None,
        40,
        1000,
        frozenset({"smoke", "quick", "standard", "full"}),
    )
    for name in ("timed", "lost")
)


def _check(case: Case, inputs: dict, result) -> Check:
    return Check(bool(np.array_equal(result, inputs["x"])), 0.0, 0.0, 0.0)


KERNEL = Kernel("on-device", "On a device", _CASES, lambda case, seed: {"x": np.arange(10.0)}, _check)


def _timed(cold: bool):
    def build(job: Job) -> Ready:
        launch = DEVICE.kernel(100_000, 140_000)

        def call():
            launch()
            return job.inputs["x"]

        return Ready(call, timer=EventTimer(DEVICE, call, cold, sleep=lambda seconds: None))

    return build


def _raising(text: str, calls_before: int = 0):
    def build(job: Job) -> Ready:
        left = [calls_before]

        def call():
            DEVICE.host_ns += 1_000_000
            left[0] -= 1
            if left[0] < 0:
                raise RuntimeError(text)
            return job.inputs["x"]

        return Ready(call)

    return build


def _only(name: str):
    return lambda case: case.id == f"on-device/{name}"


for _condition in ("cold", "hot"):
    KERNEL.variant("loop", "numpy", condition=_condition, threads="one", applies=_only("timed"))(
        _timed(_condition == "cold")
    )
_ILLEGAL = "cudaErrorIllegalAddress: an illegal memory access was encountered"
for _name, _text, _calls in (
    ("illegal", _ILLEGAL, 0),
    ("illegal-later", _ILLEGAL, 2),
    ("too-long", "cudaErrorLaunchTimeout: the launch timed out and was terminated", 0),
    ("too-large", "cudaErrorMemoryAllocation: out of memory", 0),
):
    KERNEL.variant(_name, "numpy", threads="one", applies=_only("lost"))(_raising(_text, _calls))
KERNEL.variant("fine", "numpy", threads="one", applies=_only("lost"))(_raising("never", 10**9))

KERNELS = (KERNEL,)
