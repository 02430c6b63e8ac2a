"""Why a run was made: what makes history, what was measured again, and the share that came out again."""

from pathlib import Path

import duckdb
import pytest

from data import migrations, queries
from data.index import Index
from data.records import Note, uuid7
from data.reproduction import judge_reproduction
from data.rundocument import read
from data.runfile import RunFileWriter
from tests.data.run_files import lines

AT = "2026-11-23T10:00:00.000000Z"


def write(folder: Path, *, notes: tuple[Note, ...] = (), **options: object) -> Path:
    path = folder / f"{uuid7()}.run.jsonl"
    with RunFileWriter(path) as writer:
        for line in (*lines(**options), *notes):  # type: ignore[arg-type]
            writer.write(line)
        writer.end()
    return path


def repeat(folder: Path, original: Path, started: str = AT, **options: object) -> Path:
    """Write a repetition of a run with its verdicts, as ``flopwatch reproduce`` does."""
    document = read(original)
    found = judge_reproduction(document, read(write(folder, **options)))
    note = Note(
        at=AT,
        topic="reproduction",
        text="repeated",
        attributes={
            "original": document.run.id,
            "comparability": found.comparability.value,
            "differences": [],
            "results": [one.to_json() for one in found.results],
        },
    )
    protocol = {"purpose": "reproduction", "reproduces": {"run": document.run.id}}
    return write(folder, notes=(note,), started=started, protocol=protocol, **options)


def test_the_board_knows_its_share_of_reproduced_results(home: Path, tmp_path: Path) -> None:
    """One of three results comes out again, then none of them: the newest verdict counts, machine by machine."""
    from data.index import record

    original = write(tmp_path)
    record(original)
    with Index.open() as index:
        assert [
            (row["results"], row["measured_again"], row["share"]) for row in queries.reproduced(index)
        ] == [
            (3, 0, 0.0),
            (3, 0, 0.0),
        ]
    record(repeat(tmp_path, original, cells=1))
    with Index.open() as index:
        assert [(row["measured_again"], row["reproduced"]) for row in queries.reproduced(index)] == [
            (1, 1)
        ] * 2
        assert queries.reproduced(index)[0]["share"] == pytest.approx(1 / 3)
    record(repeat(tmp_path, original, started="2026-11-24T10:00:00.000000Z", cells=3, time_ns=1.3e6))
    with Index.open() as index:
        overall, machine = queries.reproduced(index)
        assert (overall["machine_id"], machine["machine"]) == (None, "testbox")
        rows = queries.reproductions(index, read(original).run.id)
        kinds = {(row["case_id"], row["verdict"]) for row in rows}
        assert ("matmul/0", "reproduced") in kinds
        assert ("matmul/1", "not reproduced") in kinds
        assert ("matmul/1", "not comparable") in kinds  # the first repetition had one case only
        assert overall["results"] == machine["results"] == 3
        assert (overall["measured_again"], overall["reproduced"], overall["share"]) == (3, 0, 0.0)
        assert all(row["predicted"] is not None for row in rows if row["verdict"] != "not comparable")


def test_environments_side_by_side_and_repetitions_make_no_history(home: Path, tmp_path: Path) -> None:
    """A matrix with an old NumPy is no new state of the machine: the newest row stays that of the last plain run."""
    from data.index import record

    plain = write(tmp_path, started="2026-11-20T10:00:00.000000Z")
    matrix = {"id": uuid7(), "environment": "numpy==1.26.4", "of": []}
    other = write(tmp_path, started=AT, protocol={"purpose": "matrix", "matrix": matrix}, time_ns=2e6)
    for file in (plain, other):
        record(file)
    with Index.open() as index:
        assert {row["run_id"] for row in queries.latest(index)} == {read(plain).run.id}
        runs = {row["run_id"]: row for row in queries.runs(index)}
        assert runs[read(other).run.id]["matrix_environment"] == "numpy==1.26.4"
        assert runs[read(other).run.id]["matrix_id"] == matrix["id"]
        assert {run for one in queries.histories(index) for run in one.runs} == {read(plain).run.id}
        purposes = index.query("SELECT DISTINCT run_id, purpose FROM board")
        assert {row["run_id"]: row["purpose"] for row in purposes} == {
            read(plain).run.id: "series",
            read(other).run.id: "matrix",
        }


def test_an_older_index_gets_the_present_views(tmp_path: Path) -> None:
    """A migration makes all views anew, with the sentences of their columns."""
    connection = duckdb.connect(str(tmp_path / "index.duckdb"))
    cursor = connection.cursor()
    migrations.migrate(cursor)
    cursor.execute("DROP VIEW reproduced").fetchall()
    cursor.execute("DELETE FROM schema_version WHERE version = 2").fetchall()
    assert migrations.migrate(cursor) == 1
    assert cursor.execute("SELECT count(*) FROM reproduced").fetchall() == [(0,)]
    assert cursor.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'board'").fetchall()[0][0]
    assert migrations.migrate(cursor) == migrations.MIGRATIONS[-1].version
    with pytest.raises(duckdb.Error):
        cursor.execute("SELECT nothing FROM board").fetchall()
