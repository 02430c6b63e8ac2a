"""Horizontal bars: what each format costs, in time, size or memory, for both fills of one model."""

import html
from collections.abc import Sequence
from typing import Any

from app import colours, texts
from app.charts import base
from app.formats import Format, Metric

__all__ = ["describe_formats", "formats"]

#: Values that compress well and such that do not: how strong their colour is.
_STRENGTHS = {"normal": 1.0, "constant": 0.4}


def _value(row: Format, metric: Metric) -> float | None:
    found = texts.finite(row.get(metric.column))
    return found if found is not None and found > 0 else None


def formats(
    table: Sequence[Format], metric: Metric, theme: colours.Theme, *, logarithmic: bool = False
) -> base.Figure | None:
    """Return one bar a format and fill, the least first; None where no format has a value."""
    drawn = sorted(
        (row for row in table if _value(row, metric) is not None), key=lambda row: _value(row, metric) or 0.0
    )
    if not drawn:
        return None
    scale, unit = metric.scale(max(_value(row, metric) or 0.0 for row in drawn))
    names = list(dict.fromkeys(str(row["format"]) for row in drawn))
    fills = list(dict.fromkeys(str(row["fill"]) for row in sorted(drawn, key=_fill_order)))
    value_axis = base.axis(
        theme, title=base.title(f"{unit}, less is better", theme), rangemode="tozero", exponentformat="none"
    )
    if logarithmic:
        value_axis |= base.logarithmic(
            (
                end / scale
                for row in drawn
                for name in (metric.column, f"{metric.column}_low", f"{metric.column}_high")
                if (end := texts.finite(row.get(name)))
            ),
            margin=0.2,
        )
    return {
        "data": [
            *(
                _bars(fill, [row for row in drawn if row["fill"] == fill], metric, scale, theme)
                for fill in fills
            ),
            *(_legend(fill, theme) for fill in fills),
        ],
        "layout": base.layout(
            theme,
            130 + (26 * len(fills) + 14) * len(names),
            "values of the model; the colour is the backend",
            barmode="group",
            bargap=0.3,
            showlegend=True,
            xaxis=value_axis,
            yaxis=base.axis(
                theme,
                type="category",
                categoryorder="array",
                categoryarray=[html.escape(name) for name in names],
                autorange="reversed",
                showgrid=False,
                tickfont={"color": theme.ink, "size": base.FONT_SIZE},
            ),
        ),
    }


def _legend(fill: str, theme: colours.Theme) -> dict[str, Any]:
    """Return an entry of the legend without a colour of its own: in the chart, the colour is the backend's."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": html.escape(fill),
        "offsetgroup": fill,
        "x": [None],
        "y": [None],
        "legendgroup": fill,
        "marker": {"color": colours.paler(theme.muted, _STRENGTHS.get(fill, 0.4))},
    }


def _fill_order(row: Format) -> tuple[bool, str]:
    return row["fill"] != "normal", str(row["fill"])


def _bars(
    fill: str, drawn: Sequence[Format], metric: Metric, scale: float, theme: colours.Theme
) -> dict[str, Any]:
    strength = _STRENGTHS.get(fill, 0.4)
    above, below = [], []
    for row in drawn:
        middle = _value(row, metric) or 0.0
        low, high = (texts.finite(row.get(f"{metric.column}_{end}")) or middle for end in ("low", "high"))
        below.append(max(0.0, middle - low) / scale)
        above.append(max(0.0, high - middle) / scale)
    return {
        "type": "bar",
        "orientation": "h",
        "name": html.escape(fill),
        "legendgroup": fill,
        "offsetgroup": fill,
        "showlegend": False,
        "y": [html.escape(str(row["format"])) for row in drawn],
        "x": [(_value(row, metric) or 0.0) / scale for row in drawn],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "color": theme.ink,
            "thickness": 1.4,
            "width": 3,
            "visible": any(above) or any(below),
        },
        "marker": {
            "color": [colours.paler(colours.backend(str(row["backend"])), strength) for row in drawn],
            "line": {"color": [colours.backend(str(row["backend"])) for row in drawn], "width": 1},
        },
        "hovertext": [
            f"<b>{html.escape(str(row['format']))}</b><br>{html.escape(fill)} values<br>"
            f"{html.escape(metric.name)}: <b>{html.escape(metric.text(row))}</b>"
            for row in drawn
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get(f"{metric.column}_id"), row.get("run_id")] for row in drawn],
    }


def describe_formats(table: Sequence[Format], metric: Metric) -> str:
    """Say in words what :func:`formats` draws."""
    drawn = sorted(
        (row for row in table if _value(row, metric) is not None), key=lambda row: _value(row, metric) or 0.0
    )
    spoken = "; ".join(f"{row['format']}, {row['fill']} values: {metric.text(row)}" for row in drawn)
    return f"Bar chart of {metric.name.lower()} by format, the least first. {spoken}."
