"""One step of decoding with a cache of keys and values: matrix-vector products and attention of a single query."""

from typing import Any

import numpy as np

from runners.compiled import LANES, compiled, prange, simd
from runners.kernels._functions import exp_bounded
from runners.kernels._gemm import multiply

__all__ = ["decode_cached", "decode_recomputed"]

f4 = np.float32
#: columns that a product of a vector and a matrix makes at once
_COLUMNS = 8 * LANES


@compiled()
def _project(
    x: Any, x_at: Any, inputs: Any, matrix: Any, columns: Any, first: Any, count: Any, y: Any, y_at: Any
) -> None:
    """y = x·M for ``count`` columns (a multiple of 8 vectors, or of one) of a flat matrix [inputs, columns]."""
    zero = simd.splat(f4(0))
    for column in range(0, count // _COLUMNS * _COLUMNS, _COLUMNS):
        a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(inputs):
            w, at = simd.splat_at(x, x_at + i), i * columns + first + column
            a = simd.fma(w, simd.load(matrix, at), a)
            b = simd.fma(w, simd.load(matrix, at + LANES), b)
            c = simd.fma(w, simd.load(matrix, at + 2 * LANES), c)
            d = simd.fma(w, simd.load(matrix, at + 3 * LANES), d)
            e = simd.fma(w, simd.load(matrix, at + 4 * LANES), e)
            f = simd.fma(w, simd.load(matrix, at + 5 * LANES), f)
            g = simd.fma(w, simd.load(matrix, at + 6 * LANES), g)
            h = simd.fma(w, simd.load(matrix, at + 7 * LANES), h)
        at = y_at + column
        simd.store(y, at, a)
        simd.store(y, at + LANES, b)
        simd.store(y, at + 2 * LANES, c)
        simd.store(y, at + 3 * LANES, d)
        simd.store(y, at + 4 * LANES, e)
        simd.store(y, at + 5 * LANES, f)
        simd.store(y, at + 6 * LANES, g)
        simd.store(y, at + 7 * LANES, h)
    for column in range(count // _COLUMNS * _COLUMNS, count, LANES):
        a = zero
        for i in range(inputs):
            a = simd.fma(simd.splat_at(x, x_at + i), simd.load(matrix, i * columns + first + column), a)
        simd.store(y, y_at + column, a)


@compiled()
def _attend_one(
    q: Any, q_at: Any, k: Any, v: Any, at: Any, stride: Any, length: Any, width: Any, weights: Any, y: Any
) -> None:
    """y[q_at…] = softmax(q·Kᵀ/√width)·V for one query and ``length`` keys, ``stride`` apart from ``at`` on."""
    scale, top = f4(1) / np.sqrt(f4(width)), f4(-np.inf)
    for key in range(length):
        start = at + key * stride
        a = simd.load(q, q_at) * simd.load(k, start)
        for i in range(LANES, width, LANES):
            a = simd.fma(simd.load(q, q_at + i), simd.load(k, start + i), a)
        score = simd.total(a) * scale
        weights[key] = score
        top = max(top, score)
    padded = (length + LANES - 1) // LANES * LANES
    for key in range(length, padded):
        weights[key] = -np.inf
    highest, sums = simd.splat(top), simd.splat(f4(0))
    for key in range(0, padded, LANES):
        p = exp_bounded(simd.load(weights, key) - highest)
        simd.store(weights, key, p)
        sums = sums + p
    inverse = simd.splat(f4(1) / simd.total(sums))
    zero = simd.splat(f4(0))
    for column in range(0, width, 4 * LANES):
        a, b, c, d = zero, zero, zero, zero
        for key in range(length):
            w, start = simd.splat_at(weights, key), at + key * stride + column
            a, b = simd.fma(w, simd.load(v, start), a), simd.fma(w, simd.load(v, start + LANES), b)
            c, d = (
                simd.fma(w, simd.load(v, start + 2 * LANES), c),
                simd.fma(w, simd.load(v, start + 3 * LANES), d),
            )
        simd.store(y, q_at + column, a * inverse)
        simd.store(y, q_at + column + LANES, b * inverse)
        simd.store(y, q_at + column + 2 * LANES, c * inverse)
        simd.store(y, q_at + column + 3 * LANES, d * inverse)


@compiled(parallel=True)
def _step(x: Any, row: Any, heads: Any, weights: Any, cache: Any, token: Any, out: Any, threads: Any) -> None:
    """Let token ``row`` attend to the cache, whose rows up to its own are filled, and project the answer.

    The query and the attention of a head need no other head; the last projection needs all of them.
    """
    w_q, w_o = weights
    keys, values, scores = cache
    query, mixed = token
    model = query.size
    width = model // heads
    for thread in prange(threads):
        for head in range(heads * thread // threads, heads * (thread + 1) // threads):
            first = head * width
            _project(x, row * model, model, w_q, model, first, width, query, first)
            _attend_one(query, first, keys, values, first, model, row + 1, width, scores[head], mixed)
    for thread in prange(threads):
        blocks = model // _COLUMNS
        first = blocks * thread // threads * _COLUMNS
        count = blocks * (thread + 1) // threads * _COLUMNS - first
        _project(mixed, 0, model, w_o, model, first, count, out, first)


@compiled(parallel=True)
def _append(x: Any, row: Any, w_k: Any, w_v: Any, keys: Any, values: Any, model: Any, threads: Any) -> None:
    """Add the key and the value of token ``row`` to the cache."""
    blocks = model // _COLUMNS
    for thread in prange(threads):
        first = blocks * thread // threads * _COLUMNS
        count = blocks * (thread + 1) // threads * _COLUMNS - first
        _project(x, row * model, model, w_k, model, first, count, keys, row * model + first)
        _project(x, row * model, model, w_v, model, first, count, values, row * model + first)


@compiled(parallel=True)
def _recompute(x: Any, rows: Any, w_k: Any, w_v: Any, keys: Any, values: Any, model: Any, space: Any) -> None:
    """Compute the keys and values of the first ``rows`` tokens anew, rows shared out among the threads."""
    threads = space.shape[0]
    for thread in prange(threads):
        top, bottom = rows * thread // threads, rows * (thread + 1) // threads
        size, at = (bottom - top, model, model), top * model
        multiply(size, x, (at, model), w_k, (0, model), keys, (at, model), space[thread])
        multiply(size, x, (at, model), w_v, (0, model), values, (at, model), space[thread])


@compiled()
def decode_cached(
    x: Any, prefix: Any, heads: Any, weights: Any, cache: Any, token: Any, out: Any, threads: Any
) -> None:
    """Decode the tokens after the prefix one at a time; the cache holds the prefix and gains a row a step."""
    w_q, w_k, w_v, w_o = weights
    keys, values, _ = cache
    model = token[0].size
    for row in range(prefix, x.size // model):
        _append(x, row, w_k, w_v, keys, values, model, threads)
        _step(x, row, heads, (w_q, w_o), cache, token, out[row - prefix], threads)


@compiled()
def decode_recomputed(
    x: Any, prefix: Any, heads: Any, weights: Any, cache: Any, token: Any, out: Any, threads: Any, space: Any
) -> None:
    """Decode the same tokens, with all keys and values so far computed anew at each step."""
    w_q, w_k, w_v, w_o = weights
    keys, values, _ = cache
    model = token[0].size
    for row in range(prefix, x.size // model):
        _recompute(x, row + 1, w_k, w_v, keys, values, model, space)
        _step(x, row, heads, (w_q, w_o), cache, token, out[row - prefix], threads)
