"""One unattended job from the bell to the sign of life.

Due? Alone? Fit? Then it completes what was cut before or measures anew, stores, delivers, and leaves a line for each.
"""

import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from data.errors import BadInput, FlopwatchError, NothingMeasured, NotStored, StorageError
from data.rundocument import read
from data.words import Status
from runners.execute import Outcome, conclude, execute
from runners.lines import Observer
from runners.unattended.baseline import rebuilt, setting_of_previous
from runners.unattended.delivery import Delivery, put_copy
from runners.unattended.due import Rhythm
from runners.unattended.fitness import wait_until_fit
from runners.unattended.left_behind import JOB_LABEL, left_behind
from runners.unattended.log import Log, LoggedRun
from runners.unattended.state import State, lock_file, log_file
from runners.uv import Refused
from runners.wishes import Wishes

__all__ = ["Settings", "run_job"]

_DONE, _GATE, _WRONG_USE, _NOTHING, _INTERRUPTED, _NOT_STORED = range(6)
#: So often one job is begun before it is given up until the next is due: a kernel may take the machine down.
ATTEMPTS = 3


@dataclass(frozen=True)
class Settings:
    """How a job behaves; ``wishes`` are what it measures."""

    name: str
    wishes: Wishes
    rhythm: Rhythm | None = None
    even_if_not_due: bool = False
    jitter_s: float = 0.0
    quiet_limit_s: float = 1800.0
    even_if_unfit: bool = False
    baseline_every: int = 10
    into: Path | None = None
    upload: str | None = None
    token_file: Path | None = None
    patience_s: float = 300.0
    plain: bool = False


@dataclass
class _Result:
    """What came of it; ``done`` says whether the job needs no second attempt."""

    status: int
    outcome: Literal["measured", "failed", "skipped", "interrupted"]
    text: str
    done: bool
    run: str = ""
    environment: str = ""
    file: Path | None = None


def run_job(
    settings: Settings,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
    fit: Callable[..., list[str]] = wait_until_fit,
) -> int:
    """Do the job if it is due and no other is at work; return the exit status for the scheduler.

    Raises BadInput for what cannot be asked of a job.  All that happens is in the log.
    """
    State.read(settings.name)  # a name that cannot be is refused before a file is made
    log = Log(log_file(), settings.name)
    try:
        delivery = _delivery(settings, log)
        lock = FileLock(lock_file(), timeout=0)
        try:
            with lock:
                return _Job(settings, log, delivery, now, sleep, fit).run()
        except Timeout:
            log("another job is at work: nothing done")
            return _DONE
        except OSError as error:
            log(f"cannot write in {lock_file().parent}: {error.strerror}; nothing was measured")
            return _NOT_STORED
    finally:
        log.close()


def _delivery(settings: Settings, log: Log) -> Delivery | None:
    if not settings.upload:
        return None
    return Delivery(
        settings.upload,
        settings.token_file,
        patience_s=settings.patience_s,
        remark=log,
        plain=settings.plain,
    )


class _Job:
    def __init__(
        self,
        settings: Settings,
        log: Log,
        delivery: Delivery | None,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        fit: Callable[..., list[str]],
    ) -> None:
        self.settings, self.log, self.delivery = settings, log, delivery
        self._now, self._sleep, self._fit = now, sleep, fit
        self.state = State.read(settings.name)

    def run(self) -> int:
        """Return the exit status."""
        begun = self._begin()
        if begun is None:
            return _DONE
        try:
            result = self._measure(begun)
        except KeyboardInterrupt:
            result = _Result(_INTERRUPTED, "interrupted", "ended from outside before it measured", done=False)
        self._remember(result, begun)
        self.log(f"{result.outcome}: {result.text}")
        return self._deliver(result)

    # -- due ---------------------------------------------------------------------------------------------------

    def _begin(self) -> datetime | None:
        """Return when the job that is to be done was begun, or None if there is nothing to do."""
        now, cut, done = self._now(), self.state.moment("begun"), self.state.moment("done")
        if cut is not None:
            if self.state.attempts < ATTEMPTS and cut <= now + timedelta(hours=1):
                self.log(f"the job of {cut:%Y-%m-%d %H:%M} UTC was cut; going on with it")
                return cut
            self.log(
                f"the job of {cut:%Y-%m-%d %H:%M} UTC was begun {self.state.attempts} times: it is given up"
            )
            self.state.begun, self.state.attempts = "", 0
            self._keep_cut_run(cut)
            self.state.done = State.text(min(cut, now))
            self._save()
            done = self.state.moment("done")
        rhythm = self.settings.rhythm
        if rhythm is None or self.settings.even_if_not_due:
            return now
        if done is not None and done > now + timedelta(hours=1):
            self.log(f"the last job is dated {done:%Y-%m-%d %H:%M} UTC, in the future: the clock was set")
        if not rhythm.is_due(done, now):
            return None
        slot = rhythm.slot(now)
        if done is not None and now - slot > timedelta(hours=1):
            self.log(f"the job of {slot:%Y-%m-%d %H:%M} UTC was missed; catching up once")
        return now

    def _keep_cut_run(self, since: datetime) -> None:
        """Store what a run had measured that is given up."""
        path = left_behind(self.settings.name, since)
        if path is not None:
            self.log(f"{path.name} stays as it is: {self._store(path)}")

    @staticmethod
    def _store(path: Path) -> str:
        from data.index import record

        try:
            return str(record(path))
        except FlopwatchError as error:
            return f"not stored: {error}"

    # -- measure -----------------------------------------------------------------------------------------------

    def _measure(self, begun: datetime) -> _Result:
        self.state.begun, self.state.attempts = State.text(begun), self.state.attempts + 1
        pause_s = self.settings.jitter_s * _share_of(self.settings.name)
        if pause_s and self.state.attempts == 1:
            self.log(f"beginning in {pause_s:.0f} s, so that not all machines begin at once")
            self._sleep(pause_s)
        hindrances = self._fit(self.settings.quiet_limit_s, self.log)
        if hindrances and not self.settings.even_if_unfit:
            self.state.attempts -= 1
            if not self.state.attempts:
                self.state.begun = ""
            return _Result(_NOTHING, "skipped", f"not measured: {'; '.join(hindrances)}", done=False)
        if hindrances:
            self.log(f"measuring all the same: {'; '.join(hindrances)}")
        self._save()
        try:
            return self._result(self._execute(begun))
        except NotStored as error:
            return _Result(_NOT_STORED, "failed", str(error), done=False)
        except BadInput as error:
            return _Result(_WRONG_USE, "failed", str(error), done=True)
        except NothingMeasured as error:
            return _Result(_NOTHING, "failed", str(error), done=True)

    def _execute(self, begun: datetime) -> Outcome:
        observer, wishes = LoggedRun(self.log), self._wishes()
        path = left_behind(self.settings.name, begun)
        if path is not None:
            try:
                return self._finish(path, wishes, observer)
            except (BadInput, Refused) as error:
                self.log(f"it cannot be completed ({error}); {self._store(path)}; measuring anew")
        return execute(wishes, observer, setting_of_previous(self.state.run, self.log) if wishes.aa else None)

    def _finish(self, path: Path, wishes: Wishes, observer: Observer) -> Outcome:
        """Complete a run that was cut, where it was measured; one that is whole is only stored."""
        document = read(path)
        if not document.interrupted:
            self.log(f"{path} is whole, storing it")
            return conclude(path, wishes)
        self.log(f"completing {path}")
        setting = rebuilt(document) if document.run.protocol.get("recipe") else None
        return execute(replace(wishes, resume=path), observer, setting)

    def _wishes(self) -> Wishes:
        """Return what to measure now: every n-th time each call against itself."""
        wishes, every = self.settings.wishes, self.settings.baseline_every
        labels = wishes.labels | {JOB_LABEL: self.settings.name}
        if self.settings.rhythm is not None:
            labels["every"] = str(self.settings.rhythm.every_s)
        if every and (self.state.count + 1) % every == 0:
            self.log(f"job {self.state.count + 1} is a baseline: each call is measured against itself (A/A)")
            return replace(wishes, aa=True, labels=labels | {"baseline": "aa"})
        return replace(wishes, labels=labels)

    def _result(self, outcome: Outcome) -> _Result:
        measured = [row for row in outcome.rows if not row.is_ceiling]
        counts = {status: sum(row.status == status for row in measured) for status in Status}
        shown = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no case"
        environment = read(outcome.file).run.environment.id
        changed = self.state.environment and environment != self.state.environment
        if changed:
            self.log(f"the environment changed since the last job: {self.state.environment} → {environment}")
        text = f"{shown} in {outcome.elapsed_s:.0f} s; run {outcome.run}; {outcome.stored}"
        interrupted = outcome.stopped == "interrupted"
        return _Result(
            outcome.exit_status,
            "interrupted" if interrupted else "measured",
            text,
            not interrupted,
            outcome.run,
            environment,
            outcome.file,
        )

    # -- afterwards --------------------------------------------------------------------------------------------

    def _remember(self, result: _Result, begun: datetime) -> None:
        state = self.state
        if result.done:
            state.done, state.begun, state.attempts = State.text(begun), "", 0
            state.count += result.outcome == "measured"
        state.environment = result.environment or state.environment
        state.run = result.run or state.run
        state.last = {
            "at": State.text(self._now()),
            "outcome": result.outcome,
            "status": result.status,
            "text": result.text[:500],
            "run": result.run,
        }
        self._save()

    def _save(self) -> None:
        try:
            self.state.write()
        except StorageError as error:
            self.log(f"what is remembered of the job cannot be written: {error}")

    def _deliver(self, result: _Result) -> int:
        """Copy and send; what cannot be sent waits, and the status says so unless it says something worse."""
        status = result.status
        complete = result.file if result.file is not None else None
        try:
            if complete is not None and self.settings.into is not None:
                self.log(f"copied to {put_copy(complete, self.settings.into)}")
            if self.delivery is not None:
                sent = self.delivery.send(complete if result.outcome == "measured" else None)
                if sent:
                    self.log(f"{sent} sent to {self.settings.upload}")
        except FlopwatchError as error:
            self.log(f"not delivered: {error}")
            status = status or _NOT_STORED
        if self.delivery is not None:
            self.delivery.tell(self._heartbeat(result, self.delivery.waiting()))
        return status

    def _heartbeat(self, result: _Result, waiting: int) -> Any:
        from data.heartbeats import Heartbeat
        from runners import __version__
        from runners.machine import describe_machine

        machine, rhythm = describe_machine(self.settings.wishes.machine), self.settings.rhythm
        done = self.state.moment("done")
        return Heartbeat(
            machine=machine.id,
            name=machine.name,
            job=self.settings.name,
            at=State.text(self._now()),
            outcome=result.outcome,
            text=result.text[:500],
            run=result.run,
            every_s=rhythm.every_s if rhythm else None,
            done=State.text(done) if done else None,
            due=State.text(rhythm.next(done) if done else rhythm.slot(self._now())) if rhythm else None,
            waiting=waiting,
            flopwatch=__version__,
        )


def _share_of(name: str) -> float:
    """Return a share from 0 to 1 that is always the same for a job of this machine: its history keeps its hour."""
    who = f"{os.environ.get('FLOPWATCH_MACHINE') or platform.node()} {name}"
    return int.from_bytes(hashlib.sha256(who.encode()).digest()[:4], "big") / 2**32
