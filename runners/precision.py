"""When a case has been measured enough, and how long one process should stay at it.

Both follow Kalibera and Jones (ISMM 2013): replicate where the variance arises.  A case is judged at planned looks
only; between looks nothing is decided, for stopping whenever it looks good would cost coverage.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median, pvariance, variance

from data.compare import paired_logs
from data.estimate import minimum_processes, process_log_time, sign_interval
from data.records import Samples
from data.summary import Key, Measured
from runners.protocol import Replication
from runners.rounds import Protocol

__all__ = ["finished", "is_decided", "rounds_per_process", "spent_s"]

Cells = Mapping[Key, Sequence[Measured]]

#: Variances between processes below this one are not told apart from none: 0.01 % of a time.
_LEAST_VARIANCE = 1e-8
#: Processes after which the variances are known well enough to choose the number of rounds.
_FIRST_PROCESSES = 5


def finished(cells: Cells, blocks: Mapping[int, int], replication: Replication) -> set[Key]:
    """Return which variants of one case (with one thread count) need no further process.

    Ratios are what people ask for and what pairing makes cheap, so a variant is done when the interval of its ratio
    to the first variant is no wider than the wished precision either way, and the first when all others are.  A
    variant that is alone is done when the interval of its time is that narrow.  When the case has had its budget of
    seconds, all are done.  ``blocks`` gives the block of each process.
    """
    timed = {
        key: [line for line in lines if line.samples and line.samples.time_ns] for key, lines in cells.items()
    }
    timed = {key: lines for key, lines in timed.items() if lines}
    if replication.budget_s is not None and spent_s(timed) >= replication.budget_s:
        return set(timed)
    if replication.precision is None or not timed:
        return set()
    first, *others = timed
    if not others:
        logs = [process_log_time(line.samples) for line in timed[first] if line.samples]
        return {first} if _narrow(logs, replication) else set()
    done = {key for key in others if _narrow(paired_logs(timed[key], timed[first], blocks)[1], replication)}
    return done | ({first} if len(done) == len(others) else set())


def is_decided(logs: Sequence[float], replication: Replication) -> bool:
    """Say whether a ratio is known as well as wished: on one side of each end of the margin, and narrow enough.

    A ratio near 1 is then the same; one that chance put beside 1 goes on until it is within the margin or beyond it.
    """
    interval = _narrow(logs, replication)
    if interval is None:
        return False
    low, high = interval
    end = math.log1p(replication.margin or 0.0)
    return not any(low <= edge <= high for edge in (-end, end))


def _narrow(logs: Sequence[float], replication: Replication) -> tuple[float, float] | None:
    """Return the interval of these logarithms if it is no wider than the wished precision either way, else None."""
    assert replication.precision is not None
    if len(logs) < minimum_processes(replication.confidence):
        return None
    low, high = sign_interval(logs, replication.confidence)
    return (low, high) if (high - low) / 2 <= math.log1p(replication.precision) else None


def spent_s(cells: Cells) -> float:
    """Return the seconds that the case took so far; the variants of one process share its phases."""
    phases = {line.process: _phase_s(line) for lines in cells.values() for line in lines}
    return sum(phases.values())


def _phase_s(line: Measured) -> float:
    return float(line.attributes.get("prepare_s", 0.0)) + float(
        line.attributes.get("load", {}).get("elapsed_s", 0.0)
    )


def rounds_per_process(cells: Cells, protocol: Protocol) -> int | None:
    """Return the number of rounds in which the next process buys most precision for its time, or None at first.

    r = √((c₂/c₁)·(T₁²/T₂²)) with the cost c₁ of a round and c₂ of all else in a process, and the variances T₁² of
    rounds within a process and T₂² between processes (Kalibera and Jones, section 5).  The variances are those of the
    logarithm of the ratio to the first variant, or of the time where a variant is alone.  Rounds that resemble their
    predecessors count for less: T₁² is that of independent rounds with the same effect on a mean.
    """
    processes = _processes(cells)
    if len(processes) < _FIRST_PROCESSES:
        return None
    round_s = fmean(
        sum(median(line.samples.time_ns) for line in lines if line.samples) * 1e-9 for lines in processes
    )
    rest_s = fmean(_phase_s(lines[0]) - _timed_s(lines) for lines in processes)
    best = [
        math.sqrt(max(rest_s, 0.0) / round_s * within / between)
        for within, between in _variances([_logs_of_rounds(lines) for lines in processes])
    ]
    wanted = round(max(best, default=0.0))
    return min(max(wanted, protocol.minimum_rounds), protocol.maximum_rounds)


def _processes(cells: Cells) -> list[list[Measured]]:
    """Return the lines of each process that timed all variants, in the same order everywhere."""
    by_process: dict[int | None, list[Measured]] = {}
    for lines in cells.values():
        for line in lines:
            if line.samples and len(line.samples.time_ns) > 1:
                by_process.setdefault(line.process, []).append(line)
    return [lines for lines in by_process.values() if len(lines) == len(cells)]


def _timed_s(lines: Sequence[Measured]) -> float:
    return sum(sum(line.samples.time_ns) for line in lines if line.samples) * 1e-9


def _logs_of_rounds(lines: Sequence[Measured]) -> list[list[float]]:
    """Return for each variant but the first the logarithm of its ratio to the first in each round."""
    logs = [_logs(line.samples) for line in lines if line.samples]
    if len(logs) == 1:
        return logs
    return [[a - b for a, b in zip(other, logs[0], strict=False)] for other in logs[1:]]


def _logs(samples: Samples) -> list[float]:
    return [math.log(max(time_ns, 1)) for time_ns in samples.time_ns]


def _variances(processes: Sequence[Sequence[Sequence[float]]]) -> list[tuple[float, float]]:
    """Return (T₁², T₂²) of each variant from its logarithms in each process."""
    found = []
    for histories in zip(*processes, strict=True):
        within = fmean(_effective_variance(logs) for logs in histories)
        rounds = fmean(len(logs) for logs in histories)
        between = variance([fmean(logs) for logs in histories]) - within / rounds
        found.append((within, max(between, _LEAST_VARIANCE)))
    return found


def _effective_variance(logs: Sequence[float]) -> float:
    """Return the variance that independent rounds with the same variance of the mean would have."""
    middle, spread = fmean(logs), pvariance(logs)
    if spread == 0:
        return 0.0
    neighbours = fmean((a - middle) * (b - middle) for a, b in pairwise(logs))
    correlation = min(max(neighbours / spread, 0.0), 0.9)
    return spread * (1 + correlation) / (1 - correlation)
