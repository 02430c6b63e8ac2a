"""The rules of the house: what each part may load, what the command line may cost, what the lock may say."""

import ast
import os
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "win32":
    import resource

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("runners", "data", "app")
PAGE_LIBRARIES = {"streamlit", "plotly", "pandas", "matplotlib"}
#: libraries that execute kernels or write the files that are measured; the worker's own NumPy is in all of them
BACKEND_LIBRARIES = {
    "blis",
    "cupy",
    "jax",
    "llvmlite",
    "mkl",
    "mlx",
    "numba",
    "orjson",
    "safetensors",
    "scipy_openblas32",
    "torch",
}


def sources(package: str) -> list[Path]:
    return sorted(
        path for path in (ROOT / package).rglob("*.py") if (ROOT / "data" / "local") not in path.parents
    )


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at its top or lazily, by statement or by a constant name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_results_need_no_heavy_library() -> None:
    """Importing everything in `data` loads neither a page library nor one that executes kernels."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sources("data")
        if path.name != "__init__.py" and path.parent.name != "migrations"
    ]
    statement = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)"
    assert not loaded_by(statement) & (PAGE_LIBRARIES | BACKEND_LIBRARIES)


def test_measuring_needs_no_database_and_no_page() -> None:
    """What writes a run file loads neither DuckDB nor Streamlit, so that a bare machine can measure."""
    statement = (
        "import runners.cli, runners.execute, runners.commands.run_, runners.machine, runners.environment"
    )
    assert not loaded_by(statement) & (PAGE_LIBRARIES | {"duckdb", "psycopg"})


def test_the_worker_needs_numpy_only() -> None:
    """The module that runs in every environment loads the standard library, NumPy and `runners`, and nothing else."""
    statement = (
        "import runners.worker, runners.inside\n"
        "from runners.workload import backends, kernels\nbackends(); kernels()"
    )
    extra = loaded_by(statement) - loaded_by("import numpy") - set(sys.stdlib_module_names)
    assert extra == {"runners"}


@pytest.mark.parametrize("library", sorted(BACKEND_LIBRARIES))
def test_a_backend_library_has_one_file(library: str) -> None:
    """Every backend library is imported in one file at most, and that file is a backend."""
    found = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sources(package)
        if any(name.partition(".")[0] == library for name in imports(path))
    }
    assert len(found) <= 1
    assert all(path.startswith("runners/backends/backend_") for path in found)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_flow_one_way(package: str) -> None:
    """`runners` and `app` know `data` and never each other; `data` knows neither."""
    allowed = {"runners": {"runners", "data"}, "data": {"data"}, "app": {"app", "data"}}[package]
    for path in sources(package):
        houses = {name.partition(".")[0] for name in imports(path)} & set(PACKAGES)
        assert houses <= allowed, path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the processor time of children")
def test_help_is_quick() -> None:
    """`flopwatch --help` costs at most six times the processor time of a Python that does nothing."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

    def seconds(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, capture_output=True, env=environment, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    help_words, bare_words = (sys.executable, "-m", "runners", "--help"), (sys.executable, "-c", "pass")
    seconds(*help_words)  # compiles what is not compiled yet
    pairs = [(seconds(*help_words), seconds(*bare_words)) for _ in range(11)]
    assert statistics.median(ours / bare for ours, bare in pairs) <= 6


def test_the_lock_is_whole_and_names_no_place() -> None:
    """Every requirement of the lock has a version and hashes, and no download address is in it."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", lock, flags=re.MULTILINE))
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==[^ ]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_lock_holds_what_the_project_asks_for() -> None:
    """Each dependency of the base and of the extras app, blas and dev is in the lock, and no graphics library is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["app"], *extras["blas"], *extras["dev"]]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    held = set(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==", lock, re.MULTILINE))
    assert {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in wanted} <= held  # type: ignore[index]
    assert not held & {
        "torch",
        "cupy-cuda12x",
        "cupy-cuda13x",
    }  # mlx computes on the processor where it is locked


def test_the_base_is_light() -> None:
    """What measures and uploads installs no page library."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    base = {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in project["dependencies"]}  # type: ignore[index]
    assert not base & PAGE_LIBRARIES
    assert {"numpy", "numba", "duckdb"} <= base


def recipes() -> dict[str, str]:
    """Return the public recipes of the Justfile with the line before their attributes."""
    found = {}
    lines = (ROOT / "Justfile").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        match = re.match(r"@?([a-z][a-z-]*)( [^:=]*)?(=[^:]*)?:(?!=)", line)
        if match:
            above = number - 1
            while lines[above].startswith("["):
                above -= 1
            found[match[1]] = lines[above]
    return found


def test_every_recipe_says_what_it_does() -> None:
    """Each recipe of the Justfile has a comment and a group, and those that people rely on exist."""
    found = recipes()
    assert set(found) >= {"setup", "board", "run", "app", "test", "lint", "lock"}
    assert all(comment.startswith("# ") for comment in found.values()), found
    text = (ROOT / "Justfile").read_text("utf-8")
    assert text.count("[group(") == len(found)


def test_the_readme_and_the_build_agree() -> None:
    """The README has one line that ends in `just board` and one that ends in `just test`, which the build runs."""
    readme = (ROOT / "README.md").read_text("utf-8")
    for last in ("board", "test"):
        lines = [line for line in readme.splitlines() if re.fullmatch(rf"python3 -m pip .*just {last}", line)]
        assert len(lines) == 1, lines


def test_files_speak_of_no_one_machine() -> None:
    """No file of the project carries a path of the machine that it was written on."""
    for package in PACKAGES:
        for path in [*sources(package), *(ROOT / package).glob("*.sql")]:
            assert not re.search(r"/(home|root|tmp|work|Users)/[a-z]", path.read_text("utf-8")), path


def test_modules_say_what_they_are() -> None:
    """Each module begins with a docstring, has at most 400 lines, and its file name shadows no library."""
    for package in PACKAGES:
        for path in sources(package):
            text = path.read_text("utf-8")
            assert ast.get_docstring(ast.parse(text)), path
            assert text.count("\n") <= 400, path
    shadowed = {path.stem for path in (ROOT / "app").glob("*.py")} & (
        set(sys.stdlib_module_names) | set(PACKAGES) | PAGE_LIBRARIES
    )
    assert not shadowed
