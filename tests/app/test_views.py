"""The pages over machines, versions, formats, changes and claims, and the way in and out, as Streamlit runs them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app import exports, measuring, reading
from data.changes import FEWEST
from data.errors import BadInput
from data.report.selection import Selection
from tests.app.builder import ENVIRONMENT, MACHINES, Plan, standard_cells
from tests.app.conftest import Fill
from tests.app.test_pages import figures, opened, said

HARDWARE, VERSIONS, SERIALIZATION = "views/hardware.py", "views/versions.py", "views/serialization.py"
REGRESSIONS, CLAIMS, EXCHANGE = "views/regressions.py", "views/claims.py", "views/exchange.py"
START = datetime(2026, 10, 1, tzinfo=UTC)
NEWER = msgspec.structs.replace(
    ENVIRONMENT, id="f0f0f0f0f0f0", packages={"numpy": "2.5.5", "numba": "0.68.0"}
)


def history(fill: Fill) -> list[str]:
    """Record 24 days, the last ten of them on a newer NumPy and a tenth slower."""
    return fill(
        *(
            Plan(
                standard_cells((0.9 if day >= 14 else 1.0) * (1 + 0.002 * (day % 3))),
                started=START + timedelta(days=day),
                environment=NEWER if day >= 14 else ENVIRONMENT,
            )
            for day in range(24)
        )
    )


@pytest.mark.parametrize("page", [HARDWARE, VERSIONS, SERIALIZATION, REGRESSIONS, CLAIMS])
def test_an_empty_store_shows_the_command_that_fills_it(home: Any, page: str) -> None:
    """The first visitor sees one command to copy on every page."""
    assert [code.value for code in opened(page).code] == ["flopwatch run --profile quick"]


def test_machines_stand_side_by_side(fill: Fill) -> None:
    """The fastest of each machine is drawn, the ceilings have a column a machine, and filters narrow."""
    fill(
        *(
            Plan(standard_cells(factor), machine=MACHINES[name])
            for name, factor in (("atlas", 1.0), ("borealis", 2.0))
        )
    )
    (figure,) = figures(opened(HARDWARE, kernel="matmul"))
    assert {trace["name"]: trace["y"][-1] for trace in figure["data"]} == pytest.approx(
        {"atlas": 518.0, "borealis": 1036.0}, rel=1e-3
    )
    test = opened(HARDWARE, kernel="matmul", machine="borealis", backend="numba", view="of ceiling")
    (figure,) = figures(test)
    assert [trace["name"] for trace in figure["data"]] == ["borealis"]
    assert max(figure["data"][0]["y"]) < 1
    ceilings = next(frame.value for frame in test.dataframe if "Ceiling" in frame.value.columns)
    assert list(ceilings.columns) == ["Ceiling", "borealis"]


def test_versions_are_compared(fill: Fill) -> None:
    """Each version is a place on the axis, and the matrix says what a version gained against another."""
    history(fill)
    choices = {"machine": "atlas", "kernel": "matmul", "program": "numpy"}
    drawn = figures(opened(VERSIONS, **choices))
    assert [figure["layout"]["xaxis"]["categoryarray"] for figure in drawn] == [["2.4.6", "2.5.5"]] * 3
    (matrix,) = figures(opened(VERSIONS, **choices, view="matrix"))
    assert set(matrix["data"][0]["x"]) == {"2.5.5"}
    factors = [float(text.strip("×")) for line in matrix["data"][0]["text"] for text in line]
    assert factors == pytest.approx([0.9] * len(factors), rel=0.01)


def test_a_single_version_says_how_to_get_another(fill: Fill) -> None:
    """With one version there is nothing to draw: the page lists it, and the command that measures two side by side."""
    fill(Plan(standard_cells()))
    test = opened(VERSIONS, machine="atlas", kernel="matmul", program="numpy")
    assert any("flopwatch matrix --with numpy==2.4.6" in code.value for code in test.code)
    assert not figures(test)
    assert set(test.dataframe[0].value["Version"]) == {"2.4.6"}


def test_formats_are_compared(fill: Fill) -> None:
    """The view chooses what is drawn, and the table has everything."""
    fill(Plan(standard_cells()))
    test = opened(SERIALIZATION, machine="atlas", model="small", view="save")
    (figure,) = figures(test)
    assert {name for trace in figure["data"] for name in trace["y"] if name} == {
        "safetensors · safetensors",
        "json-compact · orjson",
    }
    assert "Save, small model" in said(test)
    costs = next(frame.value for frame in test.dataframe if "File size" in frame.value.columns)
    assert costs["File size"].max() == 193 * 2**20


def test_a_change_is_found_shown_and_decided(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slower series is named with its cause; a decision is written into the ledger and shown."""
    monkeypatch.setattr("app.parts.is_local", lambda: True)
    history(fill)
    test = opened(REGRESSIONS, machine="atlas")
    events = next(frame.value for frame in test.dataframe if "Recent times" in frame.value.columns)
    assert set(events["State"]) == {"new"}
    assert "matmul/1024" in set(events["Case"])
    (figure,) = figures(test)
    assert len(figure["data"][0]["y"]) == 24
    assert any(
        shape["line"].get("dash") == "solid"
        for shape in figure["layout"]["shapes"]
        if shape["type"] == "line"
    )
    series = test.query_params["series"]
    test.text_input[0].set_value("a newer library")
    next(button for button in test.button if button.label == "Accept").click().run()
    assert not test.exception
    (held,) = reading.store().query("FROM decisions")
    assert held["series_id"] in series
    assert (held["kind"], held["reason"]) == ("acceptance", "a newer library")


def test_short_series_say_that_they_cannot_tell_a_change_yet(fill: Fill) -> None:
    """With fewer points than a change takes, nothing is called unchanged, and the missing noise band is explained."""
    days = [Plan(standard_cells(), started=START + timedelta(days=day)) for day in range(FEWEST)]
    fill(*days[: FEWEST - 1])
    test = opened(REGRESSIONS, machine="atlas")
    assert f"No series has {FEWEST} points yet" in said(test)
    assert not test.success
    assert "The band is what noise alone explains" in said(test)
    fill(days[-1])
    reading.store().sync()
    test = opened(REGRESSIONS, machine="atlas")
    assert f"No series has {FEWEST} points yet" not in said(test)
    assert [found.value for found in test.success] == ["Nothing became slower among these series."]


def test_a_band_that_is_not_known_is_explained(fill: Fill) -> None:
    """Two points have no band, and the caption says what it takes."""
    fill(*(Plan(standard_cells(), started=START + timedelta(days=day)) for day in range(2)))
    text = said(opened(REGRESSIONS, machine="atlas"))
    assert "How far noise alone moves it is not known yet" in text
    assert "The band is" not in text


def test_environments_measured_side_by_side_are_no_points_of_a_series(fill: Fill) -> None:
    """A matrix with an old library makes no history: neither in the list of changes nor in the chart."""
    fill(
        *(
            Plan(
                standard_cells(0.5 if day % 2 else 1.0),
                started=START + timedelta(days=day),
                purpose="matrix" if day % 2 else "series",
            )
            for day in range(14)
        )
    )
    test = opened(REGRESSIONS, machine="atlas", view="both")
    (figure,) = figures(test)
    assert len(figure["data"][0]["y"]) == 7
    assert [found.value for found in test.success] == ["Nothing changed among these series."]


def test_the_overview_says_what_was_measured_again(fill: Fill) -> None:
    """Before anything was repeated it says how that is done, then how much came out again, overall and by machine."""
    first, _ = fill(
        Plan(standard_cells()), Plan(standard_cells(2.0), machine=MACHINES["borealis"], started=START)
    )
    assert "No result has been measured again yet" in said(opened())
    cells = [
        {"case": f"matmul/{size}", "variant": "blas", "condition": "given", "backend": "numpy", "device": "cpu",
         "threads": 8, "verdict": "reproduced" if size < 1024 else "not reproduced"}
        for size in (128, 512, 1024)
    ]  # fmt: skip
    note = {"original": first, "comparability": "same", "differences": [], "results": cells}
    fill(Plan(standard_cells(), started=START + timedelta(days=60), purpose="reproduction", repeats=note))
    reading.store().sync()
    test = opened()
    assert "were measured again, and 2 of these came out again (67%)" in said(test)
    machines = next(frame.value for frame in test.dataframe if "Processor" in frame.value.columns)
    shares = dict(zip(machines["Machine"], machines["Reproduced"], strict=True))
    assert 0 < shares["atlas"] < 1
    assert shares["borealis"] == 0


def test_the_overview_tells_what_changed_and_what_is_claimed(fill: Fill) -> None:
    """One row for all that changed at one time, and the claims in one line."""
    history(fill)
    test = opened()
    changed = next(frame.value for frame in test.dataframe if "What" in frame.value.columns)
    assert len(changed) == 1
    assert "slower" in changed["What"].iloc[0]
    assert "Published claims on this machine" in said(test)


def test_claims_are_judged(fill: Fill) -> None:
    """Each claim has one row a backend with a verdict, and the filter of verdicts narrows them."""
    fill(Plan(standard_cells()))
    test = opened(CLAIMS, machine="atlas")
    table = next(frame.value for frame in test.dataframe if "Verdict" in frame.value.columns)
    assert {"holds", "not measured"} & set(table["Verdict"])
    assert figures(test)
    narrowed = opened(CLAIMS, machine="atlas", verdict="not measured")
    table = next(frame.value for frame in narrowed.dataframe if "Verdict" in frame.value.columns)
    assert set(table["Verdict"]) == {"not measured"}


def test_a_question_is_answered_and_a_bad_one_explained(fill: Fill) -> None:
    """The example gives rows; what is not allowed is told in words."""
    fill(Plan(standard_cells()))
    test = opened(EXCHANGE, do="ask in SQL")
    test.button[0].click().run(timeout=120)
    answer = next(frame.value for frame in test.dataframe if "gflops" in frame.value.columns)
    assert len(answer) == 5
    test.text_area[0].set_value("DELETE FROM run").run()
    test.button[0].click().run(timeout=120)
    assert "read-only" in str(test.error[0].value).replace("\\", "")


@pytest.mark.parametrize(
    ("form", "start"), [("CSV", b"measurement_id,"), ("Parquet", b"PAR1"), ("JSON", b"[")]
)
def test_views_are_exported(fill: Fill, form: str, start: bytes) -> None:
    """Each format has every row of the choice."""
    fill(Plan(standard_cells()), Plan(standard_cells(2.0), machine=MACHINES["borealis"]))
    whole, part = Selection(), Selection(machines=("b0b0b0b0b0b0",))
    assert exports.count("latest", whole) == 2 * exports.count("latest", part) > 0
    assert exports.file_of("latest", form, part).startswith(start)
    with pytest.raises(BadInput, match="nowhere"):
        exports.count("nowhere", whole)
    assert "rows" in str(opened(EXCHANGE, do="export").get("download_button")[0].proto.label)


def test_the_report_is_shown(fill: Fill) -> None:
    """The report stands on the page and can be kept."""
    fill(Plan(standard_cells()))
    test = opened(EXCHANGE, do="report")
    assert "Benchmark report" in said(test)
    assert len(test.get("download_button")) >= 2


def test_run_files_are_taken_on_the_page(home: Any, fill: Fill) -> None:
    """A file gets its receipt, again the same one; a bad one is told with its line."""
    from app.views import exchange

    fill(Plan(standard_cells()))
    (path,) = (home / "runs").iterdir()
    held = exchange._take("a.run.jsonl", path.read_bytes())
    assert (held["error"], held["state"]) == ("", "held already")
    assert "line 1" in exchange._take("b.run.jsonl", b"{broken}\n")["error"]


def test_a_measurement_is_started_only_where_it_is_allowed(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off by default; on, the page offers it, and only one runs at a time, which can be cancelled."""
    fill(Plan(standard_cells()))
    assert not any(button.label == "Measure" for button in opened().button)
    monkeypatch.setenv(measuring.ALLOWED, "1")
    monkeypatch.setattr("app.parts.is_local", lambda: True)
    assert any(button.label == "Measure" for button in opened().button)
    with pytest.raises(BadInput, match="no kernel"):
        measuring.start("matmul; rm")
    measuring.start("matmul")
    try:
        with pytest.raises(BadInput, match="being measured"):
            measuring.start()
        assert any(button.label == "Cancel" for button in opened().button)
    finally:
        measuring.cancel()
    deadline = datetime.now(UTC) + timedelta(seconds=90)
    while (
        (found := measuring.progress()) is not None and found.status is None and datetime.now(UTC) < deadline
    ):
        time.sleep(0.2)
    assert found is not None
    assert found.status not in (None, 0)
