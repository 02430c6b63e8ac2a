"""nvbench: the JSON of ``--json``, with the samples of ``--jsonbin`` where their files lie beside it (one process)."""

import struct
from typing import Any

from msgspec import Struct, field

from data.importers.results import Imported, Importer, Result, Timing
from data.importers.source import Source
from data.records import Work

__all__ = ["IMPORTER"]

_NEWEST = 1
#: tag of a mean in s → condition, and the tag of its samples
_TIMES = {
    "nv/cold/time/gpu/mean": ("cold", "nv/json/bin:nv/cold/sample_times"),
    "nv/batch/time/gpu/mean": ("hot", ""),
    "nv/cpu_only/time/cpu/mean": ("given", "nv/json/bin:nv/cpu_only/sample_times"),
}


class _Version(Struct):
    major: int = 1
    string: str = ""


class _Versions(Struct):
    json: _Version
    nvbench: _Version = field(default_factory=_Version)


class _Meta(Struct):
    version: _Versions
    argv: list[str] = []


class _Value(Struct):
    name: str
    value: Any = None
    type: str = ""


class _Summary(Struct):
    tag: str
    data: list[_Value] = []

    def get(self, name: str = "value") -> Any:
        """Return one of its values."""
        return next((one.value for one in self.data if one.name == name), None)


class _State(Struct):
    name: str
    device: int | None = None
    axis_values: list[dict[str, Any]] | None = None
    summaries: list[_Summary] | None = None
    is_skipped: bool = False
    skip_reason: str = ""


class _Benchmark(Struct):
    name: str
    states: list[_State]


class _File(Struct):
    meta: _Meta
    benchmarks: list[_Benchmark]
    devices: list[dict[str, Any]] | None = None


def _recognises(source: Source) -> bool:
    found = source.peek()
    meta = found.get("meta") if isinstance(found, dict) else None
    return isinstance(meta, dict) and "nvbench" in (meta.get("version") or {}) and "benchmarks" in found


def _name(benchmark: _Benchmark, state: _State) -> str:
    axes = [
        f"{axis.get('name')}={axis.get('input_string') or axis.get('value')}"
        for axis in state.axis_values or []
    ]
    return f"{benchmark.name}[{' '.join(axes)}]" if axes else benchmark.name


def _number(source: Source, summary: _Summary, place: str) -> float:
    try:
        return float(summary.get())
    except (TypeError, ValueError):
        raise source.error(f"{summary.get()!r} is no number", field=f"{place}, {summary.tag}") from None


def _samples(source: Source, summary: _Summary | None, place: str) -> list[float]:
    """Return the samples in s from the file beside the JSON that holds them, or none if it is not there."""
    if summary is None or not summary.get("filename"):
        return []
    path = source.path.parent / str(summary.get("filename"))
    if not path.exists():
        path = source.path.parent / path.name
    if not path.exists():
        return []
    content, size = path.read_bytes(), int(summary.get("size") or 0)
    if len(content) != 4 * size:
        raise source.error(f"{path.name} holds {len(content)} bytes, {4 * size} were promised", field=place)
    return list(struct.unpack(f"<{size}f", content))


def _results(source: Source, benchmark: _Benchmark, state: _State, place: str) -> list[Result]:
    device = "cpu" if state.device is None else f"cuda:{state.device}"
    held = {summary.tag: summary for summary in state.summaries or []}
    name = _name(benchmark, state)
    kept: dict[str, Any] = {tag: summary.get() for tag, summary in held.items() if summary.get() is not None}
    if state.is_skipped:
        return [Result(name=name, device=device, reason=state.skip_reason or "skipped", attributes=kept)]
    found = []
    for tag, (condition, samples_tag) in _TIMES.items():
        if tag not in held:
            continue
        mean_s = _number(source, held[tag], place)
        samples = _samples(source, held.get(samples_tag), place)
        work, unit = Work(), "s"
        rate = held.get("nv/cold/bw/global/bytes_per_second")
        if rate is not None and condition == "cold":
            work, unit = Work(bytes=_number(source, rate, place) * mean_s), "GB/s"
        found.append(
            Result(
                name=name,
                device=device,
                condition=condition,
                timings=[Timing([sample * 1e9 for sample in samples or [mean_s]])],
                summary="" if samples else "mean",
                work=work,
                unit=unit,
                attributes=kept,
            )
        )
    return found or [Result(name=name, device=device, reason="holds no time", attributes=kept)]


def _read(source: Source) -> list[Imported]:
    found = source.decode(_File)
    version = found.meta.version
    if version.json.major > _NEWEST:
        raise source.error(
            f"written in format {version.json.string or version.json.major}; up to {_NEWEST} is known",
            field="meta.version.json",
        )
    results = [
        result
        for number, benchmark in enumerate(found.benchmarks)
        for place, state in enumerate(benchmark.states)
        for result in _results(source, benchmark, state, f"benchmarks[{number}].states[{place}]")
    ]
    devices = found.devices or []
    return [
        Imported(
            tool="nvbench",
            tool_version=version.nvbench.string,
            results=results,
            devices=[str(device.get("name")) for device in devices],
            machine={"devices": devices},
            metadata={"argv": found.meta.argv},
        )
    ]


IMPORTER = Importer("nvbench", "nvbench JSON", _recognises, _read)
