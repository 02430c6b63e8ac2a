"""Libraries with a CBLAS interface, called through ctypes: the libraries are compared, not their wrappers."""

import ctypes
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from runners.arrays import fresh_output
from runners.profiles import for_processors
from runners.workload import Backend, Job, Ready, Variant

__all__ = ["CblasBackend", "cblas_operators"]

_ROW_MAJOR, _AS_IT_IS = 101, 111


class CblasBackend(Backend):
    """One CBLAS library.  A subclass says where it is, what its functions are called and how its threads are set."""

    #: the name of a function is prefix + function + suffix
    prefix = ""
    suffix = ""

    library: ctypes.CDLL
    path: Path
    threads: int

    def locate(self) -> Path:
        """Return the path of the shared library; raise FileNotFoundError if it is not there."""
        raise NotImplementedError

    def function(self, name: str, restype: Any = None, argtypes: Any = None) -> Any:
        """Return a function of the library by its plain name."""
        function = getattr(self.library, f"{self.prefix}{name}{self.suffix}")
        function.restype = restype
        if argtypes is not None:
            function.argtypes = argtypes
        return function

    def load(self, threads: int) -> None:
        """Load the library and set its threads; raise RuntimeError if it does not take that many."""
        self.path = self.locate()
        self.library = ctypes.CDLL(str(self.path))
        self.set_threads(threads)
        self.threads = self.get_threads()
        if self.threads != threads:
            raise RuntimeError(f"{self.name} runs {self.threads} threads, {threads} were asked for")

    def set_threads(self, threads: int) -> None:
        """Tell the library how many threads to run."""
        raise NotImplementedError

    def get_threads(self) -> int:
        """Ask the library how many threads it runs."""
        raise NotImplementedError

    def multiplication(self, a: Any, b: Any, c: Any) -> Callable[[], Any]:
        """Return a call of C = A·B for row-major float32 matrices [m, k] and [k, n].

        The arrays must outlive the call: it holds addresses, not references.
        """
        (m, k), n = a.shape, b.shape[1]
        pointer, integer, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
        kinds = [integer] * 6 + [real, pointer, integer, pointer, integer, real, pointer, integer]
        sgemm = self.function("cblas_sgemm", argtypes=kinds)
        head = (_ROW_MAJOR, _AS_IT_IS, _AS_IT_IS, m, n, k)
        return partial(sgemm, *head, 1.0, a.ctypes.data, k, b.ctypes.data, n, 0.0, c.ctypes.data, n)

    def batch_multiplication(self, a: Any, b: Any, c: Any) -> Callable[[], Any]:
        """Return a call of C = A·B for stacks [s, m, k] and [s, k, n]."""
        (stack, m, k), n = a.shape, b.shape[2]
        pointer, integer, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
        matrix = [pointer, integer, integer]
        kinds = [integer] * 6 + [real, *matrix, *matrix, real, *matrix, integer]
        batch = self.function("cblas_sgemm_batch_strided", argtypes=kinds)
        head = (_ROW_MAJOR, _AS_IT_IS, _AS_IT_IS, m, n, k, 1.0)
        operands = (a.ctypes.data, k, m * k, b.ctypes.data, n, k * n, 0.0, c.ctypes.data, n, m * n)
        return partial(batch, *head, *operands, stack)

    def describe(self) -> dict[str, Any]:
        """Return the library's file and the threads that it reports."""
        return {"library": self.path.name, "threads": self.get_threads()}


def _product(job: Job) -> Ready:
    a, b = job.inputs["a"], job.inputs["b"]
    c = fresh_output((*a.shape[:-1], b.shape[-1]))
    library = job.backend
    assert isinstance(library, CblasBackend)
    call = library.multiplication(a, b, c) if a.ndim == 2 else library.batch_multiplication(a, b, c)
    operands = (a, b, c)
    return Ready(call, result=lambda _: operands[2])


def cblas_operators(backend: str, profiles: frozenset[str] | None = None) -> tuple[Variant, ...]:
    """Return the matrix products of a CBLAS library: ``cblas_sgemm`` and its batched form, by a case's shape."""
    return (
        Variant("matmul", "blas", backend, _product, applies=for_processors, profiles=profiles),
        Variant("attention-scores", "blas", backend, _product, profiles=profiles),
    )
