"""Points with intervals, joined to a line: what lines over sizes, versions and time have in common."""

import html
from collections.abc import Callable, Sequence
from typing import Any

from app import colours, rows
from app.charts import base
from app.rows import Row

__all__ = ["SVG_POINTS", "line", "whiskers"]

#: Beyond so many points, WebGL draws faster than SVG.
SVG_POINTS = 2_000


def whiskers(drawn: Sequence[Row], scale: float, colour: str, thickness: float = 1.2) -> dict[str, Any]:
    """Return the error bars: from each value to the ends of its interval, none where there is no interval."""
    above: list[float] = []
    below: list[float] = []
    for row in drawn:
        middle = rows.value(row) or 0.0
        low, high = rows.interval(row) or (middle, middle)
        below.append((middle - low) / scale)
        above.append((high - middle) / scale)
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "color": colour,
        "thickness": thickness,
        "width": 3,
        "visible": any(above) or any(below),
    }


def line(
    name: str,
    drawn: Sequence[Row],
    x: Sequence[Any],
    scale: float,
    strength: float = 1.0,
    hover: Callable[[str, Row], str] = base.hover,
) -> dict[str, Any]:
    """Return one series as points with intervals on a line, in the colour of its backend and dash of its variant.

    ``hover`` says what a point tells, from the name of the series and its row.
    """
    first = drawn[0]
    colour = colours.paler(colours.backend(str(first.get("backend"))), strength)
    dash, symbol = colours.stroke(str(first.get("variant")))
    return {
        "type": "scattergl" if len(drawn) > SVG_POINTS else "scatter",
        "mode": "lines+markers",
        "name": html.escape(name),
        "x": list(x),
        "y": [(rows.value(row) or 0.0) / scale for row in drawn],
        "error_y": whiskers(drawn, scale, colour),
        "line": {"color": colour, "dash": dash, "width": 2},
        "marker": {"color": colour, "symbol": symbol, "size": 8},
        "hovertext": [hover(name, row) for row in drawn],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get("measurement_id"), row.get("run_id")] for row in drawn],
    }
