"""What all figures share: axes, layout, and the words for one result."""

import html
import math
from collections.abc import Iterable
from typing import Any

from app import colours, texts
from app.rows import Row

__all__ = ["CONFIG", "FONT_SIZE", "Figure", "axis", "hover", "layout", "logarithmic", "spoken", "title"]

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

FONT_SIZE = 13


def axis(theme: colours.Theme, **more: Any) -> dict[str, Any]:
    """Return an axis in the colours of the theme."""
    return {
        "gridcolor": theme.grid,
        "zerolinecolor": theme.grid,
        "linecolor": theme.grid,
        "tickfont": {"color": theme.muted, "size": FONT_SIZE - 1},
        "automargin": True,
        **more,
    }


def logarithmic(values: Iterable[float], *, margin: float = 0.06) -> dict[str, Any]:
    """Return what makes an axis over ``values`` logarithmic: its range, and ticks that read as whole numbers.

    Over one or two decades ticks stand at 1, 2 and 5, over more at the powers of ten.
    """
    found = [value for value in values if value > 0 and math.isfinite(value)] or [1.0, 10.0]
    low, high = math.log10(min(found)), math.log10(max(found))
    space = max(margin, margin * (high - low))
    low, high = low - space, high + space
    steps = (1,) if high - low > 3 else (1, 2, 5)
    ticks = [
        step * 10.0**decade
        for decade in range(math.floor(low), math.ceil(high) + 1)
        for step in steps
        if low <= math.log10(step) + decade <= high
    ]
    return {
        "type": "log",
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [f"{tick:,.10g}" for tick in ticks],
    }


def title(text: str, theme: colours.Theme) -> dict[str, Any]:
    """Return the title of an axis."""
    return {"text": text, "font": {"color": theme.muted, "size": FONT_SIZE}}


def layout(theme: colours.Theme, height: int, legend: str, **more: Any) -> dict[str, Any]:
    """Return the layout of a figure so many pixels high; ``legend`` says what its entries name."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8, "pad": 4},
        "font": {"color": theme.ink, "size": FONT_SIZE},
        "paper_bgcolor": theme.surface,
        "plot_bgcolor": theme.surface,
        "hoverlabel": {"align": "left"},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"color": theme.ink, "size": FONT_SIZE - 1},
            "itemsizing": "constant",
            # The title keeps a line free, in which the buttons of the chart stand.
            "title": {"text": legend, "side": "top", "font": {"color": theme.muted, "size": FONT_SIZE - 1}},
        },
        **more,
    }


def hover(name: str, row: Row) -> str:
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


def spoken(row: Row) -> str:
    """Say one result in words."""
    speed = (
        texts.rate(row.get("rate"), row.get("unit"))
        if row.get("unit") != "s"
        else texts.time(row.get("time_ns"))
    )
    share = texts.share(row.get("share_of_ceiling"))
    reached = f", {share} of the measured ceiling" if share != texts.ABSENT else ""
    return f"{row.get('case_id')}: {row.get('backend')} {row.get('variant')}, {speed}{reached}"
