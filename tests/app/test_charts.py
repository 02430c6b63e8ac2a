"""Figures are pure functions of rows: what is drawn is what was measured, and nothing else."""

import json
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app import charts, colours
from app.rows import Row
from data.words import Status
from tests.app.test_rows import ANYTHING, COLUMNS, row

LIGHT = colours.theme("light")
BOARD = [
    row(
        case_id=f"matmul/{size}",
        backend=backend,
        variant=variant,
        rate=rate,
        rate_low=0.99 * rate,
        rate_high=1.02 * rate,
        time_ns=2 * size**3 / rate,
    )
    for backend, variant, rates in (
        ("numpy", "blas", (210.0, 455.0, 512.0)),
        ("openblas", "blas", (214.0, 461.0, 518.0)),
        ("numba", "blocked", (96.0, 188.0, 221.0)),
    )
    for size, rate in zip((1024, 512, 128), reversed(rates), strict=True)
]
WRONG = row(
    case_id="matmul/512",
    backend="numba",
    variant="naive",
    status="wrong",
    reason="off by 0.31",
    rate=None,
    time_ns=None,
)


def bars(figure: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the traces of bars by name, without the ceilings behind them."""
    return {
        trace["name"]: trace
        for trace in figure["data"]
        if trace["type"] == "bar" and trace["name"] != "measured ceiling"
    }


def figure_of(board: list[Row], **options: Any) -> dict[str, Any]:
    """Return the figure, which must be one that Plotly accepts and that travels as JSON."""
    figure = charts.throughput(board, LIGHT, **options)
    assert figure is not None
    go.Figure(figure)
    json.dumps(figure, allow_nan=False)
    return figure


def test_each_series_has_its_bars() -> None:
    """Every backend and variant is a series of bars as high as its rates, cases by size."""
    drawn = bars(figure_of(BOARD))
    assert set(drawn) == {"numpy · blas", "openblas · blas", "numba · blocked"}
    assert drawn["numpy · blas"]["x"] == ["128", "512", "1024"]
    assert drawn["numpy · blas"]["y"] == [210.0, 455.0, 512.0]


def test_whiskers_are_the_interval() -> None:
    """Whiskers end where the interval ends; a value without one has none."""
    trace = bars(figure_of([row(), row(case_id="matmul/128", rate_low=None)]))["numpy · blas"]
    assert trace["x"] == ["128", "512"]
    assert trace["error_y"]["array"] == [0.0, pytest.approx(5.0)]
    assert trace["error_y"]["arrayminus"] == [0.0, pytest.approx(5.0)]
    assert not bars(figure_of([row(rate_low=None)]))["numpy · blas"]["error_y"]["visible"]


@pytest.mark.parametrize("name", colours.THEMES)
def test_every_trace_names_its_colour(name: str) -> None:
    """Backends keep their colour; nothing is left to a default."""
    figure = charts.throughput([*BOARD, WRONG], colours.theme(name))
    assert figure is not None
    assert bars(figure)["numpy · blas"]["marker"]["color"] == colours.backend("numpy")
    assert all("color" in trace["marker"] for trace in figure["data"])


def test_ceilings_stand_behind_the_bars() -> None:
    """The ceiling of each bar is at rate over share, and the legend names it once."""
    figure = figure_of(BOARD)
    ceilings = [trace for trace in figure["data"] if trace["name"] == "measured ceiling"]
    assert [trace["showlegend"] for trace in ceilings] == [True, False, False]
    by_group = {trace["offsetgroup"]: trace["y"] for trace in ceilings}
    for trace in bars(figure).values():
        assert by_group[trace["offsetgroup"]] == [pytest.approx(rate / 0.7) for rate in trace["y"]]
    assert not [
        trace for trace in figure_of([row(share_of_ceiling=None)])["data"] if "ceiling" in trace["name"]
    ]


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize(
    "status", [Status.WRONG, Status.IMPOSSIBLE, Status.FAILED, Status.TIMEOUT, Status.INTERRUPTED]
)
def test_what_is_not_ok_is_never_a_bar(status: Status, logarithmic: bool) -> None:
    """A result that is not ok is a cross at the foot of the axis that says why, even if it came with a time."""
    bad = {**WRONG, "status": str(status), "rate": 31_337.0, "time_ns": 1.0}
    figure = figure_of([*BOARD, bad], logarithmic=logarithmic)
    assert "numba · naive" not in bars(figure)
    (cross,) = (trace for trace in figure["data"] if trace["type"] == "scatter")
    foot = 10 ** figure["layout"]["yaxis"]["range"][0] if logarithmic else 0
    assert cross["y"] == [pytest.approx(foot)]
    assert str(status) in cross["hovertext"][0]
    assert "off by 0.31" in cross["hovertext"][0]
    assert "31,337" not in json.dumps(figure)
    assert "31337" not in json.dumps(figure)


def test_axes_have_units() -> None:
    """The value axis names the unit; times are scaled to the unit that suits them."""
    assert figure_of(BOARD)["layout"]["yaxis"]["title"]["text"] == "GFLOP/s"
    slow = figure_of([row(unit="s", rate=None)])
    assert slow["layout"]["yaxis"]["title"]["text"] == "µs, less is better"
    assert bars(slow)["numpy · blas"]["y"] == [pytest.approx(590.0)]


def test_a_logarithmic_axis_holds_everything() -> None:
    """The logarithmic axis begins below the smallest bar and ends above the highest ceiling."""
    axis = figure_of(BOARD, logarithmic=True)["layout"]["yaxis"]
    assert axis["type"] == "log"
    assert 10 ** axis["range"][0] < 96.0
    assert 10 ** axis["range"][1] > 518.0 / 0.7


def test_nothing_to_draw_is_no_figure() -> None:
    """Without a speed there is no figure."""
    assert charts.throughput([WRONG], LIGHT) is None
    assert charts.throughput([], LIGHT) is None
    assert charts.ceiling_shares([], LIGHT) is None
    assert charts.ceiling_shares([row(share_of_ceiling=None)], LIGHT) is None


def test_text_from_results_is_escaped() -> None:
    """A backend's name or a reason cannot bring a link or a tag into the chart."""
    evil = "<a href='http://elsewhere.example'>x</a>"
    figure = figure_of([row(backend=evil), {**WRONG, "reason": evil}])
    assert "<a " not in json.dumps(figure)
    assert "<a " not in json.dumps(charts.ceiling_shares([row(backend=evil, case_id=evil)], LIGHT))


@settings(deadline=None)
@given(some.lists(some.dictionaries(some.sampled_from(COLUMNS), ANYTHING), max_size=4))
def test_an_odd_row_breaks_no_chart(odd: list[dict[str, Any]]) -> None:
    """Whatever odd rows stand among good ones, the good ones are drawn and the figure is right."""
    figure = figure_of([row(case_id="matmul/7"), *odd, *({"status": "ok", **one} for one in odd)])
    assert any("7" in trace["x"] for trace in bars(figure).values())
    shares = charts.ceiling_shares([row(), *({"status": "ok", **one} for one in odd)], LIGHT)
    json.dumps(shares, allow_nan=False)


def test_shares_are_percent_of_the_ceiling() -> None:
    """The chart of the fastest draws the share of the ceiling in percent, coloured by backend."""
    best = [row(share_of_ceiling=0.734), row(case_id="relu/1M", backend="numba", share_of_ceiling=1.04)]
    figure = charts.ceiling_shares(best, LIGHT)
    assert figure is not None
    assert [(trace["name"], trace["y"], trace["x"]) for trace in figure["data"]] == [
        ("numba", ["relu/1M"], [pytest.approx(104.0)]),
        ("numpy", ["matmul/512"], [pytest.approx(73.4)]),
    ]
    assert figure["layout"]["xaxis"]["range"][1] > 104
    assert figure["layout"]["yaxis"]["categoryarray"] == ["matmul/512", "relu/1M"]


def test_descriptions_say_what_is_drawn() -> None:
    """The alternative text names the fastest of each case with its rate and share."""
    spoken = charts.describe_throughput("matmul", [*BOARD, WRONG])
    assert "matmul/1024: openblas blas, 518 GFLOP/s, 70% of the measured ceiling" in spoken
    assert "matmul/512: openblas blas, 461 GFLOP/s" in spoken
    assert "naive" not in spoken
    assert "matmul/512: numpy blas" in charts.describe_shares([row()])


def test_nothing_is_shared_with_others() -> None:
    """The button that would upload a chart to another host is off."""
    assert charts.CONFIG["showSendToCloud"] is False


def test_fewer_threads_are_paler() -> None:
    """The same backend and variant with fewer threads has its colour paler, and the legend says so."""
    figure = figure_of([row(threads=8), row(threads=1)])
    drawn = bars(figure)
    assert drawn["numpy · blas · 8 threads"]["marker"]["color"] == colours.backend("numpy")
    assert drawn["numpy · blas · 1 thread"]["marker"]["color"].startswith("rgba(")
    assert drawn["numpy · blas · 1 thread"]["marker"]["line"]["color"] == colours.backend("numpy")
    assert "fewer threads" in figure["layout"]["legend"]["title"]["text"]


def test_a_ceiling_that_was_surpassed_stays_in_sight() -> None:
    """Where a bar is higher than its ceiling, the ceiling is drawn once more in front of it."""
    figure = figure_of([row(rate=110.0, rate_low=None, share_of_ceiling=1.1)])
    behind, front = (trace for trace in figure["data"] if trace["name"] == "measured ceiling")
    order = [trace["name"] for trace in figure["data"]]
    assert order == ["measured ceiling", "numpy · blas", "measured ceiling"]
    assert front["y"] == behind["y"] == [pytest.approx(100.0)]
    assert [behind["showlegend"], front["showlegend"]] == [True, False]


def test_every_sample_is_drawn_as_it_was_taken() -> None:
    """Samples are ns per call in the order taken, clean ones apart from disturbed ones, with the estimate."""
    processes = [
        {"process": 3, "batch": 2, "time_ns": [2_000, 2_400, 9_000], "clean": [True, True, False]},
        {"process": 5, "batch": 1, "time_ns": [1_100], "clean": []},
    ]
    figure = charts.samples(processes, row(time_ns=1_100.0, low_ns=1_000.0, high_ns=1_200.0), LIGHT)
    assert figure is not None
    go.Figure(figure)
    clean, disturbed, spread = figure["data"]
    assert clean["y"] == [1.0, 1.2, 1.1]
    assert disturbed["y"] == [4.5]
    assert clean["x"] == sorted(clean["x"])
    assert spread["y"] == clean["y"]
    assert figure["layout"]["xaxis"]["ticktext"] == ["3", "5"]
    band, line = figure["layout"]["shapes"]
    assert (band["y0"], band["y1"], line["y0"]) == (1.0, 1.2, 1.1)
    assert "4 samples in 2 processes" in charts.describe_samples(processes, row())


@pytest.mark.parametrize(
    "odd", [{}, {"time_ns": None}, {"time_ns": [None, "x", -1, float("nan")], "batch": 0}]
)
def test_odd_samples_are_left_out(odd: dict[str, Any]) -> None:
    """Samples that are no times are not drawn; without any there is no figure."""
    assert charts.samples([odd], row(), LIGHT) is None
    figure = charts.samples([odd, {"process": 1, "time_ns": [5], "batch": 1}], row(low_ns=None), LIGHT)
    assert figure is not None
    assert figure["data"][0]["y"] == [5.0]


def test_many_samples_use_webgl() -> None:
    """Above two thousand points the marks are drawn by WebGL."""
    many = [{"process": 0, "time_ns": [1_000 + n for n in range(2_500)], "batch": 1}]
    figure = charts.samples(many, row(), LIGHT)
    assert figure is not None
    assert figure["data"][0]["type"] == "scattergl"
