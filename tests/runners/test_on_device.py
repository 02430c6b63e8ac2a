"""A whole run on a device whose clock the test sets, in real workers: conditions, states, failures."""

from pathlib import Path

import pytest

from data.rundocument import read
from data.summary import summarise
from data.words import Status
from runners import workload
from runners.execute import execute
from runners.lines import Observer
from runners.wishes import Wishes

KERNELS = Path(__file__).with_name("fake_device_kernels.py")


class OpenGate:
    """Waits for no quiet moment: the device's clock stands still meanwhile anyway."""

    def __init__(self, *_):
        pass

    def wait(self, *_):
        return {"quiet": True}


@pytest.fixture
def device_kernels(monkeypatch, home):
    """Make the kernels on the device known here and in workers."""
    monkeypatch.setattr("runners.orchestrate.Gate", OpenGate)
    monkeypatch.setenv("FLOPWATCH_KERNELS", str(KERNELS))
    workload.kernels.cache_clear()
    yield
    monkeypatch.undo()
    workload.kernels.cache_clear()


def run(tmp_path: Path, case: str):
    path = tmp_path / "run.jsonl"
    wishes = Wishes(
        profile="smoke", effort="smoke", cases=(case,), backends=("numpy",), out=path, store=False
    )
    outcome = execute(wishes, Observer())
    return outcome, read(path)


def test_cold_and_hot_are_measurements_of_their_own(device_kernels, tmp_path):
    """Each has the device's time exactly, its clock for each sample, the states at the borders, and energy."""
    _, document = run(tmp_path, "on-device/timed")
    rows = {row.condition: row for row in summarise(document)}
    assert rows["cold"].time_ns == pytest.approx(140_000)
    assert rows["hot"].time_ns == pytest.approx(100_000, rel=1e-3)
    for line in document.lines:
        assert line.status == Status.OK
        assert line.samples.probe_ns == line.samples.cpu_ns == []
        assert line.attributes["sm_clock_khz"] == [1_500_000] * len(line.samples.time_ns)
        assert line.attributes["device_before"]["temperature_c"] == 60
        assert line.attributes["gflops_per_watt"] > 0
        assert {"power_capped", "shared_device"} <= set(line.flags)
        assert "unfiltered" not in line.flags


def test_a_lost_device_costs_one_variant(device_kernels, tmp_path):
    """What loses the device is named with its remedy and left out; all the rest of the case is measured."""
    _, document = run(tmp_path, "on-device/lost")
    rows = {row.variant: row for row in summarise(document)}
    assert rows["fine"].status == Status.OK
    assert rows["fine"].processes == 3
    assert rows["illegal"].status == Status.FAILED
    assert "the device was lost" in rows["illegal"].reason
    assert "cudaErrorIllegalAddress" in rows["illegal"].reason
    assert rows["illegal-later"].status == Status.FAILED
    assert rows["too-long"].status == Status.TIMEOUT
    assert rows["too-large"].status == Status.SKIPPED
    assert "leave the largest cases out" in rows["too-large"].reason
