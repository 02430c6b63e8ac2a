"""Text from numbers: units, digits, and what odd values become."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app import texts

ODD = [None, "fast", float("nan"), float("inf"), True, [], {}]


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_become_a_dash(odd: Any) -> None:
    """A value that is no finite number reads as a dash, and never raises."""
    assert texts.time(odd, odd, odd) == texts.ABSENT
    assert texts.interval(odd, odd, odd) == texts.ABSENT
    assert texts.rate(odd, odd, odd, odd) == texts.ABSENT
    assert texts.rate_interval(odd, odd, odd, odd) == texts.ABSENT
    assert texts.ratio(odd) == texts.ratio_interval(odd, odd, odd) == texts.ABSENT
    assert texts.share(odd) == texts.error(odd) == texts.size(odd) == texts.ABSENT


def test_values_carry_their_unit() -> None:
    """Each quantity is shown in its unit, with the digits that its interval supports."""
    assert texts.time(3_482_000, 3_450_000, 3_510_000) == "3.482 ms"
    assert texts.rate(77.13, "GFLOP/s", 70, 84) == "77.1 GFLOP/s"
    assert texts.rate_interval(7.4, "GB/s", 7.2, 7.6) == "7.20 \N{EN DASH} 7.60 GB/s"
    assert texts.ratio(7.4, 6.9, 7.9) == "7.40\N{MULTIPLICATION SIGN}"
    assert texts.error(1.234e-6) == "1.2e-06"
    assert texts.error(0.0) == "0"
    assert texts.size(193 * 2**20) == "193 MiB"
    assert texts.size(512) == "512 B"


@pytest.mark.parametrize(("share", "text"), [(0.834, "83%"), (1.0, "100%"), (0.0042, "0.42%"), (0.0, "0%")])
def test_shares_are_percentages(share: float, text: str) -> None:
    """A share is a whole percentage, and one below a percent is not rounded away."""
    assert texts.share(share) == text


@pytest.mark.parametrize(
    ("time_ns", "unit"), [(12.0, "ns"), (4e3, "µs"), (2e6, "ms"), (3e9, "s"), (0.1, "ns")]
)
def test_axes_have_the_unit_that_suits(time_ns: float, unit: str) -> None:
    """An axis of times has the largest unit of which it reaches at least one."""
    assert texts.time_scale(time_ns)[1] == unit


@given(some.text())
def test_escaped_text_is_inert(text: str) -> None:
    """Text from a result cannot begin a link, a picture, code, colour, emoji or formula."""
    escaped = texts.escape(text)
    for position, character in enumerate(escaped):
        if character in "[]()`*_$:<>!#|~":
            assert escaped[position - 1] == "\\"
    assert "\n" not in escaped


@given(some.floats(min_value=1e-3, max_value=1e15, allow_nan=False))
def test_times_read_back(time_ns: float) -> None:
    """The number before the unit is the time, to the digits shown."""
    shown, unit = texts.time(time_ns).split(" ")
    factor = {"s": 1e9, "ms": 1e6, "µs": 1e3, "ns": 1.0}[unit]
    assert math.isclose(float(shown.replace(",", "")) * factor, time_ns, rel_tol=0.006, abs_tol=5e-7)
