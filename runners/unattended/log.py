"""The log of jobs: one line for each thing that happened, a few hundred kilobytes at most."""

import logging
import logging.handlers
import sys
from datetime import UTC, datetime
from pathlib import Path

from data.summary import Measured
from data.words import Status
from runners.lines import Observer

__all__ = ["LIMIT_BYTES", "Log", "LoggedRun"]

#: The log is begun anew at this size, and so many older ones are kept.
LIMIT_BYTES, KEPT = 200_000, 3


class _Handler(logging.handlers.RotatingFileHandler):
    """A log that cannot be written, as on a full disk, stops nobody: standard error has every line as well."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging calls it so
        """Go on."""


class _Form(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%Y-%m-%dT%H:%M:%SZ} [{record.process}] {' '.join(record.getMessage().split())}"


class Log:
    """Writes to the file and to standard error, where a scheduler keeps it in its own way."""

    def __init__(self, path: Path, job: str) -> None:
        """Write to ``path`` as the job ``job``."""
        self._logger = logging.Logger("flopwatch.job")
        self._job = job
        handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(_Handler(path, maxBytes=LIMIT_BYTES, backupCount=KEPT, encoding="utf-8"))
        except OSError as error:
            print(f"flopwatch: no log can be written at {path}: {error.strerror}", file=sys.stderr)  # noqa: T201
        for handler in handlers:
            handler.setFormatter(_Form())
            self._logger.addHandler(handler)

    def __call__(self, text: object) -> None:
        """Write a line."""
        self._logger.info("%s: %s", self._job, text)

    def close(self) -> None:
        """Let go of the file."""
        for handler in list(self._logger.handlers):
            handler.close()


class LoggedRun(Observer):
    """Writes down what is worth a line in a run that nobody watches: what failed, and what was remarked."""

    def __init__(self, log: Log) -> None:
        """Write to ``log``."""
        self._log = log
        self._named: set[object] = set()

    def planned(self, cells: int, processes: int) -> None:
        """Say how much there is to do."""
        self._log(f"measuring {cells} variants in {processes} processes each")

    def measured(self, line: Measured) -> None:
        """Name what is not ok, once."""
        if line.status != Status.OK and line.key not in self._named:
            self._named.add(line.key)
            self._log(f"{line.status}: {line.case} {line.variant} on {line.backend}: {line.reason}")

    def remark(self, text: str) -> None:
        """Pass on something worth knowing."""
        self._log(text)
