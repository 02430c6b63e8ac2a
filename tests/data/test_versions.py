"""Comparing environments of one matrix: pairs of neighbouring processes, every pair of environments."""

import math
import random

import pytest

from data.compare import compare_runs
from data.records import Measurement, Process, Samples, uuid7
from data.rundocument import read
from data.versions import arm_of, compare_arms, every_pair, measured_together
from data.words import Status, Verdict
from tests.data.run_files import run_bytes

MATRIX = uuid7()


def arm(tmp_path, name, factor=1.0, *, threads=1, drift=0.0, seed=0, skip=()):
    """A run of a matrix: 8 processes of 12 rounds, with a drift that all environments share round by round."""
    document = read(
        run_bytes(tmp_path, cells=1, protocol={"matrix": {"id": MATRIX, "environment": name}}, seed=1)
    )
    own, common = random.Random(f"{name} {seed}"), random.Random(7)
    document.processes, document.lines = [], []
    for block in range(8):
        level = [math.exp(common.gauss(0, drift)) for _ in range(12)]
        if block in skip:
            continue
        index = len(document.processes)  # process numbers of different runs mean nothing to each other
        document.processes.append(
            Process(index=index, block=block, started="2026-11-22T10:00:00Z", backends=["numpy"], threads=1)
        )
        times = [round(1e6 * factor * one * math.exp(own.gauss(0, 0.003))) for one in level]
        document.lines.append(
            Measurement(
                case="relu/1M", kernel="relu", variant="operator", condition="given", backend="numpy", device="cpu",
                threads=threads, status=Status.OK, process=index,
                samples=Samples(times, round=list(range(12)), clean=[True] * 12),
            )
        )  # fmt: skip
    return document


def test_what_the_machine_does_meanwhile_cancels(tmp_path):
    """With a drift of 30 % between rounds, a difference of 4 % is seen, which runs that are not paired cannot."""
    old, new = arm(tmp_path, "old", drift=0.3), arm(tmp_path, "new", 1.04, drift=0.3)
    (found,) = compare_arms(old, new).values()
    assert found.ratio == pytest.approx(1.04, abs=0.005)
    assert found.verdict == Verdict.SLOWER
    shifted = arm(tmp_path, "new", 1.04, drift=0.3)
    samples = [line.samples for line in shifted.lines]
    for line, others in zip(shifted.lines, samples[3:] + samples[:3], strict=True):
        line.samples = others
    (alone,) = compare_runs(old, shifted).values()
    assert alone.verdict == Verdict.INCONCLUSIVE


def test_processes_are_paired_by_block_and_not_by_number(tmp_path):
    """Where a block is missing on one side, the others keep their partners."""
    old, new = arm(tmp_path, "old", drift=0.3), arm(tmp_path, "new", drift=0.3, skip=(1, 4))
    (found,) = compare_arms(old, new).values()
    assert found.processes == 6
    assert found.ratio == pytest.approx(1, abs=0.005)


def test_thread_counts_are_compared_where_they_are_what_differs(tmp_path):
    """One thread against two: the measurements meet although their keys differ."""
    old, new = arm(tmp_path, "one"), arm(tmp_path, "two", 0.6, threads=2)
    ((key, found),) = compare_arms(old, new).items()
    assert key[-1] == 2
    assert found.verdict == Verdict.FASTER


def test_every_pair_of_environments_is_judged(tmp_path):
    """Three environments give three comparisons, the earlier as the old one; those beyond chance remain."""
    arms = [(name, arm(tmp_path, name, factor)) for name, factor in (("a", 1), ("b", 1), ("c", 1.2))]
    found = {(one.old, one.new): one for one in every_pair(arms)}
    assert {pair: one.comparison.verdict for pair, one in found.items()} == {
        ("a", "b"): Verdict.SAME,
        ("a", "c"): Verdict.SLOWER,
        ("b", "c"): Verdict.SLOWER,
    }
    assert found["a", "c"].remains
    assert not every_pair(arms[:1])


def test_runs_know_their_matrix(tmp_path):
    """Two runs of one matrix were measured together; a run that was made alone belongs to none."""
    old, new = arm(tmp_path, "old"), arm(tmp_path, "new")
    alone = read(run_bytes(tmp_path))
    assert measured_together(old.run, new.run)
    assert not measured_together(old.run, alone.run)
    assert not measured_together(alone.run, alone.run)
    assert (arm_of(old.run), arm_of(alone.run)) == ("old", None)
