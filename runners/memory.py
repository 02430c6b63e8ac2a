"""What a call does to the memory of this process, and what the page cache holds of a file (Linux; empty elsewhere)."""

import ctypes
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FirstCallMemory", "cached_share", "forget_cached"]

_STATUS = Path("/proc/self/status")


def _status_bytes() -> dict[str, int]:
    """Return the sizes in the process's status, in bytes."""
    lines = (line.split() for line in _STATUS.read_text("ascii").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}


class FirstCallMemory:
    """How much resident memory the first call of a function takes at its peak, and how much it still holds after."""

    def __init__(self) -> None:
        #: sizes in bytes by name; empty before the first call and where the system does not tell
        self.increase: dict[str, int] = {}
        self._called = False

    def of_first(self, call: Callable[[], Any]) -> Any:
        """Make the call; only the first is watched, the others cost nothing more."""
        if self._called or not _STATUS.exists():
            return call()
        self._called = True
        _release_free_memory()
        try:
            Path("/proc/self/clear_refs").write_text("5", "ascii")
            before = _status_bytes()
        except OSError:
            return call()
        returned = call()
        after = _status_bytes()
        self.increase = {
            "peak_resident_increase_bytes": max(0, after["VmHWM"] - before["VmRSS"]),
            "anonymous_increase_bytes": max(0, after["RssAnon"] - before["RssAnon"]),
        }
        return returned


def _release_free_memory() -> None:
    """Give what the C library keeps for later back to the system, so that its use again counts as use."""
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def forget_cached(path: Path) -> None:
    """Ask the page cache to drop a file; what is dirty is written first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def cached_share(path: Path) -> float | None:
    """Return the share of a file's pages that the page cache holds, or None where that cannot be told."""
    mincore: Any = getattr(ctypes.CDLL(None), "mincore", None)
    if mincore is None:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        bytes_of_file = np.frombuffer(mapped, np.uint8)
        pages = np.zeros(-(-bytes_of_file.size // mmap.PAGESIZE), np.uint8)
        address, size = ctypes.c_void_p(bytes_of_file.ctypes.data), ctypes.c_size_t(bytes_of_file.size)
        failed = mincore(address, size, ctypes.c_void_p(pages.ctypes.data))
        del bytes_of_file
    return None if failed else float(np.mean(pages & 1))
