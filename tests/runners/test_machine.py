"""The description of a machine and of the state it is in."""

import platform
from pathlib import Path

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records import Machine
from runners.machine import describe_machine, machine_id, state
from runners.system import System, parse_cpu_list, parse_size
from tests.runners.systems import CPUS, NVIDIA, WORKSTATION, FoundSystem, topology


@pytest.fixture
def workstation(tmp_path: Path) -> FoundSystem:
    return FoundSystem(tmp_path, WORKSTATION, NVIDIA)


def test_this_machine() -> None:
    """This machine is described as the operating system describes it elsewhere."""
    machine = describe_machine()
    assert machine.memory_bytes == pytest.approx(psutil.virtual_memory().total, rel=0.01)
    assert machine.threads == psutil.cpu_count()
    assert 1 <= machine.cores <= machine.threads
    assert machine.attributes["architecture"] == platform.machine()
    assert machine.id == describe_machine("another name").id


def test_processor(workstation: FoundSystem) -> None:
    """Model, cores, threads, caches and vector instructions come from the kernel's files."""
    machine = describe_machine(system=workstation)
    assert machine.cpu_model == "Intel(R) Core(TM) i9-11900K @ 3.50GHz"
    assert (machine.cores, machine.threads) == (8, 16)
    assert machine.attributes["simd"][-3:] == ["avx2", "avx512f", "avx512bw"]
    first, last = machine.attributes["caches"]
    assert first == {
        "level": 1,
        "type": "data",
        "size_bytes": 48 * 1024,
        "shared_by": 2,
        "count": 8,
        "line_bytes": 64,
    }
    assert (last["level"], last["size_bytes"], last["shared_by"], last["count"]) == (3, 36 * 2**20, 16, 1)


def test_attributes(workstation: FoundSystem) -> None:
    """What the system tells is kept, and what it does not tell is left out."""
    attributes = describe_machine(system=workstation).attributes
    assert attributes["clocksource"] == "tsc"
    assert attributes["transparent_huge_pages"] == "madvise"
    assert attributes["distribution"] == "Debian GNU/Linux 12 (bookworm)"
    assert attributes["maximum_frequency_mhz"] == 5300
    assert attributes["numa_nodes"] == 1
    assert not attributes.keys() & {"hypervisor", "container", "cpu_quota", "memory_limit_bytes"}


def test_nvidia(workstation: FoundSystem) -> None:
    """A graphics processor is named, with its driver, memory and modes."""
    machine = describe_machine(system=workstation)
    assert machine.devices == ["NVIDIA H200"]
    assert (
        machine.attributes["devices"][0]
        | {"driver": "580.65.06", "memory_mib": 143771, "power_limit_w": 700.0}
        == (machine.attributes["devices"][0])
    )


def test_old_nvidia_driver(tmp_path: Path) -> None:
    """A driver that does not know every field of ours still names its device."""
    answers = {
        "nvidia-smi --query-gpu=name,memory.total,driver_version --format": "Tesla K80, 11441, 470.256"
    }
    system = FoundSystem(tmp_path, WORKSTATION, answers)
    assert describe_machine(system=system).attributes["devices"] == [
        {"name": "Tesla K80", "memory_mib": 11441, "driver": 470.256}
    ]


def test_arm(tmp_path: Path) -> None:
    """A processor whose kernel gives numbers only is named by lscpu, and its vector instructions are found."""
    files = topology(4, 1) | {
        "/proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp sve\nCPU part : 0xd40"
    }
    machine = describe_machine(
        system=FoundSystem(tmp_path, files, {"lscpu": "Model name:   Neoverse-V1\nStepping: r1p1"})
    )
    assert machine.cpu_model == "Neoverse-V1"
    assert machine.attributes["simd"] == ["neon", "neon_dotprod", "sve"]


def test_macos(tmp_path: Path) -> None:
    """A Mac is described through sysctl."""
    answers = {
        "sysctl -n machdep.cpu.brand_string": "Apple M3 Pro",
        "sysctl -n hw.perflevel0.l1dcachesize": "131072",
        "sysctl -n hw.l2cachesize": "4194304",
        "sysctl -n hw.optional.neon": "1",
        "sysctl -n kern.hv_vmm_present": "0",
    }
    machine = describe_machine(system=FoundSystem(tmp_path, {}, answers, platform="darwin"))
    assert machine.cpu_model == "Apple M3 Pro"
    assert machine.attributes["simd"] == ["neon"]
    assert [(cache["level"], cache["size_bytes"]) for cache in machine.attributes["caches"]] == [
        (1, 131072),
        (2, 4194304),
    ]


def test_nothing_readable(tmp_path: Path) -> None:
    """A system that shows nothing still gives a whole record, with a processor's name."""
    machine = describe_machine(system=FoundSystem(tmp_path))
    assert machine.cpu_model
    assert machine.cores >= 1
    assert machine.memory_bytes > 0
    assert state(FoundSystem(tmp_path))["memory_available_bytes"] > 0


@pytest.mark.parametrize(
    ("files", "variables", "found"),
    [
        (
            {"/proc/cpuinfo": "flags : sse2 hypervisor", "/sys/hypervisor/type": "xen"},
            {},
            {"hypervisor": "xen"},
        ),
        ({"/proc/cpuinfo": "flags : hypervisor"}, {}, {"hypervisor": "unknown"}),
        ({"/sys/class/dmi/id/product_name": "KVM Virtual Machine"}, {}, {"hypervisor": "unknown"}),
        ({"/proc/sys/kernel/osrelease": "5.15.1-microsoft-standard-WSL2"}, {}, {"hypervisor": "WSL"}),
        ({"/.dockerenv": ""}, {}, {"container": "docker"}),
        ({"/proc/1/cgroup": "0::/kubepods/besteffort/pod1"}, {}, {"container": "kubepods"}),
        ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"container": "kubernetes"}),
        (
            {
                "/proc/self/cgroup": "0::/a/b",
                "/sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "/sys/fs/cgroup/a/cpu.max": "150000 100000",
            },
            {},
            {"cpu_quota": 1.5},
        ),
        (
            {
                "/proc/self/cgroup": "4:cpu,cpuacct:/x\n3:memory:/x",
                "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "400000",
                "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000",
                "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1073741824",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            {},
            {"cpu_quota": 4.0, "memory_limit_bytes": 2**30},
        ),
    ],
)
def test_isolation(
    tmp_path: Path, files: dict[str, str], variables: dict[str, str], found: dict[str, object]
) -> None:
    """Hypervisors, containers and the limits of control groups of both versions are seen."""
    attributes = describe_machine(system=FoundSystem(tmp_path, files, variables=variables)).attributes
    names = {"hypervisor", "container", "cpu_quota", "memory_limit_bytes"}
    assert {name: attributes[name] for name in names & attributes.keys()} == found


@pytest.mark.parametrize(
    ("argument", "variables", "called"),
    [
        ("by hand", {"FLOPWATCH_MACHINE": "by variable"}, "by hand"),
        (None, {"FLOPWATCH_MACHINE": " by variable "}, "by variable"),
        (None, {}, platform.node()),
        ("n" * 300, {}, "n" * 200),
    ],
)
def test_name(tmp_path: Path, argument: str | None, variables: dict[str, str], called: str) -> None:
    """A person's name for the machine wins over the variable, which wins over the host name."""
    assert describe_machine(argument, FoundSystem(tmp_path, variables=variables)).name == called


def test_id_depends_on_what_matters() -> None:
    """Another model, core count, GiB of memory or device is another machine; a few MiB are not."""
    base = machine_id("Model A", 8, 64 * 2**30, ["GPU"])
    assert base == machine_id("Model A", 8, 64 * 2**30 - 100 * 2**20, ["GPU"])
    others = {
        machine_id("Model B", 8, 64 * 2**30, ["GPU"]),
        machine_id("Model A", 4, 64 * 2**30, ["GPU"]),
        machine_id("Model A", 8, 32 * 2**30, ["GPU"]),
        machine_id("Model A", 8, 64 * 2**30, []),
        machine_id("Model A", 8, 64 * 2**30, ["GPU", "GPU"]),
    }
    assert len(others | {base}) == 6


def test_id_is_fixed() -> None:
    """The id of a machine stays what it is from version to version, or its history would be torn."""
    assert machine_id("AMD EPYC", 2, 25276514304, []) == "dd845ec2f36f"


def test_state(workstation: FoundSystem) -> None:
    """Load, pressure, governor, clock, turbo, heat, memory and battery are read in their units."""
    found = state(workstation)
    assert found["load_1_5_15"] == [1.5, 0.7, 0.3]
    assert found["pressure"] == {"cpu": 0.125}
    assert found["governor"] == "powersave"
    assert found["frequency_mhz"] == [800.0, 3500.0]
    assert found["turbo"] is True
    assert found["temperature_c"] == 71.5
    assert found["throttled"] == 5
    assert found["memory_available_bytes"] == 32768000 * 1024
    assert found["swap_used_bytes"] == 1024 * 1024
    assert found["battery"] == {"percent": 80, "plugged_in": False}
    assert found["devices"][0]["temperature_c"] == 41
    assert "persistence" not in found["devices"][0]


def test_boost_of_other_drivers(tmp_path: Path) -> None:
    """Turbo is found where the common frequency driver has its switch."""
    assert state(FoundSystem(tmp_path, {f"{CPUS}/cpufreq/boost": "0"}))["turbo"] is False


def test_a_machine_is_valid_in_a_run_file(workstation: FoundSystem) -> None:
    """A description survives the way through a run file, whose rules it obeys."""
    machine = describe_machine(system=workstation)
    assert msgspec.json.decode(msgspec.json.encode(machine), type=Machine) == machine


@given(st.sets(st.integers(0, 4096)))
def test_cpu_lists(processors: set[int]) -> None:
    """Any list of processors is read back from the kernel's way of writing it."""
    ordered = sorted(processors)
    assert parse_cpu_list(",".join(map(str, ordered))) == ordered
    if ordered:
        first, last = ordered[0], ordered[-1]
        assert parse_cpu_list(f"{first}-{last}") == list(range(first, last + 1))


@given(st.text("0123456789-, KMGx²", max_size=6))
def test_any_text_can_be_parsed(text: str) -> None:
    """Odd contents of a file give no size and no processors, and never an error."""
    size = parse_size(text)
    assert size is None or size >= 0
    assert all(processor >= 0 for processor in parse_cpu_list(text))


@given(st.integers(0, 2**40), st.sampled_from(["", "K", "M", "G"]))
def test_sizes(number: int, unit: str) -> None:
    """A size in sysfs is counted in powers of 1024."""
    assert parse_size(f"{number}{unit}") == number * 1024 ** ["", "K", "M", "G"].index(unit)


def test_a_missing_program_answers_nothing() -> None:
    """A program that is missing, or that fails, gives None instead of an error."""
    assert System().command("no-such-program-anywhere") is None
    assert System().command("python3", "-c", "raise SystemExit(3)") is None
