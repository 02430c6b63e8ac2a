"""Tensors as JSON, in two layouts.

``json-compact``: one object with one tensor a line, as nested lists.  ``json-pretty``: indented by two blanks as Rust's
serde_json does it, ``{"tensors": {name: {"shape": […], "data": […]}}}``, which puts each number on a line of its own
behind eight blanks.  Both are written and read tensor by tensor, so that never more than one is held as text.
"""

import json
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from runners.backends.files import Tensors, load_one_operators, load_operators, save_operators
from runners.workload import Variant

__all__ = ["compact_operators", "pretty_operators", "write_compact", "write_pretty"]

Dumps = Callable[[Any], bytes]
Loads = Callable[[memoryview], Any]
#: yields name, shape (None where the lists tell) and the text of the numbers of each tensor
Texts = Callable[[Path], Iterator[tuple[str, Any, memoryview]]]

_HEAD, _TAIL = b'{\n  "tensors": {', b"\n  }\n}"
_DATA = b'"data": '


def write_compact(tensors: Tensors, path: Path, dumps: Dumps) -> None:
    """Write ``json-compact``."""
    with path.open("wb") as file:
        separator = b"{"
        for name, tensor in tensors.items():
            file.write(separator + json.dumps(name).encode() + b":")
            file.write(dumps(tensor))
            separator = b",\n"
        file.write(b"}")


def _compact_texts(path: Path) -> Iterator[tuple[str, Any, memoryview]]:
    with path.open("rb") as file:
        for line in file:
            colon = line.index(b":")
            end = len(line) - (2 if line.endswith(b"\n") else 1)
            yield json.loads(line[line.index(b'"') : colon]), None, memoryview(line)[colon + 1 : end]


def write_pretty(tensors: Tensors, path: Path, dumps: Dumps) -> None:
    """Write ``json-pretty`` with a ``dumps`` that indents: each tensor inside the frame, which is then taken off."""
    with path.open("wb") as file:
        file.write(_HEAD)
        separator = b""
        for name, tensor in tensors.items():
            entry = {"shape": list(tensor.shape), "data": tensor.reshape(-1)}
            file.write(separator)
            file.write(memoryview(dumps({"tensors": {name: entry}}))[len(_HEAD) : -len(_TAIL)])
            separator = b","
        file.write(_TAIL)


def _pretty_texts(path: Path) -> Iterator[tuple[str, Any, memoryview]]:
    """Read through a memory map; no tensor's text is copied."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        position = len(_HEAD)
        while (data := mapped.find(_DATA, position)) >= 0:
            head = mapped[position:data].decode()
            name, _, shape = head.lstrip(",").strip().rstrip(", \n").partition(": {")
            end = mapped.find(b"]", data) + 1
            with memoryview(mapped) as view, view[data + len(_DATA) : end] as text:
                yield json.loads(name), json.loads(f"{{{shape}}}")["shape"], text
            position = mapped.find(b"}", end) + 1


def _array(loads: Loads, shape: Any, text: memoryview) -> Any:
    array = np.array(loads(text), np.float32)
    return array if shape is None else array.reshape(shape)


def _read_some(path: Path, texts: Texts) -> dict[str, Any]:
    """Read back, with Python's own parser, the vectors and the first square matrix; None stands for all others."""
    tensors: dict[str, Any] = {}
    square = False
    for name, shape, text in texts(path):
        is_vector = bytes(text[1:2]) != b"[" if shape is None else len(shape) == 1
        wanted = is_vector or (name.endswith(".q") and not square)
        square = square or (wanted and not is_vector)
        tensors[name] = _array(lambda text: json.loads(bytes(text)), shape, text) if wanted else None
    return tensors


def _operators(
    backend: str,
    name: str,
    write: Callable[[Tensors, Path], None],
    texts: Texts,
    loads: Loads,
    options: dict[str, Any],
) -> tuple[Variant, ...]:
    """Return saving, loading and lazy loading in one layout."""

    def load(path: Path) -> Tensors:
        return {name: _array(loads, shape, text) for name, shape, text in texts(path)}

    def load_one(path: Path, wanted: str) -> Any:
        return next(_array(loads, shape, text) for name, shape, text in texts(path) if name == wanted)

    return (
        *save_operators(backend, name, write, lambda path: _read_some(path, texts), **options),
        *load_operators(backend, name, write, load, **options),
        *load_one_operators(backend, name, write, load_one, **options),
    )


def compact_operators(backend: str, dumps: Dumps, loads: Loads, **options: Any) -> tuple[Variant, ...]:
    """Return ``json-compact`` for a library: ``dumps`` turns an array into JSON, ``loads`` turns JSON into lists."""
    return _operators(
        backend,
        "json-compact",
        lambda tensors, path: write_compact(tensors, path, dumps),
        _compact_texts,
        loads,
        options,
    )


def pretty_operators(backend: str, dumps: Dumps, loads: Loads, **options: Any) -> tuple[Variant, ...]:
    """Return ``json-pretty`` for a library whose ``dumps`` indents by two blanks and takes arrays in dictionaries."""
    return _operators(
        backend,
        "json-pretty",
        lambda tensors, path: write_pretty(tensors, path, dumps),
        _pretty_texts,
        loads,
        options,
    )
