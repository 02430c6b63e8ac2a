"""Softmax over rows, in float32.  Work: n elements; bytes 8·n (a row stays in the first-level cache between passes)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import fresh_output, normal
from runners.kernels import _softmax as loops
from runners.kernels._checking import UNIT, compare, memoised, probabilistic_gamma
from runners.profiles import STANDARD
from runners.workload import Case, Check, Job, Kernel, Work

__all__ = ["KERNELS"]

_ROWS = 64
_WIDTHS = {128: STANDARD, 256: STANDARD, 512: STANDARD, 1024: STANDARD, 2048: STANDARD}


def _case(width: int, profiles: frozenset[str]) -> Case:
    elements = _ROWS * width
    return Case(
        id=f"softmax/{_ROWS}x{width}",
        kernel="softmax",
        shape={"rows": _ROWS, "width": width, "dtype": "float32"},
        work=Work(elements=float(elements), bytes=8.0 * elements),
        unit="GElement/s",
        bound="bytes",
        footprint_bytes=8 * elements,
        memory_bytes=48 * elements + 2**24,
        profiles=profiles,
    )


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    return {"x": normal((case.shape["rows"], case.shape["width"]), seed)}


def _exact(x: Any) -> Any:
    powers = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True).astype(np.float64))
    return powers / powers.sum(-1, keepdims=True)


def _check(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Compare all elements with float64, relative to each.

    The difference to the maximum rounds once (|x - max| ≤ 16 here: 16·u in the power), the exponential may err by 16·u,
    the sum of n positive numbers by γ̃_n, the division by u.
    """
    exact = memoised(inputs, "reference", lambda: _exact(inputs["x"]))
    tolerance = probabilistic_gamma(case.shape["width"]) + 33 * UNIT
    return compare(result, exact, tolerance, np.maximum(exact, 2.0**-126))


def _vectors(job: Job) -> Callable[[], Any]:
    x, threads = job.inputs["x"], job.threads
    y = fresh_output(x.shape)
    flat_x, flat_y, rows = x.reshape(-1), y.reshape(-1), len(x)

    def call() -> Any:
        loops.softmax_rows(flat_x, flat_y, rows, threads)
        return y

    return call


def _scalar(job: Job) -> Callable[[], Any]:
    x = job.inputs["x"]
    y = fresh_output(x.shape)
    flat_x, flat_y, rows = x.reshape(-1), y.reshape(-1), len(x)

    def call() -> Any:
        loops.softmax_scalar(flat_x, flat_y, rows)
        return y

    return call


_softmax = Kernel("softmax", "Softmax", tuple(_case(*row) for row in _WIDTHS.items()), _inputs, _check)
_softmax.variant("scalar", "numba", threads="one", flags=("no-vectorise",))(_scalar)
_softmax.variant("simd", "numba", threads="one")(_vectors)
_softmax.variant("parallel-simd", "numba", threads="many")(_vectors)

KERNELS = (_softmax,)
