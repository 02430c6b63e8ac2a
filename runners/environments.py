"""Isolated environments: resolved, locked with hashes and built by uv, once for each recipe.

An environment lies in a folder named by a digest of what it was made from; what is there needs no network any more.
It holds NumPy and the packages of the backends, nothing of flopwatch: workers are started in it by the path of their
file.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from data import places
from data.errors import StorageError
from runners.compiled import source_digest
from runners.process import Place
from runners.recipes import Recipe, package_of
from runners.uv import Refused, interpreter, run_uv
from runners.workload import backends

__all__ = ["Built", "Refused", "build", "installed_versions"]


@dataclass(frozen=True)
class Built:
    """An environment that is there: where its workers run, and the lock it was made from (with hashes)."""

    place: Place
    lock: str
    folder: Path


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each package in flopwatch's own environment, where it is there."""
    from runners.backends.distributions import version

    found = {package: version(package) for package in packages}
    return {package: held for package, held in found.items() if held}


def build(recipe: Recipe, backend_names: Iterable[str], lock: str = "") -> Built:
    """Return the environment of a recipe with the packages of some backends, made where it is missing.

    Packages that the recipe does not name have the version that flopwatch's own environment has, or the next best that
    fits.  With a ``lock`` exactly that is installed.  Raises Refused with the resolver's message, StorageError where
    nothing can be written, and BadInput for a revision that is not there.
    """
    python, version = interpreter(recipe.python)
    named = {package_of(requirement) for requirement in recipe.requirements}
    packages = dict.fromkeys(
        ("numpy", *(name for backend in backend_names for name in backends()[backend].packages))
    )
    wanted = sorted(
        {*recipe.requirements, *(package for package in packages if package_of(package) not in named)}
    )
    preferred = installed_versions(packages | dict.fromkeys(("llvmlite",)))
    source = recipe.package.files() if recipe.package else None
    made_from = {
        "requirements": wanted,
        "preferred": preferred,
        "python": version,
        "lock": lock,
        "package": recipe.package.commit if recipe.package else None,
    }
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    folder = places.environments() / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / "made.json").exists():
                _make(folder, wanted, preferred, python, lock, source)
                (folder / "made.json").write_text(json.dumps(made_from, indent=1))
    except OSError as error:
        raise StorageError.from_os(folder, error) from error
    return Built(_place(recipe, folder, digest), (folder / "lock.txt").read_text(), folder)


def _make(
    folder: Path, wanted: list[str], preferred: Mapping[str, str], python: str, lock: str, source: Path | None
) -> None:
    """Resolve, then install exactly what was resolved; nothing is built from source but a revision of a package."""
    locked = folder / "lock.txt"
    if lock:
        locked.write_text(lock)
    else:
        (folder / "wanted.in").write_text("\n".join(wanted) + "\n")
        # What an output file holds already is what uv prefers.
        locked.write_text("".join(f"{package}=={version}\n" for package, version in preferred.items()))
        run_uv(
            "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:",
            "--python", python, "--output-file", "lock.txt", "wanted.in", folder=folder,
        )  # fmt: skip
    inside = folder / "venv"
    shutil.rmtree(inside, ignore_errors=True)
    run_uv("venv", "--quiet", "--no-project", "--no-python-downloads", "--python", python, str(inside))
    target = ("--quiet", "--python", str(_python_of(folder)))
    run_uv(
        "pip", "install", *target, "--require-hashes", "--only-binary", ":all:", "--requirement", str(locked)
    )
    if source is not None:
        run_uv("pip", "install", *target, "--reinstall", "--no-deps", str(source))


def _python_of(folder: Path) -> Path:
    return folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _place(recipe: Recipe, folder: Path, digest: str) -> Place:
    """Return where workers of a recipe run: in its environment, with its kernels and variables."""
    variables = dict(recipe.variables)
    stamp = f"{digest} {source_digest()}"
    script = Place().script
    if recipe.kernels is not None:
        stamp += f" {recipe.kernels.commit}"
        files = recipe.kernels.files()
        if files.is_dir():
            script = files / "runners" / "worker.py"
        else:
            variables["FLOPWATCH_KERNELS"] = str(files)
    return Place(str(_python_of(folder)), script, tuple(sorted(variables.items())), stamp)
