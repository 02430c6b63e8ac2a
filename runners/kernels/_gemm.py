"""Matrix products in our own loops: the naive ones, and one blocked for registers and caches.

The blocked product follows Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34(3),
2008): panels of B and blocks of A are packed so that the innermost loop reads both in order, a tile of C stays in
registers, a sliver of B in the first-level cache and a block of A in the second.
"""

from typing import Any

import numpy as np

from runners.arrays import aligned
from runners.compiled import LANES, compiled, prange, simd

__all__ = [
    "TILE_COLUMNS",
    "TILE_ROWS",
    "blocked",
    "grid",
    "multiply",
    "naive",
    "naive_parallel",
    "tile",
    "workspace",
]

#: a tile of C is 6 rows of 2 vectors: 12 accumulators, 2 vectors of B and a broadcast fill 16 registers
TILE_ROWS = 6
TILE_COLUMNS = 2 * LANES
#: a sliver of B, DEPTH × TILE_COLUMNS, takes half of a first-level cache of 32 KiB
DEPTH = 256
#: a block of A, ROWS × DEPTH, takes 144 KiB of the second-level cache
ROWS = 144
#: a panel of B, DEPTH × COLUMNS, stays in the last-level cache
COLUMNS = 2048
#: elements of a packed block of A with what is written behind it, and of a tile that reaches over the edge of C
_PACKED_A, _ASIDE = DEPTH * ROWS + 16, TILE_ROWS * TILE_COLUMNS


def workspace(threads: int) -> Any:
    """Return packing space, one row of float32 for each thread, as a BLAS library keeps it between calls."""
    space = aligned((threads, _PACKED_A + _ASIDE + DEPTH * COLUMNS))
    space.fill(0)
    return space


def grid(threads: int) -> tuple[int, int]:
    """Return how many blocks down and across C gives each thread one that is as square as can be."""
    down = max(rows for rows in range(1, int(threads**0.5) + 1) if threads % rows == 0)
    return down, threads // down


@compiled()
def naive(a: Any, b: Any, c: Any) -> None:
    """C = A·B for stacks [s, m, k] and [s, k, n]: three loops in i-k-j order on one thread."""
    for s in range(a.shape[0]):
        for i in range(a.shape[1]):
            c[s, i, :] = 0
            for k in range(a.shape[2]):
                x = a[s, i, k]
                for j in range(b.shape[2]):
                    c[s, i, j] += x * b[s, k, j]


@compiled(parallel=True)
def naive_parallel(a: Any, b: Any, c: Any) -> None:
    """Do the same with the rows of C shared out among the threads."""
    rows = a.shape[1]
    for row in prange(a.shape[0] * rows):
        s, i = row // rows, row % rows
        for j in range(b.shape[2]):
            c[s, i, j] = 0
        for k in range(a.shape[2]):
            x = a[s, i, k]
            for j in range(b.shape[2]):
                c[s, i, j] += x * b[s, k, j]


@compiled(inline=True)
def _put_row(c: Any, at: Any, low: Any, high: Any, add: Any) -> None:
    """Store one row of a tile, or add it to what is there."""
    if add:
        low = low + simd.load(c, at)
        high = high + simd.load(c, at + LANES)
    simd.store(c, at, low)
    simd.store(c, at + LANES, high)


@compiled(inline=True)
def tile(
    depth: Any, a: Any, a_at: Any, a_step: Any, b: Any, b_at: Any, c: Any, c_at: Any, stride: Any, add: Any
) -> None:
    """C[6, 2 vectors] = A·B, or added to C.

    For each k, A holds 6 numbers side by side, ``a_step`` apart from those of the next k, and B holds 2 vectors.
    """
    zero = simd.splat(np.float32(0))
    l0, h0, l1, h1, l2, h2, l3, h3, l4, h4, l5, h5 = (
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
    for k in range(depth):
        at = a_at + k * a_step
        low, high = simd.load(b, b_at + k * TILE_COLUMNS), simd.load(b, b_at + k * TILE_COLUMNS + LANES)
        x = simd.splat_at(a, at)
        l0, h0 = simd.fma(x, low, l0), simd.fma(x, high, h0)
        x = simd.splat_at(a, at + 1)
        l1, h1 = simd.fma(x, low, l1), simd.fma(x, high, h1)
        x = simd.splat_at(a, at + 2)
        l2, h2 = simd.fma(x, low, l2), simd.fma(x, high, h2)
        x = simd.splat_at(a, at + 3)
        l3, h3 = simd.fma(x, low, l3), simd.fma(x, high, h3)
        x = simd.splat_at(a, at + 4)
        l4, h4 = simd.fma(x, low, l4), simd.fma(x, high, h4)
        x = simd.splat_at(a, at + 5)
        l5, h5 = simd.fma(x, low, l5), simd.fma(x, high, h5)
    _put_row(c, c_at, l0, h0, add)
    _put_row(c, c_at + stride, l1, h1, add)
    _put_row(c, c_at + 2 * stride, l2, h2, add)
    _put_row(c, c_at + 3 * stride, l3, h3, add)
    _put_row(c, c_at + 4 * stride, l4, h4, add)
    _put_row(c, c_at + 5 * stride, l5, h5, add)


@compiled()
def pack_a(a: Any, at: Any, stride: Any, rows: Any, depth: Any, out: Any, out_at: Any) -> None:
    """Copy a block [rows, depth] of A into slivers of 6 rows, column after column; missing rows are zero.

    Two elements behind the packed block are written, too.
    """
    whole = depth // 8 * 8
    for first in range(0, rows, TILE_ROWS):
        valid = min(TILE_ROWS, rows - first)
        start = at + first * stride
        done = 0
        if valid == TILE_ROWS:
            for k in range(0, whole, 8):
                simd.interleave_six(a, start + k, stride, out, out_at + k * TILE_ROWS)
            done = whole
        for k in range(done, depth):
            for r in range(TILE_ROWS):
                out[out_at + k * TILE_ROWS + r] = a[start + r * stride + k] if r < valid else np.float32(0)
        out_at += depth * TILE_ROWS


@compiled()
def pack_b(b: Any, at: Any, stride: Any, depth: Any, columns: Any, out: Any, out_at: Any) -> None:
    """Copy a panel [depth, columns] of B into slivers of 2 vectors' width, row after row; missing columns are zero."""
    for first in range(0, columns, TILE_COLUMNS):
        start = at + first
        if columns - first >= TILE_COLUMNS:
            for k in range(depth):
                simd.store(out, out_at, simd.load(b, start + k * stride))
                simd.store(out, out_at + LANES, simd.load(b, start + k * stride + LANES))
                out_at += TILE_COLUMNS
        else:
            for k in range(depth):
                for j in range(TILE_COLUMNS):
                    out[out_at + j] = b[start + k * stride + j] if first + j < columns else np.float32(0)
                out_at += TILE_COLUMNS


@compiled()
def _put_part(aside: Any, rows: Any, columns: Any, c: Any, c_at: Any, stride: Any, add: Any) -> None:
    """Copy the part of a tile that is inside C, or add it."""
    for i in range(rows):
        for j in range(columns):
            value = aside[i * TILE_COLUMNS + j]
            c[c_at + i * stride + j] = c[c_at + i * stride + j] + value if add else value


@compiled()
def multiply(size: Any, a: Any, a_view: Any, b: Any, b_view: Any, c: Any, c_view: Any, space: Any) -> None:
    """C = A·B for one thread, ``size`` = (m, n, k); each view is (first element, row stride) in a flat array."""
    m, n, k = size
    a_at, a_stride = a_view
    b_at, b_stride = b_view
    c_at, c_stride = c_view
    packed_a, aside, packed_b = (
        space[:_PACKED_A],
        space[_PACKED_A : _PACKED_A + _ASIDE],
        space[_PACKED_A + _ASIDE :],
    )
    for j0 in range(0, n, COLUMNS):
        columns = min(COLUMNS, n - j0)
        for k0 in range(0, k, DEPTH):
            depth = min(DEPTH, k - k0)
            pack_b(b, b_at + k0 * b_stride + j0, b_stride, depth, columns, packed_b, 0)
            for i0 in range(0, m, ROWS):
                rows = min(ROWS, m - i0)
                pack_a(a, a_at + i0 * a_stride + k0, a_stride, rows, depth, packed_a, 0)
                start = c_at + i0 * c_stride + j0
                _multiply_packed(
                    (rows, columns, depth), packed_a, packed_b, c, start, c_stride, k0 > 0, aside
                )


@compiled()
def _multiply_packed(size: Any, a: Any, b: Any, c: Any, c_at: Any, stride: Any, add: Any, aside: Any) -> None:
    """C[rows, columns] = A·B of a packed block and a packed panel, or added to C."""
    rows, columns, depth = size
    for j in range(0, columns, TILE_COLUMNS):
        width = min(TILE_COLUMNS, columns - j)
        for i in range(0, rows, TILE_ROWS):
            height = min(TILE_ROWS, rows - i)
            at = c_at + i * stride + j
            if height == TILE_ROWS and width == TILE_COLUMNS:
                tile(depth, a, i * depth, TILE_ROWS, b, j * depth, c, at, stride, add)
            else:
                tile(depth, a, i * depth, TILE_ROWS, b, j * depth, aside, 0, TILE_COLUMNS, False)
                _put_part(aside, height, width, c, at, stride, add)


@compiled()
def _share(part: Any, parts: Any, length: Any, step: Any) -> Any:
    """Return first and last+1 of a part of ``length`` that begins and ends at multiples of ``step``."""
    steps = (length + step - 1) // step
    return min(length, steps * part // parts * step), min(length, steps * (part + 1) // parts * step)


@compiled(parallel=True)
def blocked(a: Any, b: Any, c: Any, space: Any, down: Any, across: Any) -> None:
    """C = A·B for stacks [s, m, k] and [s, k, n].

    Each product is cut into ``down`` × ``across`` blocks of C; the blocks are shared out among the rows of ``space``.
    Each thread packs what it needs for itself: no thread waits for another but at the end.
    """
    stack, m, k = a.shape
    n = b.shape[2]
    flat_a, flat_b, flat_c = a.reshape(-1), b.reshape(-1), c.reshape(-1)
    threads, blocks = space.shape[0], down * across
    for thread in prange(threads):
        for task in range(stack * blocks * thread // threads, stack * blocks * (thread + 1) // threads):
            s, block = task // blocks, task % blocks
            top, bottom = _share(block // across, down, m, TILE_ROWS)
            left, right = _share(block % across, across, n, TILE_COLUMNS)
            multiply(
                (bottom - top, right - left, k),
                flat_a,
                (s * m * k + top * k, k),
                flat_b,
                (s * k * n + left, n),
                flat_c,
                (s * m * n + top * n + left, n),
                space[thread],
            )
