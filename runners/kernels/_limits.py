"""Loops that do nothing but multiply and add, or move memory: the limits of the machine."""

from typing import Any

import numpy as np

from runners.compiled import LANES, compiled, prange, simd

__all__ = ["CHAINS", "FACTOR", "SUMMAND", "copy", "fused_multiply_add", "triad"]

#: independent chains of dependent operations: latency times throughput of current processors is at most 10
CHAINS = 12
#: x ← x·FACTOR + SUMMAND goes to SUMMAND / (1 - FACTOR) from wherever it starts: all numbers stay normal
FACTOR, SUMMAND = np.float32(0.999), np.float32(1e-4)
_STEP = 4 * LANES


@compiled()
def _chains(start: Any, start_at: Any, turns: Any) -> Any:
    """x ← x·m + c in 12 chains of vectors; the sum of all lanes, so that nothing can be left out."""
    factor, summand = simd.splat(FACTOR), simd.splat(SUMMAND)
    a, b, c = simd.load(start, start_at), simd.load(start, LANES), simd.load(start, 2 * LANES)
    d, e, f = a - b, b - c, c - a
    g, h, i, j, k, l = a + a, b + b, c + c, d + d, e + e, f + f  # noqa: E741 (twelve chains, twelve letters)
    for _ in range(turns):
        a, b, c = simd.fma(a, factor, summand), simd.fma(b, factor, summand), simd.fma(c, factor, summand)
        d, e, f = simd.fma(d, factor, summand), simd.fma(e, factor, summand), simd.fma(f, factor, summand)
        g, h, i = simd.fma(g, factor, summand), simd.fma(h, factor, summand), simd.fma(i, factor, summand)
        j, k, l = simd.fma(j, factor, summand), simd.fma(k, factor, summand), simd.fma(l, factor, summand)  # noqa: E741
    return simd.total((a + b) + (c + d) + (e + f) + (g + h) + (i + j) + (k + l))


@compiled(parallel=True)
def fused_multiply_add(start: Any, sums: Any, turns: Any) -> None:
    """Run the chains on as many threads as ``sums`` has elements."""
    for thread in prange(sums.size):
        sums[thread] = _chains(start, thread, turns)


@compiled()
def _copy_part(source: Any, target: Any, start: Any, end: Any, streaming: Any) -> None:
    if streaming:
        for i in range(start, end, _STEP):
            a, b = simd.load(source, i), simd.load(source, i + LANES)
            c, d = simd.load(source, i + 2 * LANES), simd.load(source, i + 3 * LANES)
            simd.stream(target, i, a)
            simd.stream(target, i + LANES, b)
            simd.stream(target, i + 2 * LANES, c)
            simd.stream(target, i + 3 * LANES, d)
    else:
        for i in range(start, end, _STEP):
            a, b = simd.load(source, i), simd.load(source, i + LANES)
            c, d = simd.load(source, i + 2 * LANES), simd.load(source, i + 3 * LANES)
            simd.store(target, i, a)
            simd.store(target, i + LANES, b)
            simd.store(target, i + 2 * LANES, c)
            simd.store(target, i + 3 * LANES, d)


@compiled()
def _triad_part(first: Any, second: Any, target: Any, start: Any, end: Any, streaming: Any) -> None:
    scale = simd.splat(np.float32(3))
    if streaming:
        for i in range(start, end, _STEP):
            a = simd.fma(scale, simd.load(second, i), simd.load(first, i))
            b = simd.fma(scale, simd.load(second, i + LANES), simd.load(first, i + LANES))
            c = simd.fma(scale, simd.load(second, i + 2 * LANES), simd.load(first, i + 2 * LANES))
            d = simd.fma(scale, simd.load(second, i + 3 * LANES), simd.load(first, i + 3 * LANES))
            simd.stream(target, i, a)
            simd.stream(target, i + LANES, b)
            simd.stream(target, i + 2 * LANES, c)
            simd.stream(target, i + 3 * LANES, d)
    else:
        for i in range(start, end, _STEP):
            a = simd.fma(scale, simd.load(second, i), simd.load(first, i))
            b = simd.fma(scale, simd.load(second, i + LANES), simd.load(first, i + LANES))
            c = simd.fma(scale, simd.load(second, i + 2 * LANES), simd.load(first, i + 2 * LANES))
            d = simd.fma(scale, simd.load(second, i + 3 * LANES), simd.load(first, i + 3 * LANES))
            simd.store(target, i, a)
            simd.store(target, i + LANES, b)
            simd.store(target, i + 2 * LANES, c)
            simd.store(target, i + 3 * LANES, d)


@compiled(parallel=True)
def copy(source: Any, target: Any, threads: Any, repeats: Any, streaming: Any) -> None:
    """target = source, ``repeats`` times, each thread its own part; sizes are multiples of 4·LANES."""
    steps = source.size // _STEP
    for thread in prange(threads):
        start, end = steps * thread // threads * _STEP, steps * (thread + 1) // threads * _STEP
        for _ in range(repeats):
            _copy_part(source, target, start, end, streaming)
        simd.fence()


@compiled(parallel=True)
def triad(first: Any, second: Any, target: Any, threads: Any, repeats: Any, streaming: Any) -> None:
    """target = first + 3·second, the same way (McCalpin's STREAM)."""
    steps = first.size // _STEP
    for thread in prange(threads):
        start, end = steps * thread // threads * _STEP, steps * (thread + 1) // threads * _STEP
        for _ in range(repeats):
            _triad_part(first, second, target, start, end, streaming)
        simd.fence()
