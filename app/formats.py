"""What each file format costs: one row a format and fill, joined from the cases that save, load and load lazily."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app import colours, machines, rows, texts
from app.rows import Row

__all__ = ["METRICS", "SAVE_MEMORY", "Format", "Metric", "models", "table"]

Format = dict[str, Any]

KERNELS = ("save", "load", "lazy-load")
_MIB = 2.0**20


@dataclass(frozen=True)
class Metric:
    """One property of a format: its name, the column it is in, and how it reads."""

    name: str
    column: str
    text: Callable[[Row], str]
    scale: Callable[[float], tuple[float, str]]


def _time(column: str) -> Callable[[Row], str]:
    return lambda row: texts.time(*(row.get(name) for name in (column, f"{column}_low", f"{column}_high")))


def _size(column: str) -> Callable[[Row], str]:
    return lambda row: texts.size(row.get(column))


def _mebibytes(_: float) -> tuple[float, str]:
    return _MIB, "MiB"


METRICS = {
    "load": Metric("Load", "load_ns", _time("load_ns"), texts.time_scale),
    "save": Metric("Save", "save_ns", _time("save_ns"), texts.time_scale),
    "lazy load": Metric("Load one tensor", "lazy_load_ns", _time("lazy_load_ns"), texts.time_scale),
    "size": Metric("File size", "file_bytes", _size("file_bytes"), _mebibytes),
    "memory": Metric("Memory to load", "load_memory_bytes", _size("load_memory_bytes"), _mebibytes),
}
SAVE_MEMORY = Metric("Memory to save", "save_memory_bytes", _size("save_memory_bytes"), _mebibytes)


def _model_and_fill(row: Row) -> tuple[str, str]:
    model, _, fill = rows.case_label(str(row.get("case_id"))).rpartition("-")
    return model or fill, fill if model else ""


def models(board: Iterable[Row]) -> list[str]:
    """Return the models that were saved or loaded."""
    return list(
        dict.fromkeys(
            _model_and_fill(row)[0]
            for row in sorted(board, key=lambda row: rows.case_order(str(row.get("case_id"))))
            if row.get("kernel") in KERNELS
        )
    )


def table(board: Iterable[Row], model: str) -> list[Format]:
    """Return one row a format, condition and fill of ``model``, in reading order; only results that are ok count.

    Times are in ns with their ends as ``…_low`` and ``…_high``, sizes in bytes; what was not measured is missing.
    """
    joined: dict[tuple[Any, ...], Format] = {}
    speeds = [row for row in board if row.get("kernel") in KERNELS and rows.is_speed(row)]
    for row in speeds:
        found, fill = _model_and_fill(row)
        if found != model:
            continue
        name = f"{row.get('variant')} · {row.get('backend')}"
        kernel = str(row["kernel"])
        # A file is saved with or without waiting for the disk, and loaded warm or cold: each its own row.
        condition = str(row.get("condition") or "")
        usual = condition in ("warm", "given", "")
        key = (name, "" if usual else condition, fill)
        cell = joined.setdefault(
            key,
            {
                "format": name if usual else f"{name} · {condition}",
                "variant": row.get("variant"),
                "backend": row.get("backend"),
                "fill": fill,
                "run_id": row.get("run_id"),
            },
        )
        cell |= _measured(kernel, row)
    return [joined[key] for key in sorted(joined, key=lambda key: _order(joined[key], key))]


def _order(row: Format, key: tuple[Any, ...]) -> tuple[Any, ...]:
    name, condition, fill = key
    return (
        colours.variant_order(str(row["variant"])),
        colours.backend_order(str(row["backend"])),
        (name, condition, fill != "normal", fill),
    )


def _measured(kernel: str, row: Row) -> Format:
    column = f"{kernel.replace('-', '_')}_ns"
    held = machines.parsed(row.get("attributes"))
    attributes: Mapping[str, Any] = held if isinstance(held, Mapping) else {}
    found = {
        column: row.get("time_ns"),
        f"{column}_low": row.get("low_ns"),
        f"{column}_high": row.get("high_ns"),
        f"{column}_id": row.get("measurement_id"),
    }
    size = texts.finite(attributes.get("file_bytes"))
    if size is not None:
        found |= {"file_bytes": size, "file_bytes_id": row.get("measurement_id")}
    memory = texts.finite(attributes.get("peak_resident_increase_bytes"))
    if memory is not None:
        name = f"{kernel.replace('-', '_')}_memory_bytes"
        found |= {name: memory, f"{name}_id": row.get("measurement_id")}
    return found
