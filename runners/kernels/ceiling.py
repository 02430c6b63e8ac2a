"""The limits of the machine: multiply-add rate, memory bandwidth by size, and raw files.

``fma`` counts 2 FLOP for each lane of each chain and turn.  ``copy`` counts
8 bytes an element, ``triad`` 12: what the program reads and writes, not what the memory moves (a regular store also
reads its line first, a streaming store does not).  The size in a case's name is that of all arrays together.
"""

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from runners.arrays import aligned, fresh_output, normal
from runners.compiled import LANES
from runners.kernels import _limits as loops
from runners.kernels._checking import UNIT, compare
from runners.kernels._device_limits import DEVICE_CASES, DEVICE_KINDS, check_on_device, inputs_on_device
from runners.memory import forget_cached
from runners.profiles import QUICK, SMOKE, STANDARD
from runners.workload import Case, Check, Job, Kernel, Ready, Unsupported, Work

__all__ = ["KERNELS"]

_KIB, _MIB = 2**10, 2**20
#: all arrays together, and the profiles that need this limit
_SIZES = {
    "32KiB": (32 * _KIB, STANDARD),
    "256KiB": (256 * _KIB, STANDARD),
    "2MiB": (2 * _MIB, STANDARD),
    "8MiB": (8 * _MIB, QUICK),
    "32MiB": (32 * _MIB, STANDARD),
    "96MiB": (96 * _MIB, QUICK),
    "384MiB": (384 * _MIB, STANDARD),
}
_FILE_BYTES = 193 * _MIB
#: FLOP of one call, all threads together; the same on every machine
_FLOP = 2 * loops.CHAINS * 16 * 2_000_000
#: bytes that one call moves at least, so that calls on small arrays are long enough to be timed
_MOVED = 8 * _MIB


def _repeats(footprint: int) -> int:
    return max(1, _MOVED // footprint)


def _memory_case(kind: str, name: str, footprint: int, profiles: frozenset[str]) -> Case:
    arrays = 2 if kind == "copy" else 3
    elements = footprint // (4 * arrays) // 256 * 256
    return Case(
        id=f"ceiling/{kind}-{name}",
        kernel="ceiling",
        shape={"kind": kind, "elements": elements, "repeats": _repeats(footprint), "dtype": "float32"},
        work=Work(bytes=4.0 * arrays * elements * _repeats(footprint)),
        unit="GB/s",
        bound=None,
        footprint_bytes=footprint,
        memory_bytes=2 * footprint + 2**24,
        profiles=profiles,
    )


def _file_case(kind: str) -> Case:
    return Case(
        id=f"ceiling/{kind}-193MiB",
        kernel="ceiling",
        shape={"kind": kind, "elements": _FILE_BYTES // 4, "dtype": "float32"},
        work=Work(bytes=float(_FILE_BYTES)),
        unit="GB/s",
        bound=None,
        footprint_bytes=_FILE_BYTES,
        memory_bytes=3 * _FILE_BYTES,
        profiles=QUICK,
    )


_FMA = Case(
    id="ceiling/fma",
    kernel="ceiling",
    shape={"kind": "fma", "chains": loops.CHAINS, "dtype": "float32"},
    work=Work(flop=float(_FLOP)),
    unit="GFLOP/s",
    bound=None,
    footprint_bytes=0,
    memory_bytes=2**20,
    profiles=SMOKE,
)
_CASES = (
    _FMA,
    *(_memory_case("copy", name, size, profiles) for name, (size, profiles) in _SIZES.items()),
    *(_memory_case("triad", name, size, STANDARD) for name, (size, _) in _SIZES.items()),
    _file_case("write"),
    _file_case("read"),
    *DEVICE_CASES,
)


def _inputs(case: Case, seed: int) -> dict[str, Any]:
    kind = case.shape["kind"]
    if kind in DEVICE_KINDS:
        return inputs_on_device(case, seed)
    if kind == "fma":
        return {"start": normal((1024,), seed)}
    arrays = {"first": _repeated(case.shape["elements"], seed)}
    if kind == "triad":
        arrays["second"] = _repeated(case.shape["elements"], seed + 1)
    return arrays


def _repeated(elements: int, seed: int) -> Any:
    """Return random numbers that repeat after 4 MiB: bandwidth asks for no zeros, not for new numbers."""
    values, some = aligned((elements,)), normal((min(elements, _MIB),), seed)
    for start in range(0, elements, _MIB):
        part = values[start : start + _MIB]
        part[:] = some[: part.size]
    return values


def _check(case: Case, inputs: dict[str, Any], result: Any) -> Check:
    """Copies and files must be equal; a triad rounds once; chains must have gone to their common end."""
    kind = case.shape["kind"]
    if kind in DEVICE_KINDS:
        return check_on_device(case, inputs, result)
    if kind == "fma":
        return _check_chains(result)
    first = inputs["first"]
    if kind != "triad":
        equal = bool(np.array_equal(first, result))
        return Check(equal, 0.0 if equal else np.inf, 0.0 if equal else np.inf, 0.0)
    part = slice(0, 2**20)
    exact = first[part].astype(np.float64) + 3.0 * inputs["second"][part].astype(np.float64)
    check = compare(result[part], exact, UNIT, np.maximum(2.0**-100, np.abs(exact)))
    if check.ok and np.isnan(result.max()):
        return Check(False, np.inf, np.inf, UNIT, "an element outside the compared part is NaN")
    return check


def _check_chains(sums: Any) -> Check:
    """Compare each thread's sum with lanes × chains × c/(1-m).

    A rounding in each turn moves the end of a chain by at most u·|x|/(1-m); the final sum adds a few.
    """
    factor, summand = float(loops.FACTOR), float(loops.SUMMAND)
    exact = np.full(len(sums), LANES * loops.CHAINS * summand / (1 - factor))
    return compare(sums, exact, UNIT / (1 - factor) + 8 * UNIT, exact)


def _fused_multiply_add(job: Job) -> Callable[[], Any]:
    start, sums = job.inputs["start"], fresh_output((job.threads,))
    turns = _FLOP // (2 * loops.CHAINS * LANES * job.threads)

    def call() -> Any:
        loops.fused_multiply_add(start, sums, turns)
        return sums

    return call


def _moving(job: Job, streaming: bool) -> Callable[[], Any]:
    kind, repeats, threads = job.case.shape["kind"], job.case.shape["repeats"], job.threads
    first, target = job.inputs["first"], fresh_output((job.case.shape["elements"],))

    def copy() -> Any:
        loops.copy(first, target, threads, repeats, streaming)
        return target

    def triad() -> Any:
        loops.triad(first, job.inputs["second"], target, threads, repeats, streaming)
        return target

    return copy if kind == "copy" else triad


def _regular(job: Job) -> Callable[[], Any]:
    return _moving(job, streaming=False)


def _streaming(job: Job) -> Callable[[], Any]:
    return _moving(job, streaming=True)


def _is(*kinds: str) -> Callable[[Case], bool]:
    return lambda case: case.shape["kind"] in kinds


class _RawFile:
    """A file of plain bytes, written or read by the system calls alone."""

    def __init__(self, job: Job) -> None:
        self.condition, self.first = job.condition, job.inputs["first"]
        self.path = job.scratch / f"raw-{job.case.shape['kind']}-{job.condition}-{os.getpid()}"
        weakref.finalize(self, self.path.unlink, missing_ok=True)

    def remove(self) -> None:
        """Let the next write begin a new file."""
        self.path.unlink(missing_ok=True)

    def write(self) -> None:
        """Write all bytes, and wait for the disk if the condition says so."""
        with self.path.open("wb", buffering=0) as file:
            rest = memoryview(self.first).cast("B")
            while rest:
                rest = rest[file.write(rest) :]
            if self.condition == "fsync":
                os.fsync(file.fileno())

    def forget(self) -> None:
        """Empty the page cache of this file if the condition says so."""
        if self.condition == "cold":
            forget_cached(self.path)

    def read(self, target: Any) -> Any:
        """Fill an array from the file."""
        with self.path.open("rb", buffering=0) as file:
            rest = memoryview(target).cast("B")
            while rest:
                rest = rest[file.readinto(rest) :]
        return target


def _write(job: Job) -> Ready:
    raw = _RawFile(job)
    return Ready(raw.write, lambda _: np.fromfile(raw.path, np.float32), raw.remove)


def _read(job: Job) -> Ready:
    if job.condition == "cold" and not hasattr(os, "posix_fadvise"):
        raise Unsupported(
            "this system has no posix_fadvise, so the page cache cannot be told to forget a file"
        )
    raw, target = _RawFile(job), fresh_output(job.inputs["first"].shape)
    raw.write()
    return Ready(lambda: raw.read(target), before=raw.forget)


_ceiling = Kernel("ceiling", "Limits of the machine", _CASES, _inputs, _check)
_ceiling.variant("chains", "numba", applies=_is("fma"))(_fused_multiply_add)
_ceiling.variant("regular", "numba", applies=_is("copy", "triad"), store="regular")(_regular)
_ceiling.variant("streaming", "numba", applies=_is("copy", "triad"), store="streaming")(_streaming)
for _kind, _build, _slow in (("write", _write, "fsync"), ("read", _read, "cold")):
    _ceiling.variant("raw", "numpy", condition="warm", threads="one", applies=_is(_kind))(_build)
    _ceiling.variant("raw", "numpy", condition=_slow, threads="one", applies=_is(_kind), profiles=STANDARD)(
        _build
    )

KERNELS = (_ceiling,)
