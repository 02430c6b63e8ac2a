"""Intel's MKL from the wheel mkl, called directly."""

import ctypes
import importlib.metadata
from pathlib import Path
from typing import Any

from runners.backends.cblas import CblasBackend, cblas_operators
from runners.backends.distributions import version
from runners.profiles import STANDARD
from runners.workload import Availability

__all__ = ["MklBackend"]


def _shared_library(distribution: str, name: str) -> Path | None:
    """Return the path of the shared library ``name…`` of an installed distribution, or None."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    kinds = (".so", ".dylib", ".dll")
    named = [file for file in files if file.name.removeprefix("lib").startswith(name)]
    shared = [file for file in named if any(kind in file.name for kind in kinds)]
    return next((path for file in shared if (path := Path(str(file.locate())).resolve()).exists()), None)


class MklBackend(CblasBackend):
    """MKL: ``cblas_sgemm`` and ``cblas_sgemm_batch_strided``."""

    name = "mkl"
    title = "Intel MKL, called directly"
    packages = ("mkl",)
    install = "pip install mkl"
    operators = cblas_operators("mkl", STANDARD)

    def probe(self) -> Availability:
        """Look for the library among the installed files; nothing is loaded."""
        if version("mkl") is None:
            return Availability(
                False, "the Python package mkl is not installed (it exists for x86-64)", self.install
            )
        if _shared_library("mkl", "mkl_rt.") is None:
            return Availability(
                False, "the installed package mkl has no file mkl_rt", f"{self.install} --force-reinstall"
            )
        return Availability(True)

    def settings(self, threads: int) -> dict[str, str]:
        """Fix the pool's size."""
        return {"MKL_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), "MKL_DYNAMIC": "FALSE"}

    def locate(self) -> Path:
        """Return the single dynamic library; the OpenMP runtime that it needs is loaded first, for all to see."""
        runtime = _shared_library("intel-openmp", "iomp5")
        if runtime is not None:
            ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
        path = _shared_library("mkl", "mkl_rt.")
        if path is None:
            raise FileNotFoundError(
                f"the package mkl has no library mkl_rt: {self.install} --force-reinstall"
            )
        return path

    def set_threads(self, threads: int) -> None:
        """Set the size of MKL's pool."""
        self.function("MKL_Set_Num_Threads", argtypes=[ctypes.c_int])(threads)

    def get_threads(self) -> int:
        """Ask for the size of MKL's pool."""
        return int(self.function("MKL_Get_Max_Threads", ctypes.c_int)())

    def describe(self) -> dict[str, Any]:
        """Return version and the instruction set whose kernels MKL chose."""
        text = ctypes.create_string_buffer(256)
        self.function("mkl_get_version_string", argtypes=[ctypes.c_char_p, ctypes.c_int])(text, len(text))
        return super().describe() | {"version": version("mkl"), "core": text.value.decode().strip()}
