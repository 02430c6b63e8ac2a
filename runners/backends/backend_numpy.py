"""NumPy: its operators, and the BLAS that its wheel brings."""

from pathlib import Path
from typing import Any

import numpy as np

from runners.backends.backend_safetensors import save as save_safetensors
from runners.backends.files import file_operators, load_one_operators, load_operators, map_safetensors
from runners.backends.operators_numpy import OPERATORS
from runners.profiles import STANDARD
from runners.workload import Availability, Backend

__all__ = ["NumpyBackend"]


def _save_npz(tensors: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **tensors)


def _load_npz(path: Path) -> dict[str, Any]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _load_one_npz(path: Path, name: str) -> Any:
    with np.load(path) as archive:
        return archive[name]


def _map_one(path: Path, name: str) -> Any:
    return map_safetensors(path)[name]


class NumpyBackend(Backend):
    """NumPy as its wheel is."""

    name = "numpy"
    title = "NumPy with the BLAS of its wheel"
    packages = ("numpy",)
    install = "pip install numpy"
    operators = (
        *OPERATORS,
        *file_operators("numpy", "npz", _save_npz, _load_npz, profiles=STANDARD),
        *load_one_operators("numpy", "npz", _save_npz, _load_one_npz),
        *load_operators("numpy", "safetensors-mmap", save_safetensors, map_safetensors, bound="none"),
        *load_one_operators("numpy", "safetensors-mmap", save_safetensors, _map_one, bound="none"),
    )

    def probe(self) -> Availability:
        """Say that it is always there: the worker itself needs it."""
        return Availability(True)

    def settings(self, threads: int) -> dict[str, str]:
        """Fix the pool of whichever BLAS the wheel brings."""
        names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
        return dict.fromkeys(names, str(threads))

    def load(self, threads: int) -> None:
        """Need nothing: NumPy is imported with this file; its threads were set by the environment."""

    def describe(self) -> dict[str, Any]:
        """Return the version and what NumPy says of its BLAS; threads are seen by threadpoolctl, where it is."""
        config = np.show_config(mode="dicts") or {}
        blas = config.get("Build Dependencies", {}).get("blas", {})
        return {"version": np.__version__, "blas": {key: blas.get(key) for key in ("name", "version")}}
