"""Comparing two measurements: paired in the rounds of one process, by neighbouring processes, or across runs.

Every comparison is new/old over processes, with the Hettmansperger-Sheather interval of the logarithms.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data.estimate import MARGIN, Comparison, Timings, paired_log_ratio, process_log_time, ratio
from data.records import Process
from data.summary import Document, Key, Measured, merge
from data.words import Status

__all__ = ["PAIRING", "Pair", "compare_runs", "compare_within"]

#: How the two sides met: in the rounds of one process, in adjacent processes, or in different runs.
PAIRING = ("rounds", "processes", "runs")


@dataclass(frozen=True)
class Pair:
    """One comparison with what was compared and how the sides met."""

    new: Key
    old: Key
    pairing: str
    comparison: Comparison


def _timed(lines: Iterable[Measured]) -> list[Measured]:
    """Return the lines that hold samples, or none if any process says that the measurement cannot be compared."""
    held = list(lines)
    if any(line.status != Status.OK or "below_floor" in line.flags for line in held):
        return []
    return [line for line in held if line.samples is not None and line.samples.time_ns]


def _log_times(lines: Sequence[Measured]) -> list[float]:
    return Timings([line.samples for line in lines if line.samples is not None]).log_times()


def compare_runs(
    old: Document, new: Document, *, confidence: float = 0.95, margin: float = MARGIN
) -> dict[Key, Comparison]:
    """Return new/old for each measurement that both runs have.

    Processes of different runs share nothing, so they are paired in the order in which they ran; any such pairing of
    independent processes gives a valid interval for the typical ratio, and this one is the same for everybody.
    """
    olds = {key: _timed(lines) for key, lines in merge(old.lines).items()}
    news = {key: _timed(lines) for key, lines in merge(new.lines).items()}
    found = {}
    for key, before in olds.items():
        after = news.get(key, [])
        differences = [b - a for a, b in zip(_log_times(before), _log_times(after), strict=False)]
        if differences:
            found[key] = ratio(differences, confidence, margin)
    return found


def compare_within(
    document: Document,
    processes: Sequence[Process],
    new: Key,
    old: Key,
    *,
    confidence: float = 0.95,
    margin: float = MARGIN,
) -> Pair | None:
    """Return new/old for two measurements of one run, or None where one of them has no time.

    Where both were in the same processes they are paired round by round; else the adjacent processes of each block are
    paired, which is marked, since a machine can change between them.
    """
    blocks = {process.index: process.block for process in processes}
    grouped = merge(document.lines)
    news, olds = _timed(grouped.get(new, [])), _timed(grouped.get(old, []))
    if not news or not olds:
        return None
    by_process = {line.process: line for line in olds}
    shared = [(line, by_process[line.process]) for line in news if line.process in by_process]
    if shared:
        logs = [_paired(after, before) for after, before in shared]
        return Pair(new, old, "rounds", ratio(logs, confidence, margin))
    by_block = {blocks.get(line.process if line.process is not None else -1): line for line in olds}
    adjacent = []
    for line in news:
        block = blocks.get(line.process if line.process is not None else -1)
        if block is not None and block in by_block:
            adjacent.append((line, by_block[block]))
    if not adjacent:
        return None
    logs = [_log_times([after])[0] - _log_times([before])[0] for after, before in adjacent]
    return Pair(new, old, "processes", ratio(logs, confidence, margin))


def _paired(new: Measured, old: Measured) -> float:
    assert new.samples is not None
    assert old.samples is not None
    if set(new.samples.round) & set(old.samples.round):
        return paired_log_ratio(new.samples, old.samples)
    return process_log_time(new.samples) - process_log_time(old.samples)
