"""BLIS from the wheel blis, which brings no library to load but a function for NumPy arrays."""

import importlib
from collections.abc import Callable
from typing import Any

from runners.arrays import fresh_output
from runners.backends.distributions import find, version
from runners.profiles import STANDARD, for_processors
from runners.workload import Availability, Backend, Job, Variant

__all__ = ["BlisBackend"]


def _product(job: Job) -> Callable[[], Any]:
    """Call ``gemm``; it knows no batches, so a batch is a loop."""
    gemm = importlib.import_module("blis.py").gemm
    a, b = job.inputs["a"], job.inputs["b"]
    c = fresh_output((*a.shape[:-1], b.shape[-1]))
    triples = [(a, b, c)] if a.ndim == 2 else list(zip(a, b, c, strict=True))

    def call() -> Any:
        for left, right, out in triples:
            gemm(left, right, out=out, beta=0.0)
        return c

    return call


class BlisBackend(Backend):
    """BLIS on one thread: the wheel is built without threads."""

    name = "blis"
    title = "BLIS, as its wheel is (one thread)"
    packages = ("blis",)
    install = "pip install blis"
    operators = tuple(
        Variant(kernel, "blas", "blis", _product, threads="one", applies=for_processors, profiles=STANDARD)
        for kernel in ("matmul", "attention-scores")
    )

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("blis", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Ask for the threads, in case the wheel was built with them."""
        return {"BLIS_NUM_THREADS": str(threads)}

    def load(self, threads: int) -> None:
        """Import the library; raise RuntimeError for more threads than the one it has."""
        if threads != 1:
            raise RuntimeError(f"the wheel of BLIS has no threads, {threads} were asked for")
        importlib.import_module("blis.py")

    def describe(self) -> dict[str, Any]:
        """Return the version; the wheel does not tell which core type it chose."""
        return {"version": version("blis"), "threads": 1}
