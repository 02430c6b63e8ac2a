"""Loops that Numba compiles where it is loaded, and plain Python functions where it is not.

A kernel file writes its loops at module level (so that Numba's on-disk cache finds them) with :func:`compiled`.  Where
the worker has loaded the ``numba`` backend they become dispatchers; elsewhere the file imports without Numba, and the
loops stay ordinary functions, which is what lets every backend read the same case definitions.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["LANES", "compiled", "prange", "simd", "source_digest"]

#: the files beside the kernels that shape compiled loops
_COMPILED = ("compiled.py", "simd.py", "backends/backend_numba.py")

#: set by the numba backend when it is loaded; it then lets this module and the kernel files be read again
_numba = sys.modules.get("runners.backends.backend_numba")
_loaded = _numba is not None and getattr(_numba, "LOADED", False)

prange: Any
simd: Any
if _loaded:
    from runners import simd
    from runners.backends.backend_numba import compile_loop, prange

    LANES: int = simd.LANES
else:
    prange = range
    simd = None
    LANES = 8

    def compile_loop(function: Callable[..., Any], *, parallel: bool, inline: bool, contract: bool) -> Any:
        """Leave the function as it is: Numba is not loaded in this process."""
        return function


def compiled(*, parallel: bool = False, inline: bool = False, contract: bool = False) -> Callable[[Any], Any]:
    """Compile a loop: ``parallel`` over ``prange``, ``inline`` into its caller, ``contract`` to fuse multiply-add.

    No other freedom of fast-math is ever given: a sum is added in the order in which it is written.
    """
    return partial(compile_loop, parallel=parallel, inline=inline, contract=contract)


def source_digest() -> str:
    """Hash the sources that end in compiled loops (16 hexadecimal digits).

    Numba's cache notices a change in the file of a function, not one in a function that it calls from another file.
    A cache folder named by this digest never serves code compiled from older sources.
    """
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted((*folder.glob("kernels/*.py"), *(folder / name for name in _COMPILED))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
