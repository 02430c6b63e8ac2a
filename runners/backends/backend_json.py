"""The standard library's JSON module."""

import json
import platform
from typing import Any

from runners.backends.files_json import compact_operators
from runners.profiles import FULL
from runners.workload import Availability, Backend, Case

__all__ = ["JsonBackend"]


def _dumps(array: Any) -> bytes:
    return json.dumps(array.tolist(), separators=(",", ":")).encode()


def _loads(text: memoryview) -> Any:
    return json.loads(bytes(text))


def _is_small(case: Case) -> bool:
    """Leave out the medium model: writing and reading it takes minutes, and says nothing more."""
    return bool(case.shape["model"] == "small")


class JsonBackend(Backend):
    """Compact JSON, one tensor a line inside one object."""

    name = "json"
    title = "Python's json module"
    # The disk takes a hundredth of its minute, so one condition says all.
    operators = compact_operators(
        "json", _dumps, _loads, profiles=FULL, applies=_is_small, conditions=("warm",)
    )

    def probe(self) -> Availability:
        """Say that it is always there."""
        return Availability(True)

    def load(self, threads: int) -> None:
        """Need nothing: json is imported with this file."""

    def describe(self) -> dict[str, Any]:
        """Return the version, which is the interpreter's."""
        return {"version": platform.python_version(), "threads": 1}
