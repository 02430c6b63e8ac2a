"""Raw samples: every timing of one measurement, process by process, and how the timings are distributed."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from app import colours, texts
from app.charts import base
from app.charts.points import SVG_POINTS
from app.rows import Row

__all__ = ["describe_samples", "samples"]

#: One timing: position of its process on the axis, ns per call, whether it is clean.
Point = tuple[float, float, bool]


def _points(position: int, process: Row) -> list[Point]:
    """Return the samples of one process, spread over the width of its place in the order of time."""
    times, marks = process.get("time_ns") or [], process.get("clean") or []
    batch = texts.finite(process.get("batch")) or 1.0
    points: list[Point] = []
    for index, time in enumerate(times):
        number = texts.finite(time)
        if number is not None and number > 0:
            place = position + 0.7 * ((index + 0.5) / len(times) - 0.5)
            points.append((place, number / batch, bool(marks[index]) if index < len(marks) else True))
    return points


def _cloud(
    name: str, points: Sequence[Point], colour: str, symbol: str, scale: float, fast: bool
) -> dict[str, Any]:
    return {
        "type": "scattergl" if fast else "scatter",
        "mode": "markers",
        "name": name,
        "x": [place for place, _, _ in points],
        "y": [time / scale for _, time, _ in points],
        "marker": {"color": colour, "size": 5, "opacity": 0.7, "symbol": symbol},
        "hovertemplate": "%{y}<extra></extra>",
    }


def samples(
    processes: Iterable[Row], measurement: Row, theme: colours.Theme, *, logarithmic: bool = False
) -> base.Figure | None:
    """Return every sample of a measurement, or None where there is none.

    Left: ns per call by process, in the order in which they were taken; the line is the estimate and the band its
    interval.  Right: how the clean samples are distributed.
    """
    held = list(processes)
    points = [point for position, process in enumerate(held) for point in _points(position, process)]
    if not points:
        return None
    scale, unit = texts.time_scale(sorted(time for _, time, _ in points)[len(points) // 2])
    clean = [point for point in points if point[2]]
    disturbed = [point for point in points if not point[2]]
    colour, fast = colours.backend(str(measurement.get("backend"))), len(points) > SVG_POINTS
    traces = [_cloud("clean sample", clean, colour, "circle", scale, fast)] if clean else []
    if disturbed:
        traces.append(_cloud("disturbed sample", disturbed, theme.muted, "x-thin-open", scale, fast))
    traces.append(_distribution([time / scale for _, time, _ in clean or points], colour))
    names = [html.escape(str(process.get("process"))) for process in held]
    time_axis = base.axis(theme, title=base.title(f"{unit} a call", theme), exponentformat="none")
    process_axis = base.axis(
        theme,
        title=base.title("process", theme),
        domain=[0, 0.84],
        showgrid=False,
        tickvals=list(range(len(held))),
        ticktext=names,
        range=[-0.6, len(held) - 0.4],
    )
    share_axis = base.axis(theme, domain=[0.86, 1], showgrid=False, showticklabels=False)
    return {
        "data": traces,
        "layout": base.layout(
            theme,
            420,
            "one mark a sample",
            xaxis=process_axis,
            xaxis2=share_axis,
            yaxis=time_axis | ({"type": "log"} if logarithmic else {}),
            shapes=_estimate(measurement, scale, theme),
            bargap=0.05,
        ),
    }


def _distribution(times: Sequence[float], colour: str) -> dict[str, Any]:
    return {
        "type": "histogram",
        "name": "distribution of clean samples",
        "y": list(times),
        "nbinsy": 40,
        "xaxis": "x2",
        "marker": {"color": colour},
        "opacity": 0.6,
        "showlegend": False,
        "hovertemplate": "%{x} samples at %{y}<extra></extra>",
    }


def _estimate(measurement: Row, scale: float, theme: colours.Theme) -> list[dict[str, Any]]:
    """Return the line of the estimate and the band of its interval, as far as there are any."""
    across = {"xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    time, low, high = (texts.finite(measurement.get(name)) for name in ("time_ns", "low_ns", "high_ns"))
    shapes: list[dict[str, Any]] = []
    if low is not None and high is not None:
        band = {
            "type": "rect",
            "y0": low / scale,
            "y1": high / scale,
            "fillcolor": theme.fill,
            "line": {"width": 0},
        }
        shapes.append(across | band)
    if time is not None:
        line = {
            "type": "line",
            "y0": time / scale,
            "y1": time / scale,
            "line": {"color": theme.ink, "width": 1},
        }
        shapes.append(across | line)
    return shapes


def describe_samples(processes: Sequence[Row], measurement: Row) -> str:
    """Say in words what :func:`samples` draws."""
    count = sum(len(process.get("time_ns") or []) for process in processes)
    return (
        f"{count} samples in {len(processes)} processes of {measurement.get('case_id')}, "
        f"{measurement.get('backend')} {measurement.get('variant')}; the estimate is "
        f"{texts.time(measurement.get('time_ns'), measurement.get('low_ns'), measurement.get('high_ns'))}."
    )
