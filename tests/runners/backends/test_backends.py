"""Backends: found without being imported, threads set and verified, facts stated."""

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners import workload
from runners.backends import cblas, distributions
from runners.backends.backend_accelerate import AccelerateBackend
from runners.backends.backend_blis import BlisBackend
from runners.backends.backend_mkl import MklBackend
from runners.backends.backend_openblas import OpenblasBackend
from runners.workload import Backend

NAMES = tuple(workload.backends())

DESCRIBE = """
import json, sys
from runners import workload
name, threads = sys.argv[1], int(sys.argv[2])
backend = workload.backends()[name]
backend.load(threads)
print(json.dumps(backend.describe()))
"""


def _described(name: str, threads: int) -> dict[str, Any]:
    """Load a backend in a process of its own, started with its settings, and return its description."""
    backend = workload.backends()[name]
    availability = backend.probe()
    if not availability.available:
        pytest.skip(availability.reason)
    environment = os.environ | backend.settings(threads)
    command = [sys.executable, "-c", DESCRIBE, name, str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_installed_says_so_and_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package a backend is unavailable, with a reason that names it and a way to install it."""
    backend = workload.backends()[name]
    if name in ("numpy", "json", "pickle"):
        assert backend.probe().available
        return
    monkeypatch.setattr(distributions.importlib.util, "find_spec", lambda module: None)
    monkeypatch.setattr("runners.backends.backend_mkl.version", lambda distribution: None)
    monkeypatch.setattr(sys, "platform", "linux")
    availability = backend.probe()
    assert not availability.available
    assert availability.reason
    assert availability.install


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_backend_states_its_version_and_threads(name: str) -> None:
    """Each backend tells its version and, as the library reports them, its threads."""
    facts = _described(name, 1)
    assert facts["version"]
    if name not in ("numpy", "mlx"):
        assert facts["threads"] == 1


@pytest.mark.parametrize("name", ["numba", "openblas", "mkl", "torch"])
def test_threads_are_those_asked_for(name: str) -> None:
    """A library that was started for two threads reports two."""
    assert _described(name, 2)["threads"] == 2


@pytest.mark.parametrize("name", ["openblas", "mkl", "torch", "numba"])
def test_a_core_type_is_told(name: str) -> None:
    """Whose kernels a library chose is a fact of the environment: two machines may differ in it alone."""
    assert _described(name, 1)["core"]


def test_threads_that_a_library_does_not_take_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that keeps another number of threads than asked for is not measured."""

    class Stubborn(OpenblasBackend):
        def set_threads(self, threads: int) -> None:
            pass

        def get_threads(self) -> int:
            return 4

    if not Stubborn().probe().available:
        pytest.skip("scipy-openblas32 is not installed")
    with pytest.raises(RuntimeError, match="openblas runs 4 threads, 2 were asked for"):
        Stubborn().load(2)


def test_blis_refuses_threads_that_it_does_not_have() -> None:
    """The wheel of BLIS has one thread and says so instead of being measured as if it had two."""
    with pytest.raises(RuntimeError, match="has no threads, 2 were asked for"):
        BlisBackend().load(2)


def test_numba_refuses_more_threads_than_its_pool_has() -> None:
    """The pool's size is fixed at import: the message names the variable to start with."""
    with pytest.raises(RuntimeError, match="NUMBA_NUM_THREADS=999"):
        workload.backends()["numba"].load(999)


class _Reference(cblas.CblasBackend):
    """A CBLAS in Python: it reads the arguments as the C interface defines them."""

    name = "reference"

    def __init__(self) -> None:
        self.calls = 0

    def function(self, name: str, restype: Any = None, argtypes: Any = None) -> Any:
        """Return the product of that name."""
        return {"cblas_sgemm": self._product, "cblas_sgemm_batch_strided": self._batch}[name]

    def _product(self, order: int, ta: int, tb: int, m: int, n: int, k: int, *rest: Any) -> None:
        alpha, a, lda, b, ldb, beta, c, ldc = rest
        assert (order, ta, tb, alpha, beta) == (101, 111, 111, 1.0, 0.0)
        self.calls += 1
        left, right, out = (
            np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (rows * stride,))
            for pointer, rows, stride in ((a, m, lda), (b, k, ldb), (c, m, ldc))
        )
        out.reshape(m, ldc)[:, :n] = left.reshape(m, lda)[:, :k] @ right.reshape(k, ldb)[:, :n]

    def _batch(self, order: int, ta: int, tb: int, m: int, n: int, k: int, *rest: Any) -> None:
        alpha, a, lda, step_a, b, ldb, step_b, beta, c, ldc, step_c, stack = rest
        for i in range(stack):
            pointers = (a + 4 * i * step_a, lda, b + 4 * i * step_b, ldb, beta, c + 4 * i * step_c, ldc)
            self._product(order, ta, tb, m, n, k, alpha, *pointers)


def test_products_are_called_as_the_interface_defines() -> None:
    """Order, shapes, leading dimensions and strides are those of row-major CBLAS."""
    random = np.random.default_rng(0)
    a, b = (
        random.standard_normal((3, 4, 5), dtype=np.float32),
        random.standard_normal((3, 5, 6), dtype=np.float32),
    )
    c = np.zeros((3, 4, 6), np.float32)
    _Reference().multiplication(a[1], b[1], c[1])()
    assert np.allclose(c[1], a[1] @ b[1], atol=1e-6)
    _Reference().batch_multiplication(a, b, c)()
    assert np.allclose(c, a @ b, atol=1e-6)


def test_accelerate_multiplies_a_batch_one_by_one() -> None:
    """Accelerate has no batched product: its backend loops over the plain one."""

    class Accelerate(_Reference, AccelerateBackend):
        batch_multiplication = AccelerateBackend.batch_multiplication

    library = Accelerate()
    random = np.random.default_rng(0)
    a, b = (
        random.standard_normal((3, 4, 5), dtype=np.float32),
        random.standard_normal((3, 5, 6), dtype=np.float32),
    )
    c = np.zeros((3, 4, 6), np.float32)
    library.batch_multiplication(a, b, c)()
    assert library.calls == 3
    assert np.allclose(c, a @ b, atol=1e-6)


def test_accelerate_is_for_macos_only() -> None:
    """Elsewhere Accelerate is unavailable and names the system that it needs."""
    availability = AccelerateBackend().probe()
    assert availability.available == (sys.platform == "darwin")
    if not availability.available:
        assert "part of macOS" in availability.reason


def test_a_broken_mkl_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without its library is unavailable, and the remedy is to install it again."""
    monkeypatch.setattr("runners.backends.backend_mkl.version", lambda distribution: "1")
    monkeypatch.setattr("runners.backends.backend_mkl._shared_library", lambda distribution, name: None)
    availability = MklBackend().probe()
    assert not availability.available
    assert "--force-reinstall" in availability.install


def test_each_library_is_imported_in_one_file() -> None:
    """Only a backend's own file names the module that it executes with."""
    root = Path(workload.__file__).parent
    modules = {
        "numba": ("import numba", "from numba", '"numba.', '"llvmlite'),
        "torch": ("import torch", "from torch", 'import_module("torch'),
        "mlx": ("import mlx", "from mlx", 'import_module("mlx'),
        "blis": ("import blis", "from blis", 'import_module("blis'),
        "orjson": ("import orjson", 'import_module("orjson'),
        "openblas": ("import scipy_openblas32", 'import_module("scipy_openblas32'),
    }
    for name, ways in modules.items():
        importers = {
            file.name
            for folder in ("kernels", "backends")
            for file in (root / folder).glob("*.py")
            if any(way in file.read_text() for way in ways)
        }
        assert importers <= {f"backend_{name}.py"}, name


def test_settings_fix_the_threads_before_the_import() -> None:
    """Every computing backend names its thread count in the environment of its process."""
    for name in ("numba", "numpy", "openblas", "mkl", "blis", "accelerate", "torch"):
        settings = workload.backends()[name].settings(3)
        assert "3" in settings.values(), name
        assert all(isinstance(value, str) for value in settings.values())


def test_the_default_backend_moves_nothing() -> None:
    """A backend whose arrays are the host's hands them over as they are."""
    array = np.ones(3, np.float32)
    backend = Backend()
    assert backend.put(array) is array
    assert backend.get(array) is array
    assert importlib.util.find_spec("runners.backends") is not None
