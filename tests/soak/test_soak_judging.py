"""A real history: silent while nothing changes, then added work is found, attributed, confirmed, and stops the gate."""

import time

import pytest

from tests.soak.history_of_runs import copy_program, judge, measure


def test_the_slower_copy_differs_in_one_place(tmp_path):
    """The copy that does more work is the program but for the builder of the product."""
    slower = copy_program(tmp_path / "slower", 0.15)
    text = (slower / "runners" / "backends" / "operators_numpy.py").read_text("utf-8")
    assert "round(0.15 * a.shape[-2])" in text
    compile(text, "operators_numpy.py", "exec")


@pytest.mark.soak
def test_added_work_is_found_and_nothing_else(tmp_path):
    """Of 48 runs, the last 16 do 15 % more work in a product."""
    assert measure(tmp_path, 48, 32, 0.15, time.monotonic() + 7200) == 48
    found = judge(tmp_path)
    assert found["before_the_step"] == []
    products = [row for row in found["after_the_step"] if row["kernel"] == "matmul" and row["ratio"] > 1]
    assert [row["attribution"] for row in products] == ["genuine"]
    assert "confirmed" in {row["state"] for row in found["confirmed"]}
    assert found["gate"] == 1
