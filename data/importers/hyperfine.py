"""hyperfine: the JSON of ``--export-json``.  Each run is a process of its own."""

from typing import Any

from msgspec import Struct

from data.importers.results import Imported, Importer, Result, Timing
from data.importers.source import Source

__all__ = ["IMPORTER"]


class _Result(Struct):
    """Seconds; ``exit_codes`` may hold null for a run that a signal ended."""

    command: str
    mean: float
    median: float | None = None
    times: list[float] | None = None
    exit_codes: list[int | None] = []
    user: float | None = None
    system: float | None = None
    parameters: dict[str, Any] = {}
    memory_usage_byte: list[int] | None = None


class _File(Struct):
    results: list[_Result]


def _recognises(source: Source) -> bool:
    found = source.peek()
    results = found.get("results") if isinstance(found, dict) else None
    return isinstance(results, list) and all(isinstance(one, dict) and "command" in one for one in results)


def _result(one: _Result) -> Result:
    name = one.command
    if one.parameters and not any(str(value) in name for value in one.parameters.values()):
        name += " " + " ".join(f"{key}={value}" for key, value in one.parameters.items())
    attributes = {
        "user_s": one.user,
        "system_s": one.system,
        "parameters": one.parameters,
        "exit_codes": one.exit_codes,
    }
    failed = [code for code in one.exit_codes if code != 0]
    if failed:
        reason = f"{len(failed)} of {len(one.exit_codes)} runs ended with a status other than 0"
        return Result(name=name, reason=reason, failed=True, attributes=attributes)
    if one.times:
        return Result(name=name, timings=[Timing([time * 1e9]) for time in one.times], attributes=attributes)
    summary, value = ("mean", one.mean) if one.median is None else ("median", one.median)
    return Result(name=name, timings=[Timing([value * 1e9])], summary=summary, attributes=attributes)


def _read(source: Source) -> list[Imported]:
    found = source.decode(_File)
    return [Imported(tool="hyperfine", results=[_result(one) for one in found.results])]


IMPORTER = Importer("hyperfine", "hyperfine JSON", _recognises, _read)
