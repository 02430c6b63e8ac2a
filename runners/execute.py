"""The path of a run from wishes to an outcome: plan, scout, write, measure, doubt, end, store."""

import contextlib
import hashlib
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from data import places
from data.errors import BadInput, NothingMeasured, NotStored
from data.records import Ceiling, Environment, Machine, Measurement, Process, Run, uuid7
from data.rundocument import RunDocument, read
from data.runfile import RunFileWriter, now
from data.summary import Key, Summary, summarise
from data.words import Profile, Status
from runners.compiled import source_digest
from runners.lines import Lines, Observer
from runners.orchestrate import Orchestrator
from runners.plan import Group, Plan, make_plan
from runners.process import Place
from runners.protocol import Replication
from runners.scratch import Scratch
from runners.turns import protocol_of_turn
from runners.wishes import KEPT, Wishes, command, effort, replication, wishes_of

__all__ = ["Job", "Outcome", "Setting", "conclude", "execute", "store"]


@dataclass
class Outcome:
    """What came of it."""

    run: str
    file: Path
    rows: list[Summary]
    elapsed_s: float
    stopped: str
    stored: str
    exit_status: int


@dataclass(frozen=True)
class Setting:
    """Where a run is measured, and what its first line says of that.

    ``turns`` are those in which its processes alternate with the processes of other runs; ``protocol`` is added to
    that of the run, and ``command`` replaces the one that measures the same again.
    """

    place: Place = field(default_factory=Place)
    turns: int = 1
    protocol: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()


def execute(wishes: Wishes, observer: Observer, setting: Setting | None = None) -> Outcome:
    """Measure what is wished, here or in a setting of its own, and return the outcome.

    Raises BadInput for wishes that cannot be, NothingMeasured where no case can run, NotStored where the run file or
    the ledger cannot be written (the message names the file that was kept).  An interruption keeps the run file.
    """
    started = time.monotonic()
    held = _held(wishes)
    wishes = wishes if held is None else wishes_of(held, wishes)
    plan = make_plan(Profile(wishes.profile), wishes.cases, wishes.variants, wishes.backends, wishes.threads)
    if not plan.groups:
        raise NothingMeasured(f"nothing can be measured: {plan.skipped[0].backend}: {plan.skipped[0].reason}")
    with Scratch() as scratch:
        job = Job(wishes, plan, observer, scratch, held, setting)
        stopped = job.measure()
    return conclude(job.path, wishes, stopped, time.monotonic() - started)


def conclude(path: Path, wishes: Wishes, stopped: str = "complete", elapsed_s: float = 0.0) -> Outcome:
    """Store a run file that is written, and return the outcome; raises NotStored, and may be called again then."""
    document = read(path)
    rows = summarise(document)
    stored = store(path, wishes)
    return Outcome(document.run.id, path, rows, elapsed_s, stopped, stored, _exit_status(rows, stopped))


def _exit_status(rows: list[Summary], stopped: str) -> int:
    measured = [row for row in rows if not row.is_ceiling]
    if stopped == "interrupted":
        return 4
    if any(row.status == Status.WRONG for row in rows):
        return 1
    if not any(row.status == Status.OK for row in measured or rows):
        return 3
    return 0


def _held(wishes: Wishes) -> RunDocument | None:
    if wishes.resume is None:
        if wishes.out is not None and wishes.out.exists():
            raise BadInput(
                f"{wishes.out} exists; choose another name, or complete it with --resume {wishes.out}"
            )
        return None
    if not wishes.resume.is_file():
        raise BadInput(f"{wishes.resume} is no file; give the run file that was interrupted")
    document = read(wishes.resume)
    if not document.interrupted:
        raise BadInput(f"{wishes.resume} is complete; there is nothing to resume")
    return document


class Job:
    """One run file being written."""

    def __init__(
        self,
        wishes: Wishes,
        plan: Plan,
        observer: Observer,
        scratch: Path,
        held: RunDocument | None = None,
        setting: Setting | None = None,
    ) -> None:
        """Prepare; nothing is started or written yet."""
        self.wishes, self.plan, self.observer, self.held = wishes, plan, observer, held
        self.setting = setting or Setting()
        self.replication = replication(wishes)
        if self.setting.turns > 1:
            of_turn = protocol_of_turn(self.replication.protocol, self.setting.turns)
            self.replication = replace(self.replication, protocol=of_turn)
        self.path = Path()
        self._writer: RunFileWriter | None = None
        self.lines = Lines(self._write)
        self.orchestrator = Orchestrator(
            plan,
            self.lines,
            self.replication,
            seed=wishes.seed,
            scratch=scratch,
            numba_cache=_numba_cache(self.setting.place),
            observer=observer,
            budget_s=wishes.budget_s,
            limit_s=wishes.limit_s,
            twins=wishes.aa,
            place=self.setting.place,
        )

    def _write(self, record: Any) -> None:
        assert self._writer is not None
        try:
            self._writer.write(record)
        except NotStored as error:
            kept = _rescue(self.path, record)
            raise NotStored(
                f"{error}. What was measured is kept at {kept}; complete it with: flopwatch run --resume {kept}"
            ) from error

    def measure(self) -> str:
        """Scout, write the first line, measure, end; return why it stopped."""
        try:
            self.begin()
            stopped = self.orchestrator.run()
            self.end(stopped)
        except KeyboardInterrupt:
            if self._writer is None:
                raise
            self.observer.remark(f"interrupted; complete it with: flopwatch run --resume {self.path}")
            stopped = "interrupted"
        finally:
            self.close()
        return stopped

    def begin(self) -> None:
        """Scout, and write what is known before anything is measured."""
        from runners.environment import describe_environment
        from runners.machine import describe_machine

        machine = describe_machine(self.wishes.machine)
        descriptions, reasons = self.orchestrator.scout()
        self._open(machine, describe_environment(descriptions))
        if self.held is None:
            self._write_skipped()
        self._examine()
        self._fail(reasons)

    def end(self, stopped: str) -> None:
        """Doubt what cannot be, and write the last lines."""
        self._doubt()
        if stopped == "budget":
            self.orchestrator.note("budget", f"the budget of {self.wishes.budget_s:.0f} s was used up")
        assert self._writer is not None
        self._writer.end()

    def close(self) -> None:
        """Close the file; without its end it is an interrupted one."""
        if self._writer is not None:
            self._writer.close()

    def _open(self, machine: Machine, environment: Environment) -> None:
        if self.held is not None:
            self._resume(self.held, machine, environment)
            return
        run = _first_line(self.wishes, self.plan, self.replication, machine, environment, self.setting)
        self.path = self.wishes.out or places.runs() / f"{run.id}.run.jsonl"
        self._writer = RunFileWriter(self.path)
        self._write(run)

    def _resume(self, held: RunDocument, machine: Machine, environment: Environment) -> None:
        """Go on with a file, in the machine and environment that it was begun in."""
        assert self.wishes.resume is not None
        self.path = self.wishes.resume
        for what, before, present in (
            ("machine", held.run.machine.id, machine.id),
            ("environment", held.run.environment.id, environment.id),
        ):
            if before != present:
                raise BadInput(
                    f"{self.path} was begun in another {what} ({before}, this is {present}); "
                    f"start a new run instead{_what_differs(held.run.environment, environment)}"
                )
        self._writer = RunFileWriter.resume(self.path)
        self.lines.hold(held.lines, held.processes)
        self.orchestrator.note("resumed", f"resumed after {len(held.lines)} lines")

    def _examine(self) -> None:
        """Write down what would disturb a measurement here, so that whoever reads the run can see it as well."""
        from runners.doctor import examine, read_facts

        found = [finding for finding in examine(read_facts(window_s=0.5)) if finding.level != "ok"]
        self.orchestrator.note(
            "doctor",
            "; ".join(f"{finding.level}: {finding.seen}" for finding in found)
            or "nothing that disturbs was seen",
            findings={finding.id: {"level": finding.level, "seen": finding.seen} for finding in found},
        )

    def _write_skipped(self) -> None:
        for skipped in self.plan.skipped:
            self._write(skipped)

    def _fail(self, reasons: dict[Group, str]) -> None:
        """Write down the cells whose process cannot be had, and leave them out."""
        for group, reason in reasons.items():
            for cell in self.plan.groups.pop(group):
                kind = Ceiling if cell.is_ceiling else Measurement
                record = cell.record()
                fields = {name: getattr(record, name) for name in record.__struct_fields__}
                self.lines.add(kind(**fields, status=Status.FAILED, reason=reason))

    def _doubt(self) -> None:
        """Measure the ceilings again that some rate exceeded; if they stand, the rates stay hidden as impossible."""
        rows = summarise(_Held(self.orchestrator.lines, self.first, self.plan))
        doubted = {row.ceiling_case for row in rows if row.status == Status.IMPOSSIBLE and row.ceiling_case}
        if not doubted:
            return
        keys: set[Key] = {cell.key for cell in self.plan.cells if cell.case.id in doubted}
        names = ", ".join(sorted(doubted))
        self.observer.remark(f"a rate exceeds its ceiling; measuring {names} again")
        self.orchestrator.note("doubted-ceiling", f"measured again because a rate exceeded it: {names}")
        self.orchestrator.again(keys, min(3, self.replication.most))

    @property
    def first(self) -> Run:
        """The first line of the file."""
        return read(self.path).run


@dataclass
class _Held:
    """The lines of a run that is still being written, in the form that :func:`summarise` reads."""

    written: Lines
    run: Run
    plan: Plan
    interrupted: bool = False

    @property
    def lines(self) -> list[Measurement | Ceiling]:
        return self.written.measured

    @property
    def processes(self) -> list[Process]:
        return []  # whether a time is below an empty call does not doubt a ceiling

    @property
    def skipped(self) -> list[Any]:
        return self.plan.skipped


def _numba_cache(place: Place) -> Path:
    """Return the compiler's cache of this environment: one folder for each set of versions that shape the code.

    The sources are part of the name, for Numba does not notice a change in a function called from another file.
    """
    if place.stamp:
        return (
            places.numba() / hashlib.sha256(f"{place.stamp} {platform.processor()}".encode()).hexdigest()[:12]
        )
    stamp = hashlib.sha256(f"{sys.version} {platform.processor()} {source_digest()}".encode())
    for package in ("numba", "llvmlite", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            stamp.update(f"{package} {version(package)}".encode())
    return places.numba() / stamp.hexdigest()[:12]


def _first_line(
    wishes: Wishes,
    plan: Plan,
    replication: Replication,
    machine: Machine,
    environment: Environment,
    setting: Setting,
) -> Run:
    from runners.environment import flopwatch_facts

    return Run(
        id=uuid7(),
        started=now(),
        flopwatch=flopwatch_facts(),
        machine=machine,
        environment=environment,
        profile=wishes.profile,
        effort=effort(wishes),
        seed=wishes.seed,
        command=list(setting.command) or command(wishes),
        labels=wishes.labels,
        protocol={
            "confidence": replication.confidence,
            "looks": list(replication.looks),
            "precision": replication.precision,
            **asdict(replication.protocol),
            "wishes": {name: getattr(wishes, name) for name in KEPT},
            **setting.protocol,
        },
        plan=[cell.record() for cell in plan.cells],
    )


def _rescue(path: Path, record: Any) -> Path:
    """Copy a run file that cannot be written any further, with the record that did not fit, to where there is room."""
    target = Path(tempfile.gettempdir()) / path.name
    try:
        target.write_bytes(path.read_bytes() + msgspec.json.encode(record) + b"\n")
    except OSError:
        return path
    return target


def _what_differs(before: Environment, now: Environment) -> str:
    names = sorted({name for name, _ in before.packages.items() ^ now.packages.items()})
    changes = [
        f"{name} {before.packages.get(name, 'absent')} -> {now.packages.get(name, 'absent')}"
        for name in names
    ]
    return f" (different: {', '.join(changes[:5])})" if changes else ""


def store(path: Path, wishes: Wishes) -> str:
    """Append the run file to the ledger and index it; say what happened.

    With ``--out`` the file is where the person wanted it, and the ledger has it too; indexing, which needs DuckDB, is
    left to the next that opens the index.  Raises NotStored naming the file that was kept.
    """
    if not wishes.store:
        return "not stored (as asked)"
    try:
        if wishes.out is not None:
            from data.receipts import record_in_ledger

            return str(record_in_ledger(path))
        from data.index import record

        return str(record(path))
    except NotStored as error:
        raise NotStored(f"the run file is kept at {path}, but could not be stored: {error}") from error
