"""What all schedulers share: what is planned, the files it takes, and steps that are shown before they are done."""

import contextlib
import os
import shlex
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from data.errors import BadInput, StorageError

__all__ = ["Delete", "File", "NodeType", "Plan", "Run", "Scheduler", "Step", "Write", "shell", "times"]

_DAY_S, _HOUR_S = 86_400, 3_600


@dataclass(frozen=True)
class NodeType:
    """A kind of node of a cluster: a name, and what the scheduler is to ask for."""

    name: str
    wants: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A job and where it is to run.

    ``program`` and ``options`` are the words of ``flopwatch job``; ``variables`` are set for it.  The rest is for
    clusters and repositories: ``shared`` is a folder that all nodes see.
    """

    name: str
    program: tuple[str, ...]
    options: tuple[str, ...]
    every_s: int
    at_s: int
    variables: dict[str, str]
    home: Path
    node_types: tuple[NodeType, ...] = (NodeType("any"),)
    shared: Path | None = None
    image: str = "flopwatch:runner"
    claim: str = ""
    upload: str = ""
    repository: Path = Path()

    @property
    def words(self) -> list[str]:
        """Return the command of the job."""
        return [*self.program, "job", *self.options]

    @property
    def minute(self) -> int:
        """Return the minute at which an hourly bell is rung."""
        return self.at_s % _HOUR_S // 60


def times(plan: Plan) -> str:
    """Return the rhythm as the five fields of cron.  Raises BadInput for one that cron cannot say."""
    minute, hour = plan.minute, plan.at_s // _HOUR_S
    if plan.every_s in (_DAY_S, 7 * _DAY_S):
        return f"{minute} {hour} * * {'*' if plan.every_s == _DAY_S else '1'}"
    if plan.every_s >= _HOUR_S and _DAY_S % plan.every_s == 0 and plan.every_s % _HOUR_S == 0:
        step = plan.every_s // _HOUR_S
        hours = ",".join(str(one) for one in range(hour % step, 24, step))
        return f"{minute} {'*' if step == 1 else hours} * * *"
    raise BadInput(
        f"--every {plan.every_s / _HOUR_S:g}h cannot be said to this scheduler; "
        "choose a part of a day in whole hours, 24h or 168h"
    )


def shell(words: list[str]) -> str:
    """Return words as a shell reads them."""
    return shlex.join(words)


@dataclass(frozen=True)
class File:
    """A file that a scheduler reads, complete and commented."""

    path: Path
    text: str
    executable: bool = False
    encoding: str = "utf-8"


class Step(ABC):
    """Something that is done to install or remove a job; ``str`` says what."""

    @abstractmethod
    def do(self) -> str:
        """Do it, and return what came of it in a word or two."""


@dataclass(frozen=True)
class Write(Step):
    """Write a file unless it is there just so."""

    file: File

    def __str__(self) -> str:
        """Say what."""
        return f"write {self.file.path}"

    def do(self) -> str:
        """Replace the file as a whole; raises StorageError."""
        path, content = self.file.path, self.file.text.encode(self.file.encoding)
        with contextlib.suppress(OSError):
            if path.read_bytes() == content:
                return "is there already"
        aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(content)
            if self.file.executable:
                aside.chmod(0o755)
            aside.replace(path)
        except OSError as error:
            raise StorageError.from_os(path, error) from error
        return "written"


@dataclass(frozen=True)
class Delete(Step):
    """Remove a file where it is."""

    path: Path

    def __str__(self) -> str:
        """Say what."""
        return f"remove {self.path}"

    def do(self) -> str:
        """Remove it; raises StorageError."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return "was not there"
        except OSError as error:
            raise StorageError.from_os(self.path, error) from error
        return "removed"


@dataclass(frozen=True)
class Run(Step):
    """Run a program; with ``optional`` it may fail."""

    words: tuple[str, ...]
    given: str | None = None
    optional: bool = False

    def __str__(self) -> str:
        """Say what."""
        return shell(list(self.words)) + (f" <<< {len(self.given.splitlines())} lines" if self.given else "")

    def do(self) -> str:
        """Run it; raises BadInput with what it said."""
        program = shutil.which(self.words[0])
        if program is None:
            if self.optional:
                return f"not here: {self.words[0]}"
            raise BadInput(f"{self.words[0]} is not here, so this scheduler cannot be used on this machine")
        done = subprocess.run(
            [program, *self.words[1:]],
            input=self.given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        said = " ".join((done.stderr or done.stdout).split())[:500]
        if done.returncode and not self.optional:
            raise BadInput(f"{self} failed with status {done.returncode}: {said}")
        return said or ("done" if not done.returncode else f"status {done.returncode}")


class Scheduler(ABC):
    """One scheduler."""

    name: str
    #: what it is, for the help
    title: str

    @abstractmethod
    def files(self, plan: Plan) -> list[File]:
        """Return the files that it wants."""

    def install(self, plan: Plan) -> list[Step]:
        """Return the steps that put the job in place; they can be done again."""
        return [Write(file) for file in self.files(plan)]

    def remove(self, plan: Plan) -> list[Step]:
        """Return the steps that take it back."""
        return [Delete(file.path) for file in self.files(plan)]

    def status(self, plan: Plan) -> list[Run]:
        """Return what asks the scheduler about the job."""
        del plan
        return []
