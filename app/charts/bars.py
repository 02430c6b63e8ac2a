"""Grouped bars: the results of one kernel by case, backend and variant."""

import html
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from app import colours, rows, texts
from app.charts import base, points
from app.rows import Row

__all__ = ["describe_throughput", "throughput"]

#: So many bars fill the width of a chart; fewer leave room between cases rather than grow fat.
_SLOTS = 11


def _fill(backend: str, variant: str, strength: float, theme: colours.Theme) -> dict[str, Any]:
    """Return the marker of a bar: the backend's colour, so strong, in the variant's pattern."""
    colour = colours.backend(backend)
    inside = colours.paler(colour, strength)
    return {
        "color": inside,
        "line": {"color": colour, "width": 1},
        "pattern": {
            "shape": colours.pattern(variant),
            "fillmode": "replace",
            "bgcolor": inside,
            "fgcolor": theme.surface if strength == 1 else colour,
            "fgopacity": 0.75,
            "size": 6,
            "solidity": 0.28,
        },
    }


def _strengths(keys: Iterable[rows.Series]) -> dict[int, float]:
    """Return how strong the colour of each number of threads is: the most have it in full."""
    counts = sorted({threads for *_, threads in keys}, reverse=True)
    return {threads: 1.0 if not rank else max(0.25, 0.65 / rank) for rank, threads in enumerate(counts)}


def _scaled(number: float | None, scale: float) -> float | None:
    return None if number is None else number / scale


def _bars(
    number: int, name: str, drawn: Sequence[Row], strength: float, scale: float, theme: colours.Theme
) -> dict[str, Any]:
    first = drawn[0]
    return {
        "type": "bar",
        "name": html.escape(name),
        "offsetgroup": str(number),
        "legendgroup": str(number),
        "x": [rows.case_label(str(row.get("case_id"))) for row in drawn],
        "y": [_scaled(rows.value(row), scale) for row in drawn],
        "error_y": points.whiskers(drawn, scale, theme.ink, 1.4),
        "marker": _fill(str(first.get("backend")), str(first.get("variant")), strength, theme),
        "hovertext": [base.hover(name, row) for row in drawn],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get("measurement_id"), row.get("run_id")] for row in drawn],
    }


def _ceiling_bars(number: int, drawn: Sequence[Row], legend: bool, theme: colours.Theme) -> dict[str, Any]:
    """Return the measured ceiling behind the bars of one series: the height that they could reach."""
    return {
        "type": "bar",
        "name": "measured ceiling",
        "legendgroup": "ceiling",
        "legendrank": 2000,
        "showlegend": legend,
        "offsetgroup": str(number),
        "x": [rows.case_label(str(row.get("case_id"))) for row in drawn],
        "y": [rows.ceiling_rate(row) for row in drawn],
        "marker": {"color": theme.fill, "line": {"color": theme.outline, "width": 1}},
        "hoverinfo": "skip",
    }


def _rim(theme: colours.Theme) -> dict[str, Any]:
    """Return the marker of a ceiling that is drawn in front, because its bar is higher."""
    return {"color": "rgba(0,0,0,0)", "line": {"color": theme.ink, "width": 1.5}}


def throughput(
    board: Iterable[Row], theme: colours.Theme, *, logarithmic: bool = False
) -> base.Figure | None:
    """Return grouped bars for the rows of one kernel and unit, or None where no row is a speed.

    Case by series (backend, variant); whiskers are intervals; behind each bar stands the ceiling that was
    measured for it, in the unit of the chart.  A cross on the axis marks a result that is no speed.  Where the
    unit is seconds the bars are times.
    """
    held = sorted(board, key=lambda row: rows.case_order(str(row.get("case_id"))))
    drawn = [row for row in held if rows.is_speed(row)]
    if not drawn:
        return None
    unit = str(drawn[0].get("unit"))
    scale, axis_title = 1.0, unit
    if unit == "s":
        scale, symbol = texts.time_scale(max(rows.value(row) or 0.0 for row in drawn))
        axis_title = f"{symbol}, less is better"
    value_axis = base.axis(
        theme, title=base.title(axis_title, theme), rangemode="tozero", exponentformat="none"
    )
    foot = 0.0
    if logarithmic:
        limits = [
            end / scale for row in drawn for end in (*(rows.interval(row) or ()), rows.value(row) or 0.0)
        ]
        limits += [rows.ceiling_rate(row) or 0.0 for row in drawn]
        value_axis |= base.logarithmic(limits, margin=0.1)
        foot = 10.0 ** value_axis["range"][0]
    labels = list(dict.fromkeys(rows.case_label(str(row.get("case_id"))) for row in held))
    grouped = rows.series(held)
    strengths = _strengths(grouped)
    traces = _series_traces(grouped, strengths, scale, foot, theme)
    slots = len(labels) * len({trace["offsetgroup"] for trace in traces})
    gap = max(0.22, 1 - slots / _SLOTS)
    case_axis = base.axis(
        theme,
        type="category",
        categoryorder="array",
        categoryarray=labels,
        range=[-0.5, len(labels) - 0.5],
        showgrid=False,
        tickfont={"color": theme.ink, "size": base.FONT_SIZE},
    )
    return {
        "data": traces,
        "layout": base.layout(
            theme,
            440,
            f"backend · variant{', paler with fewer threads' if len(strengths) > 1 else ''}",
            barmode="group",
            scattermode="group",
            bargap=gap,
            scattergap=gap,
            bargroupgap=0.12,
            xaxis=case_axis,
            yaxis=value_axis,
        ),
    }


def _series_traces(
    grouped: dict[rows.Series, tuple[str, list[Row]]],
    strengths: dict[int, float],
    scale: float,
    foot: float,
    theme: colours.Theme,
) -> list[dict[str, Any]]:
    """Return the traces of all series; ``foot`` is where the value axis begins."""
    traces: list[dict[str, Any]] = []
    explained: set[str] = set()
    for number, (key, (name, members)) in enumerate(grouped.items()):
        speeds = [row for row in members if rows.is_speed(row)]
        others = [row for row in members if not rows.is_speed(row)]
        limited = [row for row in speeds if rows.ceiling_rate(row) is not None]
        surpassed = [row for row in limited if (rows.ceiling_rate(row) or 0.0) < (rows.value(row) or 0.0)]
        if limited:
            traces.append(_ceiling_bars(number, limited, "ceiling" not in explained, theme))
            explained.add("ceiling")
        if speeds:
            traces.append(_bars(number, name, speeds, strengths[key[-1]], scale, theme))
        if surpassed:
            traces.append(_ceiling_bars(number, surpassed, False, theme) | {"marker": _rim(theme)})
        if others:
            traces.append(_crosses(number, name, others, foot, "cross" not in explained, theme))
            explained.add("cross")
    return traces


def _crosses(
    number: int, name: str, others: Sequence[Row], foot: float, legend: bool, theme: colours.Theme
) -> dict[str, Any]:
    """Return the marks of results that are no speed; they stand on the axis and say why, never how fast."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "no speed: wrong or failed",
        "legendgroup": "cross",
        "legendrank": 3000,
        "showlegend": legend,
        "offsetgroup": str(number),
        "x": [rows.case_label(str(row.get("case_id"))) for row in others],
        "y": [foot] * len(others),
        "cliponaxis": False,
        "marker": {"symbol": "x", "size": 9, "color": theme.alarm, "line": {"width": 0}},
        "hovertext": [_why(name, row) for row in others],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get("measurement_id"), row.get("run_id")] for row in others],
    }


def _why(name: str, row: Row) -> str:
    """Return what a cross says when it is pointed at."""
    case, status = html.escape(str(row.get("case_id"))), html.escape(str(row.get("status")))
    reason = "<br>".join(textwrap.wrap(html.escape(str(row.get("reason") or "no reason was given")), 70))
    return f"<b>{case}</b><br>{html.escape(name)}<br><b>{status}</b>: {reason}"


def describe_throughput(kernel: str, board: Sequence[Row]) -> str:
    """Say in words what :func:`throughput` draws: the fastest result of each case."""
    best = "; ".join(base.spoken(row) for row in rows.fastest(board))
    return (
        f"Bar chart of {kernel} by case, backend and variant, with intervals. Fastest of each case: {best}."
    )
