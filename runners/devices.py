"""NVIDIA devices as their driver's own tool describes them: no library is imported to look."""

from typing import Any

from runners.system import System

__all__ = ["nvidia_devices", "nvidia_processes", "nvidia_state"]

#: how many fields of each list every driver knows
_ESSENTIAL = 3
_FIXED = {
    "name": "name",
    "memory_mib": "memory.total",
    "driver": "driver_version",
    "compute_capability": "compute_cap",
    "ecc": "ecc.mode.current",
    "mig": "mig.mode.current",
    "maximum_sm_clock_mhz": "clocks.max.sm",
    "maximum_memory_clock_mhz": "clocks.max.memory",
    "power_limit_w": "power.limit",
}
_CHANGING = {
    "temperature_c": "temperature.gpu",
    "sm_clock_mhz": "clocks.sm",
    "memory_clock_mhz": "clocks.mem",
    "power_w": "power.draw",
    "utilisation_percent": "utilization.gpu",
    "memory_used_mib": "memory.used",
    "throttle_reasons": "clocks_throttle_reasons.active",
    "persistence": "persistence_mode",
}


def _query(system: System, what: str, fields: dict[str, str]) -> list[dict[str, Any]]:
    """Return one record for each line that ``nvidia-smi`` answers; what it does not know is left out."""
    words = (f"--query-{what}={','.join(fields.values())}", "--format=csv,noheader,nounits")
    answer = system.command("nvidia-smi", *words)
    if (
        answer is None and len(fields) > _ESSENTIAL
    ):  # a driver refuses the whole question over one field it lacks
        return _query(system, what, dict(list(fields.items())[:_ESSENTIAL]))
    return [
        {
            name: _number(value.strip())
            for name, value in zip(fields, line.split(","), strict=False)
            if value.strip() and not value.strip().startswith("[")
        }
        for line in (answer or "").splitlines()
        if line.strip()
    ]


def _number(value: str) -> str | float | int:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        return value


def nvidia_devices(system: System) -> list[dict[str, Any]]:
    """Return what does not change: name, memory, driver, compute capability, modes, highest clocks, power limit."""
    return [device for device in _query(system, "gpu", _FIXED) if "name" in device]


def nvidia_state(system: System) -> list[dict[str, Any]]:
    """Return what changes: temperature, clocks, power, load, memory in use, reasons for a lower clock."""
    return _query(system, "gpu", _CHANGING)


def nvidia_processes(system: System) -> list[dict[str, Any]]:
    """Return the processes that compute on a device: ``pid``, ``name`` and ``memory_mib``."""
    return _query(system, "compute-apps", {"pid": "pid", "name": "process_name", "memory_mib": "used_memory"})
