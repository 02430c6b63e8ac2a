"""Softmax of the rows of a matrix: the maximum, the exponentials with their sum, the scaling."""

from typing import Any

import numpy as np

from runners.compiled import LANES, compiled, prange, simd
from runners.kernels._functions import exp_bounded

__all__ = ["softmax_rows", "softmax_scalar"]

_TURN = 2 * LANES


@compiled()
def _softmax_row(x: Any, y: Any, at: Any, width: Any) -> None:
    """Softmax of one row, whose width is a multiple of two vectors."""
    a, b = simd.load(x, at), simd.load(x, at + LANES)
    for i in range(at + _TURN, at + width, _TURN):
        a, b = simd.largest(simd.load(x, i), a), simd.largest(simd.load(x, i + LANES), b)
    top = simd.splat(simd.highest(simd.largest(a, b)))
    a = b = simd.splat(np.float32(0))
    for i in range(at, at + width, _TURN):
        p, q = exp_bounded(simd.load(x, i) - top), exp_bounded(simd.load(x, i + LANES) - top)
        simd.store(y, i, p)
        simd.store(y, i + LANES, q)
        a, b = a + p, b + q
    factor = simd.splat(np.float32(1) / simd.total(a + b))
    for i in range(at, at + width, LANES):
        simd.store(y, i, simd.load(y, i) * factor)


@compiled(parallel=True)
def softmax_rows(x: Any, y: Any, rows: Any, threads: Any) -> None:
    """Share the rows of flat arrays out among the threads."""
    width = x.size // rows
    for thread in prange(threads):
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            _softmax_row(x, y, row * width, width)


@compiled()
def softmax_scalar(x: Any, y: Any, rows: Any) -> None:
    """One thread, one element after the other: maximum, exponentials and their sum, division."""
    width = x.size // rows
    for row in range(rows):
        top = x[row * width]
        for i in range(row * width, (row + 1) * width):
            top = max(top, x[i])
        total = np.float32(0)
        for i in range(row * width, (row + 1) * width):
            y[i] = np.exp(x[i] - top)
            total += y[i]
        for i in range(row * width, (row + 1) * width):
            y[i] /= total
