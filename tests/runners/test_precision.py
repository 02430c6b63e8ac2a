"""When a case is done, and how many rounds a process takes."""

import math
import random

import numpy as np
import pytest

from data.estimate import sign_interval
from data.records import Samples
from data.words import Effort
from runners.precision import finished, is_decided, rounds_per_process
from runners.protocol import EFFORTS, UNTIL_DECIDED, Replication
from runners.rounds import Protocol
from tests.data.test_sequential import SHAPES, draw, true_median
from tests.data.test_summary import line

RULE = Replication((8, 12), 0.97, precision=0.02, budget_s=120.0)


def cells(factors, *, processes=8, spread=0.3, within=0.01, rounds=40, phase_s=1.0, seed=1):
    """Lines of several variants: each process has a state that its variants share, each sample its own noise."""
    rng = random.Random(seed)
    found = {}
    for process in range(processes):
        state = rng.lognormvariate(0, spread)
        for variant, factor in factors.items():
            times = [round(1e6 * state * factor * rng.lognormvariate(0, within)) for _ in range(rounds)]
            samples = Samples(times, 1, list(range(rounds)), [True] * rounds)
            one = line(variant=variant, process=process, samples=samples)
            one.attributes = {"prepare_s": 0.2, "load": {"elapsed_s": phase_s}}
            found.setdefault(one.key, []).append(one)
    return found


BLOCKS = {process: process for process in range(60)}


def test_ratios_decide_where_there_are_several_variants():
    """Thirty percent between processes do not matter to a ratio of two that share them."""
    lines = cells({"naive": 1.0, "blas": 0.2})
    assert finished(lines, BLOCKS, RULE) == set(lines)


def test_a_variant_alone_is_done_when_its_time_is_known():
    """Without a partner the time itself must be known that well."""
    assert finished(cells({"naive": 1.0}), BLOCKS, RULE) == set()
    steady = cells({"naive": 1.0}, spread=0.002)
    assert finished(steady, BLOCKS, RULE) == set(steady)


def test_the_first_variant_stays_while_another_needs_it():
    """A variant with layouts of its own goes on, and with it the one that it is compared to."""
    lines = cells({"naive": 1.0, "blas": 0.2, "odd": 1.0})
    rng = random.Random(2)
    for key, members in lines.items():
        if key[1] == "odd":
            for member in members:
                shift = rng.lognormvariate(0, 0.2)
                member.samples.time_ns = [round(time * shift) for time in member.samples.time_ns]
    assert {key[1] for key in finished(lines, BLOCKS, RULE)} == {"blas"}


def test_a_spent_budget_ends_a_case():
    """Two minutes a case are enough, whatever is known by then; both variants share the phases of a process."""
    noisy = cells({"naive": 1.0, "blas": 1.0}, within=0.6, rounds=12, phase_s=14.0)
    assert finished(noisy, BLOCKS, RULE) == set()
    longer = cells({"naive": 1.0, "blas": 1.0}, within=0.6, rounds=12, phase_s=15.0)
    assert finished(longer, BLOCKS, RULE) == set(longer)


def test_a_smoke_test_measures_a_long_case_once():
    """What took fifteen seconds in the first process has no second one; what was short has three, without asking."""
    smoke = EFFORTS[Effort.SMOKE]
    assert smoke.looks == (1, 3)
    long, short = (cells({"naive": 1.0, "blas": 1.0}, processes=1, phase_s=took) for took in (15.0, 14.0))
    assert finished(long, BLOCKS, smoke) == set(long)
    assert finished(short, BLOCKS, smoke) == set()


def test_too_few_processes_finish_nothing():
    """A 97 % interval needs seven processes."""
    assert finished(cells({"naive": 1.0, "blas": 1.0}, processes=6), BLOCKS, RULE) == set()


def test_rounds_follow_the_costs_and_the_variances():
    """The formula by hand: c₂/c₁ times the ratio of the variances, under the root."""
    lines = cells({"naive": 1.0}, processes=40, spread=0.02, within=0.1, rounds=200, phase_s=1.0)
    round_s, rest_s = 1e-3, 1.2 - 0.2
    expected = (rest_s / round_s * (0.1 / 0.02) ** 2) ** 0.5
    assert rounds_per_process(lines, Protocol()) == pytest.approx(expected, rel=0.35)


def test_rounds_stay_within_their_limits():
    """States that differ much between processes ask for the fewest rounds, none that differ for the most."""
    protocol = Protocol()
    assert rounds_per_process(cells({"naive": 1.0}, spread=1.0), protocol) == protocol.minimum_rounds
    assert (
        rounds_per_process(cells({"naive": 1.0}, spread=0.0, within=0.3, phase_s=30.0), protocol)
        == protocol.maximum_rounds
    )


def test_rounds_are_not_guessed_from_too_few_processes():
    """Four processes tell nothing of the variance between processes; a call timed once has no rounds."""
    assert rounds_per_process(cells({"naive": 1.0}, processes=4), Protocol()) is None
    assert rounds_per_process(cells({"naive": 1.0}, rounds=1), Protocol()) is None


MARGIN = math.log1p(0.02)
UNTIL = Replication((8, 12, 18, 27, 40, 60), UNTIL_DECIDED, precision=0.02, margin=0.02)


def test_a_ratio_is_decided_when_it_is_told_from_the_margin():
    """Inside and beyond are decided; across an end, too wide, or in too few processes is not."""
    spread = [0.002 * number for number in range(-4, 5)]
    assert is_decided(spread, UNTIL)
    assert is_decided([value + 0.05 for value in spread], UNTIL)
    assert not is_decided([value - 0.018 for value in spread], UNTIL)
    assert not is_decided([4 * value + 0.5 for value in spread], UNTIL)
    assert not is_decided(spread[:6], UNTIL)


def decided(values, confidence):
    """Return the interval at which a comparison ends."""
    rule = Replication(UNTIL.looks, confidence, precision=0.02, margin=0.02)
    count = next((look for look in rule.looks if is_decided(values[:look], rule)), rule.most)
    return sign_interval(values[:count], confidence)


def covered(shape, truth, confidence, trials=300):
    """Return how many intervals hold the true ratio, and how many say wrongly that it is within the margin."""
    values = draw(shape, np.random.default_rng(SHAPES.index(shape)), (trials, UNTIL.most))
    ends = [decided(one, confidence) for one in (values - true_median(shape) + truth).tolist()]
    held = sum(low <= truth <= high for low, high in ends)
    return held / trials, sum(low > -MARGIN and high < MARGIN for low, high in ends) / trials


@pytest.mark.parametrize("shape", SHAPES)
def test_ending_when_it_is_decided_covers(shape):
    """With 98.5 % at each look the interval holds about 94 % of ratios that lie at the margin, the hardest of all."""
    held, wrong = covered(shape, MARGIN, UNTIL_DECIDED)
    assert held >= 0.92
    assert wrong <= 0.06


def test_ending_when_it_is_decided_needs_the_higher_level():
    """The control: the level of the other efforts would not cover them."""
    assert covered("skewed", MARGIN, EFFORTS["standard"].confidence)[0] < 0.9
