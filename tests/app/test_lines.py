"""Figures over sizes, versions and time, rooflines, machines, formats and claims: drawn is what was measured."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app import charts, colours, formats
from app.rows import Row
from tests.app.test_rows import ANYTHING, COLUMNS, row

LIGHT = colours.theme("light")
START = datetime(2026, 11, 1, tzinfo=UTC)


def drawn(figure: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the traces by name of a figure that Plotly accepts and that travels as JSON."""
    assert figure is not None
    go.Figure(figure)
    json.dumps(figure, allow_nan=False)
    return {str(trace.get("name")): trace for trace in figure["data"]}


def matmul(size: int, rate: float, **values: Any) -> Row:
    """Return a result of matmul that has its work counted."""
    flop, touched = 2.0 * size**3, 12 * size**2
    given_values = {
        "case_id": f"matmul/{size}",
        "rate": rate,
        "rate_low": rate * 0.99,
        "rate_high": rate * 1.01,
    }
    return row(**given_values, time_ns=flop / rate, flop=flop, footprint_bytes=touched, **values)


def test_rates_over_size_are_lines_on_logarithmic_axes() -> None:
    """One line a series, points at the sizes; shapes that are no single number are left out."""
    board = [matmul(size, rate) for size, rate in ((1024, 512.0), (128, 210.0))]
    figure = charts.sizes([*board, row(case_id="matmul/batched-32x256")], LIGHT)
    line = drawn(figure)["numpy · blas"]
    assert line["x"] == [128.0, 1024.0]
    assert line["y"] == [210.0, 512.0]
    assert figure is not None
    assert figure["layout"]["xaxis"]["type"] == figure["layout"]["yaxis"]["type"] == "log"
    assert charts.sizes([row(case_id="matmul/1024")], LIGHT) is None


def test_a_roofline_stands_below_its_limits() -> None:
    """Intensity is work a byte, rate is work a time; the limits are those that were measured."""
    ceilings = [
        row(case_id="ceiling/fma", rate=620.0, threads=8),
        row(case_id="ceiling/copy-8MiB", unit="GB/s", rate=212.0, footprint_bytes=8 << 20, threads=8),
        row(case_id="ceiling/copy-384MiB", unit="GB/s", rate=54.0, footprint_bytes=384 << 20, threads=8),
    ]
    elements = row(
        case_id="relu/1M", unit="GElement/s", backend="numba", variant="simd", rate=6.0, time_ns=1e6 / 6.0,
        elements=1e6, bytes=8e6,
    )  # fmt: skip
    traces = drawn(charts.roofline([matmul(1024, 512.0), elements], ceilings, LIGHT))
    mark = traces["numpy · blas"]
    assert mark["x"] == [pytest.approx(2 * 1024 / 12)]
    assert mark["y"] == [pytest.approx(512.0)]
    assert traces["numba · simd"]["x"] == [pytest.approx(1 / 8)]
    assert traces["numba · simd"]["marker"]["symbol"] == ["x-open"]
    assert traces["arithmetic, 8 threads"]["y"] == [620.0, 620.0]
    low = traces["memory, 8 threads"]["x"][0]
    assert traces["memory, 8 threads"]["y"][0] == pytest.approx(54.0 * low)


def test_machines_stand_side_by_side() -> None:
    """A bar a machine and case, absolute or as the share of that machine's ceiling."""
    best = [matmul(512, 455.0, machine="atlas"), matmul(512, 900.0, machine="borealis", share_of_ceiling=0.6)]
    absolute = drawn(charts.hardware(best, LIGHT))
    assert {name: trace["y"] for name, trace in absolute.items()} == {"atlas": [455.0], "borealis": [900.0]}
    shares = drawn(charts.hardware(best, LIGHT, share=True))
    assert shares["borealis"]["y"] == [0.6]
    assert absolute["atlas"]["marker"]["color"] != absolute["borealis"]["marker"]["color"]
    assert charts.hardware([{**best[0], "status": "wrong"}], LIGHT) is None


def saved(kernel: str, fill: str, time_ns: float, **more: Any) -> Row:
    """Return a result of saving or loading the small model."""
    held = {"file_bytes": 193 << 20, "peak_resident_increase_bytes": 5 << 20}
    values = {"variant": "json-compact", "backend": "orjson", "condition": "warm", **more}
    return row(
        kernel=kernel, case_id=f"{kernel}/small-{fill}", time_ns=time_ns, low_ns=0.9 * time_ns,
        high_ns=1.1 * time_ns, unit="GB/s", rate=1.0, attributes=json.dumps(held), **values,
    )  # fmt: skip


def test_a_format_is_one_row_for_each_fill() -> None:
    """Times of save and load, size and memory of one format meet in one row; cold loads have their own."""
    board = [
        saved("save", "normal", 3e9),
        saved("load", "normal", 7e9),
        saved("load", "normal", 9e9, condition="cold"),
        saved("load", "constant", 4e9),
        saved("load", "constant", 1e9, status="wrong", variant="npz"),
    ]
    table = formats.table(board, "small")
    assert [(one["format"], one["fill"]) for one in table] == [
        ("json-compact · orjson", "normal"),
        ("json-compact · orjson", "constant"),
        ("json-compact · orjson · cold", "normal"),
    ]
    assert table[0]["save_ns"] == 3e9
    assert table[0]["load_ns"] == 7e9
    assert table[0]["file_bytes"] == 193 << 20
    assert formats.models(board) == ["small"]
    figure = charts.formats(table, formats.METRICS["load"], LIGHT)
    assert figure is not None
    go.Figure(figure)
    bars = [trace for trace in figure["data"] if trace.get("x") != [None]]
    assert [trace["x"] for trace in bars] == [[7.0, 9.0], [4.0]]
    assert charts.formats(table, formats.METRICS["lazy load"], LIGHT) is None


def series(times_ns: list[float]) -> list[Row]:
    """Return the points of one series, a day apart."""
    return [
        row(time_ns=time, low_ns=0.99 * time, high_ns=1.01 * time, started=START + timedelta(days=day),
            run_id=f"r{day}", measurement_id=f"m{day}")
        for day, time in enumerate(times_ns)
    ]  # fmt: skip


def test_a_history_has_every_point_and_what_surrounds_it() -> None:
    """Points open their run; changes, versions, annotations and the noise band are drawn where they are."""
    points = series([100e3] * 5 + [120e3] * 5)
    context = charts.Context(
        [{"at": points[5]["started"], "verdict": "slower", "text": "slower, 1.2×"}],
        [{"at": points[4]["started"], "text": "numpy 2.4 → 2.5"}],
        [{"at": points[6]["started"], "text": "new <b>fan</b>"}],
        (118e3, 122e3),
        points[5]["started"],
    )
    figure = charts.history(points, "matmul/512", LIGHT, context)
    traces = drawn(figure)
    line = traces["matmul/512"]
    assert line["y"] == [100.0] * 5 + [120.0] * 5
    assert line["customdata"][3] == ["m3", "r3"]
    assert "&lt;b&gt;" in traces["annotation"]["hovertext"][0]
    assert figure is not None
    band, step, change = figure["layout"]["shapes"]
    assert (band["y0"], band["y1"]) == (118.0, 122.0)
    assert band["x0"] == change["x0"] == points[5]["started"].isoformat()
    assert step["x0"] == points[4]["started"].isoformat()
    assert charts.history([row(status="failed")], "x", LIGHT) is None
    assert "slower, 1.2×" in charts.describe_history(points, "matmul/512", context)


def test_claims_are_multiples_of_what_was_published() -> None:
    """The published range and the measured interval stand on one line, in units of the middle of the range."""
    found = [
        {"id": "a", "backend": "numpy", "verdict": "holds", "estimate": 3.0, "low": 2.5, "high": 3.5,
         "expected": [2.0, 8.0], "unit": "x"},
        {"id": "b", "backend": "numpy", "verdict": "falls short", "estimate": 1.0, "low": None, "high": None,
         "expected": [4.0, 4.0], "unit": "x"},
        {"id": "c", "backend": "", "verdict": "not measured", "estimate": None, "expected": [1.0, 2.0]},
    ]  # fmt: skip
    traces = drawn(charts.claims(found, LIGHT))
    assert traces["published range"]["base"] == [0.5, 1.0]
    assert traces["published range"]["x"] == [1.5, 0.0]
    assert traces["holds or exceeded"]["x"] == [0.75]
    assert traces["falls short"]["x"] == [0.25]
    assert charts.claims(found[2:], LIGHT) is None


def test_versions_are_in_order() -> None:
    """A line over versions has its points in the order of the versions."""
    board = [{**matmul(512, rate), "version": version} for rate, version in ((400.0, "1.9"), (440.0, "1.10"))]
    figure = charts.over_versions(board, LIGHT)
    assert drawn(figure)["numpy · blas"]["x"] == ["1.9", "1.10"]
    assert figure is not None
    assert figure["layout"]["xaxis"]["categoryarray"] == ["1.9", "1.10"]


@settings(deadline=None)
@given(some.lists(some.floats(1e-3, 1e12), min_size=1))
def test_logarithmic_axes_hold_their_values(values: list[float]) -> None:
    """Every value lies within the range, and the ticks that are written are the numbers that they stand for."""
    axis = charts.base.logarithmic(values)
    low, high = axis["range"]
    assert low <= math.log10(min(values))
    assert math.log10(max(values)) <= high
    for tick, text in zip(axis["tickvals"], axis["ticktext"], strict=True):
        assert float(text.replace(",", "")) == pytest.approx(tick, rel=1e-9)


@settings(deadline=None)
@given(
    some.lists(
        some.dictionaries(some.sampled_from([*COLUMNS, "expected", "started", "version"]), ANYTHING),
        max_size=4,
    )
)
def test_no_row_is_too_odd_to_draw(odd: list[dict[str, Any]]) -> None:
    """Whatever rows hold, each figure is drawn without them or with them, and nothing is raised."""
    board = [{"status": "ok", "version": "1", **one} for one in odd]
    formats.table(board, "small")
    for figure in (
        charts.sizes(board, LIGHT),
        charts.roofline(board, board, LIGHT),
        charts.hardware(board, LIGHT),
        charts.history(board, "x", LIGHT),
        charts.over_versions(board, LIGHT),
    ):
        if figure is not None:
            json.dumps(figure, allow_nan=False)
