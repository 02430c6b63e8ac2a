"""Processes that check run files: in the server itself, this would hold up its pages and everybody else who sends.

They are started with the first file that comes, and the files that come meanwhile are checked here.
"""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from data.checking import Checked, check
from data.errors import NotStored
from data.processes import collect_rarely, empty_main, end_with_parent

__all__ = ["Checkers"]

#: So many at most; each has some 100 MB.
_MOST = 4
#: So long each waits for the others to be started.
_START_S = 0.2


class Checkers:
    """Processes that check run files, as many as there are processors.  Safe for threads."""

    def __init__(self) -> None:
        """Start nothing yet, and nothing at all before :meth:`open`."""
        self._lock = threading.Lock()
        self._open = False
        self._pool: ProcessPoolExecutor | None = None
        self._starting: list[Future[None]] = []

    def open(self) -> None:
        """Let the next file start them."""
        self._open = True

    def check(self, content: bytes, limit_bytes: int) -> Checked:
        """Check a run file as :func:`data.checking.check` does, in another process where one is ready.

        Raises NotStored where that was killed: the next file starts others.  This file is not checked here, as it may
        be why the memory did not suffice.
        """
        pool = self._ready()
        if pool is None:
            return check(content, limit_bytes)
        try:
            return pool.submit(check, content, limit_bytes).result()
        except BrokenProcessPool:
            self._drop(pool)
            raise NotStored("the check of the file was interrupted; send it again") from None

    def _ready(self) -> ProcessPoolExecutor | None:
        with self._lock:
            if not self._open:
                return None
            if self._pool is None:
                self._start()
            started = all(one.done() and one.exception() is None for one in self._starting)
            return self._pool if started else None

    def _start(self) -> None:
        count = min(_MOST, os.cpu_count() or 1)
        self._pool = ProcessPoolExecutor(
            count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
        )
        # A pool starts a process with a task while none is idle: so all of them are started here, and none later.
        with empty_main():
            self._starting = [self._pool.submit(time.sleep, _START_S) for _ in range(count)]

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            if self._pool is pool:
                self._pool = None

    def close(self) -> None:
        """End them; files are checked here from now on."""
        self._open = False
        if self._pool:
            self._drop(self._pool)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this
    collect_rarely()
    end_with_parent()
