"""The promises of measuring, on the real runner and this machine: at length as a soak, in small always."""

import json
import math
from pathlib import Path
from statistics import median

import pytest

from tests.soak.known_truth import covered, detected, log_ratios, measure, report

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
