"""Times and cycles of a device: what only its clock explains is no verdict."""

import pytest

from data.cycles import cycle_ratio, heed_clock
from data.estimate import ratio
from data.records import Measurement, Samples
from data.words import Status, Verdict


def line(time_ns: int, khz: int | None, samples: int = 12) -> Measurement:
    attributes = {} if khz is None else {"sm_clock_khz": [khz] * samples}
    return Measurement(
        case="matmul/1024",
        kernel="matmul",
        variant="blas",
        condition="hot",
        backend="cupy",
        device="cuda:0",
        threads=1,
        status=Status.OK,
        samples=Samples([time_ns] * samples),
        attributes=attributes,
    )


SLOWER = ratio([0.1] * 8)


def test_the_ratio_of_cycles_is_that_of_time_and_clock() -> None:
    """10 % more time at a clock 10 % lower are 1 % fewer cycles."""
    assert cycle_ratio([line(1100, 900_000)], [line(1000, 1_000_000)]) == pytest.approx(0.99)


def test_a_clock_that_fell_is_no_slower_kernel() -> None:
    """Slower by time and faster by cycles: inconclusive; slower by both stays slower."""
    assert SLOWER.verdict is Verdict.SLOWER
    fell = heed_clock(SLOWER, [line(1100, 900_000)] * 8, [line(1000, 1_000_000)] * 8)
    assert fell.verdict is Verdict.INCONCLUSIVE
    assert (fell.ratio, fell.low, fell.high) == (SLOWER.ratio, SLOWER.low, SLOWER.high)
    assert fell.cycle_ratio == pytest.approx(0.99)
    same_clock = heed_clock(SLOWER, [line(1100, 1_000_000)] * 8, [line(1000, 1_000_000)] * 8)
    assert same_clock.verdict is Verdict.SLOWER
    assert same_clock.cycle_ratio == pytest.approx(1.1)


def test_without_a_clock_the_verdict_stands() -> None:
    """Processors tell no clock for each sample, and neither does a torn record."""
    assert heed_clock(SLOWER, [line(1100, None)], [line(1000, None)]) == SLOWER
    torn = line(1100, 900_000)
    torn.attributes["sm_clock_khz"] = [900_000]
    assert heed_clock(SLOWER, [torn], [line(1000, 1_000_000)]) == SLOWER
