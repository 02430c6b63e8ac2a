"""Boards with a known history: runs through the real ledger and index, with a step in time, code or environment."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from data.index import Index
from data.records import Ceiling, Machine, Measurement, Run, Samples
from data.runfile import RunFileWriter
from tests.data.run_files import MACHINE, lines

__all__ = ["BEGIN", "fill"]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def fill(
    home: Path,
    runs: int,
    step: int | None = None,
    ratio: float = 1.1,
    *,
    machine: Machine = MACHINE,
    names: Sequence[tuple[str, str]] = (),
    **changed: Any,
) -> Index:
    """Return the index of ``runs`` daily runs; from number ``step`` on the measurements take ``ratio`` times as long.

    ``changed`` says what else is different from then on: ``packages``, ``sources``, ``ceilings`` (their ratio).
    ``names`` are other cases and variants for the two that are measured.
    """
    index = Index(home / "flopwatch.duckdb")
    for number in range(runs):
        after = step is not None and number >= step
        path = home / f"{number}.run.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with RunFileWriter(path) as writer:
            for line in lines(seed=number, cells=2, samples=10, started=_moment(number), machine=machine):
                writer.write(_altered(_named(line, names), ratio if after else 1.0, changed if after else {}))
            writer.end()
        index.ledger.append("run", path.read_bytes())
        path.unlink()
    assert index.own()
    return index


def _moment(number: int) -> str:
    return f"{BEGIN + timedelta(days=number):%Y-%m-%dT%H:%M:%S.%fZ}"


def _named(line: Any, names: Sequence[tuple[str, str]]) -> Any:
    if not names or not isinstance(line, Measurement) or line.samples is None:
        return line
    case, variant = names[int(line.case.rpartition("/")[2])]
    times = [round(time / (1 + int(line.case.rpartition("/")[2]))) for time in line.samples.time_ns]
    samples = msgspec.structs.replace(line.samples, time_ns=times)
    kernel = case.partition("/")[0]
    return msgspec.structs.replace(
        line, case=case, variant=variant, kernel=kernel, samples=samples, bound=None
    )


def _altered(line: Any, ratio: float, changed: dict[str, Any]) -> Any:
    if isinstance(line, Run):
        packages = {"numpy": "2.4.6"} | changed.get("packages", {})
        environment = msgspec.structs.replace(
            line.environment,
            packages=packages,
            id="ba9876543211" if "packages" in changed else "ba9876543210",
        )
        flopwatch = {"version": "0.1.0", "sources": changed.get("sources", "aaaaaaaaaaaa")}
        return msgspec.structs.replace(line, environment=environment, flopwatch=flopwatch)
    factor = changed.get("ceilings", 1.0) if isinstance(line, Ceiling) else ratio
    if isinstance(line, Measurement | Ceiling) and line.samples:
        times = [round(time * factor) for time in line.samples.time_ns]
        fields = {name: getattr(line.samples, name) for name in Samples.__struct_fields__} | {
            "time_ns": times
        }
        return msgspec.structs.replace(line, samples=Samples(**fields))
    return line
