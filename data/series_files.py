"""A series from a JSON or CSV text, as ``flopwatch changes`` reads it."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data.errors import BadInput

__all__ = ["Series", "read_series"]

#: Names that a column of a CSV file may have.
_NAMES = {
    "values": ("value", "values", "time_ns", "y"),
    "times": ("time", "times", "at", "date", "started", "timestamp", "x"),
    "low": ("low", "low_ns"),
    "high": ("high", "high_ns"),
}
_FIELDS = (*_NAMES, "noise_floor")


@dataclass(frozen=True)
class Series:
    """What :func:`data.changes.change_points` takes."""

    values: Sequence[Any]
    times: Sequence[Any] | None = None
    low: Sequence[Any] | None = None
    high: Sequence[Any] | None = None
    noise_floor: float | None = None


def read_series(text: str) -> Series:
    """Return the series in a JSON object or list, or in a CSV file with or without a line of names.

    Without names, one column holds the values, two hold times and values.  Raises BadInput saying what is wrong.
    """
    if not text.strip():
        raise BadInput('the input is empty; give {"values": [1.0, 1.1, …]} or a CSV file')
    return _from_json(text) if text.lstrip()[0] in "{[" else _from_csv(text)


def _from_json(text: str) -> Series:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"not JSON: {error}") from None
    if isinstance(found, list):
        found = {"values": found}
    if "values" not in found:
        raise BadInput(f'the JSON object has no "values"; it has {", ".join(sorted(found)) or "nothing"}')
    for name in _NAMES:
        if found.get(name) is not None and not isinstance(found[name], list):
            raise BadInput(f'"{name}" must be a list, not {type(found[name]).__name__}')
    floor = found.get("noise_floor")
    if floor is not None and (isinstance(floor, bool) or not isinstance(floor, int | float)):
        raise BadInput(f'"noise_floor" must be a share such as 0.02, not {floor!r}')
    for index, value in enumerate(found["values"]):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"values: number {index} (from 0) is {json.dumps(value)}, not a number")
    return Series(**{name: found.get(name) for name in _FIELDS})


def _from_csv(text: str) -> Series:
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    names = [cell.strip().lower() for cell in rows[0]]
    if _is_number(names[-1]):
        if len(names) > 2:
            raise BadInput(f"{len(names)} columns without names; name them: time,value,low,high")
        columns = {"values": len(names) - 1} | ({"times": 0} if len(names) == 2 else {})
        first = 1
    else:
        columns = {
            field: names.index(name)
            for field, known in _NAMES.items()
            for name in reversed(known)
            if name in names
        }
        if "values" not in columns:
            raise BadInput(f"no column is called value; the file has {', '.join(names)}")
        first, rows = 2, rows[1:]
    lists: dict[str, list[Any]] = {field: [] for field in columns}
    for line, row in enumerate(rows, first):
        for field, column in columns.items():
            cell = row[column].strip() if column < len(row) else ""
            lists[field].append(_cell(cell, field, line))
    return Series(lists["values"], lists.get("times"), lists.get("low"), lists.get("high"))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cell(cell: str, field: str, line: int) -> Any:
    if _is_number(cell):
        return float(cell)
    if field == "times" and cell:
        return cell
    raise BadInput(f"line {line}: {field.rstrip('s')} is {cell!r}, not a number")
