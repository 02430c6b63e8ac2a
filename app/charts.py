"""Figures from rows: pure functions that return Plotly figures as plain dicts, and sentences that say what they show.

Dicts, because building them is several times faster than Plotly's classes.  Every trace names its colour.
Nothing here knows Streamlit.
"""

import html
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from app import colours, rows, texts
from app.rows import Row

__all__ = ["CONFIG", "Figure", "ceiling_shares", "describe_shares", "describe_throughput", "throughput"]

#: A figure as Plotly's JSON: ``data`` and ``layout``.
Figure = dict[str, Any]

#: Options of Plotly for every chart: nothing leaves the machine, and a picture can be kept.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "responsive": True,
    "scrollZoom": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2, "filename": "flopwatch"},
}

_FONT_SIZE = 13
#: So many bars fill the width of a chart; fewer leave room between cases rather than grow fat.
_SLOTS = 11


def _axis(theme: colours.Theme, **more: Any) -> dict[str, Any]:
    return {
        "gridcolor": theme.grid,
        "zerolinecolor": theme.grid,
        "linecolor": theme.grid,
        "tickfont": {"color": theme.muted, "size": _FONT_SIZE - 1},
        "automargin": True,
        **more,
    }


def _title(text: str, theme: colours.Theme) -> dict[str, Any]:
    return {"text": text, "font": {"color": theme.muted, "size": _FONT_SIZE}}


def _layout(theme: colours.Theme, height: int, legend: str, **more: Any) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8, "pad": 4},
        "font": {"color": theme.ink, "size": _FONT_SIZE},
        "paper_bgcolor": theme.surface,
        "plot_bgcolor": theme.surface,
        "hoverlabel": {"align": "left"},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"color": theme.ink, "size": _FONT_SIZE - 1},
            "itemsizing": "constant",
            # The title keeps a line free, in which the buttons of the chart stand.
            "title": {"text": legend, "side": "top", "font": {"color": theme.muted, "size": _FONT_SIZE - 1}},
        },
        **more,
    }


def _fill(backend: str, variant: str, theme: colours.Theme) -> dict[str, Any]:
    """Return the marker of a bar: the backend's colour in the variant's pattern."""
    colour = colours.backend(backend)
    return {
        "color": colour,
        "line": {"color": colour, "width": 1},
        "pattern": {
            "shape": colours.pattern(variant),
            "fillmode": "replace",
            "bgcolor": colour,
            "fgcolor": theme.surface,
            "fgopacity": 0.75,
            "size": 6,
            "solidity": 0.28,
        },
    }


def _hover(name: str, row: Row) -> str:
    """Return what a bar says when it is pointed at; text from results is escaped."""
    lines = [f"<b>{html.escape(str(row.get('case_id')))}</b>", html.escape(name)]
    if row.get("unit") != "s":
        rate = texts.rate(row.get("rate"), str(row.get("unit")), row.get("rate_low"), row.get("rate_high"))
        lines.append(f"<b>{html.escape(rate)}</b>")
    time = texts.time(row.get("time_ns"), row.get("low_ns"), row.get("high_ns"))
    between = texts.interval(row.get("time_ns"), row.get("low_ns"), row.get("high_ns"))
    lines.append(
        f"{time} ({between})" if between != texts.ABSENT else f"{time}, too few processes for an interval"
    )
    share = texts.share(row.get("share_of_ceiling"))
    if share != texts.ABSENT:
        lines.append(f"{share} of {html.escape(str(row.get('ceiling_case') or 'the ceiling'))}")
    return "<br>".join(lines)


def _scaled(number: float | None, scale: float) -> float | None:
    return None if number is None else number / scale


def _whiskers(drawn: Sequence[Row], scale: float, theme: colours.Theme) -> dict[str, Any]:
    """Return the error bars: from the value to the ends of its interval, none where there is no interval."""
    above: list[float] = []
    below: list[float] = []
    for row in drawn:
        middle, ends = rows.value(row) or 0.0, rows.interval(row)
        low, high = ends or (middle, middle)
        below.append((middle - low) / scale)
        above.append((high - middle) / scale)
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "color": theme.ink,
        "thickness": 1.4,
        "width": 3,
        "visible": any(above) or any(below),
    }


def _bars(number: int, name: str, drawn: Sequence[Row], scale: float, theme: colours.Theme) -> dict[str, Any]:
    first = drawn[0]
    return {
        "type": "bar",
        "name": html.escape(name),
        "offsetgroup": str(number),
        "legendgroup": str(number),
        "x": [rows.case_label(str(row.get("case_id"))) for row in drawn],
        "y": [_scaled(rows.value(row), scale) for row in drawn],
        "error_y": _whiskers(drawn, scale, theme),
        "marker": _fill(str(first.get("backend")), str(first.get("variant")), theme),
        "hovertext": [_hover(name, row) for row in drawn],
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


def _log_range(values: Iterable[float]) -> list[float]:
    """Return the exponents of a logarithmic axis, from the start of the decade below the least value."""
    found = [number for number in values if number > 0]
    return [math.floor(math.log10(min(found)) - 0.1), math.log10(max(found)) + 0.1]


def throughput(board: Iterable[Row], theme: colours.Theme, *, logarithmic: bool = False) -> Figure | None:
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
    value_axis = _axis(theme, title=_title(axis_title, theme), rangemode="tozero", exponentformat="none")
    foot = 0.0
    if logarithmic:
        limits = [(rows.value(row) or 0.0) / scale for row in drawn]
        limits += [rows.ceiling_rate(row) or 0.0 for row in drawn]
        value_axis |= {"type": "log", "range": _log_range(limits), "dtick": "D2"}
        foot = 10.0 ** value_axis["range"][0]
    labels = list(dict.fromkeys(rows.case_label(str(row.get("case_id"))) for row in held))
    traces = _series_traces(held, scale, foot, theme)
    slots = len(labels) * len({trace["offsetgroup"] for trace in traces})
    gap = max(0.22, 1 - slots / _SLOTS)
    case_axis = _axis(
        theme,
        type="category",
        categoryorder="array",
        categoryarray=labels,
        range=[-0.5, len(labels) - 0.5],
        showgrid=False,
        tickfont={"color": theme.ink, "size": _FONT_SIZE},
    )
    return {
        "data": traces,
        "layout": _layout(
            theme,
            440,
            "backend · variant",
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
    held: Sequence[Row], scale: float, foot: float, theme: colours.Theme
) -> list[dict[str, Any]]:
    """Return the traces of all series; ``foot`` is where the value axis begins."""
    traces: list[dict[str, Any]] = []
    explained: set[str] = set()
    for number, (name, members) in enumerate(rows.series(held).values()):
        speeds = [row for row in members if rows.is_speed(row)]
        others = [row for row in members if not rows.is_speed(row)]
        limited = [row for row in speeds if rows.ceiling_rate(row) is not None]
        if limited:
            traces.append(_ceiling_bars(number, limited, "ceiling" not in explained, theme))
            explained.add("ceiling")
        if speeds:
            traces.append(_bars(number, name, speeds, scale, theme))
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


def ceiling_shares(best: Sequence[Row], theme: colours.Theme) -> Figure | None:
    """Return one bar for each case: the share of the ceiling that its fastest result reaches.

    ``best`` holds one row a case, in the order from top to bottom; rows without a measured ceiling are left
    out.  None where none is left.
    """
    drawn = [
        row for row in best if rows.is_speed(row) and texts.finite(row.get("share_of_ceiling")) is not None
    ]
    if not drawn:
        return None
    backends = sorted({str(row.get("backend")) for row in drawn}, key=colours.backend_order)
    longest = max(100.0, *(100 * float(row["share_of_ceiling"]) for row in drawn))
    share_axis = _axis(theme, title=_title("share of the measured ceiling", theme), rangemode="tozero")
    share_axis |= {"range": [0, 1.1 * longest], "tickvals": [0, 25, 50, 75, 100]}
    share_axis["ticktext"] = ["0", "25%", "50%", "75%", "100%"]
    cases = [html.escape(str(row.get("case_id"))) for row in drawn]
    return {
        "data": [
            _share_bars(backend, [row for row in drawn if str(row.get("backend")) == backend], theme)
            for backend in backends
        ],
        "layout": _layout(
            theme,
            120 + 28 * len(drawn),
            "backend",
            barmode="overlay",
            bargap=0.35,
            showlegend=True,
            xaxis=share_axis,
            yaxis=_axis(
                theme,
                type="category",
                categoryorder="array",
                categoryarray=cases,
                autorange="reversed",
                showgrid=False,
                tickfont={"color": theme.ink, "size": _FONT_SIZE},
            ),
        ),
    }


def _share_bars(backend: str, drawn: Sequence[Row], theme: colours.Theme) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": html.escape(backend),
        "y": [html.escape(str(row.get("case_id"))) for row in drawn],
        "x": [100 * float(row["share_of_ceiling"]) for row in drawn],
        "marker": {"color": colours.backend(backend)},
        "text": [texts.share(row["share_of_ceiling"]) for row in drawn],
        "textposition": "outside",
        "textfont": {"color": theme.ink, "size": _FONT_SIZE},
        "cliponaxis": False,
        "hovertext": [_hover(f"{row.get('backend')} · {row.get('variant')}", row) for row in drawn],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get("measurement_id"), row.get("run_id")] for row in drawn],
    }


def _spoken(row: Row) -> str:
    speed = (
        texts.rate(row.get("rate"), row.get("unit"))
        if row.get("unit") != "s"
        else texts.time(row.get("time_ns"))
    )
    share = texts.share(row.get("share_of_ceiling"))
    reached = f", {share} of the measured ceiling" if share != texts.ABSENT else ""
    return f"{row.get('case_id')}: {row.get('backend')} {row.get('variant')}, {speed}{reached}"


def describe_throughput(kernel: str, board: Sequence[Row]) -> str:
    """Say in words what :func:`throughput` draws: the fastest result of each case."""
    best = "; ".join(_spoken(row) for row in rows.fastest(board))
    return (
        f"Bar chart of {kernel} by case, backend and variant, with intervals. Fastest of each case: {best}."
    )


def describe_shares(best: Sequence[Row]) -> str:
    """Say in words what :func:`ceiling_shares` draws."""
    spoken = "; ".join(_spoken(row) for row in best)
    return f"Bar chart of the share of the measured ceiling that the fastest result of each case reaches. {spoken}."
