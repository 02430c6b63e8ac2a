"""Python's pickle, protocol 5.  Only files that this process wrote itself are ever loaded."""

import pickle
import platform
from pathlib import Path
from typing import Any

from runners.backends.files import file_operators
from runners.profiles import STANDARD
from runners.workload import Availability, Backend

__all__ = ["PickleBackend"]


def _save(tensors: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        pickle.dump(tensors, file, protocol=5)


def _load(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return pickle.load(file)  # type: ignore[no-any-return]  # noqa: S301 (our own file)


class PickleBackend(Backend):
    """The whole dictionary of arrays in one pickle."""

    name = "pickle"
    title = "Python's pickle, protocol 5"
    operators = file_operators("pickle", "pickle", _save, _load, profiles=STANDARD)

    def probe(self) -> Availability:
        """Say that it is always there."""
        return Availability(True)

    def load(self, threads: int) -> None:
        """Need nothing: pickle is imported with this file."""

    def describe(self) -> dict[str, Any]:
        """Return the version, which is the interpreter's, and the protocol."""
        return {"version": platform.python_version(), "protocol": 5, "threads": 1}
