"""Reports, exports and imports as a person uses them."""

import json
from pathlib import Path

import pytest

from data.index import Index
from runners.cli import main
from runners.machine import describe_machine

FILES = Path(__file__).parent.parent / "data" / "importers" / "files"


def test_results_of_criterion_stand_beside_our_own(home, tmp_path, capsys):
    """A mapped name is a case of the workload, on this machine, with the workload's own count of work."""
    words = ["--machine", "this", "--map", "matmul/naive/*=matmul/*:naive"]
    assert main(["import", str(FILES / "criterion"), *words]) == 0
    assert "4 benchmarks, 4 with a time: stored and indexed" in capsys.readouterr().out
    with Index.open() as index:
        rows = index.query("SELECT * FROM latest ORDER BY case_id")
    assert [row["case_id"] for row in rows if row["kernel"] == "matmul"] == ["matmul/128", "matmul/512"]
    assert {row["machine_id"] for row in rows} == {describe_machine().id}
    mapped = next(row for row in rows if row["case_id"] == "matmul/512")
    assert (mapped["variant"], mapped["backend"], mapped["unit"]) == ("naive", "criterion", "GFLOP/s")
    assert mapped["rate"] == pytest.approx(2 * 512**3 / mapped["time_ns"])
    assert next(row for row in rows if row["case_id"] == "criterion:tiny/add")["unit"] == "s"
    report = tmp_path / "report.md"
    assert main(["report", "--no-charts", "-o", str(report)]) == 0
    assert "| matmul/512 | naive | criterion | 1 |" in report.read_text("utf-8")


def test_importing_again_changes_nothing(home, capsys):
    for _ in range(2):
        assert main(["import", "--json", str(FILES / "pyperf.json")]) == 0
    first, again = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == again
    with Index.open() as index:
        assert index.query("SELECT count(*) AS n FROM runs")[0]["n"] == 1


def test_dates_and_machines_that_people_name(home, capsys):
    words = ["--date", "2026-11-01T10:00", "--machine", "lab"]
    assert main(["import", str(FILES / "hyperfine.json"), *words]) == 0
    assert main(["import", str(FILES / "bencher.json"), *words]) == 0
    with Index.open() as index:
        rows = index.query("SELECT DISTINCT machine, machine_id, started FROM board")
    assert [(row["machine"], row["started"].isoformat()) for row in rows] == [
        ("lab", "2026-11-01T10:00:00+00:00")
    ]


def test_one_file_that_is_wrong_stops_no_other(home, tmp_path, capsys):
    broken = tmp_path / "pyperf.json"
    broken.write_bytes((FILES / "pyperf.json").read_bytes()[:2000])
    assert main(["import", str(broken), str(FILES / "go-bench.txt")]) == 2
    told = capsys.readouterr()
    assert "pyperf.json, line 1: is no JSON: it ends early" in told.err
    assert "go test -bench text, 2 benchmarks, 2 with a time" in told.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("import", str(FILES / "criterion"), "--map", "matmul/naive/*=matmul/9*"), "makes 'matmul/9128' of"),
        (("import", str(FILES / "criterion"), "--map", "matmul"), "is not NAME=CASE"),
        (("import", str(FILES / "criterion"), "--map", "a=matmul/*"), "is not NAME=CASE"),
        (("import", str(FILES / "bencher.json"), "--date", "soon"), "'soon' is no moment"),
        (
            ("import", str(FILES / "bencher.json"), "--format", "pyperf"),
            "missing required field `benchmarks`",
        ),
        (("export", "board"), "needs -o FILE"),
        (("export", "board", "-o", "board.xls"), "names no format: .parquet, .csv, .json, .jsonl"),
        (("export", "badge"), "no result with a time"),
        (("report",), "measure first: flopwatch run"),
        (("report", "--template", "nowhere.j2"), "nowhere.j2 is no file"),
    ],
)
def test_wrong_use_is_one_clear_line(home, capsys, words, told):
    assert main(list(words)) == 2
    message = capsys.readouterr().err
    assert told in message
    assert message.count("\n") == 1


def test_a_board_goes_out_and_comes_in(home, tmp_path, capsys, monkeypatch):
    assert main(["import", str(FILES / "pyperf.json")]) == 0
    archive = tmp_path / "board.tar.gz"
    assert main(["export", "archive", "-o", str(archive)]) == 0
    assert main(["export", "all", "-o", str(tmp_path / "views"), "--format", "csv"]) == 0
    assert len(list((tmp_path / "views").iterdir())) >= 10
    assert main(["export", "views"]) == 0
    assert "board" in capsys.readouterr().out
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path / "elsewhere"))
    assert main(["import", str(archive)]) == 0
    assert "restored: 1" in capsys.readouterr().out
    assert main(["report", "--format", "short"]) == 0
    assert "pyperf" not in capsys.readouterr().err
