"""Functions of each element, in float32.

Work: n elements; bytes 4·(inputs + outputs)·n, each read or written once.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from runners.arrays import aligned, fresh_output, normal
from runners.kernels._checking import UNIT, compare, memoised, sample_blocks
from runners.kernels._elementwise import LOOPS, Loops, streams
from runners.profiles import FULL, QUICK, SMOKE, STANDARD
from runners.workload import Case, Check, Job, Kernel, Work

__all__ = ["KERNELS", "OPERATIONS", "Operation"]

#: a good float32 library is right to 2 or 3 units in the last place; 8 are allowed (one is 2·u)
_LIBRARY = 16 * UNIT


class Operation(NamedTuple):
    """What an operation computes, in float64, and how exactly it must be computed in float32.

    The error is relative to max(|reference|, ``floor``): below the floor the real function leaves what float32 can
    hold.  ``tolerance`` counts roundings: 0 for none, u for one operation that rounds correctly, 16·u for a function.
    """

    title: str
    exact: Callable[..., Any]
    inputs: int
    tolerance: float
    floor: float


def _exact_gelu(x: Any) -> Any:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _exact_sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


_NORMAL = 2.0**-126

#: gelu is judged against 1: in its far tail every float32 formula loses the digits of 1 + tanh; sigmoid overflows on
#: the way below 2⁻¹²⁷
OPERATIONS = {
    "relu": Operation("ReLU", lambda x: np.maximum(x, 0.0), 1, 0.0, _NORMAL),
    "exp": Operation("Exponential", np.exp, 1, _LIBRARY, _NORMAL),
    "sigmoid": Operation("Sigmoid", _exact_sigmoid, 1, _LIBRARY, 2.0**-100),
    "tanh": Operation("Hyperbolic tangent", np.tanh, 1, _LIBRARY, _NORMAL),
    "gelu": Operation("GELU (tanh form)", _exact_gelu, 1, _LIBRARY, 1.0),
    "square": Operation("Square", np.square, 1, UNIT, _NORMAL),
    "log": Operation("Logarithm of |x|", np.log, 1, _LIBRARY, _NORMAL),
    "add": Operation("Addition", np.add, 2, UNIT, _NORMAL),
    "mul": Operation("Multiplication", np.multiply, 2, UNIT, _NORMAL),
}

_FLAT = {"1M": (1_000_000,), "10M": (10_000_000,), "50M": (50_000_000,)}
_LAYER = {"32x512x768": (32, 512, 768)}
#: operations that are also measured on the output of a layer
_OF_A_LAYER = ("relu", "sigmoid", "gelu")
#: cases of the profiles below the one in which all others are
_SMALLER = {("relu", "1M"): SMOKE, ("relu", "10M"): QUICK, ("relu", "50M"): STANDARD}


def _case(kernel: str, name: str, shape: tuple[int, ...]) -> Case:
    elements = int(np.prod(shape))
    arrays = OPERATIONS[kernel].inputs + 1
    return Case(
        id=f"{kernel}/{name}",
        kernel=kernel,
        shape={"shape": list(shape), "dtype": "float32"},
        work=Work(elements=float(elements), bytes=4.0 * arrays * elements),
        unit="GElement/s",
        bound="bytes",
        footprint_bytes=4 * arrays * elements,
        memory_bytes=4 * (arrays + 2) * elements + 2**27,
        profiles=_SMALLER.get((kernel, name), FULL if name == "50M" else STANDARD),
    )


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    """Return ``operands`` from normal(0, 1); the logarithm's are the absolute values of such numbers."""
    shape = tuple(case.shape["shape"])
    operands = [normal(shape, seed + number) for number in range(OPERATIONS[case.kernel].inputs)]
    if case.kernel == "log":
        np.abs(operands[0], out=operands[0])
    return {"operands": operands, "seed": seed}


def _reference(case: Case, inputs: dict[str, Any]) -> tuple[Any, Any]:
    """Return the indices of the compared elements and the exact answers there."""
    operands = [operand.reshape(-1) for operand in inputs["operands"]]
    index = sample_blocks(operands[0].size, inputs["seed"])
    return index, OPERATIONS[case.kernel].exact(*(operand[index].astype(np.float64) for operand in operands))


def _check(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Compare a million elements in blocks with float64; every other element must have been written.

    Output arrays are full of NaN before the first call, so an element that is NaN was left out or is wrong.
    """
    operation = OPERATIONS[case.kernel]
    index, exact = memoised(inputs, "reference", lambda: _reference(case, inputs))
    result = np.asarray(result).reshape(-1)
    check = compare(result[index], exact, operation.tolerance, np.maximum(np.abs(exact), operation.floor))
    if check.ok and result.size > index.size and np.isnan(result.max()):
        message = "an element outside the compared blocks is NaN"
        return Check(False, math.inf, math.inf, operation.tolerance, message)
    return check


def _looping(loop: Callable[..., None], *extra: Any) -> Callable[[Job], Callable[[], Any]]:
    """Return a builder of calls of a loop on flat views, into a given or a new array."""

    def build(job: Job) -> Callable[[], Any]:
        operands = [operand.reshape(-1) for operand in job.inputs["operands"]]
        shape = job.inputs["operands"][0].shape
        rest = tuple({"threads": job.threads, "streaming": streams(operands[0])}[name] for name in extra)
        if job.condition == "fresh":

            def call_fresh() -> Any:
                output = aligned(shape)
                loop(*operands, output.reshape(-1), *rest)
                return output

            return call_fresh
        output = fresh_output(shape)
        arguments = (*operands, output.reshape(-1), *rest)

        def call() -> Any:
            loop(*arguments)
            return output

        return call

    return build


def _add_loops(kernel: Kernel, loops: Loops) -> None:
    """Register scalar and vector loops, on one thread and on all, into given and new arrays."""
    plain = ("no-vectorise",)
    vector = _looping(loops.vector, "threads", "streaming")
    for condition in ("given", "fresh"):
        options: dict[str, Any] = {
            "condition": condition,
            "profiles": STANDARD if condition == "fresh" else None,
        }
        # They need processes of their own, which the quick profile has no time for.
        slow = options | {"flags": plain, "profiles": STANDARD}
        kernel.variant("scalar", "numba", threads="one", **slow)(_looping(loops.scalar))
        kernel.variant("parallel", "numba", threads="many", **slow)(_looping(loops.parallel))
        kernel.variant("simd", "numba", threads="one", **options)(vector)
        kernel.variant("parallel-simd", "numba", threads="many", **options)(vector)
        if kernel.name == "gelu":
            kernel.variant("fused", "numba", **options)(vector)


def _kernel(name: str) -> Kernel:
    sizes = {**_FLAT, **_LAYER} if name in _OF_A_LAYER else _FLAT
    cases = tuple(_case(name, size, shape) for size, shape in sizes.items())
    kernel = Kernel(name, OPERATIONS[name].title, cases, _inputs, _check)
    _add_loops(kernel, LOOPS[name])
    return kernel


KERNELS = tuple(_kernel(name) for name in OPERATIONS)
