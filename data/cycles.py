"""The clock of a device as a second witness: a ratio of times that the clock alone explains is no verdict.

A device lowers its clock for heat and power, also between two measurements.  Where each sample tells its clock rate, a
ratio of times stands beside the ratio of cycles; if one says faster and the other slower, the verdict is inconclusive
(as in nvbench's comparison).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from data.estimate import Comparison
from data.summary import Measured
from data.words import Verdict

__all__ = ["cycle_ratio", "heed_clock"]


def _log_cycles(line: Measured) -> float | None:
    """Return the median of ln(cycles per call) of one process, or None where its samples do not tell the clock."""
    rates = line.attributes.get("sm_clock_khz")
    if line.samples is None or not isinstance(rates, list) or len(rates) != len(line.samples.time_ns):
        return None
    known = [
        time_ns * rate / line.samples.batch
        for time_ns, rate in zip(line.samples.time_ns, rates, strict=True)
        if time_ns and rate
    ]
    return math.log(median(known)) if known else None


def cycle_ratio(news: Sequence[Measured], olds: Sequence[Measured]) -> float | None:
    """Return the ratio of cycles, new/old, by the medians over processes; None where a side does not tell its clock."""
    sides = [[value for value in map(_log_cycles, lines) if value is not None] for lines in (news, olds)]
    if not all(sides):
        return None
    return math.exp(median(sides[0]) - median(sides[1]))


def heed_clock(comparison: Comparison, news: Sequence[Measured], olds: Sequence[Measured]) -> Comparison:
    """Return the comparison with its ratio of cycles; inconclusive if that lies on the other side of 1."""
    cycles = cycle_ratio(news, olds)
    if cycles is None:
        return comparison
    disagree = (cycles - 1) * (comparison.ratio - 1) <= 0
    if disagree and comparison.verdict in (Verdict.FASTER, Verdict.SLOWER):
        return replace(comparison, verdict=Verdict.INCONCLUSIVE, cycle_ratio=cycles)
    return replace(comparison, cycle_ratio=cycles)
