"""Comparing answers with float64 references.

Errors of one rounding are counted in units of ``UNIT`` = 2⁻²⁴, the largest relative error of a float32 rounding.
"""

from typing import Any

import numpy as np

from runners.workload import Check

__all__ = ["UNIT", "compare", "memoised", "probabilistic_gamma", "sample_blocks"]

UNIT = 2.0**-24


def probabilistic_gamma(roundings: int, confidence: float = 6.0) -> float:
    """Return the factor by which ``roundings`` accumulated roundings may disturb a sum of absolute values.

    The deterministic bound n·u is never reached; exp(λ·√n·u + n·u²/(1-u)) - 1 holds for each sum but for a chance of
    2·exp(-λ²(1-u)²/2), 3·10⁻⁸ for λ = 6 (Higham and Mary, "A New Approach to Probabilistic Rounding Error Analysis",
    SIAM J. Sci. Comput. 41(5), 2019, theorem 2.4).  Products that were rounded to TF32 or bfloat16 exceed it.
    """
    return float(np.expm1(confidence * np.sqrt(roundings) * UNIT + roundings * UNIT**2 / (1 - UNIT)))


def compare(result: Any, reference: Any, tolerance: float, scale: Any, message: str = "") -> Check:
    """Compare float32 with float64: the relative error is |result - reference| / ``scale``, at most ``tolerance``.

    ``scale`` is a number or an array.  Where the reference is NaN or infinite the result must be the same; a NaN or an
    infinity anywhere else never agrees.  Raises TypeError for a result that is no float32 array of the same shape.
    """
    result = np.asarray(result)
    if result.dtype != np.float32 or result.shape != reference.shape:
        raise TypeError(
            f"expected float32 {reference.shape}, the call returned {result.dtype} {result.shape}"
        )
    finite = np.isfinite(reference)
    with np.errstate(invalid="ignore", over="ignore"):
        same = (result == reference) | (np.isnan(result) & np.isnan(reference))
        absolute = np.where(finite, np.abs(result - reference), np.where(same, 0.0, np.inf))
        absolute = np.where(np.isnan(absolute), np.inf, absolute)
        relative = np.where(same, 0.0, absolute / scale)
    worst, farthest = float(relative.max(initial=0.0)), float(absolute.max(initial=0.0))
    return Check(worst <= tolerance, farthest, worst, tolerance, message)


def sample_blocks(size: int, seed: int, block: int = 4096, blocks: int = 256) -> Any:
    """Return indices of a flat array to be compared: head, middle, tail and blocks at random; all if it is small."""
    if size <= block * blocks:
        return np.arange(size)
    starts = np.random.default_rng(seed).integers(0, size - block, blocks - 3)
    starts = np.concatenate([[0, size // 2 - block // 2, size - block], np.sort(starts)])
    return (starts[:, None] + np.arange(block)).ravel()


def memoised(inputs: dict[str, Any], key: str, make: Any) -> Any:
    """Return what ``make()`` returned for these inputs before, or call it: variants of a case share the reference."""
    if key not in inputs:
        inputs[key] = make()
    return inputs[key]
