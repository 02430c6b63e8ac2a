"""Measuring inside one process: warm-up until steady, batches, balanced random rounds.

Runs in the worker: standard library only.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from runners import clocks
from runners.clocks import Covariates, probe, time_calls

__all__ = ["Protocol", "Subject", "choose_batches", "round_orders", "run_rounds", "sample", "warm_up"]


#: Rounds may be shorter than the noise probe: it runs at most this often, and rounds in between share its time.
_PROBE_EVERY_NS = 20_000_000


@dataclass(frozen=True)
class Protocol:
    """The parameters of measuring, all recorded with the run."""

    window_ns: int = 250_000_000
    warm_up_calls: int = 3
    warm_up_ns: int = 100_000_000
    warm_up_limit_ns: int = 1_000_000_000
    steady_window: int = 10
    steady_tolerance: float = 0.02
    batch_below_ns: int = 200_000
    batch_target_ns: int = 1_000_000
    batch_limit_ns: int = 50_000_000
    minimum_rounds: int = 12
    maximum_rounds: int = 400
    minimum_clean: int = 10
    long_call_ns: int = 500_000_000


@dataclass
class Subject:
    """A variant that is ready to be called, and what is recorded of it."""

    call: Callable[[], Any]
    before: Callable[[], None] | None = None
    filtered: bool = True
    #: times on a device in its own way (:class:`runners.device_timing.Timer`)
    timer: Any = None
    batch: int = 1
    typical_ns: float = 0.0
    long: bool = False
    returned: Any = None
    time_ns: list[int] = field(default_factory=list)
    cpu_ns: list[int] = field(default_factory=list)
    switches: list[int] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    clean: list[bool] = field(default_factory=list)
    probe_ns: list[int] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def _call_once(subject: Subject) -> int:
    subject.returned = None  # a fresh output must not find its predecessor still held
    if subject.before is not None:
        subject.before()
    elapsed, subject.returned = time_calls(subject.call, 1)
    return elapsed


def warm_up(subject: Subject, protocol: Protocol) -> None:
    """Call until two consecutive windows agree, at least thrice and 0.1 s, at most about a second.

    A call that takes longer than ``long_call_ns`` gets no warm-up.  What never settles is flagged ``not_steady`` and
    kept (Barrett et al., OOPSLA 2017: a steady state must be tested for, not assumed).
    """
    if subject.timer is not None:
        subject.timer.prepare()
        subject.typical_ns, subject.batch = subject.timer.typical_ns, subject.timer.batch
        return
    if subject.long:
        return
    times: list[int] = []
    start = clocks.now()
    window = protocol.steady_window
    while True:
        times.append(_call_once(subject))
        if times[-1] > protocol.long_call_ns:
            subject.long = True
            break
        elapsed = clocks.now() - start
        if len(times) >= protocol.warm_up_calls and elapsed >= protocol.warm_up_ns:
            if len(times) >= 2 * window and _is_steady(times, protocol):
                break
            if elapsed >= protocol.warm_up_limit_ns:
                if len(times) >= 2 * window:
                    subject.flags.append("not_steady")
                break
    subject.typical_ns = median(times[-window:])


def _is_steady(times: list[int], protocol: Protocol) -> bool:
    window = protocol.steady_window
    earlier, later = times[-2 * window : -window], times[-window:]
    middle = median(later)
    spread = median([abs(value - middle) for value in later])
    allowed = max(protocol.steady_tolerance * middle, 2 * spread / math.sqrt(window))
    return abs(middle - median(earlier)) <= allowed


def choose_batches(subjects: list[Subject], protocol: Protocol) -> None:
    """Give all subjects the batch that brings the fastest to the target; only samples below 200 µs are batched.

    Unequal batches bias a ratio, so they are used (and flagged) only where the slowest would take too long.  What a
    device times chooses its own.
    """
    subjects = [subject for subject in subjects if subject.timer is None]
    if not subjects:
        return
    fastest = min(subject.typical_ns for subject in subjects)
    if fastest >= protocol.batch_below_ns or any(subject.before for subject in subjects):
        return
    shared = _batch_for(fastest, protocol)
    if shared * max(subject.typical_ns for subject in subjects) <= protocol.batch_limit_ns:
        for subject in subjects:
            subject.batch = shared
        return
    for subject in subjects:
        if subject.typical_ns < protocol.batch_below_ns:
            subject.batch = _batch_for(subject.typical_ns, protocol)
        subject.flags.append("unequal_batch")


def _batch_for(call_ns: float, protocol: Protocol) -> int:
    return int(2 ** math.ceil(math.log2(protocol.batch_target_ns / max(call_ns, 1.0))))


def round_orders(count: int, rng: random.Random) -> list[list[int]]:
    """Return a block of orders in which each of ``count`` subjects takes each position equally often.

    A random permutation and its rotations, followed by the mirrored square, so that carry-over from one neighbour to
    the next balances as well: ABBA for two.
    """
    base = rng.sample(range(count), count)
    square = [base[shift:] + base[:shift] for shift in range(count)]
    return square + [list(reversed(order)) for order in square]


def _planned_rounds(subjects: list[Subject], protocol: Protocol) -> int:
    """Return the number of rounds that fills the window of every subject, within the limits."""
    round_ns = sum(subject.typical_ns * subject.batch for subject in subjects)
    wanted = protocol.window_ns * len(subjects) / max(round_ns, 1.0)
    return int(min(max(wanted, protocol.minimum_rounds), protocol.maximum_rounds))


def run_rounds(
    subjects: list[Subject],
    protocol: Protocol,
    covariates: Covariates,
    rng: random.Random,
    rounds: int | None = None,
    *,
    batched: bool = False,
) -> int:
    """Take the samples of all subjects in balanced random rounds, each with its noise probe.

    Long calls get one round.  Where disturbed rounds leave too few clean ones, the window is widened once.  Returns
    how many rounds were planned; ``batched`` says that the number of calls in a sample is chosen already.
    """
    long = [subject for subject in subjects if subject.long]
    short = [subject for subject in subjects if not subject.long]
    planned = 0
    if short:
        if not batched:
            choose_batches(short, protocol)
        planned = rounds or _planned_rounds(short, protocol)
        enough = min(protocol.minimum_clean, planned)
        _rounds(short, planned, covariates, rng, 0)
        if _clean_rounds(short) < enough:
            _rounds(short, planned, covariates, rng, planned)
        if _clean_rounds(short) < enough:
            for subject in short:
                subject.flags.append("contended")
    if long:
        _rounds(long, 1, covariates, rng, 0)
    return planned


def _clean_rounds(subjects: list[Subject]) -> int:
    dirty = {
        round_
        for subject in subjects
        for round_, clean in zip(subject.round, subject.clean, strict=True)
        if not clean and subject.filtered
    }
    return len({round_ for subject in subjects for round_ in subject.round} - dirty)


def _rounds(
    subjects: list[Subject], count: int, covariates: Covariates, rng: random.Random, first: int
) -> None:
    orders: list[list[int]] = []
    probe_ns, probed = probe(), clocks.now()
    for number in range(first, first + count):
        if not orders:
            orders = round_orders(len(subjects), rng)
        if clocks.now() - probed >= _PROBE_EVERY_NS:
            probe_ns, probed = probe(), clocks.now()
        for index in orders.pop():
            sample(subjects[index], covariates, number, probe_ns)


def sample(subject: Subject, covariates: Covariates, number: int, probe_ns: int) -> None:
    """Take one sample in round ``number``, with the causes of disturbance around it."""
    subject.returned = None
    if subject.before is not None:
        subject.before()
    if subject.timer is not None:
        time_ns, subject.returned, clean = subject.timer.read()
        subject.time_ns.append(time_ns)
        subject.round.append(number)
        subject.clean.append(clean)
        return
    cpu_before, switches_before, delay_before = covariates.read()
    wall_ns, subject.returned = time_calls(subject.call, subject.batch)
    cpu_after, switches_after, delay_after = covariates.read()
    cpu_ns, switches = cpu_after - cpu_before, switches_after - switches_before
    subject.time_ns.append(wall_ns)
    subject.cpu_ns.append(cpu_ns)
    subject.switches.append(switches)
    subject.round.append(number)
    subject.probe_ns.append(probe_ns)
    clean = not subject.filtered or covariates.is_clean(wall_ns, cpu_ns, switches, delay_after - delay_before)
    subject.clean.append(clean)
