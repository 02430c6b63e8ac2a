"""Attention without an array of all scores: tiles of scores, an online softmax, and the second product at once.

The online softmax is that of Milakov and Gimelshein (arXiv 1805.02867), its use over tiles that of FlashAttention
(Dao et al., arXiv 2205.14135).  Scores stand transposed, one row for each key: then the maximum, the exponentials and
the sum of 24 queries (3 vectors of 8) run side by side in the lanes, and a row of exponentials is what the second
product broadcasts.
"""

import math
from typing import Any

import numpy as np

from runners.arrays import aligned
from runners.compiled import LANES, compiled, prange, simd
from runners.kernels._functions import exp2_of_negative
from runners.kernels._gemm import TILE_COLUMNS, TILE_ROWS, pack_b, tile

__all__ = ["attend", "workspace"]

f4 = np.float32

_LOG2_E = f4(math.log2(math.e))
#: a tile of scores is 4 keys by 3 vectors of queries: 12 accumulators
_KEYS, _QUERIES = 4, 3 * LANES
#: queries and keys of a block: its exponentials take 96 KiB, its keys and values 64 KiB each (at a width of 64), so
#: that all of them stay in the second-level cache
_QUERY_BLOCK, _KEY_BLOCK = 96, 256


def workspace(heads: int, length: int, width: int, threads: int) -> tuple[Any, Any]:
    """Return space for the packed values [heads, length · width] and for the blocks of each thread."""
    own = _QUERY_BLOCK * (2 * width + _KEY_BLOCK + 3)
    values, scratch = aligned((heads, length * width)), aligned((threads, -(-own // 16) * 16))
    values.fill(0)
    scratch.fill(0)
    return values, scratch


@compiled()
def _pack_values(v: Any, at: Any, length: Any, width: Any, out: Any) -> None:
    """Copy V [length, width], block of keys after block, each in slivers of two vectors' width."""
    for first in range(0, length, _KEY_BLOCK):
        depth = min(_KEY_BLOCK, length - first)
        pack_b(v, at + first * width, width, depth, width, out, first * width)


@compiled()
def _pack_queries(q: Any, at: Any, valid: Any, width: Any, scale: Any, out: Any) -> None:
    """Copy ``valid`` rows of Q, scaled, into slivers of 3 vectors of queries, column after column; the rest is zero."""
    whole = valid // 8 * 8
    for first in range(0, whole, 8):
        sliver, query = first // _QUERIES * _QUERIES, first % _QUERIES
        for column in range(0, width, 8):
            view, place = (
                (at + first * width + column, width),
                (sliver * width + column * _QUERIES + query, _QUERIES),
            )
            simd.transpose_eight(q, view, out, place, scale)
    for row in range(whole, _QUERY_BLOCK):
        sliver, query = row // _QUERIES * _QUERIES, row % _QUERIES
        for column in range(width):
            value = q[at + row * width + column] * scale if row < valid else f4(0)
            out[sliver * width + column * _QUERIES + query] = value


@compiled(inline=True)
def _put_scores(scores: Any, at: Any, a: Any, b: Any, c: Any) -> None:
    simd.store(scores, at, a)
    simd.store(scores, at + LANES, b)
    simd.store(scores, at + 2 * LANES, c)


@compiled(inline=True)
def _score_tile(width: Any, k: Any, keys: Any, q: Any, q_at: Any, scores: Any, at: Any) -> None:
    """Scores of 3 vectors of queries and the four keys that begin at ``keys``."""
    zero = simd.splat(f4(0))
    a0, b0, c0, a1, b1, c1, a2, b2, c2, a3, b3, c3 = (
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
    )
    k0, k1, k2, k3 = keys
    for i in range(width):
        start = q_at + i * _QUERIES
        a, b, c = simd.load(q, start), simd.load(q, start + LANES), simd.load(q, start + 2 * LANES)
        x = simd.splat_at(k, k0 + i)
        a0, b0, c0 = simd.fma(x, a, a0), simd.fma(x, b, b0), simd.fma(x, c, c0)
        x = simd.splat_at(k, k1 + i)
        a1, b1, c1 = simd.fma(x, a, a1), simd.fma(x, b, b1), simd.fma(x, c, c1)
        x = simd.splat_at(k, k2 + i)
        a2, b2, c2 = simd.fma(x, a, a2), simd.fma(x, b, b2), simd.fma(x, c, c2)
        x = simd.splat_at(k, k3 + i)
        a3, b3, c3 = simd.fma(x, a, a3), simd.fma(x, b, b3), simd.fma(x, c, c3)
    _put_scores(scores, at, a0, b0, c0)
    _put_scores(scores, at + _QUERIES, a1, b1, c1)
    _put_scores(scores, at + 2 * _QUERIES, a2, b2, c2)
    _put_scores(scores, at + 3 * _QUERIES, a3, b3, c3)


@compiled()
def _mask(scores: Any, at: Any, first_query: Any, first_key: Any, keys: Any) -> None:
    """Set the scores of keys that come after their query to -∞."""
    for key in range(max(0, first_query + 1 - first_key), keys):
        for query in range(min(_QUERIES, first_key + key - first_query)):
            scores[at + key * _QUERIES + query] = -np.inf


@compiled()
def _exponentials(scores: Any, at: Any, keys: Any, largest: Any, sums: Any, factors: Any, query: Any) -> None:
    """Turn scores into exponentials, and update each query's maximum and sum.

    ``factors`` becomes what the sums of the blocks before must be multiplied with: 2^(old maximum - new maximum).
    """
    for vector in range(0, _QUERIES, LANES):
        lane, start = query + vector, at + vector
        old = simd.load(largest, lane)
        top, other = old, old
        for key in range(0, keys // 2 * 2, 2):
            top = simd.largest(simd.load(scores, start + key * _QUERIES), top)
            other = simd.largest(simd.load(scores, start + (key + 1) * _QUERIES), other)
        if keys % 2:
            top = simd.largest(simd.load(scores, start + (keys - 1) * _QUERIES), top)
        top = simd.largest(top, other)
        factor = exp2_of_negative(old - top)
        total, more = simd.load(sums, lane) * factor, simd.splat(f4(0))
        for key in range(0, keys // 2 * 2, 2):
            p = exp2_of_negative(simd.load(scores, start + key * _QUERIES) - top)
            r = exp2_of_negative(simd.load(scores, start + (key + 1) * _QUERIES) - top)
            simd.store(scores, start + key * _QUERIES, p)
            simd.store(scores, start + (key + 1) * _QUERIES, r)
            total, more = total + p, more + r
        if keys % 2:
            p = exp2_of_negative(simd.load(scores, start + (keys - 1) * _QUERIES) - top)
            simd.store(scores, start + (keys - 1) * _QUERIES, p)
            total = total + p
        simd.store(largest, lane, top)
        simd.store(sums, lane, total + more)
        simd.store(factors, lane, factor)


@compiled()
def _rescale(answer: Any, at: Any, width: Any, factors: Any, query: Any) -> None:
    """Multiply the rows of 6 queries with their factors."""
    for row in range(TILE_ROWS):
        factor = simd.splat_at(factors, query + row)
        for i in range(at + row * width, at + (row + 1) * width, LANES):
            simd.store(answer, i, simd.load(answer, i) * factor)


@compiled()
def _attend_sliver(
    sliver: Any,
    block: Any,
    width: Any,
    packed: Any,
    k: Any,
    k_at: Any,
    v: Any,
    state: Any,
    position: Any,
    causal: Any,
) -> None:
    """Let 3 vectors of queries attend to a block of keys: scores, exponentials, product with the values."""
    queries, scores, answer = packed
    largest, sums, factors = state
    first_query, first_key = position
    keys = block
    if causal:
        keys = min(block, max(0, first_query + sliver + _QUERIES - first_key))
    if keys == 0:
        return
    at = sliver * _KEY_BLOCK
    for key in range(0, keys, _KEYS):
        # behind the last key comes the last one again: its scores are written, but never read
        k0 = k_at + (first_key + key) * width
        step = (
            min(1, block - key - 1) * width,
            min(2, block - key - 1) * width,
            min(3, block - key - 1) * width,
        )
        four = k0, k0 + step[0], k0 + step[1], k0 + step[2]
        _score_tile(width, k, four, queries, sliver * width, scores, at + key * _QUERIES)
    if causal:
        _mask(scores, at, first_query + sliver, first_key, keys)
    _exponentials(scores, at, keys, largest, sums, factors, sliver)
    for strip in range(0, _QUERIES, TILE_ROWS):
        query = sliver + strip
        depth = keys
        if causal:
            depth = min(keys, max(0, first_query + query + TILE_ROWS - first_key))
        if depth == 0:
            continue
        if first_key > 0:
            _rescale(answer, query * width, width, factors, query)
        for column in range(0, width, TILE_COLUMNS):
            v_at, c_at = first_key * width + column * block, query * width + column
            tile(depth, scores, at + strip, _QUERIES, v, v_at, answer, c_at, width, first_key > 0)


@compiled()
def _attend_block(
    q: Any,
    q_at: Any,
    valid: Any,
    first_query: Any,
    k: Any,
    k_at: Any,
    v: Any,
    out: Any,
    size: Any,
    causal: Any,
    own: Any,
) -> None:
    """Let a block of queries attend to all its keys and write its answer."""
    length, width = size
    queries, own = own[: _QUERY_BLOCK * width], own[_QUERY_BLOCK * width :]
    scores, own = own[: _QUERY_BLOCK * _KEY_BLOCK], own[_QUERY_BLOCK * _KEY_BLOCK :]
    answer, own = own[: _QUERY_BLOCK * width], own[_QUERY_BLOCK * width :]
    largest, sums = own[:_QUERY_BLOCK], own[_QUERY_BLOCK : 2 * _QUERY_BLOCK]
    factors = own[2 * _QUERY_BLOCK : 3 * _QUERY_BLOCK]
    largest[:] = -np.inf
    sums[:] = 0
    # scores are powers of two instead of e: one multiplication for all
    _pack_queries(q, q_at, valid, width, _LOG2_E / np.sqrt(f4(width)), queries)
    last = min(length, first_query + valid) if causal else length
    slivers = (valid + _QUERIES - 1) // _QUERIES * _QUERIES
    for first_key in range(0, last, _KEY_BLOCK):
        block = min(_KEY_BLOCK, length - first_key)
        position = first_query, first_key
        for sliver in range(0, slivers, _QUERIES):
            packed, state = (queries, scores, answer), (largest, sums, factors)
            _attend_sliver(sliver, block, width, packed, k, k_at, v, state, position, causal)
    for query in range(valid):
        factor = simd.splat(f4(1) / sums[query])
        for i in range(0, width, LANES):
            simd.store(out, q_at + query * width + i, simd.load(answer, query * width + i) * factor)


@compiled(parallel=True)
def attend(q: Any, k: Any, v: Any, out: Any, width: Any, values: Any, scratch: Any, causal: Any) -> None:
    """Attention of flat Q, K and V with [heads, length, width] elements, as many threads as ``scratch`` has rows.

    ``width`` must be a multiple of two vectors.  First all threads pack the values, then each takes its part of the
    blocks of queries.
    """
    heads, threads = values.shape[0], scratch.shape[0]
    size = q.size // heads
    length = size // width
    for head in prange(heads):
        _pack_values(v, head * size, length, width, values[head])
    blocks = (length + _QUERY_BLOCK - 1) // _QUERY_BLOCK
    for thread in prange(threads):
        for task in range(heads * blocks * thread // threads, heads * blocks * (thread + 1) // threads):
            head, first = task // blocks, task % blocks * _QUERY_BLOCK
            valid = min(_QUERY_BLOCK, length - first)
            at = head * size + first * width
            shape, own = (length, width), scratch[thread]
            _attend_block(q, at, valid, first, k, head * size, values[head], out, shape, causal, own)
