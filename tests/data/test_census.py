"""What is missing, what is old, and what may be compared."""

from datetime import UTC, datetime, timedelta

import pytest

from data.attribution import Difference
from data.census import gaps, stale
from data.comparability import Comparability, compare_circumstances
from tests.data.test_claims import row

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def old(days, case="matmul/128", machine="box", **more):
    name = f"{case}-{machine}"
    return row(case, "blas", started=NOW - timedelta(days=days), series_id=name, install="") | {
        "machine": machine, "machine_id": machine
    } | more  # fmt: skip


def test_a_cell_without_a_recent_result_is_a_gap():
    """Old, failed and never measured cells are gaps with their reasons; a recent one is none."""
    rows = [
        old(1),
        old(40, "matmul/256"),
        old(2, "matmul/512", status="unavailable", reason="no MKL", install="pip install mkl"),
        old(3, "matmul/128", "lab"),
    ]
    found = {(one.machine, one.case): one for one in gaps(rows, {"matmul/256-box": rows[1]["started"]}, NOW)}
    assert set(found) == {
        ("box", "matmul/256"),
        ("box", "matmul/512"),
        ("lab", "matmul/256"),
        ("lab", "matmul/512"),
    }
    assert "40 days old" in found["box", "matmul/256"].why
    assert found["box", "matmul/512"].why == "unavailable: no MKL"
    assert found["box", "matmul/512"].install == "pip install mkl"
    assert "never" in found["lab", "matmul/256"].why


def test_what_went_stale_says_since_when():
    """A machine that stopped is told once, not with each of its series; a series that was left out is told."""
    machines = [
        {"machine_id": "box", "machine": "box", "last_seen": NOW - timedelta(days=1)},
        {"machine_id": "lab", "machine": "lab", "last_seen": NOW - timedelta(days=63)},
    ]
    rows = [old(1), old(40, "matmul/256"), old(63, "matmul/128", "lab")]
    machine, series = stale(machines, rows, NOW)
    assert (machine.name, machine.text) == ("lab", "last seen 63 days ago")
    assert "matmul/256" in series.name


def board_row(**more):
    held = row(
        "matmul/128", "blas", effort="quick", flags=[], flop=1e6, bytes=None, elements=None, tokens=None
    )
    return held | more


@pytest.mark.parametrize(
    ("new", "differences", "answer", "reason"),
    [
        ({}, (), Comparability.SAME, None),
        ({"threads": 2}, (), Comparability.CAVEATS, "threads: 1 and 2"),
        ({}, (Difference("package", "numpy", "2.4", "2.5"),), Comparability.CAVEATS, "numpy 2.4 → 2.5"),
        ({"flags": ["contended"]}, (), Comparability.CAVEATS, "contended"),
        ({"case_id": "matmul/256"}, (), Comparability.NO, "case: matmul/128 and matmul/256"),
        ({"status": "wrong", "reason": "off by 3"}, (), Comparability.NO, "the new one is wrong: off by 3"),
        ({"flop": 2e6}, (), Comparability.NO, "one call does other work: 1e+06 and 2e+06 flop"),
        (
            {"flags": ["below_floor"]},
            (),
            Comparability.NO,
            "a call is too short to be told from an empty one",
        ),
    ],
)
def test_whether_two_results_may_be_compared(new, differences, answer, reason):
    """The answer is the same, with named caveats, or no with its reason."""
    found = compare_circumstances(board_row(**new), board_row(), differences)
    assert found.answer is answer
    assert list(found.reasons) == ([] if reason is None else [reason])
