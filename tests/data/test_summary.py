"""From lines to rows: status, time, rate, share of the ceiling."""

from dataclasses import dataclass, field

import pytest

from data.records import (
    Ceiling,
    Cell,
    Environment,
    Error,
    Machine,
    Measurement,
    Process,
    Run,
    Samples,
    Skipped,
    Work,
    uuid7,
)
from data.summary import summarise
from data.words import Status

KEY = {"variant": "blas", "condition": "given", "backend": "numpy", "device": "cpu", "threads": 1}


@dataclass
class Document:
    lines: list = field(default_factory=list)
    processes: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    interrupted: bool = False
    plan: list = field(default_factory=list)
    protocol: dict = field(default_factory=dict)

    @property
    def run(self):
        return Run(
            id=uuid7(),
            started="2026-01-01T00:00:00Z",
            flopwatch={},
            machine=Machine("0" * 12, "m", "cpu", 2, 2, 2**30),
            environment=Environment("0" * 12, "CPython"),
            profile="quick",
            effort="quick",
            seed=0,
            plan=self.plan,
            protocol=self.protocol,
        )


def line(kind=Measurement, case="matmul/512", time_ns=1000, process=0, status=Status.OK, **more):
    fields = KEY | {
        "kernel": case.split("/")[0],
        "work": Work(flop=2e6, bytes=3e6, elements=1e3),
        "unit": "GFLOP/s",
        "bound": "flop",
        "samples": Samples(time_ns=[time_ns] * 12, clean=[True] * 12, round=list(range(12))),
        "error": Error(1e-6, 1e-7, 1e-5),
    }
    if status != Status.OK:
        fields["samples"] = None
    return kind(case=case, process=process, status=status, **(fields | more))


def processes(count=6, **more):
    return [line(process=index, **more) for index in range(count)]


def test_lines_of_several_processes_are_one_measurement():
    """Six lines of the same key give one row with an interval and the rate of its work."""
    rows = summarise(
        Document([line(process=i, time_ns=t) for i, t in enumerate([990, 1000, 1000, 1000, 1010, 1020])])
    )
    assert len(rows) == 1
    row = rows[0]
    assert (row.processes, row.samples) == (6, 72)
    assert row.time_ns == pytest.approx(1000)
    assert row.low_ns < 1000 < row.high_ns
    assert row.rate == pytest.approx(2e6 / 1000)
    assert row.rate_low == pytest.approx(2e6 / row.high_ns)


def test_three_processes_have_no_interval():
    """Too few processes give a time without an interval."""
    row = summarise(Document(processes(3)))[0]
    assert row.time_ns == pytest.approx(1000)
    assert (row.low_ns, row.rate_high) == (None, None)


@pytest.mark.parametrize("status", [Status.WRONG, Status.FAILED, Status.TIMEOUT])
def test_one_bad_process_hides_the_speed(status):
    """If any process was wrong or failed, the measurement has no time anywhere."""
    row = summarise(Document([*processes(5), line(process=5, status=status, reason="off by one")]))[0]
    assert (row.status, row.reason) == (status, "off by one")
    times = (
        row.time_ns,
        row.low_ns,
        row.high_ns,
        row.best_ns,
        row.p10_ns,
        row.p90_ns,
        row.rate,
        row.share_of_ceiling,
    )
    assert times == (None,) * 8


def test_share_of_the_ceiling_of_the_same_threads_and_store():
    """A measurement stands beside the ceiling with its threads, its kind of store and the nearest footprint."""
    ceilings = [
        line(Ceiling, "ceiling/copy-8MiB", 1000, i, variant=store, threads=threads, store=store, unit="GB/s",
             bound=None, footprint_bytes=2**23, work=Work(bytes=rate))
        for i in range(6)
        for store, threads, rate in (("regular", 1, 10e3), ("streaming", 1, 20e3), ("regular", 2, 40e3))
    ]  # fmt: skip
    far = processes(
        kind=Ceiling, case="ceiling/copy-64MiB", variant="regular", unit="GB/s", bound=None, footprint_bytes=2**26,
        work=Work(bytes=5e3),
    )  # fmt: skip
    options = {"bound": "bytes", "footprint_bytes": 9_000_000, "unit": "GB/s", "work": Work(bytes=5e3)}
    regular = processes(case="relu/1M", store="regular", **options)
    unknown = processes(case="relu/1M", variant="operator", store=None, **options)
    rows = {
        (row.case, row.variant): row for row in summarise(Document([*ceilings, *far, *regular, *unknown]))
    }
    assert rows["relu/1M", "blas"].share_of_ceiling == pytest.approx(0.5)
    assert rows["relu/1M", "blas"].ceiling_case == "ceiling/copy-8MiB"
    assert rows["relu/1M", "operator"].share_of_ceiling == pytest.approx(0.25)


def test_a_rate_above_its_ceiling_is_impossible():
    """A lower bound above 1.1 times the ceiling's upper bound hides the speed and names both."""
    ceiling = processes(kind=Ceiling, case="ceiling/fma", bound=None, work=Work(flop=1e6))
    near = processes(work=Work(flop=1.09e6))
    row = {row.case: row for row in summarise(Document([*ceiling, *near]))}["matmul/512"]
    assert (row.status, row.share_of_ceiling) == (Status.OK, pytest.approx(1.09))
    far = processes(work=Work(flop=1.2e6))
    row = {row.case: row for row in summarise(Document([*ceiling, *far]))}["matmul/512"]
    assert (row.status, row.time_ns, row.rate) == (Status.IMPOSSIBLE, None, None)
    assert "ceiling/fma" in row.reason


def test_not_run_is_a_result():
    """A skipped cell is a row with its reason and how to get it."""
    fields = KEY | {"case": "matmul/512", "kernel": "matmul", "backend": "mkl"}
    skipped = Skipped(**fields, status=Status.UNAVAILABLE, reason="not installed", install="pip install mkl")
    row = summarise(Document(skipped=[skipped]))[0]
    assert (row.status, row.reason, row.install) == (Status.UNAVAILABLE, "not installed", "pip install mkl")


def test_an_interrupted_run_keeps_what_it_has():
    """Measured cells keep their time; planned cells that were never reached are interrupted."""
    plan = [Cell(case, "matmul", **KEY) for case in ("matmul/512", "matmul/1024")]
    rows = {row.case: row for row in summarise(Document(processes(2), interrupted=True, plan=plan))}
    assert rows["matmul/512"].status == Status.OK
    assert rows["matmul/1024"].status == Status.INTERRUPTED
    assert rows["matmul/1024"].time_ns is None


def test_contended_processes_are_flagged():
    """Fewer clean samples than the filter needs are said so, with the share that was clean."""
    dirty = Samples(time_ns=[1000] * 12, clean=[True] * 3 + [False] * 9, round=list(range(12)))
    row = summarise(Document(processes(samples=dirty)))[0]
    assert row.flags == ["contended"]
    assert row.clean_share == pytest.approx(0.25)


def test_one_fast_sample_shows_what_the_ceiling_allows():
    """A ceiling that noise held down makes nothing impossible that one of its own samples reached."""
    times = [1000] * 11 + [800]
    slow = Samples(time_ns=times, clean=[True] * 12, round=list(range(12)))
    ceiling = processes(kind=Ceiling, case="ceiling/fma", bound=None, work=Work(flop=1e6), samples=slow)
    row = {row.case: row for row in summarise(Document([*ceiling, *processes(work=Work(flop=1.3e6))]))}[
        "matmul/512"
    ]
    assert row.status == Status.OK


def test_a_time_below_an_empty_call_is_impossible():
    """What is shorter than a call that does nothing is hidden with the reason; of a batch, the whole counts."""
    floor = Process(
        index=0,
        block=0,
        started="2026-01-01T00:00:00Z",
        backends=["numpy"],
        threads=1,
        attributes={"floor_ns": 150.0},
    )
    short = Samples(time_ns=[100] * 12, clean=[True] * 12, round=list(range(12)))
    batched = Samples(time_ns=[1000] * 12, batch=10, clean=[True] * 12, round=list(range(12)))
    work = Work(flop=1.0)
    (row,) = summarise(
        Document([line(samples=short, bound=None, work=work, process=p) for p in range(6)], [floor])
    )
    assert row.status == Status.IMPOSSIBLE
    assert row.time_ns is None
    assert "empty call" in row.reason
    (row,) = summarise(
        Document([line(samples=batched, bound=None, work=work, process=p) for p in range(6)], [floor])
    )
    assert row.status == Status.OK


def test_a_batch_that_contradicts_its_parts_is_impossible():
    """32 products in less time than 32 over the threads single ones take are hidden; a little faster they may be."""

    def measured(batch_ns):
        single = [line(case="matmul/256", time_ns=1000, bound=None, process=p) for p in range(6)]
        batch = [
            line(case="matmul/batched-32x256", time_ns=batch_ns, bound=None, process=p) for p in range(6)
        ]
        return {row.case: row for row in summarise(Document([*single, *batch]))}["matmul/batched-32x256"]

    assert measured(20_000).status == Status.IMPOSSIBLE
    assert "matmul/256 alone" in measured(20_000).reason
    assert measured(31_000).status == Status.OK
