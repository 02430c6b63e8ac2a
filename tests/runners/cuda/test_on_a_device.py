"""What only a CUDA device can show: our kernels and our clock on the real thing.  Skipped where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners import workload
from runners.backends.cuda import device_count
from runners.device_timing import EventTimer
from runners.workload import Job, Variant

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(device_count()[0] == 0, reason="NVIDIA's driver offers no device here"),
]
BACKENDS = ("cupy", "torch@cuda")


@pytest.fixture(params=BACKENDS)
def backend(request: Any) -> Any:
    """A loaded backend of the device."""
    found = workload.backends()[request.param]
    if not found.probe().available:
        pytest.skip(found.probe().reason)
    found.load(1)
    return found


def _operators() -> list[Variant]:
    held = workload.backends()
    return [
        variant for key in BACKENDS for variant in held[key].operators if variant.condition == "end-to-end"
    ]


@pytest.mark.parametrize("variant", _operators(), ids=lambda one: f"{one.backend}-{one.kernel}-{one.name}")
def test_every_variant_is_right_on_the_device(variant: Variant, tmp_path: Path) -> None:
    """The smallest case of each variant agrees with the float64 reference."""
    found = workload.backends()[variant.backend]
    if not found.probe().available:
        pytest.skip(found.probe().reason)
    found.load(1)
    kernel = workload.kernels()[variant.kernel]
    case = min(
        (case for case in kernel.cases if variant.applies(case)), key=lambda case: case.footprint_bytes
    )
    inputs = kernel.inputs(case, 1)
    ready = variant.build(Job(case, found, 1, 1, inputs, tmp_path, variant.condition))
    returned = ready.call()
    found.synchronize()
    outcome = kernel.check(case, inputs, ready.result(returned))
    assert outcome.ok, outcome


def test_a_spin_of_n_cycles_takes_n_cycles(backend: Any) -> None:
    """A kernel that spins for exactly N cycles takes N / clock within 1 %, by events and by stamps (V12)."""
    cycles = 5_000_000
    timer = EventTimer(backend.clock, lambda: backend.clock.spin(cycles), cold=True)
    timer.prepare()
    samples = [timer.read()[0] for _ in range(10)]
    if not any(timer.clocks_khz):
        pytest.skip("this library cannot stamp the device's clock")
    counted = [time_ns * khz / 1e6 for time_ns, khz in zip(samples, timer.clocks_khz, strict=True)]
    assert np.median(counted) == pytest.approx(cycles, rel=0.01)


def test_the_bubble_check_trips_without_a_plug(backend: Any) -> None:
    """With a plug of no cycles the host is late for every sample (V12)."""
    array = backend.put(np.ones(1 << 20, np.float32))
    timer = EventTimer(backend.clock, lambda: array + array, cold=False)
    timer.prepare()
    timer.plug_cycles = 0
    timer._lengthen_plug = lambda: None  # type: ignore[method-assign]
    timer.batch, timer._enqueue = 200, lambda: [array + array for _ in range(200)]
    assert not timer.read()[2]
    assert "late_host" in timer.flags


def test_cold_is_not_faster_than_hot(backend: Any) -> None:
    """A call that finds nothing in the cache takes at least as long as one that does, within 2 % (V12)."""
    array = backend.put(np.ones(1 << 20, np.float32))
    times = {}
    for cold in (True, False):
        timer = EventTimer(backend.clock, lambda: array + array, cold)
        timer.prepare()
        times[cold] = np.median([timer.read()[0] / timer.batch for _ in range(20)])
    assert times[True] >= 0.98 * times[False]
