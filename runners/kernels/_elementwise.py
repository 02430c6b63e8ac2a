"""Loops over the elements of flat arrays: scalar ones, and ones over vectors.

Numba caches functions that stand in a file, not those that another function makes: so each operation has its three
loops written out, and they share one body that takes the operation as an argument.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from runners.compiled import LANES, compiled, prange, simd
from runners.kernels import _functions as functions

__all__ = ["LOOPS", "Loops", "streams"]

f4 = np.float32

#: outputs above this many bytes leave the last-level cache anyway: they are streamed past it
_STREAMED_FROM_BYTES = 16 * 2**20
#: elements for each turn of a vector loop
_TURN = 4 * LANES


class Loops(NamedTuple):
    """The loops of one operation: ``scalar(*inputs, y)``, ``parallel(*inputs, y)`` and
    ``vector(*inputs, y, threads, streaming)``."""

    scalar: Any
    parallel: Any
    vector: Any


def streams(output: Any) -> bool:
    """Say whether an output is large enough to be written past the caches."""
    return bool(output.nbytes >= _STREAMED_FROM_BYTES)


@compiled()
def _share(size: Any, thread: Any, threads: Any) -> Any:
    """Return first and last+1 of a thread's elements, in whole turns."""
    turns = (size + _TURN - 1) // _TURN
    return turns * thread // threads * _TURN, min(size, turns * (thread + 1) // threads * _TURN)


@compiled(inline=True)
def _four(y: Any, i: Any, a: Any, b: Any, c: Any, d: Any, streaming: Any) -> None:
    """Write four vectors."""
    if streaming:
        simd.stream(y, i, a)
        simd.stream(y, i + LANES, b)
        simd.stream(y, i + 2 * LANES, c)
        simd.stream(y, i + 3 * LANES, d)
    else:
        simd.store(y, i, a)
        simd.store(y, i + LANES, b)
        simd.store(y, i + 2 * LANES, c)
        simd.store(y, i + 3 * LANES, d)


@compiled(inline=True)
def _unary_turns(operation: Any, x: Any, y: Any, start: Any, end: Any, streaming: Any) -> None:
    for i in range(start, end, _TURN):
        a, b = operation(simd.load(x, i)), operation(simd.load(x, i + LANES))
        c, d = operation(simd.load(x, i + 2 * LANES)), operation(simd.load(x, i + 3 * LANES))
        _four(y, i, a, b, c, d, streaming)


@compiled()
def _unary(operation: Any, x: Any, y: Any, start: Any, end: Any, streaming: Any) -> None:
    """y = operation(x), four vectors a turn; the last elements go through an array of their own."""
    whole = start + (end - start) // _TURN * _TURN
    if streaming:
        _unary_turns(operation, x, y, start, whole, True)
        simd.fence()
    else:
        _unary_turns(operation, x, y, start, whole, False)
    if whole < end:
        rest = np.zeros(_TURN, np.float32)
        rest[: end - whole] = x[whole:end]
        _unary_turns(operation, rest, rest, 0, _TURN, False)
        y[whole:end] = rest[: end - whole]


@compiled(inline=True)
def _binary_turns(operation: Any, x: Any, z: Any, y: Any, start: Any, end: Any, streaming: Any) -> None:
    for i in range(start, end, _TURN):
        a = operation(simd.load(x, i), simd.load(z, i))
        b = operation(simd.load(x, i + LANES), simd.load(z, i + LANES))
        c = operation(simd.load(x, i + 2 * LANES), simd.load(z, i + 2 * LANES))
        d = operation(simd.load(x, i + 3 * LANES), simd.load(z, i + 3 * LANES))
        _four(y, i, a, b, c, d, streaming)


@compiled()
def _binary(operation: Any, x: Any, z: Any, y: Any, start: Any, end: Any, streaming: Any) -> None:
    """y = operation(x, z), the same way."""
    whole = start + (end - start) // _TURN * _TURN
    if streaming:
        _binary_turns(operation, x, z, y, start, whole, True)
        simd.fence()
    else:
        _binary_turns(operation, x, z, y, start, whole, False)
    if whole < end:
        rest, other = np.zeros(_TURN, np.float32), np.zeros(_TURN, np.float32)
        rest[: end - whole], other[: end - whole] = x[whole:end], z[whole:end]
        _binary_turns(operation, rest, other, rest, 0, _TURN, False)
        y[whole:end] = rest[: end - whole]


_ROOT_2_PI = f4(math.sqrt(2 / math.pi))


@compiled(inline=True)
def _relu(x: Any) -> Any:
    """Return max(x, 0); NaN stays NaN."""
    return max(x, f4(0))


@compiled()
def _relu_scalar(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = _relu(x[i])


@compiled(parallel=True)
def _relu_parallel(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = _relu(x[i])


@compiled(parallel=True)
def _relu_vector(x: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _unary(functions.relu, x, y, start, end, streaming)


@compiled(inline=True)
def _exp(x: Any) -> Any:
    """Return eˣ."""
    return math.exp(x)


@compiled()
def _exp_scalar(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = _exp(x[i])


@compiled(parallel=True)
def _exp_parallel(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = _exp(x[i])


@compiled(parallel=True)
def _exp_vector(x: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _unary(functions.exp, x, y, start, end, streaming)


@compiled(inline=True)
def _sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e⁻ˣ)."""
    return f4(1) / (f4(1) + math.exp(-x))


@compiled()
def _sigmoid_scalar(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = _sigmoid(x[i])


@compiled(parallel=True)
def _sigmoid_parallel(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = _sigmoid(x[i])


@compiled(parallel=True)
def _sigmoid_vector(x: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _unary(functions.sigmoid, x, y, start, end, streaming)


@compiled(inline=True)
def _tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return math.tanh(x)


@compiled()
def _tanh_scalar(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = _tanh(x[i])


@compiled(parallel=True)
def _tanh_parallel(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = _tanh(x[i])


@compiled(parallel=True)
def _tanh_vector(x: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _unary(functions.tanh, x, y, start, end, streaming)


@compiled(inline=True)
def _gelu(x: Any) -> Any:
    """Return x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))."""
    return f4(0.5) * x * (f4(1) + math.tanh(_ROOT_2_PI * (x + f4(0.044715) * x * x * x)))


@compiled()
def _gelu_scalar(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = _gelu(x[i])


@compiled(parallel=True)
def _gelu_parallel(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = _gelu(x[i])


@compiled(parallel=True)
def _gelu_vector(x: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _unary(functions.gelu, x, y, start, end, streaming)


@compiled(inline=True)
def _square(x: Any) -> Any:
    """Return x²."""
    return x * x


@compiled()
def _square_scalar(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = _square(x[i])


@compiled(parallel=True)
def _square_parallel(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = _square(x[i])


@compiled(parallel=True)
def _square_vector(x: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _unary(functions.square, x, y, start, end, streaming)


@compiled(inline=True)
def _log(x: Any) -> Any:
    """Return the natural logarithm."""
    return math.log(x)


@compiled()
def _log_scalar(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = _log(x[i])


@compiled(parallel=True)
def _log_parallel(x: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = _log(x[i])


@compiled(parallel=True)
def _log_vector(x: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _unary(functions.log, x, y, start, end, streaming)


@compiled()
def _add_scalar(x: Any, z: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = x[i] + z[i]


@compiled(parallel=True)
def _add_parallel(x: Any, z: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = x[i] + z[i]


@compiled(parallel=True)
def _add_vector(x: Any, z: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _binary(functions.add, x, z, y, start, end, streaming)


@compiled()
def _mul_scalar(x: Any, z: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = x[i] * z[i]


@compiled(parallel=True)
def _mul_parallel(x: Any, z: Any, y: Any) -> None:
    for i in prange(x.size):
        y[i] = x[i] * z[i]


@compiled(parallel=True)
def _mul_vector(x: Any, z: Any, y: Any, threads: Any, streaming: Any) -> None:
    for thread in prange(threads):
        start, end = _share(x.size, thread, threads)
        _binary(functions.mul, x, z, y, start, end, streaming)


#: by operation
LOOPS = {
    "relu": Loops(_relu_scalar, _relu_parallel, _relu_vector),
    "exp": Loops(_exp_scalar, _exp_parallel, _exp_vector),
    "sigmoid": Loops(_sigmoid_scalar, _sigmoid_parallel, _sigmoid_vector),
    "tanh": Loops(_tanh_scalar, _tanh_parallel, _tanh_vector),
    "gelu": Loops(_gelu_scalar, _gelu_parallel, _gelu_vector),
    "square": Loops(_square_scalar, _square_parallel, _square_vector),
    "log": Loops(_log_scalar, _log_parallel, _log_vector),
    "add": Loops(_add_scalar, _add_parallel, _add_vector),
    "mul": Loops(_mul_scalar, _mul_parallel, _mul_vector),
}
