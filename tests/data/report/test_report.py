"""Reports: their figures are those of the store, their bytes depend on nothing else, and people can change them."""

import html.parser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from data import maintenance
from data.errors import BadInput, NotFound
from data.importers import Source, detect, to_run_file
from data.index import Index, record
from data.ledger import open_ledger
from data.published import publications
from data.records import Work
from data.report import Selection, build, render, write
from data.report.model import Report, Table
from data.report.selection import moment
from tests.app.builder import MACHINES, Cell, Plan, standard_cells, write_run

FILES = Path(__file__).parent.parent / "importers" / "files"

EARLY, LATE = datetime(2026, 11, 20, 9, 30, tzinfo=UTC), datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def more_cells() -> list[Cell]:
    """What the standard cells lack: attention, decoding, GELU, softmax and indented JSON."""
    flop, tokens, element = Work(flop=5.4e8), Work(tokens=64.0), Work(elements=1e6, bytes=8e6)
    file = Work(bytes=2e8)
    return [
        Cell("attention/8x512x64", "unfused-fresh", "numpy", 6e6, work=flop, condition="fresh"),
        Cell("attention/8x512x64", "fused", "numba", 2e6, work=flop),
        Cell("decode/512+64", "recompute", "numba", 3.2e8, "s", tokens, threads=1),
        Cell("decode/512+64", "kv-cache", "numba", 8e6, "s", tokens, threads=1),
        Cell("gelu/10M", "unfused", "numpy", 9e6, "GElement/s", element, threads=1),
        Cell("gelu/10M", "fused", "numba", 3e6, "GElement/s", element, threads=1),
        Cell("softmax/64x512", "scalar", "numba", 4e5, "GElement/s", element, threads=1),
        Cell("save/small-constant", "json-pretty", "orjson", 2e9, "GB/s", file, threads=1, condition="warm"),
        Cell(
            "save/small-constant",
            "safetensors",
            "safetensors",
            2.5e8,
            "GB/s",
            file,
            threads=1,
            condition="warm",
        ),
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A board with two runs of one machine, one of another, and what Criterion measured."""
    folder = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOPWATCH_HOME", str(folder))
        for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
            patch.delenv(name, raising=False)
        slow = [replace(cell, time_ns=cell.time_ns * 1.2) for cell in standard_cells()]
        write_run(folder / "1.run.jsonl", Plan(slow, started=EARLY))
        write_run(folder / "2.run.jsonl", Plan([*standard_cells(), *more_cells()], started=LATE))
        write_run(folder / "3.run.jsonl", Plan(standard_cells(2.0), MACHINES["borealis"], EARLY))
        source = Source(FILES / "criterion")
        (imported,) = detect(source).read(source)
        imported.started = EARLY  # a checkout gives files the date of its making
        (folder / "4.run.jsonl").write_bytes(to_run_file(imported, b"criterion", EARLY))
        for number in range(1, 5):
            record(folder / f"{number}.run.jsonl")
        yield folder


@pytest.fixture(scope="module")
def report(home: Path) -> Report:
    """All of it."""
    with Index.open() as index:
        return build(index)


@pytest.fixture(scope="module")
def atlas(home: Path) -> Report:
    """One machine of it."""
    with Index.open() as index:
        return build(index, Selection(machines=("atlas",)))


def table(report: Report, name: str) -> list[dict[str, str]]:
    (found,) = [one for one in [*report.tables, *report.summary] if one.id == name]
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def quantity(text: str) -> tuple[float, float]:
    """Return the number that a cell begins with, in ns or the rate's own unit, and half of its last digit."""
    match = re.match(r"([\d,.]+)(?:\s(s|ms|µs|ns)\b)?", text)
    assert match, text
    digits, unit = match[1].replace(",", ""), match[2]
    scale = {"s": 1e9, "ms": 1e6, "µs": 1e3, "ns": 1.0, None: 1.0}[unit]
    decimals = len(digits.partition(".")[2])
    return float(digits) * scale, 0.5000001 * 10.0**-decimals * scale


def assert_shows(cell: str, value: float) -> None:
    shown, half = quantity(cell)
    assert abs(shown - value) <= half + 1e-9 * abs(value), (cell, value)


# -- the figures are those of the store ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["naive", "attention", "decode", "layernorm", "softmax"])
def test_each_row_is_a_row_of_the_store(home: Path, atlas: Report, name: str) -> None:
    """Every time and rate of a table is what SQL says of the same series, to the last digit that is shown."""
    rows = table(atlas, name)
    assert rows
    with Index.open() as index:
        for row in rows:
            variant, _, condition = row["variant"].partition(" (")
            found = index.query(
                "SELECT * FROM latest WHERE machine = 'atlas' AND case_id = ? AND variant = ? AND backend = ? "
                "AND threads = ? AND (condition = ? OR ? = '') AND time_ns IS NOT NULL",
                [row["case"], variant, row["backend"], int(row["threads"]), *[condition.rstrip(")")] * 2],
            )
            assert len(found) == 1, row
            assert_shows(row["time"], found[0]["time_ns"])
            assert_shows(
                row["interval"].partition(" – ")[0] + " " + row["time"].split()[1], found[0]["low_ns"]
            )
            if found[0]["rate"] is not None:
                assert_shows(row["rate"], found[0]["rate"])
                assert row["rate"].endswith(found[0]["unit"])


def test_every_measured_case_is_in_the_report(home: Path, atlas: Report) -> None:
    """No result with a time is left out of all tables."""
    text = render(atlas, "html")
    with Index.open() as index:
        rows = index.query(
            "SELECT DISTINCT case_id FROM latest WHERE machine = 'atlas' AND time_ns IS NOT NULL"
        )
    assert all(str(row["case_id"]) in text for row in rows)


def test_speedups_are_ratios_of_the_same_run(atlas: Report) -> None:
    """The builder's processes differ by the same factor on both sides, so each ratio is that of the times it chose."""
    times = {
        (cell.case, cell.variant, cell.backend): cell.time_ns for cell in [*standard_cells(), *more_cells()]
    }
    (row,) = [one for one in table(atlas, "attention") if one["variant"] == "fused"]
    assert_shows(row["speedup"], 3.0)
    (row,) = [one for one in table(atlas, "decode") if one["variant"] == "kv-cache"]
    assert_shows(row["speedup"], 40.0)
    (row,) = table(atlas, "gelu")
    assert_shows(row["speedup"], 3.0)
    for row in table(atlas, "blas"):
        if row["case"] in ("matmul/128", "matmul/1024"):
            old = times[row["case"], "naive", "numba"]
            assert_shows(row["speedup"], old / times[row["case"], "blas", row["backend"]])
    (row,) = [one for one in table(atlas, "serialization-improvement") if one["what"] == "save"]
    assert (row["fill"], row["published"]) == ("constant", "7.4x")
    assert_shows(row["improvement"], 8.0)


def test_published_figures_stand_beside_measured_ones(atlas: Report) -> None:
    (one,) = publications()
    published = {result.case: result for result in one.result if result.variant == "naive"}
    rows = [row for row in table(atlas, "naive") if row["case"] in published]
    assert rows
    for row in rows:
        assert row["published time"] == f"{published[row['case']].time_ns / 1e6:g} ms"
    assert "not measured here" in atlas.source


def test_bottlenecks_are_ranked_by_distance_to_the_ceiling(home: Path, atlas: Report) -> None:
    rows = table(atlas, "bottlenecks")
    shares = [int(row["of ceiling"].rstrip("%")) for row in rows]
    assert shares == sorted(shares)
    with Index.open() as index:
        lowest = index.query(
            "SELECT case_id FROM (FROM latest WHERE machine = 'atlas' AND share_of_ceiling IS NOT NULL "
            "QUALIFY row_number() OVER (PARTITION BY case_id ORDER BY time_ns) = 1) ORDER BY share_of_ceiling LIMIT 1"
        )
    assert rows[0]["case"] == lowest[0]["case_id"]


def test_every_claim_has_a_verdict(atlas: Report) -> None:
    rows = table(atlas, "claims")
    assert {row["claim"] for row in rows} == {claim.id for one in publications() for claim in one.claim}
    known = {"holds", "exceeded", "falls short", "inconclusive", "not comparable here", "not measured"}
    assert {row["verdict"] for row in rows} <= known
    (row,) = [row for row in rows if row["claim"] == "fused-gelu"]
    assert row["verdict"] == "holds"
    assert len(table(atlas, "plan")) == sum(len(one.item) for one in publications())


def test_what_went_wrong_and_what_is_absent_is_named(home: Path, atlas: Report) -> None:
    problems = {(row["case"], row["status"]) for row in table(atlas, "problems")}
    assert ("matmul/512", "wrong") in problems
    assert ("matmul/1024", "timeout") in problems
    absent = {row["backend"]: row for row in table(atlas, "absent")}
    assert absent["mkl"]["cells"] == "3"
    assert absent["cupy"]["how to get it"] == "pip install 'flopwatch[cuda13]'"
    (row,) = [row for row in table(atlas, "summary") if row["machine"] == "atlas"]
    with Index.open() as index:
        states = index.query(
            "SELECT status, count(*) AS n FROM latest WHERE machine = 'atlas' GROUP BY status"
        )
    counted = {one["status"]: one["n"] for one in states}
    assert (row["ok"], row["not measured"]) == (str(counted["ok"]), str(counted["unavailable"]))


def test_imported_results_say_what_they_lack(report: Report) -> None:
    rows = table(report, next(one.id for one in report.tables if one.id == "other-tools"))
    assert {row["tool"] for row in rows} == {"criterion"}
    for row in rows:
        assert row["interval"] == "one process"
        assert "no interval over processes" in row["limits"]
        assert "95% in one process" in row["the tool's own interval"]


# -- choices -------------------------------------------------------------------------------------------------------


def test_a_choice_narrows_the_report(home: Path) -> None:
    with Index.open() as index:
        early = build(index, Selection(machines=("atlas",), until=moment("2026-11-21")), draw=False)
        late = build(index, Selection(machines=("atlas",)), draw=False)
        cases = build(index, Selection(cases=("relu/*",)), draw=False)
        assert quantity(table(early, "naive")[0]["time"]) > quantity(table(late, "naive")[0]["time"])
        assert not [one for one in cases.tables if one.id.startswith("naive")]
        with pytest.raises(NotFound, match=r"no machine is called 'atlantis': .*atlas"):
            build(index, Selection(machines=("atlantis",)))
        with pytest.raises(NotFound, match="no run is in this choice"):
            build(index, Selection(versions=("numpy==1.*",)))
        assert build(index, Selection(versions=("numpy==2.4*",)), draw=False).tables
        with pytest.raises(BadInput, match="'yesterday' is no moment"):
            moment("yesterday")


def test_changes_against_an_earlier_run(home: Path) -> None:
    with Index.open() as index:
        (old,) = index.query("SELECT run_id FROM runs WHERE machine = 'atlas' ORDER BY started LIMIT 1")
        found = build(index, Selection(machines=("atlas",)), draw=False, against=str(old["run_id"]))
    rows = table(found, "changes")
    assert rows
    assert {row["verdict"] for row in rows} == {"faster"}
    for row in rows:
        assert float(row["new / old"]) == pytest.approx(1 / 1.2, rel=1e-3)  # times are whole ns
    short = render(found, "short")
    assert "Changes since run" in short
    assert "faster" in short


# -- bytes ---------------------------------------------------------------------------------------------------------


def test_the_same_store_gives_the_same_bytes(home: Path, report: Report, tmp_path: Path) -> None:
    """Also in another process with another seed of hashes, time zone and language."""
    mine = {path.name: path.read_bytes() for path in write(report, tmp_path / "report.md")}
    for seed in ("7",):
        other = tmp_path / seed / "report.md"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C"}
        words = [sys.executable, "-m", "runners", "report", "-o", str(other)]
        subprocess.run(words, check=True, env=environment, capture_output=True, timeout=300)
        theirs = {
            path.name: path.read_bytes() for path in [other, *other.with_name("report_files").iterdir()]
        }
        assert theirs == mine


def test_a_board_taken_elsewhere_gives_the_same_report(
    home: Path, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "board.tar.gz"
    maintenance.backup(archive)
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path / "elsewhere"))
    from runners.cli import main

    assert main(["import", str(archive)]) == 0
    with Index.open() as index:
        other = build(index)
    for format_ in ("markdown", "html", "short"):
        assert render(other, format_) == render(report, format_)


# -- Markdown, HTML and templates ----------------------------------------------------------------------------------


def test_markdown_holds_every_table_whole(report: Report) -> None:
    """A renderer with GitHub's tables finds each table with all of its cells."""
    tokens = MarkdownIt("commonmark").enable("table").parse(render(report))
    counted = [token.type for token in tokens]
    wanted: list[Table] = [*report.summary, *report.tables]
    assert counted.count("table_open") == len(wanted)
    assert counted.count("td_open") == sum(len(one.rows) * len(one.columns) for one in wanted)
    assert counted.count("th_open") == sum(len(one.columns) for one in wanted)
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", render(report, folder="charts"))
    assert pictures == [f"charts/{chart.file}" for chart in report.charts]


class Balanced(html.parser.HTMLParser):
    """Collects tables and looks for elements that are not closed, and for anything from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tables += tag == "table"
        if tag not in ("meta", "br", "path", "use", "rect", "line"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and value:
                assert value.startswith("#"), value

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing is left open."""

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "br", "path", "use", "rect", "line"):
            assert self.open.pop() == tag


def test_html_is_one_whole_file(report: Report) -> None:
    text = render(report, "html")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert parser.tables == len(report.tables) + len(report.summary)
    assert text.count("<svg") == len(report.charts) > 0


def test_names_cannot_break_out_of_their_cell(home: Path) -> None:
    with Index.open() as index:
        found = build(index, draw=False)
    evil = "<b>|`x`*y*\n[z](#)"
    found.summary[0].rows[0][0] = evil
    markdown = MarkdownIt("commonmark").enable("table").render(render(found))
    assert "&lt;b&gt;|`x`*y* [z](#)" in markdown
    assert "<b>|" not in render(found, "html")


def test_a_template_takes_the_place_of_ours(report: Report, tmp_path: Path) -> None:
    mine = tmp_path / "mine.j2"
    mine.write_text("{% for one in report.tables %}{{ one.id }} {{ one.rows | length }}\n{% endfor %}")
    lines = render(report, template=mine).splitlines()
    assert lines == [f"{one.id} {len(one.rows)}" for one in report.tables]
    mine.write_text("\n{% for %}")
    with pytest.raises(BadInput, match=r"mine\.j2, line 2: "):
        render(report, template=mine)
    mine.write_text("{{ report.nothing }}")
    with pytest.raises(BadInput, match=r"mine\.j2: UndefinedError: .*nothing"):
        render(report, template=mine)
    with pytest.raises(BadInput, match="there is no format 'pdf'"):
        render(report, "pdf")


def test_charts_draw_what_was_measured(atlas: Report) -> None:
    """Each chart names its cases, and is the same text each time."""
    charts = {chart.file.partition("-")[2]: chart for chart in atlas.charts}
    assert set(charts) == {"matmul.svg", "elementwise.svg", "ceilings.svg", "serialization.svg"}
    assert "blas, openblas, threads: 8" in charts["matmul.svg"].svg
    assert "published (another machine)" in charts["matmul.svg"].svg
    assert "relu/10M parallel-simd (8)" in charts["elementwise.svg"].svg
    assert "save/small-constant json-pretty" in charts["serialization.svg"].svg
    assert all("<dc:date>" not in chart.svg for chart in atlas.charts)


def test_open_regressions_are_listed_with_their_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case that is 30 % slower from the ninth run on is in the table, and what did not change is not."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path))
    for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    ledger = open_ledger(tmp_path / "ledger")
    for number in range(16):
        jitter = 1 + 0.001 * ((number * 7) % 5 - 2)
        cells = [
            Cell(
                "matmul/512",
                "blas",
                "numpy",
                1e6 * jitter * (1.3 if number >= 8 else 1.0),
                work=Work(flop=1e8),
            ),
            Cell("matmul/256", "blas", "numpy", 1e5 * jitter, work=Work(flop=1e7)),
        ]
        path = tmp_path / f"{number}.run.jsonl"
        write_run(path, Plan(cells, started=EARLY + timedelta(hours=6 * number)))
        ledger.append("run", path.read_bytes())
    with Index.open() as index:
        rows = table(build(index, draw=False), "regressions")
        none = build(index, Selection(cases=("matmul/256",)), draw=False)
    assert [row["series"].partition(" ")[0] for row in rows] == ["matmul/512"]
    assert "slower" in rows[0]["change"]
    assert rows[0]["cause"]
    assert not [one for one in none.tables if one.id == "regressions"]
