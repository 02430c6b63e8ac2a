"""Decoding one token at a time, in float32: a block of attention of width 512 = 8 heads × 64.

A step projects the new token to its query, key and value, attends to all tokens so far and projects the answer.  The
tokens' inputs are given, so that every variant computes the same 64 answers.  Work: 64 tokens; FLOP, by what the cache
leaves to do, 8·w² for the projections and 4·w for each earlier token and itself.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import fresh_output, normal
from runners.kernels import _decoding as loops
from runners.kernels import _gemm
from runners.kernels._checking import compare, memoised, probabilistic_gamma
from runners.profiles import QUICK, STANDARD
from runners.workload import Case, Check, Job, Kernel, Work

__all__ = ["KERNELS"]

_HEADS, _WIDTH, _TOKENS = 8, 64, 64
_MODEL = _HEADS * _WIDTH
_PREFIXES = {512: QUICK, 2048: STANDARD}


def _case(prefix: int, profiles: frozenset[str]) -> Case:
    attended = sum(range(prefix + 1, prefix + _TOKENS + 1))
    return Case(
        id=f"decode/{prefix}+{_TOKENS}",
        kernel="decode",
        shape={"prefix": prefix, "tokens": _TOKENS, "heads": _HEADS, "width": _WIDTH, "dtype": "float32"},
        work=Work(tokens=float(_TOKENS), flop=8.0 * _MODEL**2 * _TOKENS + 4.0 * _MODEL * attended),
        unit="token/s",
        bound=None,
        footprint_bytes=4 * (4 * _MODEL**2 + 2 * (prefix + _TOKENS) * _MODEL),
        memory_bytes=40 * (4 * _MODEL**2 + 4 * (prefix + _TOKENS) * _MODEL) + 2**25,
        profiles=profiles,
    )


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    """Return x [prefix + tokens, 512] from normal(0, 1) and four weights [512, 512] from normal(0, 1/√512)."""
    rows = case.shape["prefix"] + case.shape["tokens"]
    weights = {
        name: normal((_MODEL, _MODEL), seed + n, _MODEL**-0.5)
        for n, name in enumerate(("wq", "wk", "wv", "wo"))
    }
    return {"x": normal((rows, _MODEL), seed + 4), "prefix": case.shape["prefix"], "heads": _HEADS, **weights}


def _reference(inputs: dict[str, Any]) -> tuple[Any, float]:
    """Return the 64 answers and the tolerance."""
    x, prefix = inputs["x"].astype(np.float64), inputs["prefix"]
    wq, wk, wv, wo = (inputs[name].astype(np.float64) for name in ("wq", "wk", "wv", "wo"))
    q, k, v = ((x @ w).reshape(len(x), _HEADS, _WIDTH).transpose(1, 0, 2) for w in (wq, wk, wv))
    scores = q[:, prefix:] @ k.transpose(0, 2, 1) / np.sqrt(_WIDTH)
    scores[:, np.arange(len(x)) > np.arange(prefix, len(x))[:, None]] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = (weights @ v).transpose(1, 0, 2).reshape(-1, _MODEL)
    roundings = 2 * _MODEL + _WIDTH + len(x)
    amplified = 1 + 2 * float(np.abs(scores[np.isfinite(scores)]).max())
    return mixed @ wo, amplified * probabilistic_gamma(roundings)


def _check(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Compare all answers with float64, relative to the largest.

    The longest chain makes 512 roundings in a projection, 64 in a score, one for each token in the mixing and 512 in
    the last projection: γ̃ of them all.  The exponential turns an error of a score, relative to the score, into one of
    the weight that is as many times larger as the score is; the sum of the weights does so again.
    """
    exact, tolerance = memoised(inputs, "reference", lambda: _reference(inputs))
    return compare(np.asarray(result).reshape(exact.shape), exact, tolerance, float(np.abs(exact).max()))


def _prepare(job: Job) -> tuple[Any, ...]:
    """Return the loops' arguments: the keys and values of the prefix are in the cache, its other rows are NaN."""
    x, prefix = job.inputs["x"], job.inputs["prefix"]
    keys, values = fresh_output(x.shape), fresh_output(x.shape)
    keys[:prefix], values[:prefix] = x[:prefix] @ job.inputs["wk"], x[:prefix] @ job.inputs["wv"]
    scores = fresh_output((_HEADS, len(x) + 64))
    token = fresh_output((_MODEL,)), fresh_output((_MODEL,))
    output = fresh_output((len(x) - prefix, _MODEL))
    weights = tuple(job.inputs[name].reshape(-1) for name in ("wq", "wk", "wv", "wo"))
    cache = (keys.reshape(-1), values.reshape(-1), scores)
    return x.reshape(-1), prefix, _HEADS, weights, cache, token, output, job.threads


def _cached(job: Job) -> Callable[[], Any]:
    arguments = _prepare(job)

    def call() -> Any:
        loops.decode_cached(*arguments)
        return arguments[6]

    return call


def _recomputed(job: Job) -> Callable[[], Any]:
    arguments = (*_prepare(job), _gemm.workspace(job.threads))

    def call() -> Any:
        loops.decode_recomputed(*arguments)
        return arguments[6]

    return call


_decode = Kernel(
    "decode", "Decoding token by token", tuple(_case(*row) for row in _PREFIXES.items()), _inputs, _check
)
_decode.variant("kv-cache", "numba")(_cached)
_decode.variant("recompute", "numba", profiles=STANDARD)(_recomputed)

KERNELS = (_decode,)
