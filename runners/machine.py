"""The machine: what it is, which does not change, and the state it is in, which does."""

import hashlib
import json
import os
import platform
import sys
from typing import Any

import psutil

from data.records import Machine
from runners.devices import nvidia_devices, nvidia_state
from runners.isolation import allowed_processors, container, cpu_quota, hypervisor, memory_limit
from runners.processor import caches, cores_and_threads, cpu_info, cpu_model, simd_features
from runners.system import System

__all__ = ["describe_machine", "machine_id", "state"]

_CPUFREQ = "/sys/devices/system/cpu/cpu0/cpufreq"
#: the most that a name may hold
_NAME = 200


def describe_machine(name: str | None = None, system: System | None = None) -> Machine:
    """Describe the machine that this process runs on.

    It is called ``name``, else ``FLOPWATCH_MACHINE``, else by its host name.  Sizes are in bytes, frequencies in MHz.
    What a system does not tell is left out of ``attributes``; nothing is guessed.
    """
    system = system or System()
    model = cpu_model(system)
    cores, threads = cores_and_threads(system)
    memory_bytes = _memory_bytes(system)
    found = nvidia_devices(system)
    devices = [str(device["name"])[:_NAME] for device in found] or _apple_devices(system, model)
    called = (name or system.variables.get("FLOPWATCH_MACHINE") or platform.node()).strip()
    return Machine(
        id=machine_id(model, cores, memory_bytes, devices),
        name=(called or "unnamed")[:_NAME],
        cpu_model=model,
        cores=cores,
        threads=threads,
        memory_bytes=memory_bytes,
        devices=devices,
        attributes=_attributes(system, found),
    )


def machine_id(cpu_model: str, cores: int, memory_bytes: int, devices: list[str]) -> str:
    """Return 12 hex digits of SHA-256 over model, cores, memory rounded to GiB and devices.

    Machines of the same build share it; their names tell them apart.
    """
    what = {
        "cpu_model": cpu_model,
        "cores": cores,
        "memory_gib": round(memory_bytes / 2**30),
        "devices": devices,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def _memory_bytes(system: System) -> int:
    return _meminfo(system).get("MemTotal") or int(psutil.virtual_memory().total)


def _meminfo(system: System) -> dict[str, int]:
    """Return the lines of ``/proc/meminfo`` in bytes; empty where there is none."""
    lines = (line.split() for line in (system.text("/proc/meminfo") or "").splitlines())
    return {
        words[0].rstrip(":"): int(words[1]) * 1024
        for words in lines
        if len(words) == 3 and words[1].isdigit()
    }


def _apple_devices(system: System, model: str) -> list[str]:
    """Return the graphics processor of Apple silicon, which is part of the chip."""
    return [f"{model} GPU"] if system.platform == "darwin" and platform.machine() == "arm64" else []


def _attributes(system: System, devices: list[dict[str, Any]]) -> dict[str, Any]:
    info = cpu_info(system)
    found = {
        "architecture": platform.machine(),
        "byte_order": sys.byteorder,
        "cpu": {name: info[key] for name, key in _CPU_KEYS.items() if key in info},
        "simd": simd_features(system),
        "caches": caches(system),
        "numa_nodes": len(system.glob("/sys/devices/system/node/node[0-9]*")) or None,
        "simultaneous_multithreading": system.text("/sys/devices/system/cpu/smt/control"),
        "maximum_frequency_mhz": _mhz(system, "cpuinfo_max_freq"),
        "frequency_driver": system.text(f"{_CPUFREQ}/scaling_driver"),
        "page_bytes": _page_bytes(),
        "hypervisor": hypervisor(system),
        "container": container(system),
        "cpu_quota": cpu_quota(system),
        "memory_limit_bytes": memory_limit(system),
        "devices": devices,
        "system": platform.system(),
        "distribution": _distribution(system),
        "kernel": platform.release(),
        "c_library": " ".join(platform.libc_ver()).strip(),
        "clocksource": system.text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "transparent_huge_pages": _chosen(system.text("/sys/kernel/mm/transparent_hugepage/enabled")),
    }
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


_CPU_KEYS = {
    "vendor": "vendor_id",
    "family": "cpu family",
    "model": "model",
    "stepping": "stepping",
    "microcode": "microcode",
    "implementer": "CPU implementer",
    "part": "CPU part",
}


def _page_bytes() -> int | None:
    return os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None


def _distribution(system: System) -> str:
    if system.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    if system.platform == "win32":
        return f"Windows {platform.version()}"
    lines = (line.partition("=") for line in (system.text("/etc/os-release") or "").splitlines())
    return next((value.strip('"') for name, _, value in lines if name == "PRETTY_NAME"), "")


def _chosen(text: str | None) -> str | None:
    """Return the word in brackets of a choice in sysfs: ``always [madvise] never``."""
    return text.partition("[")[2].partition("]")[0] or text if text else None


def _mhz(system: System, name: str) -> float | None:
    khz = system.number(f"{_CPUFREQ}/{name}")
    return khz / 1000 if khz else None


def state(system: System | None = None) -> dict[str, Any]:
    """Return what changes on a machine and moves its results; what the system does not tell is left out.

    Shares of time are cumulative seconds since the system started (``steal_s``), so that two states give the share
    between them; ``pressure`` is the share of the last ten seconds in which some task waited for the resource;
    frequencies are in MHz, temperatures in degrees Celsius, memory in bytes.
    """
    system = system or System()
    memory = _meminfo(system)
    found = {
        "load_1_5_15": _load(system),
        "steal_s": getattr(psutil.cpu_times(), "steal", None),
        "pressure": _pressure(system),
        "governor": system.text(f"{_CPUFREQ}/scaling_governor"),
        "energy_preference": system.text(f"{_CPUFREQ}/energy_performance_preference"),
        "frequency_mhz": _frequency_mhz(system),
        "turbo": _turbo(system),
        "temperature_c": _temperature_c(system),
        "throttled": _throttled(system),
        "memory_available_bytes": memory.get("MemAvailable") or psutil.virtual_memory().available,
        "swap_used_bytes": memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
        "battery": _battery(system),
        "processors_allowed": allowed_processors(),
        "devices": nvidia_state(system),
    }
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _load(system: System) -> list[float] | None:
    text = system.text("/proc/loadavg")
    if text:
        return [float(word) for word in text.split()[:3]]
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _pressure(system: System) -> dict[str, float]:
    found = {}
    for resource in ("cpu", "io", "memory"):
        text = system.text(f"/proc/pressure/{resource}") or ""
        if text.startswith("some avg10="):
            found[resource] = round(float(text.split("avg10=")[1].split()[0]) / 100, 4)
    return found


def _frequency_mhz(system: System) -> list[float]:
    """Return the lowest and the highest present frequency of the processors, in MHz."""
    paths = system.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
    values = [khz / 1000 for khz in map(system.number, paths) if khz]
    if not values:
        lines = (system.text("/proc/cpuinfo") or "").splitlines()
        values = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return [min(values), max(values)] if values else []


def _turbo(system: System) -> bool | None:
    """Say whether the processor may exceed its nominal frequency."""
    off = system.number("/sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = system.number("/sys/devices/system/cpu/cpufreq/boost")
    if off is not None:
        return off == 0
    return None if boost is None else boost == 1


def _temperature_c(system: System) -> float | None:
    """Return the highest temperature that a sensor of the processor reports."""
    paths = [
        path
        for path in system.glob("/sys/class/thermal/thermal_zone*/type")
        if _is_processor(system.text(path))
    ]
    paths = [path.replace("/type", "/temp") for path in paths]
    for name in system.glob("/sys/class/hwmon/hwmon*/name"):
        if system.text(name) in ("coretemp", "k10temp", "zenpower", "cpu_thermal"):
            paths += system.glob(name.replace("/name", "/temp*_input"))
    values = [value / 1000 for value in map(system.number, paths) if value is not None]
    return max(values, default=None)


def _is_processor(kind: str | None) -> bool:
    return any(word in (kind or "").lower() for word in ("pkg", "cpu", "soc", "x86"))


def _throttled(system: System) -> int | None:
    """Return how often a core was slowed by heat since the system started."""
    paths = system.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for count in map(system.number, paths) if count is not None]
    return sum(counts) if counts else None


def _battery(system: System) -> dict[str, Any]:
    """Return the charge in percent and whether the machine is plugged in; empty without a battery."""
    if system.platform == "linux":
        for path in system.glob("/sys/class/power_supply/*/capacity"):
            folder = path.removesuffix("/capacity")
            if system.text(f"{folder}/type") == "Battery" and system.text(f"{folder}/scope") != "Device":
                plugged_in = system.text(f"{folder}/status") != "Discharging"
                return {"percent": system.number(path), "plugged_in": plugged_in}
        return {}
    sensor = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return (
        {} if sensor is None else {"percent": round(sensor.percent), "plugged_in": bool(sensor.power_plugged)}
    )
