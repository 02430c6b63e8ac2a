"""Turns: how processes that are compared with each other take their rounds alternately.

A process that is alone takes all its rounds in one turn.  Where environments are compared, the processes of all of
them hold the same case at the same time and take a few rounds each, in changing order, so that round 5 of one lies a
fraction of a second from round 5 of the other, and what the machine does meanwhile cancels in their ratio.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from runners.plan import PlannedCell
from runners.rounds import Protocol

__all__ = ["Pace", "joined", "protocol_of_turn"]

#: Rounds are numbered from a multiple of this in each turn.
_ROUNDS = 1000
#: What differs between turns is most of what differs between processes that take turns, and a turn costs less than a
#: process.
_LONGER = 2
_COLUMNS = ("time_ns", "clean", "cpu_ns", "switches", "probe_ns")


@dataclass
class Pace:
    """What the processes that are compared in a case have in common: turns, rounds in a turn, calls in a sample.

    The first process chooses, by what it sees in its first turn, and the others follow.
    """

    most: int = 1
    rounds: int | None = None
    batches: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def turns(self) -> Iterator[int]:
        """Count the turns of one process; there may turn out to be fewer than meant."""
        turn = 0
        while turn < self.most:
            yield turn
            turn += 1

    def request(self, turn: int, cells: Sequence[PlannedCell], rounds: int | None) -> dict[str, Any]:
        """Return what the worker is told of this turn; ``rounds`` is how many a process that is alone should take."""
        if self.most > 1:
            rounds = None  # what was learnt of variants that share a process says nothing of processes
        batches = [self.batches.get(_name(cell)) for cell in cells]
        return {"rounds": self.rounds or rounds, "batches": batches, "again": turn > 0}

    def learn(self, answer: dict[str, Any], cells: Sequence[PlannedCell]) -> None:
        """Keep for the others what the first process chose."""
        if any(len(one["samples"]["time_ns"]) == 1 for one in answer["variants"] if "samples" in one):
            self.most = 1  # a call of seconds is made once in a process, and cannot be cut into turns
        self.rounds = self.rounds or answer["rounds"] or None
        for one in answer["variants"]:
            if "samples" in one:
                self.batches.setdefault(_name(cells[one["index"]]), one["samples"]["batch"])


def _name(cell: PlannedCell) -> tuple[str, str, str]:
    return (cell.variant.name, cell.variant.condition, cell.variant.backend)


def protocol_of_turn(protocol: Protocol, turns: int) -> Protocol:
    """Return the protocol of one of several turns; together they take ``_LONGER`` times what a process alone does."""
    share = turns / _LONGER
    return replace(
        protocol,
        window_ns=round(protocol.window_ns / share),
        minimum_rounds=math.ceil(protocol.minimum_rounds / share),
        minimum_clean=math.ceil(protocol.minimum_clean / share),
    )


def joined(taken: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers of one process to ``measure``, one a variant, from those of its turns."""
    first, *others = ({one["index"]: one for one in answer["variants"]} for answer in taken)
    return [_join([first[index], *(turn[index] for turn in others)]) for index in first]


def _join(turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    failed = [turn for turn in turns if "samples" not in turn]
    if failed or len(turns) == 1:
        return (failed or list(turns))[0]
    answer = turns[-1] | {"flags": sorted({flag for turn in turns for flag in turn["flags"]})}
    for name in ("samples", "twin"):
        if answer.get(name):
            answer[name] = _join_samples([turn[name] for turn in turns])
    return answer


def _join_samples(turns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    columns = {name: list(chain.from_iterable(turn[name] for turn in turns)) for name in _COLUMNS}
    rounds = [number * _ROUNDS + one for number, turn in enumerate(turns) for one in turn["round"]]
    return columns | {"round": rounds, "batch": turns[0]["batch"]}
