"""OpenBLAS from the wheel scipy-openblas32, called directly."""

import ctypes
import importlib
from pathlib import Path
from typing import Any

from runners.backends.cblas import CblasBackend, cblas_operators
from runners.backends.distributions import find, version
from runners.workload import Availability

__all__ = ["OpenblasBackend"]


class OpenblasBackend(CblasBackend):
    """OpenBLAS: ``cblas_sgemm`` and ``cblas_sgemm_batch_strided``."""

    name = "openblas"
    title = "OpenBLAS, called directly"
    packages = ("scipy-openblas32",)
    install = "pip install scipy-openblas32"
    prefix = "scipy_"
    operators = cblas_operators("openblas")

    def probe(self) -> Availability:
        """Look for the installed wheel; nothing is loaded."""
        return find("scipy_openblas32", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Fix the pool's size; NumPy's own OpenBLAS reads the same variable."""
        return {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}

    def locate(self) -> Path:
        """Return the shared library inside the wheel."""
        wheel = importlib.import_module("scipy_openblas32")
        folder = Path(wheel.get_lib_dir())
        found = sorted(folder.glob(f"*{wheel.get_library()}*"))
        shared = [file for file in found if file.suffix in (".so", ".dylib", ".dll")]
        if not shared:
            raise FileNotFoundError(f"no shared library in {folder}: reinstall with {self.install}")
        return shared[0]

    def set_threads(self, threads: int) -> None:
        """Set the size of OpenBLAS's own pool."""
        self.function("openblas_set_num_threads", argtypes=[ctypes.c_int])(threads)

    def get_threads(self) -> int:
        """Ask for the size of OpenBLAS's own pool."""
        return int(self.function("openblas_get_num_threads", ctypes.c_int)())

    def describe(self) -> dict[str, Any]:
        """Return version, configuration and the core type whose kernels OpenBLAS chose."""
        config = self.function("openblas_get_config", ctypes.c_char_p)().decode()
        return super().describe() | {
            "version": config.split()[1],
            "distribution": version("scipy-openblas32"),
            "config": config,
            "core": self.function("openblas_get_corename", ctypes.c_char_p)().decode(),
        }
