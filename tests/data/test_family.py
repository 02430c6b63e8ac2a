"""Many comparisons at once."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.estimate import sign_test
from data.family import discoveries, simultaneous


def test_the_rule_on_the_example_of_its_paper():
    """Benjamini and Hochberg (1995, section 3.2): of fifteen comparisons four remain, where Bonferroni keeps three."""
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
        0.6528, 0.7590, 1.0,
    ]  # fmt: skip
    assert discoveries(p_values) == [True] * 4 + [False] * 11
    assert sum(p <= 0.05 / 15 for p in p_values) == 3


@given(st.lists(st.floats(0, 1), max_size=40), st.randoms())
def test_the_order_of_the_tests_does_not_matter(p_values, rng):
    """Each test keeps its answer wherever it stands, and a smaller probability never loses to a larger one."""
    order = list(range(len(p_values)))
    rng.shuffle(order)
    found, shuffled = discoveries(p_values), discoveries([p_values[i] for i in order])
    assert shuffled == [found[i] for i in order]
    kept = [p for p, remains in zip(p_values, found, strict=True) if remains]
    assert all(p > max(kept, default=-1) for p, remains in zip(p_values, found, strict=True) if not remains)


def test_of_identical_code_almost_nothing_remains():
    """A hundred comparisons with nothing to find: the share of families in which anything remains is small."""
    rng = random.Random(5)
    families = [
        discoveries([sign_test([rng.gauss(0, 1) for _ in range(20)]) for _ in range(100)]) for _ in range(60)
    ]
    assert sum(any(family) for family in families) <= 8


def test_the_sign_test_counts_sides():
    """Six of six on one side happen in one of 32 cases; even sides, zeros and nothing say nothing."""
    assert sign_test([1.0] * 6) == pytest.approx(1 / 32)
    assert sign_test([1.0, -1.0] * 4) == 1.0
    assert sign_test([0.0, 0.0]) == 1.0
    assert sign_test([0.0, *[-0.1] * 6]) == pytest.approx(1 / 32)
    assert sign_test([]) == 1.0


def test_intervals_that_hold_together():
    """Five comparisons at 95 % together take 99 % each."""
    assert simultaneous(0.95, 5) == pytest.approx(0.99)
    assert simultaneous(0.95, 0) == 0.95
