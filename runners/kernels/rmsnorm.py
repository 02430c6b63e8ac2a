"""RMSNorm over the last axis, in float32: x / √(mean(x²) + ε) · g, with gains g near 1 and ε = 1e-6.

Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, section 3: LayerNorm without the mean and
without the bias; the ε under the root is that of the models which use it.

Work: n elements; bytes 8·n (each read once and written once; a row stays in the first-level cache between passes).
The formula, section 3, equation 4, needs no more; the gains are one row.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import fresh_output, normal
from runners.backends.on_device import CHAIN_CONDITIONS, device_variants, timed_by_chains
from runners.compiled import LANES, compiled, prange, simd
from runners.kernels._checking import UNIT, memoised, probabilistic_gamma
from runners.kernels._elementwise import streams
from runners.kernels._rows import case_of_rows, compare_rows, some_rows
from runners.profiles import FULL, STANDARD
from runners.workload import Case, Check, Job, Kernel, Ready

__all__ = ["KERNELS"]

f4 = np.float32

#: those of LayerNorm, so that the two can be held side by side, and the width of a model of 7 billion parameters
_SHAPES = {(8, 128, 768): FULL, (32, 512, 768): STANDARD, (4, 2048, 4096): FULL}
_STEP = 4 * LANES


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    shape = tuple(case.shape["shape"])
    gain = normal(shape[-1:], seed + 1, 0.1)
    gain += 1
    return {"x": normal(shape, seed), "gain": gain, "epsilon": f4(1e-6), "seed": seed}


def _reference(inputs: dict[str, Any]) -> tuple[Any, Any]:
    chosen, x = some_rows(inputs["x"], inputs["seed"] + 2)
    root = np.sqrt((x**2).mean(-1, keepdims=True) + float(inputs["epsilon"]))
    return chosen, x / root * inputs["gain"].astype(np.float64)


def _check(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Compare rows with float64, relative to each element; every element must have been written.

    Nothing cancels: the sum of d squares errs by γ̃_d of itself, the root halves that, and a handful of roundings
    follow: |error| ≤ (γ̃_d/2 + 8·u)·|reference|.
    """
    chosen, exact = memoised(inputs, "reference", lambda: _reference(inputs))
    tolerance = probabilistic_gamma(exact.shape[-1]) / 2 + 8 * UNIT
    return compare_rows(result, chosen, exact, tolerance, np.maximum(np.abs(exact), 2.0**-126))


@compiled()
def _factor(x: Any, at: Any, width: Any, epsilon: Any) -> Any:
    """Return 1/√(mean(x²) + ε) of one row: four vectors of sums, then what is left of the row."""
    zero = simd.splat(np.float32(0))
    a, b, c, d = zero, zero, zero, zero
    whole = width // _STEP * _STEP
    for i in range(at, at + whole, _STEP):
        p, q = simd.load(x, i), simd.load(x, i + LANES)
        r, s = simd.load(x, i + 2 * LANES), simd.load(x, i + 3 * LANES)
        a, b, c, d = simd.fma(p, p, a), simd.fma(q, q, b), simd.fma(r, r, c), simd.fma(s, s, d)
    squares = simd.total((a + b) + (c + d))
    for i in range(at + whole, at + width):
        squares += x[i] * x[i]
    return np.float32(1) / np.sqrt(squares / np.float32(width) + epsilon)


@compiled()
def _scale(x: Any, y: Any, at: Any, gain: Any, factor: Any, streaming: Any) -> None:
    """Write one row of the answer; rows are streamed past the caches only where they are whole vectors."""
    factors = simd.splat(factor)
    whole = gain.size // LANES * LANES
    for i in range(0, whole, LANES):
        scaled = simd.load(x, at + i) * factors * simd.load(gain, i)
        if streaming:
            simd.stream(y, at + i, scaled)
        else:
            simd.store(y, at + i, scaled)
    for i in range(whole, gain.size):
        y[at + i] = x[at + i] * factor * gain[i]


@compiled(parallel=True)
def _fused_loop(x: Any, y: Any, gain: Any, epsilon: Any, threads: Any, streaming: Any) -> None:
    """Sum and scale row by row: a row is still in the first-level cache when it is read again."""
    width = gain.size
    rows = x.size // width
    for thread in prange(threads):
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            _scale(x, y, row * width, gain, _factor(x, row * width, width, epsilon), streaming)
        simd.fence()


@compiled(parallel=True)
def _unfused_loop(
    x: Any, y: Any, gain: Any, epsilon: Any, factors: Any, threads: Any, streaming: Any
) -> None:
    """Sum all rows, then scale all rows, as two operators would: the array goes through memory twice."""
    width = gain.size
    rows = x.size // width
    for thread in prange(threads):
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            factors[row] = _factor(x, row * width, width, epsilon)
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            _scale(x, y, row * width, gain, factors[row], streaming)
        simd.fence()


@compiled()
def _plain_loop(x: Any, y: Any, gain: Any, epsilon: Any) -> None:
    """One thread, plain loops: the squares of each row, then the row."""
    width = gain.size
    for at in range(0, x.size, width):
        squares = np.float32(0)
        for i in range(width):
            squares += x[at + i] * x[at + i]
        factor = np.float32(1) / np.sqrt(squares / np.float32(width) + epsilon)
        for i in range(width):
            y[at + i] = x[at + i] * factor * gain[i]


def _calling(loop: Any, job: Job, *more: Any) -> Callable[[], Any]:
    """Return a call of a loop on flat arrays."""
    x, gain, epsilon = (job.inputs[name] for name in ("x", "gain", "epsilon"))
    y = fresh_output(x.shape)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)

    def call() -> Any:
        loop(flat_x, flat_y, gain, epsilon, *more)
        return y

    return call


def _streaming(job: Job) -> bool:
    return streams(job.inputs["x"]) and job.inputs["gain"].size % LANES == 0


def _fused(job: Job) -> Callable[[], Any]:
    return _calling(_fused_loop, job, job.threads, _streaming(job))


def _unfused(job: Job) -> Callable[[], Any]:
    factors = fresh_output((job.inputs["x"].size // job.inputs["gain"].size,))
    return _calling(_unfused_loop, job, factors, job.threads, _streaming(job))


def _plain(job: Job) -> Callable[[], Any]:
    return _calling(_plain_loop, job)


def _numpy(job: Job) -> Callable[[], Any]:
    """Compose it from NumPy's calls, without an array larger than a row's factor beside the output."""
    x, gain, epsilon = (job.inputs[name] for name in ("x", "gain", "epsilon"))

    def normalise(out: Any) -> Any:
        squares = np.einsum("...i,...i->...", x, x)[..., None] / f4(x.shape[-1])
        np.divide(x, np.sqrt(squares + epsilon), out=out)
        return np.multiply(out, gain, out=out)

    if job.condition == "fresh":
        return lambda: normalise(np.empty_like(x))
    output = fresh_output(x.shape)
    return lambda: normalise(output)


def _torch(job: Job) -> Ready:
    """Call PyTorch's operator, which always makes a new tensor."""
    backend: Any = job.backend
    x, gain = backend.put(job.inputs["x"]), backend.put(job.inputs["gain"])
    epsilon, width = float(job.inputs["epsilon"]), tuple(gain.shape)
    operator = backend.library.nn.functional.rms_norm
    return Ready(lambda: operator(x, width, gain, epsilon), backend.get)


_rmsnorm = Kernel(
    "rmsnorm",
    "RMSNorm",
    tuple(case_of_rows("rmsnorm", *row, bytes_per_element=20) for row in _SHAPES.items()),
    _inputs,
    _check,
)
_rmsnorm.variant("fused", "numba")(_fused)
_rmsnorm.variant("unfused", "numba")(_unfused)
_rmsnorm.variant("two-pass-naive", "numba", threads="one")(_plain)
_rmsnorm.variant("operator", "numpy", threads="one")(_numpy)
_rmsnorm.variant("operator", "numpy", condition="fresh", threads="one")(_numpy)
_rmsnorm.variant("operator", "torch", condition="fresh", profiles=STANDARD)(_torch)
_rmsnorm.variants.extend(
    (
        *device_variants("rmsnorm", "operator", "torch@cuda", _torch),
        *device_variants("rmsnorm", "operator", "torch@metal", _torch, CHAIN_CONDITIONS, timed_by_chains),
    )
)

KERNELS = (_rmsnorm,)
