"""Multi-head attention softmax(Q·Kᵀ/√d)·V in float32, full and causal.

FLOP: 4·h·s²·d for the two products, half of it if causal; the softmax is not counted (the convention of the
FlashAttention papers, arXiv 2205.14135 and 2307.08691).
"""

from typing import Any

import numpy as np

from runners.arrays import fresh_output, normal
from runners.kernels import _attention as loops
from runners.kernels._checking import UNIT, compare, memoised, probabilistic_gamma
from runners.profiles import FULL, QUICK, STANDARD
from runners.workload import Case, Check, Job, Kernel, Ready, Work

__all__ = ["KERNELS"]

_HEADS, _WIDTH = 8, 64
_LENGTHS = {512: STANDARD, 2048: STANDARD, 4096: FULL}
#: queries of each head that are compared in float64
_QUERIES_COMPARED = 16


def _case(length: int, causal: bool, profiles: frozenset[str]) -> Case:
    flop = 4.0 * _HEADS * length**2 * _WIDTH / (2 if causal else 1)
    footprint = 16 * _HEADS * length * _WIDTH
    return Case(
        id=f"attention/{_HEADS}x{length}x{_WIDTH}" + ("-causal" if causal else ""),
        kernel="attention",
        shape={"heads": _HEADS, "length": length, "width": _WIDTH, "causal": causal, "dtype": "float32"},
        work=Work(flop=flop),
        unit="GFLOP/s",
        bound="flop",
        footprint_bytes=footprint,
        # the way with a new array at each step holds up to four arrays of all scores
        memory_bytes=4 * footprint + 16 * _HEADS * length**2 + 2**27,
        profiles=QUICK if (length, causal) == (512, False) else profiles,
    )


_CASES = tuple(_case(length, causal, row) for length, row in _LENGTHS.items() for causal in (False, True))


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    """Return q, k and v [heads, length, width] from normal(0, 1)."""
    shape = (case.shape["heads"], case.shape["length"], case.shape["width"])
    return {name: normal(shape, seed + number) for number, name in enumerate("qkv")} | {"seed": seed}


def _reference(case: Case, inputs: dict[str, Any]) -> tuple[Any, Any, Any, float]:
    """Return the compared queries, their answers, the scale of the errors and the tolerance."""
    length, width = case.shape["length"], case.shape["width"]
    random = np.random.default_rng(inputs["seed"] + 3)
    chosen = np.sort(random.permutation(length)[:_QUERIES_COMPARED])
    chosen[0], chosen[-1] = 0, length - 1
    q, k, v = (inputs[name].astype(np.float64) for name in "qkv")
    q, k = q[:, chosen], k.transpose(0, 2, 1)
    scores = q @ k / np.sqrt(width)
    if case.shape["causal"]:
        scores[:, np.arange(length) > chosen[:, None]] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    score_error = probabilistic_gamma(width) * float((np.abs(q) @ np.abs(k)).max()) / np.sqrt(width)
    tolerance = 2 * score_error + probabilistic_gamma(length) + 16 * UNIT
    return chosen, weights @ v, weights @ np.abs(v), tolerance


def _check(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Compare some queries of each head with float64; every element must have been written.

    A score errs by at most e = γ̃_d·(|q|·|k|)/√d, a weight by the factor 1 ± 2e (its own score and the sum's), the sums
    over s keys by γ̃_s and the exponential by 16·u: so |error| ≤ (2e + γ̃_s + 16u)·(P|V|), relative to P|V|.
    """
    chosen, exact, scale, tolerance = memoised(inputs, "reference", lambda: _reference(case, inputs))
    result = np.asarray(result).reshape(inputs["q"].shape)
    check = compare(result[:, chosen], exact, tolerance, scale)
    if check.ok and np.isnan(result.max()):
        return Check(False, np.inf, np.inf, tolerance, "an element outside the compared queries is NaN")
    return check


def _fused(job: Job) -> Ready:
    shape = job.case.shape
    heads, length, width = shape["heads"], shape["length"], shape["width"]
    spaces = loops.workspace(heads, length, width, job.threads)
    output = fresh_output((heads, length, width))
    attend: Any = loops.attend
    flat = [job.inputs[name].reshape(-1) for name in "qkv"] + [output.reshape(-1)]

    def call() -> Any:
        attend(*flat, width, *spaces, shape["causal"])
        return output

    return Ready(call, attributes=lambda: {"scratch_bytes": sum(space.nbytes for space in spaces)})


_attention = Kernel("attention", "Multi-head attention", _CASES, _inputs, _check)
_attention.variant("fused", "numba")(_fused)

KERNELS = (_attention,)
