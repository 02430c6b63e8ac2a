"""cargo-criterion: the lines of ``cargo criterion --message-format=json`` (one process)."""

from typing import Any

from msgspec import Struct

from data.importers.criterion import throughput
from data.importers.results import Imported, Importer, Interval, Result, Timing, seconds
from data.importers.source import Source
from data.records import Work

__all__ = ["IMPORTER"]


class _Reason(Struct):
    reason: str = ""


class _Throughput(Struct):
    per_iteration: float
    unit: str


class _Estimate(Struct):
    estimate: float
    lower_bound: float
    upper_bound: float
    unit: str = "ns"


class _Complete(Struct):
    """Each measured value is that of so many iterations."""

    id: str
    iteration_count: list[int]
    measured_values: list[float]
    unit: str
    median: _Estimate
    throughput: list[_Throughput] = []
    typical: _Estimate | None = None
    change: dict[str, Any] | None = None


def _recognises(source: Source) -> bool:
    if not source.looks_like_json:
        return False
    first = source.content.lstrip().partition(b"\n")[0]
    return first.startswith(b'{"reason"') or (b'"reason"' in first and b'"report_directory"' in first)


def _result(source: Source, number: int, one: _Complete) -> Result:
    if len(one.iteration_count) != len(one.measured_values) or not one.measured_values:
        raise source.error(
            f"{len(one.measured_values)} values for {len(one.iteration_count)} counts",
            number,
            "measured_values",
        )
    factor = seconds(one.unit)
    if factor is None:
        return Result(name=one.id, reason=f"its unit is {one.unit}, which is no time")
    if min(one.iteration_count) <= 0:
        raise source.error("a sample of no calls", number, "iteration_count")
    work, unit = (
        throughput(one.throughput[0].unit, one.throughput[0].per_iteration)
        if one.throughput
        else (Work(), "s")
    )
    pairs = zip(one.measured_values, one.iteration_count, strict=True)
    scale = seconds(one.median.unit) or factor
    return Result(
        name=one.id,
        timings=[
            Timing([value * factor / count for value, count in pairs], 1, {"iterations": one.iteration_count})
        ],
        work=work,
        unit=unit,
        interval=Interval(one.median.lower_bound * scale, one.median.upper_bound * scale, "in one process"),
        attributes={"change": one.change} if one.change else {},
    )


def _read(source: Source) -> list[Imported]:
    results = []
    for number, line in enumerate(source.content.split(b"\n"), 1):
        if not line.strip():
            continue
        if source.decode(_Reason, line, number).reason == "benchmark-complete":
            results.append(_result(source, number, source.decode(_Complete, line, number)))
    if not results:
        raise source.error("holds no message benchmark-complete")
    return [Imported(tool="criterion", results=results)]


IMPORTER = Importer("cargo-criterion", "cargo-criterion JSON messages", _recognises, _read)
