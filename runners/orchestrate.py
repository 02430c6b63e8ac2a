"""One run: blocks of worker processes in random order, each answer written down as it comes.

A block runs every cell once, each in a fresh process of its group; the processes of a block are alive together and
take turns case by case, so that what is compared was measured within seconds of each other and a noisy minute hits
all alike.  A run that ends early is still balanced.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from data.records import Note, Process
from data.runfile import now
from data.summary import Key
from data.words import Status
from runners.answers import culprits, disturbances, status_of, wish
from runners.compiling import loops_to_compile
from runners.lines import Lines, Observer, line_of
from runners.machine import state
from runners.plan import Group, Plan, PlannedCell
from runners.precision import finished, rounds_per_process
from runners.process import Place, Worker, WorkerDied, WorkerRefused, WorkerTimeout
from runners.protocol import Replication
from runners.quiet import Gate, LoadMeter
from runners.turns import Pace, joined
from runners.workload import backends

__all__ = ["Orchestrator"]

Broken = (WorkerDied, WorkerTimeout, WorkerRefused)

#: A call that takes longer gets three processes and no interval.
_THREE_PROCESSES_NS = 10_000_000_000


class Orchestrator:
    """Measures a plan."""

    def __init__(
        self,
        plan: Plan,
        lines: Lines,
        replication: Replication,
        *,
        seed: int,
        scratch: Path,
        numba_cache: Path,
        observer: Observer,
        budget_s: float | None = None,
        limit_s: float = 300.0,
        twins: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        place: Place = Place(),  # noqa: B008 - it is immutable
    ) -> None:
        """Prepare; ``limit_s`` bounds each answer of a worker, ``sleep`` waits for the second sitting.

        With ``twins`` each variant is built and measured twice side by side (A/A), for the noise floor.
        """
        self.plan, self.lines, self.replication = plan, lines, replication
        self.seed, self.scratch, self.numba_cache = seed, scratch, numba_cache
        self.observer, self.limit_s, self.budget_s = observer, limit_s, budget_s
        self._twins, self._sleep, self._place = twins, sleep, place
        self._rng = random.Random()
        self._gate = Gate(budget_s or 60.0 * len(plan.cells))
        self._workers: dict[Group, tuple[Worker, int]] = {}
        self._quiet = True
        self._finished: set[Key] = {line.key for line in lines.measured if line.status != Status.OK}
        self._started = time.monotonic()

    # -- the story of a run ------------------------------------------------------------------------------------

    def scout(self) -> tuple[list[dict[str, Any]], dict[Group, str]]:
        """Start one process of each group, discarded afterwards: it describes itself and fills the compiler's cache.

        Returns the descriptions, and the reason for each group whose process cannot be had.
        """
        with ThreadPoolExecutor(max_workers=psutil.cpu_count() or 1) as pool:
            scouted = dict(zip(self.plan.groups, pool.map(self._scout, self.plan.groups), strict=True))
        descriptions = [found for found in scouted.values() if isinstance(found, dict)]
        return descriptions, {group: found for group, found in scouted.items() if isinstance(found, str)}

    def _scout(self, group: Group) -> dict[str, Any] | str:
        """Return what a process of the group says of itself, or the reason why there is none."""
        worker = self._spawn(group)
        try:
            worker.ready(self.limit_s)
            description = worker.ask(self.limit_s, op="describe") | {"threads": group.threads}
            with contextlib.suppress(
                *Broken
            ):  # what breaks here breaks again where it is measured, and is named there
                self._compile(group, worker)
            return description
        except Broken as error:
            return str(error)
        finally:
            worker.close()

    def run(self) -> str:
        """Measure block after block; return why it stopped: ``complete`` or ``budget``."""
        total = len(self.plan.cells) * self.replication.most
        self.observer.planned(len(self.plan.cells), self.replication.most)
        block_s = 0.0
        for block in range(self.replication.most):
            left = self.left(block)
            if not left:
                continue
            if self.out_of_budget(block_s):
                return "budget"
            if block == self.replication.second_sitting:
                self._wait_for_second_sitting()
            began = time.monotonic()
            try:
                self._block(block, left)
            finally:
                self.close()
            block_s = time.monotonic() - began
            self.observer.progress(len(self.lines.done()), total)
            if block + 1 in self.replication.looks:
                self._look(block + 1)
        return "complete"

    def again(self, keys: set[Key], processes: int) -> None:
        """Measure the given cells in further processes, as after a doubtful ceiling."""
        block = max(self.lines.blocks.values(), default=-1) + 1
        for extra in range(processes):
            left = self._only(lambda cell: cell.key in keys)
            try:
                self._block(block + extra, left)
            finally:
                self.close()

    # -- what is left ------------------------------------------------------------------------------------------

    def _only(self, wanted: Callable[[PlannedCell], bool]) -> dict[Group, list[PlannedCell]]:
        chosen = {
            group: [cell for cell in cells if wanted(cell)] for group, cells in self.plan.groups.items()
        }
        return {group: cells for group, cells in chosen.items() if cells}

    def left(self, block: int) -> dict[Group, list[PlannedCell]]:
        """Return what a block has still to measure, by group."""
        done = self.lines.done()
        return self._only(
            lambda cell: (
                (cell.key, block) not in done
                and cell.key not in self._finished
                and not (block >= 3 and (self._known_ns(cell) or 0) > _THREE_PROCESSES_NS)
            )
        )

    def out_of_budget(self, block_s: float) -> bool:
        """Say whether a further block as long as the last one would take more time than the run was given."""
        if self.budget_s is None or not block_s:
            return False
        return time.monotonic() - self._started + block_s > self.budget_s

    def _look(self, processes: int) -> None:
        """At a planned look, finish the cells that are precise enough or have had their time."""
        if processes <= (self.replication.second_sitting or 0):
            return
        cases: dict[tuple[str, int], list[Key]] = {}
        for cell in self.plan.cells:
            cases.setdefault((cell.case.id, cell.threads), []).append(cell.key)
        for keys in cases.values():
            lines = {key: self.lines.of(key) for key in keys}
            self._finished |= finished(lines, self.lines.blocks, self.replication)

    def _wait_for_second_sitting(self) -> None:
        """Wait until the last process is long enough ago; an interruption meanwhile can be resumed."""
        since = datetime.now(UTC) - datetime.fromisoformat(self.lines.last_started)
        left_s = self.replication.apart_s - since.total_seconds()
        if left_s <= 0:
            return
        at = datetime.now().astimezone() + timedelta(seconds=left_s)
        self.observer.remark(
            f"the second sitting starts at {at:%H:%M} (Ctrl-C keeps what was measured, --resume goes on later)"
        )
        self._sleep(left_s)
        self._started += left_s  # a budget is for measuring, not for waiting

    def _known_ns(self, cell: PlannedCell) -> int | None:
        """Return the longest time of one call seen so far."""
        return self.lines.longest_ns(cell.key)

    def finish(self, keys: set[Key]) -> None:
        """Leave these out of all further blocks."""
        self._finished |= keys

    # -- processes ---------------------------------------------------------------------------------------------

    def _spawn(self, group: Group) -> Worker:
        return Worker(
            group, self.scratch, self._cache(group), asdict(self.replication.protocol), self._rng, self._place
        )

    def _cache(self, group: Group) -> Path:
        """Return the compiler's cache of a group: one for each set of flags."""
        return self.numba_cache / ("-".join(group.flags) or "default")

    def _compile(self, group: Group, worker: Worker) -> None:
        """Call each loop of the group's share once, unless the cache says that this was done."""
        cache = self._cache(group)
        mark = cache / f"compiled-{group.threads}.txt"
        held = set(mark.read_text().splitlines()) if mark.exists() else set()
        missing = {
            name: cell for name, cell in loops_to_compile(group, self.plan.groups).items() if name not in held
        }
        if missing:
            self.observer.remark(f"compiling {len(missing)} loops (once for this environment)")
        for cell in missing.values():
            wishes = [wish(0, cell)]
            worker.ask(self.limit_s, op="prepare", case=cell.case.id, seed=0, order_seed=0, variants=wishes)
            worker.ask(self.limit_s, op="release")
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text("\n".join(sorted(held | set(missing))) + "\n")

    def _start(self, group: Group, block: int, gate: dict[str, Any], worker: Worker) -> None:
        worker.ready(self.limit_s)
        described = worker.ask(self.limit_s, op="describe")
        index = self.lines.processes
        self.lines.add_process(
            Process(
                index=index,
                block=block,
                started=now(),
                backends=list(group.backends),
                threads=group.threads,
                attributes={
                    "flags": list(group.flags),
                    "pid": worker.pid,
                    "padding_bytes": worker.padding,
                    "floor_ns": described["floor_ns"],
                    "loop_ns": described["loop_ns"],
                    "gate": gate,
                    "state": state(),
                    "threads_reported": {
                        name: facts.get("threads") for name, facts in described["backends"].items()
                    },
                },
            )
        )
        self._workers[group] = (worker, index)

    def _replace(self, group: Group, block: int) -> bool:
        """Start a new process after one has died; return whether that worked."""
        self._workers.pop(group, None)
        try:
            self._start(group, block, {}, self._spawn(group))
        except Broken:
            return False
        return True

    def close(self) -> None:
        """End the processes of a block."""
        for worker, _ in self._workers.values():
            worker.close()
        self._workers = {}

    # -- one block ---------------------------------------------------------------------------------------------

    def _block(self, block: int, left: dict[Group, list[PlannedCell]]) -> None:
        self.open(block, left)
        cases = list({cell.case.id: None for cells in left.values() for cell in cells})
        self._rng.shuffle(cases)
        for case in cases:
            self.observer.at(block, case)
            groups = [group for group in left if group in self._workers]
            self._rng.shuffle(groups)
            for group in groups:
                for _ in self.turns(
                    block, group, [cell for cell in left[group] if cell.case.id == case], Pace()
                ):
                    pass
            self.observer.progress(len(self.lines.done()), len(self.plan.cells) * self.replication.most)

    def open(
        self, block: int, left: dict[Group, list[PlannedCell]], gate: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Start the processes of a block; wait for a quiet moment unless another run has done so for its own block.

        Returns what was found while waiting.
        """
        gate = gate or self._gate.wait(max(group.threads for group in left), [])
        self._quiet = bool(gate["quiet"])
        spawned = {group: self._spawn(group) for group in left}
        for group, worker in spawned.items():
            try:
                self._start(group, block, gate, worker)
            except Broken as error:
                for cell in left[group]:
                    self._write_failure(cell, self.lines.processes, status_of(error), str(error))
        return gate

    def turns(self, block: int, group: Group, cells: list[PlannedCell], pace: Pace) -> Iterator[None]:
        """Measure the cells of one case in the process of their group, pausing where another may have its turn.

        What kills the process is named and left out.
        """
        while cells and group in self._workers:
            worker, index = self._workers[group]
            try:
                yield from self._measure(worker, index, cells, pace)
                return
            except Broken as error:
                guilty = culprits(worker.running, cells)
                for cell in guilty:
                    self._write_failure(cell, index, status_of(error), str(error))
                cells = [cell for cell in cells if cell not in guilty and cell.key not in self._finished]
                worker.kill()
                if not self._replace(group, block):
                    return

    def _measure(self, worker: Worker, index: int, cells: list[PlannedCell], pace: Pace) -> Iterator[None]:
        wishes = [
            wish(number, cell, self._known_ns(cell)) | {"twin": self._twins}
            for number, cell in enumerate(cells)
        ]
        case, order = cells[0].case, self._rng.randrange(2**32)
        started = time.monotonic()
        prepared = worker.ask(
            self.limit_s, op="prepare", case=case.id, seed=self.seed, order_seed=order, variants=wishes
        )["variants"]
        for cell, answer in zip(cells, prepared, strict=True):
            if answer["status"] != "ok":
                self._write(cell, index, answer, {})
        prepare_s = round(time.monotonic() - started, 4)
        meter = LoadMeter([worker.pid])
        taken = []
        for turn in pace.turns():
            yield
            answer = worker.ask(
                self.limit_s,
                op="measure",
                order_seed=order + turn,
                filtered=case.bound not in ("write", "read"),
                device_processes=self._sharing(cells[0].device),
                **pace.request(turn, cells, self._rounds(cells)),
            )
            taken.append(answer)
            pace.learn(answer, cells)
        load, resident_bytes = meter.read(), worker.resident_bytes()
        seen = disturbances(load, worker.group.threads, self._quiet)
        worker.ask(self.limit_s, op="release")
        for answer in joined(taken):
            first = prepared[answer["index"]]
            marked = first | answer | {"flags": sorted({*answer.get("flags", []), *seen})}
            covariates = {
                "load": load,
                "prepare_s": prepare_s,
                "position": first["position"],
                "order_seed": order,
                "resident_bytes": resident_bytes,
            }
            self._write(cells[answer["index"]], index, marked, covariates)

    def _sharing(self, device: str) -> int:
        """Return how many processes of this run are on a device."""
        known = backends()
        return sum(any(known[name].device == device for name in group.backends) for group in self._workers)

    def _rounds(self, cells: list[PlannedCell]) -> int | None:
        """Return how many rounds the next process should take, where the effort is long enough to learn that."""
        if self.replication.precision is None:
            return None
        return rounds_per_process(
            {cell.key: self.lines.of(cell.key) for cell in cells}, self.replication.protocol
        )

    # -- lines -------------------------------------------------------------------------------------------------

    def _write_failure(self, cell: PlannedCell, index: int, status: Status, reason: str) -> None:
        self._write(cell, index, {"status": status.value, "reason": reason}, {})

    def _write(
        self, cell: PlannedCell, index: int, answer: dict[str, Any], covariates: dict[str, Any]
    ) -> None:
        line = line_of(cell, index, answer, covariates)
        self.lines.add(line)
        self.observer.measured(line)
        if line.status != Status.OK:
            self._finished.add(cell.key)

    def note(self, topic: str, text: str, **attributes: Any) -> None:
        """Write a note into the run file."""
        self.lines.write(Note(at=now(), topic=topic, text=text, attributes=attributes))
