"""The gate before a process, and the labels of what was disturbed all the same."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from runners.answers import disturbances
from runners.quiet import Gate, LoadMeter, foreign_limit


class Loads:
    """Meters that report the given loads one after the other."""

    def __init__(self, *foreign):
        self.left = list(foreign)

    def __call__(self, pids):
        return self

    def read(self):
        return {"foreign": self.left.pop(0) if len(self.left) > 1 else self.left[0], "waiting": 0.0}


@pytest.fixture
def slept():
    return []


def test_a_quiet_machine_is_not_waited_for(slept):
    """The gate looks once and lets the process start."""
    assert Gate(600, Loads(0.0), slept.append).wait(1, [])["quiet"] is True
    assert len(slept) == 1


def test_the_gate_waits_until_others_are_done(slept):
    """A busy machine is waited for, and the wait is recorded."""
    found = Gate(600, Loads(1.0, 1.0, 0.0), slept.append).wait(1, [])
    assert found["quiet"] is True
    assert found["waited_s"] == pytest.approx(0.8)


def test_the_gate_gives_up_and_says_so(slept):
    """After 30 s, or a tenth of the budget in all, the process runs and is labelled."""
    gate = Gate(100, Loads(1.0), slept.append)
    first = gate.wait(1, [])
    assert first["quiet"] is False
    assert first["waited_s"] <= 10
    assert gate.wait(1, [])["waited_s"] <= 0.4
    assert Gate(10_000, Loads(1.0), slept.append).wait(1, [])["waited_s"] == pytest.approx(30, abs=0.5)


def test_a_kernel_on_all_cores_tolerates_little():
    """What others may use is what the kernel leaves free, and a tenth."""
    cores = psutil.cpu_count()
    assert foreign_limit(cores) == pytest.approx(0.1)
    assert foreign_limit(1) == pytest.approx((cores - 1) / cores + 0.1)


def test_labels_follow_from_causes():
    """Load and waiting mark a measurement as disturbed, a gate that gave up as ungated."""
    cores = psutil.cpu_count()
    assert disturbances({"foreign": 0.0, "waiting": 0.0}, cores, True) == []
    assert disturbances({"foreign": 0.5, "waiting": 0.0}, cores, True) == ["disturbed"]
    assert disturbances({"foreign": 0.0, "waiting": 0.4}, 1, False) == ["disturbed", "ungated"]


def test_the_meter_sees_a_burner_that_is_not_ours():
    """Processor time of another process counts as foreign, and not when it is named as ours."""
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        foreign, own = LoadMeter([os.getpid()]), LoadMeter([os.getpid(), burner.pid])
        time.sleep(1.5)
        seen, counted = foreign.read(), own.read()
        used = psutil.Process(burner.pid).cpu_times().user
    finally:
        burner.kill()
        burner.wait()
    if used < 0.5:
        pytest.skip("the machine was too busy to let the burner run")
    assert seen["foreign"] > counted["foreign"]
