"""The elementary functions of vectors: exactness over their whole range, and the numbers that are not ordinary."""

import math
from typing import Any

import numpy as np
import pytest

from tests.runners.kernels.conftest import loops

UNIT = 2.0**-24

#: operation, interval, bound of the relative error in units of u
RANGES = [
    ("exp", (-87.0, 88.7), 3.0),
    ("sigmoid", (-80.0, 90.0), 4.0),
    ("tanh", (-12.0, 12.0), 6.0),
    ("log", (1e-37, 1e37), 3.0),
    ("log", (0.5, 2.0), 4.0),
]


def _apply(operation: str, x: Any) -> Any:
    y = np.full_like(x, np.nan)
    loops("_elementwise").LOOPS[operation].vector(x, y, 2, False)
    return y


def _exact(operation: str, x: Any) -> Any:
    with np.errstate(all="ignore"):
        return loops("elementwise").OPERATIONS[operation].exact(x.astype(np.float64))


@pytest.mark.parametrize(("operation", "interval", "bound"), RANGES)
def test_functions_are_right_to_a_few_units_in_the_last_place(
    operation: str, interval: tuple[float, float], bound: float
) -> None:
    """Over a dense sweep of the interval the relative error stays below the stated multiple of u = 2⁻²⁴."""
    low, high = interval
    sweep = np.geomspace(low, high, 300_001) if low > 0 and high > 2 else np.linspace(low, high, 300_001)
    x = sweep.astype(np.float32)
    exact = _exact(operation, x)
    error = np.abs(_apply(operation, x) - exact)
    scale = np.maximum(np.abs(exact), 2.0**-126)
    assert float((error / scale).max()) <= bound * UNIT


def test_gelu_is_right_relative_to_one() -> None:
    """GELU errs by at most 4·u relative to max(1, |gelu(x)|) between -20 and 20."""
    x = np.linspace(-20, 20, 300_001).astype(np.float32)
    exact = _exact("gelu", x)
    assert float((np.abs(_apply("gelu", x) - exact) / np.maximum(1, np.abs(exact))).max()) <= 4 * UNIT


SPECIAL = np.array(
    [
        *(math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-40, -1e-40, 1.2e-38, 3.4e38, -3.4e38),
        *(88.72, 88.73, 89.5, 104.0, -87.4, -95.0, -103.2, -104.5, 1.0, -1.0, 0.70710678, 8.0, -8.0),
    ],
    np.float32,
)


@pytest.mark.parametrize("operation", ["relu", "exp", "tanh", "square", "log", "sigmoid"])
@pytest.mark.parametrize("size", [1, len(SPECIAL), 200])
def test_numbers_that_are_not_ordinary(operation: str, size: int) -> None:
    """NaN stays NaN; infinities, zeros, overflow and denormal numbers give what the real function gives."""
    x = np.resize(SPECIAL, size)
    result = _apply(operation, x)
    with np.errstate(all="ignore"):
        expected = _exact(operation, x).astype(np.float32)
    assert np.array_equal(np.isnan(result), np.isnan(expected))
    infinite = np.isinf(expected)
    assert np.array_equal(result[infinite], expected[infinite])
    finite = np.isfinite(expected)
    # sigmoid overflows on the way below 2⁻¹²⁷; the others are right down to the smallest denormal number
    floor = 2.0**-100 if operation == "sigmoid" else 2.0**-126
    scale = np.maximum(np.abs(expected[finite]), floor)
    assert (
        float((np.abs(result[finite] - expected[finite].astype(np.float64)) / scale).max(initial=0))
        <= 6 * UNIT
    )


@pytest.mark.parametrize("operation", ["add", "mul"])
def test_sums_and_products_round_once(operation: str) -> None:
    """Addition and multiplication are the correctly rounded ones, also for denormal, infinite and NaN operands."""
    x = np.resize(SPECIAL, 300)
    z = np.roll(x, 7)
    y = np.zeros_like(x)
    loops("_elementwise").LOOPS[operation].vector(x, z, y, 2, False)
    with np.errstate(all="ignore"):
        expected = x + z if operation == "add" else x * z
    assert np.array_equal(y, expected, equal_nan=True)


@pytest.mark.parametrize("operation", ["relu", "exp", "sigmoid", "tanh", "gelu", "square", "log"])
def test_scalar_loops_agree_with_vectors(operation: str) -> None:
    """The scalar, the parallel scalar and the vector loop compute the same function."""
    x = np.abs(np.random.default_rng(3).standard_normal(1001, dtype=np.float32)) + np.float32(0.01)
    expected = _exact(operation, x)
    for loop in loops("_elementwise").LOOPS[operation][:2]:
        y = np.zeros_like(x)
        loop(x, y)
        assert float((np.abs(y - expected) / np.abs(expected)).max()) <= 16 * UNIT


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 255, 256, 257, 4096 + 5])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("streaming", [False, True])
def test_every_element_is_written_once(size: int, threads: int, streaming: bool) -> None:
    """Whatever the size, the threads and the kind of store, the output is complete and nothing beyond it is touched."""
    arrays = loops("elementwise")
    padded = arrays.fresh_output((size + 64,))
    x = np.random.default_rng(size).standard_normal(size, dtype=np.float32)
    loops("_elementwise").LOOPS["square"].vector(x, padded[:size], threads, streaming)
    assert np.array_equal(padded[:size], x * x)
    assert np.isnan(padded[size:]).all()


@pytest.mark.parametrize("name", ["two-pass", "welford", "two-pass-naive", "welford-naive"])
def test_layernorm_keeps_a_nan_in_its_row(name: str) -> None:
    """A NaN or an infinity makes its own row NaN and leaves the others right; a constant row gives β."""
    kernel = loops("layernorm")
    case = kernel.KERNELS[0].cases[0]
    x = np.random.default_rng(0).standard_normal((4, 128), dtype=np.float32)
    x[0, 5], x[1, 7], x[2] = np.nan, np.inf, 3.0
    variant = next(v for v in kernel.KERNELS[0].variants if v.name == name)
    ones, zeros = np.ones(128, np.float32), np.zeros(128, np.float32)
    inputs = {"x": x, "gamma": ones, "beta": zeros, "epsilon": np.float32(1e-5)}
    job = kernel.Job(case, None, 1, 1, inputs, None, "given")
    y = variant.build(job)()
    assert np.isnan(y[0]).all()
    assert np.isnan(y[1]).all()
    assert np.array_equal(y[2], zeros)
    row = x[3].astype(np.float64)
    assert np.allclose(y[3], (row - row.mean()) / np.sqrt(row.var() + 1e-5), atol=1e-6)


def test_layernorm_of_a_row_far_from_zero() -> None:
    """Welford and two passes keep the variance of a row whose mean is a thousand times its deviation."""
    module = loops("_layernorm")
    x = (np.random.default_rng(1).standard_normal(256) + 1000).astype(np.float32)
    exact = x.astype(np.float64).var()
    for mean, variance in (
        module.two_pass(x, 0, 256),
        module.welford(x, 0, 256, module.reciprocals(256)),
    ):
        assert abs(mean - x.astype(np.float64).mean()) < 1e-3
        assert abs(variance / exact - 1) < 1e-3


def test_softmax_of_large_and_missing_scores() -> None:
    """Scores of any size give weights that sum to one; -∞ gives zero; NaN makes its own row NaN."""
    x = np.random.default_rng(2).standard_normal((3, 64)).astype(np.float32) * np.float32(1e4)
    x[1, 3:] = -np.inf
    x[2, 9] = np.nan
    y = np.empty_like(x)
    loops("_softmax").softmax_rows(x.reshape(-1), y.reshape(-1), 3, 2)
    assert y[0].argmax() == x[0].argmax()
    assert abs(float(y[0].sum()) - 1) < 1e-6
    assert float(y[1, 3:].max()) < 1e-37
    assert np.isnan(y[2]).any()


def test_a_nan_in_a_matrix_reaches_its_row_and_column_only() -> None:
    """The blocked product spreads a NaN of A over its row of C and an infinity of B over its column."""
    gemm = loops("_gemm")
    random = np.random.default_rng(4)
    a, b = (random.standard_normal((1, 40, 40), dtype=np.float32) for _ in range(2))
    a[0, 3, 5], b[0, 7, 11] = np.nan, np.inf
    c = np.zeros((1, 40, 40), np.float32)
    gemm.blocked(a, b, c, gemm.workspace(2), 1, 2)
    assert np.isnan(c[0, 3]).all()
    assert not np.isfinite(c[0, :, 11]).any()
    ordinary = np.ones((40, 40), bool)
    ordinary[3], ordinary[:, 11] = False, False
    assert np.isfinite(c[0][ordinary]).all()


def test_a_nan_query_spoils_its_own_answer_only() -> None:
    """Fused attention keeps a NaN of one query in that query's row."""
    module = loops("_attention")
    random = np.random.default_rng(5)
    q, k, v = (random.standard_normal((2, 40, 64), dtype=np.float32) for _ in range(3))
    q[1, 7, 3] = np.nan
    out = np.zeros_like(q)
    flat = [array.reshape(-1) for array in (q, k, v, out)]
    module.attend(*flat, 64, *module.workspace(2, 40, 64, 2), True)
    assert np.isnan(out[1, 7]).all()
    out[1, 7] = 0
    assert np.isfinite(out).all()
