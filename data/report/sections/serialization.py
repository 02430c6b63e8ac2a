"""Models on disk: size, saving and loading by format, for weights as they are and for constant ones."""

from typing import Any

import msgspec

from data.report import cells, charts
from data.report.context import Context, Row
from data.report.model import Section, Table

__all__ = ["section"]

_FORMATS = ("json-pretty", "json-compact", "safetensors", "safetensors-mmap", "npz", "pickle")
_FILLS = {
    "normal": "weights from normal(0, 0.02), as trained ones look",
    "constant": "every weight 0.01, as published",
}


def _size_mib(row: Row | None) -> float | None:
    if row is None:
        return None
    attributes: dict[str, Any] = msgspec.json.decode(row["attributes"])
    size = attributes.get("file_bytes")
    return None if size is None else float(size) / 2**20


def _size(mib: float | None) -> str:
    return cells.NONE if mib is None else f"{mib:,.0f} MiB"


def _place(row: Row) -> tuple[int, str, str]:
    variant = str(row["variant"])
    return (
        (_FORMATS.index(variant) if variant in _FORMATS else 99),
        str(row["backend"]),
        str(row["condition"]),
    )


def _formats(context: Context, rows: list[Row], fill: str) -> Table:
    table = Table(
        f"serialization-{fill}",
        f"Size, saving and loading: {_FILLS.get(fill, fill)}",
        [
            *(
                "model",
                "format",
                "backend",
                "size",
                "what",
                "condition",
                "time",
                "interval",
                "rate",
                "of ceiling",
            ),
            *("published size", "published time"),
        ],
        right=frozenset(
            {"size", "time", "interval", "rate", "of ceiling", "published size", "published time"}
        ),
    )
    for row in rows:
        model = row["case_id"].partition("/")[2].rpartition("-")[0]
        given = context.published(row["case_id"], row["variant"])
        table.rows.append(
            [
                *(
                    model,
                    row["variant"],
                    row["backend"],
                    _size(_size_mib(row)),
                    row["kernel"],
                    row["condition"],
                ),
                *(cells.time(row), cells.interval(row), cells.rate(row), cells.share(row)),
                _size(given.file_mib if given else None),
                f"{given.time_ns / 1e9:g} s" if given else cells.NONE,
            ]
        )
    return table


def _published_gain(context: Context, case: str, what: str) -> str:
    """How many times smaller or faster safetensors was than indented JSON, as published."""
    old, new = (context.published(case, variant) for variant in ("json-pretty", "safetensors"))
    if not (old and new):
        return cells.NONE
    before, after = getattr(old, what), getattr(new, what)
    return f"{before / after:.1f}x" if before and after else cells.NONE


def _improvement(context: Context, rows: list[Row]) -> Table:
    """Safetensors over indented JSON: how many times smaller, and faster to save and load, for both fills."""
    table = Table(
        "serialization-improvement",
        "safetensors over indented JSON",
        ["model", "fill", "what", "condition", "JSON", "safetensors", "improvement", "interval", "published"],
        right=frozenset({"JSON", "safetensors", "improvement", "interval", "published"}),
    )
    cases = context.cases(row for row in rows if row["kernel"] in ("save", "load"))
    for case in sorted(cases, key=lambda case: (case.partition("/")[2], case)):
        kernel, _, rest = case.partition("/")
        model, _, fill = rest.rpartition("-")
        mine = [row for row in rows if row["case_id"] == case]
        for condition in sorted({row["condition"] for row in mine}):
            old = context.one(mine, variant="json-pretty", condition=condition)
            new = context.one(mine, variant="safetensors", condition=condition)
            if old is None or new is None:
                continue
            value, interval = cells.speedup(context.speedup(new, old))
            table.rows.append(
                [
                    *(model, fill, kernel, condition, cells.time(old), cells.time(new), value, interval),
                    _published_gain(context, case, "time_ns"),
                ]
            )
            sizes = _size_mib(old), _size_mib(new)
            if kernel == "save" and condition == "warm" and sizes[0] and sizes[1]:
                table.rows.append(
                    [
                        *(model, fill, "size", cells.NONE, _size(sizes[0]), _size(sizes[1])),
                        *(f"{sizes[0] / sizes[1]:.2f}x", "exact"),
                        _published_gain(context, case, "file_mib"),
                    ]
                )
    return table


def section(context: Context) -> Section:
    """A table for each fill, and what safetensors gains."""
    rows = sorted(
        context.find("save", "load", "lazy-load"),
        key=lambda row: (row["case_id"].partition("/")[2], _place(row), row["kernel"]),
    )
    found = Section("serialization", "Saving and loading models")
    for fill in _FILLS:
        mine = [row for row in rows if str(row["case_id"]).endswith(f"-{fill}")]
        if mine:
            found.tables.append(_formats(context, mine, fill))
    if not found.tables:
        return found
    improvement = _improvement(context, rows)
    found.text.append(
        "The published sizes come from constant weights in JSON with one number a line: 14 bytes a number. Real "
        "weights have more digits, so both fills are shown. Conditions: warm (in the page cache), cold (dropped from "
        "it before), fsync (brought to the disk)."
    )
    if improvement.rows:
        found.tables.append(improvement)
    else:
        found.text.append("Indented JSON was not measured in this choice, so no improvement can be given.")
    found.charts += charts.serialization(context, rows)
    found.command = context.command("save/*", "load/*", "lazy-load/*")
    return found
