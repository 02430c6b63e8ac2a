"""What leaves is what is stored."""

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from data.errors import BadInput, NotFound, StorageError
from data.export import FORMATS, badge, bencher, export_view, views
from data.importers import Source, detect, to_run_file
from data.index import Index, record
from data.report import Selection
from data.rundocument import read
from data.summary import summarise
from tests.app.builder import MACHINES, Plan, standard_cells, write_run

COUNT = "SELECT count(*) AS n FROM "


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """A board of two machines."""
    folder = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOPWATCH_HOME", str(folder))
        for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
            patch.delenv(name, raising=False)
        for number, machine in enumerate(("atlas", "borealis")):
            path = folder / f"{number}.run.jsonl"
            write_run(path, Plan(standard_cells(1.0 + number), MACHINES[machine]))
            record(path)
        with Index.open() as opened:
            yield opened


def test_every_view_has_a_sentence(index: Index) -> None:
    found = views(index)
    assert {"board", "latest", "samples", "runs", "machines", "ceilings"} <= found.keys()
    assert all(found.values())


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("view", ["board", "samples", "runs", "machines"])
def test_a_view_comes_back_from_its_file(index: Index, view: str, format_: str, tmp_path: Path) -> None:
    path = tmp_path / f"it.{format_}"
    written = export_view(index, view, path, format_)
    with index.cursor() as cursor:
        reader = {"parquet": "read_parquet", "csv": "read_csv", "json": "read_json", "jsonl": "read_json"}[
            format_
        ]
        held = cursor.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0]
        assert cursor.execute(f"SELECT count(*) FROM {reader}('{path}')").fetchall()[0][0] == written == held
        if format_ == "parquet":
            difference = (
                f"(FROM {view} EXCEPT ALL FROM '{path}') UNION ALL (FROM '{path}' EXCEPT ALL FROM {view})"
            )
            assert cursor.execute(f"SELECT count(*) FROM ({difference})").fetchall() == [(0,)]
    again = tmp_path / f"again.{format_}"
    export_view(index, view, again, format_)
    assert again.read_bytes() == path.read_bytes()


def test_csv_and_json_hold_the_same_figures(index: Index, tmp_path: Path) -> None:
    export_view(index, "board", tmp_path / "b.csv", "csv")
    export_view(index, "board", tmp_path / "b.json", "json")
    with (tmp_path / "b.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for left, right in zip(rows, json.loads((tmp_path / "b.json").read_text()), strict=True):
        assert left["measurement_id"] == right["measurement_id"]
        assert (float(left["time_ns"]) if left["time_ns"] else None) == right["time_ns"]


def test_raw_samples_are_all_there(index: Index, tmp_path: Path) -> None:
    """Every sample of the run files, also of runs whose samples only the ledger holds."""
    document = read(index.ledger.read(str(index.query("SELECT sha256 FROM runs LIMIT 1")[0]["sha256"])))
    wanted = sorted(tuple(line.samples.time_ns) for line in document.lines if line.samples)
    path = tmp_path / "s.parquet"
    choice = Selection(runs=(document.run.id,))

    def found() -> list[tuple[int, ...]]:
        export_view(index, "samples", path, "parquet", choice)
        return sorted(tuple(times) for (times,) in duckdb.sql(f"SELECT time_ns FROM '{path}'").fetchall())

    assert found() == wanted
    with index.cursor() as cursor:
        run = cursor.execute("SELECT run FROM run WHERE run_id = ?", [document.run.id]).fetchall()[0][0]
        cursor.execute("BEGIN").fetchall()
        held = cursor.execute("SELECT * FROM samples WHERE run = ? ORDER BY ALL", [run]).fetchall()
        cursor.execute("COMMIT").fetchall()
    with index.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS FROM sample WHERE run = ?", [run]).fetchall()
        cursor.execute("DELETE FROM sample WHERE run = ?", [run]).fetchall()
        cursor.execute("UPDATE run SET samples_indexed = false WHERE run = ?", [run]).fetchall()
    try:
        assert found() == wanted
        assert len(held) == len(wanted)
    finally:
        with index.cursor() as cursor:
            cursor.execute("INSERT INTO sample FROM kept").fetchall()
            cursor.execute("DROP TABLE kept").fetchall()
            cursor.execute("UPDATE run SET samples_indexed = true WHERE run = ?", [run]).fetchall()


def test_a_choice_narrows_an_export(index: Index, tmp_path: Path) -> None:
    count = export_view(index, "board", tmp_path / "b.csv", "csv", Selection(machines=("atlas",)))
    assert (
        count
        == index.query(f"{COUNT}board WHERE machine = 'atlas'")[0]["n"]
        < index.query(f"{COUNT}board")[0]["n"]
    )


def test_what_cannot_be_exported_is_one_clear_message(index: Index, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no view 'boards': .*board"):
        export_view(index, "boards", tmp_path / "x.csv", "csv")
    with pytest.raises(BadInput, match="there is no format 'xls': parquet, csv, json, jsonl"):
        export_view(index, "board", tmp_path / "x.xls", "xls")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        export_view(index, "board", tmp_path / "file" / "x.csv", "csv")


def test_bencher_format_round_trip(index: Index, tmp_path: Path) -> None:
    """What is exported in Bencher's format and imported again has the same names, times and bounds."""
    choice = Selection(machines=("atlas",))
    path = tmp_path / "bmf.json"
    path.write_text(bencher(index, choice), encoding="utf-8")
    told = json.loads(path.read_text("utf-8"))
    rows = [row for row in choice.newest(index) if row["time_ns"] is not None]
    assert len(told) == len(rows)
    source = Source(path)
    assert detect(source).name == "bencher"
    (imported,) = detect(source).read(source)
    document = read(to_run_file(imported, source.content, rows[0]["started"]))
    summaries = {row.case.partition(":")[2]: row for row in summarise(document)}
    for name, measures in told.items():
        assert summaries[name].time_ns == pytest.approx(measures["latency"]["value"], rel=1e-6)
        kept = summaries[name].attributes["interval"]
        assert kept["low_ns"] == measures["latency"]["lower_value"]
    assert {row["time_ns"] for row in rows} == {measures["latency"]["value"] for measures in told.values()}


def test_a_badge_shows_the_fastest(index: Index) -> None:
    choice = Selection(machines=("atlas",), cases=("matmul/1024",))
    text = badge(index, choice, lambda row: row["variant"] == "blas")
    root = ElementTree.fromstring(text)
    words = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words[0] == "matmul/1024 blas"
    assert words[1] is not None
    assert words[1].startswith("518")
    assert words[1].endswith(" GFLOP/s")
    assert "<b>" not in badge(index, choice, label="<b>")
    with pytest.raises(NotFound, match="no result with a time"):
        badge(index, Selection(cases=("nothing/*",)))
