"""Google Benchmark: the JSON of ``--benchmark_out_format=json`` (one process; repetitions are its samples)."""

from typing import Any

from msgspec import Struct

from data.importers.results import Imported, Importer, Result, Timing, parse_moment, seconds
from data.importers.source import Source
from data.records import Work

__all__ = ["IMPORTER"]

_NEWEST = 1


class _Context(Struct):
    date: str | None = None
    host_name: str = ""
    executable: str = ""
    num_cpus: int = 0
    mhz_per_cpu: float = 0
    cpu_scaling_enabled: bool | None = None
    library_version: str = ""
    library_build_type: str = ""
    json_schema_version: int = 1
    caches: list[dict[str, Any]] = []


class _Row(Struct):
    """A repetition, or an aggregate of them; times are of one call, in ``time_unit``."""

    name: str
    real_time: float = 0.0
    cpu_time: float = 0.0
    time_unit: str = "ns"
    run_name: str = ""
    run_type: str = "iteration"
    aggregate_name: str = ""
    iterations: float = 1
    threads: int = 1
    error_occurred: bool = False
    error_message: str = ""
    skipped: bool = False
    skip_message: str = ""
    items_per_second: float | None = None
    bytes_per_second: float | None = None
    label: str = ""


class _File(Struct):
    context: _Context
    benchmarks: list[_Row]


def _recognises(source: Source) -> bool:
    found = source.peek()
    return isinstance(found, dict) and "benchmarks" in found and "num_cpus" in (found.get("context") or {})


def _ns(source: Source, number: int, row: _Row) -> float:
    factor = seconds(row.time_unit)
    if factor is None:
        raise source.error(f"{row.time_unit!r} is no unit of time", field=f"benchmarks[{number}].time_unit")
    return row.real_time * factor


def _work(row: _Row, call_ns: float) -> tuple[Work, str]:
    """What one call does, from the rates that the benchmark reported."""
    if row.bytes_per_second is not None:
        return Work(bytes=row.bytes_per_second * call_ns / 1e9), "GB/s"
    if row.items_per_second is not None:
        return Work(elements=row.items_per_second * call_ns / 1e9), "GElement/s"
    return Work(), "s"


def _result(source: Source, name: str, rows: list[tuple[int, _Row]]) -> Result:
    first = rows[0][1]
    for _, row in rows:
        if row.error_occurred or row.skipped:
            reason = row.error_message or row.skip_message or "it reported an error"
            return Result(name=name, threads=row.threads, reason=reason, failed=row.error_occurred)
    samples = [(number, row) for number, row in rows if row.run_type == "iteration"]
    wanted = next(
        (way for way in ("median", "mean") if any(row.aggregate_name == way for _, row in rows)), ""
    )
    if not samples:
        samples = [(number, row) for number, row in rows if row.aggregate_name == wanted and wanted]
        if not samples:
            return Result(name=name, threads=first.threads, reason="only spreads were reported, no time")
    else:
        wanted = ""
    call_ns = [_ns(source, number, row) for number, row in samples]
    work, unit = _work(samples[0][1], call_ns[0])
    batch = 1 if wanted else max(1, int(samples[0][1].iterations))
    cpu_ns = [row.cpu_time * (seconds(row.time_unit) or 1.0) for _, row in samples]
    timing = Timing(call_ns, batch, {"cpu_ns": cpu_ns, "iterations": [row.iterations for _, row in samples]})
    attributes = {"label": first.label} if first.label else {}
    return Result(
        name=name,
        timings=[timing],
        summary=wanted,
        threads=first.threads,
        work=work,
        unit=unit,
        attributes=attributes,
    )


def _read(source: Source) -> list[Imported]:
    found = source.decode(_File)
    context = found.context
    if context.json_schema_version > _NEWEST:
        raise source.error(
            f"written in format {context.json_schema_version}; up to {_NEWEST} is known",
            field="context.json_schema_version",
        )
    grouped: dict[str, list[tuple[int, _Row]]] = {}
    for number, row in enumerate(found.benchmarks):
        if row.aggregate_name not in ("BigO", "RMS"):
            grouped.setdefault(row.run_name or row.name, []).append((number, row))
    build = {"library_build_type": context.library_build_type, "executable": context.executable}
    return [
        Imported(
            tool="google-benchmark",
            tool_version=context.library_version,
            results=[_result(source, name, rows) for name, rows in grouped.items()],
            started=parse_moment(context.date),
            host=context.host_name,
            threads=context.num_cpus,
            machine={
                "mhz_per_cpu": context.mhz_per_cpu,
                "caches": context.caches,
                "cpu_scaling_enabled": context.cpu_scaling_enabled,
            },
            metadata=build,
        )
    ]


IMPORTER = Importer("google-benchmark", "Google Benchmark JSON", _recognises, _read)
