"""Matrix products: square ones, a batch, and the scores of attention, in float32; large ones in 16 bits as well.

FLOP: 2·m·n·k for each product of [m, k] and [k, n] (a multiplication and an addition for each k).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import fresh_output, normal, rounded
from runners.kernels import _gemm
from runners.kernels._checking import compare, memoised, probabilistic_gamma
from runners.profiles import FULL, QUICK, SMOKE, STANDARD, for_processors
from runners.workload import Case, Check, Job, Kernel, Work

__all__ = ["HALF", "KERNELS", "check_product", "product_inputs"]

#: rows of each answer that are compared in float64; the rest is checked through random projections
_ROWS_COMPARED = 64


def _case(
    name: str, kernel: str, size: tuple[int, int, int, int], profiles: frozenset[str], dtype: str = "float32"
) -> Case:
    stack, m, n, k = size
    elements = stack * (m * k + k * n + m * n)
    return Case(
        id=name,
        kernel=kernel,
        shape={"stack": stack, "m": m, "n": n, "k": k, "dtype": dtype},
        work=Work(flop=2.0 * stack * m * n * k),
        unit="GFLOP/s",
        bound="flop" if dtype == "float32" else f"flop-{dtype}",
        footprint_bytes=elements * (4 if dtype == "float32" else 2),
        memory_bytes=48 * elements + 2**24,
        profiles=profiles,
    )


#: 4096 and more are for accelerators
_SQUARE = {128: SMOKE, 256: STANDARD, 512: QUICK, 1024: QUICK, 2048: STANDARD, 4096: FULL, 8192: FULL}
#: types of 16 bits, summed in float32, and the largest relative error of rounding to them
HALF = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def product_inputs(case: Case, seed: int) -> dict[str, Any]:
    """Return a [m, k] and b [k, n], with a leading axis where there are several, from normal(0, 1).

    They are float32 arrays; those of a case of 16 bits hold numbers that its type has.
    """
    shape = case.shape
    stack = (shape["stack"],) if shape["stack"] > 1 else ()
    return {
        "a": rounded(normal((*stack, shape["m"], shape["k"]), seed), shape["dtype"]),
        "b": rounded(normal((*stack, shape["k"], shape["n"]), seed + 1), shape["dtype"]),
        "seed": seed,
    }


def _reference(inputs: dict[str, Any]) -> dict[str, Any]:
    """Compute some rows in float64, the scale of rounding, and the projection of the answer on a random vector."""
    a, b = inputs["a"], inputs["b"]
    random = np.random.default_rng(inputs["seed"] + 2)
    rows = np.sort(random.permutation(a.shape[-2])[:_ROWS_COMPARED])
    sampled, wide = a[..., rows, :].astype(np.float64), b.astype(np.float64)
    vector = random.choice([-1.0, 1.0], (b.shape[-1], 1))
    return {
        "rows": rows,
        "exact": sampled @ wide,
        "magnitude": float((np.abs(sampled) @ np.abs(wide)).max()),
        "vector": vector,
        "projection": a.astype(np.float64) @ (wide @ vector),
    }


def check_product(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Compare rows in float64 and every element through a projection.

    The relative error is max|C - AB| / max|AB|.  A dot product of k terms makes k roundings with an error of at most
    γ̃_k·(|A||B|)_ij, so the tolerance is γ̃_k·max(|A||B|) / max|AB| (the same for every order of summation).  The
    projection C·v of the whole answer on a vector of signs sums n such errors; with random signs they grow as √n:
    it may differ by the tolerance times √n·6 (Freivalds' check: a wrong element anywhere shows).

    In 16 bits the products are exact in float32 and summed there; the answer is rounded once more, to its type.
    """
    reference = memoised(inputs, "reference", lambda: _reference(inputs))
    exact, largest = reference["exact"], float(np.abs(reference["exact"]).max())
    tolerance = probabilistic_gamma(case.shape["k"]) * reference["magnitude"] / largest
    tolerance += HALF.get(case.shape["dtype"], 0.0)
    result = np.asarray(result)
    check = compare(result[..., reference["rows"], :], exact, tolerance, largest)
    projected = result.astype(np.float64) @ reference["vector"] - reference["projection"]
    farthest = float(np.abs(projected).max())
    if check.ok and not farthest <= 6 * np.sqrt(case.shape["n"]) * tolerance * largest:
        message = f"the compared rows agree, but the projection of another row is off by {farthest:.3g}"
        return Check(False, check.max_absolute, check.max_relative, tolerance, message)
    return check


def _stacked(job: Job) -> tuple[Any, Any, Any]:
    """Return a, b and an output as stacks [s, rows, columns]."""
    a, b = job.inputs["a"], job.inputs["b"]
    c = fresh_output((*a.shape[:-1], b.shape[-1]))
    return tuple(array.reshape(-1, *array.shape[-2:]) for array in (a, b, c))


def _shaped(job: Job, c: Any) -> Any:
    return c.reshape(*job.inputs["a"].shape[:-1], c.shape[-1])


def _naive(job: Job) -> Callable[[], Any]:
    a, b, c = _stacked(job)
    answer = _shaped(job, c)

    def call() -> Any:
        _gemm.naive(a, b, c)
        return answer

    return call


def _naive_parallel(job: Job) -> Callable[[], Any]:
    a, b, c = _stacked(job)
    answer = _shaped(job, c)

    def call() -> Any:
        _gemm.naive_parallel(a, b, c)
        return answer

    return call


def _blocked(job: Job) -> Callable[[], Any]:
    a, b, c = _stacked(job)
    answer, space = _shaped(job, c), _gemm.workspace(job.threads)
    down, across = (1, 1) if len(a) >= job.threads else _gemm.grid(job.threads)

    def call() -> Any:
        _gemm.blocked(a, b, c, space, down, across)
        return answer

    return call


def _kernel(name: str, title: str, cases: tuple[Case, ...]) -> Kernel:
    kernel = Kernel(name, title, cases, product_inputs, check_product)
    kernel.variant("naive", "numba", threads="one", applies=for_processors)(_naive)
    kernel.variant("naive-parallel", "numba", threads="many", applies=for_processors)(_naive_parallel)
    kernel.variant("blocked", "numba", applies=for_processors)(_blocked)
    return kernel


KERNELS = (
    _kernel(
        "matmul",
        "Matrix product",
        (
            *(_case(f"matmul/{n}", "matmul", (1, n, n, n), profiles) for n, profiles in _SQUARE.items()),
            *(
                _case(f"matmul/{n}-{dtype}", "matmul", (1, n, n, n), FULL, dtype)
                for n in (4096, 8192)
                for dtype in HALF
            ),
            _case("matmul/batched-32x256", "matmul", (32, 256, 256, 256), QUICK),
        ),
    ),
    _kernel(
        "attention-scores",
        "Attention scores Q·Kᵀ",
        (_case("attention-scores/8x512x64", "attention-scores", (8, 512, 512, 64), QUICK),),
    ),
)
