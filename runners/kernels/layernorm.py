"""LayerNorm over the last axis, in float32, with γ = 1, β = 0 and ε = 1e-5.

Work: n elements; bytes 8·n (each read once and written once; a row stays in the first-level cache between passes).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import fresh_output, normal
from runners.kernels import _layernorm as loops
from runners.kernels._checking import UNIT, memoised
from runners.kernels._elementwise import streams
from runners.kernels._rows import case_of_rows, compare_rows, some_rows
from runners.profiles import QUICK, STANDARD
from runners.workload import Case, Check, Job, Kernel

__all__ = ["KERNELS"]

_SHAPES = {
    (8, 128, 768): STANDARD,
    (32, 512, 768): QUICK,
    (16, 1024, 768): STANDARD,
    (8, 1024, 1280): STANDARD,
    (4, 2048, 2048): STANDARD,
}


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    shape = tuple(case.shape["shape"])
    gamma, beta = fresh_output(shape[-1:]), fresh_output(shape[-1:])
    gamma.fill(1)
    beta.fill(0)
    return {"x": normal(shape, seed), "gamma": gamma, "beta": beta, "epsilon": np.float32(1e-5), "seed": seed}


def _reference(inputs: dict[str, Any]) -> tuple[Any, Any]:
    chosen, x = some_rows(inputs["x"], inputs["seed"] + 1)
    deviation = x - x.mean(-1, keepdims=True)
    scaled = deviation / np.sqrt((deviation**2).mean(-1, keepdims=True) + float(inputs["epsilon"]))
    return chosen, scaled * inputs["gamma"].astype(np.float64) + inputs["beta"].astype(np.float64)


def _check(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Compare rows with float64; every element must have been written.

    Mean and variance of d numbers near normal(0, 1) are sums of d roundings whose errors grow as √d, and a handful of
    roundings follow: |error| ≤ (6·√d + 8)·u relative to max(1, |reference|).
    """
    chosen, exact = memoised(inputs, "reference", lambda: _reference(inputs))
    tolerance = (6 * np.sqrt(exact.shape[-1]) + 8) * UNIT
    return compare_rows(result, chosen, exact, tolerance, np.maximum(1.0, np.abs(exact)))


def _build(job: Job, single_pass: bool) -> Callable[[], Any]:
    x, gamma, beta, epsilon = (job.inputs[name] for name in ("x", "gamma", "beta", "epsilon"))
    y = fresh_output(x.shape)
    flat_x, flat_y, threads = x.reshape(-1), y.reshape(-1), job.threads
    reciprocal, streaming = loops.reciprocals(x.shape[-1]), streams(y)

    def call() -> Any:
        loops.normalise_rows(
            flat_x, flat_y, gamma, beta, epsilon, reciprocal, threads, single_pass, streaming
        )
        return y

    return call


def _two_pass(job: Job) -> Callable[[], Any]:
    return _build(job, single_pass=False)


def _welford(job: Job) -> Callable[[], Any]:
    return _build(job, single_pass=True)


def _plain(loop: Callable[..., None]) -> Callable[[Job], Callable[[], Any]]:
    """Return a builder of calls of a plain loop: what the two ways cost before anybody thinks of vectors."""

    def build(job: Job) -> Callable[[], Any]:
        x = job.inputs["x"]
        y = fresh_output(x.shape)
        arguments = (
            x.reshape(-1),
            y.reshape(-1),
            *(job.inputs[name] for name in ("gamma", "beta", "epsilon")),
        )

        def call() -> Any:
            loop(*arguments)
            return y

        return call

    return build


_layernorm = Kernel(
    "layernorm",
    "LayerNorm",
    tuple(case_of_rows("layernorm", *row, bytes_per_element=16) for row in _SHAPES.items()),
    _inputs,
    _check,
)
_layernorm.variant("two-pass", "numba")(_two_pass)
_layernorm.variant("two-pass-naive", "numba", threads="one", profiles=STANDARD)(_plain(loops.two_pass_plain))
_layernorm.variant("welford-naive", "numba", threads="one", profiles=STANDARD)(_plain(loops.welford_plain))
_layernorm.variant("welford", "numba")(_welford)

KERNELS = (_layernorm,)
