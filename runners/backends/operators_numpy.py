"""What NumPy computes with its own functions, into given arrays or new ones."""

from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import fresh_output
from runners.profiles import STANDARD, for_processors
from runners.workload import Job, Ready, Variant

__all__ = ["OPERATORS"]

f4 = np.float32


def _matmul(job: Job) -> Callable[[], Any]:
    a, b = job.inputs["a"], job.inputs["b"]
    if job.condition == "fresh":
        return lambda: np.matmul(a, b)
    c = fresh_output((*a.shape[:-1], b.shape[-1]))
    return lambda: np.matmul(a, b, out=c)


def _ufunc(function: Any, *constants: Any) -> Callable[[Job], Callable[[], Any]]:
    """Return a builder of calls of one universal function."""

    def build(job: Job) -> Callable[[], Any]:
        arguments = (*job.inputs["operands"], *constants)
        if job.condition == "fresh":
            return lambda: function(*arguments)
        output = fresh_output(arguments[0].shape)
        return lambda: function(*arguments, out=output)

    return build


def _sigmoid(job: Job) -> Callable[[], Any]:
    (x,) = job.inputs["operands"]
    if job.condition == "fresh":
        return lambda: 1 / (1 + np.exp(-x))
    output = fresh_output(x.shape)

    def call() -> Any:
        np.negative(x, out=output)
        np.exp(output, out=output)
        np.add(output, 1, out=output)
        return np.reciprocal(output, out=output)

    return call


def _gelu(job: Job) -> Callable[[], Any]:
    """Chain array operations, as one writes the formula; into two given arrays, or a new one at each step."""
    (x,) = job.inputs["operands"]
    slope, cubic = f4(np.sqrt(2 / np.pi)), f4(0.044715)
    if job.condition == "fresh":
        return lambda: f4(0.5) * x * (1 + np.tanh(slope * (x + cubic * (x * x * x))))
    output, half = fresh_output(x.shape), fresh_output(x.shape)

    def call() -> Any:
        np.multiply(x, x, out=output)
        np.multiply(output, x, out=output)
        np.multiply(output, cubic, out=output)
        np.add(output, x, out=output)
        np.multiply(output, slope, out=output)
        np.tanh(output, out=output)
        np.add(output, 1, out=output)
        np.multiply(x, f4(0.5), out=half)
        return np.multiply(output, half, out=output)

    return call


def _layernorm(job: Job) -> Callable[[], Any]:
    """Compose the operator from NumPy's calls, without an array larger than a row's statistics beside the output."""
    x, gamma, beta, epsilon = (job.inputs[name] for name in ("x", "gamma", "beta", "epsilon"))

    def normalise(out: Any) -> Any:
        np.subtract(x, x.mean(-1, keepdims=True), out=out)
        variance = np.einsum("...i,...i->...", out, out)[..., None] / f4(x.shape[-1])
        out /= np.sqrt(variance + epsilon)
        out *= gamma
        out += beta
        return out

    if job.condition == "fresh":
        return lambda: normalise(np.empty_like(x))
    output = fresh_output(x.shape)
    return lambda: normalise(output)


def _softmax(job: Job) -> Callable[[], Any]:
    x = job.inputs["x"]
    top, total = np.empty((len(x), 1), f4), np.empty((len(x), 1), f4)

    def softmax(out: Any) -> Any:
        np.subtract(x, np.max(x, -1, keepdims=True, out=top), out=out)
        np.exp(out, out=out)
        return np.divide(out, np.sum(out, -1, keepdims=True, out=total), out=out)

    if job.condition == "fresh":
        return lambda: softmax(np.empty_like(x))
    output = fresh_output(x.shape)
    return lambda: softmax(output)


def _later(length: int) -> Any:
    """Return which keys come after which query, [length, length]."""
    return np.triu(np.ones((length, length), bool), 1)


def _attention_fresh(job: Job) -> Callable[[], Any]:
    """Write the formula down: a new array at each step, heads split off and joined again by reshaping."""
    heads, length, width = job.inputs["q"].shape
    packed = [job.inputs[name].transpose(1, 0, 2).reshape(length, heads * width) for name in "qkv"]
    later = _later(length) if job.case.shape["causal"] else None

    def call() -> Any:
        q, k, v = (array.reshape(length, heads, width).transpose(1, 0, 2) for array in packed)
        scores = q @ k.transpose(0, 2, 1) / f4(np.sqrt(width))
        if later is not None:
            scores = np.where(later, f4(-np.inf), scores)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights = weights / weights.sum(-1, keepdims=True)
        return (weights @ v).transpose(1, 0, 2).reshape(length, heads * width)

    return call


def _attention_inplace(job: Job) -> Ready:
    """Compute the same with every array given: one of all scores, which becomes that of all weights."""
    q, k, v = (job.inputs[name] for name in "qkv")
    heads, length, width = q.shape
    keys, scores, output = k.transpose(0, 2, 1), fresh_output((heads, length, length)), fresh_output(q.shape)
    row = fresh_output((heads, length, 1))
    later = _later(length) if job.case.shape["causal"] else None
    scale = f4(1 / np.sqrt(width))

    def call() -> Any:
        np.matmul(q, keys, out=scores)
        np.multiply(scores, scale, out=scores)
        if later is not None:
            np.copyto(scores, f4(-np.inf), where=later)
        np.subtract(scores, np.max(scores, -1, keepdims=True, out=row), out=scores)
        np.exp(scores, out=scores)
        np.sum(scores, -1, keepdims=True, out=row)
        np.matmul(scores, v, out=output)
        return np.divide(output, row, out=output)

    return Ready(call, attributes=lambda: {"scratch_bytes": scores.nbytes + row.nbytes})


def _joined(result: Any, job: Job) -> Any:
    """Bring an answer [length, heads · width] into the shape of the queries."""
    heads, length, width = job.inputs["q"].shape
    return result.reshape(length, heads, width).transpose(1, 0, 2)


def _attention_unfused(job: Job) -> Ready:
    return Ready(_attention_fresh(job), lambda result: _joined(result, job))


def _attend_one(q: Any, keys: Any, values: Any, heads: int) -> Any:
    """Attention of one token [model] to keys and values [rows, model]; returns [model]."""
    rows, width = len(keys), len(q) // heads
    keys, values = (array.reshape(rows, heads, width).transpose(1, 0, 2) for array in (keys, values))
    scores = (keys @ q.reshape(heads, width, 1))[..., 0] / f4(np.sqrt(width))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights[:, None] @ values).reshape(-1)


def _decode(job: Job, cached: bool) -> Callable[[], Any]:
    x, prefix, heads = (job.inputs[name] for name in ("x", "prefix", "heads"))
    wq, wk, wv, wo = (job.inputs[name] for name in ("wq", "wk", "wv", "wo"))
    keys, values, output = (
        fresh_output(x.shape),
        fresh_output(x.shape),
        fresh_output((len(x) - prefix, len(wq))),
    )
    np.matmul(x[:prefix], wk, out=keys[:prefix])
    np.matmul(x[:prefix], wv, out=values[:prefix])

    def call() -> Any:
        for row in range(prefix, len(x)):
            first = row if cached else 0
            np.matmul(x[first : row + 1], wk, out=keys[first : row + 1])
            np.matmul(x[first : row + 1], wv, out=values[first : row + 1])
            mixed = _attend_one(x[row] @ wq, keys[: row + 1], values[: row + 1], heads)
            np.matmul(mixed, wo, out=output[row - prefix])
        return output

    return call


def _decode_cached(job: Job) -> Callable[[], Any]:
    return _decode(job, cached=True)


def _decode_recomputed(job: Job) -> Callable[[], Any]:
    return _decode(job, cached=False)


#: kernel, variant, builder, conditions
_ROWS: tuple[tuple[str, str, Callable[[Job], Any], tuple[str, ...]], ...] = (
    ("matmul", "blas", _matmul, ("given", "fresh")),
    ("attention-scores", "blas", _matmul, ("given", "fresh")),
    ("relu", "operator", _ufunc(np.maximum, f4(0)), ("given", "fresh")),
    ("exp", "operator", _ufunc(np.exp), ("given", "fresh")),
    ("sigmoid", "operator", _sigmoid, ("given", "fresh")),
    ("tanh", "operator", _ufunc(np.tanh), ("given", "fresh")),
    ("gelu", "unfused", _gelu, ("given", "fresh")),
    ("square", "operator", _ufunc(np.square), ("given", "fresh")),
    ("log", "operator", _ufunc(np.log), ("given", "fresh")),
    ("add", "operator", _ufunc(np.add), ("given", "fresh")),
    ("mul", "operator", _ufunc(np.multiply), ("given", "fresh")),
    ("softmax", "operator", _softmax, ("given", "fresh")),
    ("layernorm", "operator", _layernorm, ("given", "fresh")),
    ("attention", "unfused-fresh", _attention_unfused, ("fresh",)),
    ("attention", "unfused-inplace", _attention_inplace, ("given",)),
    ("decode", "kv-cache", _decode_cached, ("given",)),
    ("decode", "recompute", _decode_recomputed, ("given",)),
)


#: what NumPy gives to BLAS and its threads; all else runs on one thread
_PRODUCTS = ("matmul", "attention-scores", "attention", "decode")


def _profiles(kernel: str, name: str, condition: str) -> frozenset[str] | None:
    """Leave new arrays and recomputing out of the quick profile."""
    return STANDARD if condition == "fresh" or name == "recompute" else None


OPERATORS = tuple(
    Variant(
        kernel,
        name,
        "numpy",
        build,
        condition,
        threads="any" if kernel in _PRODUCTS else "one",
        applies=for_processors,
        profiles=_profiles(kernel, name, condition),
    )
    for kernel, name, build, conditions in _ROWS
    for condition in conditions
)
