"""Whole runs of the fake kernel in real worker processes: what is written, in which order, and what breaks what."""

import msgspec
import pytest

from data.records import Measurement, Process
from data.words import Profile, Status
from runners.lines import Lines, Observer
from runners.orchestrate import Orchestrator
from runners.plan import make_plan
from runners.protocol import Replication


def orchestrate(tmp_path, cases, variants=(), replication=None, held=None, **more):
    """Run a plan of the fake kernel; return the records as written and the orchestrator."""
    plan = make_plan(Profile.FULL, cases, variants, ("numpy",), (1,))
    written = list(held or [])
    lines = Lines(written.append)
    lines.hold(measurements(written), [record for record in written if isinstance(record, Process)])
    orchestrator = Orchestrator(
        plan,
        lines,
        replication or Replication((3,), 0.95),
        seed=1,
        scratch=tmp_path,
        numba_cache=tmp_path / "numba",
        observer=Observer(),
        **more,
    )
    return written, orchestrator


def measurements(written):
    return [record for record in written if isinstance(record, Measurement)]


def test_each_block_measures_every_cell_in_a_fresh_process(fake_kernels, tmp_path):
    """Three processes give three lines a cell, each naming its process, all encodable as JSON lines."""
    written, orchestrator = orchestrate(tmp_path, ("fake/steady",))
    assert orchestrator.run() == "complete"
    processes = [record for record in written if isinstance(record, Process)]
    assert [process.block for process in processes] == [0, 1, 2]
    assert len({process.attributes["pid"] for process in processes}) == 3
    for variant, time_ns in (("one-ms", 1_000_100), ("two-ms", 2_000_100)):
        lines = [line for line in measurements(written) if line.variant == variant]
        assert [line.process for line in lines] == [0, 1, 2]
        assert all(set(line.samples.time_ns) == {time_ns} for line in lines)
    assert all(msgspec.json.encode(record) for record in written)


def test_what_breaks_a_process_is_named_and_its_neighbours_are_measured(fake_kernels, tmp_path):
    """A crash and a hang cost their own variant, not the run."""
    variants = ("one-ms", "crashes", "hangs", "raises", "wrong")
    written, orchestrator = orchestrate(tmp_path, ("fake/odd",), variants, limit_s=4)
    orchestrator.run()
    found = {}
    for line in measurements(written):
        found.setdefault(line.variant, []).append(line.status)
    assert found["one-ms"] == [Status.OK] * 3
    assert found["crashes"] == [Status.FAILED]
    assert found["hangs"] == [Status.TIMEOUT]
    assert found["raises"] == [Status.FAILED]
    assert found["wrong"] == [Status.WRONG]
    reasons = {line.variant: line.reason for line in measurements(written)}
    assert "SIGSEGV" in reasons["crashes"]
    assert "no answer within 4 s" in reasons["hangs"]


def test_a_wrong_answer_has_no_time_in_its_line(fake_kernels, tmp_path):
    """A wrong measurement carries its error and no samples."""
    written, orchestrator = orchestrate(tmp_path, ("fake/odd",), ("wrong", "nan"))
    orchestrator.run()
    for line in measurements(written):
        assert (line.status, line.samples, line.first_call_ns) == (Status.WRONG, None, None)
    errors = {line.variant: line.error for line in measurements(written)}
    assert errors["wrong"].max_absolute == pytest.approx(1, rel=1e-3)
    assert errors["nan"].max_absolute is None


def test_an_interrupted_run_is_resumed_where_it_stopped(fake_kernels, tmp_path):
    """What is written is not measured again; what is missing is."""
    written, orchestrator = orchestrate(tmp_path, ("fake/steady",))
    orchestrator.run()
    stopped = written[:4]
    resumed, orchestrator = orchestrate(tmp_path, ("fake/steady",), held=stopped)
    orchestrator.run()
    assert resumed[:4] == stopped
    blocks = {record.index: record.block for record in resumed if isinstance(record, Process)}
    done = [(line.variant, blocks[line.process]) for line in measurements(resumed)]
    assert sorted(done) == [(variant, block) for variant in ("one-ms", "two-ms") for block in range(3)]


def test_a_long_call_is_measured_once_a_process_and_checked_afterwards(fake_kernels, tmp_path):
    """From the second process on, a call of seconds is made once: timed, then checked."""
    written, orchestrator = orchestrate(tmp_path, ("fake/long",))
    orchestrator.run()
    lines = measurements(written)
    assert all(len(line.samples.time_ns) == 1 for line in lines)
    assert lines[0].first_call_ns is not None
    assert [line.first_call_ns for line in lines[1:]] == [None, None]
    assert all(line.error is not None for line in lines)


def test_a_precise_case_stops_at_its_look(fake_kernels, tmp_path):
    """On a clock that stands still everything is precise: at the first look that can tell, all is done."""
    replication = Replication((5, 7, 9), 0.95, precision=0.02)
    written, orchestrator = orchestrate(tmp_path, ("fake/steady",), replication=replication)
    assert orchestrator.run() == "complete"
    counts = [line.variant for line in measurements(written)]
    assert (counts.count("one-ms"), counts.count("two-ms")) == (7, 7)


def test_the_second_sitting_waits_and_nothing_stops_before_it(fake_kernels, tmp_path):
    """A rigorous run has two sittings; what was measured an hour ago need not be waited for when it is resumed."""
    slept = []
    replication = Replication((6, 7), 0.95, precision=0.02, second_sitting=6, apart_s=3600)
    written, orchestrator = orchestrate(
        tmp_path, ("fake/steady",), ("one-ms",), replication=replication, sleep=slept.append
    )
    orchestrator.run()
    assert [round(seconds, -1) for seconds in slept] == [3600]
    assert len(measurements(written)) == 7
    held = [record for record in written if getattr(record, "process", getattr(record, "index", 0)) < 6]
    for record in held:
        if isinstance(record, Process):
            record.started = "2026-01-01T00:00:00Z"
    resumed, orchestrator = orchestrate(
        tmp_path, ("fake/steady",), ("one-ms",), replication=replication, held=held, sleep=slept.append
    )
    orchestrator.run()
    assert len(slept) == 1
    assert len(measurements(resumed)) == 7


def test_a_budget_ends_the_run_between_blocks(fake_kernels, tmp_path):
    """A spent budget starts no further block, and what was measured stays."""
    written, orchestrator = orchestrate(tmp_path, ("fake/steady",), budget_s=0.001)
    assert orchestrator.run() == "budget"
    assert len(measurements(written)) == 2


def test_a_doubted_cell_is_measured_in_further_processes(fake_kernels, tmp_path):
    """Measuring again adds processes to the same measurement."""
    written, orchestrator = orchestrate(tmp_path, ("fake/steady",), replication=Replication((1,), 0.95))
    orchestrator.run()
    key = next(line.key for line in measurements(written) if line.variant == "two-ms")
    orchestrator.again({key}, 2)
    assert [line.process for line in measurements(written) if line.variant == "two-ms"] == [0, 1, 2]
