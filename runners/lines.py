"""What a run writes while it goes, and who is told of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from data.records import Process
from data.summary import Key, Measured

__all__ = ["Lines", "Observer"]


class Observer:
    """Is told how a run proceeds; the command line draws it."""

    def planned(self, cells: int, processes: int) -> None:
        """Say how much there is to do."""

    def at(self, block: int, case: str) -> None:
        """Say what is being measured now."""

    def measured(self, line: Measured) -> None:
        """Pass on a line as it is written."""

    def progress(self, done: int, total: int) -> None:
        """Say how many (cell, process) pairs are done."""

    def remark(self, text: str) -> None:
        """Pass on something worth knowing."""


@dataclass
class Lines:
    """What a run has written so far: enough to know what is left, also after an interruption."""

    write: Callable[[Any], None]
    measured: list[Measured] = field(default_factory=list)
    blocks: dict[int, int] = field(default_factory=dict)
    processes: int = 0

    def add(self, line: Measured) -> None:
        """Write a measurement or ceiling down at once, then remember it."""
        self.write(line)
        self.measured.append(line)

    def add_process(self, record: Process) -> None:
        """Write a process down."""
        self.write(record)
        self.blocks[record.index] = record.block
        self.processes = max(self.processes, record.index + 1)

    def of(self, key: Key) -> list[Measured]:
        """Return the lines of one measurement."""
        return [line for line in self.measured if line.key == key]

    def done(self) -> set[tuple[Key, int]]:
        """Return which (measurement, block) pairs are written."""
        return {
            (line.key, self.blocks[line.process])
            for line in self.measured
            if line.process is not None and line.process in self.blocks
        }
