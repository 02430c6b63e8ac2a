"""Horizontal bars: how much of the measured ceiling the fastest result of each case reaches."""

import html
from collections.abc import Sequence
from typing import Any

from app import colours, rows, texts
from app.charts import base
from app.rows import Row

__all__ = ["ceiling_shares", "describe_shares"]


def ceiling_shares(best: Sequence[Row], theme: colours.Theme) -> base.Figure | None:
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
    share_axis = base.axis(
        theme, title=base.title("share of the measured ceiling", theme), rangemode="tozero"
    )
    share_axis |= {"range": [0, 1.02 * longest], "tickvals": [0, 25, 50, 75, 100]}
    share_axis["ticktext"] = ["0", "25%", "50%", "75%", "100%"]
    cases = [html.escape(str(row.get("case_id"))) for row in drawn]
    return {
        "data": [
            _share_bars(backend, [row for row in drawn if str(row.get("backend")) == backend], theme)
            for backend in backends
        ],
        "layout": base.layout(
            theme,
            120 + 28 * len(drawn),
            "backend",
            barmode="overlay",
            # Space for the figure at the end of the longest bar, on a narrow screen, too.
            margin={"l": 8, "r": 48, "t": 8, "b": 8, "pad": 4},
            bargap=0.35,
            showlegend=True,
            xaxis=share_axis,
            yaxis=base.axis(
                theme,
                type="category",
                categoryorder="array",
                categoryarray=cases,
                autorange="reversed",
                showgrid=False,
                tickfont={"color": theme.ink, "size": base.FONT_SIZE},
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
        "textfont": {"color": theme.ink, "size": base.FONT_SIZE},
        "cliponaxis": False,
        "hovertext": [base.hover(f"{row.get('backend')} · {row.get('variant')}", row) for row in drawn],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get("measurement_id"), row.get("run_id")] for row in drawn],
    }


def describe_shares(best: Sequence[Row]) -> str:
    """Say in words what :func:`ceiling_shares` draws."""
    spoken = "; ".join(base.spoken(row) for row in best)
    return f"Bar chart of the share of the measured ceiling that the fastest result of each case reaches. {spoken}."
