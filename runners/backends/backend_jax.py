"""JAX on the processor: functions compiled by XLA, which fuses them, each call waited for.

XLA's pool of threads has the size that the variable NPROC gives it when JAX starts; nothing changes it later, and no
call tells it.  Its threads are counted where the system names them (Linux); elsewhere the number stays unverified.
"""

import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runners.backends.distributions import find, version
from runners.profiles import STANDARD, for_processors
from runners.workload import Availability, Backend, Job, Ready, Variant

__all__ = ["JaxBackend"]

#: how XLA names the threads that compute
_POOL = "tf_XLAEigen"
_TASKS = Path("/proc/self/task")
_PATIENCE_S = 10.0


def _library() -> Any:
    return importlib.import_module("jax")


def _ready(job: Job, function: Callable[..., Any], arrays: list[Any], *, compiled: bool = True) -> Ready:
    """Return calls of a function, which JAX would not wait for by itself."""
    compute = _library().jit(function) if compiled else function
    return Ready(lambda: compute(*arrays).block_until_ready(), job.backend.get)


def _matmul(job: Job) -> Ready:
    return _ready(job, _library().numpy.matmul, job.put("a", "b"))


def _elementwise(name: str, **options: Any) -> Callable[[Job], Ready]:
    """Return a builder of calls of one function of ``jax.numpy`` or, dotted, of ``jax``."""

    def build(job: Job) -> Ready:
        place: Any = _library() if "." in name else _library().numpy
        for part in name.split("."):
            place = getattr(place, part)
        operator, operands = place, [job.backend.put(operand) for operand in job.inputs["operands"]]
        return _ready(job, lambda *arrays: operator(*arrays, **options), operands)

    return build


def _gelu_unfused(job: Job) -> Ready:
    """Chain operators without compiling the whole: a new array at each step."""
    jnp, x = _library().numpy, job.backend.put(job.inputs["operands"][0])
    slope = np.float32(np.sqrt(2 / np.pi))
    return _ready(
        job, lambda x: 0.5 * x * (1 + jnp.tanh(slope * (x + 0.044715 * (x * x * x)))), [x], compiled=False
    )


def _softmax(job: Job) -> Ready:
    return _ready(job, _library().nn.softmax, job.put("x"))


def _layernorm(job: Job) -> Ready:
    """Standardise as ``jax.nn`` does; JAX has no operator that scales as well."""
    standardise, epsilon = _library().nn.standardize, job.inputs["epsilon"]
    return _ready(
        job,
        lambda x, gamma, beta: standardise(x, epsilon=epsilon) * gamma + beta,
        job.put("x", "gamma", "beta"),
    )


def _rmsnorm(job: Job) -> Ready:
    """Write the formula down; JAX has no operator of this name."""
    jax, epsilon = _library(), job.inputs["epsilon"]

    def compute(x: Any, gain: Any) -> Any:
        return x * jax.lax.rsqrt(jax.numpy.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain

    return _ready(job, compute, job.put("x", "gain"))


def _attention(job: Job) -> Ready:
    """Call ``jax.nn.dot_product_attention`` on [1, length, heads, width], the order that it wants."""
    attend, causal = _library().nn.dot_product_attention, job.case.shape["causal"]
    arrays = [job.backend.put(np.ascontiguousarray(job.inputs[name].swapaxes(0, 1)[None])) for name in "qkv"]
    ready = _ready(job, lambda q, k, v: attend(q, k, v, is_causal=causal), arrays)
    return Ready(ready.call, lambda result: job.backend.get(result)[0].swapaxes(0, 1))


#: kernel, variant, builder; JAX always makes a new array
_ROWS: tuple[tuple[str, str, Callable[[Job], Ready]], ...] = (
    ("matmul", "blas", _matmul),
    ("attention-scores", "blas", _matmul),
    ("relu", "operator", _elementwise("nn.relu")),
    ("exp", "operator", _elementwise("exp")),
    ("sigmoid", "operator", _elementwise("nn.sigmoid")),
    ("tanh", "operator", _elementwise("tanh")),
    ("gelu", "operator", _elementwise("nn.gelu", approximate=True)),
    ("gelu", "unfused", _gelu_unfused),
    ("square", "operator", _elementwise("square")),
    ("log", "operator", _elementwise("log")),
    ("add", "operator", _elementwise("add")),
    ("mul", "operator", _elementwise("multiply")),
    ("softmax", "operator", _softmax),
    ("layernorm", "operator", _layernorm),
    ("rmsnorm", "operator", _rmsnorm),
    ("attention", "operator", _attention),
)


def _pool_size() -> int | None:
    """Return how many threads of XLA's pool this process has, or None where the system does not name threads."""
    try:
        names = [(task / "comm").read_text("utf-8").strip() for task in _TASKS.iterdir()]
    except OSError:
        return None
    return names.count(_POOL)


def _pool_size_once(threads: int) -> int | None:
    """Return the size of the pool once it has so many threads: each gives itself its name when it first runs."""
    until = time.monotonic() + _PATIENCE_S
    while (found := _pool_size()) is not None and found < threads and time.monotonic() < until:
        time.sleep(0.01)
    return found


class JaxBackend(Backend):
    """JAX's functions, compiled, on its processor device."""

    name = "jax"
    title = "JAX on the processor (XLA)"
    packages = ("jax", "jaxlib")
    install = "pip install flopwatch[jax]"
    first_call_differs = True
    operators = tuple(
        Variant(kernel, name, "jax", build, "fresh", applies=for_processors, profiles=STANDARD)
        for kernel, name, build in _ROWS
    )

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("jax", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Fix the size of XLA's pool, and leave accelerators alone."""
        return {"NPROC": str(threads), "JAX_PLATFORMS": "cpu"}

    def load(self, threads: int) -> None:
        """Import JAX; raise RuntimeError if it computes elsewhere, or its pool has other threads than asked for."""
        platform = _library().default_backend()
        if platform != "cpu":
            raise RuntimeError(f"JAX computes on {platform}; start the process with JAX_PLATFORMS=cpu")
        found = _pool_size_once(threads)
        if found not in (None, threads):
            raise RuntimeError(
                f"JAX runs {found} threads, {threads} were asked for; start the process with NPROC={threads}"
            )

    def describe(self) -> dict[str, Any]:
        """Return versions, the threads that were counted (None where they cannot be), and what was asked for."""
        return {
            "version": version("jax"),
            "jaxlib": version("jaxlib"),
            "threads": _pool_size(),
            "threads_asked_for": os.environ.get("NPROC"),
            "xla_flags": os.environ.get("XLA_FLAGS"),
        }

    def put(self, array: Any) -> Any:
        """Hand a host array to JAX."""
        return _library().numpy.asarray(array)

    def get(self, array: Any) -> Any:
        """Return an array of JAX as one of the host."""
        return np.asarray(array)
