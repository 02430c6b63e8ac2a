"""Host arrays at addresses that vectors like, with their pages touched.

A processor tells loads from earlier stores by the lowest 12 bits of their addresses at first.  An output that begins
64 bytes further into its page than the input makes NumPy's exp of a million numbers 15 to 20 % slower (AMD Zen 4), at
any other distance beyond 256 bytes nothing; where the allocator happens to put an array would decide a comparison.  So
large arrays all begin at a page, as they nearly do where the system maps them.
"""

from typing import Any

import numpy as np

__all__ = [
    "ALIGNMENT_BYTES",
    "aligned",
    "bfloat16_bits",
    "fresh_output",
    "from_bfloat16_bits",
    "normal",
    "rounded",
]

#: a cache line, and the widest vector register
ALIGNMENT_BYTES = 64
#: where arrays of a page or more begin
_PAGE_BYTES = 4096


def aligned(shape: tuple[int, ...]) -> Any:
    """Return an uninitialised float32 array, row-major, that begins at 64 bytes, or at a page if it is that large."""
    size = 4 * int(np.prod(shape))
    boundary = _PAGE_BYTES if size >= _PAGE_BYTES else ALIGNMENT_BYTES
    raw = np.empty(size + boundary, np.uint8)
    start = -raw.ctypes.data % boundary
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


def bfloat16_bits(array: Any) -> Any:
    """Return the upper 16 bits of float32 numbers, rounded to nearest even: what NumPy has no type for."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bfloat16_bits(bits: Any) -> Any:
    """Return bfloat16 numbers, given as their bits, as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rounded(array: Any, dtype: str) -> Any:
    """Return float32 numbers that the type ``float16`` or ``bfloat16`` holds exactly, the nearest to those given."""
    if dtype == "bfloat16":
        return from_bfloat16_bits(bfloat16_bits(array))
    return array.astype(np.float16).astype(np.float32) if dtype == "float16" else array
