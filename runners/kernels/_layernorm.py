"""Normalising the rows of a matrix, two ways, over vectors: γ·(x - mean)/√(variance + ε) + β."""

from typing import Any

import numpy as np

from runners.compiled import LANES, compiled, prange, simd

__all__ = ["normalise_rows", "reciprocals", "two_pass_plain", "welford_plain"]

_STEP = 4 * LANES


def reciprocals(width: int) -> Any:
    """Return 1, 1/2, 1/3 … for each step of the running means of a row: four vectors advance at a time."""
    return (1.0 / np.arange(1, width // _STEP + 1)).astype(np.float32)


@compiled(inline=True)
def _sum(a: Any, b: Any, c: Any, d: Any) -> Any:
    return simd.total((a + b) + (c + d))


@compiled()
def two_pass(x: Any, at: Any, width: Any) -> Any:
    """Mean and variance of a row: the sum first, then the squares of the deviations from the mean."""
    zero = simd.splat(np.float32(0))
    a, b, c, d = zero, zero, zero, zero
    for i in range(at, at + width, _STEP):
        a, b = a + simd.load(x, i), b + simd.load(x, i + LANES)
        c, d = c + simd.load(x, i + 2 * LANES), d + simd.load(x, i + 3 * LANES)
    mean = _sum(a, b, c, d) / np.float32(width)
    center = simd.splat(mean)
    a, b, c, d = zero, zero, zero, zero
    for i in range(at, at + width, _STEP):
        p, q = simd.load(x, i) - center, simd.load(x, i + LANES) - center
        r, s = simd.load(x, i + 2 * LANES) - center, simd.load(x, i + 3 * LANES) - center
        a, b, c, d = simd.fma(p, p, a), simd.fma(q, q, b), simd.fma(r, r, c), simd.fma(s, s, d)
    return mean, _sum(a, b, c, d) / np.float32(width)


@compiled()
def welford(x: Any, at: Any, width: Any, reciprocal: Any) -> Any:
    """Mean and variance of a row in one pass (Welford, Technometrics 4(3), 1962).

    A chain of running means would wait for itself at every element; 4·LANES chains run side by side, and are merged
    as by Chan, Golub and LeVeque (Stanford CS-79-773, 1979).
    """
    zero = simd.splat(np.float32(0))
    m0, m1, m2, m3, s0, s1, s2, s3 = zero, zero, zero, zero, zero, zero, zero, zero
    step = 0
    for i in range(at, at + width, _STEP):
        r = simd.splat_at(reciprocal, step)
        step += 1
        v = simd.load(x, i)
        t = v - m0
        m0 = simd.fma(t, r, m0)
        s0 = simd.fma(t, v - m0, s0)
        v = simd.load(x, i + LANES)
        t = v - m1
        m1 = simd.fma(t, r, m1)
        s1 = simd.fma(t, v - m1, s1)
        v = simd.load(x, i + 2 * LANES)
        t = v - m2
        m2 = simd.fma(t, r, m2)
        s2 = simd.fma(t, v - m2, s2)
        v = simd.load(x, i + 3 * LANES)
        t = v - m3
        m3 = simd.fma(t, r, m3)
        s3 = simd.fma(t, v - m3, s3)
    mean = _sum(m0, m1, m2, m3) / np.float32(_STEP)
    center = simd.splat(mean)
    m0, m1, m2, m3 = m0 - center, m1 - center, m2 - center, m3 - center
    between = simd.total(simd.fma(m0, m0, m1 * m1) + simd.fma(m2, m2, m3 * m3))
    return mean, (_sum(s0, s1, s2, s3) + np.float32(step) * between) / np.float32(width)


@compiled()
def _scale_row(x: Any, y: Any, at: Any, moments: Any, gamma: Any, beta: Any, streaming: Any) -> None:
    """Write one row of the answer."""
    center, factor = simd.splat(moments[0]), simd.splat(moments[1])
    for i in range(0, gamma.size, LANES):
        scaled = simd.fma((simd.load(x, at + i) - center) * factor, simd.load(gamma, i), simd.load(beta, i))
        if streaming:
            simd.stream(y, at + i, scaled)
        else:
            simd.store(y, at + i, scaled)


@compiled(parallel=True)
def normalise_rows(
    x: Any,
    y: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    reciprocal: Any,
    threads: Any,
    single_pass: Any,
    streaming: Any,
) -> None:
    """Normalise all rows of flat arrays; a row is as wide as gamma, a multiple of 4·LANES."""
    width = gamma.size
    rows = x.size // width
    for thread in prange(threads):
        for row in range(rows * thread // threads, rows * (thread + 1) // threads):
            at = row * width
            if single_pass:
                mean, variance = welford(x, at, width, reciprocal)
            else:
                mean, variance = two_pass(x, at, width)
            factor = np.float32(1) / np.sqrt(variance + epsilon)
            _scale_row(x, y, at, (mean, factor), gamma, beta, streaming)
        simd.fence()


@compiled()
def two_pass_plain(x: Any, y: Any, gamma: Any, beta: Any, epsilon: Any) -> None:
    """One thread, plain loops: the sum of each row, then the squares of the deviations, then the row."""
    width = gamma.size
    for at in range(0, x.size, width):
        total = np.float32(0)
        for i in range(width):
            total += x[at + i]
        mean, squares = total / np.float32(width), np.float32(0)
        for i in range(width):
            squares += (x[at + i] - mean) * (x[at + i] - mean)
        factor = np.float32(1) / np.sqrt(squares / np.float32(width) + epsilon)
        for i in range(width):
            y[at + i] = (x[at + i] - mean) * factor * gamma[i] + beta[i]


@compiled()
def welford_plain(x: Any, y: Any, gamma: Any, beta: Any, epsilon: Any) -> None:
    """One thread, as the textbook has it: one chain of running means with a division at every element."""
    width = gamma.size
    for at in range(0, x.size, width):
        mean, squares = np.float32(0), np.float32(0)
        for i in range(width):
            deviation = x[at + i] - mean
            mean += deviation / np.float32(i + 1)
            squares += deviation * (x[at + i] - mean)
        factor = np.float32(1) / np.sqrt(squares / np.float32(width) + epsilon)
        for i in range(width):
            y[at + i] = (x[at + i] - mean) * factor * gamma[i] + beta[i]
