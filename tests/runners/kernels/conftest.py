"""Numba is loaded once for all tests of kernels; what it compiles is kept outside the tree, named by the sources."""

import importlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners import workload
from runners.compiled import source_digest
from runners.workload import Case, Check, Job, Ready, Variant

os.environ.setdefault("NUMBA_NUM_THREADS", "2")
os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"flopwatch-tests-{os.getuid()}-{source_digest()}")
)

#: shapes for each kernel on which even plain Python would be quick: edges, remainders, one of everything
SMALL: dict[str, tuple[dict[str, Any], ...]] = {
    "matmul": (
        {"stack": 1, "m": 1, "n": 1, "k": 1},
        {"stack": 1, "m": 7, "n": 33, "k": 9},
        {"stack": 1, "m": 150, "n": 70, "k": 300},
        {"stack": 3, "m": 8, "n": 16, "k": 20},
    ),
    "attention-scores": ({"stack": 2, "m": 31, "n": 31, "k": 64},),
    "attention": (
        {"heads": 2, "length": 5, "width": 64, "causal": False},
        {"heads": 3, "length": 130, "width": 64, "causal": False},
        {"heads": 2, "length": 300, "width": 64, "causal": True},
    ),
    "decode": ({"prefix": 5, "tokens": 3},),
    "softmax": ({"rows": 3, "width": 64},),
    "layernorm": ({"shape": [2, 3, 128]},),
    "save": ({"vocabulary": 40, "width": 32, "layers": 2},),
    "load": ({"vocabulary": 40, "width": 32, "layers": 2},),
    "lazy-load": ({"vocabulary": 40, "width": 32, "layers": 2},),
    "ceiling": ({"elements": 768, "repeats": 2},),
}
ELEMENTWISE: tuple[dict[str, Any], ...] = ({"shape": [1]}, {"shape": [1000]}, {"shape": [3, 5, 7]})


def loops(module: str) -> Any:
    """Import a module of ``runners.kernels`` as Numba compiles it."""
    return importlib.import_module(f"runners.kernels.{module}")


def small_cases(case: Case) -> list[Case]:
    """Return the case at small shapes."""
    return [replace(case, shape=case.shape | shape) for shape in SMALL.get(case.kernel, ELEMENTWISE)]


def loaded(variant: Variant, threads: int) -> Any:
    """Return the variant's backend, loaded, or skip where it is not installed."""
    backend = workload.backends()[variant.backend]
    availability = backend.probe()
    if not availability.available:
        pytest.skip(availability.reason)
    if backend.name == "jax":
        pytest.skip("its threads are fixed when it starts: test_jax.py gives it processes of its own")
    backend.load(threads)
    return backend


def prepare(
    case: Case, variant: Variant, threads: int, scratch: Path, inputs: dict[str, Any] | None = None
) -> Ready:
    """Build a variant as the worker does."""
    if inputs is None:
        inputs = workload.kernels()[case.kernel].inputs(case, 1)
    ready = variant.build(Job(case, loaded(variant, threads), threads, 1, inputs, scratch, variant.condition))
    return ready if isinstance(ready, Ready) else Ready(ready)


def answer(ready: Ready) -> Any:
    """Make one call and return its answer."""
    if ready.before is not None:
        ready.before()
    return ready.result(ready.call())


def check(case: Case, variant: Variant, threads: int, scratch: Path) -> Check:
    """Make one call and compare its answer."""
    kernel = workload.kernels()[case.kernel]
    inputs = kernel.inputs(case, 1)
    return kernel.check(case, inputs, answer(prepare(case, variant, threads, scratch, inputs)))


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    workload.backends()["numba"].load(2)
