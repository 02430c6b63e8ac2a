"""What NVIDIA's management library tells of a device while it works: heat, power, energy, clocks, who else computes.

Runs in the worker.  ``nvidia-ml-py`` comes with the extras ``cuda12`` and ``cuda13``; without it all is None.
"""

import importlib
from typing import Any

__all__ = ["THROTTLING", "DeviceMeter", "reasons_of"]

#: reasons of a lower clock (nvml.h, nvmlClocksEventReason…) → the flag of a measurement
THROTTLING = {
    0x4: "power_capped",
    0x8: "slowed_down",
    0x20: "heat_slowdown",
    0x40: "heat_slowdown",
    0x80: "power_brake",
}


def reasons_of(bits: int) -> list[str]:
    """Return the flags of the reasons that lower a clock below what the device can do."""
    return sorted({flag for bit, flag in THROTTLING.items() if bits & bit})


class DeviceMeter:
    """Reads one device; what it does not tell is absent."""

    def __init__(self, bus_id: str | None, library: Any = None) -> None:
        """Find the device by its PCI bus id, since the management library numbers devices in an order of its own."""
        self._library, self._handle = library, None
        try:
            self._library = self._library or importlib.import_module("pynvml")
            self._library.nvmlInit()
            self._handle = (
                self._library.nvmlDeviceGetHandleByPciBusId(bus_id.encode())
                if bus_id
                else self._library.nvmlDeviceGetHandleByIndex(0)
            )
        except ImportError:
            pass
        except Exception:  # its errors are classes of its own, made when it is loaded
            self._handle = None

    def _ask(self, name: str, *arguments: Any) -> Any:
        if self._handle is None:
            return None
        try:
            return getattr(self._library, name)(self._handle, *arguments)
        except Exception:  # not supported on this device, or not permitted
            return None

    def energy_mj(self) -> int | None:
        """Return the energy used since the driver was loaded, in mJ (Volta and newer)."""
        energy = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if energy is None else int(energy)

    def state(self) -> dict[str, Any]:
        """Return temperature, power, clocks, throttle reasons and the number of processes that compute."""
        power_mw, limit_mw = (
            self._ask("nvmlDeviceGetPowerUsage"),
            self._ask("nvmlDeviceGetEnforcedPowerLimit"),
        )
        processes = self._ask("nvmlDeviceGetComputeRunningProcesses")
        found = {
            "temperature_c": self._ask("nvmlDeviceGetTemperature", 0),
            "power_w": None if power_mw is None else power_mw / 1000,
            "power_limit_w": None if limit_mw is None else limit_mw / 1000,
            "energy_mj": self.energy_mj(),
            "sm_clock_mhz": self._ask("nvmlDeviceGetClockInfo", 1),
            "memory_clock_mhz": self._ask("nvmlDeviceGetClockInfo", 2),
            "clock_reasons": self._reasons(),
            "computing_processes": None if processes is None else len(processes),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _reasons(self) -> int | None:
        """Return the bits of the reasons; the name of the function changed with driver 535."""
        for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
            if getattr(self._library, name, None) is not None:
                bits = self._ask(name)
                if bits is not None:
                    return int(bits)
        return None

    def facts(self) -> dict[str, Any]:
        """Return what stays: driver, modes, limits and link of the device."""
        driver: Any = getattr(self._library, "nvmlSystemGetDriverVersion", None)
        ecc, mig = self._ask("nvmlDeviceGetEccMode"), self._ask("nvmlDeviceGetMigMode")
        found = {
            "driver": _text(driver()) if driver is not None and self._handle is not None else None,
            "ecc": None if ecc is None else bool(ecc[0]),
            "mig": None if mig is None else bool(mig[0]),
            "persistence": _truth(self._ask("nvmlDeviceGetPersistenceMode")),
            "power_limit_w": _watts(self._ask("nvmlDeviceGetEnforcedPowerLimit")),
            "pcie_generation": self._ask("nvmlDeviceGetCurrPcieLinkGeneration"),
            "pcie_width": self._ask("nvmlDeviceGetCurrPcieLinkWidth"),
            "maximum_sm_clock_mhz": self._ask("nvmlDeviceGetMaxClockInfo", 1),
            "maximum_memory_clock_mhz": self._ask("nvmlDeviceGetMaxClockInfo", 2),
            "application_sm_clock_mhz": self._ask("nvmlDeviceGetApplicationsClock", 1),
        }
        return {name: value for name, value in found.items() if value is not None}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _truth(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _watts(milliwatts: Any) -> float | None:
    return None if milliwatts is None else milliwatts / 1000
