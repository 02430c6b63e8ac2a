"""Grouped bars: the fastest result of each case on each machine, side by side."""

import html
from collections.abc import Sequence
from typing import Any

from app import colours, rows, texts
from app.charts import base, points
from app.rows import Row

__all__ = ["describe_hardware", "hardware"]

ABSOLUTE, SHARE = "absolute", "of ceiling"


def hardware(
    best: Sequence[Row], theme: colours.Theme, *, share: bool = False, logarithmic: bool = False
) -> base.Figure | None:
    """Return one group a case and one bar a machine, for rows of one unit; None where none is a speed.

    ``best`` holds the fastest row of each machine and case; with ``share``, bars are shares of the ceiling that was
    measured on the same machine.
    """
    drawn = [row for row in best if rows.is_speed(row)]
    if share:
        drawn = [row for row in drawn if texts.finite(row.get("share_of_ceiling")) is not None]
    if not drawn:
        return None
    names = list(
        dict.fromkeys(
            str(row.get("machine")) for row in sorted(drawn, key=lambda row: str(row.get("machine")))
        )
    )
    cases = sorted({str(row.get("case_id")) for row in drawn}, key=rows.case_order)
    unit = str(drawn[0].get("unit"))
    scale, axis_title = 1.0, "share of the measured ceiling" if share else unit
    if unit == "s" and not share:
        scale, symbol = texts.time_scale(max(rows.value(row) or 0.0 for row in drawn))
        axis_title = f"{symbol}, less is better"
    value_axis = base.axis(
        theme, title=base.title(axis_title, theme), rangemode="tozero", exponentformat="none"
    )
    if share:
        value_axis |= {"tickformat": ".0%"}
    if logarithmic:
        value_axis |= base.logarithmic(
            (
                float(row["share_of_ceiling"]) if share else end / scale
                for row in drawn
                for end in (*(rows.interval(row) or ()), rows.value(row) or 0.0)
            ),
            margin=0.2,
        )
    return {
        "data": [
            _bars(
                number, name, [row for row in drawn if str(row.get("machine")) == name], share, scale, theme
            )
            for number, name in enumerate(names)
        ],
        "layout": base.layout(
            theme,
            440,
            "machine",
            barmode="group",
            bargap=max(0.22, 1 - len(cases) * len(names) / 11),
            bargroupgap=0.1,
            showlegend=True,
            xaxis=base.axis(
                theme,
                type="category",
                categoryorder="array",
                categoryarray=[rows.case_label(case) for case in cases],
                showgrid=False,
                tickfont={"color": theme.ink, "size": base.FONT_SIZE},
            ),
            yaxis=value_axis,
        ),
    }


def _bars(
    number: int, name: str, drawn: Sequence[Row], share: bool, scale: float, theme: colours.Theme
) -> dict[str, Any]:
    ordered = sorted(drawn, key=lambda row: rows.case_order(str(row.get("case_id"))))
    colour = colours.of_place(number)
    return {
        "type": "bar",
        "name": html.escape(name),
        "x": [rows.case_label(str(row.get("case_id"))) for row in ordered],
        "y": [
            float(row["share_of_ceiling"]) if share else (rows.value(row) or 0.0) / scale for row in ordered
        ],
        "error_y": {"visible": False} if share else points.whiskers(ordered, scale, theme.ink),
        "marker": {"color": colour},
        "hovertext": [
            base.hover(
                f"{name}: {row.get('backend')} · {row.get('variant')} · {row.get('threads')} threads", row
            )
            for row in ordered
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get("measurement_id"), row.get("run_id")] for row in ordered],
    }


def describe_hardware(kernel: str, best: Sequence[Row]) -> str:
    """Say in words what :func:`hardware` draws."""
    drawn = [row for row in best if rows.is_speed(row)]
    spoken = "; ".join(f"{row.get('machine')}, {base.spoken(row)}" for row in drawn)
    return f"Bar chart of the fastest {kernel} of each case on each machine. {spoken}."
