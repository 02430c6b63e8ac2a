"""Shapes of noise: what is drawn with a shape is fitted with that shape again."""

import numpy as np
import pytest

from tests.benchmarks.noise_shapes import FITTED, Shape, draw, fit


@pytest.mark.parametrize("name", FITTED)
def test_what_is_drawn_is_fitted_again(name):
    """Size, tails, memory and modes of a long series come out as they went in."""
    shape = FITTED[name]
    found = fit(np.exp(shape.size * draw(shape, np.random.default_rng(1), 4000)))
    assert found.size == pytest.approx(shape.size, rel=0.15)
    assert abs(np.log(min(found.freedom, 20) / min(shape.freedom, 20))) < 0.5
    if shape.gap == 0:
        assert found.memory == pytest.approx(shape.memory, abs=0.12)
    assert (found.gap > 0) == (shape.gap > 0)


def test_modes_are_told_from_tails():
    """A third of the points in a second mode is a mode; heavy tails are none."""
    rng = np.random.default_rng(2)
    two = fit(np.exp(0.01 * draw(Shape(0.01, 1000.0, 0.0, 0.3, 5.0), rng, 300)))
    assert two.share == pytest.approx(0.3, abs=0.08)
    assert two.gap == pytest.approx(5.0, abs=0.6)
    assert fit(np.exp(0.01 * draw(Shape(0.01, 2.0, 0.0), rng, 300))).gap == 0
