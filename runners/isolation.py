"""What stands between this process and the machine: hypervisor, container, limits of its control group."""

import os
from pathlib import PurePosixPath

from runners.processor import cpu_flags
from runners.system import System

__all__ = ["allowed_processors", "container", "container_image", "cpu_quota", "hypervisor", "memory_limit"]

_CGROUP = "/sys/fs/cgroup"
#: above this a limit of version 1 means "no limit"
_NO_LIMIT = 2**60


def hypervisor(system: System) -> str | None:
    """Return the name of the hypervisor below this system (``unknown`` where it hides), or None on bare metal."""
    if "microsoft" in (system.text("/proc/sys/kernel/osrelease") or "").lower():
        return "WSL"
    if system.platform == "darwin":
        return "unknown" if system.command("sysctl", "-n", "kern.hv_vmm_present") == "1" else None
    if "hypervisor" not in cpu_flags(system) and not system.text("/sys/hypervisor/type"):
        # Other processors than x86 have no such flag; their virtual machines show in the product's name.
        product = (system.text("/sys/class/dmi/id/product_name") or "").lower()
        return "unknown" if any(word in product for word in ("kvm", "virtual", "vmware", "qemu")) else None
    known = system.text("/sys/hypervisor/type") or _from_lscpu(system)
    return known or system.text("/sys/class/dmi/id/sys_vendor") or "unknown"


def _from_lscpu(system: System) -> str | None:
    lines = (line.partition(":") for line in (system.command("lscpu") or "").splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == "Hypervisor vendor"), None)


def container(system: System) -> str | None:
    """Return the kind of container that this process runs in, or None."""
    if "KUBERNETES_SERVICE_HOST" in system.variables:
        return "kubernetes"
    if system.exists("/.dockerenv"):
        return "docker"
    if system.exists("/run/.containerenv"):
        return "podman"
    if system.variables.get("container"):
        return system.variables["container"]
    groups = system.text("/proc/1/cgroup") or ""
    return next((name for name in ("docker", "kubepods", "containerd", "lxc") if name in groups), None)


def container_image(system: System) -> str | None:
    """Return the image of the container: ``FLOPWATCH_IMAGE``, or what podman says; others do not tell inside."""
    given = system.variables.get("FLOPWATCH_IMAGE")
    if given:
        return given
    for line in (system.text("/run/.containerenv") or "").splitlines():
        name, _, value = line.partition("=")
        if name == "image":
            return value.strip('"') or None
    return None


def _groups(system: System, controller: str) -> list[str]:
    """Return the folders of this process's control group and those above it, for version 2 and version 1."""
    folders: list[str] = []
    for line in (system.text("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = PurePosixPath(_CGROUP) / (controller if controllers else "")
        inside = PurePosixPath(path.lstrip("/"))
        folders += [str(base / step) for step in (inside, *inside.parents)]
    return folders


def cpu_quota(system: System) -> float | None:
    """Return how many processors' worth of time the control group may use, or None without a limit."""
    found = []
    for folder in _groups(system, "cpu"):
        quota, _, period = (system.text(f"{folder}/cpu.max") or "").partition(" ")
        quota = quota or str(system.number(f"{folder}/cpu.cfs_quota_us"))
        period = period or str(system.number(f"{folder}/cpu.cfs_period_us"))
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def memory_limit(system: System) -> int | None:
    """Return the bytes of memory that the control group may use, or None without a limit."""
    names = ("memory.max", "memory.limit_in_bytes")
    limits = (system.number(f"{folder}/{name}") for folder in _groups(system, "memory") for name in names)
    return min((limit for limit in limits if limit is not None and 0 < limit < _NO_LIMIT), default=None)


def allowed_processors() -> list[int] | None:
    """Return the processors that this process may run on, or None where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
