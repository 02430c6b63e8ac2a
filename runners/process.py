"""Starting a worker process and talking to it, with a time limit on every answer."""

import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from runners.plan import Group
from runners.workload import backends

__all__ = ["Place", "Worker", "WorkerDied", "WorkerRefused", "WorkerTimeout", "flag_settings"]

_SCRIPT = Path(__file__).resolve().with_name("worker.py")


@dataclass(frozen=True)
class Place:
    """Where workers run: the interpreter of an environment, whose kernels, and what variables are set besides.

    ``stamp`` names what else shapes compiled loops there; it is empty for the environment of flopwatch itself.
    """

    python: str = sys.executable
    script: Path = _SCRIPT
    variables: tuple[tuple[str, str], ...] = ()
    stamp: str = ""


#: What a worker inherits; anything else could change a number without being recorded.
_INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "USERPROFILE",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_PATH",
    "NVIDIA_VISIBLE_DEVICES",
    "NUMBA_CPU_NAME",
    "OPENBLAS_CORETYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "FLOPWATCH_KERNELS",
)


class WorkerDied(Exception):
    """The process ended before it answered."""


class WorkerTimeout(Exception):
    """The process did not answer in time and was killed."""


class WorkerRefused(Exception):
    """The process answered that it cannot do it; the text is its reason, ``status`` that of a measurement."""

    def __init__(self, reason: str, status: str = "failed") -> None:
        """Keep the status beside the reason."""
        super().__init__(reason)
        self.status = status


def flag_settings(flags: tuple[str, ...]) -> dict[str, str]:
    """Return the environment variables that the flags of a group stand for."""
    from runners.backends.backend_numba import FLAG_SETTINGS

    return {name: value for flag in flags for name, value in FLAG_SETTINGS[flag].items()}


def _environment(group: Group, numba_cache: Path, padding: int, place: Place) -> dict[str, str]:
    variables = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    known = backends()
    for name in group.backends:
        variables |= known[name].settings(group.threads)
    variables |= flag_settings(group.flags) | dict(place.variables)
    variables["NUMBA_CACHE_DIR"] = str(numba_cache)
    variables["PYTHONNOUSERSITE"] = "1"
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    # The size of the environment shifts the stack and with it the alignment of everything on it
    # (Mytkowicz et al., ASPLOS 2009): randomise it instead of freezing one layout.
    variables["FLOPWATCH_PADDING"] = "x" * padding
    lent = sys.modules.get("threadpoolctl")
    path = getattr(lent, "__file__", None) or _find("threadpoolctl")
    if path:
        variables["FLOPWATCH_THREADPOOLCTL"] = str(path)
    return variables


def _find(module: str) -> str | None:
    import importlib.util

    spec = importlib.util.find_spec(module)
    return spec.origin if spec is not None else None


class Worker:
    """A fresh process (exec, not fork) that measures for one group."""

    def __init__(
        self,
        group: Group,
        scratch: Path,
        numba_cache: Path,
        protocol: dict[str, Any],
        rng: random.Random,
        place: Place = Place(),
    ) -> None:
        """Start the process; :meth:`ready` waits until its backends are imported."""
        self.group = group
        self.padding = rng.randrange(4096)
        self.running: dict[str, Any] = {}
        self._stderr: deque[str] = deque(maxlen=20)
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._process = subprocess.Popen(
            [place.python, str(place.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(group, numba_cache, self.padding, place),
            cwd=scratch,
            start_new_session=os.name == "posix",
        )
        self.pid = self._process.pid
        threading.Thread(target=self._drain_errors, daemon=True).start()
        threading.Thread(target=self._read_lines, daemon=True).start()
        settings = {
            "backends": list(group.backends),
            "threads": group.threads,
            "scratch": str(scratch),
            "protocol": protocol,
        }
        with contextlib.suppress(WorkerDied):  # whoever waits for it to be ready is told why it is not
            self._send(settings)

    def _drain_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr.append(line.decode(errors="replace").rstrip())

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):
                self._lines.put(line)
        self._lines.put(None)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, OSError) as error:
            raise WorkerDied(self._death()) from error

    def ready(self, limit_s: float = 120.0) -> None:
        """Wait until the backends are imported.  Raises what :meth:`ask` raises."""
        self._answer(limit_s)

    def ask(self, limit_s: float, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises :class:`WorkerTimeout`, :class:`WorkerDied` or :class:`WorkerRefused`; ``running`` then says which
        variant the worker was at.
        """
        self.running = {}
        self._send(request)
        return self._answer(limit_s)

    def _answer(self, limit_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + limit_s
        while True:
            message = json.loads(self._line(deadline, limit_s))
            if "event" in message:
                self.running = message
                continue
            if not message.get("ok"):
                raise WorkerRefused(
                    str(message.get("reason", "no reason given")), message.get("status", "failed")
                )
            return dict(message)

    def _line(self, deadline: float, limit_s: float) -> bytes:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            self.kill()
            raise WorkerTimeout(f"no answer within {limit_s:.0f} s; the process was killed") from None
        if line is None:
            raise WorkerDied(self._death())
        return line

    def _death(self) -> str:
        code = self._process.wait()
        why = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        last = next((line for line in reversed(self._stderr) if line.strip()), "")
        return f"the worker process {why}" + (f": {last}" if last else "")

    def resident_bytes(self) -> int | None:
        """Return the memory that the process holds now, or None where that cannot be told."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return None

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Ask the process to end, and end it if it does not."""
        try:
            self._send({"op": "quit"})
            self._process.wait(timeout=10)
        except (WorkerDied, subprocess.TimeoutExpired):
            self.kill()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
