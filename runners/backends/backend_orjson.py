"""orjson: the fastest general JSON library, which writes NumPy arrays without Python numbers between."""

import importlib
from typing import Any

from runners.backends.distributions import find, version
from runners.backends.files_json import compact_operators, pretty_operators
from runners.profiles import STANDARD
from runners.workload import Availability, Backend

__all__ = ["OrjsonBackend"]


def _dumps(array: Any) -> bytes:
    orjson = importlib.import_module("orjson")
    return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)  # type: ignore[no-any-return]


def _dumps_indented(entry: Any) -> bytes:
    orjson = importlib.import_module("orjson")
    return orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_INDENT_2)  # type: ignore[no-any-return]


def _loads(text: memoryview) -> Any:
    return importlib.import_module("orjson").loads(text)


class OrjsonBackend(Backend):
    """Tensors as JSON, written tensor by tensor."""

    name = "orjson"
    title = "orjson"
    packages = ("orjson",)
    install = "pip install orjson"
    operators = (
        *pretty_operators("orjson", _dumps_indented, _loads, profiles=STANDARD),
        *compact_operators("orjson", _dumps, _loads, profiles=STANDARD),
    )

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("orjson", self.install)

    def load(self, threads: int) -> None:
        """Import orjson; it has no threads."""
        importlib.import_module("orjson")

    def describe(self) -> dict[str, Any]:
        """Return the version."""
        return {"version": version("orjson"), "threads": 1}
