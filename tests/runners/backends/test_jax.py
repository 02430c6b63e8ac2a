"""JAX in processes of its own: its pool of threads has one size from its start to its end."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runners.backends import backend_jax
from runners.backends.backend_jax import JaxBackend

if importlib.util.find_spec("jax") is None:
    pytest.skip("JAX is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[3]

CHECK_ALL = """
import json, sys
from pathlib import Path
from runners import workload
from runners.backends.backend_jax import JaxBackend
from tests.runners.kernels.conftest import answer, small_cases
threads, backend = int(sys.argv[1]), JaxBackend()
backend.load(threads)
found = {}
for variant in backend.operators:
    kernel = workload.kernels()[variant.kernel]
    for case in small_cases(kernel.cases[0]):
        inputs = kernel.inputs(case, 1)
        ready = variant.build(workload.Job(case, backend, threads, 1, inputs, Path(), variant.condition))
        check = kernel.check(case, inputs, answer(ready))
        found[f"{variant.kernel} {variant.name} {case.shape}"] = bool(check.ok)
print(json.dumps({"facts": backend.describe(), "right": found}))
"""


def _in_process(
    code: str, threads: int, *arguments: str, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | JaxBackend().settings(threads)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=check)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_variant_computes_the_right_answer(threads: int) -> None:
    """Each function agrees with the float64 reference, on one thread and on two, which were counted."""
    done = _in_process(CHECK_ALL, threads, str(threads), check=False)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["right"]
    assert all(outcome["right"].values()), outcome["right"]
    if sys.platform == "linux":
        assert outcome["facts"]["threads"] == threads


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the threads of a process")
def test_a_pool_of_another_size_is_refused() -> None:
    """A process that was started for two threads is not measured as if it had one."""
    code = "from runners.backends.backend_jax import JaxBackend; JaxBackend().load(1)"
    done = _in_process(code, 2, check=False)
    assert done.returncode == 1
    assert "JAX runs 2 threads, 1 were asked for" in done.stderr


def test_threads_that_cannot_be_counted_are_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system does not name threads, their number is unknown and not what was asked for."""
    monkeypatch.setattr(backend_jax, "_TASKS", tmp_path / "none")
    assert JaxBackend().describe()["threads"] is None
