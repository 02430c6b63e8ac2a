"""The description of an environment from what its workers tell."""

import copy
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import runners
from data.records import Environment
from runners.environment import describe_environment, flopwatch_facts
from runners.inside import gather, is_recorded
from tests.runners.systems import FoundSystem

INSIDE = Path(runners.__file__).with_name("inside.py")
ASK = f"""
import importlib.util, json
{{imports}}
spec = importlib.util.spec_from_file_location("inside", {str(INSIDE)!r})
inside = importlib.util.module_from_spec(spec)
spec.loader.exec_module(inside)
print(json.dumps(inside.gather({{names}})))
"""


def ask(imports: str = "", names: str = "()", **variables: str) -> dict[str, Any]:
    """Let a fresh process that has imported something describe itself."""
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(imports=imports, names=names)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **variables},
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def told(threads: int = 1, **changes: Any) -> dict[str, Any]:
    """Return what a worker would tell, with some facts changed."""
    description: dict[str, Any] = {
        "interpreter": {"implementation": "CPython", "version": "3.13.1", "debug": False, "gil": True},
        "packages": {"numpy": "2.4.6"},
        "wheels": {"numpy": "0123456789abcdef"},
        "threadpools": [
            {
                "user_api": "blas",
                "internal_api": "openblas",
                "num_threads": threads,
                "version": "0.3.31",
                "architecture": "Haswell",
                "library": "libopenblas.so",
            },
            {
                "user_api": "openmp",
                "internal_api": "openmp",
                "num_threads": threads,
                "library": "libgomp.so.1",
            },
        ],
        "threadpoolctl": "3.8.0",
        "variables": {"OPENBLAS_NUM_THREADS": str(threads)},
        "aslr": True,
        "hash_seed": "random",
    }
    backends = {"numpy": {"version": "2.4.6", "threads": threads}}
    return {"description": {**description, **changes}, "backends": backends}


def test_versions_are_those_resolved() -> None:
    """A process that has imported NumPy tells its version, its wheel's digest and its BLAS with core and threads."""
    facts = ask("import numpy", OPENBLAS_NUM_THREADS="1")
    assert facts["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert len(facts["wheels"]["numpy"]) == 16
    pool = next(pool for pool in facts["threadpools"] if pool["user_api"] == "blas")
    assert pool["num_threads"] == 1
    assert pool["version"]
    assert "/" not in pool["library"]


def test_only_what_is_imported_counts() -> None:
    """Packages that are installed but not imported, and flopwatch itself, are no part of what measured."""
    assert ask()["packages"] == {}


def test_a_library_loaded_by_its_path_counts() -> None:
    """A distribution that is named counts although none of its modules is imported; one that is absent does not."""
    assert ask(names="['scipy_openblas32', 'no-such-thing']")["packages"] == {
        "scipy-openblas32": importlib.metadata.version("scipy-openblas32")
    }


def test_a_module_called_unlike_its_distribution() -> None:
    """The distribution of a module is found where their names differ."""
    assert ask("import importlinter")["packages"]["import-linter"] == importlib.metadata.version(
        "import-linter"
    )


def test_gather_needs_nothing_but_the_standard_library() -> None:
    """Inside an interpreter without any package the facts are told all the same."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ASK.format(imports="", names="()")],
        capture_output=True,
        text=True,
        check=True,
    )
    facts = json.loads(done.stdout)
    assert facts["interpreter"]["version"] == platform.python_version()
    assert facts["packages"] == {}
    assert facts["threadpoolctl"] is None


@pytest.mark.parametrize(
    ("variable", "recorded"),
    [
        ("OMP_NUM_THREADS", True),
        ("OPENBLAS_CORETYPE", True),
        ("NUMBA_DISABLE_JIT", True),
        ("PYTHONHASHSEED", True),
        ("NUMBA_CACHE_DIR", False),
        ("FLOPWATCH_TOKEN", False),
        ("AWS_SECRET_ACCESS_KEY", False),
        ("HOME", False),
    ],
)
def test_only_variables_that_matter_are_recorded(variable: str, recorded: bool) -> None:
    """Variables that move a number are recorded; places and secrets never are."""
    assert is_recorded(variable) is recorded


def test_variables_of_the_worker() -> None:
    """The values that the process itself sees are told, and nothing else of its environment."""
    facts = ask(OMP_NUM_THREADS="3", FLOPWATCH_TOKEN="secret", PYTHONHASHSEED="7")
    assert facts["variables"]["OMP_NUM_THREADS"] == "3"
    assert facts["hash_seed"] == "7"
    assert "secret" not in json.dumps(facts)


def test_environment_of_real_workers() -> None:
    """Two workers of this interpreter make one environment, valid in a run file, whose id repeats."""
    answers = [
        {"description": ask("import numpy", OPENBLAS_NUM_THREADS=count), "backends": {}}
        for count in ("1", "2")
    ]
    environment = describe_environment(answers)
    assert environment.interpreter == f"{platform.python_implementation()} {platform.python_version()}"
    assert environment.packages["numpy"] == importlib.metadata.version("numpy")
    assert environment.attributes["variables"]["OPENBLAS_NUM_THREADS"] == ["1", "2"]
    assert msgspec.json.decode(msgspec.json.encode(environment), type=Environment) == environment
    assert describe_environment(answers[::-1]).id == environment.id


def test_threads_do_not_change_the_environment() -> None:
    """The same libraries with other thread counts are the same environment; all counts are kept."""
    one, both = describe_environment([told(1)]), describe_environment([told(1), told(2)])
    assert one.id == both.id
    assert [library["threads"] for library in both.blas] == [[1, 2]]
    assert both.attributes["thread_pools"] == ["libgomp.so.1", "libopenblas.so"]
    assert both.attributes["backends"] == {"numpy": {"version": "2.4.6"}}


def _changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    answer = copy.deepcopy(told())
    place = answer["description"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return answer


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("packages", "numpy"), "2.5.0"),
        (("interpreter", "version"), "3.13.2"),
        (("interpreter", "debug"), True),
        (("interpreter", "gil"), False),
        (("threadpools", 0, "architecture"), "SkylakeX"),
        (("threadpools", 0, "version"), "0.3.32"),
    ],
)
def test_what_decides_the_code_changes_the_environment(path: tuple[Any, ...], value: Any) -> None:
    """Another version, build of Python or core type of the BLAS is another environment."""
    assert describe_environment([_changed(path, value)]).id != describe_environment([told()]).id


@pytest.mark.parametrize(
    ("path", "value"),
    [(("aslr",), False), (("variables",), {}), (("wheels",), {}), (("hash_seed",), "0")],
)
def test_settings_are_kept_beside_the_environment(path: tuple[Any, ...], value: Any) -> None:
    """Settings of a process are attributes: they do not make another environment."""
    assert describe_environment([_changed(path, value)]).id == describe_environment([told()]).id


def test_mixed_workers_are_refused() -> None:
    """Workers of different interpreters or versions are not one environment."""
    with pytest.raises(ValueError, match=r"numpy 2\.4\.6 and 2\.5\.0"):
        describe_environment([told(), told(packages={"numpy": "2.5.0"})])
    with pytest.raises(ValueError, match="different interpreters"):
        describe_environment([told(), _changed(("interpreter", "version"), "3.14.0")])


def test_no_worker_at_all() -> None:
    """A run whose workers could not start still has an environment that says so."""
    assert "no worker" in describe_environment([]).interpreter


def test_container_image(tmp_path: Path) -> None:
    """The image of a container is kept where a variable or podman tells it."""
    podman = FoundSystem(tmp_path, {"/run/.containerenv": 'engine="podman-5"\nimage="example:1"'})
    assert describe_environment([told()], podman).attributes["container_image"] == "example:1"
    named = FoundSystem(tmp_path, variables={"FLOPWATCH_IMAGE": "mine@sha256:12"})
    assert describe_environment([told()], named).attributes["container_image"] == "mine@sha256:12"


def test_flopwatch_itself() -> None:
    """The version and a digest of what measures are known, and commit and state go together."""
    facts = flopwatch_facts()
    assert facts["version"] == runners.__version__
    assert len(facts["sources"]) == 12
    assert ("commit" not in facts) or len(facts["commit"]) == 40
    assert isinstance(facts.get("dirty", False), bool)


def test_gather_here() -> None:
    """The facts of a process are plain JSON values."""
    facts = gather()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["packages"]["msgspec"] == importlib.metadata.version("msgspec")
