"""Pages as Streamlit runs them, without a browser: what is asked, what is shown, what is never shown."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import app
from data.records import Work
from data.words import Status
from tests.app.builder import ENVIRONMENT, MACHINES, PROCESSES, SAMPLES, Cell, Plan, standard_cells
from tests.app.conftest import Fill

DASHBOARD = Path(app.__file__).with_name("dashboard.py")
OVERVIEW, THROUGHPUT, RUN = "views/overview.py", "views/throughput.py", "views/run.py"
SPEEDUPS = "views/speedups.py"


def opened(page: str = OVERVIEW, **choices: str | list[str]) -> AppTest:
    """Return the page as a link with these choices opens it."""
    test = AppTest.from_file(str(DASHBOARD), default_timeout=60)
    for name, value in choices.items():
        test.query_params[name] = value
    test.switch_page(page).run()
    assert not test.exception, test.exception
    return test


def figures(test: AppTest) -> list[dict[str, Any]]:
    """Return the figures that the page sends to the browser."""
    return [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]


def said(test: AppTest) -> str:
    """Return all text of the page, tables included."""
    parts = [
        element.value for element in (*test.title, *test.subheader, *test.markdown, *test.info, *test.warning)
    ]
    parts += [code.value for code in test.code] + [frame.value.to_string() for frame in test.dataframe]
    parts += [f"{metric.label} {metric.value}" for metric in test.metric]
    return "\n".join(str(part) for part in parts)


@pytest.mark.parametrize("page", [OVERVIEW, THROUGHPUT, SPEEDUPS, RUN])
def test_an_empty_store_shows_the_command_that_fills_it(home: Path, page: str) -> None:
    """The first visitor sees one command to copy, and no error."""
    test = opened(page)
    assert [code.value for code in test.code] == ["flopwatch run --profile quick"]
    assert "just run" in said(test)
    assert home.is_dir()


def test_the_overview_names_what_is_wrong_without_a_time(fill: Fill) -> None:
    """A wrong result is named with case, backend, variant, machine and reason, and its time is nowhere."""
    fill(Plan(standard_cells()))
    text = said(opened())
    assert "wrong" in text
    assert "matmul/512 · numba · naive** on atlas: differs from the reference" in text.replace("\\", "")
    assert "no answer within 60 s" in text


def test_the_overview_names_absent_backends_with_the_remedy(fill: Fill) -> None:
    """A backend that is not there is named once with its reason and the line that installs it."""
    fill(Plan(standard_cells()), Plan(standard_cells(), machine=MACHINES["cirrus"]))
    test = opened()
    assert [code.value for code in test.code] == [
        "pip install 'flopwatch[cuda13]'",
        "pip install 'flopwatch[blas]'",
    ]
    assert "mkl** on atlas, cirrus: the package mkl is not installed" in said(test).replace("\\", "")


def test_the_overview_shows_machines_runs_and_the_fastest(fill: Fill) -> None:
    """Machines with their last run, the newest runs, and for each case the fastest with rate and share."""
    now = datetime.now(UTC)
    ids = fill(
        Plan(standard_cells(), started=now - timedelta(hours=3)),
        Plan(standard_cells(2.0), machine=MACHINES["borealis"], started=now - timedelta(days=30)),
    )
    test = opened()
    tables = {tuple(frame.value.columns)[:2]: frame.value for frame in test.dataframe}
    fastest = tables["Case", "Fastest"].set_index("Case")
    assert fastest.loc["matmul/1024", "Fastest"] == "openblas · blas"
    assert fastest.loc["matmul/1024", "Rate"] == pytest.approx(518.0)
    assert fastest.loc["matmul/1024", "Of ceiling"] == pytest.approx(518 / 620)
    assert list(tables["Machine", "Processor"]["Machine"]) == ["atlas", "borealis"]
    assert set(tables["Started", "Machine"]["Run"]) == {f"run?run={one}" for one in ids}
    text = said(test).replace("\\", "")
    assert "Last run 3 hours ago" in text
    assert "stale" in text
    assert "borealis**: last run 30 days ago" in text
    assert "Wrong or failed 2" in text


def test_the_overview_says_what_moved(fill: Fill) -> None:
    """A result that differs clearly from that of the run before is named, one that does not is not."""
    start = datetime(2026, 11, 1, tzinfo=UTC)
    same, slower = [c for c in standard_cells() if c.case == "relu/1M"], standard_cells(0.8)
    slower = [c for c in slower if c.case == "matmul/1024"]
    fill(Plan(standard_cells(), started=start), Plan([*same, *slower], started=start + timedelta(days=1)))
    moved = next(frame.value for frame in opened().dataframe if "Verdict" in frame.value.columns)
    assert set(moved["Case"]) == {"matmul/1024"}
    assert set(moved["Verdict"]) == {"slower"}
    assert list(moved["New / old"]) == pytest.approx([1.25] * len(moved))


def test_throughput_draws_what_was_measured(fill: Fill) -> None:
    """Each backend and variant has bars at the rates of its cells, and the wrong one has none."""
    cells = standard_cells()
    fill(Plan(cells))
    (figure,) = figures(opened(THROUGHPUT, machine="atlas", unit="GFLOP/s"))
    drawn = {trace["name"]: trace for trace in figure["data"] if trace["type"] == "bar"}
    assert set(drawn) == {
        *("numba · naive", "numba · naive-parallel", "numba · blocked", "numpy · blas", "openblas · blas"),
        "measured ceiling",
    }
    for name, trace in drawn.items():
        wanted = {
            cell.case.removeprefix("matmul/"): cell.rate
            for cell in cells
            if cell.status is Status.OK and f"{cell.backend} · {cell.variant}" == name
        }
        if name != "measured ceiling":
            assert dict(zip(trace["x"], trace["y"], strict=True)) == pytest.approx(wanted, rel=1e-4)
    assert drawn["numba · naive"]["x"] == ["128", "1024"]


@pytest.mark.parametrize(
    ("choices", "names"),
    [
        ({"backend": "openblas"}, {"openblas · blas"}),
        ({"backend": ["openblas", "numpy"], "case": "matmul/512"}, {"openblas · blas", "numpy · blas"}),
        ({"variant": "blocked"}, {"numba · blocked"}),
        ({"threads": "1"}, {"numba · naive"}),
    ],
)
def test_filters_of_the_link_narrow_the_chart(
    fill: Fill, choices: dict[str, str | list[str]], names: set[str]
) -> None:
    """A link with filters opens exactly what they leave."""
    fill(Plan(standard_cells()))
    (figure,) = figures(opened(THROUGHPUT, machine="atlas", unit="GFLOP/s", **choices))
    bars = [
        trace for trace in figure["data"] if trace["type"] == "bar" and trace["name"] != "measured ceiling"
    ]
    assert {trace["name"] for trace in bars} == names
    if "case" in choices:
        assert all(trace["x"] == ["512"] for trace in bars)


def test_the_axis_of_the_link_is_logarithmic(fill: Fill) -> None:
    """The kind of axis is part of the link."""
    fill(Plan(standard_cells()))
    (figure,) = figures(opened(THROUGHPUT, machine="atlas", unit="GFLOP/s", scale="log"))
    assert figure["layout"]["yaxis"]["type"] == "log"


def test_machines_do_not_mix(fill: Fill) -> None:
    """The chosen machine's results are drawn, and no other's."""
    fill(Plan(standard_cells()), Plan(standard_cells(2.0), machine=MACHINES["borealis"]))
    for machine, factor in (("atlas", 1.0), ("borealis", 2.0)):
        (figure,) = figures(opened(THROUGHPUT, machine=machine, unit="GFLOP/s"))
        (trace,) = (trace for trace in figure["data"] if trace["name"] == "openblas · blas")
        assert trace["y"] == pytest.approx([214.0 * factor, 461.0 * factor, 518.0 * factor], rel=1e-4)


def test_a_page_without_choices_makes_them_explicit(fill: Fill) -> None:
    """A page that is opened bare goes to the newest machine and the first unit, and says so in its address."""
    older = Plan(standard_cells(), machine=MACHINES["cirrus"], started=datetime(2026, 1, 1, tzinfo=UTC))
    fill(Plan(standard_cells()), older)
    test = opened(THROUGHPUT)
    assert test.query_params["machine"] in ("atlas", ["atlas"])
    assert test.query_params["unit"] in ("GFLOP/s", ["GFLOP/s"])


def test_a_link_to_what_is_gone_says_so(fill: Fill) -> None:
    """A link that names an unknown machine asks for one instead of showing another."""
    fill(Plan(standard_cells()), Plan(standard_cells(), machine=MACHINES["cirrus"]))
    test = opened(THROUGHPUT, machine="vanished", unit="GFLOP/s")
    for _ in range(3):  # it stays so when new results draw the page again
        assert not figures(test)
        assert "not here" in said(test)
        test.run()


def test_an_odd_result_breaks_no_page(fill: Fill) -> None:
    """Names full of markup, a case without a slash, zero work, a huge time: all pages are drawn."""
    odd = [
        Cell("<b>x</b>/![x](http://elsewhere.example/x.png)", "$v$", "`b`", 1.0, work=Work(flop=0.0)),
        Cell("no-slash", "v", ":material/bolt:", 9e15, work=Work(flop=1.0)),
        Cell("matmul/1", "v", "b", 1e3, unit="s"),
        Cell(
            "matmul/2", "v", "b", status=Status.FAILED, reason="![x](http://elsewhere.example/x.png) [y](z)"
        ),
    ]
    fill(Plan([*standard_cells(), *odd]))
    overview = said(opened())
    assert "](http" not in overview.replace("\\]", "")
    for unit in ("GFLOP/s", "s"):
        assert figures(opened(THROUGHPUT, machine="atlas", unit=unit))


def test_trouble_with_the_store_is_told_on_the_page(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store cannot be opened the page says why, and shows no traceback."""
    from app import reading

    monkeypatch.setattr(reading, "WAIT_S", 0.2)
    home.write_text("a file where the folder should be")
    test = opened()
    assert any(str(home.parent.name) in str(warning.value).replace("\\", "") for warning in test.warning)


def test_a_run_shows_its_command_results_and_samples(fill: Fill) -> None:
    """A link to a run shows how it was made, every result, and every sample of the chosen measurement."""
    old, _ = fill(Plan(standard_cells()), Plan([], started=datetime(2026, 11, 21, tzinfo=UTC)))
    test = opened(RUN, run=old)
    assert "flopwatch run --profile quick" in [code.value for code in test.code]
    text = said(test).replace("\\", "")
    assert old in text
    assert "The machine was quiet." in text
    assert "matmul/512 · numba · naive**: differs from the reference" in text
    results = next(frame.value for frame in test.dataframe if "Error" in frame.value.columns)
    assert len(results) == sum(cell.status is Status.OK for cell in standard_cells())
    (figure,) = figures(test)
    clean, disturbed = (trace for trace in figure["data"] if trace["type"] == "scatter")
    assert len(clean["y"]) == PROCESSES * SAMPLES
    assert len(disturbed["y"]) == PROCESSES * 2
    assert test.query_params["measurement"]


def test_a_run_without_times_is_shown_too(fill: Fill) -> None:
    """A run of which nothing could be measured has a page that says so."""
    (run,) = fill(Plan([cell for cell in standard_cells() if cell.status is not Status.OK]))
    test = opened(RUN, run=run)
    assert not figures(test)
    assert "No measurement of this run has a time." in said(test)


def test_a_link_to_an_unknown_run_says_so(fill: Fill) -> None:
    """A link to a run that is not held says so and offers those that are."""
    (run,) = fill(Plan(standard_cells()))
    test = opened(RUN, run="no-such-run")
    assert "No run is called no-such-run" in said(test).replace("\\", "")
    assert test.selectbox[0].value == run


def test_environments_are_compared(fill: Fill) -> None:
    """Compared with another run, exactly the facts that differ are shown."""
    import msgspec

    other = msgspec.structs.replace(
        ENVIRONMENT, id="f0f0f0f0f0f0", packages={"numpy": "2.5.0", "numba": "0.68.0"}
    )
    old, new = fill(
        Plan(standard_cells()),
        Plan(standard_cells(), environment=other, started=datetime(2026, 11, 21, tzinfo=UTC)),
    )
    test = opened(RUN, run=new)
    test.selectbox[2].select(old).run()
    difference = next(frame.value for frame in test.dataframe if "The other" in frame.value.columns)
    rows = difference.set_index("Fact")
    assert list(rows.loc["packages.numpy"]) == ["2.5.0", "2.4.6"]
    assert "packages.numba" not in rows.index


def test_speedups_reopen_with_their_baseline(fill: Fill) -> None:
    """A link with a baseline shows factors against it; the wrong result is in no cell."""
    fill(Plan(standard_cells()))
    test = opened(SPEEDUPS, machine="atlas", kernel="matmul", baseline="numpy · blas")
    (figure,) = figures(test)
    (heat,) = figure["data"]
    assert heat["y"] == ["128", "512", "1024"]
    column = heat["x"].index("numba<br>naive")
    assert [line[column] != "" for line in heat["text"]] == [True, False, True]
    factors = next(frame.value for frame in test.dataframe if "Speedup" in frame.value.columns)
    fastest = factors.set_index(["Case", "Series"]).loc[("matmul/1024", "openblas · blas"), "Speedup"]
    assert fastest == pytest.approx(518 / 512, rel=1e-3)


def test_the_overview_lists_jobs_what_is_overdue_first(fill: Fill) -> None:
    """A machine that measured unattended and was not heard of since is overdue, and says what its job did."""
    from app import jobs
    from data.heartbeats import Heartbeat

    fill(Plan(standard_cells()))
    now = datetime.now(UTC)
    late = (now - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    common = {"machine": "0" * 12, "job": "nightly", "at": late, "every_s": 86_400, "due": late}
    jobs.heartbeats().note(Heartbeat(name="attic", outcome="skipped", text="on battery (60%)", **common))
    text = said(opened())
    assert "1 overdue" in text
    assert "on battery (60%)" in text
