"""What the file formats have in common: how a file is written, read, forgotten by the page cache and checked."""

import json
import os
import struct
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runners.memory import FirstCallMemory, cached_share, forget_cached
from runners.profiles import STANDARD
from runners.workload import Job, Ready, Unsupported, Variant

__all__ = [
    "Tensors",
    "file_operators",
    "load_one_operators",
    "load_operators",
    "map_safetensors",
    "save_operators",
]

Tensors = dict[str, Any]
Save = Callable[[Tensors, Path], None]
Load = Callable[[Path], Tensors]
LoadOne = Callable[[Path, str], Any]


def _sync(path: Path) -> None:
    """Bring a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Saving:
    """A file that is written again and again, each time anew, and removed at the end."""

    def __init__(self, job: Job, name: str, save: Save, read_back: Load) -> None:
        self.path = job.scratch / f"save-{job.backend.name}-{name}-{job.condition}-{os.getpid()}"
        self.tensors, self.save, self.read_back = job.inputs["tensors"], save, read_back
        self.synced = job.condition == "fsync"
        self.memory = FirstCallMemory()
        weakref.finalize(self, self.path.unlink, missing_ok=True)

    def before(self) -> None:
        """Remove the file: writing over it would also measure the release of its old pages."""
        self.path.unlink(missing_ok=True)

    def write(self) -> None:
        """Write the file, and wait for the disk if the condition says so."""
        self.save(self.tensors, self.path)
        if self.synced:
            _sync(self.path)

    def call(self) -> None:
        """Write the file; the first call also finds out the memory that it takes."""
        self.memory.of_first(self.write)

    def result(self, _: Any) -> Tensors:
        """Read back what was written."""
        return self.read_back(self.path)

    def attributes(self) -> dict[str, Any]:
        """Return the size of the file and the memory that writing it took."""
        return {"file_bytes": self.path.stat().st_size, **self.memory.increase}


class _Loading:
    """A file that lies ready; it is shared by the processes of a run and written by the first."""

    def __init__(self, job: Job, name: str, save: Save, load: Callable[[Path], Any]) -> None:
        model = job.case.id.partition("/")[2]
        self.path = job.scratch / f"load-{model}-{job.seed}-{job.backend.name}-{name}"
        self.load, self.cold, self.memory = load, job.condition == "cold", FirstCallMemory()
        self.cached: float | None = None
        if self.cold and not hasattr(os, "posix_fadvise"):
            raise Unsupported(
                "this system has no posix_fadvise, so the page cache cannot be told to forget a file"
            )
        if not self.path.exists():
            aside = self.path.with_suffix(f".{os.getpid()}")
            save(job.inputs["tensors"], aside)
            _sync(aside)
            aside.replace(self.path)

    def before(self) -> None:
        """Empty the page cache of this file if the condition says so."""
        if self.cold:
            forget_cached(self.path)
            self.cached = cached_share(self.path)

    def read(self) -> Any:
        """Read the file."""
        return self.load(self.path)

    def call(self) -> Any:
        """Read the file; the first call also finds out the memory that it takes."""
        return self.memory.of_first(self.read)

    def attributes(self) -> dict[str, Any]:
        """Return the size of the file, the memory that reading took, and how much of it was cached before."""
        cached = {} if self.cached is None else {"cached_share_before": self.cached}
        return {"file_bytes": self.path.stat().st_size, **cached, **self.memory.increase}


def _saver(name: str, save: Save, read_back: Load) -> Callable[[Job], Ready]:
    def build(job: Job) -> Ready:
        saving = _Saving(job, name, save, read_back)
        return Ready(saving.call, saving.result, saving.before, saving.attributes)

    return build


def _loader(name: str, save: Save, load: Load) -> Callable[[Job], Ready]:
    def build(job: Job) -> Ready:
        loading = _Loading(job, name, save, load)
        return Ready(loading.call, before=loading.before, attributes=loading.attributes)

    return build


def _one_loader(name: str, save: Save, load_one: LoadOne) -> Callable[[Job], Ready]:
    def build(job: Job) -> Ready:
        wanted = job.inputs["wanted"]
        loading = _Loading(job, name, save, lambda path: {wanted: load_one(path, wanted)})
        return Ready(loading.call, before=loading.before, attributes=loading.attributes)

    return build


def _under(
    kernel: str, name: str, backend: str, build: Any, conditions: tuple[str, ...], options: dict[str, Any]
) -> tuple[Variant, ...]:
    """Make a variant for each condition, or for those that ``options`` name; only ``warm`` is quick."""
    profiles, conditions = options.pop("profiles", None), options.pop("conditions", conditions)
    return tuple(
        Variant(
            kernel,
            name,
            backend,
            build,
            condition,
            threads="one",
            profiles=profiles if condition == "warm" else profiles or STANDARD,
            **options,
        )
        for condition in conditions
    )


def save_operators(
    backend: str, name: str, save: Save, read_back: Load, **options: Any
) -> tuple[Variant, ...]:
    """Return saving into the page cache (``warm``) and onto the disk (``fsync``)."""
    return _under("save", name, backend, _saver(name, save, read_back), ("warm", "fsync"), options)


def load_operators(backend: str, name: str, save: Save, load: Load, **options: Any) -> tuple[Variant, ...]:
    """Return loading from the page cache (``warm``) and from the disk (``cold``)."""
    return _under("load", name, backend, _loader(name, save, load), ("warm", "cold"), options)


def file_operators(backend: str, name: str, save: Save, load: Load, **options: Any) -> tuple[Variant, ...]:
    """Return saving and loading with the same library, each under its two conditions."""
    return save_operators(backend, name, save, load, **options) + load_operators(
        backend, name, save, load, **options
    )


def load_one_operators(
    backend: str, name: str, save: Save, load_one: LoadOne, **options: Any
) -> tuple[Variant, ...]:
    """Return the lazy load of one tensor, from the page cache and from the disk."""
    return _under("lazy-load", name, backend, _one_loader(name, save, load_one), ("warm", "cold"), options)


def map_safetensors(path: Path) -> Tensors:
    """Read a safetensors file without copying: read-only arrays over a memory map.

    The format: eight bytes with the header's length, the header as JSON (name → dtype, shape, data_offsets), the data.
    Raises ValueError if a tensor is not float32.
    """
    mapped = np.memmap(path, np.uint8, mode="r")
    (length,) = struct.unpack("<Q", mapped[:8].tobytes())
    header = json.loads(mapped[8 : 8 + length].tobytes())
    data = mapped[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: tensor {name} is {entry['dtype']}, this reader knows F32 only")
        start, end = entry["data_offsets"]
        tensors[name] = data[start:end].view(np.float32).reshape(entry["shape"])
    return tensors
