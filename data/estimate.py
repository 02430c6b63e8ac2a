"""Estimates from raw samples: the process is the unit of replication.

The model is ``ln t[v,p,r] = mu_v + b_p + g_vp + u_pr + e_vpr`` for variant v, process p and round r.  One process gives
one number (the median of the logarithms of its times), and intervals are taken over processes: samples of one process
share its memory layout and its minute, and are no independent replicates (Kalibera and Jones, ISMM 2013).
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from statistics import median

import numpy as np

from data.records import Samples
from data.words import Verdict

__all__ = [
    "MARGIN",
    "MINIMUM_CLEAN",
    "Comparison",
    "Estimate",
    "Timings",
    "estimate",
    "judge",
    "minimum_processes",
    "noise_floor",
    "paired_log_ratio",
    "process_log_time",
    "processes_needed",
    "ratio",
    "sign_interval",
    "sign_test",
]

#: A ratio within this share of 1 is "the same" for practical purposes.
MARGIN = 0.02
#: With fewer clean samples than this, a process counts as contended and all of its samples are used.
MINIMUM_CLEAN = 10


@cache
def _order_statistic(n: int, alpha: float) -> tuple[int, float]:
    """Rank k and interpolation weight of the Hettmansperger-Sheather interval for n values at level 1 - alpha."""
    if 1 / 2**n > alpha / 2:
        needed = minimum_processes(1 - alpha)
        raise ValueError(f"{n} values cannot give a {1 - alpha:.0%} interval; {needed} are needed")
    k, ways, tail, next_tail = 0, 1, 0, 1  # tails count outcomes of 2^n: P(Bin <= k - 1) and P(Bin <= k)
    while k < n // 2 and next_tail / 2**n <= alpha / 2:
        k, ways = k + 1, ways * (n - k) // (k + 1)
        tail, next_tail = next_tail, next_tail + ways
    gamma, gamma_next = 1 - 2 * tail / 2**n, 1 - 2 * next_tail / 2**n
    share = (gamma - (1 - alpha)) / (gamma - gamma_next)
    return k, (n - k) * share / (k + (n - 2 * k) * share)


@cache
def minimum_processes(confidence: float = 0.95) -> int:
    """Return the least number of values from which :func:`sign_interval` can be had (6 for 95 %, 7 for 97 %)."""
    n = 1
    while 2.0 ** (1 - n) > 1 - confidence:
        n += 1
    return n


def sign_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return a distribution-free confidence interval for the median of ``values``.

    The interpolated sign interval of Hettmansperger and Sheather (Statistics & Probability Letters 4, 1986, 75-79).
    Pass logarithms to get an interval for a typical time or ratio.

    Raises ``ValueError`` when a value is not finite, ``confidence`` is not inside (0, 1), or there are too few values
    for the level (6 are needed for 95 %).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    ordered = sorted(map(float, values))
    if not all(map(math.isfinite, ordered)):
        raise ValueError("an interval needs finite values; found NaN or infinity")
    n = len(ordered)
    # 12 digits keep 1 - 0.95 from being a hair above 0.05, which would change the rank at n = 6.
    k, weight = _order_statistic(n, round(1 - confidence, 12))
    low = (1 - weight) * ordered[k - 1] + weight * ordered[k]
    high = (1 - weight) * ordered[n - k] + weight * ordered[n - k - 1]
    return low, high


def sign_test(values: Sequence[float]) -> float:
    """Return the two-sided probability of values this one-sided if their median were 0 (exact sign test).

    Zeros say nothing and are left out; without any other value it is 1.
    """
    above, below = sum(value > 0 for value in values), sum(value < 0 for value in values)
    n = above + below
    tail = sum(math.comb(n, k) for k in range(min(above, below) + 1))
    return float(min(1.0, 2 * tail / 2**n))


@dataclass(frozen=True)
class Estimate:
    """A typical value in a fresh process, with its interval where there are enough processes."""

    value: float
    low: float | None
    high: float | None
    processes: int


@dataclass(frozen=True)
class Comparison:
    """A ratio new/old with its interval and what it means.

    ``p_value`` is the probability of processes this one-sided if nothing had changed; see :mod:`data.family`.
    """

    ratio: float
    low: float | None
    high: float | None
    processes: int
    verdict: Verdict
    differs: bool
    needs_processes: int | None
    p_value: float = 1.0
    #: the same ratio in cycles of a device's clock, where every sample tells its clock rate
    cycle_ratio: float | None = None


class Timings:
    """The samples of many processes as columns, so that thousands are put in order at once.

    ``clean_counts`` holds the number of clean samples of each process.  Raises ``ValueError`` for a process without
    a sample.
    """

    def __init__(self, processes: Sequence[Samples]) -> None:
        """Take the samples of ``processes``; where none says what is clean, all of them are."""
        self._processes = processes
        lengths = [len(one.time_ns) for one in processes]
        if not all(lengths):
            raise ValueError("a process without samples has no time")
        times_ns = chain.from_iterable([one.time_ns for one in processes])
        clean = [bytes(one.clean) or b"\1" * length for one, length in zip(processes, lengths, strict=True)]
        self._lengths = np.array(lengths, np.int64)
        self._times_ns = np.frombuffer(struct.pack(f"{sum(lengths)}q", *times_ns), np.int64)
        self._clean = np.frombuffer(b"".join(clean), np.bool_)
        self.clean_counts: list[int] = _sums(self._clean, self._lengths).tolist()

    def log_times(self, *, filtered: bool = True) -> list[float]:
        """Return the median of ln(ns per call) over the clean samples of each process.

        With fewer than ``MINIMUM_CLEAN`` clean samples all are used; ``filtered=False`` ignores the filter.
        """
        times_ns, lengths = self._times_ns, self._lengths
        if filtered:
            enough = np.array(self.clean_counts) >= MINIMUM_CLEAN
            used = self._clean | np.repeat(~enough, lengths)
            times_ns, lengths = times_ns[used], _sums(used, lengths)
        middles = _values_at(times_ns, lengths, np.column_stack([(lengths - 1) // 2, lengths // 2]))
        log = math.log
        found = [  # order is the same before and after taking logarithms, so those of the middle are enough
            log(lower or 1) if lower == upper else (log(lower or 1) + log(upper or 1)) / 2
            for lower, upper in middles.tolist()
        ]
        return [
            middle if one.batch == 1 else middle - log(one.batch)
            for middle, one in zip(found, self._processes, strict=True)
        ]

    def quantiles(self, groups: Sequence[int], shares: Sequence[float]) -> list[list[int]]:
        """Return the times at ``shares`` of the ordered samples of so many processes each, clean or not, in ns."""
        lengths = _sums(self._lengths, np.array(groups, np.int64))
        ranks = (np.array(shares) * lengths[:, None]).astype(np.int64)
        found: list[list[int]] = _values_at(self._times_ns, lengths, ranks).tolist()
        return found


def _sums(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the sum of each stretch of ``values``; no stretch is empty."""
    begins = np.cumsum(lengths) - lengths
    return np.add.reduceat(values, begins, dtype=np.int64) if len(lengths) else lengths


def _values_at(values: np.ndarray, lengths: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return what stands at the given ranks (from 0) of each stretch of ``values`` once it is in order.

    Stretches of similar length are put in order together, as rows of a matrix.
    """
    found = np.empty(ranks.shape, np.int64)
    sizes = np.frexp(lengths)[1]  # so that no row is twice as long as its neighbour
    for size in np.unique(sizes):
        chosen = sizes == size
        width = lengths[chosen].max()
        matrix = np.full((np.count_nonzero(chosen), width), np.iinfo(np.int64).max)
        inside = np.arange(width) < lengths[chosen, None]
        matrix[inside] = values[np.repeat(chosen, lengths)]  # beyond its end, a row stays at the maximum
        matrix.sort(axis=1)
        found[chosen] = np.take_along_axis(matrix, ranks[chosen], axis=1)
    return found


def process_log_time(samples: Samples, *, filtered: bool = True) -> float:
    """Return the median of ln(ns per call) over the clean samples of one process (see :class:`Timings`).

    Raises ``ValueError`` if there is no sample.
    """
    return Timings([samples]).log_times(filtered=filtered)[0]


def paired_log_ratio(new: Samples, old: Samples, *, filtered: bool = True) -> float:
    """Return the median over common rounds of ln(new time / old time) within one process.

    What the process and the round do to both cancels.  A round counts as clean if both of its calls are; with fewer
    than ``MINIMUM_CLEAN`` clean rounds all are used.  Raises ``ValueError`` if no round is common.
    """
    old_at = {round_: index for index, round_ in enumerate(old.round)}
    pairs = [(index, old_at[round_]) for index, round_ in enumerate(new.round) if round_ in old_at]
    if not pairs:
        raise ValueError("the two variants share no round")
    batches = math.log(new.batch) - math.log(old.batch)
    ratios = [math.log(max(new.time_ns[i], 1)) - math.log(max(old.time_ns[j], 1)) - batches for i, j in pairs]
    if filtered and new.clean and old.clean:
        clean = [value for value, (i, j) in zip(ratios, pairs, strict=True) if new.clean[i] and old.clean[j]]
        if len(clean) >= MINIMUM_CLEAN:
            ratios = clean
    return median(ratios)


def estimate(log_values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Return exp(median) of per-process logarithms with its interval, which is absent where processes are too few."""
    if not log_values:
        raise ValueError("an estimate needs at least one process")
    low = high = None
    if len(log_values) >= minimum_processes(confidence):
        low, high = (math.exp(end) for end in sign_interval(log_values, confidence))
    return Estimate(math.exp(median(log_values)), low, high, len(log_values))


def noise_floor(twins: Sequence[tuple[Samples, Samples]], confidence: float = 0.95) -> float | None:
    """Return how far from 1 the ratio of a call to itself lies here, as a share, from A/A pairs of several processes.

    It is the end of the interval of the ratio that is farther from 1: what a comparison of this size of run shows
    when nothing has changed.  None where there are too few processes.
    """
    logs = [paired_log_ratio(one, other) for one, other in twins]
    if len(logs) < minimum_processes(confidence):
        return None
    low, high = sign_interval(logs, confidence)
    return math.expm1(max(abs(low), abs(high)))


def judge(low: float | None, high: float | None, margin: float = MARGIN) -> tuple[Verdict, bool]:
    """Return the verdict on an interval of new/old, and whether it excludes 1.

    Wholly inside [1/(1+m), 1+m] is *same*; else wholly above 1 *slower*, wholly below 1 *faster*; else
    *inconclusive*, as is a ratio without an interval.
    """
    if low is None or high is None:
        return Verdict.INCONCLUSIVE, False
    differs = low > 1 or high < 1
    if 1 / (1 + margin) <= low and high <= 1 + margin:
        return Verdict.SAME, differs
    if low > 1:
        return Verdict.SLOWER, True
    if high < 1:
        return Verdict.FASTER, True
    return Verdict.INCONCLUSIVE, False


def processes_needed(low: float, high: float, processes: int, margin: float = MARGIN) -> int:
    """Return about how many processes would narrow the interval to the margin: P' = P (half-width / margin)^2."""
    half_width = (math.log(high) - math.log(low)) / 2
    return max(processes + 1, math.ceil(processes * (half_width / math.log1p(margin)) ** 2))


def ratio(log_ratios: Sequence[float], confidence: float = 0.95, margin: float = MARGIN) -> Comparison:
    """Return the comparison that per-process logarithms of new/old support."""
    found = estimate(log_ratios, confidence)
    verdict, differs = judge(found.low, found.high, margin)
    needs = None
    if verdict is Verdict.INCONCLUSIVE:
        if found.low is not None and found.high is not None:
            needs = processes_needed(found.low, found.high, found.processes, margin)
        else:
            needs = minimum_processes(confidence)
    return Comparison(
        found.value, found.low, found.high, found.processes, verdict, differs, needs, sign_test(log_ratios)
    )
