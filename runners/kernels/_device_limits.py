"""Cases for the limits of a device: arithmetic for long enough to fill it, its tensor cores, and a launch.

Bandwidth is that of the cases which processors have too.
"""

from typing import Any

import numpy as np

from runners.arrays import normal
from runners.kernels._checking import UNIT, compare
from runners.kernels.matmul import HALF, check_product, product_inputs
from runners.profiles import QUICK, STANDARD
from runners.workload import Case, Check, Work

__all__ = ["DEVICE_CASES", "DEVICE_KINDS", "check_on_device", "inputs_on_device"]

#: many more threads than any device holds at once, so that the last of them do not leave it idle for long
_THREADS = 1 << 22
_CHAINS, _TURNS = 12, 800
#: as in the processor's chains: x ← x·factor + summand goes to summand / (1 - factor)
_FACTOR, _SUMMAND = float(np.float32(0.999)), float(np.float32(1e-4))
#: 8 chains of products of 16×16 by 16×8 in each warp; with these turns as many FLOP as a product of 8192
_TENSOR_CHAINS, _TENSOR_TURNS, _SIDE = 8, 256, 8192

DEVICE_KINDS = ("device-fma", "tensor", "launch")


def _case(
    name: str, shape: dict[str, Any], work: Work, unit: str, memory_bytes: int, profiles: frozenset[str]
) -> Case:
    return Case(f"ceiling/{name}", "ceiling", shape, work, unit, None, 0, memory_bytes, profiles)


_FMA = {
    "kind": "device-fma",
    "dtype": "float32",
    "threads": _THREADS,
    "turns": _TURNS,
    "factor": _FACTOR,
    "summand": _SUMMAND,
}


def _tensor(dtype: str) -> Case:
    shape = {"kind": "tensor", "dtype": dtype, "threads": _THREADS, "turns": _TENSOR_TURNS}
    size = {"stack": 1, "m": _SIDE, "n": _SIDE, "k": _SIDE}
    return _case(
        f"tensor-{dtype}", shape | size, Work(flop=2.0 * _SIDE**3), "GFLOP/s", 48 * 3 * _SIDE**2, STANDARD
    )


DEVICE_CASES = (
    _case("fma-device", _FMA, Work(flop=2.0 * _CHAINS * _TURNS * _THREADS), "GFLOP/s", 2**26, QUICK),
    *map(_tensor, HALF),
    _case("launch", {"kind": "launch", "dtype": "float32"}, Work(), "s", 2**20, STANDARD),
)


def inputs_on_device(case: Case, seed: int) -> dict[str, Any]:
    """Return what the chains start from, the operands of a product, or nothing."""
    if case.shape["kind"] == "tensor":
        return product_inputs(case, seed)
    return {"start": normal((1024,), seed)}


def check_on_device(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Chains must have gone to their common end, sums of tensor cores be exact; a launch has no answer.

    A chain that starts at x is after t turns at e + (x - e)·mᵗ with its end e, and the roundings of all turns move it
    by at most u·|x|/(1-m) at the largest |x|.
    """
    kind = case.shape["kind"]
    if kind == "launch":
        return Check(True, 0.0, 0.0, 0.0)
    if kind == "tensor":
        if np.ndim(result) == 2:
            return check_product(case, inputs, result)
        turns = case.shape["turns"]
        exact = np.full(len(result), 4 * _TENSOR_CHAINS * turns * 16 * 2.0**-12)
        return compare(result, exact, 0.0, exact)
    shape = case.shape
    end, turns = shape["summand"] / (1 - shape["factor"]), shape["turns"]
    start = inputs["start"].astype(np.float64)
    thread = np.arange(len(result)) % 256
    first = np.stack([start[(thread + chain) % 1024] for chain in range(_CHAINS)])
    exact = (end + (first - end) * shape["factor"] ** turns).sum(0)
    largest = float(np.abs(first).max())
    return compare(
        result, exact, (UNIT / (1 - shape["factor"]) + 16 * UNIT) * _CHAINS * max(largest, end), 1.0
    )
