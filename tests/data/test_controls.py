"""Negative controls: the promise holds for the method as it is, and breaks when any of its parts is taken away.

Noise as measured on a shared machine: a state of each process common to its variants, a drift within the process common
to neighbouring rounds, a layout of each variant in each process, and noise of each call.
"""

import math

import numpy as np
import pytest

from data.estimate import paired_log_ratio, process_log_time, sign_interval
from data.records import Samples

ROUNDS, PROCESSES, TRIALS = 40, 6, 300


def processes(rng, count=PROCESSES):
    """Samples of two copies of the same code in each of several processes: the true ratio is 1."""
    found = []
    for _ in range(count):
        state = rng.normal(0, 0.2)
        drift = np.empty(ROUNDS)
        drift[0] = rng.normal(0, 0.1)
        for index in range(1, ROUNDS):
            drift[index] = 0.6 * drift[index - 1] + rng.normal(0, 0.08)
        found.append([_samples(rng, state, rng.normal(0, 0.005), drift) for _ in range(2)])
    return found


def _samples(rng, state, layout, drift):
    logs = math.log(1e6) + state + layout + drift + rng.normal(0, 0.02, ROUNDS)
    return Samples(time_ns=[round(t) for t in np.exp(logs)], round=list(range(ROUNDS)), clean=[True] * ROUNDS)


def coverage(interval):
    """Return in how many of the trials the interval of new/old holds 1, and its median half-width."""
    rng = np.random.default_rng(7)
    found = [interval(processes(rng)) for _ in range(TRIALS)]
    return sum(low <= 0 <= high for low, high in found) / TRIALS, float(
        np.median([h - low for low, h in found])
    ) / 2


def paired(trial):
    return sign_interval([paired_log_ratio(new, old) for new, old in trial])


def one_process(trial):
    new, old = trial[0]
    return sign_interval([math.log(a / b) for a, b in zip(new.time_ns, old.time_ns, strict=True)])


def pooled(trial):
    return sign_interval(
        [math.log(a / b) for new, old in trial for a, b in zip(new.time_ns, old.time_ns, strict=True)]
    )


def sequential_in_one_process(trial):
    """First all of A, then all of B: the drift between them looks like a difference."""
    new, old = trial[0]
    half = ROUNDS // 2
    logs = np.log(new.time_ns)[half:] - np.log(old.time_ns)[:half]
    return sign_interval(list(logs))


def unpaired(trial):
    """Each side in processes of its own."""
    olds = [process_log_time(old) for _, old in trial]
    news = [process_log_time(new) for new, _ in trial]
    return sign_interval([new - old for new, old in zip(news, olds[1:] + olds[:1], strict=True)])


def test_paired_rounds_over_processes_cover():
    """The method as it is holds what it says, with an interval of about a percent."""
    share, half_width = coverage(paired)
    assert 0.92 <= share <= 0.98
    assert half_width < 0.015


@pytest.mark.parametrize("control", [one_process, pooled, sequential_in_one_process])
def test_taking_a_part_away_breaks_the_promise(control):
    """One process alone, pooled samples, or one after the other: the 95 % interval no longer covers."""
    share, _ = coverage(control)
    assert share < 0.90


def test_without_pairing_intervals_are_useless():
    """Separate processes for each side still cover, but with an interval more than ten times as wide."""
    share, half_width = coverage(unpaired)
    assert share > 0.9
    assert half_width > 10 * coverage(paired)[1]
