"""safetensors: a header in JSON, then the bytes of every tensor."""

import importlib
from pathlib import Path
from typing import Any

from runners.backends.distributions import find, version
from runners.backends.files import file_operators, load_one_operators
from runners.workload import Availability, Backend

__all__ = ["SafetensorsBackend", "save"]


def _library() -> Any:
    return importlib.import_module("safetensors.numpy")


def save(tensors: dict[str, Any], path: Path) -> None:
    """Write arrays by their names into one file."""
    _library().save_file(tensors, path)


def _load(path: Path) -> dict[str, Any]:
    return _library().load_file(path)  # type: ignore[no-any-return]


def _load_one(path: Path, name: str) -> Any:
    with importlib.import_module("safetensors").safe_open(path, framework="numpy") as file:
        return file.get_tensor(name)


class SafetensorsBackend(Backend):
    """The library's own functions for NumPy arrays; loading copies."""

    name = "safetensors"
    title = "the safetensors library"
    packages = ("safetensors",)
    install = "pip install safetensors"
    operators = (
        *file_operators("safetensors", "safetensors", save, _load),
        *load_one_operators("safetensors", "safetensors", save, _load_one),
    )

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("safetensors", self.install)

    def load(self, threads: int) -> None:
        """Import the library; it has no threads."""
        _library()

    def describe(self) -> dict[str, Any]:
        """Return the version."""
        return {"version": version("safetensors"), "threads": 1}
