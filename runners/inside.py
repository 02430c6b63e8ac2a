"""What a worker process tells of itself: interpreter, packages as resolved, threads, settings that matter.

Runs in the worker, in environments of any version: standard library only, and threadpoolctl where it is there.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["gather", "is_recorded"]

#: Variables that move a number: those with these beginnings, and these.
_PREFIXES = ("BLIS_", "GOMP_", "KMP_", "MALLOC_", "MKL_", "NUMBA_", "OMP_", "OPENBLAS_", "VECLIB_")
_NAMES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "NPY_DISABLE_CPU_FEATURES",
    "NVIDIA_TF32_OVERRIDE",
    "PYTHONDEVMODE",
    "PYTHONHASHSEED",
    "PYTHONMALLOC",
    "PYTHONOPTIMIZE",
    "PYTHON_GIL",
    "PYTHON_JIT",
)
#: Places of files say nothing about speed, and differ between machines.
_PLACES = ("_DIR", "_PATH", "_HOME", "_LIB")

#: threadpoolctl sets this one when it is imported: sooner where it is lent than where it is installed.
_SET_BY_TOOLS = ("KMP_DUPLICATE_LIB_OK",)

_ADDR_NO_RANDOMIZE = 0x0040000  # linux/personality.h


def gather(distributions: Iterable[str] = ()) -> dict[str, Any]:
    """Return the facts of this process as JSON values; what cannot be told is None or absent.

    ``distributions`` names those that count although no module of theirs is imported, such as one whose library is
    loaded by its path.
    """
    variables = {name: value for name, value in sorted(os.environ.items()) if is_recorded(name)}
    packages, wheels = _packages(distributions)
    pools, version = _threadpools()
    return {
        "interpreter": _interpreter(),
        "packages": packages,
        "wheels": wheels,
        "threadpools": pools,
        "threadpoolctl": version,
        "variables": variables,
        "processors_allowed": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "aslr": _aslr(),
        "hash_seed": os.environ.get("PYTHONHASHSEED") or "random",
        "clocksource": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "timer_resolution_ns": max(1, round(time.get_clock_info("perf_counter").resolution * 1e9)),
    }


def is_recorded(variable: str) -> bool:
    """Say whether an environment variable is one that can move a number."""
    named = variable in _NAMES or variable.startswith(_PREFIXES)
    return named and not variable.endswith(_PLACES) and variable not in _SET_BY_TOOLS


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("ascii", errors="replace").strip()
    except OSError:
        return None


def _interpreter() -> dict[str, Any]:
    gil = getattr(sys, "_is_gil_enabled", None)
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "build": " ".join(sys.version.split()),
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")) or hasattr(sys, "gettotalrefcount"),
        "gil": True if gil is None else bool(gil()),
        "optimise": sys.flags.optimize,
        "dev_mode": sys.flags.dev_mode,
    }


def _aslr() -> bool | None:
    """Say whether this process has a random layout of its address space; None where the system does not tell."""
    setting, personality = _read("/proc/sys/kernel/randomize_va_space"), _read("/proc/self/personality")
    if not setting or not setting.isdigit():
        return None
    return int(setting) > 0 and not int(personality or "0", 16) & _ADDR_NO_RANDOMIZE


def _packages(distributions: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return version and wheel digest of the named distributions and of each that a loaded module belongs to."""
    found = [_installed(name) for name in distributions]
    owners: Mapping[str, list[str]] = {}
    for module in sorted(_installed_modules()):
        namesake = _installed(module)
        if namesake is not None and _holds(namesake, module):
            found.append(namesake)
        else:  # the distribution is called otherwise: look through all of them, once
            owners = owners or importlib.metadata.packages_distributions()
            found += [_installed(owner) for owner in owners.get(module, [])]
    kept = {_proper_name(one): one for one in found if one is not None}
    packages = {name: kept[name].version for name in sorted(kept)}
    digests = {name: _wheel_digest(kept[name]) for name in sorted(kept)}
    return packages, {name: digest for name, digest in digests.items() if digest}


def _installed_modules() -> set[str]:
    """Return the top-level names of loaded modules that came from an installed distribution."""
    folders = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})
    found = set()
    for name, module in tuple(sys.modules.items()):
        origin = _origin(module)
        # Names with an underscore are start-up hooks and parts of packages that are seen by their own names.
        if "." not in name and not name.startswith("_") and origin and origin.startswith(folders):
            found.add(name)
    return found - {"runners", "threadpoolctl"}


def _origin(module: ModuleType | None) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else next(iter(getattr(module, "__path__", ())), None)


def _installed(name: str) -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def _holds(distribution: importlib.metadata.Distribution, module: str) -> bool:
    record = distribution.read_text("RECORD") or ""
    return re.search(rf"^{re.escape(module)}[/.]", record, re.MULTILINE) is not None


def _proper_name(distribution: importlib.metadata.Distribution) -> str:
    """Return the name in its one normal spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()


def _wheel_digest(distribution: importlib.metadata.Distribution) -> str | None:
    """Return 16 hex digits of SHA-256 over the digests of a wheel's own files, as its RECORD lists them.

    What an installer adds or rewrites (scripts, its own notes) is left out, so that pip and uv give the same.
    """
    lines = (distribution.read_text("RECORD") or "").splitlines()
    own = sorted(
        line
        for line in lines
        if ",sha256=" in line and ".dist-info/" not in line and not line.startswith("..")
    )
    return hashlib.sha256("\n".join(own).encode()).hexdigest()[:16] if own else None


def _threadpools() -> tuple[list[dict[str, Any]], str | None]:
    """Return the thread pools of the loaded libraries as threadpoolctl sees them, and its version."""
    try:
        import threadpoolctl
    except ImportError:
        return [], None
    pools = []
    for pool in threadpoolctl.threadpool_info():
        facts = {key: value for key, value in pool.items() if key not in ("filepath", "prefix")}
        facts["library"] = Path(pool.get("filepath") or "unknown").name
        pools.append(facts)
    return pools, str(getattr(threadpoolctl, "__version__", "unknown"))
