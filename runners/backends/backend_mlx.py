"""MLX: Metal on Apple silicon; elsewhere the same code on its processor device, which computes correctly but slowly."""

import importlib
import os
import platform
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from runners.apple import apple_state, wait_until_cool
from runners.backends.distributions import find, version
from runners.backends.on_device import CHAIN_CONDITIONS, device_variants, timed_by_chains
from runners.profiles import QUICK, STANDARD, for_processors
from runners.workload import Availability, Backend, Case, Job, Ready, Variant

__all__ = ["MlxBackend"]


def _library() -> Any:
    return importlib.import_module("mlx.core")


#: on Metal a call is timed by chains; the processor's device is a check that it computes
_ON_METAL = sys.platform == "darwin" and platform.machine() == "arm64"


class _Call:
    """A function of arrays of MLX, evaluated: MLX computes nothing before it is asked to."""

    def __init__(self, compute: Callable[..., Any], arrays: Sequence[Any]) -> None:
        self.compute, self.arrays, self.mx = compute, list(arrays), _library()

    def __call__(self) -> Any:
        result = self.compute(*self.arrays)
        self.mx.eval(result)
        return result

    def chain(self, count: int) -> Any:
        """Evaluate so many calls, the arrays of each dependent on the answer before, and wait for the last."""
        result = self.compute(*self.arrays)
        for _ in range(count - 1):
            result = self.compute(*self.mx.depends(self.arrays, [result]))
        self.mx.eval(result)
        self.mx.synchronize()
        return result


def _ready(job: Job, compute: Callable[..., Any], arrays: Sequence[Any]) -> Ready:
    return Ready(_Call(compute, arrays), job.backend.get)


def _matmul(job: Job) -> Ready:
    """Multiply in the type of the case."""
    mx = _library()
    dtype = getattr(mx, job.case.shape["dtype"])
    return _ready(job, mx.matmul, [array.astype(dtype) for array in job.put("a", "b")])


def _elementwise(apply: Callable[..., Any]) -> Callable[[Job], Ready]:
    """Return a builder of calls of ``apply(mx, *operands)``."""

    def build(job: Job) -> Ready:
        mx, operands = _library(), [job.backend.put(operand) for operand in job.inputs["operands"]]
        return _ready(job, lambda *arrays: apply(mx, *arrays), operands)

    return build


def _gelu(mx: Any, x: Any) -> Any:
    return 0.5 * x * (1 + mx.tanh(float(np.sqrt(2 / np.pi)) * (x + 0.044715 * (x * x * x))))


def _softmax(job: Job) -> Ready:
    mx = _library()
    return _ready(job, lambda x: mx.softmax(x, axis=-1), job.put("x"))


def _layernorm(job: Job) -> Ready:
    mx, epsilon = _library(), float(job.inputs["epsilon"])
    arrays = job.put("x", "gamma", "beta")
    return _ready(job, lambda x, gamma, beta: mx.fast.layer_norm(x, gamma, beta, epsilon), arrays)


def _layernorm_two_pass(job: Job) -> Ready:
    """Write the formula down: the mean, then the mean of the squared distances from it."""
    mx, epsilon = _library(), float(job.inputs["epsilon"])

    def compute(x: Any, gamma: Any, beta: Any) -> Any:
        distance = x - mx.mean(x, axis=-1, keepdims=True)
        variance = mx.mean(distance * distance, axis=-1, keepdims=True)
        return distance * mx.rsqrt(variance + epsilon) * gamma + beta

    return _ready(job, compute, job.put("x", "gamma", "beta"))


def _rmsnorm(job: Job) -> Ready:
    mx, epsilon = _library(), float(job.inputs["epsilon"])
    return _ready(job, lambda x, gain: mx.fast.rms_norm(x, gain, epsilon), job.put("x", "gain"))


def _attention(job: Job) -> Ready:
    mx, (q, k, v) = _library(), (array[None] for array in job.put("q", "k", "v"))
    mask = "causal" if job.case.shape["causal"] else None
    attend, scale = mx.fast.scaled_dot_product_attention, q.shape[-1] ** -0.5
    return _ready(job, lambda q, k, v: attend(q, k, v, scale=scale, mask=mask)[0], [q, k, v])


def _attention_unfused(job: Job) -> Ready:
    """Write the formula down: a new array at each step."""
    mx, (q, k, v) = _library(), job.put("q", "k", "v")
    length, scale = q.shape[1], q.shape[2] ** -0.5
    later = mx.triu(mx.full((length, length), float("-inf")), 1) if job.case.shape["causal"] else None

    def compute(q: Any, k: Any, v: Any) -> Any:
        scores = (q @ k.transpose(0, 2, 1)) * scale
        return mx.softmax(scores if later is None else scores + later, axis=-1) @ v

    return _ready(job, compute, [q, k, v])


def _decode(cached: bool) -> Callable[[Job], Ready]:
    """Return a builder of decoding: arrays of MLX cannot be written into, so each step makes a longer cache."""

    def build(job: Job) -> Ready:
        mx, prefix, heads = _library(), int(job.inputs["prefix"]), int(job.inputs["heads"])
        arrays = job.put("x", "wq", "wk", "wv", "wo")
        x, _, wk, wv, _ = arrays
        held = [x[:prefix] @ wk, x[:prefix] @ wv]
        mx.eval(held)
        rows, model = x.shape
        attend, scale = mx.fast.scaled_dot_product_attention, (model // heads) ** -0.5

        def split(array: Any) -> Any:
            return array.reshape(1, -1, heads, model // heads).transpose(0, 2, 1, 3)

        def compute(x: Any, wq: Any, wk: Any, wv: Any, wo: Any) -> Any:
            (keys, values), answers = held, []
            for row in range(prefix, rows):
                token = x[row : row + 1]
                if cached:
                    keys = mx.concatenate([keys, token @ wk])
                    values = mx.concatenate([values, token @ wv])
                else:
                    keys, values = x[: row + 1] @ wk, x[: row + 1] @ wv
                mixed = attend(split(token @ wq), split(keys), split(values), scale=scale)
                answers.append(mixed.transpose(0, 2, 1, 3).reshape(1, model) @ wo)
            return mx.concatenate(answers)

        return _ready(job, compute, arrays)

    return build


def _source(name: str) -> str:
    return (Path(__file__).resolve().parent.parent / "kernels" / "metal" / f"{name}.metal").read_text("utf-8")


def _fused_gelu(job: Job) -> Ready:
    """Launch our own Metal kernel, one thread an element."""
    mx, (x,) = _library(), [job.backend.put(operand) for operand in job.inputs["operands"]]
    kernel = mx.fast.metal_kernel(
        name="flopwatch_gelu", input_names=["x", "n"], output_names=["y"], source=_source("gelu")
    )
    options = {
        "grid": (x.size, 1, 1),
        "threadgroup": (256, 1, 1),
        "output_shapes": [x.shape],
        "output_dtypes": [mx.float32],
    }
    size = mx.array(x.size, mx.uint32)
    return _ready(job, lambda x, n: kernel(inputs=[x, n], **options)[0], [x, size])


def _welford(job: Job) -> Ready:
    """Launch our own Metal kernel, one threadgroup of 256 threads a row."""
    mx, arrays = _library(), job.put("x", "gamma", "beta")
    x = arrays[0]
    kernel = mx.fast.metal_kernel(
        name="flopwatch_welford",
        input_names=["x", "gamma", "beta", "epsilon", "width"],
        output_names=["y"],
        source=_source("welford"),
    )
    options = {
        "grid": (x.size // x.shape[-1] * 256, 1, 1),
        "threadgroup": (256, 1, 1),
        "output_shapes": [x.shape],
        "output_dtypes": [mx.float32],
    }
    constants = [mx.array(job.inputs["epsilon"], mx.float32), mx.array(x.shape[-1], mx.uint32)]
    return _ready(job, lambda *inputs: kernel(inputs=list(inputs), **options)[0], [*arrays, *constants])


def _copy(job: Job) -> Ready:
    """Multiply by one into a new array: a copy that MLX does not leave out."""
    return _ready(job, lambda first: first * 1.0, job.put("first"))


def _is_moved_once(case: Case) -> bool:
    return bool(case.shape["kind"] == "copy" and case.shape["repeats"] == 1)


def _for_this_device(case: Case) -> bool:
    return _ON_METAL or for_processors(case)


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
    ("layernorm", "two-pass", _layernorm_two_pass),
    ("rmsnorm", "operator", _rmsnorm),
    ("attention", "operator", _attention),
    ("attention", "unfused-fresh", _attention_unfused),
    ("decode", "kv-cache", _decode(cached=True)),
    ("decode", "recompute", _decode(cached=False)),
)
#: what only Metal can run
_METAL_ROWS: tuple[tuple[str, str, Callable[[Job], Ready]], ...] = (
    ("gelu", "fused", _fused_gelu),
    ("layernorm", "welford", _welford),
)


def _operators() -> tuple[Variant, ...]:
    """Return the variants of the device that this machine has."""
    if not _ON_METAL:
        return tuple(
            Variant(kernel, name, "mlx", build, "fresh", applies=_for_this_device, profiles=STANDARD)
            for kernel, name, build in _ROWS
        )
    rows = (*_ROWS, *_METAL_ROWS)
    timed = [
        device_variants(kernel, name, "mlx", build, CHAIN_CONDITIONS, timed=timed_by_chains)
        for kernel, name, build in rows
    ]
    ceiling = device_variants(
        "ceiling",
        "regular",
        "mlx",
        _copy,
        CHAIN_CONDITIONS,
        applies=_is_moved_once,
        profiles=QUICK,
        timed=timed_by_chains,
    )
    return tuple(chain.from_iterable([*timed, ceiling]))


class MlxBackend(Backend):
    """MLX's own operators on its default device."""

    name = "mlx"
    first_call_differs = True
    title = "MLX"
    packages = ("mlx",)
    install = "pip install mlx" if sys.platform == "darwin" else "pip install mlx[cpu]"
    device = "metal" if _ON_METAL else "cpu"
    operators = _operators()

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("mlx", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Ask the BLAS below for the threads."""
        return {"OMP_NUM_THREADS": str(threads), "VECLIB_MAXIMUM_THREADS": str(threads)}

    def load(self, threads: int) -> None:
        """Import MLX; raise RuntimeError where Metal should be there and is not."""
        if _ON_METAL and not _library().metal.is_available():
            raise RuntimeError("MLX finds no Metal here: it needs macOS 14 or newer")

    def describe(self) -> dict[str, Any]:
        """Return version, device and the state of a Mac; away from Metal the numbers stand for nothing."""
        facts: dict[str, Any] = {"version": version("mlx"), "device": self.device, "threads": None}
        if self.device == "cpu":
            facts["representative"] = False
            facts["note"] = (
                "MLX on a processor is a check that it computes: its speed says nothing about Metal"
            )
        else:
            facts |= {"macos": platform.mac_ver()[0], "chip": _library().device_info(), **apple_state()}
        facts["omp_num_threads"] = os.environ.get("OMP_NUM_THREADS")
        return facts

    def device_state(self) -> dict[str, Any]:
        """Return power source, low-power mode and thermal pressure of a Mac, waiting a minute for the last."""
        return wait_until_cool() if self.device == "metal" else {}

    def put(self, array: Any) -> Any:
        """Copy a host array to the device."""
        return _library().array(array)

    def get(self, array: Any) -> Any:
        """Copy an array of the device to the host, as float32."""
        return np.array(array.astype(_library().float32))

    def synchronize(self) -> None:
        """Wait until the device has finished."""
        _library().synchronize()

    def release(self) -> None:
        """Give memory that is kept for later back to the device."""
        _library().clear_cache()

    def chain(self, call: Any) -> Callable[[int], Any]:
        """Return what evaluates so many dependent calls and waits for the last."""
        chained: Callable[[int], Any] = call.chain
        return chained
