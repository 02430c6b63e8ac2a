"""pyperf: suites and single benchmarks as JSON, optionally gzipped (several processes)."""

import gzip
import zlib
from typing import Any

from msgspec import Struct, field

from data.importers.results import Imported, Importer, Result, Timing, parse_moment
from data.importers.source import Source

__all__ = ["IMPORTER"]

_NEWEST = (1, 0)
_OF_THE_MACHINE = ("platform", "cpu_config", "cpu_affinity", "aslr")


class _Run(Struct):
    """One process; one that only calibrates has no values.  Values are seconds of one call."""

    values: list[float] = []
    warmups: list[tuple[int, float]] | None = None
    metadata: dict[str, Any] = {}


class _Benchmark(Struct):
    runs: list[_Run]
    metadata: dict[str, Any] = {}


class _File(Struct):
    benchmarks: list[_Benchmark]
    version: str
    metadata: dict[str, Any] = field(default_factory=dict)


def _content(source: Source) -> bytes:
    if source.content[:2] != b"\x1f\x8b":
        return source.content
    try:
        return gzip.decompress(source.content)
    except (OSError, EOFError, zlib.error):
        raise source.error("the gzip data is damaged or ends early; transfer the file again") from None


def _recognises(source: Source) -> bool:
    if source.path.name.endswith((".json.gz", ".pyperf.gz")):
        return True
    found = source.peek()
    return (
        isinstance(found, dict)
        and {"benchmarks", "version"} <= found.keys()
        and all(isinstance(one, dict) and "runs" in one for one in found["benchmarks"])
    )


def _result(source: Source, number: int, one: _Benchmark, shared: dict[str, Any]) -> Result:
    known = shared | one.metadata
    unit = known.get("unit", "second")
    name = str(known.get("name") or f"benchmark {number}")
    if unit != "second":
        return Result(name=name, reason=f"its unit is {unit}, which is no time", attributes=known)
    loops = int(known.get("loops", 1)) * int(known.get("inner_loops", 1))
    timings = [
        Timing(
            [value * 1e9 for value in run.values],
            max(1, int(run.metadata.get("loops", 0) or 0) or loops),
            {"metadata": run.metadata, "warmups": run.warmups} if run.warmups else {"metadata": run.metadata},
        )
        for run in one.runs
        if run.values
    ]
    if not timings:
        raise source.error("holds no value", field=f"benchmarks[{number}].runs")
    return Result(name=name, timings=timings, attributes=one.metadata)


def _read(source: Source) -> list[Imported]:
    found = source.decode(_File, _content(source))
    parts = tuple(int(part) for part in found.version.split(".")[:2] if part.isdigit())
    if parts > _NEWEST:
        raise source.error(f"written in format {found.version}; up to 1.0 is known", field="version")
    results = [_result(source, number, one, found.metadata) for number, one in enumerate(found.benchmarks)]
    known = found.metadata | (found.benchmarks[0].metadata if len(found.benchmarks) == 1 else {})
    dates = [
        str(run.metadata["date"]) for one in found.benchmarks for run in one.runs if "date" in run.metadata
    ]
    implementation = f"{known.get('python_implementation', '')} {known.get('python_version', '')}".strip()
    return [
        Imported(
            tool="pyperf",
            tool_version=str(known.get("perf_version") or ""),
            results=results,
            started=parse_moment(min(dates, default=None)),
            host=str(known.get("hostname") or ""),
            cpu_model=str(known.get("cpu_model_name") or ""),
            threads=int(known.get("cpu_count") or 0),
            machine={
                name: value
                for name, value in known.items()
                if name in ("platform", "cpu_config", "cpu_affinity", "aslr")
            },
            interpreter=implementation,
            environment={
                name: value for name, value in known.items() if name.startswith(("python_", "timer"))
            },
            metadata=found.metadata,
        )
    ]


IMPORTER = Importer("pyperf", "pyperf JSON", _recognises, _read)
