"""The statistics: closed cases by hand, symmetries, and coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.estimate import (
    MARGIN,
    MINIMUM_CLEAN,
    Timings,
    estimate,
    judge,
    minimum_processes,
    noise_floor,
    paired_log_ratio,
    process_log_time,
    processes_needed,
    ratio,
    sign_interval,
)
from data.records import Samples
from data.words import Verdict

finite = st.floats(-1e6, 1e6)


def test_six_values_by_hand():
    """With n = 6 and 95 % the rank is 1: gamma_1 = 62/64, gamma_2 = 50/64, so the weight follows exactly."""
    share = (62 / 64 - 0.95) / (62 / 64 - 50 / 64)
    weight = 5 * share / (1 + 4 * share)
    low, high = sign_interval([1, 2, 3, 4, 5, 6])
    assert low == pytest.approx((1 - weight) * 1 + weight * 2)
    assert high == pytest.approx((1 - weight) * 6 + weight * 5)


def test_nine_and_twelve_values_by_hand():
    """The ranks of n = 9 and n = 12 at 95 % are 2 and 3."""
    low, high = sign_interval(range(1, 10))
    assert 2 <= low <= 3
    assert 7 <= high <= 8
    low, high = sign_interval(range(1, 13))
    assert 3 <= low <= 4
    assert 9 <= high <= 10


def test_too_few_values_have_no_interval():
    """Five values cannot give 95 %, six cannot give 97 %: the error says how many can."""
    with pytest.raises(ValueError, match="6 are needed"):
        sign_interval([1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="7 are needed"):
        sign_interval([1, 2, 3, 4, 5, 6], 0.97)
    assert (minimum_processes(0.95), minimum_processes(0.97)) == (6, 7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_must_be_finite(bad):
    """NaN and infinity are refused."""
    with pytest.raises(ValueError, match="finite"):
        sign_interval([1, 2, 3, 4, 5, bad])


@given(st.lists(finite, min_size=6, max_size=40), st.randoms())
def test_the_interval_does_not_know_the_order(values, rng):
    """Permuting the values changes nothing, and the interval holds the median."""
    low, high = sign_interval(values)
    shuffled = values[:]
    rng.shuffle(shuffled)
    assert sign_interval(shuffled) == (low, high)
    middle = float(np.median(values))
    tolerance = 1e-9 * max(1.0, abs(middle))
    assert low - tolerance <= middle <= high + tolerance


@given(st.lists(finite, min_size=6, max_size=30))
def test_the_interval_is_mirrored_with_the_values(values):
    """Negating the values (which turns A/B into B/A) mirrors the interval."""
    low, high = sign_interval(values)
    mirrored_low, mirrored_high = sign_interval([-value for value in values])
    assert (mirrored_low, mirrored_high) == pytest.approx((-high, -low), abs=1e-6)


def _shapes(rng, size):
    bimodal = np.where(rng.random(size) < 0.65, 0.0, 3.0) + 0.3 * rng.standard_normal(size)
    skewed = rng.standard_normal(size) + np.where(rng.random(size) < 0.15, rng.exponential(4.0, size), 0.0)
    return {
        "normal": rng.standard_normal(size),
        "skewed": skewed,
        "bimodal": bimodal,
        "heavy tails": rng.standard_t(3, size),
    }


@pytest.mark.parametrize("processes", [6, 8, 9, 10, 12, 15, 20, 30])
def test_coverage_in_simulation(processes):
    """A 95 % interval holds the median in 93 to 97 % of the cases, whatever the shape of the noise."""
    trials = 5000
    for name, values in _shapes(np.random.default_rng(processes), (trials, processes)).items():
        truth = float(np.median(_shapes(np.random.default_rng(99), 1_000_000)[name]))
        hits = sum(low <= truth <= high for low, high in map(sign_interval, values))
        assert 0.93 <= hits / trials <= 0.97, (name, hits / trials)


def _samples(times, batch=1, rounds=None, clean=None):
    rounds = list(range(len(times))) if rounds is None else rounds
    return Samples(time_ns=list(times), batch=batch, round=rounds, clean=clean or [True] * len(times))


def test_a_process_gives_the_median_of_its_clean_calls():
    """Disturbed samples do not count while enough clean ones are left, and count when they are not."""
    clean = _samples([100] * 10 + [900] * 20, clean=[True] * 10 + [False] * 20)
    assert math.exp(process_log_time(clean)) == pytest.approx(100)
    assert math.exp(process_log_time(clean, filtered=False)) == pytest.approx(900)
    contended = _samples([100] * 9 + [900] * 20, clean=[True] * 9 + [False] * 20)
    assert math.exp(process_log_time(contended)) == pytest.approx(900)


def test_a_time_is_per_call():
    """A batch is divided once."""
    assert math.exp(process_log_time(_samples([6400] * 10, batch=64))) == pytest.approx(100)


@st.composite
def _process(draw: st.DrawFn) -> Samples:
    times_ns = draw(st.lists(st.integers(0, 2**62), min_size=1, max_size=70))
    marks = st.lists(st.booleans(), min_size=len(times_ns), max_size=len(times_ns))
    return Samples(times_ns, draw(st.integers(1, 1000)), [], draw(st.just([]) | marks))


def _plain_log_time(samples: Samples) -> float:
    clean = [time for time, clean in zip(samples.time_ns, samples.clean, strict=False) if clean]
    ordered = sorted(clean if len(clean) >= MINIMUM_CLEAN else samples.time_ns)
    logs = [math.log(max(time, 1)) for time in ordered]
    return (logs[(len(logs) - 1) // 2] + logs[len(logs) // 2]) / 2 - math.log(samples.batch)


@given(st.lists(st.lists(_process(), min_size=1, max_size=4), max_size=8))
def test_many_processes_at_once_say_what_each_says_alone(groups: list[list[Samples]]) -> None:
    """Columns of all processes give the same numbers as lists of one, to the last bit."""
    processes = [samples for group in groups for samples in group]
    timings = Timings(processes)
    assert timings.log_times() == [_plain_log_time(samples) for samples in processes]
    assert timings.clean_counts == [
        sum(samples.clean or [True] * len(samples.time_ns)) for samples in processes
    ]
    shown = timings.quantiles([len(group) for group in groups], (0.0, 0.1, 0.9))
    for group, found in zip(groups, shown, strict=True):
        ordered = sorted(time for samples in group for time in samples.time_ns)
        assert found == [ordered[int(share * len(ordered))] for share in (0.0, 0.1, 0.9)]


def test_pairing_cancels_what_the_round_does():
    """Noise common to a round cancels; rounds are matched by number, not by position."""
    noise = [1.0, 5.0, 2.0, 9.0, 1.5, 3.0, 8.0, 1.1, 2.2, 4.0, 6.0]
    old = _samples([round(1000 * factor) for factor in noise])
    new = _samples([round(1200 * factor) for factor in reversed(noise)], rounds=list(reversed(range(11))))
    assert math.exp(paired_log_ratio(new, old)) == pytest.approx(1.2, rel=1e-3)
    assert paired_log_ratio(new, old) == pytest.approx(-paired_log_ratio(old, new))


def test_ratio_and_its_inverse_agree():
    """R(A/B) = 1/R(B/A), with mirrored verdicts."""
    logs = [0.1, 0.11, 0.09, 0.1, 0.12, 0.1]
    there, back = ratio(logs), ratio([-value for value in logs])
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert (there.verdict, back.verdict) == (Verdict.SLOWER, Verdict.FASTER)


@pytest.mark.parametrize(
    ("low", "high", "verdict", "differs"),
    [
        (0.99, 1.01, Verdict.SAME, False),
        (1.001, 1.019, Verdict.SAME, True),
        (0.985, 0.999, Verdict.SAME, True),
        (1.005, 1.05, Verdict.SLOWER, True),
        (0.90, 0.99, Verdict.FASTER, True),
        (0.97, 1.01, Verdict.INCONCLUSIVE, False),
        (0.90, 1.10, Verdict.INCONCLUSIVE, False),
        (None, None, Verdict.INCONCLUSIVE, False),
    ],
)
def test_four_verdicts(low, high, verdict, differs):
    """An interval has exactly one of four verdicts."""
    assert judge(low, high) == (verdict, differs)


def test_inconclusive_says_how_many_processes_it_would_take():
    """Half the width needs about four times the processes."""
    width = 2 * math.log1p(MARGIN)
    assert processes_needed(math.exp(-width), math.exp(width), 6) == 24
    assert ratio([0.0, 0.1, -0.1]).needs_processes == 6


def test_an_estimate_of_few_processes_has_no_interval():
    """Three processes give a typical time and no interval."""
    found = estimate([math.log(100)] * 3)
    assert found.value == pytest.approx(100)
    assert (found.low, found.high) == (None, None)


def test_the_noise_floor_is_the_far_end_of_the_interval_of_a_call_against_itself():
    """Six pairs with one percent between them give a floor of about one percent; five give none."""
    pairs = [(_samples([1000] * 12), _samples([1000 + step] * 12)) for step in (-10, 10, -5, 5, 0, 8)]
    assert 0.005 < noise_floor(pairs) <= 0.0102
    assert noise_floor(pairs[:5]) is None
