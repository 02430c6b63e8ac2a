"""Boards with a known history: runs through the real ledger and index, with a step in time, code or environment."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from data.index import Index
from data.records import Ceiling, Measurement, Run, Samples
from data.runfile import RunFileWriter
from tests.data.run_files import lines

__all__ = ["BEGIN", "fill"]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def fill(home: Path, runs: int, step: int | None = None, ratio: float = 1.1, **changed: Any) -> Index:
    """Return the index of ``runs`` daily runs; from number ``step`` on the measurements take ``ratio`` times as long.

    ``changed`` says what else is different from then on: ``packages``, ``sources``, ``ceilings`` (their ratio).
    """
    index = Index(home / "flopwatch.duckdb")
    for number in range(runs):
        after = step is not None and number >= step
        path = home / f"{number}.run.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with RunFileWriter(path) as writer:
            for line in lines(seed=number, cells=2, samples=10, started=_moment(number)):
                writer.write(_altered(line, ratio if after else 1.0, changed if after else {}))
            writer.end()
        index.ledger.append("run", path.read_bytes())
        path.unlink()
    assert index.own()
    return index


def _moment(number: int) -> str:
    return f"{BEGIN + timedelta(days=number):%Y-%m-%dT%H:%M:%S.%fZ}"


def _altered(line: Any, ratio: float, changed: dict[str, Any]) -> Any:
    if isinstance(line, Run):
        packages = {"numpy": "2.4.6"} | changed.get("packages", {})
        environment = msgspec.structs.replace(
            line.environment, packages=packages, id="ba9876543211" if "packages" in changed else "ba9876543210"
        )
        flopwatch = {"version": "0.1.0", "sources": changed.get("sources", "aaaaaaaaaaaa")}
        return msgspec.structs.replace(line, environment=environment, flopwatch=flopwatch)
    factor = changed.get("ceilings", 1.0) if isinstance(line, Ceiling) else ratio
    if isinstance(line, Measurement | Ceiling) and line.samples:
        times = [round(time * factor) for time in line.samples.time_ns]
        fields = {name: getattr(line.samples, name) for name in Samples.__struct_fields__} | {"time_ns": times}
        return msgspec.structs.replace(line, samples=Samples(**fields))
    return line
