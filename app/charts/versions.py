"""Lines: how the results of one case move from version to version."""

import html
from collections.abc import Sequence

from app import colours, rows, texts
from app.charts import base, points
from app.rows import Row

__all__ = ["describe_versions", "over_versions"]


def over_versions(
    board: Sequence[Row], theme: colours.Theme, *, logarithmic: bool = False
) -> base.Figure | None:
    """Return one line a series over versions, for rows of one case that have a ``version``; None where there is none.

    Rows come with the oldest version first.
    """
    drawn = [row for row in board if rows.is_speed(row)]
    if not drawn:
        return None
    unit = str(drawn[0].get("unit"))
    scale, axis_title = 1.0, unit
    if unit == "s":
        scale, symbol = texts.time_scale(max(rows.value(row) or 0.0 for row in drawn))
        axis_title = f"{symbol}, less is better"
    versions = list(dict.fromkeys(html.escape(str(row["version"])) for row in drawn))
    grouped = rows.series(drawn)
    counts = sorted({threads for *_, threads in grouped}, reverse=True)
    value_axis = base.axis(
        theme, title=base.title(axis_title, theme), rangemode="tozero", exponentformat="none"
    )
    if logarithmic:
        value_axis |= base.logarithmic((rows.value(row) or 0.0) / scale for row in drawn)
    return {
        "data": [
            points.line(
                name,
                members,
                [html.escape(str(row["version"])) for row in members],
                scale,
                1.0 if key[-1] == counts[0] else 0.55,
            )
            for key, (name, members) in grouped.items()
        ],
        "layout": base.layout(
            theme,
            400,
            f"backend · variant{', paler with fewer threads' if len(counts) > 1 else ''}",
            showlegend=True,
            xaxis=base.axis(
                theme,
                type="category",
                categoryorder="array",
                categoryarray=versions,
                range=[-0.4, len(versions) - 0.6],
                showgrid=False,
                tickfont={"color": theme.ink, "size": base.FONT_SIZE},
            ),
            yaxis=value_axis,
        ),
    }


def describe_versions(case: str, program: str, board: Sequence[Row]) -> str:
    """Say in words what :func:`over_versions` draws."""
    spoken = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{row['version']} "
            + (
                texts.time(row.get("time_ns"))
                if row.get("unit") == "s"
                else texts.rate(row.get("rate"), row.get("unit"))
            )
            for row in members
        )
        for name, members in rows.series([row for row in board if rows.is_speed(row)]).values()
    )
    return f"{case} over versions of {program}. {spoken}."
