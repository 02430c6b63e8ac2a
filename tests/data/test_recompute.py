"""Nobody needs to believe our estimators: from DuckDB alone each number follows anew, or another one."""

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from data.compare import compare_within
from data.estimate import sign_interval
from data.ingest import take
from data.ledger import RUN, Ledger
from data.runfile import read
from data.store import Store
from tests.data.run_files import run_bytes

#: one value a process: the median of ln(time of one call), over clean samples where there are ten
OF_A_PROCESS = """
    SELECT measurement_id, process, median(ln(t) - ln(batch)) AS value
    FROM (
        SELECT measurement_id, process, batch, unnest(time_ns) AS t, unnest(clean) AS c,
               list_count(list_filter(clean, lambda one: one)) >= 10 AS enough
        FROM samples WHERE status = 'ok'
    )
    WHERE c OR NOT enough
    GROUP BY ALL
"""

#: ln(new / old) of each common round that is clean on both sides, of two cases that shared a process
OF_A_PAIR = """
    WITH one AS (
        SELECT b.case_id, s.process, unnest(s.round) AS r, unnest(s.time_ns) AS t, unnest(s.clean) AS c
        FROM samples AS s JOIN board AS b USING (measurement_id) WHERE s.status = 'ok'
    )
    SELECT n.process, median(ln(n.t) - ln(o.t)) FILTER (n.c AND o.c) AS clean, count(*) FILTER (n.c AND o.c) AS rounds,
           median(ln(n.t) - ln(o.t)) AS every
    FROM one AS n JOIN one AS o ON n.process = o.process AND n.r = o.r
    WHERE n.case_id = 'matmul/2' AND o.case_id = 'matmul/1' GROUP BY n.process ORDER BY n.process
"""


@pytest.fixture
def held(tmp_path: Path, ledger: Ledger) -> Iterator[tuple[Store, bytes]]:
    """A store with one run of real records, and the file it came from."""
    content = run_bytes(tmp_path, samples=30)
    with Store(tmp_path / "index.duckdb") as store:
        store.ingest([take(ledger.append(RUN, content), ledger)], ledger)
        yield store, content


def test_time_and_interval_follow_from_the_samples(held: tuple[Store, bytes]) -> None:
    """Median over processes of medians over samples, and the sign interval, are those on the board."""
    store, _ = held
    values: dict[str, list[float]] = {}
    for row in store.query(OF_A_PROCESS):
        values.setdefault(row["measurement_id"], []).append(row["value"])
    board = store.query("SELECT * FROM board WHERE status = 'ok'")
    assert len(board) == 3
    for row in board:
        logs = values[row["measurement_id"]]
        ordered = sorted(logs)
        assert row["time_ns"] == pytest.approx(math.exp(ordered[len(ordered) // 2]), rel=1e-9)
        low, high = sign_interval(logs)
        assert (row["low_ns"], row["high_ns"]) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-9)


def test_a_ratio_follows_from_the_rounds(held: tuple[Store, bytes]) -> None:
    """Pairing by round, in SQL, gives the ratio that a comparison gives."""
    store, content = held
    logs = [row["clean"] if row["rounds"] >= 10 else row["every"] for row in store.query(OF_A_PAIR)]
    document = read(content)
    keys = {line.case: line.key for line in document.lines if line.variant == "blas"}
    pair = compare_within(document, document.processes, keys["matmul/2"], keys["matmul/1"])
    assert pair is not None
    low, high = sign_interval(logs)
    assert (pair.comparison.low, pair.comparison.high) == pytest.approx(
        (math.exp(low), math.exp(high)), rel=1e-9
    )


def test_another_estimator_needs_nothing_else(held: tuple[Store, bytes]) -> None:
    """The fastest sample and a mean of all samples, unfiltered, in one query; the same from the run file."""
    store, content = held
    found = {
        row["case_id"]: (row["fastest"], row["mean"])
        for row in store.query(
            "SELECT case_id, min(t / batch) AS fastest, avg(t / batch) AS mean FROM "
            "(SELECT measurement_id, batch, unnest(time_ns) AS t FROM samples WHERE status = 'ok') "
            "JOIN board USING (measurement_id) GROUP BY case_id"
        )
    }
    times: dict[str, list[float]] = {}
    for line in read(content).lines:
        if line.samples is not None and not line.case.startswith("ceiling"):
            times.setdefault(line.case, []).extend(t / line.samples.batch for t in line.samples.time_ns)
    assert found.keys() == times.keys()
    for case, expected in times.items():
        assert found[case] == pytest.approx((min(expected), fmean(expected)))
