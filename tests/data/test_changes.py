"""Change points: what is one, what is none, and the fast search against the slow, obvious one."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import candidates, segments
from data.changes import change_points, change_points_of
from data.errors import BadInput
from data.series_files import read_series
from tests.data import slow_changes

ROOT = Path(__file__).resolve().parents[2]


def noisy(seed, points, sigma=0.02, steps=(), kind="normal"):
    """Return a series of about 1000 with steps (index, ratio) in noise of a kind."""
    rng = np.random.default_rng(seed)
    logs = (
        sigma
        * {
            "normal": lambda: rng.standard_normal(points),
            "heavy": lambda: rng.standard_t(3, points),
            "two-modes": lambda: 0.2 * rng.standard_normal(points) + 5 * (rng.random(points) < 0.35),
            "memory": lambda: np.convolve(rng.standard_normal(points + 20), 0.6 ** np.arange(20), "valid")[
                :points
            ],
            "ticks": lambda: np.round(rng.standard_normal(points)),
        }[kind]()
    )
    for index, ratio in steps:
        logs[index:] += math.log(ratio)
    return (1000 * np.exp(logs)).tolist()


def indices(values, **options):
    return [change.index for change in change_points(values, **options)]


@pytest.mark.parametrize("kind", ["normal", "heavy", "two-modes", "memory", "ticks"])
@pytest.mark.parametrize("ratio", [1.2, 1 / 1.2])
def test_a_step_is_found(kind, ratio):
    """A step of 20 % up or down in 2 % noise of any kind is found within five points, with its size."""
    for seed in range(5):
        (change,) = change_points(noisy(seed, 120, steps=[(70, ratio)], kind=kind))
        assert abs(change.index - 70) <= 5
        assert change.ratio == pytest.approx(ratio, rel=0.06)
        assert change.confidence > 0.9


@pytest.mark.parametrize("kind", ["normal", "heavy", "two-modes", "memory", "ticks"])
def test_nothing_is_found_where_nothing_is(kind):
    """Of 12,000 points without a change, at most one alarms, in noise of any kind."""
    assert sum(len(indices(noisy(seed, 200, kind=kind))) for seed in range(60)) <= 1


def test_outliers_and_drift_are_no_change():
    """One outlier, two, and a slow drift are no change of level."""
    values = noisy(1, 100)
    for place in (10, 50, 51, 98):
        values[place] *= 2
    assert indices(values) == []
    assert indices([value * 1.001**day for day, value in enumerate(noisy(2, 200))]) == []


def test_a_change_at_the_end_has_the_confidence_it_deserves():
    """The fewer points follow a change, the less sure it is; from eight on nothing holds it back."""
    confidences = []
    for after in (1, 2, 3, 4, 8):
        (change,) = change_points(noisy(3, 100, steps=[(100 - after, 1.3)]))
        assert change.index == 100 - after
        confidences.append(change.confidence)
    assert confidences == sorted(confidences)
    assert confidences[0] < 0.5 < confidences[2] < 0.95 < confidences[-1]


def test_a_step_of_one_mode_is_found():
    """In noise of two modes 10 % apart, a step of 5 % is found among the lowest values."""
    assert [
        abs(index - 120) <= 5 for index in indices(noisy(4, 240, steps=[(120, 1.05)], kind="two-modes"))
    ] == [True]


def test_many_steps_do_not_hide_each_other():
    """Ten steps of twenty points each are all found."""
    steps = [(20 * number, 1.15 if number % 3 else 1 / 1.3) for number in range(1, 10)]
    assert indices(noisy(6, 200, steps=steps)) == pytest.approx([index for index, _ in steps], abs=2)


def test_short_histories():
    """Six points are enough for a clear step, five are not, and a constant series has none."""
    assert indices([10, 10, 10, 20, 20, 20]) == [3]
    assert indices([10, 10, 20, 20, 20]) == []
    assert indices([5.0] * 30) == []


def test_values_of_zero_and_below():
    """Where no ratio exists, steps are found all the same, and their ratio is NaN."""
    (change,) = change_points([-5, -4.9, -5.1, -5, -5, -5.02, 3, 3.1, 3, 2.9, 3, 3.05])
    assert change.index == 6
    assert math.isnan(change.ratio)


def test_the_noise_floor_bounds_the_size():
    """A step below the noise floor is not told."""
    values = noisy(7, 100, sigma=0.005, steps=[(50, 1.04)])
    assert indices(values) == [50]
    assert indices(values, noise_floor=0.05) == []


def test_points_with_wide_intervals_count_less():
    """A run of badly measured points makes a step only if their intervals are not looked at."""
    values = np.array(noisy(8, 60, sigma=0.01))
    values[30:36] *= 1.06
    narrow, wide = values * 0.99, values * 1.01
    wide[30:36], narrow[30:36] = values[30:36] * 1.5, values[30:36] * 0.6
    assert indices(values.tolist()) != []
    assert indices(values.tolist(), low=narrow.tolist(), high=wide.tolist()) == []


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0], {}, "at least two"),
        ([1.0, math.nan, 2.0], {}, "number 1"),
        ([1.0, math.inf], {}, "number 1"),
        ([1.0, "x"], {}, "every value must be a number"),
        ([1.0, 2.0], {"times": [1]}, "1 times for 2 values"),
        ([1.0, 2.0], {"times": ["2026-01-02", "2026-01-01"]}, "before the one before it"),
        ([1.0, 2.0], {"times": ["2026-01-02", "soon"]}, "'soon'"),
        ([1.0, 2.0], {"low": [1, 1]}, "both"),
        ([1.0, 2.0], {"low": [2, 2], "high": [3, 3]}, "outside of its interval"),
        ([1.0, 2.0], {"noise_floor": -1}, "noise floor"),
    ],
)
def test_bad_input_is_named(values, options, message):
    """What cannot be used is refused with the place and the value."""
    with pytest.raises(BadInput, match=message):
        change_points(values, **options)


@given(
    st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=60),
    st.floats(1e-3, 1e3),
)
@settings(max_examples=150, deadline=None)
def test_any_series_gives_an_answer(values, unit):
    """Any list of positive numbers gives changes in order, inside, sure from 0 to 1, and the same in any unit."""
    found = change_points(values)
    assert [change.index for change in found] == sorted({change.index for change in found})
    assert all(0 < change.index < len(values) and 0 <= change.confidence <= 1 for change in found)
    assert [change.ratio for change in found] == [change.ratio for change in change_points(values)]
    assert change_points_of([values, values[::-1]])[0] == found


def test_a_batch_is_the_same_as_one_by_one():
    """Many series at once give what each gives alone, whatever their lengths."""
    kinds = ["normal", "heavy", "two-modes", "memory", "ticks"]
    series = [
        noisy(seed, (5, 30, 77, 200)[seed % 4], steps=[(15, 1.2)] if seed % 3 else [], kind=kinds[seed % 5])
        for seed in range(80)
    ]
    assert change_points_of(series) == [change_points(values) for values in series]
    floors = [(None, 0.01, 0.3)[number % 3] for number in range(len(series))]
    ends = [
        (
            [0.99 * one for one in values],
            [(1.01 + 0.05 * (at % 7 == 0)) * one for at, one in enumerate(values)],
        )
        if number % 2
        else (None, None)
        for number, values in enumerate(series)
    ]
    assert change_points_of(series, floors, ends) == [
        change_points(values, None, *pair, noise_floor=floor)
        for values, pair, floor in zip(series, ends, floors, strict=True)
    ]


def test_how_many_are_worked_on_at_a_time_changes_nothing(monkeypatch):
    """Series in blocks of a few, and a few at once, have the changes that they have all together."""
    steps = [(40, 1.2), (70, 1 / 1.2), (100, 1.1)]
    series = [
        noisy(seed, 150, steps=steps[: seed % 4], kind=("normal", "memory")[seed % 2]) for seed in range(40)
    ]
    together = change_points_of(series)
    assert sum(map(len, together)) >= 40
    for module in (candidates, segments):
        monkeypatch.setattr(module, "BLOCK_POINTS", 450)
    assert change_points_of(series) == together
    monkeypatch.setattr("data.changes._POINTS_AT_ONCE", 1000)
    assert change_points_of(series) == together


def test_points_that_all_count_the_same_count_as_none():
    """Weights of one find what no weights find: both ways to count the points of windows agree."""
    values = np.log([noisy(seed, 120, steps=[(50, 1.15), (90, 1 / 1.1)]) for seed in range(8)])
    alone, weighed = (
        segments.Segments(values, weights=weights).find() for weights in (None, np.ones(values.shape))
    )
    assert sum(map(len, alone)) >= 12
    assert [[split.index for split in one] for one in alone] == [
        [split.index for split in one] for one in weighed
    ]


@pytest.mark.parametrize("kind", ["normal", "heavy", "two-modes", "memory", "ticks"])
def test_the_search_is_that_of_the_slow_obvious_version(kind):
    """The splits and their deviates are those of plain loops over the definitions."""
    rng = random.Random(kind)
    for seed, points in enumerate([*rng.sample([6, 9, 17, 40, 60], 4), 150]):
        steps = [(rng.randrange(points), rng.choice([0.8, 1.05, 1.2])) for _ in range(rng.randrange(4))]
        values = np.log(noisy(seed, points, steps=steps, kind=kind))
        fast = segments.Segments(values[None], least_step=0.005).find()[0]
        slow = slow_changes.splits(values.tolist(), 0.005)
        assert [split.index for split in fast] == [index for index, _, _ in slow]
        assert [split.step for split in fast] == pytest.approx([step for _, step, _ in slow])
        assert [split.deviate for split in fast] == pytest.approx([deviate for _, _, deviate in slow])


def test_lists_for_many_series_must_match_them():
    """One floor and one interval a series, or a refusal that says how many there are."""
    with pytest.raises(BadInput, match="1 noise floors for 2 series"):
        change_points_of([[1, 2], [1, 2]], [0.1])
    with pytest.raises(BadInput, match="1 intervals for 2 series"):
        change_points_of([[1, 2], [1, 2]], None, [(None, None)])


# -- the command -----------------------------------------------------------------------------------------------------


def changes(text):
    return subprocess.run(
        [sys.executable, "-m", "runners", "changes", "-"],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_the_command_answers_in_json():
    """A series on standard input gives a list of objects with index, ratio and confidence."""
    done = changes(json.dumps({"values": noisy(9, 60, steps=[(30, 1.2)]), "times": list(range(60))}))
    (row,) = json.loads(done.stdout)
    assert set(row) == {"index", "ratio", "confidence"}
    assert row["index"] == 30


@pytest.mark.parametrize("text", ['{"values": [1, NaN, 2]}', '{"values": [1]}', "", "[1, 2", "a,b\n1,2\n"])
def test_the_command_refuses_bad_input(text):
    """Bad input is one line on standard error and status 2."""
    done = changes(text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("flopwatch: ")
    assert done.stderr.count("\n") == 1


def test_csv_with_and_without_names():
    """Columns are found by name, or by their number where there are no names."""
    assert read_series("5\n6\n").values == [5, 6]
    named = read_series("at,value,low,high\n2026-01-01,5,4,6\n2026-01-02,6,5,7\n")
    assert (named.values, named.times, named.low) == ([5, 6], ["2026-01-01", "2026-01-02"], [4, 5])
    with pytest.raises(BadInput, match="line 3"):
        read_series("value\n1\nx\n")
