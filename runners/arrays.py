"""Host arrays at addresses that vectors like, with their pages touched."""

from typing import Any

import numpy as np

__all__ = ["ALIGNMENT_BYTES", "aligned", "fresh_output", "normal"]

#: a cache line, and the widest vector register
ALIGNMENT_BYTES = 64


def aligned(shape: tuple[int, ...]) -> Any:
    """Return an uninitialised float32 array, row-major, that begins at a multiple of 64 bytes."""
    size = 4 * int(np.prod(shape))
    raw = np.empty(size + ALIGNMENT_BYTES, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT_BYTES
    return raw[start : start + size].view(np.float32).reshape(shape)


def fresh_output(shape: tuple[int, ...]) -> Any:
    """Return an output array full of NaN: its pages are touched, and an element that is not written fails the check."""
    output = aligned(shape)
    output.fill(np.nan)
    return output


def normal(shape: tuple[int, ...], seed: int, deviation: float = 1.0) -> Any:
    """Return float32 numbers drawn from normal(0, ``deviation``)."""
    values = aligned(shape)
    np.random.default_rng(seed).standard_normal(out=values, dtype=np.float32)
    if deviation != 1.0:
        values *= np.float32(deviation)
    return values
