"""pytest-benchmark: the JSON of ``--benchmark-json`` and ``--benchmark-autosave`` (one process)."""

from typing import Any

from msgspec import Struct

from data.importers.results import Imported, Importer, Result, Timing, parse_moment
from data.importers.source import Source

__all__ = ["IMPORTER"]

_NEWEST = 5


class _Stats(Struct):
    """Seconds of one call; ``data`` is there unless it was left out when saving."""

    mean: float
    median: float
    iterations: int = 1
    data: list[float] | None = None


class _Benchmark(Struct):
    fullname: str
    name: str
    stats: _Stats
    group: str | None = None
    params: dict[str, Any] | None = None
    extra_info: dict[str, Any] = {}
    options: dict[str, Any] = {}


class _File(Struct):
    benchmarks: list[_Benchmark]
    version: str
    machine_info: dict[str, Any] = {}
    commit_info: dict[str, Any] = {}
    datetime: str | None = None


def _recognises(source: Source) -> bool:
    found = source.peek()
    return isinstance(found, dict) and {"machine_info", "commit_info", "benchmarks"} <= found.keys()


def _result(one: _Benchmark) -> Result:
    # A call that is timed once has its samples as they are; else each is the mean of so many calls.
    stats = one.stats
    raw = stats.data
    timing = Timing([value * 1e9 for value in raw or [stats.median]], max(1, stats.iterations))
    attributes = {
        "group": one.group,
        "params": one.params,
        "extra_info": one.extra_info,
        "options": one.options,
    }
    return Result(
        name=one.fullname,
        timings=[timing],
        summary="" if raw else "median",
        attributes={name: value for name, value in attributes.items() if value},
    )


def _read(source: Source) -> list[Imported]:
    found = source.decode(_File)
    major = found.version.partition(".")[0]
    if major.isdigit() and int(major) > _NEWEST:
        raise source.error(
            f"written by pytest-benchmark {found.version}; up to {_NEWEST} is known", field="version"
        )
    machine = found.machine_info
    told = machine.get("cpu")
    cpu: dict[str, Any] = told if isinstance(told, dict) else {}
    implementation = f"{machine.get('python_implementation', '')} {machine.get('python_version', '')}".strip()
    return [
        Imported(
            tool="pytest-benchmark",
            tool_version=found.version,
            results=[_result(one) for one in found.benchmarks],
            started=parse_moment(found.datetime),
            host=str(machine.get("node") or ""),
            cpu_model=str(cpu.get("brand_raw") or machine.get("processor") or ""),
            threads=int(cpu.get("count") or 0),
            machine=machine,
            interpreter=implementation,
            commit=str(found.commit_info.get("id") or ""),
            metadata={"commit_info": found.commit_info},
        )
    ]


IMPORTER = Importer("pytest-benchmark", "pytest-benchmark JSON", _recognises, _read)
