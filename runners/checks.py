"""What disturbs or falsifies a measurement: one function a cause, from facts to a finding."""

from collections.abc import Callable
from typing import Any

from runners.findings import Facts, Finding

__all__ = ["CHECKS"]

_GIB = 2**30
#: shares above which something disturbs: of all processors, or of the time
_FOREIGN, _STEAL, _WAITING = 0.10, 0.01, 0.10
_HOT_C = 90.0
_LITTLE_MEMORY, _LITTLE_DISK = 4 * _GIB, 8 * _GIB
#: reasons of a lower clock that NVIDIA's driver gives for heat or power (nvml.h): software and hardware slowdown
_THROTTLING = 0x4 | 0x8 | 0x20 | 0x40 | 0x80


def _governor(facts: Facts) -> Finding:
    governor = facts.state.get("governor")
    if governor is None:
        return Finding("governor", "ok", "this system does not show a frequency governor")
    if governor == "performance":
        return Finding("governor", "ok", "the frequency governor is performance")
    # The newer drivers raise the clock in hardware within a millisecond or so, whatever their governor is called.
    quick = str(facts.attribute("frequency_driver")).startswith(("intel_pstate", "amd-pstate"))
    return Finding(
        "governor",
        "warning" if governor in ("powersave", "conservative") and not quick else "advice",
        f"the frequency governor is {governor}",
        "the clock rises only after a while of work, so short kernels look slower than they are and times drift",
        "sudo cpupower frequency-set -g performance",
    )


def _turbo(facts: Facts) -> Finding:
    turbo = facts.state.get("turbo")
    if not turbo:
        return Finding(
            "turbo", "ok", "turbo is off" if turbo is False else "this system does not show a turbo switch"
        )
    return Finding(
        "turbo",
        "advice",
        "turbo is on",
        "the clock depends on heat and on how many cores work, so one thread runs at another clock than many",
        "leave it on for the speed that users see; for the steadiest comparisons: "
        "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost "
        "(Intel: echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo)",
    )


def _load(facts: Facts) -> Finding:
    foreign = facts.load.get("foreign", 0.0)
    names = ", ".join(f"{name} ({share:.0%} of one processor)" for name, share in facts.busy[:5])
    seen = f"other programs use {foreign:.0%} of all processors" + (f": {names}" if names else "")
    if foreign <= _FOREIGN and not names:
        return Finding("load", "ok", seen)
    return Finding(
        "load",
        "warning" if foreign > _FOREIGN else "advice",
        seen,
        "they take turns on the cores, caches and memory bandwidth: times grow and spread, all-core results most",
        "stop them, or measure at a quiet hour; a run waits a while for quiet and marks what it could not wait for",
    )


def _steal(facts: Facts) -> Finding:
    steal = facts.load.get("steal", 0.0)
    if steal <= _STEAL:
        return Finding("steal", "ok", f"the hypervisor gave {steal:.1%} of the time to others")
    return Finding(
        "steal",
        "warning",
        f"the hypervisor gave {steal:.1%} of the time to others",
        "this machine stands still meanwhile, which looks like a slow kernel",
        "use an instance with dedicated processors, or compare only what was measured in the same run",
    )


def _pressure(facts: Facts) -> Finding:
    waiting = max(facts.load.get("waiting", 0.0), facts.state.get("pressure", {}).get("cpu", 0.0))
    stalled = facts.state.get("pressure", {}).get("memory", 0.0)
    if waiting < _WAITING and stalled < _WAITING:
        return Finding("pressure", "ok", f"some program waited for a processor in {waiting:.0%} of the time")
    what = "memory" if stalled >= _WAITING else "a processor"
    return Finding(
        "pressure",
        "warning",
        f"some program waited for {what} in {max(waiting, stalled):.0%} of the time",
        "there is more work than the machine can do, and measurements wait in the same queue",
        "stop other work; in a container also look at its limits and neighbours",
    )


def _smt(facts: Facts) -> Finding:
    machine = facts.machine
    if machine.threads <= machine.cores:
        return Finding("smt", "ok", f"each of the {machine.cores} cores runs one hardware thread")
    return Finding(
        "smt",
        "advice",
        f"{machine.cores} cores run {machine.threads} hardware threads (SMT)",
        "two threads on one core share its arithmetic units: more threads than cores seldom speed up a dense kernel, "
        "and a busy sibling slows a measurement without using its processor",
        f"measure with at most {machine.cores} threads (the default); to switch it off: "
        "echo off | sudo tee /sys/devices/system/cpu/smt/control",
    )


def _temperature(facts: Facts) -> Finding:
    temperature, throttled = facts.state.get("temperature_c"), facts.state.get("throttled") or 0
    if temperature is not None and temperature >= _HOT_C:
        return Finding(
            "temperature",
            "warning",
            f"the processor is at {temperature:.0f} °C",
            "it lowers its clock by itself, so the longer a run takes, the slower it gets",
            "let it cool down, clean or free its fans, and measure again",
        )
    if throttled:
        return Finding(
            "temperature",
            "advice",
            f"heat has slowed a core {throttled} times since the system started",
            "if it happens during a run, times jump for seconds",
            "watch it: grep . /sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
        )
    seen = (
        "this system shows no temperature"
        if temperature is None
        else f"the processor is at {temperature:.0f} °C"
    )
    return Finding("temperature", "ok", seen)


def _battery(facts: Facts) -> Finding:
    battery = facts.state.get("battery")
    if not battery or battery["plugged_in"]:
        return Finding(
            "battery", "ok", "the machine is plugged in" if battery else "the machine has no battery"
        )
    return Finding(
        "battery",
        "warning",
        f"the machine runs on its battery ({battery['percent']} %)",
        "most machines lower their clock on battery power",
        "plug it in, and switch power saving off",
    )


def _thread_variables(facts: Facts) -> Finding:
    limit = facts.machine.threads
    names = [name for name in facts.variables if name.endswith("_NUM_THREADS")]
    odd = [f"{name}={facts.variables[name]}" for name in names if not _fits(facts.variables[name], limit)]
    if not odd:
        return Finding(
            "thread-variables", "ok", "no variable asks for more threads than there are processors"
        )
    return Finding(
        "thread-variables",
        "advice",
        f"{', '.join(odd)} on {limit} hardware threads",
        "flopwatch sets the threads of its own processes, but every other program that you start from here and compare "
        "with runs more threads than processors, which wait for each other",
        f"unset {' '.join(entry.partition('=')[0] for entry in odd)}",
    )


def _fits(value: str, limit: int) -> bool:
    """Say whether each level of a thread count (``4`` or ``2,2``) is a number from 1 to the limit."""
    return all(part.strip().isdigit() and 1 <= int(part) <= limit for part in value.split(","))


def _code_path(facts: Facts) -> Finding:
    names = ("GLIBC_TUNABLES", "LD_PRELOAD", "MKL_ENABLE_INSTRUCTIONS", "NUMBA_CPU_NAME", "OPENBLAS_CORETYPE")
    given = [f"{name}={facts.variables[name]}" for name in names if facts.variables.get(name)]
    if not given:
        return Finding("code-path", "ok", "no variable chooses other code than the machine's own")
    return Finding(
        "code-path",
        "warning",
        ", ".join(given),
        "libraries run other code, or with another allocator, than they would by themselves on this machine",
        f"unset {' '.join(entry.partition('=')[0] for entry in given)}, unless that is what you measure",
    )


def _debug(facts: Facts) -> Finding:
    interpreter = facts.process.get("interpreter", {})
    wanted = {"PYTHONDEVMODE": "1", "PYTHONMALLOC": "debug", "NUMBA_DISABLE_JIT": "1"}
    seen = [f"{name}={value}" for name, value in wanted.items() if facts.variables.get(name) == value]
    if interpreter.get("debug"):
        return Finding(
            "debug",
            "warning",
            "this Python is a debug build",
            "every call costs several times as much, and extension modules may be debug builds too",
            "use a release build of Python",
        )
    if seen or interpreter.get("dev_mode"):
        return Finding(
            "debug",
            "advice",
            f"switched on for debugging: {', '.join(seen) or 'the development mode of Python (-X dev)'}",
            "flopwatch starts its own processes without it, but what you time yourself from here is far slower",
            f"unset {' '.join(entry.partition('=')[0] for entry in seen)}"
            if seen
            else "start Python without -X dev",
        )
    return Finding("debug", "ok", "nothing is built or switched on for debugging")


def _virtualisation(facts: Facts) -> Finding:
    hypervisor = facts.attribute("hypervisor")
    if hypervisor is None:
        return Finding("virtualisation", "ok", "no hypervisor is seen")
    return Finding(
        "virtualisation",
        "advice",
        f"this is a virtual machine (hypervisor: {hypervisor})",
        "neighbours share the last-level cache, memory bandwidth and clock, unseen from here",
        "trust ratios from one run; repeat absolute times on another day before you publish them",
    )


def _aslr(facts: Facts) -> Finding:
    if facts.process.get("aslr") is not False:
        known = "is random" if facts.process.get("aslr") else "cannot be told on this system"
        return Finding("aslr", "ok", f"the layout of memory {known}")
    return Finding(
        "aslr",
        "advice",
        "address space layout randomisation is off",
        "each process gets the same layout: numbers repeat better here than they would anywhere else",
        "start flopwatch without setarch -R, and: sudo sysctl kernel.randomize_va_space=2",
    )


def _huge_pages(facts: Facts) -> Finding:
    setting = facts.attribute("transparent_huge_pages")
    if setting != "never":
        return Finding(
            "huge-pages", "ok", f"transparent huge pages: {setting or 'not a setting of this system'}"
        )
    return Finding(
        "huge-pages",
        "advice",
        "transparent huge pages are off",
        "large arrays need 512 times as many page-table entries: fresh outputs and memory-bound kernels are slower",
        "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
    )


def _clocksource(facts: Facts) -> Finding:
    source = facts.attribute("clocksource")
    if source not in ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "xen"):
        return Finding("clocksource", "ok", f"the clock is {source or 'that of the operating system'}")
    return Finding(
        "clocksource",
        "warning",
        f"the clock is {source}",
        "reading it asks the kernel and costs a microsecond or more, which is added to short samples",
        "cat /sys/devices/system/clocksource/clocksource0/available_clocksource, and choose tsc if it is there",
    )


def _memory(facts: Facts) -> Finding:
    free = facts.state.get("memory_available_bytes")
    if free is None or free >= _LITTLE_MEMORY:
        return Finding(
            "memory", "ok", "memory is free" if free is None else f"{free / _GIB:.1f} GiB of memory are free"
        )
    return Finding(
        "memory",
        "warning" if free < _LITTLE_MEMORY / 2 else "advice",
        f"only {free / _GIB:.1f} GiB of memory are free",
        "large cases are skipped for lack of memory, and others may swap",
        "close programs, or raise the memory of the machine or container",
    )


def _disk(facts: Facts) -> Finding:
    free = facts.scratch_free_bytes
    if free is None or free >= _LITTLE_DISK:
        return Finding(
            "disk",
            "ok",
            "the scratch folder has space" if free is None else f"{free / _GIB:.0f} GiB of disk are free",
        )
    return Finding(
        "disk",
        "warning",
        f"only {free / _GIB:.1f} GiB of disk are free for scratch files",
        "cases that save a model may fail for lack of space",
        "free some space, or set FLOPWATCH_HOME to a larger disk",
    )


def _cpu_quota(facts: Facts) -> Finding:
    quota, cores = facts.attribute("cpu_quota"), facts.machine.cores
    if quota is None or quota >= cores:
        return Finding("cpu-quota", "ok", "no quota below the number of cores")
    return Finding(
        "cpu-quota",
        "warning",
        f"the control group may use {quota:g} of {cores} cores",
        "a kernel with more threads than that is stopped for the rest of each period, tens of milliseconds at a time",
        f"raise the limit of the container, or measure with --threads {max(1, int(quota))}",
    )


def _affinity(facts: Facts) -> Finding:
    allowed = facts.state.get("processors_allowed")
    if allowed is None or len(allowed) >= facts.machine.threads:
        return Finding("affinity", "ok", "all processors may be used")
    return Finding(
        "affinity",
        "warning" if len(allowed) < facts.machine.cores else "advice",
        f"this process may use {len(allowed)} of {facts.machine.threads} hardware threads",
        "kernels with more threads than that share processors, and all-core results are not those of the machine",
        f"start flopwatch without taskset or a cpuset, or measure with --threads {len(allowed)}",
    )


def _devices(facts: Facts) -> Finding:
    if facts.device_processes:
        names = ", ".join(
            f"{one.get('name', 'a program')} ({one.get('pid')})" for one in facts.device_processes[:5]
        )
        return Finding(
            "devices",
            "warning",
            f"programs compute on the graphics processor: {names}",
            "they take turns with the measurement and share its memory bandwidth and power",
            "stop them, or choose another device with CUDA_VISIBLE_DEVICES",
        )
    slowed = [one for one in facts.state.get("devices", ()) if _is_slowed(one)]
    if slowed:
        return Finding(
            "devices",
            "warning",
            f"{len(slowed)} of the graphics processors lower their clock because of heat or power",
            "rates fall while it lasts",
            "look at nvidia-smi -q -d PERFORMANCE; improve cooling or raise the power limit",
        )
    return Finding("devices", "ok", ", ".join(facts.machine.devices) or "no graphics processor is seen")


def _accelerators(facts: Facts) -> Finding:
    """Say what each accelerator's backend lacks; it is worth advice only where a device is there to be used."""
    missing = [one for one in facts.accelerators if not one["available"]]
    if not missing:
        ready = ", ".join(f"{one['backend']} on {one['device']}" for one in facts.accelerators)
        return Finding(
            "accelerators", "ok", f"ready: {ready}" if ready else "no backend of an accelerator is known"
        )
    return Finding(
        "accelerators",
        "advice" if facts.machine.devices else "ok",
        "; ".join(f"{one['backend']} on {one['device']}: {one['reason']}" for one in missing),
        "their cases are listed as unavailable" if facts.machine.devices else "",
        "; ".join(dict.fromkeys(one["install"] for one in missing if one["install"])),
    )


def _is_slowed(device: dict[str, Any]) -> bool:
    reasons = str(device.get("throttle_reasons", "0x0"))
    return reasons.startswith("0x") and bool(int(reasons, 16) & _THROTTLING)


#: in the order in which people read them
CHECKS: tuple[Callable[[Facts], Finding], ...] = (
    _load,
    _steal,
    _pressure,
    _governor,
    _turbo,
    _smt,
    _temperature,
    _battery,
    _thread_variables,
    _code_path,
    _debug,
    _virtualisation,
    _cpu_quota,
    _affinity,
    _aslr,
    _huge_pages,
    _clocksource,
    _memory,
    _disk,
    _devices,
    _accelerators,
)
