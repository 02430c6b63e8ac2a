"""MLX: Metal on Apple silicon; elsewhere the same code on its processor device, which computes correctly but slowly."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from runners.backends.distributions import find, version
from runners.profiles import STANDARD
from runners.workload import Availability, Backend, Job, Ready, Variant

__all__ = ["MlxBackend"]


def _library() -> Any:
    return importlib.import_module("mlx.core")


def _evaluated(compute: Callable[[], Any]) -> Callable[[], Any]:
    """Make a call that waits for the answer: MLX computes nothing before it is asked to."""
    evaluate = _library().eval

    def call() -> Any:
        result = compute()
        evaluate(result)
        return result

    return call


def _ready(job: Job, compute: Callable[[], Any]) -> Ready:
    return Ready(_evaluated(compute), job.backend.get)


def _inputs(job: Job, *names: str) -> list[Any]:
    return [job.backend.put(job.inputs[name]) for name in names]


def _matmul(job: Job) -> Ready:
    mx, (a, b) = _library(), _inputs(job, "a", "b")
    return _ready(job, lambda: mx.matmul(a, b))


def _elementwise(apply: Callable[..., Any]) -> Callable[[Job], Ready]:
    """Return a builder of calls of ``apply(mx, *operands)``."""

    def build(job: Job) -> Ready:
        mx, operands = _library(), [job.backend.put(operand) for operand in job.inputs["operands"]]
        return _ready(job, lambda: apply(mx, *operands))

    return build


def _gelu(mx: Any, x: Any) -> Any:
    return 0.5 * x * (1 + mx.tanh(float(np.sqrt(2 / np.pi)) * (x + 0.044715 * (x * x * x))))


def _softmax(job: Job) -> Ready:
    mx, (x,) = _library(), _inputs(job, "x")
    return _ready(job, lambda: mx.softmax(x, axis=-1))


def _layernorm(job: Job) -> Ready:
    mx, (x, gamma, beta) = _library(), _inputs(job, "x", "gamma", "beta")
    epsilon = float(job.inputs["epsilon"])
    return _ready(job, lambda: mx.fast.layer_norm(x, gamma, beta, epsilon))


def _attention(job: Job) -> Ready:
    mx, (q, k, v) = _library(), (array[None] for array in _inputs(job, "q", "k", "v"))
    mask = "causal" if job.case.shape["causal"] else None
    scale = q.shape[-1] ** -0.5
    return _ready(job, lambda: mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)[0])


def _attention_unfused(job: Job) -> Ready:
    """Write the formula down: a new array at each step."""
    mx, (q, k, v) = _library(), _inputs(job, "q", "k", "v")
    length, scale = q.shape[1], q.shape[2] ** -0.5
    later = mx.triu(mx.full((length, length), float("-inf")), 1) if job.case.shape["causal"] else None

    def compute() -> Any:
        scores = (q @ k.transpose(0, 2, 1)) * scale
        return mx.softmax(scores if later is None else scores + later, axis=-1) @ v

    return _ready(job, compute)


#: kernel, variant, builder; MLX always makes a new array
_ROWS: tuple[tuple[str, str, Callable[[Job], Ready]], ...] = (
    ("matmul", "blas", _matmul),
    ("attention-scores", "blas", _matmul),
    ("relu", "operator", _elementwise(lambda mx, x: mx.maximum(x, 0))),
    ("exp", "operator", _elementwise(lambda mx, x: mx.exp(x))),
    ("sigmoid", "operator", _elementwise(lambda mx, x: mx.sigmoid(x))),
    ("tanh", "operator", _elementwise(lambda mx, x: mx.tanh(x))),
    ("gelu", "unfused", _elementwise(_gelu)),
    ("square", "operator", _elementwise(lambda mx, x: mx.square(x))),
    ("log", "operator", _elementwise(lambda mx, x: mx.log(x))),
    ("add", "operator", _elementwise(lambda mx, x, y: mx.add(x, y))),
    ("mul", "operator", _elementwise(lambda mx, x, y: mx.multiply(x, y))),
    ("softmax", "operator", _softmax),
    ("layernorm", "operator", _layernorm),
    ("attention", "operator", _attention),
    ("attention", "unfused-fresh", _attention_unfused),
)


class MlxBackend(Backend):
    """MLX's own operators on its default device."""

    name = "mlx"
    first_call_differs = True
    title = "MLX"
    packages = ("mlx",)
    install = "pip install mlx" if sys.platform == "darwin" else "pip install mlx[cpu]"
    operators = tuple(
        Variant(kernel, name, "mlx", build, "fresh", profiles=STANDARD) for kernel, name, build in _ROWS
    )

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("mlx", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Ask the BLAS below for the threads."""
        return {"OMP_NUM_THREADS": str(threads), "VECLIB_MAXIMUM_THREADS": str(threads)}

    def load(self, threads: int) -> None:
        """Import MLX; its default device is Metal where there is one."""
        mx = _library()
        self.device = "metal" if mx.metal.is_available() else "cpu"

    def describe(self) -> dict[str, Any]:
        """Return version and device; away from Metal the numbers stand for nothing."""
        facts: dict[str, Any] = {"version": version("mlx"), "device": self.device, "threads": None}
        if self.device == "cpu":
            facts["representative"] = False
            facts["note"] = (
                "MLX on a processor is a check that it computes: its speed says nothing about Metal"
            )
        facts["omp_num_threads"] = os.environ.get("OMP_NUM_THREADS")
        return facts

    def put(self, array: Any) -> Any:
        """Copy a host array to the device."""
        return _library().array(array)

    def get(self, array: Any) -> Any:
        """Copy an array of the device to the host."""
        return np.array(array)

    def synchronize(self) -> None:
        """Wait until the device has finished."""
        _library().synchronize()
