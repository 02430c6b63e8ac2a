"""The promises of measuring, on the real runner and this machine: at length as a soak, in small always."""

import json
import math
from pathlib import Path
from statistics import median

import pytest

from data.compare import compare_within
from tests.soak.known_truth import covered, detected, log_ratios, measure, report
from tests.soak.noise_challenge import challenge
from tests.soak.positions import effects

#: One-sided 5 % limits of a binomial count, so that only a share significantly below the promise fails.


def at_least(share: float, total: int) -> int:
    """Return the smallest count that is not significantly below ``share`` of ``total``."""
    tail, count = 0.0, -1
    while tail <= 0.05:
        count += 1
        tail += math.comb(total, count) * share**count * (1 - share) ** (total - count)
    return count


def test_added_work_is_seen_in_six_processes(tmp_path):
    """Five percent more work gives a larger ratio than none, on the real runner."""
    lines = measure(6, tmp_path, ("injected/sort-60k",), ("plain", "again", "plus-5"))
    (added,) = log_ratios(lines, "plus-5", "plain").values()
    (same,) = log_ratios(lines, "again", "plain").values()
    assert median(added) > median(same)
    assert len(same) == 6


def test_what_is_below_the_floor_is_flagged_and_has_no_ratio(tmp_path):
    """An empty call and a ReLU of sixteen elements say more of the measuring than of the call."""
    lines = measure(6, tmp_path, ("floor/tiny",))
    assert {line.variant for line in lines} == {"nothing", "relu-16"}
    assert all("below_floor" in line.flags for line in lines)

    class Held:
        """The lines as a document."""

    held = Held()
    held.lines, held.run = lines, None
    keys = sorted({line.key for line in lines})
    assert compare_within(held, [], keys[0], keys[1]) is None


def test_a_burner_that_starts_halfway_is_labelled_and_fools_nobody(tmp_path):
    """Processes beside burners carry a label, those before carry none of theirs, and identical code stays identical."""
    found = challenge(8, tmp_path)
    assert found["noisy_processes_labelled"] >= 3
    assert found["noisy_processes_labelled"] >= found["quiet_processes_labelled"]
    assert found["verdict"] not in ("faster", "slower") or found["p_value"] > 0.005


def test_the_place_in_a_round_does_not_matter(tmp_path):
    """Three copies of one call: no place differs by as much as a percent, at 99 % over all places."""
    assert all(
        abs(row["effect"]) < 0.01 or row["low"] < 0 < row["high"] for row in effects(3, 9, confidence=0.98)
    )


@pytest.mark.soak
def test_the_noise_challenge(tmp_path):
    """V at length: twenty-four processes of three kernels, the second half beside burners."""
    for case in ("injected/sort-60k", "injected/matmul-512", "injected/relu-4M"):
        folder = tmp_path / case.partition("/")[2]
        folder.mkdir()
        found = challenge(24, folder, case)
        assert found["noisy_processes_labelled"] == 12
        assert found["half_widths"][1] > found["half_widths"][0]
        assert found["verdict"] not in ("faster", "slower")


@pytest.mark.soak
@pytest.mark.parametrize("copies", [3, 4])
def test_places_in_a_round(copies):
    """Sixty processes of three and of four copies: no place has an effect of half a percent that is sure.

    The first may have a little, since the noise probe went through the cache before it; orders are balanced, so that
    each variant has it equally often.
    """
    for subject in ("sort-60k", "matmul-512", "relu-4M"):
        for row in effects(copies, 60, subject):
            assert row["low"] < 0.005, (subject, row)
            assert row["high"] > -0.005, (subject, row)


@pytest.mark.soak
def test_known_truth(tmp_path, request):
    """A/A covers, +5 % and +2 % are found, and the controls turn red, over 240 processes of five kernels."""
    lines = measure(240, tmp_path)
    figures = report(lines)
    Path("known-truth.json").write_text(json.dumps(figures, indent=1) + "\n")
    hits, total = covered(lines, 6)
    assert total >= 200
    assert hits >= at_least(0.95, total)
    for variant, share in (("plus-5", 0.90), ("plus-2", 0.65)):
        found, tried = detected(lines, variant)
        assert found >= at_least(share, tried), (variant, found, tried)
    single_hits, single_total = figures["control_pooled_6"]
    assert single_hits / single_total < 0.9
