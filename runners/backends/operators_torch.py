"""What PyTorch computes with its own operators, into given tensors or new ones.

Builders find the library in ``job.backend.library``: only the backend's file imports it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import fresh_output
from runners.backends.on_device import (
    CHAIN_CONDITIONS,
    EVENT_CONDITIONS,
    Timed,
    device_variants,
    timed_by_chains,
    timed_by_events,
)
from runners.profiles import STANDARD, for_processors
from runners.workload import Job, Ready, Variant

__all__ = ["CUDA_OPERATORS", "METAL_OPERATORS", "OPERATORS"]


def _library(job: Job) -> Any:
    return job.backend.library  # type: ignore[attr-defined]


def _output(job: Job, shape: tuple[int, ...]) -> Any:
    return job.backend.put(fresh_output(shape))


def _typed(job: Job, tensor: Any) -> Any:
    """Give a tensor the type of the case: products have some of 16 bits."""
    return tensor.to(getattr(_library(job), job.case.shape["dtype"]))


def _ready(job: Job, call: Callable[[], Any]) -> Ready:
    return Ready(call, job.backend.get)


def _matmul(job: Job) -> Ready:
    torch, (a, b) = _library(job), [_typed(job, tensor) for tensor in job.put("a", "b")]
    if job.condition == "fresh":
        return _ready(job, lambda: torch.matmul(a, b))
    c = _typed(job, _output(job, (*a.shape[:-1], b.shape[-1])))
    return _ready(job, lambda: torch.matmul(a, b, out=c))


def _elementwise(name: str, *constants: Any, **options: Any) -> Callable[[Job], Ready]:
    """Return a builder of calls of one operator of PyTorch's library ``aten``, which has a form with a given output."""

    def build(job: Job) -> Ready:
        operator = getattr(_library(job).ops.aten, name)
        operands = [*map(job.backend.put, job.inputs["operands"]), *constants]
        if job.condition == "fresh":
            return _ready(job, lambda: operator(*operands, **options))
        output = _output(job, tuple(operands[0].shape))
        into = operator.out
        return _ready(job, lambda: into(*operands, **options, out=output))

    return build


def _relu(job: Job) -> Ready:
    """Clamp into a given tensor: the form of ``relu`` with an output copies a new tensor into it, 6 times slower."""
    return _elementwise("relu")(job) if job.condition == "fresh" else _elementwise("clamp_min", 0.0)(job)


def _gelu_unfused(job: Job) -> Ready:
    """Chain operators, as one writes the formula: a new tensor at each step."""
    torch, x = _library(job), job.backend.put(job.inputs["operands"][0])
    slope, cubic = float(np.sqrt(2 / np.pi)), 0.044715
    return _ready(job, lambda: 0.5 * x * (1 + torch.tanh(slope * (x + cubic * (x * x * x)))))


def _softmax(job: Job) -> Ready:
    torch, (x,) = _library(job), job.put("x")
    if job.condition == "fresh":
        return _ready(job, lambda: torch.softmax(x, -1))
    output = _output(job, tuple(x.shape))
    return _ready(job, lambda: torch.softmax(x, -1, out=output))


def _layernorm(job: Job) -> Ready:
    torch, (x, gamma, beta) = _library(job), job.put("x", "gamma", "beta")
    epsilon, shape = float(job.inputs["epsilon"]), tuple(x.shape[-1:])
    if job.condition == "fresh":
        return _ready(job, lambda: torch.nn.functional.layer_norm(x, shape, gamma, beta, epsilon))
    output, statistics = _output(job, tuple(x.shape)), (*x.shape[:-1], 1)
    mean, deviation = _output(job, statistics), _output(job, statistics)
    into = torch.ops.aten.native_layer_norm.out

    def call() -> Any:
        into(x, shape, gamma, beta, epsilon, out0=output, out1=mean, out2=deviation)
        return output

    return _ready(job, call)


def _attention(job: Job) -> Ready:
    """Call the fused operator on [1, heads, length, width]."""
    torch, causal = _library(job), job.case.shape["causal"]
    q, k, v = (tensor[None] for tensor in job.put("q", "k", "v"))
    attend = torch.nn.functional.scaled_dot_product_attention
    return Ready(lambda: attend(q, k, v, is_causal=causal), lambda result: job.backend.get(result[0]))


def _attention_unfused(job: Job) -> Ready:
    """Write the formula down: a new tensor at each step."""
    torch, (q, k, v) = _library(job), job.put("q", "k", "v")
    length, scale = q.shape[1], q.shape[2] ** -0.5
    later = (
        torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
        if job.case.shape["causal"]
        else None
    )

    def call() -> Any:
        scores = torch.matmul(q, k.transpose(1, 2)) * scale
        if later is not None:
            scores = scores.masked_fill(later, float("-inf"))
        return torch.matmul(torch.softmax(scores, -1), v)

    return _ready(job, call)


def _decode(job: Job, cached: bool) -> Ready:
    torch, (x, wq, wk, wv, wo) = _library(job), job.put("x", "wq", "wk", "wv", "wo")
    prefix, heads = job.inputs["prefix"], job.inputs["heads"]
    rows, model = x.shape
    keys, values = _output(job, (rows, model)), _output(job, (rows, model))
    output = _output(job, (rows - prefix, model))
    torch.matmul(x[:prefix], wk, out=keys[:prefix])
    torch.matmul(x[:prefix], wv, out=values[:prefix])
    attend, split = torch.nn.functional.scaled_dot_product_attention, (1, -1, heads, model // heads)

    def call() -> Any:
        for row in range(prefix, rows):
            first = row if cached else 0
            torch.matmul(x[first : row + 1], wk, out=keys[first : row + 1])
            torch.matmul(x[first : row + 1], wv, out=values[first : row + 1])
            q = torch.matmul(x[row : row + 1], wq).view(split).transpose(1, 2)
            k, v = (cache[: row + 1].view(split).transpose(1, 2) for cache in (keys, values))
            mixed = attend(q, k, v).transpose(1, 2).reshape(1, model)
            torch.matmul(mixed, wo, out=output[row - prefix : row - prefix + 1])
        return output

    return _ready(job, call)


def _decode_cached(job: Job) -> Ready:
    return _decode(job, cached=True)


def _decode_recomputed(job: Job) -> Ready:
    return _decode(job, cached=False)


_BOTH = ("given", "fresh")
#: kernel, variant, builder, conditions
_ROWS: tuple[tuple[str, str, Callable[[Job], Ready], tuple[str, ...]], ...] = (
    ("matmul", "blas", _matmul, _BOTH),
    ("attention-scores", "blas", _matmul, _BOTH),
    ("relu", "operator", _relu, _BOTH),
    ("exp", "operator", _elementwise("exp"), _BOTH),
    ("sigmoid", "operator", _elementwise("sigmoid"), _BOTH),
    ("tanh", "operator", _elementwise("tanh"), _BOTH),
    ("gelu", "operator", _elementwise("gelu", approximate="tanh"), _BOTH),
    ("gelu", "unfused", _gelu_unfused, ("fresh",)),
    ("square", "operator", _elementwise("square"), _BOTH),
    ("log", "operator", _elementwise("log"), _BOTH),
    ("add", "operator", _elementwise("add"), _BOTH),
    ("mul", "operator", _elementwise("mul"), _BOTH),
    ("softmax", "operator", _softmax, _BOTH),
    ("layernorm", "operator", _layernorm, _BOTH),
    ("attention", "operator", _attention, ("fresh",)),
    ("attention", "unfused-fresh", _attention_unfused, ("fresh",)),
    ("decode", "kv-cache", _decode_cached, ("given",)),
    ("decode", "recompute", _decode_recomputed, ("given",)),
)


def _of_device(key: str, conditions: tuple[str, ...], timed: Timed) -> tuple[Variant, ...]:
    """Return the variants for a device: into given tensors where an operator has such a form."""
    return tuple(
        variant
        for kernel, name, build, _ in _ROWS
        for variant in device_variants(kernel, name, key, build, conditions, timed=timed)
    )


CUDA_OPERATORS = _of_device("torch@cuda", EVENT_CONDITIONS, timed_by_events)
METAL_OPERATORS = _of_device("torch@metal", CHAIN_CONDITIONS, timed_by_chains)

#: importing PyTorch takes longer than the quick profile has for a backend
OPERATORS = tuple(
    Variant(
        kernel,
        name,
        "torch",
        build,
        condition,
        applies=for_processors,
        profiles=STANDARD,
    )
    for kernel, name, build, conditions in _ROWS
    for condition in conditions
)
