"""A question in SQL by a person reads a copy and nothing else, and never keeps anybody waiting."""

from pathlib import Path

import pytest

from data import question
from data.errors import BadInput, IndexOwned
from data.index import Index


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A published copy of an empty index."""
    with Index.open(tmp_path / "flopwatch.duckdb") as index:
        return index.database, index.copies


def test_an_answer_has_columns_and_rows(places: tuple[Path, Path]) -> None:
    """Numbers stay numbers, moments and lists become text, nothing stays nothing."""
    sql = "SELECT 1 AS a, 'x' AS b, NULL AS c, [1, 2] AS d, TIMESTAMPTZ '2026-11-24 12:00:00Z' AS e, 'nan'::DOUBLE AS f"
    found = question.answer(*places, sql, seconds=120)
    assert found.columns == list("abcdef")
    assert found.rows == [[1, "x", None, "[1, 2]", "2026-11-24 12:00:00+00", "nan"]]
    assert not found.cut
    assert question.answer(*places, "SELECT *, started FROM runs", seconds=120).rows == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET threads = 64",
        "DELETE FROM run",
        "CREATE TABLE t AS SELECT 1",
        "SELECT * FROM glob('*')",
    ],
)
def test_only_reading_is_possible(places: tuple[Path, Path], sql: str) -> None:
    """Files, networks, settings and every change are refused in words."""
    with pytest.raises(BadInput, match=r"Error"):
        question.answer(*places, sql, seconds=120)


def test_rows_time_and_memory_are_bounded(places: tuple[Path, Path]) -> None:
    """Too many rows and too long values are cut and said to be; what takes too long is stopped."""
    many = question.answer(*places, "FROM range(100)", rows=7, seconds=120)
    assert (len(many.rows), many.cut) == (7, True)
    long = question.answer(*places, "SELECT repeat('x', 1000000) AS x", seconds=120)
    assert (len(long.rows[0][0]), long.cut) == (10_000, True)
    endless = "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT count(*) FROM t"
    with pytest.raises(BadInput, match=r"longer than 2 s"):
        question.answer(*places, endless, seconds=2)
    with pytest.raises(BadInput, match=r"Out of Memory|allocate"):
        question.answer(*places, "SELECT list(i) FROM range(400000000) t(i)", seconds=120)


def test_what_cannot_be_asked_is_told(places: tuple[Path, Path], tmp_path: Path) -> None:
    """An empty question, wrong SQL and an index without a copy each have their own words."""
    with pytest.raises(BadInput, match="no question"):
        question.answer(*places, "  ")
    with pytest.raises(BadInput, match="nowhere"):
        question.answer(*places, "FROM nowhere", seconds=120)
    with pytest.raises(IndexOwned):
        question.answer(tmp_path / "none.duckdb", tmp_path / "none", "SELECT 1")
