"""The vector type, operation by operation, against NumPy."""

import importlib
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def lanes() -> int:
    """Return the lanes of a vector on this machine."""
    return int(importlib.import_module("runners.simd").LANES)


def _run(body: str, *arrays: Any) -> Any:
    """Compile ``body`` with vectors x and z loaded from arrays, and return what it stores."""
    from numba import njit

    simd = importlib.import_module("runners.simd")
    names = ", ".join("xzw"[: len(arrays)])
    loads = "".join(f"\n    {name} = simd.load({name}_, 0)" for name in "xzw"[: len(arrays)])
    source = f"def loop({', '.join(f'{n}_' for n in names.split(', '))}, y):{loads}\n    {body}\n"
    space: dict[str, Any] = {"simd": simd, "np": np}
    exec(source, space)
    y = np.zeros(simd.LANES, np.float32)
    returned = njit(space["loop"])(*arrays, y)
    return y if returned is None else returned


@pytest.fixture(scope="module")
def numbers(lanes: int) -> Any:
    """Return two vectors' worth of numbers, some equal, one NaN in the second."""
    random = np.random.default_rng(0)
    x, z = random.standard_normal((2, lanes)).astype(np.float32)
    z[2], z[5] = x[2], np.nan
    return x, z


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("simd.store(y, 0, x + z)", lambda x, z: x + z),
        ("simd.store(y, 0, x - z)", lambda x, z: x - z),
        ("simd.store(y, 0, x * z)", lambda x, z: x * z),
        ("simd.store(y, 0, x / z)", lambda x, z: x / z),
        ("simd.store(y, 0, simd.largest(x, z))", lambda x, z: np.where(x > z, x, z)),
        ("simd.store(y, 0, simd.smallest(x, z))", lambda x, z: np.where(x < z, x, z)),
        ("simd.store(y, 0, simd.select_less(x, z, z, x))", lambda x, z: np.where(x < z, z, x)),
        ("simd.store(y, 0, simd.fma(x, z, x))", lambda x, z: (x.astype(float) * z + x).astype(np.float32)),
        ("simd.store(y, 0, simd.splat_at(x_, 3))", lambda x, z: np.full_like(x, x[3])),
        ("simd.store(y, 0, simd.splat(np.float32(0.1)))", lambda x, z: np.full_like(x, 0.1)),
    ],
)
def test_operations_on_lanes(body: str, expected: Any, numbers: Any) -> None:
    """Each lane gets what NumPy computes; a NaN in the second operand of largest and smallest goes through."""
    x, z = numbers
    assert np.array_equal(_run(body, x, z), expected(x, z), equal_nan=True)


def test_total_and_highest_fold_all_lanes(lanes: int) -> None:
    """The sum and the largest of small integers are exact."""
    x = np.arange(lanes, dtype=np.float32)[::-1].copy()
    assert _run("return simd.total(x)", x) == lanes * (lanes - 1) / 2
    assert _run("return simd.highest(x)", x) == lanes - 1


def test_exponents_and_mantissas(lanes: int) -> None:
    """A positive normal number is m · 2ᵉ with m in [0.5, 1); adding to the exponent scales."""
    x = np.geomspace(2.0**-126, 3e38, lanes).astype(np.float32)
    mantissa, exponent = np.frexp(x)
    assert np.array_equal(_run("simd.store(y, 0, simd.mantissa_of(x))", x), mantissa)
    assert np.array_equal(_run("simd.store(y, 0, simd.exponent_of(x))", x), exponent)
    steps = np.arange(lanes, dtype=np.float32) - 4
    ones = np.full(lanes, 1.5, np.float32)
    shifted = _run("simd.store(y, 0, simd.add_exponent(x, z))", ones, steps + np.float32(1.5 * 2**23))
    assert np.array_equal(shifted, 1.5 * 2.0**steps)


def test_stores_touch_their_lanes_only(lanes: int) -> None:
    """Storing at an offset, regular or streaming, leaves all else as it was."""
    from numba import njit

    simd = importlib.import_module("runners.simd")
    aligned = importlib.import_module("runners.arrays").aligned

    def both(y: Any, at: int) -> None:
        simd.store(y, at + 1, simd.splat(np.float32(1)))
        simd.stream(y, 3 * at, simd.splat(np.float32(2)))
        simd.fence()

    y = aligned((5 * lanes,))
    y.fill(0)
    njit(both)(y, lanes)
    expected = np.zeros(5 * lanes, np.float32)
    expected[lanes + 1 : 2 * lanes + 1], expected[3 * lanes : 4 * lanes] = 1, 2
    assert np.array_equal(y, expected)
