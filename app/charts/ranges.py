"""Published ranges against measured intervals, each as a multiple of the middle of what was published."""

import html
import math
from collections.abc import Sequence
from typing import Any

from app import colours, texts
from app.charts import base
from app.rows import Row

__all__ = ["claims", "describe_claims"]

_GOOD, _BAD = ("holds", "exceeded"), ("falls short",)


def _middle(row: Row) -> float | None:
    """Return the geometric middle of the published range, the unit of its line; None where it has none."""
    ends = [texts.finite(end) for end in row.get("expected") or ()]
    if len(ends) != 2 or not ends[0] or not ends[1] or min(ends[0], ends[1]) <= 0:
        return None
    return math.sqrt(ends[0] * ends[1])


def _drawable(row: Row) -> bool:
    estimate = texts.finite(row.get("estimate"))
    return _middle(row) is not None and estimate is not None and estimate > 0


def _label(row: Row) -> str:
    return f"{row.get('id')} · {row.get('backend') or texts.ABSENT}"


def claims(found: Sequence[Row], theme: colours.Theme) -> base.Figure | None:
    """Return one line a claim and backend: the published range as a bar, the measured interval as a mark over it.

    None where nothing that was measured has a published range with a middle.
    """
    drawn = [row for row in found if _drawable(row)]
    if not drawn:
        return None
    labels = [html.escape(_label(row)) for row in drawn]
    ranges: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "name": "published range",
        "y": labels,
        "base": [row["expected"][0] / (_middle(row) or 1.0) for row in drawn],
        "x": [(row["expected"][1] - row["expected"][0]) / (_middle(row) or 1.0) for row in drawn],
        "marker": {"color": theme.fill, "line": {"color": theme.outline, "width": 1}},
        "hoverinfo": "skip",
    }
    marks = []
    for name, words, colour, symbol in (
        ("holds or exceeded", _GOOD, theme.good, "circle"),
        ("falls short", _BAD, theme.alarm, "x"),
        ("inconclusive", ("inconclusive",), theme.muted, "diamond-open"),
    ):
        members = [row for row in drawn if row.get("verdict") in words]
        if members:
            marks.append(_marks(name, members, colour, symbol))
    ends = ((row, (*row["expected"], row.get("low"), row.get("high"), row["estimate"])) for row in drawn)
    values = [float(end) / (_middle(row) or 1.0) for row, all_ends in ends for end in all_ends if end]
    return {
        "data": [ranges, *marks],
        "layout": base.layout(
            theme,
            120 + 26 * len(drawn),
            "measured here",
            barmode="overlay",
            bargap=0.45,
            xaxis=base.axis(
                theme,
                title=base.title("times the published middle", theme),
                **base.logarithmic(values, margin=0.08),
            ),
            yaxis=base.axis(
                theme,
                type="category",
                categoryorder="array",
                categoryarray=labels,
                autorange="reversed",
                showgrid=True,
                tickfont={"color": theme.ink, "size": base.FONT_SIZE - 1},
            ),
        ),
    }


def _marks(name: str, drawn: Sequence[Row], colour: str, symbol: str) -> dict[str, Any]:
    above, below, values = [], [], []
    for row in drawn:
        unit, estimate = _middle(row) or 1.0, float(row["estimate"])
        low, high = (texts.finite(row.get(end)) or estimate for end in ("low", "high"))
        values.append(estimate / unit)
        above.append(max(0.0, high - estimate) / unit)
        below.append(max(0.0, estimate - low) / unit)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "y": [html.escape(_label(row)) for row in drawn],
        "x": values,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "color": colour,
            "thickness": 1.6,
            "width": 4,
        },
        "marker": {"color": colour, "symbol": symbol, "size": 9},
        "hovertext": [
            f"<b>{html.escape(_label(row))}</b><br>{html.escape(str(row.get('statement')))}<br>"
            f"{html.escape(str(row.get('sentence')))}"
            for row in drawn
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def describe_claims(found: Sequence[Row]) -> str:
    """Say in words what :func:`claims` draws."""
    drawn = [row for row in found if _drawable(row)]
    spoken = "; ".join(f"{_label(row)}: {row.get('verdict')}" for row in drawn)
    return f"Published ranges against what was measured here. {spoken}."
