"""Bencher Metric Format: benchmarks with measures, of which latency (ns) and throughput (calls a second) are times."""

from typing import Any

from msgspec import Struct

from data.importers.results import Imported, Importer, Interval, Result, Timing
from data.importers.source import Source

__all__ = ["IMPORTER"]


class _Metric(Struct):
    value: float
    lower_value: float | None = None
    upper_value: float | None = None


def _is_metric(found: Any) -> bool:
    return isinstance(found, dict) and "value" in found


def _recognises(source: Source) -> bool:
    found = source.peek()
    return (
        isinstance(found, dict)
        and bool(found)
        and all(
            isinstance(one, dict) and one and all(map(_is_metric, one.values())) for one in found.values()
        )
    )


def _interval(metric: _Metric, turned: bool) -> Interval | None:
    if metric.lower_value is None or metric.upper_value is None or metric.lower_value <= 0:
        return None
    low, high = metric.lower_value, metric.upper_value
    return Interval(*((1e9 / high, 1e9 / low) if turned else (low, high)), "bounds")


def _result(source: Source, name: str, measures: dict[str, _Metric]) -> Result:
    rest: dict[str, Any] = {key: metric.value for key, metric in measures.items()}
    for measure, turned in (("latency", False), ("throughput", True)):
        metric = measures.get(measure)
        if metric is None:
            continue
        if metric.value <= 0:
            raise source.error(f"{metric.value} is no {measure}", field=f"{name}.{measure}.value")
        call_ns = 1e9 / metric.value if turned else metric.value
        return Result(
            name=name,
            timings=[Timing([call_ns])],
            summary="mean",
            interval=_interval(metric, turned),
            attributes=rest,
        )
    return Result(name=name, reason=f"has no time, only {', '.join(measures)}", attributes=rest)


def _read(source: Source) -> list[Imported]:
    found = source.decode(dict[str, dict[str, _Metric]])
    return [Imported(tool="bencher", results=[_result(source, name, one) for name, one in found.items()])]


IMPORTER = Importer("bencher", "Bencher Metric Format", _recognises, _read)
