"""What CUDA's driver says of itself and of what went wrong, for every library that computes through it.

Nothing is imported to look: the driver's own library answers, where there is one.
"""

import ctypes
import re
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["DRIVER_FOR", "Trouble", "device_count", "driver_version", "reason_without_device", "trouble"]

#: CUDA major version → the oldest driver that knows it (NVIDIA, "CUDA Compatibility", minor version compatibility)
DRIVER_FOR = {12: "525", 13: "580"}

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def _driver() -> Any:
    """Load the driver's library, or return None."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError:
        return None


def driver_version() -> tuple[int, int] | None:
    """Return the newest CUDA version that the driver knows, such as (13, 0); None without a driver."""
    driver, version = _driver(), ctypes.c_int()
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(version)) != 0 or version.value == 0:
        return None
    return version.value // 1000, version.value % 1000 // 10


def device_count() -> tuple[int, int]:
    """Return how many devices the driver offers to this process, and its error code (0 for none)."""
    driver, count = _driver(), ctypes.c_int()
    if driver is None:
        return 0, -1
    error = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return (0, int(error)) if error else (count.value, 0)


#: codes of cuInit that say more than that there is no device (cuda.h)
_INIT_ERRORS = {
    100: "the driver sees no device: CUDA_VISIBLE_DEVICES may hide it, or it is in use by another system",
    802: "the devices are not ready: NVIDIA's Fabric Manager does not run",
    803: "the driver's library and its kernel module are of different versions: reboot",
    804: "the driver's library is newer than this device's kernel module allows",
}


def reason_without_device(library: str, major: int | None) -> tuple[str, str] | None:
    """Return why ``library``, built for CUDA ``major``, finds no device here, and the remedy; None if it finds one."""
    version = driver_version()
    needed = DRIVER_FOR.get(major or 13, "580")
    if version is None:
        return (
            f"no NVIDIA driver is installed here ({_LIBRARY} is not found)",
            f"on a machine with an NVIDIA GPU, install NVIDIA's driver {needed} or newer",
        )
    if major is not None and version[0] < major:
        return (
            f"{library} is built for CUDA {major}, the driver here knows CUDA {version[0]}.{version[1]} at most",
            f"update NVIDIA's driver to {needed} or newer, or install {library} for CUDA {version[0]}",
        )
    count, error = device_count()
    if count:
        return None
    seen = _INIT_ERRORS.get(
        error, f"the driver offers no device (error {error})" if error else _INIT_ERRORS[100]
    )
    return (
        seen,
        "look at nvidia-smi; unset CUDA_VISIBLE_DEVICES, or give the container its devices (--gpus all)",
    )


@dataclass(frozen=True)
class Trouble:
    """What an error of a device means: the status of the measurement, a sentence with the remedy.

    ``lost``: nothing more can be computed in this process.
    """

    status: str
    reason: str
    lost: bool = False


_LOST = "every later call in this process fails too, so the run goes on in a new one"
_LOSSES = (
    "cudaErrorIllegalAddress|illegal memory access|cudaErrorLaunchFailure|unspecified launch failure|"
    "cudaErrorMisalignedAddress|cudaErrorIllegalInstruction|cudaErrorHardwareStackError|cudaErrorAssert|"
    "cudaErrorNvlinkUncorrectable|cudaErrorContextIsDestroyed|cudaErrorDeviceUninitialized|GPU is lost|"
    "cudaErrorUnknown|unknown error|cudaErrorExternalDevice"
)
#: a pattern of the error's text → status, what it means and what to do, whether the process is lost
_TROUBLES: tuple[tuple[str, str, str, bool], ...] = (
    (
        "cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED|out of memory|OutOfMemory",
        "skipped",
        "not enough memory on the device: end other programs on it, or leave the largest cases out",
        False,
    ),
    (
        "cudaErrorLaunchTimeout|launch timed out",
        "timeout",
        "the system ended a kernel that ran too long, as on a device that drives a display: measure on another one",
        True,
    ),
    (
        "cudaErrorECCUncorrectable|uncorrectable ECC",
        "failed",
        "the device's memory has an error that could not be corrected: reset it, and have it checked if it recurs",
        True,
    ),
    (
        "cudaErrorDevicesUnavailable|busy or unavailable",
        "unavailable",
        "another process holds the device for itself: end it, or ask for compute mode Default (nvidia-smi -c 0)",
        True,
    ),
    (
        "cudaErrorNoKernelImageForDevice|no kernel image|cudaErrorUnsupportedPtxVersion|unsupported toolchain",
        "unsupported",
        "this build of the library has no code for this device: install one that is built for it",
        False,
    ),
    (
        "cudaErrorInsufficientDriver|driver version is insufficient",
        "unavailable",
        f"the driver is too old: update it to {DRIVER_FOR[13]} or newer for CUDA 13, {DRIVER_FOR[12]} for CUDA 12",
        True,
    ),
    (
        "cudaErrorNoDevice|no CUDA-capable device",
        "unavailable",
        "the driver offers no device to this process: look at nvidia-smi and CUDA_VISIBLE_DEVICES",
        True,
    ),
    (
        _LOSSES,
        "failed",
        f"the device was lost ({_LOST}); look for Xid in the system's log (dmesg)",
        True,
    ),
)


def trouble(error: BaseException) -> Trouble | None:
    """Return what an error of CuPy or PyTorch means, or None if it says nothing of the device."""
    text = f"{type(error).__name__}: {error}"
    for pattern, status, remedy, lost in _TROUBLES:
        if re.search(pattern, text, re.IGNORECASE):
            first = text.strip().splitlines()[0][:300]
            return Trouble(status, f"{remedy} ({first})", lost)
    return None
