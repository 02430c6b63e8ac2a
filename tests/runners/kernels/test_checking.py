"""What counts as a right answer."""

import math

import numpy as np
import pytest

from runners.kernels._checking import UNIT, compare, probabilistic_gamma, sample_blocks


def test_gamma_grows_with_the_root_of_the_roundings() -> None:
    """γ̃ is six times √n·u for few roundings, and below the deterministic n·u for many."""
    assert probabilistic_gamma(100) == pytest.approx(60 * UNIT, rel=1e-4)
    assert probabilistic_gamma(10_000) < 10_000 * UNIT
    assert probabilistic_gamma(400) / probabilistic_gamma(100) == pytest.approx(2, rel=1e-3)


def test_gamma_holds_for_sums_in_float32() -> None:
    """No naive float32 dot product of 1024 terms, of ten thousand, errs by more than γ̃ times the sum of sizes."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((1024, 10_000), dtype=np.float32) for _ in range(2))
    total = np.zeros(10_000, np.float32)
    for x, y in zip(a, b, strict=True):
        total += x * y
    products = a.astype(np.float64) * b
    error = np.abs(total - products.sum(0)) / np.abs(products).sum(0)
    assert float(error.max()) < probabilistic_gamma(2 * 1024)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_passes_where_the_reference_is(bad: float) -> None:
    """A NaN or an infinity in the answer fails whatever the tolerance."""
    result = np.array([1, bad, 3], np.float32)
    outcome = compare(result, np.array([1.0, 2.0, 3.0]), 1e30, 1.0)
    assert not outcome.ok
    assert outcome.max_absolute == math.inf


def test_what_is_not_finite_must_be_the_same_where_the_reference_is_not() -> None:
    """NaN agrees with NaN, an infinity with the same infinity, and with nothing else."""
    exact = np.array([math.nan, math.inf, -math.inf])
    assert compare(exact.astype(np.float32), exact, 0.0, 1.0).ok
    for wrong in ([1, math.inf, -math.inf], [math.nan, -math.inf, -math.inf], [math.nan, math.inf, 3e38]):
        assert not compare(np.array(wrong, np.float32), exact, 1e30, 1.0).ok


def test_errors_are_measured_as_they_are_named() -> None:
    """The absolute error is in the answer's own unit, the relative one in that of the scale."""
    outcome = compare(np.array([1.5, 100], np.float32), np.array([1.0, 100.0]), 0.1, np.array([10.0, 1.0]))
    assert (outcome.max_absolute, outcome.max_relative, outcome.tolerance, outcome.ok) == (
        0.5,
        0.05,
        0.1,
        True,
    )


@pytest.mark.parametrize("size", [1, 4096 * 256, 4096 * 256 + 1, 3_000_000])
def test_sampled_elements_are_in_range_and_hold_both_ends(size: int) -> None:
    """The sample of a small array is all of it; of a large one it has the head, the tail and a million between."""
    index = sample_blocks(size, 7)
    assert index.min() == 0
    assert index.max() == size - 1
    assert index.size == min(size, 4096 * 256)
