"""Comparisons within a run and across runs."""

import random

import pytest

from data.compare import compare_runs, compare_within, may_be_layout, sittings
from data.estimate import ratio
from data.records import Process, Samples
from data.words import Status, Verdict
from tests.data.test_summary import Document, line

ROUNDS = 30


def noisy_process(index, factor, rng, variant, noise):
    """A process whose machine and rounds are disturbed in the same way for all of its variants."""
    times = [round(100_000 * factor * common) for common in noise]
    samples = Samples(time_ns=times, round=list(range(ROUNDS)), clean=[True] * ROUNDS)
    return line(process=index, variant=variant, samples=samples)


def paired_document(factor, count=6, seed=0):
    rng = random.Random(seed)
    lines, processes = [], []
    for index in range(count):
        state = rng.lognormvariate(0, 0.3)
        noise = [state * rng.lognormvariate(0, 0.3) for _ in range(ROUNDS)]
        lines += [
            noisy_process(index, 1.0, rng, "old", noise),
            noisy_process(index, factor, rng, "new", noise),
        ]
        processes.append(
            Process(index=index, block=index, started="2026-01-01T00:00:00Z", backends=["numpy"], threads=1)
        )
    return Document(lines), processes


def key(variant):
    return line(variant=variant).key


def test_a_small_difference_is_found_through_large_common_noise():
    """Three percent is found through thirty percent of noise that both sides share."""
    document, processes = paired_document(1.03)
    found = compare_within(document, processes, key("new"), key("old"))
    assert found.pairing == "rounds"
    assert found.comparison.ratio == pytest.approx(1.03, rel=1e-3)
    assert found.comparison.verdict == Verdict.SLOWER


def test_identical_variants_are_the_same():
    """No difference gives the verdict same."""
    document, processes = paired_document(1.0)
    assert compare_within(document, processes, key("new"), key("old")).comparison.verdict == Verdict.SAME


def test_adjacent_processes_are_marked():
    """Variants that could not share a process are paired by block, and the comparison says so."""
    lines, processes = [], []
    for block in range(6):
        for side, time_ns in enumerate((1000, 1500)):
            index = 2 * block + side
            lines.append(line(process=index, time_ns=time_ns + block, variant=("old", "new")[side]))
            processes.append(
                Process(
                    index=index, block=block, started="2026-01-01T00:00:00Z", backends=["numpy"], threads=2
                )
            )
    found = compare_within(Document(lines), processes, key("new"), key("old"))
    assert found.pairing == "processes"
    assert found.comparison.ratio == pytest.approx(1.5, rel=1e-2)


def test_a_wrong_side_cannot_be_compared():
    """A measurement that is wrong in any process takes part in no comparison."""
    document, processes = paired_document(1.2)
    document.lines.append(line(process=6, variant="new", status=Status.WRONG))
    assert compare_within(document, processes, key("new"), key("old")) is None
    assert compare_runs(document, document).keys() == {key("old")}


def test_runs_are_compared_process_by_process():
    """A run that is ten percent slower than another is slower, and mirrored the other way round."""
    old = Document([line(process=index, time_ns=1000 + index) for index in range(8)])
    new = Document([line(process=index, time_ns=1100 + index) for index in range(8)])
    there, back = compare_runs(old, new), compare_runs(new, old)
    assert there.keys() == {line().key}
    assert next(iter(there.values())).verdict == Verdict.SLOWER
    assert next(iter(back.values())).verdict == Verdict.FASTER


def test_sittings_are_groups_of_processes_an_hour_apart():
    """Minutes apart is one sitting, an hour apart are two; no process is none."""

    def at(*moments):
        return [
            Process(index=n, block=n, started=f"2026-01-01T{moment}Z", backends=["numpy"], threads=1)
            for n, moment in enumerate(moments)
        ]

    assert sittings(at("10:00:00", "10:01:00", "10:59:00")) == 1
    assert sittings(at("10:00:00", "11:00:00", "11:01:00")) == 2
    assert sittings([]) == 0


def test_a_small_difference_of_one_sitting_may_be_layout():
    """Half a percent needs two sittings, three percent does not."""
    small, large, none = ratio([0.005] * 8), ratio([0.03] * 8), ratio([0.005, -0.005] * 4)
    assert may_be_layout(small, 1)
    assert not may_be_layout(small, 2)
    assert not may_be_layout(large, 1)
    assert not may_be_layout(none, 1)


def test_intervals_of_a_table_hold_together_where_processes_suffice():
    """With twelve processes five comparisons hold 95 % together; with six each holds it for itself."""
    for count, level in ((12, 0.99), (6, 0.95)):
        document, processes = paired_document(1.03, count)
        found = compare_within(document, processes, key("new"), key("old"), comparisons=5)
        assert found.confidence == pytest.approx(level)
        assert found.comparison.low is not None


def test_planned_looks_need_the_level_of_their_protocol():
    """A run that may have stopped at a look is judged at 97 %; the first six of its processes are not selected."""
    document, processes = paired_document(1.0, 12)
    document.protocol = {"confidence": 0.97, "looks": [8, 12]}
    found = compare_within(document, processes, key("new"), key("old"))
    assert found.confidence == 0.97
    short, processes = paired_document(1.0, 6)
    short.protocol = document.protocol
    assert compare_within(short, processes, key("new"), key("old")).confidence == 0.95


def test_the_probe_takes_a_slow_minute_off_a_comparison_of_processes():
    """Where the probe was slower beside the new side, part of its time is the machine's; without a probe nothing is."""
    for probed, expected in ((True, 1.5 * 1.1**-0.6), (False, 1.5)):
        lines, processes = [], []
        for block in range(6):
            for side, (time_ns, probe_ns) in enumerate(((1000, 1_000_000), (1500, 1_100_000))):
                index = 2 * block + side
                one = line(process=index, time_ns=time_ns, variant=("old", "new")[side])
                one.samples.probe_ns = [probe_ns] * len(one.samples.time_ns) if probed else []
                lines.append(one)
                started = "2026-01-01T00:00:00Z"
                processes.append(
                    Process(index=index, block=block, started=started, backends=["numpy"], threads=2)
                )
        found = compare_within(Document(lines), processes, key("new"), key("old"))
        assert found.comparison.ratio == pytest.approx(expected, rel=1e-3)
