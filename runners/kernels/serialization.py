"""Saving and loading the weights of two models, in float32.

Work: bytes of tensor data, whatever the file's size.  The file's size, the memory taken and the share of the file that
the page cache held are attributes of the measurement.
"""

from typing import Any

import numpy as np

from runners.arrays import aligned
from runners.profiles import FULL, QUICK, STANDARD
from runners.workload import Case, Check, Kernel, Work

__all__ = ["KERNELS", "model_shapes", "model_tensors"]

#: vocabulary, width and layers of the models
_MODELS = {"small": (5_000, 768, 6), "medium": (10_000, 1_024, 12)}
_POSITIONS = 512
_DEVIATION, _CONSTANT = 0.02, 0.01


def model_shapes(vocabulary: int, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each tensor of a GPT-like model without biases."""
    shapes: dict[str, tuple[int, ...]] = {
        "token_embedding": (vocabulary, width),
        "position_embedding": (_POSITIONS, width),
    }
    for layer in range(layers):
        rows = dict.fromkeys(("q", "k", "v", "o"), (width, width))
        rows |= {"fc1": (width, 4 * width), "fc2": (4 * width, width)}
        norms = {f"norm{number}.{name}": (width,) for number in (1, 2) for name in ("gamma", "beta")}
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in {**rows, **norms}.items()}
    return shapes | {"output": (width, vocabulary)}


def _parameters(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def model_tensors(shapes: dict[str, tuple[int, ...]], fill: str, seed: int) -> dict[str, Any]:
    """Fill the tensors from normal(0, 0.02) or with 0.01; γ is 1 and β is 0.  Each begins at a multiple of 64 bytes."""
    random = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes.items():
        tensor = aligned(shape)
        if name.endswith((".gamma", ".beta")):
            tensor.fill(1 if name.endswith(".gamma") else 0)
        elif fill == "constant":
            tensor.fill(_CONSTANT)
        else:
            random.standard_normal(out=tensor, dtype=np.float32)
            tensor *= np.float32(_DEVIATION)
        tensors[name] = tensor
    return tensors


def _wanted(layers: int) -> str:
    """Name the tensor that a lazy load asks for: the middle layer's first projection of the feed-forward part."""
    return f"layers.{layers // 2}.fc1"


def _case(kernel: str, model: str, fill: str, bound: str | None, profiles: frozenset[str]) -> Case:
    vocabulary, width, layers = _MODELS[model]
    shapes = model_shapes(vocabulary, width, layers)
    model_bytes = 4 * _parameters(shapes)
    size = 4 * int(np.prod(shapes[_wanted(layers)])) if kernel == "lazy-load" else model_bytes
    return Case(
        id=f"{kernel}/{model}-{fill}",
        kernel=kernel,
        shape={"model": model, "vocabulary": vocabulary, "width": width, "layers": layers, "fill": fill},
        work=Work(bytes=float(size)),
        unit="GB/s",
        bound=bound,
        footprint_bytes=size,
        # the model, what is loaded, and a mapped file of indented JSON with 22 bytes a number
        memory_bytes=9 * model_bytes + 2**29,
        profiles=profiles,
    )


def _cases(kernel: str, bound: str | None, smallest: frozenset[str]) -> tuple[Case, ...]:
    return (
        _case(kernel, "small", "normal", bound, smallest),
        _case(kernel, "small", "constant", bound, STANDARD),
        _case(kernel, "medium", "normal", bound, FULL),
        _case(kernel, "medium", "constant", bound, FULL),
    )


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    shape = case.shape
    shapes = model_shapes(shape["vocabulary"], shape["width"], shape["layers"])
    return {"tensors": model_tensors(shapes, shape["fill"], seed), "wanted": _wanted(shape["layers"])}


def _check_all(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Every value must be equal, bit for bit; a tensor that is None is there, but its values were not compared."""
    return _equal(inputs["tensors"], result)


def _check_wanted(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """The one tensor must be equal, bit for bit."""
    wanted = inputs["wanted"]
    return _equal({wanted: inputs["tensors"][wanted]}, result)


def _equal(expected: dict[str, Any], found: dict[str, Any]) -> Check:
    if set(expected) != set(found):
        missing = sorted(set(expected) ^ set(found))
        return Check(False, np.inf, np.inf, 0.0, f"tensors missing or unknown: {', '.join(missing[:3])}")
    compared = 0
    for name, tensor in expected.items():
        other = found[name]
        if other is None:
            continue
        if other.dtype != np.float32 or other.shape != tensor.shape:
            message = f"{name} came back as {other.dtype} {other.shape}, it was float32 {tensor.shape}"
            return Check(False, np.inf, np.inf, 0.0, message)
        if not np.array_equal(other, tensor):
            difference = np.abs(other.astype(np.float64) - tensor)
            worst = float(np.where(np.isnan(difference), np.inf, difference).max())
            return Check(False, worst, worst / float(np.abs(tensor).max()), 0.0, f"{name} came back changed")
        compared += 1
    partly = "" if compared == len(expected) else f"compared {compared} of {len(expected)} tensors"
    return Check(True, 0.0, 0.0, 0.0, partly)


KERNELS = (
    Kernel("save", "Save a model", _cases("save", "write", QUICK), _inputs, _check_all),
    Kernel("load", "Load a model", _cases("load", "read", QUICK), _inputs, _check_all),
    Kernel(
        "lazy-load", "Load one tensor of a model", _cases("lazy-load", None, STANDARD), _inputs, _check_wanted
    ),
)
