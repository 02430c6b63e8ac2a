"""Rows made safe: what is a speed, names, orders, the fastest, what moved."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app import rows
from data.words import Status

ANYTHING = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(),
    some.text(max_size=8),
    some.lists(some.integers()),
)
COLUMNS = (
    *("case_id", "kernel", "backend", "variant", "condition", "device", "threads", "status", "unit", "rate"),
    *(
        "rate_low",
        "rate_high",
        "time_ns",
        "low_ns",
        "high_ns",
        "share_of_ceiling",
        "reason",
        "measurement_id",
    ),
)


def row(**values: Any) -> rows.Row:
    """Return a row that is a speed, with the values that the test chooses."""
    return {
        "case_id": "matmul/512",
        "backend": "numpy",
        "variant": "blas",
        "condition": "given",
        "device": "cpu",
        "threads": 8,
        "status": "ok",
        "unit": "GFLOP/s",
        "rate": 455.0,
        "rate_low": 450.0,
        "rate_high": 460.0,
        "time_ns": 590e3,
        "low_ns": 583e3,
        "high_ns": 597e3,
        "share_of_ceiling": 0.7,
    } | values


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_only_ok_is_a_speed(status: Status) -> None:
    """A row with any other status is no speed, even if somebody wrote a time into it."""
    assert rows.is_speed(row())
    assert not rows.is_speed(row(status=str(status)))


@pytest.mark.parametrize("rate", [None, 0.0, -1.0, float("nan"), float("inf"), "fast"])
def test_a_rate_that_is_none_is_no_speed(rate: Any) -> None:
    """A missing, infinite, negative or nameless rate is not drawn."""
    assert not rows.is_speed(row(rate=rate))


@given(some.dictionaries(some.sampled_from(COLUMNS), ANYTHING))
def test_no_row_is_too_odd(values: dict[str, Any]) -> None:
    """Whatever a row holds, looking at it raises nothing, and a speed is a positive number."""
    odd = {"status": "ok", **values}
    if rows.is_speed(odd):
        assert (rows.value(odd) or 0) > 0
    rows.interval(odd)
    rows.ceiling_rate(odd)
    rows.podium([odd, row()])
    rows.series([odd, row()])
    rows.moved([odd, row()])
    rows.case_order(str(odd.get("case_id")))


def test_an_interval_holds_its_value() -> None:
    """An interval that does not hold the value is not drawn around it."""
    assert rows.interval(row()) == (450.0, 460.0)
    assert rows.interval(row(rate_low=456.0)) is None
    assert rows.interval(row(rate_high=None)) is None


def test_times_stand_for_cases_without_a_rate() -> None:
    """Where the unit is seconds, the value and its interval are those of the time."""
    slow = row(unit="s", rate=None)
    assert rows.value(slow) == 590e3
    assert rows.interval(slow) == (583e3, 597e3)
    assert rows.ceiling_rate(slow) is None


def test_the_ceiling_is_in_the_unit_of_the_row() -> None:
    """A ceiling in bytes stands over a rate in elements at the height that the share says."""
    assert rows.ceiling_rate(row(rate=6.0, unit="GElement/s", share_of_ceiling=0.8)) == pytest.approx(7.5)
    assert rows.ceiling_rate(row(share_of_ceiling=0.0)) is None


def test_cases_come_by_size() -> None:
    """Kernels come in reading order, sizes by size and not by their letters, shapes after plain sizes."""
    wanted = [
        *("matmul/128", "matmul/512", "matmul/1024", "matmul/batched-32x256", "attention-scores/8x512x64"),
        *("relu/1M", "relu/10M", "relu/32x512x768", "layernorm/32x512x768", "save/small-normal", "abacus/1"),
    ]
    assert sorted(sorted(wanted), key=rows.case_order) == wanted
    assert rows.case_label("matmul/1024") == "1024"
    assert rows.case_label("odd") == "odd"


def test_series_are_named_as_far_as_needed() -> None:
    """Threads, condition and device join the name only where the rows differ in them."""
    one = [row(), row(backend="numba", variant="naive", threads=1)]
    assert [name for name, _ in rows.series(one).values()] == ["numba · naive", "numpy · blas"]
    two = [row(threads=1), row(threads=8), row(condition="fresh", threads=8)]
    assert [name for name, _ in rows.series(two).values()] == [
        "numpy · blas · given · 1 thread",
        "numpy · blas · fresh · 8 threads",
        "numpy · blas · given · 8 threads",
    ]


def test_the_podium_says_when_it_is_not_sure() -> None:
    """The next one is level where the intervals overlap, and nobody knows where one of them is missing."""
    first, far, near = (
        row(),
        row(backend="mkl", time_ns=800e3, low_ns=790e3),
        row(backend="mkl", low_ns=596e3),
    )
    assert rows.podium([first, far])[0]["next_level"] is False
    assert rows.podium([first, far])[0]["next_ratio"] == pytest.approx(800 / 590)
    assert rows.podium([first, near])[0]["next_level"] is True
    assert rows.podium([first, {**far, "low_ns": None}])[0]["next_level"] is None
    assert "next_backend" not in rows.podium([first])[0]


def test_wrong_results_never_win() -> None:
    """The fastest of a case is never one that is not ok."""
    wrong = row(backend="numba", status="wrong", time_ns=1.0)
    assert [best["backend"] for best in rows.fastest([wrong, row()])] == ["numpy"]


def test_what_moved_is_surely_apart() -> None:
    """A pair counts as moved only where the intervals lie apart by more than the margin."""
    old = {"old_time_ns": 640e3, "old_low_ns": 632e3, "old_high_ns": 648e3}
    (moved,) = rows.moved([row(**old)])
    assert moved["verdict"] == "faster"
    assert moved["ratio"] == pytest.approx(590 / 640)
    assert moved["ratio_low"] == pytest.approx(583 / 648)
    assert moved["ratio_high"] == pytest.approx(597 / 632)
    assert rows.moved([row(old_time_ns=600e3, old_low_ns=593e3, old_high_ns=607e3)]) == []
    assert rows.moved([row(**old) | {"low_ns": None}]) == []
