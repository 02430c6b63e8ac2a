"""Receiving what a client sends: never more than is allowed, never slower than is fair, never all memory."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from app.api.answers import Refusal

__all__ = ["packed_limit", "receive", "require_type", "room", "unpacked_limit"]

MIB = 1 << 20

#: Content types under which a run file may come; a missing one is taken as a run file, too.
TYPES = (
    "application/gzip",
    "application/json",
    "application/jsonl",
    "application/octet-stream",
    "application/x-gzip",
    "application/x-ndjson",
    "text/plain",
)
ENCODINGS = ("", "gzip", "identity", "x-gzip")

#: A client that sends nothing for so long has gone, and one that is slower than this holds others up.
IDLE_S = 30.0
GRACE_S = 30.0
SLOWEST_BYTES_PER_S = 1024
#: What is a little too large is read to its end before it is refused, for so long.
DROP_S = 10.0
#: Bodies of one token at a time, and bytes of all bodies together.
BODIES_OF_TOKEN = 16
BODIES_BYTES = 256 * MIB


def packed_limit() -> int:
    """Return the most bytes that a request may send."""
    return _from_environment("FLOPWATCH_UPLOAD_MIB", 32) * MIB


def unpacked_limit() -> int:
    """Return the most bytes that a run file may hold when it is unpacked."""
    return _from_environment("FLOPWATCH_UNPACKED_MIB", 128) * MIB


def _from_environment(name: str, usual: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and int(text) > 0 else usual


class _Room:
    """How many bytes all bodies hold, and how many bodies a token has; used in the event loop only."""

    def __init__(self) -> None:
        self.bytes = 0
        self.bodies: Counter[str] = Counter()


_room = _Room()


def _busy(message: str) -> Refusal:
    return Refusal(503, "busy", f"{message}; send it again in a moment", headers={"Retry-After": "3"})


@asynccontextmanager
async def room(holder: str) -> AsyncIterator[bytearray]:
    """Lend a buffer for the body of one request of a token; what it holds is counted until the end."""
    if _room.bodies[holder] >= BODIES_OF_TOKEN:
        raise _busy(f"this token sends {BODIES_OF_TOKEN} files at a time already")
    body = bytearray()
    _room.bodies[holder] += 1
    try:
        yield body
    finally:
        _room.bodies[holder] -= 1
        _room.bodies += Counter()  # forget those that have none
        _room.bytes -= len(body)


def require_type(request: Request) -> None:
    """Raise 415 for what is no run file by its own account."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in TYPES:
        raise Refusal(
            415, "unsupported-type", f"{kind[:100]!r} is no type of a run file; send application/x-ndjson"
        )
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise Refusal(415, "unsupported-encoding", f"{encoding[:100]!r} is not read; send gzip or nothing")


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "too-large", f"larger than the {limit / MIB:,.0f} MiB that a request may send")


async def receive(request: Request, body: bytearray, limit: int) -> None:
    """Fill ``body`` with what the client sends; raises 408, 413 or 503."""
    promised = request.headers.get("content-length", "")
    stream = request.stream()
    if promised.isdecimal() and (len(promised) > 15 or int(promised) > limit):
        if len(promised) <= 15 and int(promised) <= 2 * limit:
            await _drop(stream)
        raise _too_large(limit)
    started = time.monotonic()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream, None), IDLE_S)
        except TimeoutError:
            raise _slow(f"nothing came for {IDLE_S:.0f} s") from None
        if chunk is None:
            return
        if len(body) + len(chunk) > limit:
            raise _too_large(limit)
        if _room.bytes + len(chunk) > BODIES_BYTES:
            raise _busy("the server is receiving as much as it can hold")
        body += chunk
        _room.bytes += len(chunk)
        if time.monotonic() - started > GRACE_S + len(body) / SLOWEST_BYTES_PER_S:
            raise _slow(f"slower than {SLOWEST_BYTES_PER_S} bytes/s")


async def _drop(stream: AsyncIterator[bytes]) -> None:
    """Read on without keeping anything, for a while: a proxy that is still sending would lose the answer."""
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DROP_S):
            async for _ in stream:
                pass


def _slow(why: str) -> Refusal:
    return Refusal(408, "too-slow", f"{why}; send it again", headers={"Connection": "close"})
