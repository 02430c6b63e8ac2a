"""What is released: an sdist from the tree, a wheel from the sdist, tried in an empty folder after both are gone."""

import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from runners import __version__
from runners.uv import run_uv

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("runners", "data", "app")


def _copied(folder: Path) -> Path:
    """Copy the tree as a clone has it, without what git ignores, and so that nothing leads back to this one."""
    left_out = shutil.ignore_patterns("local", ".*cache", "__pycache__", "*.pyc")
    for name in (*PACKAGES, "tests", "docs", "containers", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    for path in (path for path in ROOT.iterdir() if path.is_file()):
        shutil.copy(path, folder / path.name)
    return folder


def _build(kind: str, source: Path, target: Path) -> Path:
    """Build with the backend itself, which needs no network."""
    target.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(target)]
    subprocess.run(words, cwd=source, check=True, capture_output=True, text=True)
    (found,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist; the tree that it was built from is deleted."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = _copied(folder / "tree")
    built = _build("sdist", tree, folder / "dist")
    shutil.rmtree(tree)
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist gives; what was unpacked is deleted."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    built = _build("wheel", unpacked, folder / "dist")
    shutil.rmtree(unpacked)
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as the wheel installs it into a new environment, which sees the libraries of this one."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    run_uv("venv", "--offline", "--python", sys.executable, str(place))
    run_uv("pip", "install", "--offline", "--no-deps", "--python", str(place), str(wheel))
    packages = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    Path(packages, "libraries.pth").write_text("\n".join(site.getsitepackages()))
    scripts = sysconfig.get_path("scripts", vars={"base": str(place), "platbase": str(place)})
    return Path(scripts, "flopwatch")


def _run(program: Path, folder: Path, *words: str) -> str:
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLOPWATCH_", "PYTHON"))
    }
    variables |= {"FLOPWATCH_HOME": str(folder / "home")}
    done = subprocess.run(
        [program, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _files(tree: Path, package: str) -> set[str]:
    """Return the files of a package that are part of the program."""
    return {
        path.relative_to(tree).as_posix()
        for path in (tree / package).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and (tree / "data" / "local") not in path.parents
    }


def test_the_wheel_holds_the_program_and_nothing_else(wheel: Path) -> None:
    """Every file of the three packages is in it: kernels for devices, templates, published figures, the theme."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = set().union(*(_files(ROOT, package) for package in PACKAGES))
    assert names == wanted
    assert {Path(name).suffix for name in wanted} >= {".cu", ".metal", ".toml", ".j2", ".sql", ".svg"}


def test_the_sdist_holds_what_tests_and_builds_need(sdist: Path) -> None:
    """Whoever unpacks it can build, test, lint and read: tests, documents, lock, recipes, licence, changelog."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= _files(ROOT, "tests") | _files(ROOT, "docs") | _files(ROOT, "containers")
    assert names >= {"LICENSE", "README.md", "CHANGELOG.md", "Justfile", "requirements.lock", ".ci/run"}
    assert not [name for name in names if name.startswith("data/local")]


def test_the_version_has_one_place(program: Path, wheel: Path, tmp_path: Path) -> None:
    """The program, the wheel's name and the changelog say the version of ``runners/__init__.py``."""
    assert _run(program, tmp_path, "--version").strip() == f"flopwatch {__version__}"
    assert wheel.name.startswith(f"flopwatch-{__version__}-")
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dynamic"] == ["version"]


def test_the_installed_program_lists_and_measures(program: Path, tmp_path: Path) -> None:
    """From an empty folder it lists every kernel, measures, stores and reports; nothing is read from this tree."""
    listed = json.loads(_run(program, tmp_path, "list", "--json"))
    assert {row["kernel"] for row in listed} >= {"matmul", "attention", "layernorm", "save"}
    choice = ("--case", "relu/1M", "--variant", "simd", "--backend", "numba", "--threads", "1")
    measured = json.loads(_run(program, tmp_path, "run", *choice, "--effort", "smoke", "--json"))
    found = [row for row in measured["measurements"] if row["case"] == "relu/1M"]
    assert {row["condition"] for row in found} >= {"fresh", "given"}
    assert {row["status"] for row in found} == {"ok"}
    assert all(row["time_ns"] > 0 for row in found)
    assert Path(measured["file"]).is_relative_to(tmp_path / "home")
    assert "relu/1M" in _run(program, tmp_path, "report")
    python = program.with_name("python")
    code = "import runners, data, app; print(runners.__file__, data.__file__, app.__file__)"
    places = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert str(ROOT) not in places.replace(str(program.parents[1]), "")
