"""What a run writes while it goes, and who is told of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from data.records import Ceiling, Error, Measurement, Process, Samples, Work
from data.summary import Key, Measured
from data.words import Status
from runners.plan import PlannedCell

__all__ = ["Lines", "Observer", "line_of"]


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
    last_started: str = ""
    _seen: int = 0
    _of: dict[Key, list[Measured]] = field(default_factory=dict)
    _done: set[tuple[Key, int]] = field(default_factory=set)
    _longest_ns: dict[Key, int] = field(default_factory=dict)

    def hold(self, measured: Iterable[Measured], processes: Iterable[Process]) -> None:
        """Take over what an earlier part of the run has written."""
        for process in processes:
            self._count(process)
        self.measured = list(measured)

    def _count(self, process: Process) -> None:
        self.blocks[process.index] = process.block
        self.processes = max(self.processes, process.index + 1)
        self.last_started = process.started

    def add(self, line: Measured) -> None:
        """Write a measurement or ceiling down at once, then remember it."""
        self.write(line)
        self.measured.append(line)

    def add_process(self, record: Process) -> None:
        """Write a process down."""
        self.write(record)
        self._count(record)

    def of(self, key: Key) -> list[Measured]:
        """Return the lines of one measurement."""
        self._look()
        return self._of.get(key, [])

    def longest_ns(self, key: Key) -> int | None:
        """Return the longest time of one call of a measurement seen so far."""
        self._look()
        return self._longest_ns.get(key)

    def done(self) -> set[tuple[Key, int]]:
        """Return which (measurement, block) pairs are written."""
        self._look()
        return self._done

    def _look(self) -> None:
        """Take the lines into account that came since the last look: a long run has many thousands."""
        for line in self.measured[self._seen :]:
            self._of.setdefault(line.key, []).append(line)
            if line.process is not None and line.process in self.blocks:
                self._done.add((line.key, self.blocks[line.process]))
            if line.samples and line.samples.time_ns:
                call_ns = max(line.samples.time_ns) // line.samples.batch
                self._longest_ns[line.key] = max(call_ns, self._longest_ns.get(line.key, 0))
        self._seen = len(self.measured)


def line_of(cell: PlannedCell, index: int, answer: dict[str, Any], covariates: dict[str, Any]) -> Measured:
    """Return the line of one measurement in process ``index`` from the worker's answer."""
    kind = Ceiling if cell.is_ceiling else Measurement
    case, variant, condition, backend, device, threads = cell.key
    work = cell.case.work
    status = Status(answer["status"])
    return kind(
        case=case,
        kernel=cell.case.kernel,
        variant=variant,
        condition=condition,
        backend=backend,
        device=device,
        threads=threads,
        status=status,
        reason=str(answer.get("reason", "")),
        process=index,
        work=Work(work.version, work.flop, work.bytes, work.elements, work.tokens),
        unit=cell.case.unit,
        bound=cell.variant.bound or cell.case.bound,
        footprint_bytes=cell.case.footprint_bytes,
        store=cell.variant.store,
        first_call_ns=answer.get("first_call_ns") if status == Status.OK else None,
        samples=Samples(**answer["samples"]) if "samples" in answer else None,
        twin=Samples(**answer["twin"]) if answer.get("twin") else None,
        error=Error(**answer["error"]) if "error" in answer else None,
        flags=list(answer.get("flags", [])),
        attributes=answer.get("attributes", {}) | covariates,
    )
