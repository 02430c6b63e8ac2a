"""Claims: every one of the document is data, and its verdict follows from the interval on this machine."""

import json
import pickle
from pathlib import Path

import pytest

from data import published
from data.claims import ClaimVerdict, judge_claims, judge_range
from data.errors import BadInput
from data.published import publications, read_publication
from data.speedups import apart, geometric_mean, speedups

MACHINE = {"machine_id": "0" * 12, "machine": "box"}


def row(case, variant, time_ns=1e6, backend="numba", threads=1, **more):
    interval = None if time_ns is None else (0.99 * time_ns, 1.01 * time_ns)
    rate = None if time_ns is None else 1e8 / time_ns
    return {
        "machine_id": "0" * 12, "machine": "box", "run_id": "r1", "case_id": case, "variant": variant,
        "condition": "given", "backend": backend, "device": "cpu", "threads": threads, "status": "ok", "reason": "",
        "time_ns": time_ns, "low_ns": interval and interval[0], "high_ns": interval and interval[1],
        "rate": rate, "rate_low": rate and rate / 1.01, "rate_high": rate and rate / 0.99, "unit": "GFLOP/s",
        "attributes": "{}",
    } | more  # fmt: skip


def verdicts(rows, *ids):
    found = judge_claims(publications(), rows, [MACHINE], apart)
    return [one for one in found if not ids or one.claim.id in ids]


def test_the_document_is_whole():
    """Every row of the document's claims is there, each range as a claim of its own, and its results with units."""
    (document,) = publications()
    ids = {claim.id for claim in document.claim}
    rows = (
        "blas-small blas-medium blas-large blas-batched naive-rate blas-rate cuda-rate metal-rate scalar-rate "
        "rayon-rate simd-over-scalar simd-over-parallel fused-attention fused-attention-kv welford fused-gelu st-size "
        "st-save st-load st-zero-copy st-safe"
    )
    assert set(rows.split()) <= ids
    times = {(one.case, one.variant): one.time_ns for one in document.result}
    assert times["matmul/1024", "naive"] == 27_750_000
    assert times["save/medium-constant", "json-pretty"] == 11_740_000_000
    assert len(document.result) == 21
    assert document.source.date == "2026-01-18"


def test_every_claim_has_a_verdict_and_a_sentence():
    """On a machine that measured nothing, each claim is not measured or not comparable, and says why."""
    found = verdicts([])
    (document,) = publications()
    assert {one.claim.id for one in found} == {claim.id for claim in document.claim}
    assert {one.verdict for one in found} == {ClaimVerdict.NOT_MEASURED, ClaimVerdict.NOT_COMPARABLE}
    assert all(one.sentence and len(one.to_json()["expected"]) == 2 for one in found)
    (cuda,) = [one for one in found if one.claim.id == "cuda-rate"]
    assert "no cuda device" in cuda.sentence


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((2.1, 3.9), ClaimVerdict.HOLDS),
        ((1.97, 4.05), ClaimVerdict.HOLDS),  # the margin of 2 %
        ((1.0, 1.9), ClaimVerdict.FALLS_SHORT),
        ((4.2, 5.0), ClaimVerdict.EXCEEDED),
        ((1.5, 2.5), ClaimVerdict.INCONCLUSIVE),
        ((None, None), ClaimVerdict.INCONCLUSIVE),
    ],
)
def test_a_range_is_judged_by_the_interval(interval, verdict):
    """Wholly inside holds, wholly beyond exceeds, wholly before falls short, else it is inconclusive."""
    assert judge_range(*interval, (2.0, 4.0)) is verdict


def test_less_time_exceeds_a_claim():
    """A time below the expected range is better than claimed."""
    assert judge_range(0.1, 0.2, (0.3, 0.7), less_is_better=True) is ClaimVerdict.EXCEEDED
    assert judge_range(1.0, 2.0, (0.3, 0.7), less_is_better=True) is ClaimVerdict.FALLS_SHORT


def test_a_speedup_is_judged_for_each_backend():
    """BLAS with as many threads as were measured stands against naive loops in one thread, library by library."""
    rows = [
        row("matmul/128", "naive", 3e5),
        row("matmul/128", "blas", 1e5, "numpy", 1),
        row("matmul/128", "blas", 9e4, "numpy", 2),
        row("matmul/128", "blas", 3e4, "mkl", 2),
    ]
    mkl, numpy = verdicts(rows, "blas-small")
    assert (numpy.backend, numpy.verdict, round(numpy.estimate, 2)) == ("numpy", ClaimVerdict.HOLDS, 3.33)
    assert (mkl.backend, mkl.verdict) == ("mkl", ClaimVerdict.EXCEEDED)
    assert "2 threads" in numpy.sentence
    assert numpy.low < numpy.estimate < numpy.high


def test_the_worst_case_of_a_claim_decides_and_missing_ones_are_named():
    """A claim over several sizes falls short if one does; what was not measured is named beside it."""
    rows = [row("matmul/256", "naive", 8e5), row("matmul/256", "blas", 1e5, "numpy")]
    (one,) = verdicts(rows, "blas-medium")
    assert (one.verdict, one.missing) == (ClaimVerdict.HOLDS, ("matmul/512",))
    rows += [row("matmul/512", "naive", 3e5), row("matmul/512", "blas", 1e5, "numpy")]
    (one,) = verdicts(rows, "blas-medium")
    assert one.verdict is ClaimVerdict.FALLS_SHORT
    assert [part.verdict for part in one.parts] == [ClaimVerdict.HOLDS, ClaimVerdict.FALLS_SHORT]


def test_sizes_and_memory_come_from_attributes():
    """File sizes and the memory of a mapped load are exact, and their claims have figures without noise."""

    def file(case, variant, size, **more):
        attributes = json.dumps({"file_bytes": size} | more)
        return row(case, variant, 1e9, "safetensors", condition="warm", unit="GB/s", attributes=attributes)

    rows = [
        file("save/small-constant", "safetensors", 193),
        file("save/small-constant", "json-pretty", 675),
        file("load/small-constant", "safetensors-mmap", 193_000, anonymous_increase_bytes=400),
    ]
    (size,) = verdicts(rows, "st-size")
    assert (size.verdict, round(size.estimate, 2)) == (ClaimVerdict.HOLDS, 3.5)
    (copy,) = verdicts(rows, "st-zero-copy")
    assert (copy.verdict, copy.low) == (ClaimVerdict.HOLDS, 400 / 193_000)


def test_a_safe_format_runs_nothing(tmp_path):
    """A pickle runs what its author wrote; the same bytes as safetensors are refused."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    class Command:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    content = pickle.dumps(Command())
    with pytest.raises(SafetensorError):
        load(content)
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)
    assert (tmp_path / "ran").exists()


OWN = """
[source]
id = "ours"
title = "Ours"
[[claim]]
id = "relu-fast"
statement = "relu is fast"
kind = "expected"
quantity = "rate"
expected = [1, 2]
unit = "GElement/s"
cases = ["relu/1M"]
subject = { variant = "simd" }
"""


def test_people_add_claims_of_their_own(tmp_path):
    """A file of the same form is read; what is wrong in one is named."""
    path = tmp_path / "ours.toml"
    path.write_text(OWN)
    ours = read_publication(path)
    found = judge_claims([ours], [row("relu/1M", "simd", unit="GElement/s", rate=1.5, rate_low=1.4, rate_high=1.6)],
                         [MACHINE], apart)  # fmt: skip
    assert [(one.claim.id, one.verdict, one.source) for one in found] == [
        ("relu-fast", ClaimVerdict.HOLDS, "ours")
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[1, 2]", "[2, 1]", "lower end first"),
        ('"GElement/s"', '"GHz"', "must be in"),
        ('"rate"', '"pace"', "quantity"),
        ("cases = ", "casez = ", "casez"),
        ("[source]", "[source", "ours.toml"),
        ('"rate"', '"speedup"', "must be in x"),
    ],
)
def test_a_wrong_file_of_claims_is_named(tmp_path, old, new, message):
    """What is wrong in a file of claims is said with the file's name."""
    path = tmp_path / "ours.toml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(BadInput, match=message):
        read_publication(path)


def test_means_stand_beside_their_parts():
    """A geometric mean is over the cases that both have, and names those that are missing."""
    news = [row("matmul/128", "blas", 1e5), row("matmul/512", "blas", 2e5)]
    olds = [
        row("matmul/128", "naive", 2e5),
        row("matmul/512", "naive", 16e5),
        row("matmul/1024", "naive", 1e7),
    ]
    parts = speedups(news, olds)
    mean = geometric_mean(parts, ["matmul/128", "matmul/512", "matmul/1024"])
    assert mean is not None
    assert mean.ratio == pytest.approx(4.0)
    assert mean.missing == ["matmul/1024"]
    assert mean.low < 4 < mean.high
    assert parts["matmul/512"].ratio == pytest.approx(8.0)
    assert geometric_mean({}, ["matmul/128"]) is None


def test_the_publications_are_read_once():
    """What comes with the program is read once."""
    assert published.publications() is published.publications()
