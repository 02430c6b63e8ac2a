"""Packed bytes: gzip on the way, and never more unpacked than is allowed."""

import gzip
import zlib

from data.errors import RunFileError, TooLarge

__all__ = ["LIMIT_BYTES", "pack", "unpack"]

#: The most that a run file may hold when it is unpacked.
LIMIT_BYTES = 1 << 30

_GZIP = b"\x1f\x8b"


def pack(content: bytes) -> bytes:
    """Return ``content`` gzipped, the same bytes for the same content."""
    return gzip.compress(content, 6, mtime=0)


def unpack(content: bytes, limit_bytes: int = LIMIT_BYTES, source: str = "") -> bytes:
    """Return ``content`` uncompressed; raises RunFileError for damaged gzip and above ``limit_bytes``."""
    if content[:2] == _GZIP:
        content = _gunzip(content, limit_bytes, source)
    if len(content) > limit_bytes:
        raise TooLarge(f"holds more than the {limit_bytes / 2**20:,.0f} MiB allowed", source=source)
    return content


def _gunzip(content: bytes, limit_bytes: int, source: str) -> bytes:
    """Unpack every member of a gzip file, never holding more than the limit."""
    parts: list[bytes] = []
    total = 0
    while content:
        stream = zlib.decompressobj(wbits=31)
        try:
            part = stream.decompress(content, limit_bytes + 1 - total)
        except zlib.error as error:
            raise RunFileError(f"damaged gzip: {error}; transfer the file again", source=source) from error
        parts.append(part)
        total += len(part)
        if total > limit_bytes:
            break
        if not stream.eof:
            raise RunFileError("the gzip data ends early; transfer the file again", source=source)
        content = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)
