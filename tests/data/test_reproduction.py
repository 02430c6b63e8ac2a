"""Whether a result came out again: differences by name, the prediction interval, verdicts and the badge."""

import math
import random
from statistics import median

import msgspec
import pytest

from data.records import Environment
from data.reproduction import badge, binomial_interval, differences, judge_reproduction, prediction
from data.rundocument import read
from data.words import Comparability, Reproduced
from tests.data.run_files import ENVIRONMENT, MACHINE, run_bytes


def run(tmp_path, **options):
    return read(run_bytes(tmp_path, **options))


def changed(document, **fields):
    document.run = msgspec.structs.replace(document.run, **fields)
    return document


def test_a_run_in_the_same_environment_comes_out_again(tmp_path):
    """Same machine, environment, protocol and seed: comparable, reproduced, and the badge says so."""
    old, new = run(tmp_path), run(tmp_path)
    found = judge_reproduction(old, new)
    assert (found.comparability, found.differences) == (Comparability.SAME, [])
    assert {one.verdict for one in found.results} == {Reproduced.YES}
    assert len(found.results) == 3  # ceilings and what went wrong are not among them
    assert badge(found).startswith(f"flopwatch: 3 of 3 results of run {old.run.id}")
    assert "numpy 2.4.6" in badge(found)


def test_a_slower_result_does_not(tmp_path):
    """20 % more, where processes differ by about one: outside of what was to be expected."""
    found = judge_reproduction(run(tmp_path), run(tmp_path, time_ns=1.2e6))
    assert {one.verdict for one in found.results} == {Reproduced.NO}
    assert all(one.ratio == pytest.approx(1.2, rel=0.02) and one.predicted < 0.1 for one in found.results)


def test_everything_that_differs_is_named_and_some_of_it_decides(tmp_path):
    """Another machine, package, build, BLAS or seed forbids a verdict; another kernel of the system does not."""
    old = run(tmp_path)
    old.run.environment.attributes["wheels"] = {"numpy": "aaaa"}
    new = run(tmp_path, machine=msgspec.structs.replace(MACHINE, cpu_model="Model 8"))
    other = Environment(
        "0" * 12,
        "CPython 3.12.1",
        {"numpy": "2.2.6", "orjson": "3.11.0"},
        [{"library": "mkl"}],
        {"variables": {"OMP_PROC_BIND": ["true"]}},
    )
    changed(new, environment=other, seed=4, flopwatch={"version": "0.2.0", "commit": "abcdef1"})
    found = {one.what: (one.before, one.now, one.decides) for one in differences(old.run, new.run)}
    assert found == {
        "machine: cpu_model": ("Model 7", "Model 8", True),
        "interpreter": ("CPython 3.11.7", "CPython 3.12.1", True),
        "numpy": ("2.4.6", "2.2.6", True),
        "BLAS": ("openblas  ", "mkl  ", True),
        "seed of the inputs": ("0", "4", True),
        "orjson": ("none", "3.11.0", False),
        "variable OMP_PROC_BIND": ("none", "true", False),
        "flopwatch's version": ("0.1.0", "0.2.0", False),
    }
    judged = judge_reproduction(old, new)
    assert judged.comparability == Comparability.NO
    assert {one.verdict for one in judged.results} == {Reproduced.NOT_COMPARABLE}
    assert all("numpy: 2.4.6 → 2.2.6" in one.reason and one.ratio for one in judged.results)
    assert "is not comparable" in badge(judged)


def test_the_same_version_in_another_build_decides(tmp_path):
    """Wheels are known by what is in them, not by their version alone."""
    old, new = run(tmp_path), run(tmp_path)
    for document, digest in ((old, "aaaa"), (new, "bbbb")):
        environment = msgspec.structs.replace(ENVIRONMENT, attributes={"wheels": {"numpy": digest}})
        changed(document, environment=environment)
    (one,) = differences(old.run, new.run)
    assert (one.what, one.decides) == ("numpy: digest of the wheel", True)


def test_caveats_are_named_and_leave_a_verdict(tmp_path):
    """Another patch level of the interpreter: comparable with caveats."""
    new = run(tmp_path)
    changed(new, environment=msgspec.structs.replace(ENVIRONMENT, interpreter="CPython 3.11.9"))
    found = judge_reproduction(run(tmp_path), new)
    assert found.comparability == Comparability.CAVEATS
    assert {one.verdict for one in found.results} == {Reproduced.YES}
    assert "(with caveats)" in badge(found)


def test_another_thread_count_is_a_difference(tmp_path):
    """The result is there, but with other threads: not comparable, and the difference has both counts."""
    new = run(tmp_path)
    for line in new.lines:
        line.threads = 2
    found = judge_reproduction(run(tmp_path), new)
    assert {one.reason for one in found.results} == {"threads: 1 → 2"}
    assert [str(one) for one in found.differences] == ["threads: 1 → 2"]
    assert found.comparability == Comparability.NO


def test_a_wrong_answer_and_other_work_are_no_reproduction(tmp_path):
    """What is wrong now did not come out again; what does other work cannot be held against the old."""
    new = run(tmp_path)
    for line in new.lines:
        if line.case == "matmul/1":
            line.status, line.reason = "wrong", "differs"
        if line.case == "matmul/2":
            line.work = msgspec.structs.replace(line.work, flop=2e7)
    found = {one.key[0]: one for one in judge_reproduction(run(tmp_path), new).results}
    assert (found["matmul/1"].verdict, found["matmul/1"].reason) == (Reproduced.NO, "wrong: differs")
    assert found["matmul/2"].verdict == Reproduced.NOT_COMPARABLE


def test_what_would_confirm_anything_confirms_nothing(tmp_path):
    """Where processes differ by factors, a new value inside of the prediction is no reproduction."""
    old = run(tmp_path)
    for line in old.lines:
        if line.samples:
            line.samples.time_ns = [one * 2 ** (line.process % 3) for one in line.samples.time_ns]
    found = judge_reproduction(old, old)
    assert {one.verdict for one in found.results} == {Reproduced.NOT_COMPARABLE}
    assert all(one.inside and "would confirm anything" in one.reason for one in found.results)


@pytest.mark.parametrize("spread", ["normal", "skewed", "bimodal"])
@pytest.mark.parametrize("processes", [6, 8, 12, 40])
def test_the_prediction_holds_what_it_says(processes, spread):
    """The median of as many further processes lies in the interval in 92 to 98.5 % of cases."""
    rng = random.Random(f"{processes} {spread}")

    def draw():
        if spread == "normal":
            return rng.gauss(0, 0.03)
        if spread == "skewed":
            return rng.expovariate(1 / 0.03)
        return rng.gauss(0, 0.01) + (0.05 if rng.random() < 0.3 else 0)

    inside, trials = 0, 3000
    for _ in range(trials):
        old, new = ([draw() for _ in range(processes)] for _ in range(2))
        inside += abs(median(new) - median(old)) <= prediction(old, processes)
    assert 0.92 <= inside / trials <= 0.99


def test_the_prediction_is_that_of_the_method_for_many_processes():
    """2.46 s √(1/P₁ + 1/P₂) in the limit; wider where s is known from few; nothing from two."""
    logs = [math.sin(index) for index in range(4000)]
    mean = sum(logs) / 4000
    s = math.sqrt(sum((one - mean) ** 2 for one in logs) / 3999)
    assert prediction(logs, 4000) == pytest.approx(2.4564 * s * math.sqrt(2 / 4000), rel=1e-3)
    six = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert prediction(six, 6) == pytest.approx(
        2.5706 * math.sqrt(math.pi / 2) * math.sqrt(3.5) * math.sqrt(1 / 3), rel=1e-3
    )
    assert prediction([1.0, 2.0], 6) is None


def test_a_share_has_its_exact_interval():
    """Known values of Clopper and Pearson, and what is no share."""
    assert binomial_interval(0, 10) == pytest.approx((0, 0.3085), abs=1e-4)
    assert binomial_interval(8, 10) == pytest.approx((0.4439, 0.9748), abs=1e-4)
    assert binomial_interval(190, 200) == pytest.approx((0.9100, 0.9758), abs=1e-4)
    with pytest.raises(ValueError, match="11 of 10"):
        binomial_interval(11, 10)
