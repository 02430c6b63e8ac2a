"""Our own loops, compiled by Numba on the machine that runs them.

This is the only file that imports Numba and llvmlite.  ``runners.compiled`` and ``runners.simd`` take both from here.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

from runners import workload
from runners.backends.distributions import find, version
from runners.workload import Availability, Backend

__all__ = ["FLAG_SETTINGS", "LOADED", "NumbaBackend", "compile_loop", "library", "prange"]

#: whether Numba was imported in this process
LOADED = False

#: iterates over the range, in parallel inside a loop compiled with ``parallel``
prange: Any = range

#: what a variant's flag asks of the environment of its process, set before Numba is imported
FLAG_SETTINGS: dict[str, dict[str, str]] = {
    "no-vectorise": {"NUMBA_LOOP_VECTORIZE": "0", "NUMBA_SLP_VECTORIZE": "0"},
}


def library(name: str = "numba") -> Any:
    """Import ``numba``, ``llvmlite`` or a part of them by its dotted name."""
    return importlib.import_module(name)


def compile_loop(function: Callable[..., Any], *, parallel: bool, inline: bool, contract: bool) -> Any:
    """Compile with an on-disk cache, without the interpreter lock and with IEEE division.

    ``contract`` lets a product and a sum fuse into one rounding; no other rule of arithmetic is relaxed.
    """
    return library().njit(
        cache=True,
        nogil=True,
        parallel=parallel,
        forceinline=inline,
        no_cfunc_wrapper=True,
        error_model="numpy",
        fastmath={"contract"} if contract else False,
    )(function)


class NumbaBackend(Backend):
    """Loops in plain Python and explicit vectors, compiled by LLVM through Numba."""

    name = "numba"
    first_call_differs = True
    title = "our own loops, compiled by Numba (LLVM)"
    packages = ("numba",)
    install = "pip install numba"

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("numba", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Fix the pool's size, and prefer the threading layers with a fork and join of a few microseconds."""
        return {
            "NUMBA_NUM_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "NUMBA_THREADING_LAYER_PRIORITY": "omp tbb workqueue",
        }

    def load(self, threads: int) -> None:
        """Import Numba and let the kernel files be compiled, also those that were read before.

        Raises RuntimeError if the pool is smaller than ``threads``.
        """
        global LOADED, prange
        numba = library()
        if threads > numba.config.NUMBA_NUM_THREADS:
            raise RuntimeError(
                f"Numba has a pool of {numba.config.NUMBA_NUM_THREADS} threads, {threads} were asked for: "
                f"start the process with NUMBA_NUM_THREADS={threads}"
            )
        numba.set_num_threads(threads)
        if not LOADED:
            LOADED, prange = True, numba.prange
            workload.reread_kernels()

    def describe(self) -> dict[str, Any]:
        """Return versions, the threading layer (known after the first parallel loop), threads and the target."""
        numba = library()
        codegen = library("llvmlite.binding")
        try:
            layer = numba.threading_layer()
        except ValueError:
            layer = None
        return {
            "version": numba.__version__,
            "llvmlite": version("llvmlite"),
            "llvm": ".".join(str(part) for part in codegen.llvm_version_info),
            "threading_layer": layer,
            "threads": numba.get_num_threads(),
            "core": numba.config.CPU_NAME or codegen.get_host_cpu_name(),
            "vectorise": {
                "loop": os.environ.get("NUMBA_LOOP_VECTORIZE", "1") != "0",
                "slp": os.environ.get("NUMBA_SLP_VECTORIZE", "0") != "0",
            },
        }
