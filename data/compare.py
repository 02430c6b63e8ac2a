"""Comparing two measurements: paired in the rounds of one process, by neighbouring processes, or across runs.

Every comparison is new/old over processes, with the Hettmansperger-Sheather interval of the logarithms.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from data.cycles import heed_clock
from data.estimate import (
    MARGIN,
    Comparison,
    Timings,
    minimum_processes,
    paired_log_ratio,
    process_log_time,
    ratio,
)
from data.family import simultaneous
from data.records import Process
from data.summary import Document, Key, Measured, merge
from data.words import Status

__all__ = [
    "PAIRING",
    "Pair",
    "compare_runs",
    "compare_within",
    "confidence_of",
    "may_be_layout",
    "paired",
    "paired_logs",
    "sittings",
    "timed",
]

#: How the two sides met: in the rounds of one process, in adjacent processes, or in different runs.
PAIRING = ("rounds", "processes", "runs")


#: The level of an interval, unless the run's protocol needs a higher one.
_LEVEL = 0.95
#: Processes this far apart are of different sittings.
_APART = timedelta(hours=1)
#: How much of a change of the noise probe is taken off the ratio of neighbouring processes.  Fixed, so that an interval
#: holds whatever the probe does; fitted to each comparison it would cover 90 % only.  Between 0.4 and 1.2 was measured
#: for five kernels, and 0.6 narrows their intervals by a third.
_PROBE_SHARE = 0.6
#: A smaller difference may come from the layout of memory, unless it was seen in two sittings.
_LAYOUT = 0.01


@dataclass(frozen=True)
class Pair:
    """One comparison with what was compared, how the sides met, and at which level its interval holds."""

    new: Key
    old: Key
    pairing: str
    comparison: Comparison
    confidence: float


def timed(lines: Iterable[Measured]) -> list[Measured]:
    """Return the lines that hold samples, or none if any process says that the measurement cannot be compared."""
    held = list(lines)
    if any(line.status != Status.OK or "below_floor" in line.flags for line in held):
        return []
    return [line for line in held if line.samples is not None and line.samples.time_ns]


def _log_times(lines: Sequence[Measured]) -> list[float]:
    return Timings([line.samples for line in lines if line.samples is not None]).log_times()


def compare_runs(
    old: Document, new: Document, *, confidence: float | None = None, margin: float = MARGIN
) -> dict[Key, Comparison]:
    """Return new/old for each measurement that both runs have; ``confidence`` is that of the runs' protocols if None.

    Processes of different runs share nothing, so they are paired in the order in which they ran; any such pairing of
    independent processes gives a valid interval for the typical ratio, and this one is the same for everybody.
    """
    olds = {key: timed(lines) for key, lines in merge(old.lines).items()}
    news = {key: timed(lines) for key, lines in merge(new.lines).items()}
    found = {}
    for key, before in olds.items():
        after = news.get(key, [])
        differences = [b - a for a, b in zip(_log_times(before), _log_times(after), strict=False)]
        if differences:
            level = confidence or confidence_of((old, new), len(differences))
            found[key] = heed_clock(ratio(differences, level, margin), after, before)
    return found


def confidence_of(documents: Iterable[Document], pairs: int) -> float:
    """Return the level of an interval over so many pairs: higher where a planned look may have ended the run."""
    levels = [_LEVEL]
    for document in documents:
        protocol = document.run.protocol
        looks = protocol.get("looks") or [0]
        if pairs >= min(looks):
            levels.append(float(protocol.get("confidence", _LEVEL)))
    return max(levels)


def compare_within(
    document: Document,
    processes: Sequence[Process],
    new: Key,
    old: Key,
    *,
    comparisons: int = 1,
    margin: float = MARGIN,
) -> Pair | None:
    """Return new/old for two measurements of one run, or None where one of them has no time.

    Where both were in the same processes they are paired round by round; else the adjacent processes of each block are
    paired, which is marked, since a machine can change between them.

    A table holds several ``comparisons`` to one baseline: their intervals hold together at the level of the protocol
    (Bonferroni), where there are processes enough for that; otherwise each for itself, as ``confidence`` tells.
    """
    grouped = merge(document.lines)
    news, olds = timed(grouped.get(new, [])), timed(grouped.get(old, []))
    pairing, logs = paired_logs(news, olds, {process.index: process.block for process in processes})
    if not logs:
        return None
    alone = confidence_of((document,), len(logs))
    together = simultaneous(alone, comparisons)
    confidence = together if len(logs) >= minimum_processes(together) else alone
    return Pair(new, old, pairing, heed_clock(ratio(logs, confidence, margin), news, olds), confidence)


def paired_logs(
    news: Sequence[Measured], olds: Sequence[Measured], blocks: Mapping[int, int]
) -> tuple[str, list[float]]:
    """Return how the lines of two measurements met (``rounds`` or ``processes``), and ln(new/old) of each pair.

    ``blocks`` gives the block of each process: where no process has both, neighbours of one block are paired.
    """
    by_process = {line.process: line for line in olds}
    shared = [(line, by_process[line.process]) for line in news if line.process in by_process]
    if shared:
        return "rounds", [paired(after, before) for after, before in shared]
    by_block = {_block(line, blocks): line for line in olds}
    adjacent = [
        (line, by_block[block])
        for line in news
        if (block := _block(line, blocks)) is not None and block in by_block
    ]
    return "processes", [_adjacent(after, before) for after, before in adjacent]


def _adjacent(new: Measured, old: Measured) -> float:
    """Return ln(new/old) of neighbouring processes, less a share of what happened to the noise probe meanwhile."""
    difference = _log_times([new])[0] - _log_times([old])[0]
    if not new.samples or not old.samples or not new.samples.probe_ns or not old.samples.probe_ns:
        return difference
    moved = math.log(max(median(new.samples.probe_ns), 1)) - math.log(max(median(old.samples.probe_ns), 1))
    return difference - _PROBE_SHARE * moved


def _block(line: Measured, blocks: Mapping[int, int]) -> int | None:
    return None if line.process is None else blocks.get(line.process)


def sittings(processes: Iterable[Process]) -> int:
    """Return in how many sittings the processes ran: groups of them that lie an hour or more apart."""
    moments = sorted(datetime.fromisoformat(process.started) for process in processes)
    return sum(1 for before, after in pairwise(moments) if after - before >= _APART) + bool(moments)


def may_be_layout(comparison: Comparison, sittings: int) -> bool:
    """Tell whether a difference below 1 % was seen in one sitting only, where the layout of memory can make it."""
    return comparison.differs and sittings < 2 and abs(math.log(comparison.ratio)) < math.log1p(_LAYOUT)


def paired(new: Measured, old: Measured) -> float:
    """Return ln(new/old) of two lines: over the rounds that they have in common, else of their typical times."""
    assert new.samples is not None
    assert old.samples is not None
    if set(new.samples.round) & set(old.samples.round):
        return paired_log_ratio(new.samples, old.samples)
    return process_log_time(new.samples) - process_log_time(old.samples)
