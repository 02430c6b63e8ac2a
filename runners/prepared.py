"""What a worker holds and how it answers: the variants of a case that are built, and the way back to whoever asked."""

import json
from typing import Any, BinaryIO

from runners.rounds import Subject  # noqa: TC001 (read where samples are kept)
from runners.workload import Backend, Job, Ready

__all__ = ["Prepared", "Wire"]


class Wire:
    """The way back to whoever asked."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write answers to ``stream``."""
        self._stream = stream

    def send(self, message: dict[str, Any]) -> None:
        """Send one JSON line at once."""
        self._stream.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self._stream.flush()


class Prepared:
    """A variant of the current case, built, called once and checked."""

    def __init__(self, wish: dict[str, Any], job: Job, ready: Ready) -> None:
        """Keep what was wished for and the ready call."""
        self.wish, self.job, self.ready = wish, job, ready
        self.answer: dict[str, Any] = {"status": "ok"}
        #: the first call, where it took so long that it is the one sample of this process
        self.sampled: Subject | None = None
        #: what the first call did to the memory of the process, in bytes
        self.memory: dict[str, int] = {}
        backend = job.backend
        self.call = ready.call
        if type(backend).synchronize is not Backend.synchronize:
            self.call = _synchronised(ready.call, backend.synchronize)


def _synchronised(call: Any, synchronize: Any) -> Any:
    def both() -> Any:
        returned = call()
        synchronize()
        return returned

    return both
