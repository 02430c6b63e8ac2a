"""Timing on a device whose clock the test sets: plug, bubbles, graphs, cold and hot, clocks that fall."""

import random
from typing import Any

import pytest

from runners import clocks
from runners.device_timing import ChainTimer, DeviceMethod, EventTimer
from runners.rounds import Protocol, Subject, run_rounds, warm_up
from tests.runners.fake_device import FakeDevice


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    found = FakeDevice()
    monkeypatch.setattr(clocks, "now", found.now)
    return found


def timer(device: FakeDevice, hot_ns: float, cold_ns: float, *, cold: bool, copies: int = 0) -> EventTimer:
    def sleep(seconds: float) -> None:
        device.host_ns += seconds * 1e9

    others = [device.kernel(hot_ns, cold_ns, number + 1) for number in range(copies)]
    return EventTimer(device, device.kernel(hot_ns, cold_ns), cold, lambda: others, sleep=sleep)


def test_a_cold_sample_is_one_launch_after_the_cache_was_written_over(device: FakeDevice) -> None:
    """Above 50 µs: the time of one call that finds nothing in the cache, exactly."""
    found = timer(device, 100_000, 140_000, cold=True)
    found.prepare()
    assert found.batch == 1
    assert [found.read() for _ in range(3)] == [(140_000, "answer", True)] * 3
    assert device.flushes == 3


def test_a_hot_sample_is_a_run_of_calls_on_the_same_arrays(device: FakeDevice) -> None:
    """The calls of a hot sample take half a millisecond together, and no time of the host is in it."""
    found = timer(device, 100_000, 140_000, cold=False)
    found.prepare()
    found.read()  # the plug may have to grow first
    time_ns, _, fine = found.read()
    assert fine
    assert found.batch == 5
    assert time_ns / found.batch == pytest.approx(100_000, rel=0.001)
    assert device.flushes == 0


@pytest.mark.parametrize("cold", [False, True])
def test_short_calls_go_into_a_graph(device: FakeDevice, cold: bool) -> None:
    """Below 50 µs a sample is a graph of at least a millisecond; a cold one runs over copies larger than the cache."""
    found = timer(device, 4_000, 7_000, cold=cold, copies=300)
    found.prepare()
    time_ns, returned, fine = found.read()
    assert (returned, fine) == ("answer", True)
    assert found.facts()["way"] == "graph"
    assert found.batch >= (301 if cold else 250)
    assert time_ns >= 1_000_000
    assert time_ns / found.batch == pytest.approx(7_000 if cold else 4_000, rel=0.01)
    assert found.flags == []
    assert device.flushes == 0


def test_a_graph_that_is_not_linear_is_flagged(device: FakeDevice) -> None:
    """Twice as many calls must take twice as long within 1 %: a constant cost would be part of the time."""
    device.replay_overhead_ns = 50_000
    found = timer(device, 4_000, 4_000, cold=False)
    found.prepare()
    assert "not_linear" in found.flags


def test_what_cannot_be_recorded_is_launched(device: FakeDevice) -> None:
    """A library that refuses to be recorded is timed by launches behind the plug, and says so."""
    device.can_record = False
    found = timer(device, 10_000, 10_000, cold=False)
    found.prepare()
    for _ in range(3):
        time_ns, _, fine = found.read()
    assert fine
    assert "no_graph" in found.flags
    assert "not permitted" in found.facts()["way"]
    assert time_ns / found.batch == pytest.approx(10_000, rel=0.01)


def test_without_a_plug_the_bubble_is_seen(device: FakeDevice) -> None:
    """Where nothing keeps the device busy, the start is passed before the end is enqueued: no such sample counts."""
    device.plugged = False
    found = timer(device, 100_000, 100_000, cold=True)
    found.prepare()
    device.enqueue_ns = 200_000  # even the flush is over before the host comes to the call
    _, _, fine = found.read()
    assert not fine
    assert found.flags == ["late_host"]
    assert found.bubbles == DeviceMethod().retakes


def test_a_plug_that_is_too_short_is_doubled(device: FakeDevice) -> None:
    """A host that has become slow costs some samples, then the plug is long enough and the time is the device's."""
    found = timer(device, 100_000, 100_000, cold=True)
    found.prepare()
    before = found.plug_cycles
    device.enqueue_ns = 150_000
    time_ns, _, fine = found.read()
    assert (time_ns, fine) == (100_000, True)
    assert found.bubbles >= 1
    assert found.plug_cycles > before


def test_a_spin_of_n_cycles_takes_n_cycles(device: FakeDevice) -> None:
    """The time of a kernel that spins for exactly N cycles is N / clock within 1 % (V12)."""
    device.khz, device.default_khz = 1_410_000.0, 1_410_000

    def spin() -> None:
        device.spin(2_000_000)

    found = EventTimer(device, spin, cold=True)
    found.prepare()
    time_ns, _, _ = found.read()
    assert time_ns == pytest.approx(2_000_000 / 1.41, rel=0.01)
    assert time_ns * found.clocks_khz[-1] / 1e6 == pytest.approx(2_000_000, rel=0.01)


def test_samples_at_a_low_clock_are_taken_again(device: FakeDevice) -> None:
    """Below 75 % of the default clock a sample is thrown away and the device rests; the clock of each is kept."""
    found = timer(device, 100_000, 100_000, cold=True)
    found.prepare()
    device.khz = 700_000
    rested: list[float] = []

    def rest(seconds: float) -> None:
        rested.append(seconds)
        device.host_ns += seconds * 1e9
        if len(rested) == 3:
            device.khz = 900_000

    found.sleep = rest
    time_ns, _, fine = found.read()
    assert fine
    assert (found.slow, rested) == (3, [0.1, 0.2, pytest.approx(0.3)])
    assert time_ns == pytest.approx(100_000 / 0.9, abs=1)
    assert found.facts()["sm_clock_khz"] == [900_000]


def test_a_clock_that_stays_low_is_kept_and_marked(device: FakeDevice) -> None:
    """After ten tries the sample is kept, not clean, and the measurement flagged: nothing is dropped in silence."""
    found = timer(device, 100_000, 100_000, cold=True)
    found.prepare()
    device.khz = 600_000
    _, _, fine = found.read()
    assert not fine
    assert found.flags == ["low_clock"]


def test_warm_up_waits_for_the_clock(device: FakeDevice) -> None:
    """A clock that still rises prolongs the warm-up; one that never settles is flagged after three seconds."""
    found = timer(device, 100_000, 100_000, cold=True)
    start = device.host_ns
    found.prepare()
    assert 0.5e9 <= device.host_ns - start <= 0.8e9
    assert found.flags == []
    kernel = found.call

    def drifting() -> Any:
        device.khz *= 0.99999
        return kernel()

    other = EventTimer(device, drifting, cold=True)
    start = device.host_ns
    other.prepare()
    assert other.flags == ["not_steady"]
    assert 3e9 <= device.host_ns - start <= 3.5e9


def test_a_device_that_was_idle_is_warmed_again(device: FakeDevice) -> None:
    """After more than 100 ms of rest the kernel runs for 100 ms before the next sample."""
    found = timer(device, 100_000, 100_000, cold=True)
    found.prepare()
    found.read()
    device.host_ns += 500_000_000
    before = device.free_ns
    found.read()
    assert device.free_ns - before > 600_000_000


def test_energy_of_a_call_is_that_of_a_window(device: FakeDevice) -> None:
    """300 W for 100 µs are 30 mJ a call."""
    device.millijoules_per_ns = 300 * 1000 / 1e9
    found = timer(device, 100_000, 100_000, cold=True)
    found.prepare()
    assert found.facts()["energy_j"] == pytest.approx(0.03, rel=0.02)


def test_rounds_take_samples_of_a_timer(device: FakeDevice) -> None:
    """A subject with a timer is warmed up and sampled by it, and has no covariates of the host."""
    subject = Subject(lambda: None, timer=timer(device, 100_000, 140_000, cold=True))
    warm_up(subject, Protocol())
    run_rounds([subject], Protocol(), clocks.Covariates(1), random.Random(0), rounds=5)
    assert subject.time_ns == [140_000] * 5
    assert subject.clean == [True] * 5
    assert subject.round == [0, 1, 2, 3, 4]
    assert subject.cpu_ns == subject.switches == subject.probe_ns == []


def test_a_long_call_on_a_device_is_sampled_once(device: FakeDevice) -> None:
    """A call known to take seconds still gets its plug and its one sample."""
    subject = Subject(lambda: None, timer=timer(device, 2e9, 2e9, cold=True), long=True)
    warm_up(subject, Protocol())
    run_rounds([subject], Protocol(), clocks.Covariates(1), random.Random(0))
    assert subject.time_ns == [2_000_000_000]


def test_a_further_turn_keeps_what_was_chosen(device: FakeDevice) -> None:
    """A process that has several turns keeps its batch, and the clocks of all its samples stay in their order."""
    found = timer(device, 4_000, 4_000, cold=False)
    subject = Subject(lambda: None, timer=found)
    for khz in (1_000_000, 990_000):
        device.khz = khz
        warm_up(subject, Protocol())
        run_rounds([subject], Protocol(), clocks.Covariates(1), random.Random(0), rounds=2)
    assert subject.batch == found.batch
    assert found.clocks_khz == [1_000_000] * 2 + [990_000] * 2
    assert len(subject.time_ns) == 4


class Chain:
    """Calls that take ``each_ns``, and a wait that takes ``wait_ns``."""

    def __init__(self, device: FakeDevice, each_ns: float, wait_ns: float, bend: float = 0.0) -> None:
        self.device, self.each_ns, self.wait_ns, self.bend = device, each_ns, wait_ns, bend

    def __call__(self, count: int) -> str:
        self.device.host_ns += self.wait_ns + self.each_ns * count * (1 + self.bend * count)
        return "answer"


def test_a_chain_takes_the_wait_off(device: FakeDevice) -> None:
    """The slope of k and 2·k calls is the time of a call, whatever the wait costs; the chain lasts 5 ms."""
    found = ChainTimer(Chain(device, 70_000, 400_000))
    found.prepare()
    time_ns, returned, fine = found.read()
    assert (returned, fine) == ("answer", True)
    assert found.batch == 128
    assert time_ns / found.batch == pytest.approx(70_000, rel=0.001)
    assert found.facts()["wait_ns"] == pytest.approx(400_000, rel=0.01)
    assert found.flags == []


def test_a_chain_that_is_not_linear_is_flagged(device: FakeDevice) -> None:
    """Four times as many calls must take as long as the slope says within 1 %."""
    found = ChainTimer(Chain(device, 70_000, 0, bend=0.001))
    found.prepare()
    assert found.flags == ["not_linear"]
