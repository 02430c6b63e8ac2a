"""Cold caches: swept before each sample, under a condition of its own."""

import time
from pathlib import Path

import numpy as np

from runners import cold
from runners.workload import Job, Ready, backends, cases, kernels, variants


def _numpy(case_id: str, condition: str, folder: Path) -> Ready:
    (case,) = cases((case_id,))
    variant = next(v for v in variants(case) if (v.backend, v.condition) == ("numpy", condition))
    backend = backends()["numpy"]
    backend.load(1)
    inputs = kernels()[case.kernel].inputs(case, 1)
    built = variant.build(Job(case, backend, 1, 1, inputs, folder, condition))
    return built if isinstance(built, Ready) else Ready(built)


def test_every_case_that_can_be_cold_is_both() -> None:
    """Each of these cases has the same variants warm and cold; others, and devices, have none of this kind."""
    known = backends()
    for case in cases():
        found = [variant for variant in variants(case) if known[variant.backend].device == "cpu"]
        warm = {(v.name, v.backend) for v in found if v.condition == "given" and not v.flags}
        cold_ones = {(v.name, v.backend) for v in found if v.condition == "cold"}
        if case.id in cold.CASES:
            assert cold_ones == warm
        elif case.kernel not in ("load", "lazy-load", "ceiling"):
            assert not cold_ones
    assert {case.id for case in cases(tuple(cold.CASES))} == cold.CASES


def test_a_cold_case_sweeps_and_computes_the_same(tmp_path: Path) -> None:
    """What is measured cold is what is measured warm, with a sweep before each call."""
    given, swept = (_numpy("relu/1M", condition, tmp_path) for condition in ("given", "cold"))
    assert given.before is None
    assert swept.before is not None
    swept.before()
    np.testing.assert_array_equal(swept.call(), given.call())


def test_a_cold_call_is_slower(tmp_path: Path) -> None:
    """An array that fits a core's own cache is read from memory after a sweep: the fastest of many calls shows it.

    The last level is shared with neighbours on other cores, who may keep it from us at any time.
    """
    array = np.ones(32 << 10, np.float32)
    (case,) = cases(("relu/1M",))
    job = Job(case, backends()["numpy"], 1, 1, {}, tmp_path, "cold")
    swept = cold._cold(lambda job: array.sum)(job)
    assert _fastest_ns(swept) > 1.2 * _fastest_ns(Ready(array.sum))


def _fastest_ns(ready: Ready) -> int:
    times = []
    for _ in range(30):
        if ready.before is not None:
            ready.before()
        start = time.perf_counter_ns()
        ready.call()
        times.append(time.perf_counter_ns() - start)
    return min(times)


def test_sizes_of_caches_are_read_as_linux_writes_them() -> None:
    """Kilobytes, megabytes, and what cannot be read."""
    assert cold._bytes_of("32768K\n") == 32 << 20
    assert cold._bytes_of("1M") == 1 << 20
    assert cold._bytes_of("?") == 32 << 20
