"""JMH: the JSON of ``-rf json``.  Each fork is a process."""

import math
from typing import Any

from msgspec import Struct

from data.importers.results import Imported, Importer, Interval, Result, Timing, seconds
from data.importers.source import Source

__all__ = ["IMPORTER"]

#: a histogram is unfolded to at most so many samples of a fork
_UNFOLDED = 10_000


class _Metric(Struct, rename="camel"):
    """Scores are times of an operation, or operations in a time; raw data has a list for each fork."""

    score: float | str
    score_unit: str
    score_confidence: list[float | str] = []
    raw_data: list[list[float]] | None = None
    raw_data_histogram: list[list[list[tuple[float, int]]]] | None = None


class _Result(Struct, rename="camel"):
    benchmark: str
    mode: str
    primary_metric: _Metric
    threads: int = 1
    forks: int = 1
    params: dict[str, str] = {}
    jmh_version: str = ""
    jdk_version: str = ""
    vm_name: str = ""
    vm_version: str = ""
    jvm_args: list[str] = []
    secondary_metrics: dict[str, Any] = {}
    measurement_iterations: int = 0
    warmup_iterations: int = 0


def _recognises(source: Source) -> bool:
    found = source.peek()
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(one, dict) and {"benchmark", "primaryMetric"} <= one.keys() for one in found)
    )


def _to_ns(unit: str) -> tuple[float, bool] | None:
    """Return ns for one of the unit, and whether scores are rates; None for what is no time."""
    left, _, right = unit.partition("/")
    factor = seconds(right) if left == "ops" else seconds(left) if right == "op" else None
    return None if factor is None else (factor, left == "ops")


def _unfold(histograms: list[list[tuple[float, int]]]) -> list[float]:
    pairs = [pair for histogram in histograms for pair in histogram]
    share = max(1.0, sum(count for _, count in pairs) / _UNFOLDED)
    return [value for value, count in pairs for _ in range(max(1, round(count / share)))]


def _result(source: Source, number: int, one: _Result) -> Result:
    metric, place = one.primary_metric, f"[{number}].primaryMetric"
    name = one.benchmark + "".join(f"[{key}={value}]" for key, value in sorted(one.params.items()))
    kept = {
        "mode": one.mode,
        "jvm_args": one.jvm_args,
        "secondary_metrics": one.secondary_metrics,
        "iterations": [one.warmup_iterations, one.measurement_iterations],
    }
    scale = _to_ns(metric.score_unit)
    if scale is None:
        return Result(
            name=name, threads=one.threads, reason=f"{metric.score_unit} is no time", attributes=kept
        )
    factor, rate = scale

    def call_ns(score: float) -> float:
        if score <= 0 or not math.isfinite(score):
            raise source.error(f"{score} is no {metric.score_unit}", field=place)
        return factor / score if rate else score * factor

    forks = metric.raw_data or [_unfold(fork) for fork in metric.raw_data_histogram or []]
    forks = [fork for fork in forks if fork]
    ends = [
        end
        for end in metric.score_confidence
        if isinstance(end, float | int) and end > 0 and math.isfinite(end)
    ]
    interval = None
    if len(ends) == 2:
        low_ns, high_ns = sorted(map(call_ns, ends))
        interval = Interval(low_ns, high_ns, "99.9 %, all iterations")
    if not forks:
        if not isinstance(metric.score, float | int):
            return Result(
                name=name,
                threads=one.threads,
                reason=f"its score is {metric.score}",
                failed=True,
                attributes=kept,
            )
        timings = [Timing([call_ns(float(metric.score))])]
    else:
        timings = [Timing([call_ns(score) for score in fork]) for fork in forks]
    return Result(
        name=name,
        condition=one.mode,
        timings=timings,
        summary="" if forks else "mean",
        threads=one.threads,
        interval=interval,
        attributes=kept,
    )


def _read(source: Source) -> list[Imported]:
    found = source.decode(list[_Result])
    first = found[0] if found else None
    if first is None:
        raise source.error("holds no benchmark")
    return [
        Imported(
            tool="jmh",
            tool_version=first.jmh_version,
            results=[_result(source, number, one) for number, one in enumerate(found)],
            interpreter=f"{first.vm_name} {first.vm_version or first.jdk_version}".strip(),
            packages={"jdk": first.jdk_version} if first.jdk_version else {},
        )
    ]


IMPORTER = Importer("jmh", "JMH JSON", _recognises, _read)
