"""What CUDA's libraries compute: products by cuBLAS, elements by CuPy's operators; and files read to the device."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from runners.backends.backend_numpy import NumpyBackend
from runners.backends.backend_orjson import OrjsonBackend
from runners.backends.backend_pickle import PickleBackend
from runners.backends.backend_safetensors import SafetensorsBackend
from runners.backends.on_device import device_variants
from runners.profiles import SMOKE, STANDARD
from runners.workload import Case, Job, Ready, Variant

__all__ = ["OPERATORS"]


def _product(job: Job) -> Ready:
    """Multiply in the type of the case, into a given array."""
    backend: Any = job.backend
    dtype = job.case.shape["dtype"]
    a, b = (backend.put_as(job.inputs[name], dtype) for name in ("a", "b"))
    c = backend.output((*a.shape[:-1], b.shape[-1]), dtype)
    return Ready(backend.multiplication(a, b, c, dtype), backend.get)


def _elementwise(name: str, *constants: Any) -> Callable[[Job], Ready]:
    """Return a builder of calls of one of CuPy's universal functions, into a given array."""

    def build(job: Job) -> Ready:
        backend: Any = job.backend
        function = getattr(backend.library, name)
        operands = [*map(backend.put, job.inputs["operands"]), *constants]
        output = backend.output(operands[0].shape)
        return Ready(lambda: function(*operands, output), backend.get)

    return build


def _is_tensor(case: Case) -> bool:
    return bool(case.shape["kind"] == "tensor")


_ROWS: tuple[tuple[str, str, Callable[[Job], Ready], dict[str, Any]], ...] = (
    ("matmul", "blas", _product, {}),
    ("attention-scores", "blas", _product, {}),
    ("ceiling", "blas", _product, {"applies": _is_tensor, "conditions": ("hot",), "profiles": SMOKE}),
    ("relu", "operator", _elementwise("maximum", np.float32(0)), {}),
    *((name, "operator", _elementwise(name), {}) for name in ("exp", "tanh", "square", "log", "add")),
    ("mul", "operator", _elementwise("multiply"), {}),
)


# -- files straight to the device: the host reads, the device gets every tensor -----------------------------------

_FORMATS = ("safetensors", "safetensors-mmap", "json-compact", "pickle")
_HOSTS = (SafetensorsBackend, NumpyBackend, OrjsonBackend, PickleBackend)


def _to_device(build: Callable[[Job], Any]) -> Callable[[Job], Ready]:
    """Let loading end on the device: each tensor is copied there, and the last is waited for."""

    def building(job: Job) -> Ready:
        ready = build(job)
        backend: Any = job.backend
        read = ready.call

        def result(held: dict[str, Any]) -> dict[str, Any]:
            return {name: backend.get(tensor) for name, tensor in held.items()}

        ended: Ready = replace(ready, call=lambda: backend.load_to_device(read()), result=result)
        return ended

    return building


_FILES = tuple(
    replace(variant, backend="cupy", build=_to_device(variant.build), bound="none", profiles=STANDARD)
    for host in _HOSTS
    for variant in host.operators
    if variant.kernel == "load" and variant.name in _FORMATS
)

OPERATORS: tuple[Variant, ...] = (
    *(
        variant
        for kernel, name, build, options in _ROWS
        for variant in device_variants(kernel, name, "cupy", build, **options)
    ),
    *_FILES,
)
