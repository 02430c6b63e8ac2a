"""Criterion: the folder ``target/criterion`` of a Rust project (one process; its newest results)."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from data.importers.results import Imported, Importer, Interval, Result, Timing
from data.importers.source import Source
from data.records import Work

__all__ = ["IMPORTER", "throughput"]

_FILE = "benchmark.json"


class _Benchmark(Struct):
    full_id: str
    group_id: str = ""
    function_id: str | None = None
    value_str: str | None = None
    throughput: dict[str, Any] | list[dict[str, Any]] | None = None


class _Sample(Struct):
    """Each sample is ``times`` ns of ``iters`` calls."""

    iters: list[float]
    times: list[float]
    sampling_mode: str | None = None


class _Bounds(Struct):
    confidence_level: float
    lower_bound: float
    upper_bound: float


class _Estimate(Struct):
    point_estimate: float
    confidence_interval: _Bounds


class _Estimates(Struct):
    mean: _Estimate
    median: _Estimate


def _folders(root: Path) -> list[Path]:
    """Return the folders of newest results below ``root``, in a fixed order."""
    return sorted(path.parent for path in root.rglob(_FILE) if path.parent.name == "new")


def _recognises(source: Source) -> bool:
    return source.is_folder and next((True for path in source.path.rglob(_FILE)), False)


def throughput(unit: str, amount: float) -> tuple[Work, str]:
    """Return the work of one call, from what Criterion calls its throughput."""
    name = unit.lower()
    if "byte" in name:
        return Work(bytes=amount), "GB/s"
    if "element" in name:
        return Work(elements=amount), "GElement/s"
    return Work(), "s"


def _work(found: dict[str, Any] | list[dict[str, Any]] | None) -> tuple[Work, str]:
    one = found[0] if isinstance(found, list) and found else found
    for unit, amount in (one or {}).items() if isinstance(one, dict) else ():
        if isinstance(amount, int | float):
            return throughput(unit, float(amount))
    return Work(), "s"


def _result(folder: Path, root: Path) -> Result:
    name = Source(folder / _FILE).decode(_Benchmark)
    estimates_file, sample_file = folder / "estimates.json", folder / "sample.json"
    estimates = Source(estimates_file).decode(_Estimates) if estimates_file.exists() else None
    work, unit = _work(name.throughput)
    bounds = estimates.median.confidence_interval if estimates else None
    known: dict[str, Any] = {
        "name": name.full_id,
        "work": work,
        "unit": unit,
        "interval": Interval(
            bounds.lower_bound, bounds.upper_bound, f"{bounds.confidence_level:.0%} in one process"
        )
        if bounds
        else None,
        "attributes": {"group": name.group_id, "function": name.function_id, "value": name.value_str},
    }
    if not sample_file.exists():
        if estimates is None:
            place = os.path.relpath(folder, root)
            raise Source(root).error(f"{place} holds neither sample.json nor estimates.json")
        return Result(timings=[Timing([estimates.median.point_estimate])], summary="median", **known)
    source = Source(sample_file)
    return Result(timings=[_timing(source, source.decode(_Sample), name.full_id)], **known)


def _timing(source: Source, sample: _Sample, name: str) -> Timing:
    if len(sample.iters) != len(sample.times) or not sample.times:
        raise source.error(
            f"{name}: {len(sample.times)} times for {len(sample.iters)} counts of calls", field="times"
        )
    if min(sample.iters) <= 0:
        raise source.error(f"{name}: a sample of {min(sample.iters):g} calls", field="iters")
    call_ns = [time / count for time, count in zip(sample.times, sample.iters, strict=True)]
    return Timing(
        call_ns,
        1,
        {"iterations": [int(count) for count in sample.iters], "sampling_mode": sample.sampling_mode},
    )


def _read(source: Source) -> list[Imported]:
    folders = _folders(source.path)
    if not folders:
        raise source.error("holds no result of Criterion (…/new/benchmark.json)")
    newest = max(path.stat().st_mtime for folder in folders for path in folder.iterdir())
    return [
        Imported(
            tool="criterion",
            results=[_result(folder, source.path) for folder in folders],
            started=datetime.fromtimestamp(newest, UTC),
            metadata={"benchmarks": len(folders)},
        )
    ]


IMPORTER = Importer("criterion", "Criterion's folder target/criterion", _recognises, _read)
