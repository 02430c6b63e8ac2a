"""What is installed, told from the metadata of the distributions: no library is imported to find out."""

import importlib.metadata
import importlib.util

from runners.workload import Availability

__all__ = ["find", "version"]


def version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def find(module: str, install: str) -> Availability:
    """Say whether a top-level module can be imported, without importing it."""
    if importlib.util.find_spec(module) is not None:
        return Availability(True)
    return Availability(False, f"the Python package {module} is not installed", install)
