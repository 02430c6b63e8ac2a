"""What the doctor sees, and what it says about it."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as replace_machine

from data.records import Machine
from runners.checks import CHECKS
from runners.doctor import examine, read_facts, render
from runners.findings import Facts, Finding
from tests.runners.systems import NVIDIA, WORKSTATION, FoundSystem

GIB = 2**30
QUIET = Facts(
    machine=Machine(
        id="0" * 12,
        name="desk",
        cpu_model="Model A",
        cores=8,
        threads=8,
        memory_bytes=64 * GIB,
        attributes={"clocksource": "tsc", "transparent_huge_pages": "madvise"},
    ),
    state={
        "governor": "performance",
        "turbo": False,
        "pressure": {"cpu": 0.0, "memory": 0.0},
        "temperature_c": 50.0,
        "throttled": 0,
        "memory_available_bytes": 32 * GIB,
        "battery": {"percent": 50, "plugged_in": True},
        "processors_allowed": list(range(8)),
    },
    load={"foreign": 0.01, "steal": 0.0, "waiting": 0.0},
    process={
        "aslr": True,
        "variables": {"OMP_NUM_THREADS": "8"},
        "interpreter": {"debug": False, "dev_mode": False},
    },
    scratch_free_bytes=100 * GIB,
)


def state(**changes: Any) -> Facts:
    return replace(QUIET, state=QUIET.state | changes)


def load(**changes: float) -> Facts:
    return replace(QUIET, load=QUIET.load | changes)


def attributes(**changes: Any) -> Facts:
    machine = Machine(**{name: getattr(QUIET.machine, name) for name in QUIET.machine.__struct_fields__})
    machine.attributes = machine.attributes | changes
    return replace(QUIET, machine=machine)


def threads(cores: int, threads: int) -> Facts:
    facts = attributes()
    facts.machine.cores, facts.machine.threads = cores, threads
    return facts


def process(**changes: Any) -> Facts:
    return replace(QUIET, process=QUIET.process | changes)


def variables(**changes: str) -> Facts:
    return process(variables=changes)


LACKING = {
    "backend": "cupy",
    "device": "cuda:0",
    "available": False,
    "reason": "the Python package cupy is not installed",
    "install": "pip install flopwatch[cuda13]",
}
WITHOUT_CUPY = replace(
    QUIET, machine=replace_machine(QUIET.machine, devices=["NVIDIA H100"]), accelerators=(LACKING,)
)
DISTURBANCES = [
    ("governor", "advice", state(governor="schedutil"), "schedutil"),
    ("governor", "warning", state(governor="powersave"), "powersave"),
    ("turbo", "advice", state(turbo=True), "on"),
    ("load", "warning", load(foreign=0.4), "40%"),
    ("load", "advice", replace(QUIET, busy=(("make", 0.5),)), "make (50% of one processor)"),
    ("steal", "warning", load(steal=0.05), "5.0%"),
    ("pressure", "warning", load(waiting=0.2), "a processor in 20%"),
    ("pressure", "warning", state(pressure={"cpu": 0.3}), "a processor in 30%"),
    ("pressure", "warning", state(pressure={"memory": 0.25}), "memory in 25%"),
    ("smt", "advice", threads(4, 8), "4 cores run 8"),
    ("temperature", "warning", state(temperature_c=97.0), "97 °C"),
    ("temperature", "advice", state(throttled=12), "12 times"),
    ("battery", "warning", state(battery={"percent": 33, "plugged_in": False}), "33 %"),
    ("thread-variables", "advice", variables(OMP_NUM_THREADS="64"), "OMP_NUM_THREADS=64"),
    ("thread-variables", "advice", variables(MKL_NUM_THREADS="many"), "MKL_NUM_THREADS=many"),
    ("thread-variables", "advice", variables(OMP_NUM_THREADS="2,0"), "OMP_NUM_THREADS=2,0"),
    ("code-path", "warning", variables(OPENBLAS_CORETYPE="Prescott"), "OPENBLAS_CORETYPE=Prescott"),
    ("code-path", "warning", variables(LD_PRELOAD="libjemalloc.so"), "libjemalloc"),
    ("debug", "warning", process(interpreter={"debug": True}), "debug build"),
    ("debug", "advice", process(interpreter={"dev_mode": True}), "-X dev"),
    ("debug", "advice", variables(NUMBA_DISABLE_JIT="1"), "NUMBA_DISABLE_JIT=1"),
    ("virtualisation", "advice", attributes(hypervisor="KVM"), "KVM"),
    ("cpu-quota", "warning", attributes(cpu_quota=1.5), "1.5 of 8"),
    ("affinity", "warning", state(processors_allowed=[3]), "1 of 8"),
    ("aslr", "advice", process(aslr=False), "off"),
    ("huge-pages", "advice", attributes(transparent_huge_pages="never"), "off"),
    ("clocksource", "warning", attributes(clocksource="hpet"), "hpet"),
    ("memory", "advice", state(memory_available_bytes=3 * GIB), "3.0 GiB"),
    ("memory", "warning", state(memory_available_bytes=GIB), "1.0 GiB"),
    ("disk", "warning", replace(QUIET, scratch_free_bytes=GIB), "1.0 GiB"),
    ("devices", "warning", replace(QUIET, device_processes=({"pid": 42, "name": "train"},)), "train (42)"),
    ("devices", "warning", state(devices=[{"throttle_reasons": "0x0000000000000020"}]), "1 of the graphics"),
    ("accelerators", "advice", WITHOUT_CUPY, "cupy on cuda:0: the Python package cupy is not installed"),
]


def found(facts: Facts) -> dict[str, Finding]:
    return {finding.id: finding for finding in examine(facts)}


def test_a_quiet_machine_needs_no_remedy() -> None:
    """A machine without any disturbance gets no advice and no warning."""
    assert {finding.level for finding in examine(QUIET)} == {"ok"}


@pytest.mark.parametrize(("name", "level", "facts", "seen"), DISTURBANCES)
def test_a_disturbance_is_found(name: str, level: str, facts: Facts, seen: str) -> None:
    """Each disturbance is found with what was seen, says what it does and the remedy, and raises no other alarm."""
    findings = found(facts)
    assert findings[name].level == level
    assert seen in findings[name].seen
    assert findings[name].effect
    assert findings[name].remedy
    assert {other.id for other in findings.values() if other.level != "ok"} == {name}


def test_every_check_is_tried() -> None:
    """No check is without a case here in which it speaks up."""
    assert {name for name, *_ in DISTURBANCES} == set(found(QUIET))
    assert len(CHECKS) == len(found(QUIET))


def test_a_system_that_tells_nothing() -> None:
    """Where a system tells nothing, nothing is claimed to disturb."""
    machine = Machine(id="0" * 12, name="m", cpu_model="c", cores=2, threads=2, memory_bytes=GIB)
    assert {finding.level for finding in examine(Facts(machine=machine))} == {"ok"}


def test_powersave_of_a_quick_driver_is_no_warning() -> None:
    """A driver that raises the clock in hardware earns advice, whatever its governor is called."""
    facts = replace(
        attributes(frequency_driver="intel_pstate"), state=QUIET.state | {"governor": "powersave"}
    )
    assert found(facts)["governor"].level == "advice"


def test_the_remedy_for_a_quota_can_be_typed() -> None:
    """The advised number of threads fits the quota and is at least one."""
    for quota, advised in ((0.5, 1), (1.5, 1), (6.0, 6)):
        assert f"--threads {advised}" in found(attributes(cpu_quota=quota))["cpu-quota"].remedy


def test_facts_of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts are read from the system: the workstation's battery, governor, heat and its device's other user."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path / "not" / "yet" / "there"))
    facts = read_facts(0.01, FoundSystem(tmp_path, WORKSTATION, NVIDIA))
    assert facts.device_processes == ({"pid": 4242, "name": "python3", "memory_mib": 1024},)
    assert facts.scratch_free_bytes is not None
    assert facts.scratch_free_bytes > 0
    findings = found(facts)
    assert findings["battery"].level == "warning"
    assert findings["governor"].level == "advice"
    assert findings["devices"].level == "warning"
    assert not (tmp_path / "not").exists()


def test_this_machine_can_be_examined() -> None:
    """Here and now the examination ends with a finding for each check, as JSON values."""
    findings = examine(read_facts(0.05))
    assert len(findings) == len(CHECKS)
    assert json.loads(json.dumps([asdict(finding) for finding in findings])) == [
        asdict(one) for one in findings
    ]


def test_people_read_the_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    """The printed report begins with warnings, then advice, then what is fine, and counts them."""
    facts = replace(state(governor="powersave", turbo=True), load={"foreign": 0.5})
    render(examine(facts))
    printed = capsys.readouterr().out
    levels = re.findall(r"^(warning|advice|ok) ", printed, re.MULTILINE)
    assert levels == sorted(levels, key=["warning", "advice", "ok"].index)
    assert "warnings: 2, advice: 1" in printed
    assert "cpupower" in printed


def test_what_an_accelerator_lacks_is_named_with_the_way_to_get_it() -> None:
    """Without a device it is only said; where the machine has one it is advice."""
    facts = replace(QUIET, accelerators=(LACKING,))
    lacks = found(facts)["accelerators"]
    assert (lacks.level, lacks.remedy) == ("ok", "pip install flopwatch[cuda13]")
    assert found(WITHOUT_CUPY)["accelerators"].level == "advice"
    ready = found(replace(QUIET, accelerators=(LACKING | {"available": True},)))["accelerators"]
    assert (ready.level, ready.seen) == ("ok", "ready: cupy on cuda:0")


def test_this_machine_says_what_its_accelerators_lack() -> None:
    """Each backend of a device is looked at, and none that is missing lacks its reason and remedy."""
    facts = read_facts(window_s=0.01)
    assert {(one["backend"], one["device"]) for one in facts.accelerators} >= {
        ("cupy", "cuda:0"),
        ("torch", "cuda:0"),
    }
    assert all(one["available"] or (one["reason"] and one["install"]) for one in facts.accelerators)
