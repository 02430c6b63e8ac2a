"""One series over time: every point with its interval, what changed, and what was going on at the time."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app import colours, rows, texts
from app.charts import base, points
from app.rows import Row

__all__ = ["Context", "describe_history", "history"]

#: Moments within this are shown on an axis of an hour, which would else count in microseconds.
_ONE_MOMENT = timedelta(minutes=1)
_AROUND = timedelta(minutes=30)


@dataclass(frozen=True)
class Context:
    """What is drawn behind the points of a series.

    ``changes`` have ``at``, ``verdict`` and ``text``; ``steps`` (of versions and drivers) and ``notes`` have ``at`` and
    ``text``; ``band`` is the lowest and highest time in ns that noise alone explains since ``settled``, the
    last change.
    """

    changes: Sequence[Row] = field(default=())
    steps: Sequence[Row] = field(default=())
    notes: Sequence[Row] = field(default=())
    band: tuple[float, float] | None = None
    settled: Any = None


def _moment(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _value(row: Row) -> float:
    return texts.finite(row.get("time_ns")) or 0.0


def history(
    series: Sequence[Row],
    name: str,
    theme: colours.Theme,
    context: Context = Context(),
    *,
    logarithmic: bool = False,
) -> base.Figure | None:
    """Return the time of one call over the moments at which it was measured; None where it was never ok.

    A point carries its measurement and run, so that a click can open them.
    """
    drawn = [row for row in series if rows.is_speed(row) and _value(row) > 0]
    if not drawn:
        return None
    scale, unit = texts.time_scale(sorted(map(_value, drawn))[len(drawn) // 2])
    # Times are drawn whatever the unit of the case, because the changes are judged in time.
    timed: list[Row] = [{**row, "unit": "s"} for row in drawn]
    moments = [_moment(row.get("started")) for row in drawn]
    trace = points.line(name, timed, moments, scale, hover=_hover)
    trace["line"] |= {"width": 1}
    shapes, labels = _behind(context, drawn, scale, theme)
    return {
        "data": [trace, *_notes(context.notes, scale, drawn, theme)],
        "layout": base.layout(
            theme,
            420,
            "",
            showlegend=False,
            margin={"l": 8, "r": 8, "t": 56, "b": 8, "pad": 4},
            shapes=shapes,
            annotations=labels,
            xaxis=base.axis(theme, type="date", showgrid=False, **_span(drawn)),
            yaxis=base.axis(
                theme,
                title=base.title(f"{unit} a call, less is better", theme),
                exponentformat="none",
                **({"type": "log"} if logarithmic else {}),
            ),
        ),
    }


def _span(drawn: Sequence[Row]) -> dict[str, Any]:
    """Return the range of the axis of time where there is one moment only."""
    moments = [row["started"] for row in drawn if isinstance(row.get("started"), datetime)]
    if not moments or max(moments) - min(moments) >= _ONE_MOMENT:
        return {}
    return {"range": [_moment(min(moments) - _AROUND), _moment(max(moments) + _AROUND)]}


def _hover(name: str, row: Row) -> str:
    where = [
        row.get("run_id") and f"run {str(row['run_id'])[-12:]}",
        row.get("flopwatch_commit") and f"flopwatch {str(row['flopwatch_commit'])[:8]}",
    ]
    return "<br>".join(
        [
            base.hover(name, row),
            html.escape(texts.moment(row.get("started"))),
            *(html.escape(str(word)) for word in where if word),
        ]
    )


def _behind(
    context: Context, drawn: Sequence[Row], scale: float, theme: colours.Theme
) -> tuple[list[Any], list[Any]]:
    """Return shapes and their labels: the noise band, steps of versions, change points."""
    shapes: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    if context.band is not None:
        low, high = (end / scale for end in context.band)
        shapes.append(
            {
                "type": "rect",
                "x0": _moment(context.settled or drawn[0].get("started")),
                "x1": _moment(drawn[-1].get("started")),
                "y0": low,
                "y1": high,
                "fillcolor": theme.fill,
                "line": {"width": 0},
                "layer": "below",
            }
        )
    for rank, step in enumerate(context.steps):
        shapes.append(_upright(step, theme.muted, "dot"))
        labels.append(_label(step, theme.muted, 1.0 + 0.055 * (rank % 2)))
    for change in context.changes:
        colour = theme.alarm if change.get("verdict") == "slower" else theme.good
        shapes.append(_upright(change, colour, "solid"))
        labels.append(_label(change, colour, 1.11 if context.steps else 1.0))
    return shapes, labels


def _upright(row: Row, colour: str, dash: str) -> dict[str, Any]:
    at = _moment(row.get("at"))
    return {
        "type": "line",
        "x0": at,
        "x1": at,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": colour, "width": 1.5, "dash": dash},
        "layer": "below",
    }


def _label(row: Row, colour: str, height: float) -> dict[str, Any]:
    return {
        "x": _moment(row.get("at")),
        "y": height,
        "yref": "paper",
        "yanchor": "bottom",
        "xanchor": "left",
        "showarrow": False,
        "text": html.escape(textwrap.shorten(str(row.get("text")), 34, placeholder="…")),
        "hovertext": html.escape(str(row.get("text"))),
        "font": {"color": colour, "size": base.FONT_SIZE - 2},
    }


def _notes(
    notes: Sequence[Row], scale: float, drawn: Sequence[Row], theme: colours.Theme
) -> list[dict[str, Any]]:
    """Return people's annotations as marks on the floor of the chart."""
    if not notes:
        return []
    floor = min(texts.finite(row.get("low_ns")) or _value(row) for row in drawn) / scale
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "annotation",
            "x": [_moment(note.get("at")) for note in notes],
            "y": [floor] * len(notes),
            "marker": {"symbol": "star", "size": 12, "color": theme.ink},
            "hovertext": [
                "<br>".join(textwrap.wrap(html.escape(str(note.get("text"))), 70)) for note in notes
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    ]


def describe_history(series: Sequence[Row], name: str, context: Context = Context()) -> str:
    """Say in words what :func:`history` draws."""
    drawn = [row for row in series if rows.is_speed(row)]
    newest = drawn[-1] if drawn else {}
    changed = "; ".join(f"{texts.moment(row.get('at'))}: {row.get('text')}" for row in context.changes)
    return (
        f"{name} over time, {len(drawn)} points; the newest takes {texts.time(newest.get('time_ns'))}. "
        f"Changes: {changed or 'none'}."
    )
