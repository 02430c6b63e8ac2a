"""Apple's Accelerate, a part of macOS, called directly.

Written from Apple's headers: ``cblas_sgemm`` has the same signature everywhere.  It has run on no machine of the
project's own yet, and says so in its description.
"""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from runners.backends.cblas import CblasBackend, cblas_operators
from runners.workload import Availability

__all__ = ["AccelerateBackend"]

#: the file is in the system's cache of libraries, not on the disk: it can be loaded, but not looked at
_LIBRARY = Path("/System/Library/Frameworks/Accelerate.framework/Accelerate")


class AccelerateBackend(CblasBackend):
    """Accelerate: ``cblas_sgemm``; it has no batched form, so a batch is a loop."""

    name = "accelerate"
    title = "Apple Accelerate, called directly"
    install = "it is part of macOS and exists nowhere else"
    operators = cblas_operators("accelerate")

    def probe(self) -> Availability:
        """Say whether this is macOS."""
        if sys.platform == "darwin":
            return Availability(True)
        return Availability(False, f"this is {platform.system()}, Accelerate is part of macOS", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Ask for a number of threads; Accelerate offers no other way, and none to read it back."""
        return {"VECLIB_MAXIMUM_THREADS": str(threads)}

    def locate(self) -> Path:
        """Return where the framework is loaded from."""
        return _LIBRARY

    def set_threads(self, threads: int) -> None:
        """Need nothing: the environment has said it."""

    def get_threads(self) -> int:
        """Return what the environment asked for, since the library does not tell."""
        return int(os.environ.get("VECLIB_MAXIMUM_THREADS", os.cpu_count() or 1))

    def batch_multiplication(self, a: Any, b: Any, c: Any) -> Any:
        """Return a call of one product after the other."""
        calls = [self.multiplication(*matrices) for matrices in zip(a, b, c, strict=True)]

        def call() -> None:
            for multiply in calls:
                multiply()

        return call

    def describe(self) -> dict[str, Any]:
        """Return the system's version, which is the library's, and what cannot be verified."""
        return {
            "version": platform.mac_ver()[0],
            "threads": self.get_threads(),
            "core": platform.machine(),
            "note": "threads are asked for by the environment and cannot be read back; not tested by the authors",
        }
