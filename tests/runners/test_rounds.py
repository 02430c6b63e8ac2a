"""Warm-up, batches and rounds on a clock that stands still until a call moves it."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners import clocks
from runners.clocks import Covariates
from runners.rounds import Protocol, Subject, choose_batches, round_orders, run_rounds, warm_up


class Clock:
    """A clock that only calls move."""

    def __init__(self):
        self.time_ns = 0

    def __call__(self):
        return self.time_ns

    def taking(self, *times_ns):
        """Return a call that takes these times in turn, the last one for ever."""
        left = list(times_ns)

        def call():
            self.time_ns += left.pop(0) if len(left) > 1 else left[0]
            return "answer"

        return call


class Quiet(Covariates):
    """Says that nothing happened, or what a test wants to have happened."""

    def __init__(self, dirty=()):
        super().__init__(1)
        self.available, self.number, self.dirty = True, -1, set(dirty)

    def read(self):
        return 0, 0, 0

    def is_clean(self, *_):
        self.number += 1
        return self.number not in self.dirty


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(clocks, "now", found)
    return found


def test_warm_up_stops_when_two_windows_agree(clock):
    """A call that settles after five calls is steady after the two windows that follow."""
    subject = Subject(clock.taking(*[50_000_000] * 5, 10_000_000))
    warm_up(subject, Protocol())
    assert subject.typical_ns == 10_000_000
    assert subject.flags == []
    assert clock.time_ns <= 1_000_000_000


def test_warm_up_flags_what_never_settles(clock):
    """A call that gets slower for ever is flagged and kept."""
    subject = Subject(clock.taking(*range(10_000_000, 100_000_000, 1_000_000)))
    warm_up(subject, Protocol())
    assert subject.flags == ["not_steady"]


def test_a_long_call_gets_no_warm_up_and_one_round(clock):
    """A call known to be long is not called before its single sample."""
    subject = Subject(clock.taking(600_000_000), long=True)
    warm_up(subject, Protocol())
    assert clock.time_ns == 0
    run_rounds([subject], Protocol(), Quiet(), random.Random(0))
    assert subject.time_ns == [600_000_000]


def test_a_call_found_to_be_long_ends_its_warm_up(clock):
    """A call above half a second is called once in warm-up, then measured once."""
    subject = Subject(clock.taking(700_000_000))
    warm_up(subject, Protocol())
    run_rounds([subject], Protocol(), Quiet(), random.Random(0))
    assert len(subject.time_ns) == 1


def test_only_short_samples_are_batched_and_alike(clock):
    """Samples below 200 µs are batched to a millisecond, all variants alike."""
    subjects = [
        Subject(clock.taking(10_000), typical_ns=10_000),
        Subject(clock.taking(30_000), typical_ns=30_000),
    ]
    choose_batches(subjects, Protocol())
    assert [subject.batch for subject in subjects] == [128, 128]
    slow = [Subject(clock.taking(1), typical_ns=200_000), Subject(clock.taking(1), typical_ns=900_000)]
    choose_batches(slow, Protocol())
    assert [subject.batch for subject in slow] == [1, 1]


def test_unequal_batches_are_flagged(clock):
    """Where the slowest would take too long in the batch of the fastest, batches differ and say so."""
    subjects = [Subject(clock.taking(1), typical_ns=1_000), Subject(clock.taking(1), typical_ns=1_000_000)]
    choose_batches(subjects, Protocol())
    assert [subject.batch for subject in subjects] == [1024, 1]
    assert all("unequal_batch" in subject.flags for subject in subjects)


def test_times_are_exact_for_the_batch(clock):
    """A sample holds the time of all calls of its batch."""
    subject = Subject(clock.taking(10_000), typical_ns=10_000)
    run_rounds([subject], Protocol(), Quiet(), random.Random(0), rounds=3)
    assert subject.batch == 128
    assert subject.time_ns == [1_280_000] * 3


def test_the_window_decides_the_rounds(clock):
    """A quarter of a second for each subject, between 12 and 400 rounds."""
    for typical_ns, expected in ((1_000_000, 250), (100_000_000, 12), (300_000, 400)):
        subject = Subject(clock.taking(typical_ns), typical_ns=typical_ns)
        run_rounds([subject], Protocol(), Quiet(), random.Random(0))
        assert len(subject.time_ns) == expected


def test_the_window_is_widened_once_then_the_process_is_contended(clock):
    """Too few clean rounds double the window; still too few are flagged, and all samples are kept."""
    subject = Subject(clock.taking(50_000_000), typical_ns=50_000_000)
    run_rounds([subject], Protocol(), Quiet(dirty=range(1000)), random.Random(0))
    assert len(subject.time_ns) == 24
    assert subject.flags == ["contended"]
    better = Subject(clock.taking(50_000_000), typical_ns=50_000_000)
    run_rounds([better], Protocol(), Quiet(dirty=range(8)), random.Random(0))
    assert len(better.time_ns) == 24
    assert better.flags == []


@given(st.integers(2, 6), st.integers(0, 1000))
def test_orders_balance_positions(count, seed):
    """In a block of rounds each subject takes each position equally often."""
    orders = round_orders(count, random.Random(seed))
    for position in range(count):
        taken = Counter(order[position] for order in orders)
        assert set(taken.values()) == {2}
        assert set(taken) == set(range(count))


@given(st.integers(2, 6), st.integers(0, 1000))
def test_orders_balance_neighbours(count, seed):
    """Each ordered pair of neighbours is mirrored as often."""
    pairs = Counter(pair for order in round_orders(count, random.Random(seed)) for pair in pairwise(order))
    assert all(pairs[(a, b)] == pairs[(b, a)] for a, b in pairs)


def test_two_variants_come_as_abba():
    """For two variants the block is A B, B A, and their mirror images."""
    orders = round_orders(2, random.Random(1))
    assert sorted(map(tuple, orders)) == [(0, 1), (0, 1), (1, 0), (1, 0)]
