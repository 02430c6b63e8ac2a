"""From the way in to the index: what was read and summarised to be checked need not be read again from the ledger."""

import threading
from collections import OrderedDict

import msgspec

from data.ingest import Arrival

__all__ = ["Handover", "pack"]

#: So much waits for the index, packed: hundreds of runs.  What finds no room is read from the ledger.
_LIMIT_BYTES = 32 << 20

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Arrival).decode


def pack(arrival: Arrival) -> bytes:
    """Return an arrival packed, or nothing where a number in it is larger than that can hold."""
    try:
        return _encode(arrival)
    except OverflowError:
        return b""


class Handover:
    """Packed arrivals by the digests of their entries, the oldest first, of bounded size.  Safe for threads."""

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        """Keep at most so many bytes."""
        self._limit, self._bytes = limit_bytes, 0
        self._lock = threading.Lock()
        self._held: OrderedDict[str, bytes] = OrderedDict()

    def give(self, sha256: str, packed: bytes) -> None:
        """Keep an arrival until it is asked for; where there is no room, those go that have waited longest."""
        if not packed:
            return
        with self._lock:
            self._drop(sha256)
            self._held[sha256] = packed
            self._bytes += len(packed)
            while self._bytes > self._limit:
                self._drop(next(iter(self._held)))

    def take(self, sha256: str) -> Arrival | None:
        """Return what was given for an entry, once; None if nothing was, or it had to go."""
        with self._lock:
            packed = self._drop(sha256)
        return None if packed is None else _decode(packed)

    def _drop(self, sha256: str) -> bytes | None:
        packed = self._held.pop(sha256, None)
        self._bytes -= len(packed or b"")
        return packed
