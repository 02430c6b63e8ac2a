"""A short measurement that is started from a page: one at a time, on this machine, and only where that is allowed.

It is the same command that people type, in a process of its own.  Its results come back the usual way, through the
ledger; what is watched here is only how far it is.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from data import places
from data.errors import BadInput, StorageError

__all__ = ["ALLOWED", "BUDGET", "Progress", "allowed", "cancel", "progress", "start"]

#: The variable that allows it, and the time after which no further block is started.
ALLOWED, BUDGET = "FLOPWATCH_MEASURE_FROM_PAGE", "2m"
#: What a cancelled run may take to bring home what it has.
_GRACE_S = 30.0
_LINE = re.compile(r"\s*(\d+)%\s+(.*)")
_KERNEL = re.compile(r"[a-z][a-z0-9-]*")
_KEPT_BYTES = 4_000


@dataclass(frozen=True)
class Progress:
    """How far the measurement is: ``share`` from 0 to 1, ``text`` its last words, ``status`` its exit status."""

    what: str
    share: float
    text: str
    status: int | None


class _Measurement:
    """The one measurement of this server: running, ended, or none yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._one: FileLock | None = None
        self._log: Path | None = None
        self._what = ""

    def start(self, what: str, words: list[str]) -> None:
        """Start it; raises BadInput if one is running here or from another server of this home."""
        with self._lock:
            self._settle()
            if self._process is not None and self._process.poll() is None:
                raise BadInput(f"{self._what} is being measured; wait for it, or cancel it")
            folder = places.home()
            try:
                folder.mkdir(parents=True, exist_ok=True)
                one = FileLock(folder / "measuring.lock", thread_local=False)
                one.acquire(timeout=0)
            except Timeout:
                raise BadInput("another server measures with this home; wait for it to end") from None
            except OSError as error:
                raise StorageError.from_os(folder, error) from error
            self._log, self._what, self._one = folder / "measuring.log", what, one
            with self._log.open("wb") as log:
                self._process = self._spawn(words, log)

    def _spawn(self, words: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "runners", *words]
        # A group of its own: Ctrl-C in the server's terminal is answered by the server, which cancels this.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def _settle(self) -> None:
        """Let the next one begin when this one has ended."""
        if self._one is not None and (self._process is None or self._process.poll() is not None):
            self._one.release()
            self._one = None

    def progress(self) -> Progress | None:
        """Return how far it is, None where nothing was started."""
        with self._lock:
            self._settle()
            process, log = self._process, self._log
            if process is None or log is None:
                return None
            status = process.poll()
        lines = [line.strip() for line in _tail(log).splitlines() if line.strip()]
        told = [found for line in lines if (found := _LINE.match(line))]
        share = int(told[-1][1]) / 100 if told else 0.0
        text = told[-1][2] if told and status is None else (lines[-1] if lines else "starting")
        return Progress(self._what, 1.0 if status == 0 else min(share, 1.0), text, status)

    def cancel(self, grace_s: float = _GRACE_S) -> None:
        """Interrupt it, as Ctrl-C does: what was measured is kept.  One that does not listen is ended."""
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        threading.Thread(target=_end, args=(process, grace_s), name="cancel", daemon=True).start()


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    if process.poll() is None:
        process.kill()


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _KEPT_BYTES))
        return file.read().decode("utf-8", "replace").replace("\r", "\n")
    return ""


_measurement = _Measurement()


def allowed() -> bool:
    """Tell whether whoever started the server has allowed it."""
    return os.environ.get(ALLOWED, "").strip().lower() in ("1", "true", "yes")


def start(kernel: str | None = None) -> None:
    """Measure the smoke profile, or one kernel for a short time; raises BadInput if one is running."""
    if kernel is None:
        _measurement.start("the smoke profile", ["run", "--profile", "smoke", "--budget", BUDGET])
        return
    if not _KERNEL.fullmatch(kernel):
        raise BadInput(f"{kernel!r} is no kernel")
    # The quick profile holds each kernel at a size that is over soon.
    words = ["run", "--profile", "quick", "--case", f"{kernel}/*", "--effort", "smoke", "--budget", BUDGET]
    _measurement.start(kernel, words)


def progress() -> Progress | None:
    """Return how far the measurement of this server is, None where none was started."""
    return _measurement.progress()


def cancel() -> None:
    """Interrupt the measurement of this server, if one is running; what was measured is kept."""
    _measurement.cancel()
