"""asv: a folder of results, one run for each file below ``MACHINE/`` (samples where they were recorded)."""

import itertools
import math
from pathlib import Path
from typing import Any

from msgspec import Struct

from data.importers.results import Imported, Importer, Interval, Result, Timing, from_epoch
from data.importers.source import Source

__all__ = ["IMPORTER"]

_FORMAT = 2
_NOT_RESULTS = ("machine.json", "benchmarks.json")
_TIMED = ("time", "timeraw")


class _File(Struct):
    """``results`` has a list for each benchmark, in the order of ``result_columns``; trailing ones may be missing."""

    commit_hash: str
    env_name: str
    date: int
    result_columns: list[str]
    results: dict[str, list[Any]]
    version: int
    params: dict[str, Any] = {}
    python: str = ""
    requirements: dict[str, Any] = {}
    env_vars: dict[str, Any] = {}


class _Version(Struct):
    version: int = 0


def _files(root: Path) -> list[Path]:
    """Return the files of results: in the folders of machines that lie in a folder of results."""
    return sorted(
        path
        for path in (
            *root.glob("*/*.json"),
            *(root.glob("*.json") if (root / "machine.json").exists() else ()),
        )
        if path.name not in _NOT_RESULTS and (path.parent / "machine.json").exists()
    )


def _recognises(source: Source) -> bool:
    if source.is_folder:
        return bool(_files(source.path))
    found = source.peek()
    return isinstance(found, dict) and {"commit_hash", "env_name", "results"} <= found.keys()


def _described(path: Path) -> dict[str, Any]:
    """Return benchmarks.json of the folder that results lie in, if it is there."""
    for folder in (path.parent.parent, path.parent):
        if (folder / "benchmarks.json").exists():
            source = Source(folder / "benchmarks.json")
            found: dict[str, Any] = source.decode(dict[str, Any])
            return found
    return {}


def _unit(name: str, described: dict[str, Any]) -> tuple[str, str]:
    """Return type and unit of a benchmark; without a description its name tells, as asv itself has it."""
    known = described.get(name)
    if isinstance(known, dict):
        return str(known.get("type", "")), str(known.get("unit", ""))
    kind = name.rpartition(".")[2].partition("_")[0]
    return kind, "seconds" if kind in _TIMED else ""


def _column(row: dict[str, Any], name: str, number: int) -> Any:
    values = row.get(name)
    return values[number] if isinstance(values, list) and number < len(values) else None


def _results(source: Source, name: str, row: dict[str, Any], described: dict[str, Any]) -> list[Result]:
    kind, unit = _unit(name, described)
    params = row.get("params") or []
    combinations = list(itertools.product(*params)) if params else [()]
    values = row.get("result")
    values = values if isinstance(values, list) else [values] * len(combinations)
    if len(values) != len(combinations):
        raise source.error(
            f"{len(values)} results for {len(combinations)} parameters", field=f"results.{name}"
        )
    found = []
    for number, (value, chosen) in enumerate(zip(values, combinations, strict=True)):
        title = f"{name}({', '.join(map(str, chosen))})" if chosen else name
        kept = {
            "version": row.get("version"),
            "quantiles": [_column(row, f"stats_q_{q}", number) for q in (25, 75)],
        }
        if kind not in _TIMED or unit != "seconds":
            reason = f"measures {unit or kind}, which is no time"
            found.append(Result(name=title, reason=reason, attributes=kept | {"value": value}))
        elif not isinstance(value, int | float) or math.isnan(value):
            skipped = isinstance(value, float)
            reason = "skipped for these parameters" if skipped else "it failed"
            found.append(Result(name=title, reason=reason, failed=not skipped, attributes=kept))
        else:
            found.append(_timed(title, float(value), row, number, kept))
    return found


def _timed(title: str, value: float, row: dict[str, Any], number: int, kept: dict[str, Any]) -> Result:
    samples = _column(row, "samples", number)
    calls = _column(row, "stats_number", number)
    low, high = (_column(row, f"stats_ci_99_{end}", number) for end in "ab")
    interval = None
    if (
        isinstance(low, int | float)
        and isinstance(high, int | float)
        and 0 < low <= high
        and math.isfinite(high)
    ):
        interval = Interval(low * 1e9, high * 1e9, "99 % in one process")
    timing = Timing(
        [sample * 1e9 for sample in samples or [value]], max(1, int(calls or 1)) if samples else 1
    )
    return Result(
        name=title,
        timings=[timing],
        summary="" if samples else "median",
        interval=interval,
        attributes=kept | {"repeat": _column(row, "stats_repeat", number)},
    )


def _packages(found: _File) -> dict[str, str]:
    return {name: str(version or "any") for name, version in found.requirements.items()}


def _one(path: Path) -> Imported:
    source = Source(path)
    version = source.decode(_Version).version
    if version != _FORMAT:
        advice = "run asv update" if version < _FORMAT else f"up to {_FORMAT} is known"
        raise source.error(f"written in format {version}; {advice}", field="version")
    found = source.decode(_File)
    described = _described(path)
    results, moments = [], [found.date]
    for name, values in found.results.items():
        if len(values) > len(found.result_columns):
            raise source.error(
                f"{len(values)} values for {len(found.result_columns)} columns", field=f"results.{name}"
            )
        row = dict(zip(found.result_columns, values, strict=False))
        moments.append(row.get("started_at") or found.date)
        results += _results(source, name, row, described)
    machine = found.params | _machine(path)
    ram = str(machine.get("ram") or "")
    return Imported(
        tool="asv",
        results=results,
        # The commit's date is what asv draws a result at; when it was measured stands with each benchmark.
        started=from_epoch(found.date),
        host=str(machine.get("machine") or ""),
        cpu_model=str(machine.get("cpu") or ""),
        threads=int(machine["num_cpu"]) if str(machine.get("num_cpu") or "").isdigit() else 0,
        memory_bytes=int(ram) * 1024 if ram.isdigit() else 0,
        machine=machine,
        interpreter=f"Python {found.python}" if found.python else "",
        packages=_packages(found),
        environment={"env_name": found.env_name, "env_vars": found.env_vars},
        commit=found.commit_hash,
        metadata={"measured_until": from_epoch(max(moments)).isoformat()},
    )


def _machine(path: Path) -> dict[str, Any]:
    file = path.parent / "machine.json"
    if not file.exists():
        return {}
    found: dict[str, Any] = Source(file).decode(dict[str, Any])
    return found


def _read(source: Source) -> list[Imported]:
    files = _files(source.path) if source.is_folder else [source.path]
    return [_one(path) for path in files]


IMPORTER = Importer("asv", "asv result folders", _recognises, _read)
