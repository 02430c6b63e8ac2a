"""Speedups: the ratio to the baseline, how sure it is, and how the two met."""

from typing import Any

import pytest

from app import charts, colours, reading, rows, speedups
from app.rows import Series
from tests.app.builder import Plan, standard_cells
from tests.app.conftest import Fill
from tests.app.test_rows import row

LIGHT = colours.theme("light")
NUMPY: Series = ("numpy", "blas", "given", "cpu", 8)
NAIVE: Series = ("numba", "naive", "given", "cpu", 1)


def at(time: float, half: float, **more: Any) -> rows.Row:
    """Return a row with a time and the half-width of its interval."""
    return row(time_ns=time, low_ns=time - half, high_ns=time + half, **more)


def test_speedup_is_baseline_over_time() -> None:
    """Twice as fast is 2, and the interval is that of the extremes, turned round."""
    board = [at(200.0, 10.0, run_id="a"), at(100.0, 5.0, backend="mkl", run_id="b")]
    (found,) = speedups.against(board, NUMPY)
    assert found["series"] == "mkl · blas"
    assert found["speedup"] == pytest.approx(2.0)
    assert found["speedup_low"] == pytest.approx(190 / 105)
    assert found["speedup_high"] == pytest.approx(210 / 95)
    assert found["verdict"] == "faster"
    assert found["pairing"] == "separate runs"


@pytest.mark.parametrize(
    ("time", "half", "verdict"),
    [(400.0, 5.0, "slower"), (200.0, 0.1, "same"), (205.0, 30.0, "inconclusive"), (100.0, 5.0, "faster")],
)
def test_each_factor_has_one_of_four_verdicts(time: float, half: float, verdict: str) -> None:
    """The verdict is that of the interval, never of the factor alone."""
    (found,) = speedups.against([at(200.0, 0.1), at(time, half, backend="mkl")], NUMPY)
    assert found["verdict"] == verdict


def test_without_an_interval_nothing_is_sure() -> None:
    """Where one side has no interval the factor is shown and the verdict is open."""
    (found,) = speedups.against([row(), row(backend="mkl", time_ns=1.0, low_ns=None)], NUMPY)
    assert found["verdict"] == "inconclusive"
    assert found["speedup_low"] is None
    assert found["speedup_high"] is None


def test_only_cases_that_both_have_are_compared() -> None:
    """A case that the baseline lacks, a wrong result and the baseline itself are left out."""
    board = [row(), row(case_id="matmul/7", backend="mkl"), row(backend="mkl", status="wrong")]
    assert speedups.against(board, NUMPY) == []
    assert speedups.against([], NUMPY) == []


def test_results_of_one_run_are_paired(fill: Fill) -> None:
    """Results that ran together are compared in the rounds of their processes, which is sharper."""
    fill(Plan([cell for cell in standard_cells() if cell.case == "matmul/1024"]))
    board = reading.ask("FROM latest WHERE status = 'ok'")
    paired = {
        one["series"]: one for one in speedups.against(board, NAIVE, speedups.pairs_of_run(reading.ask))
    }
    apart = {one["series"]: one for one in speedups.against(board, NAIVE)}
    found, loose = paired["openblas · blas"], apart["openblas · blas"]
    assert found["pairing"] == "same rounds"
    assert found["speedup"] == pytest.approx(518 / 9, rel=1e-3)
    assert found["verdict"] == "faster"
    assert loose["speedup_high"] - loose["speedup_low"] > found["speedup_high"] - found["speedup_low"]


def test_the_heatmap_shows_factors_and_doubt() -> None:
    """Each cell holds its factor, marked where it is the same or not sure; a missing one is empty."""
    board = [
        at(200.0, 0.1),
        at(200.0, 0.1, case_id="matmul/1024"),
        at(50.0, 1.0, backend="mkl"),
        at(200.0, 0.2, backend="blis"),
        at(210.0, 40.0, backend="blis", case_id="matmul/1024"),
    ]
    found = speedups.against(board, NUMPY)
    figure = charts.speedups(found, LIGHT)
    assert figure is not None
    (heat,) = figure["data"]
    assert heat["y"] == ["512", "1024"]
    assert heat["x"] == ["mkl<br>blas", "blis<br>blas"]
    assert heat["text"][0][0] == "4.00\N{MULTIPLICATION SIGN}"
    assert heat["text"][0][1].startswith("≈ 1.00")
    assert heat["text"][1][0] == ""
    assert heat["text"][1][1].startswith("? ")
    assert heat["z"][0][0] == pytest.approx(2.0)
    assert heat["z"][1][0] is None
    assert "matmul/512: mkl · blas 4.00" in charts.describe_speedups(found, "numpy · blas")
    assert charts.speedups([], LIGHT) is None
