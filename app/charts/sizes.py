"""Lines: how the rate of one kernel grows or falls with the size of its case."""

import math
import re
from collections.abc import Sequence

from app import colours, rows
from app.charts import base, points
from app.rows import Row

__all__ = ["describe_sizes", "size_of", "sizes"]

_PLAIN = re.compile(r"(\d+(?:\.\d+)?)([KMG]?)")
_FACTORS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}


def size_of(case_id: str) -> float | None:
    """Return the size of a case whose shape is one number (1024, 10M), None for every other."""
    found = _PLAIN.fullmatch(rows.case_label(case_id))
    number = float(found[1]) * _FACTORS[found[2]] if found else 0.0
    return number if number > 0 else None


def sizes(board: Sequence[Row], theme: colours.Theme) -> base.Figure | None:
    """Return rate over size, both logarithmic, one line a series; None where fewer than two sizes were measured."""
    drawn = [
        row
        for row in board
        if rows.is_speed(row) and row.get("unit") != "s" and size_of(str(row.get("case_id"))) is not None
    ]
    ticks = {size_of(str(row["case_id"])): rows.case_label(str(row["case_id"])) for row in drawn}
    if len(ticks) < 2:
        return None
    grouped = rows.series(drawn)
    counts = sorted({threads for *_, threads in grouped}, reverse=True)
    traces = []
    for key, (name, members) in grouped.items():
        ordered = sorted(members, key=lambda row: size_of(str(row["case_id"])) or 0.0)
        strength = 1.0 if key[-1] == counts[0] else 0.55
        traces.append(
            points.line(name, ordered, [size_of(str(row["case_id"])) for row in ordered], 1.0, strength)
        )
    held = sorted(size for size in ticks if size is not None)
    size_axis = base.axis(
        theme,
        title=base.title("size of the case", theme),
        type="log",
        tickvals=held,
        ticktext=[ticks[size] for size in held],
        range=[math.log10(held[0]) - 0.08, math.log10(held[-1]) + 0.08],
    )
    rate_axis = base.axis(
        theme,
        title=base.title(str(drawn[0].get("unit")), theme),
        **base.logarithmic(
            end for row in drawn for end in (*(rows.interval(row) or ()), rows.value(row) or 0.0)
        ),
    )
    return {
        "data": traces,
        "layout": base.layout(theme, 440, "backend · variant", xaxis=size_axis, yaxis=rate_axis),
    }


def describe_sizes(kernel: str, board: Sequence[Row]) -> str:
    """Say in words what :func:`sizes` draws."""
    best = "; ".join(base.spoken(row) for row in rows.fastest(board))
    return f"Line chart of the rate of {kernel} over its size, both axes logarithmic. Fastest of each case: {best}."
