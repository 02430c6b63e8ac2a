"""Kernels with a known truth: each is measured against itself and against itself with 2 % and 5 % more work.

Loaded in workers through FLOPWATCH_KERNELS.  What is added is work (xorshift steps), not waiting on a clock: a wait
would be shorter exactly when the machine is disturbed.
"""

import json
import time

import numpy as np

from runners.arrays import aligned
from runners.profiles import FULL
from runners.workload import Case, Check, Job, Kernel, Work

_MASK = 2**64 - 1


def _xorshift(steps: int) -> int:
    x = 88172645463325252
    for _ in range(steps):
        x ^= (x << 13) & _MASK
        x ^= x >> 7
        x ^= (x << 17) & _MASK
    return x


def _fastest_ns(call, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return float(sorted(times)[len(times) // 4])


def _matmul(x):
    a, b = x[: 512 * 512].reshape(512, 512), x[512 * 512 : 2 * 512 * 512].reshape(512, 512)
    out = aligned((512, 512))
    return lambda: np.matmul(a, b, out=out)


def _relu(x):
    out = aligned(x.shape)
    return lambda: np.maximum(x, 0, out=out)


def _sort(x):
    part = x[:60_000]
    return lambda: np.sort(part)


def _exp(x):
    part, out = x[:1_000_000], aligned((1_000_000,))
    return lambda: np.exp(part, out=out)


def _text(x):
    numbers = [float(value) for value in x[:4000]]
    return lambda: json.dumps(numbers)


SUBJECTS = {"matmul-512": _matmul, "relu-4M": _relu, "sort-60k": _sort, "exp-1M": _exp, "json-4k": _text}
#: variant → share of work that is added
ADDED = {"plain": 0.0, "again": 0.0, "plus-2": 0.02, "plus-5": 0.05}


def _inputs(case: Case, seed: int) -> dict:
    x = aligned((4_000_000,))
    x[:] = np.random.default_rng(seed).standard_normal(4_000_000, dtype=np.float32)
    return {"x": x}


def _check(case: Case, inputs: dict, result) -> Check:
    expected = SUBJECTS[case.id.split("/")[1]](inputs["x"])()
    if isinstance(expected, str):
        return Check(result == expected, 0.0, 0.0, 0.0)
    difference = float(np.abs(np.asarray(result, np.float64) - expected).max())
    return Check(difference == 0, difference, difference, 0.0)


INJECTED = Kernel(
    "injected",
    "Known truth",
    tuple(
        Case(f"injected/{name}", "injected", {}, Work(elements=1.0), "GElement/s", None, 0, 64_000_000, FULL)
        for name in SUBJECTS
    ),
    _inputs,
    _check,
)


def _building(share: float):
    def build(job: Job):
        subject = SUBJECTS[job.case.id.split("/")[1]](job.inputs["x"])
        if not share:
            return subject
        subject()
        step_ns = _fastest_ns(lambda: _xorshift(20_000), 9) / 20_000
        steps = round(share * _fastest_ns(subject, 15) / step_ns)

        def call():
            _xorshift(steps)
            return subject()

        return call

    return build


for _name, _share in ADDED.items():
    INJECTED.variant(_name, "numpy", threads="one")(_building(_share))


def _tiny_check(case: Case, inputs: dict, result) -> Check:
    return Check(True, 0.0, 0.0, 0.0)


#: calls so short that measuring them says more of the measuring
FLOOR = Kernel(
    "floor",
    "Below the floor",
    (Case("floor/tiny", "floor", {}, Work(elements=16.0), "GElement/s", None, 0, 1_000_000, FULL),),
    lambda case, seed: {"x": np.random.default_rng(seed).standard_normal(16, dtype=np.float32)},
    _tiny_check,
)


@FLOOR.variant("nothing", "numpy", threads="one")
def _nothing(job: Job):
    return lambda: None


@FLOOR.variant("relu-16", "numpy", threads="one")
def _relu_16(job: Job):
    x, out = job.inputs["x"], np.empty(16, np.float32)
    return lambda: np.maximum(x, 0, out=out)


KERNELS = (INJECTED, FLOOR)
