"""Heatmap: how much faster each series is than the baseline, case by case."""

import html
import math
from collections.abc import Sequence

from app import colours, rows, texts
from app.charts import base
from app.rows import Row
from data.words import Verdict

__all__ = ["describe_speedups", "speedups"]

#: The colours are full from this factor on, faster or slower.
_FULL = 16.0
_MARKS = {str(Verdict.SAME): "≈ ", str(Verdict.INCONCLUSIVE): "? "}


def _cell(row: Row) -> str:
    """Return the factor as it stands in its cell, marked where it is not known to differ from 1."""
    mark = _MARKS.get(str(row.get("verdict")), "")
    return f"{mark}{texts.ratio(row.get('speedup'))}"


def _hover(row: Row) -> str:
    between = texts.ratio_interval(row.get("speedup"), row.get("speedup_low"), row.get("speedup_high"))
    return "<br>".join(
        (
            f"<b>{html.escape(str(row.get('case_id')))}</b>",
            html.escape(str(row.get("series"))),
            f"<b>{_cell(row)}</b> {html.escape(str(row.get('verdict')))}",
            f"interval {between}" if between != texts.ABSENT else "no interval: too few processes",
            f"compared in the {html.escape(str(row.get('pairing')))}",
        )
    )


def speedups(
    found: Sequence[Row], theme: colours.Theme, *, names: Sequence[str] = (), full: float = _FULL
) -> base.Figure | None:
    """Return cases by series, coloured by the logarithm of the speedup; None where there is nothing to compare.

    ``found`` is what :func:`app.speedups.against` returns.  A cell without a result is empty.  ``names`` gives the
    order of the columns (default: that of backends and variants); colours are full from the factor ``full`` on.
    """
    drawn = [row for row in found if (texts.finite(row.get("speedup")) or 0.0) > 0]
    if not drawn:
        return None
    held = dict.fromkeys(str(row.get("series")) for row in sorted(drawn, key=_series_order))
    names = [name for name in names if name in held] or list(held)
    cases = list(dict.fromkeys(str(row.get("case_id")) for row in drawn))
    cells = {(str(row.get("case_id")), str(row.get("series"))): row for row in drawn}
    grid = [[cells.get((case, name)) for name in names] for case in cases]
    trace = {
        "type": "heatmap",
        "x": [html.escape(name).replace(" · ", "<br>") for name in names],
        "y": [html.escape(rows.case_label(case)) for case in cases],
        "z": [[None if row is None else math.log2(float(row["speedup"])) for row in line] for line in grid],
        "text": [["" if row is None else _cell(row) for row in line] for line in grid],
        "hovertext": [["" if row is None else _hover(row) for row in line] for line in grid],
        "texttemplate": "%{text}",
        "textfont": {"color": theme.ink, "size": base.FONT_SIZE},
        "hovertemplate": "%{hovertext}<extra></extra>",
        "hoverongaps": False,
        "colorscale": [[0, theme.slower], [0.5, theme.surface], [1, theme.faster]],
        "zmin": -math.log2(full),
        "zmax": math.log2(full),
        "xgap": 3,
        "ygap": 3,
        "showscale": False,
    }
    plain = {"showgrid": False, "tickfont": {"color": theme.ink, "size": base.FONT_SIZE - 1}, "ticks": ""}
    return {
        "data": [trace],
        "layout": base.layout(
            theme,
            130 + (46 if len(cases) <= 8 else 30) * len(cases),
            "",
            xaxis=base.axis(theme, type="category", side="top", tickangle=0, **plain),
            yaxis=base.axis(theme, type="category", autorange="reversed", **plain),
        ),
    }


def _series_order(row: Row) -> tuple[tuple[int, str], tuple[int, str], float]:
    threads = texts.finite(row.get("threads")) or 0.0
    return (
        colours.backend_order(str(row.get("backend"))),
        colours.variant_order(str(row.get("variant"))),
        threads,
    )


def describe_speedups(found: Sequence[Row], baseline: str) -> str:
    """Say in words what :func:`speedups` draws: the largest factor of each case."""
    best: dict[str, Row] = {}
    for row in found:
        case, factor = str(row.get("case_id")), texts.finite(row.get("speedup")) or 0.0
        if factor > (texts.finite(best.get(case, {}).get("speedup")) or 0.0):
            best[case] = row
    spoken = "; ".join(f"{case}: {row['series']} {texts.ratio(row['speedup'])}" for case, row in best.items())
    return f"Speedup over {baseline} by case and series. Largest of each case: {spoken}."
