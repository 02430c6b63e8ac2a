"""Comparing environments that were measured side by side: every pair of them, in neighbouring processes of a block.

The runs of a matrix were made at the same time: their processes of one block held the same case together and took
turns.  Round 5 of one is paired with round 5 of the other, and the ratio of a pair of processes is one value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from data.compare import confidence_of, paired, timed
from data.estimate import MARGIN, Comparison, ratio
from data.family import discoveries
from data.records import Run
from data.rundocument import RunDocument
from data.summary import Key, Measured, merge

__all__ = ["Meeting", "arm_of", "compare_arms", "every_pair", "logs_by_block", "measured_together"]


def arm_of(run: Run) -> str | None:
    """Return what the environment of a run is called in its matrix, or None for a run that was made alone."""
    matrix = run.protocol.get("matrix")
    return str(matrix["environment"]) if isinstance(matrix, dict) and "environment" in matrix else None


def measured_together(old: Run, new: Run) -> bool:
    """Tell whether two runs are of one matrix, so that their processes are neighbours in time."""
    matrices = [run.protocol.get("matrix") for run in (old, new)]
    ids = [matrix.get("id") if isinstance(matrix, dict) else None for matrix in matrices]
    return ids[0] is not None and ids[0] == ids[1]


@dataclass(frozen=True)
class Meeting:
    """One comparison of two environments in one measurement; ``remains`` when 5 % of all that remain may be chance."""

    key: Key
    old: str
    new: str
    comparison: Comparison
    remains: bool = False


def logs_by_block(
    new: Sequence[Measured],
    old: Sequence[Measured],
    new_blocks: Mapping[int, int],
    old_blocks: Mapping[int, int],
) -> dict[int, float]:
    """Return ln(new/old) of each block that both sides measured; blocks are given by process index."""
    olds, news = _by_block(old, old_blocks), _by_block(new, new_blocks)
    return {block: paired(line, olds[block]) for block, line in sorted(news.items()) if block in olds}


def _by_block(lines: Sequence[Measured], blocks: Mapping[int, int]) -> dict[int, Measured]:
    return {
        blocks[line.process]: line for line in lines if line.process is not None and line.process in blocks
    }


def compare_arms(
    old: RunDocument, new: RunDocument, *, confidence: float | None = None, margin: float = MARGIN
) -> dict[Key, Comparison]:
    """Return new/old for each measurement of two runs of one matrix, under the key of the new one.

    Where the runs differ in their one thread count, that is what is compared.
    """
    old_blocks, new_blocks = ({one.index: one.block for one in run.processes} for run in (old, new))
    across = _one_thread_count(old) != _one_thread_count(new)
    olds = {_name(key, across): timed(lines) for key, lines in merge(old.lines).items()}
    found = {}
    for key, lines in merge(new.lines).items():
        logs = logs_by_block(timed(lines), olds.get(_name(key, across), []), new_blocks, old_blocks)
        if logs:
            level = confidence or confidence_of((old, new), len(logs))
            found[key] = ratio(list(logs.values()), level, margin)
    return found


def _one_thread_count(document: RunDocument) -> int | None:
    counts = {line.threads for line in document.lines}
    return counts.pop() if len(counts) == 1 else None


def _name(key: Key, across: bool) -> tuple[object, ...]:
    return key[:-1] if across else key


def every_pair(arms: Sequence[tuple[str, RunDocument]], *, margin: float = MARGIN) -> list[Meeting]:
    """Return the comparisons of every pair of environments, the earlier in the list as the old one."""
    found = [
        Meeting(key, old_name, new_name, comparison)
        for (old_name, old), (new_name, new) in combinations(arms, 2)
        for key, comparison in compare_arms(old, new, margin=margin).items()
    ]
    remaining = discoveries([one.comparison.p_value for one in found]) if found else []
    return [
        Meeting(one.key, one.old, one.new, one.comparison, remains)
        for one, remains in zip(found, remaining, strict=True)
    ]
