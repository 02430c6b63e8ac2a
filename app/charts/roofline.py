"""Roofline: every result between the two limits of its machine, arithmetic and memory, both as measured there.

Intensity is work per byte of compulsory traffic: what the case must read and write at least.  For cases that are
counted in elements, an element counts as one operation; their marks are open.
"""

import html
from collections.abc import Sequence
from typing import Any

from app import colours, rows, texts
from app.charts import base
from app.rows import Row

__all__ = ["describe_roofline", "place", "roofline"]


def place(row: Row) -> tuple[float, float] | None:
    """Return intensity (operations a byte) and rate (10⁹ operations a second) of a row, None where it has none."""
    time = texts.finite(row.get("time_ns"))
    work = texts.finite(row.get("flop")) or texts.finite(row.get("elements"))
    moved = texts.finite(row.get("bytes")) or texts.finite(row.get("footprint_bytes"))
    if not rows.is_speed(row) or not time or not work or not moved or min(time, work, moved) <= 0:
        return None
    return work / moved, work / time


def _roofs(ceilings: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the measured limits that are drawn: arithmetic, and memory beyond the caches, of each thread count."""
    held = [row for row in ceilings if rows.is_speed(row)]
    arithmetic = [row for row in held if str(row.get("case_id")) == "ceiling/fma"]
    copies = [row for row in held if str(row.get("case_id")).startswith("ceiling/copy-")]
    memory = []
    for threads in sorted({row.get("threads") for row in copies}, key=str):
        alike = [row for row in copies if row.get("threads") == threads]
        largest = max(texts.finite(row.get("footprint_bytes")) or 0.0 for row in alike)
        beyond = [row for row in alike if (texts.finite(row.get("footprint_bytes")) or 0.0) == largest]
        memory.append(max(beyond, key=lambda row: rows.value(row) or 0.0))
    return arithmetic, memory


def roofline(board: Sequence[Row], ceilings: Sequence[Row], theme: colours.Theme) -> base.Figure | None:
    """Return rate over intensity with the measured limits of one machine; None where no row has a place.

    ``ceilings`` are rows of the view ``latest_ceilings`` of that machine.
    """
    placed = [(row, found) for row in board if (found := place(row)) is not None]
    if not placed:
        return None
    low = min(intensity for _, (intensity, _) in placed) / 2
    high = max(intensity for _, (intensity, _) in placed) * 2
    traces = [_limit(row, low, high, theme) for roof in _roofs(ceilings) for row in roof]
    ways = {(str(row.get("backend")), str(row.get("variant"))) for row, _ in placed}
    for way in sorted(ways, key=lambda way: (colours.backend_order(way[0]), colours.variant_order(way[1]))):
        alike = [pair for pair in placed if (str(pair[0].get("backend")), str(pair[0].get("variant"))) == way]
        traces.append(_marks(*way, alike))
    return {
        "data": traces,
        "layout": base.layout(
            theme,
            480,
            "backend · variant; lines are measured limits",
            xaxis=base.axis(
                theme,
                title=base.title("operations a byte", theme),
                **base.logarithmic((low, high), margin=0),
            ),
            yaxis=base.axis(
                theme,
                title=base.title("10⁹ operations a second", theme),
                **base.logarithmic(number for trace in traces for number in trace["y"]),
            ),
        ),
    }


def _limit(row: Row, low: float, high: float, theme: colours.Theme) -> dict[str, Any]:
    rate, memory = rows.value(row) or 0.0, str(row.get("case_id")) != "ceiling/fma"
    threads = int(texts.finite(row.get("threads")) or 0)
    what = "memory" if memory else "arithmetic"
    ends = [low, high]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{what}, {threads} thread{'' if threads == 1 else 's'}",
        "x": ends,
        "y": [rate * intensity for intensity in ends] if memory else [rate, rate],
        "line": {"color": theme.muted, "width": 1.5, "dash": "solid" if threads > 1 else "dot"},
        "hovertemplate": f"{html.escape(str(row.get('case_id')))}: "
        f"{html.escape(texts.rate(rate, row.get('unit')))}<extra></extra>",
    }


def _marks(backend: str, variant: str, placed: Sequence[tuple[Row, tuple[float, float]]]) -> dict[str, Any]:
    symbols = [
        colours.stroke(variant)[1] + ("" if texts.finite(row.get("flop")) else "-open") for row, _ in placed
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": html.escape(f"{backend} · {variant}"),
        "x": [intensity for _, (intensity, _) in placed],
        "y": [rate for _, (_, rate) in placed],
        "marker": {"color": colours.backend(backend), "size": 10, "symbol": symbols, "opacity": 0.85},
        "hovertext": [
            base.hover(f"{row.get('backend')} · {row.get('variant')} · {row.get('threads')} threads", row)
            for row, _ in placed
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": [[row.get("measurement_id"), row.get("run_id")] for row, _ in placed],
    }


def describe_roofline(board: Sequence[Row], ceilings: Sequence[Row]) -> str:
    """Say in words what :func:`roofline` draws."""
    placed = [row for row in board if place(row) is not None]
    limits = "; ".join(
        f"{row.get('case_id')} with {row.get('threads')} threads {texts.rate(rows.value(row), row.get('unit'))}"
        for roof in _roofs(ceilings)
        for row in roof
    )
    best = "; ".join(base.spoken(row) for row in rows.fastest(placed))
    return f"Roofline of {len(placed)} results. Limits: {limits or 'none measured'}. Fastest of each case: {best}."
