"""The processor: its model, cores, caches and the SIMD instructions it has."""

import ctypes
import os
import platform
from typing import Any

import psutil

from runners.system import System, parse_cpu_list, parse_size

__all__ = ["caches", "cores_and_threads", "cpu_flags", "cpu_info", "cpu_model", "simd_features"]

_CPUINFO = "/proc/cpuinfo"
_CPUS = "/sys/devices/system/cpu"

#: Names of vector instructions as people write them, from the narrowest, and what the Linux kernel calls them.
_SIMD = {
    "sse2": "sse2",
    "ssse3": "ssse3",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "avx": "avx",
    "f16c": "f16c",
    "fma": "fma",
    "avx2": "avx2",
    "avx_vnni": "avx_vnni",
    "avx512f": "avx512f",
    "avx512bw": "avx512bw",
    "avx512dq": "avx512dq",
    "avx512vl": "avx512vl",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_tile": "amx_tile",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "neon": "asimd",
    "neon_fp16": "asimdhp",
    "neon_dotprod": "asimddp",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
    "sve2": "sve2",
    "sme": "sme",
    "vsx": "vsx",
    "rvv": "v",
}

#: The same on macOS: keys of sysctl, whose value is 1 where the instructions are there.
_SIMD_MACOS = {
    "avx": "hw.optional.avx1_0",
    "fma": "hw.optional.fma",
    "avx2": "hw.optional.avx2_0",
    "avx512f": "hw.optional.avx512f",
    "neon": "hw.optional.neon",
    "neon_fp16": "hw.optional.arm.FEAT_FP16",
    "neon_dotprod": "hw.optional.arm.FEAT_DotProd",
    "i8mm": "hw.optional.arm.FEAT_I8MM",
    "bf16": "hw.optional.arm.FEAT_BF16",
    "sme": "hw.optional.arm.FEAT_SME",
}

#: The same on Windows: arguments of IsProcessorFeaturePresent (winnt.h).
_SIMD_WINDOWS = {
    "sse2": 10,
    "ssse3": 36,
    "sse4.1": 37,
    "sse4.2": 38,
    "avx": 39,
    "avx2": 40,
    "avx512f": 41,
    "neon": 19,
    "neon_dotprod": 43,
}


def cpu_info(system: System) -> dict[str, str]:
    """Return the first processor's lines of ``/proc/cpuinfo``; empty where there is none."""
    found: dict[str, str] = {}
    for line in (system.text(_CPUINFO) or "").splitlines():
        name, separator, value = line.partition(":")
        if separator:
            found.setdefault(name.strip(), value.strip())
    return found


def cpu_model(system: System) -> str:
    """Return the name of the processor as its maker writes it, as well as this system tells it."""
    if system.platform == "linux":
        found = cpu_info(system).get("model name") or _from_lscpu(system) or cpu_info(system).get("cpu")
        found = found or cpu_info(system).get("Model") or system.text("/proc/device-tree/model")
    elif system.platform == "darwin":
        found = system.command("sysctl", "-n", "machdep.cpu.brand_string")
    elif system.platform == "win32":
        found = _from_registry() or system.variables.get("PROCESSOR_IDENTIFIER")
    else:
        found = None
    name = " ".join((found or platform.processor() or f"unknown {platform.machine()} processor").split())
    return name[:200]


def _from_lscpu(system: System) -> str:
    """Return the models that ``lscpu`` knows for processors whose kernel gives numbers only (ARM)."""
    lines = (line.partition(":") for line in (system.command("lscpu") or "").splitlines())
    names = [value.strip() for name, _, value in lines if name.strip() == "Model name" and value.strip(" -")]
    return " + ".join(names)


def _from_registry() -> str | None:
    try:
        import winreg
    except ImportError:  # not Windows
        return None
    registry: Any = winreg
    place = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
    try:
        with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, place) as key:
            return str(registry.QueryValueEx(key, "ProcessorNameString")[0])
    except OSError:
        return None


def cores_and_threads(system: System) -> tuple[int, int]:
    """Return the physical cores and the hardware threads of the machine, whatever this process may use of them."""
    siblings = {
        system.text(path)
        for pattern in ("core_cpus_list", "thread_siblings_list")
        for path in system.glob(f"{_CPUS}/cpu[0-9]*/topology/{pattern}")
    }
    threads = len(parse_cpu_list(system.text(f"{_CPUS}/online") or "")) or os.cpu_count() or 1
    cores = len(siblings) or psutil.cpu_count(logical=False) or threads
    return min(cores, threads), threads


def caches(system: System) -> list[dict[str, Any]]:
    """Return each kind of cache: level, type, ``size_bytes`` of one, threads that share it, how many, line size.

    Read from sysfs, or from sysctl on macOS (which does not say how many there are); empty where the system does not
    tell.
    """
    if system.platform == "darwin":
        return _caches_of_macos(system)
    seen: dict[tuple[int, str, int, int, int], set[str]] = {}
    for folder in system.glob(f"{_CPUS}/cpu[0-9]*/cache/index[0-9]*"):
        level, size = system.number(f"{folder}/level"), parse_size(system.text(f"{folder}/size") or "")
        if level is None or size is None:
            continue
        kind = (system.text(f"{folder}/type") or "unknown").lower()
        shared = system.text(f"{folder}/shared_cpu_list") or ""
        line = system.number(f"{folder}/coherency_line_size") or 0
        seen.setdefault((level, kind, size, len(parse_cpu_list(shared)), line), set()).add(shared)
    return [
        {
            "level": level,
            "type": kind,
            "size_bytes": size,
            "shared_by": shared_by,
            "count": len(groups),
            "line_bytes": line,
        }
        for (level, kind, size, shared_by, line), groups in sorted(seen.items(), key=lambda item: item[0])
    ]


def _caches_of_macos(system: System) -> list[dict[str, Any]]:
    found = []
    for level, kind, key in (
        (1, "data", "l1d"),
        (1, "instruction", "l1i"),
        (2, "unified", "l2"),
        (3, "unified", "l3"),
    ):
        texts = (system.command("sysctl", "-n", f"hw.{place}{key}cachesize") for place in ("perflevel0.", ""))
        size = next((int(text) for text in texts if text and text.isdigit() and int(text)), None)
        if size is not None:
            found.append({"level": level, "type": kind, "size_bytes": size})
    return found


def cpu_flags(system: System) -> set[str]:
    """Return the names of the processor's features as the Linux kernel writes them; empty elsewhere."""
    lines = cpu_info(system)
    flags = set((lines.get("flags") or lines.get("Features") or "").split())
    isa = lines.get("isa", "").partition("_")[0]  # RISC-V: rv64imafdcv_zicsr
    return flags | set(isa.removeprefix("rv64").removeprefix("rv32"))


def simd_features(system: System) -> list[str]:
    """Return the vector instructions that the processor has, from the narrowest; what a library uses may be less."""
    if system.platform == "linux":
        flags = cpu_flags(system)
        return [name for name, flag in _SIMD.items() if flag in flags]
    if system.platform == "darwin":
        return [name for name, key in _SIMD_MACOS.items() if system.command("sysctl", "-n", key) == "1"]
    if system.platform == "win32":
        kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009 - it exists on Windows only
        return [name for name, number in _SIMD_WINDOWS.items() if kernel.IsProcessorFeaturePresent(number)]
    return []
