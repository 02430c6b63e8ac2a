"""Real worker processes: what they answer, and what happens when they cannot."""

import random
import shutil
from pathlib import Path

import pytest

from runners.plan import Group
from runners.process import Place, Worker, WorkerDied, WorkerRefused, WorkerTimeout

ROOT = Path(__file__).resolve().parents[2]
GROUP = Group(("numpy",), 1)


@pytest.fixture
def worker(fake_kernels, tmp_path):
    """A worker that knows the fake kernel."""
    started = Worker(GROUP, tmp_path, tmp_path / "numba", {}, random.Random(0))
    started.ready()
    yield started
    started.close()


def wish(variant, index=0, **more):
    return {"index": index, "variant": variant, "backend": "numpy", "condition": "given"} | more


def prepare(worker, case, *variants, limit_s=60):
    wishes = [wish(variant, index) for index, variant in enumerate(variants)]
    return worker.ask(limit_s, op="prepare", case=case, seed=1, order_seed=1, variants=wishes)["variants"]


def test_times_are_those_of_the_clock(worker):
    """What the clock says is what is answered, sample by sample, per batch."""
    first = prepare(worker, "fake/steady", "one-ms", "two-ms")
    assert [answer["status"] for answer in first] == ["ok", "ok"]
    assert [answer["first_call_ns"] for answer in first] == [1_000_100, 2_000_100]
    answers = worker.ask(60, op="measure", order_seed=2)["variants"]
    one, two = sorted(answers, key=lambda answer: answer["index"])
    assert set(one["samples"]["time_ns"]) == {1_000_100}
    assert set(two["samples"]["time_ns"]) == {2_000_100}
    assert one["samples"]["round"] == two["samples"]["round"]
    assert len(one["samples"]["probe_ns"]) == len(one["samples"]["time_ns"])


@pytest.mark.parametrize("variant", ["wrong", "nan"])
def test_a_wrong_answer_is_never_timed(worker, variant):
    """A wrong answer, NaN included, is named with its error and leaves no samples."""
    answer = prepare(worker, "fake/odd", variant)[0]
    assert answer["status"] == "wrong"
    assert worker.ask(60, op="measure", order_seed=2)["variants"] == []


def test_an_answer_that_turns_wrong_while_timed_loses_its_samples(worker):
    """The timed output is checked again after timing."""
    assert prepare(worker, "fake/odd", "wrong-later")[0]["status"] == "ok"
    answer = worker.ask(60, op="measure", order_seed=2)["variants"][0]
    assert answer["status"] == "wrong"
    assert "after timing" in answer["reason"]
    assert "samples" not in answer


def test_an_exception_is_a_failed_variant(worker):
    """One variant that raises does not disturb its neighbours."""
    one, other = prepare(worker, "fake/odd", "raises", "one-ms")
    assert (one["status"], other["status"]) == ("failed", "ok")
    assert "ValueError: no such thing" in one["reason"]


def test_printing_does_not_break_the_protocol(worker):
    """What a library prints, also below Python, does not reach the protocol."""
    assert prepare(worker, "fake/odd", "prints")[0]["status"] == "ok"
    assert worker.ask(60, op="measure", order_seed=2)["variants"][0]["status"] == "ok"


def test_a_crash_names_the_signal_and_the_variant(worker):
    """A process that dies says how, and which variant it was at."""
    with pytest.raises(WorkerDied, match="SIGSEGV"):
        prepare(worker, "fake/odd", "crashes")
    assert worker.running["index"] == 0


def test_a_hang_is_ended(worker):
    """A process that does not answer in time is killed."""
    with pytest.raises(WorkerTimeout, match="no answer within 1 s"):
        prepare(worker, "fake/odd", "hangs", limit_s=1)


def test_an_unknown_request_is_refused_and_the_worker_goes_on(worker):
    """A request that makes no sense is an answer, not the end."""
    with pytest.raises(WorkerRefused):
        worker.ask(60, op="nonsense")
    assert prepare(worker, "fake/steady", "one-ms")[0]["status"] == "ok"


def test_a_worker_needs_nothing_of_data(worker):
    """The worker runs without importing the room of results."""
    assert prepare(worker, "fake/odd", "wrong-with-data")[0]["status"] == "ok"


def test_a_twin_is_built_and_measured_beside_its_original(worker):
    """A/A: the same variant twice, with buffers of its own, in the same rounds."""
    wishes = [wish("one-ms", twin=True)]
    worker.ask(60, op="prepare", case="fake/steady", seed=1, order_seed=1, variants=wishes)
    (answer,) = worker.ask(60, op="measure", order_seed=2)["variants"]
    assert answer["twin"]["round"] == answer["samples"]["round"]
    assert set(answer["twin"]["time_ns"]) == {1_000_100}


def test_a_call_too_short_to_be_measured_is_flagged(worker):
    """A call below ten times the floor is kept and flagged, so that no ratio is made of it."""
    prepare(worker, "fake/odd", "nothing")
    (answer,) = worker.ask(60, op="measure", order_seed=2)["variants"]
    assert "below_floor" in answer["flags"]


def test_a_worker_runs_the_code_that_it_lies_in(tmp_path):
    """A copy of the program measures its own kernels, whichever copy is installed in the interpreter."""
    copy = tmp_path / "runners"
    shutil.copytree(ROOT / "runners", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "clocks.py").open("a") as text:
        text.write("\nraise SystemExit('this is the copy')\n")
    worker = Worker(
        GROUP, tmp_path, tmp_path / "numba", {}, random.Random(0), Place(script=copy / "worker.py")
    )
    try:
        with pytest.raises(WorkerDied, match="this is the copy"):
            worker.ready(60.0)
    finally:
        worker.close()
