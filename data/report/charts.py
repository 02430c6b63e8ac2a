"""Pictures of a report as SVG: the same bytes for the same data, drawn without a browser.

Matplotlib is imported when the first one is drawn.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from data.errors import BadInput
from data.report.context import Context, Row
from data.report.model import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["elementwise", "matmul", "serialization", "shares"]

#: Okabe and Ito's colours, which people with any colour vision can tell apart (jfly.uni-koeln.de/color).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c8c00")
_MARKERS = "osD^vPX<"
_STYLE: Any = {
    "svg.hashsalt": "flopwatch",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
_PUBLISHED: Any = {
    "marker": "*",
    "s": 90,
    "facecolors": "none",
    "edgecolors": "#444444",
    "label": "published (another machine)",
}


@contextmanager
def _axes(size: tuple[float, float], write: Callable[[str], None]) -> Iterator["Axes"]:
    """Lend axes to draw on; what was drawn is written as SVG text."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise BadInput(
            "charts need matplotlib: install flopwatch with its extra app, or give --no-charts"
        ) from None
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        yield figure.add_subplot()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    write(text[text.index("<svg") :])


def _chart(
    context: Context, name: str, title: str, size: tuple[float, float], draw: Callable[["Axes"], None]
) -> list[Chart]:
    if not context.draw:
        return []
    written: list[str] = []
    with _axes(size, written.append) as axes:
        draw(axes)
        axes.set_title(title, loc="left", fontsize=10)
    return [Chart(f"{context.machine['machine_id']}-{name}.svg", title, written[0])]


def _errors(rows: Sequence[Row], value: str, scale: float = 1.0) -> Any:
    """Return the lengths of the error bars below and above each value."""
    low, high = f"{value}_low", f"{value}_high"
    if value == "time_ns":
        low, high = "low_ns", "high_ns"
    below = [max(0.0, (row[value] - (row[low] or row[value])) * scale) for row in rows]
    above = [max(0.0, ((row[high] or row[value]) - row[value]) * scale) for row in rows]
    return [below, above]


def matmul(context: Context) -> list[Chart]:
    """GFLOP/s by size, a line for each variant and backend with the most threads, the ceiling above."""
    rows = [
        row for row in context.find("matmul") if row["case_id"].rpartition("/")[2].isdigit() and row["rate"]
    ]
    if not rows:
        return []
    most = max(row["threads"] for row in rows)
    lines: dict[str, list[Row]] = {}
    for row in rows:
        if row["condition"] != "given" or (row["threads"] != most and row["variant"] != "naive"):
            continue
        name = f"{row['variant']}, {row['backend']}, threads: {row['threads']}"
        lines.setdefault(name, []).append(row)

    def draw(axes: "Axes") -> None:
        for number, (name, members) in enumerate(sorted(lines.items())):
            axes.errorbar(
                [int(row["case_id"].rpartition("/")[2]) for row in members],
                [row["rate"] for row in members],
                yerr=_errors(members, "rate"),
                label=name,
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=4,
                linewidth=1.2,
                elinewidth=0.8,
                capsize=2,
            )
        peak = context.one(context.ceilings, case_id="ceiling/fma", threads=most)
        if peak and peak["rate"]:
            axes.axhline(
                peak["rate"],
                color="#666666",
                linestyle="--",
                linewidth=1,
                label="peak multiply-add, measured",
            )
        figures = [(case, context.published(case, "naive")) for case in context.cases(rows)]
        given = [(int(case.rpartition("/")[2]), one.rate) for case, one in figures if one and one.rate]
        if given:
            axes.scatter([size for size, _ in given], [rate for _, rate in given], zorder=3, **_PUBLISHED)
        sizes = sorted({int(row["case_id"].rpartition("/")[2]) for row in rows})
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("n of an n × n product")
        axes.set_ylabel("GFLOP/s")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return _chart(context, "matmul", "Matrix products: rate by size, with intervals", (8.4, 3.8), draw)


def _bars(
    axes: "Axes",
    rows: Sequence[Row],
    names: Sequence[str],
    value: str,
    colours: Sequence[str],
    scale: float = 1.0,
) -> None:
    """Draw one horizontal bar a row, the first on top."""
    places = list(range(len(rows)))
    axes.barh(places, [row[value] * scale for row in rows], color=colours, height=0.72)
    axes.errorbar(
        [row[value] * scale for row in rows],
        places,
        xerr=_errors(rows, value, scale),
        fmt="none",
        ecolor="#222222",
        elinewidth=0.8,
        capsize=2,
    )
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def elementwise(context: Context) -> list[Chart]:
    """GElement/s of the fastest result of each variant at each case, output given."""
    from data.report.sections.elementwise import OPERATIONS

    rows = [row for row in context.find(*OPERATIONS) if row["condition"] == "given" and row["rate"]]
    variants = list(dict.fromkeys(str(row["variant"]) for row in rows))
    best = [
        context.one(rows, case_id=case, variant=name) for case in context.cases(rows) for name in variants
    ]
    shown = [row for row in best if row]
    if not shown:
        return []
    colour = dict(zip(variants, _COLOURS, strict=False))

    def draw(axes: "Axes") -> None:
        names = [f"{row['case_id']} {row['variant']} ({row['threads']})" for row in shown]
        _bars(axes, shown, names, "rate", [colour.get(str(row["variant"]), "#666666") for row in shown])
        given = [
            (figure.rate, place)
            for place, row in enumerate(shown)
            if row["variant"] == "parallel"
            and (figure := context.published(row["case_id"], "parallel"))
            and figure.rate
        ]
        if given:
            axes.scatter([rate for rate, _ in given], [place for _, place in given], zorder=3, **_PUBLISHED)
            axes.legend(fontsize=8, loc="lower right")
        axes.set_xlabel("GElement/s")

    height = 1.1 + 0.2 * len(shown)
    title = "Functions of each element: the fastest of each variant (threads), with intervals"
    return _chart(context, "elementwise", title, (8.4, height), draw)


def shares(context: Context, ranked: Sequence[Row]) -> list[Chart]:
    """Share of the ceiling of the fastest result of each case."""

    def draw(axes: "Axes") -> None:
        names = [str(row["case_id"]) for row in ranked]
        places = list(range(len(ranked)))
        axes.barh(places, [100 * row["share_of_ceiling"] for row in ranked], color=_COLOURS[0], height=0.72)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.axvline(100, color="#666666", linestyle="--", linewidth=1)
        axes.set_xlabel("% of the ceiling that was measured in the same run")

    height = 1.1 + 0.22 * len(ranked)
    return _chart(
        context, "ceilings", "How near the fastest result of each case is to its ceiling", (8.4, height), draw
    )


def serialization(context: Context, rows: Sequence[Row]) -> list[Chart]:
    """Seconds to save and load by format, page cache warm."""
    shown = [row for row in rows if row["condition"] == "warm" and row["kernel"] in ("save", "load")]
    if not shown:
        return []
    colour = {"save": _COLOURS[1], "load": _COLOURS[0]}

    def draw(axes: "Axes") -> None:
        names = [f"{row['case_id']} {row['variant']} ({row['backend']})" for row in shown]
        places = list(range(len(shown)))
        axes.set_xscale("log")
        for kernel in colour:  # a length says nothing on a logarithmic axis, so points
            mine = [place for place in places if shown[place]["kernel"] == kernel]
            rows_of = [shown[place] for place in mine]
            axes.errorbar(
                [row["time_ns"] / 1e6 for row in rows_of],
                mine,
                xerr=_errors(rows_of, "time_ns", 1e-6),
                fmt="o",
                color=colour[kernel],
                markersize=5,
                elinewidth=1,
                capsize=2,
                label=kernel,
            )
        axes.set_yticks(places, names)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.legend(fontsize=8)
        axes.set_xlabel("ms (logarithmic)")

    height = 1.1 + 0.22 * len(shown)
    title = "Saving and loading, page cache warm, with intervals"
    return _chart(context, "serialization", title, (8.4, height), draw)
