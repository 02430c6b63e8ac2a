"""The words of the workload: kernels, cases, variants and the backends that execute them.

This module, the kernels and the backends run inside the worker, in environments of any version: they need the
standard library and NumPy, and import nothing of ``data``.
"""

import fnmatch
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = [
    "Availability",
    "Backend",
    "Case",
    "Check",
    "Job",
    "Kernel",
    "Ready",
    "Unsupported",
    "Variant",
    "Work",
    "backends",
    "cases",
    "kernels",
    "reread_kernels",
    "variants",
]


class Unsupported(Exception):
    """Raised by a builder: this variant cannot run here; the text says why."""


@dataclass(frozen=True)
class Work:
    """What one call of a case does by convention; ``version`` is raised when a formula changes."""

    flop: float | None = None
    bytes: float | None = None
    elements: float | None = None
    tokens: float | None = None
    version: int = 1


@dataclass(frozen=True)
class Case:
    """A kernel at one shape, type and seed.

    ``unit`` is the rate people read: ``GFLOP/s``, ``GB/s``, ``GElement/s`` or ``token/s``.  ``bound`` names the ceiling
    it stands beside: ``flop`` (peak FMA), ``bytes`` (copy bandwidth at the nearest ``footprint_bytes``), ``write`` or
    ``read`` (a raw file), or none.  ``memory_bytes`` is the most that a worker holds for it.  ``profiles`` are the
    profiles that contain it.
    """

    id: str
    kernel: str
    shape: dict[str, Any]
    work: Work
    unit: str
    bound: str | None
    footprint_bytes: int
    memory_bytes: int
    profiles: frozenset[str]


@dataclass
class Job:
    """All that a builder needs to hand over a ready call."""

    case: Case
    backend: "Backend"
    threads: int
    seed: int
    inputs: dict[str, Any]
    scratch: Path
    condition: str

    def put(self, *names: str) -> list[Any]:
        """Bring inputs to the backend's device."""
        return [self.backend.put(self.inputs[name]) for name in names]


@dataclass
class Ready:
    """A prepared call.  Only ``call`` is timed.

    ``result`` turns what the call returned (or left behind) into host arrays to be checked; ``before`` runs untimed
    before each sample and forbids batching; ``attributes`` are facts about the result such as a file's size.  A
    ``timer`` (:class:`runners.device_timing.Timer`) times on a device in its own way; the call then only enqueues.
    """

    call: Callable[[], Any]
    result: Callable[[Any], Any] = lambda returned: returned
    before: Callable[[], None] | None = None
    attributes: Callable[[], dict[str, Any]] | None = None
    timer: Any = None


@dataclass(frozen=True)
class Variant:
    """One way to compute the cases of a kernel on one backend, named by the backend's ``key``.

    ``threads``: ``one`` (only with one), ``many`` (only with several), ``any``.  ``flags`` ask for a process of its own
    kind, such as ``no-vectorise`` (compiled with both vectorisers off).  ``store``: ``regular`` or ``streaming`` where
    it is known.  ``bound`` overrides that of the case (``none`` for no ceiling).  ``applies`` narrows the cases.
    """

    kernel: str
    name: str
    backend: str
    build: Callable[[Job], Ready | Callable[[], Any]]
    condition: str = "given"
    threads: str = "any"
    flags: tuple[str, ...] = ()
    store: str | None = None
    bound: str | None = None
    applies: Callable[[Case], bool] = lambda case: True
    profiles: frozenset[str] | None = None


@dataclass(frozen=True)
class Check:
    """Outcome of comparing an answer with its reference: agrees, differs, or could not be told (then an exception)."""

    ok: bool
    max_absolute: float
    max_relative: float
    tolerance: float
    message: str = ""


@dataclass
class Kernel:
    """An operation of the workload: its cases, inputs, reference and tolerance.

    ``inputs(case, seed)`` makes host arrays; ``check(case, inputs, result)`` compares with a float64 reference.
    """

    name: str
    title: str
    cases: tuple[Case, ...]
    inputs: Callable[[Case, int], dict[str, Any]]
    check: Callable[[Case, dict[str, Any], Any], Check]
    variants: list[Variant] = field(default_factory=list)

    def variant(
        self, name: str, backend: str, **options: Any
    ) -> Callable[[Callable[[Job], Any]], Callable[[Job], Any]]:
        """Register a builder as a variant of this kernel on a backend."""

        def register(build: Callable[[Job], Any]) -> Callable[[Job], Any]:
            self.variants.append(Variant(self.name, name, backend, build, **options))
            return build

        return register


@dataclass(frozen=True)
class Availability:
    """Whether a backend can be used here, or why not and how to get it."""

    available: bool
    reason: str = ""
    install: str = ""


class Backend:
    """A library that executes, on one device.  One file in ``runners/backends``, and the only one to import it."""

    name: str
    device: str = "cpu"
    #: set where a library is there for several devices: then one of its backends has another key than its name
    _key: str = ""
    #: a sentence for people
    title: str = ""
    #: what pip installs, and the extra of flopwatch that brings it
    packages: tuple[str, ...] = ()
    install: str = ""
    #: whether a first call compiles or tunes, so that it is never one of the samples
    first_call_differs: bool = False
    #: operators the library brings itself; kernels add the variants of our own loops
    operators: tuple[Variant, ...] = ()

    def probe(self) -> Availability:
        """Say whether the library is here, without importing it where that can be told otherwise."""
        raise NotImplementedError

    def settings(self, threads: int) -> dict[str, str]:
        """Environment variables that fix the thread count before the library is imported."""
        return {}

    def load(self, threads: int) -> None:
        """Import the library (once, in the worker) and set its threads."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Facts for the environment: versions, the library file, core type, threads as the library reports them."""
        return {}

    def put(self, array: Any) -> Any:
        """Bring a host array to the device."""
        return array

    def get(self, array: Any) -> Any:
        """Bring an array of the device back to the host."""
        return array

    def synchronize(self) -> None:
        """Wait until the device has finished."""

    @property
    def key(self) -> str:
        """The name that variants and workers use: that of the library, with the device where it has several."""
        return self._key or self.name

    def release(self) -> None:
        """Give memory that is kept for later back, once a case is done."""

    def device_state(self) -> dict[str, Any]:
        """Return what the device says of itself at this moment: heat, power, clocks, who else computes."""
        return {}

    def explain(self, error: BaseException) -> Any:
        """Say what an error of the device means (:class:`runners.backends.cuda.Trouble`), or None."""
        return None


def backends() -> dict[str, Backend]:
    """All backends by key, in the order in which people read them."""
    from runners.backends import BACKENDS

    return {backend.key: backend for backend in BACKENDS}


@cache
def kernels() -> dict[str, Kernel]:
    """All kernels by name: each module in ``runners/kernels`` brings its own as ``KERNELS``.

    Files named in the environment variable ``FLOPWATCH_KERNELS`` (separated as in PATH) add to them: each brings
    ``KERNELS`` or a function ``register(kernels)`` that changes the dictionary.  Raises ImportError naming the file.
    """
    import runners.kernels as folder

    found: dict[str, Kernel] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(folder.__path__)):
        if not module.startswith("_"):
            for kernel in importlib.import_module(f"runners.kernels.{module}").KERNELS:
                found[kernel.name] = kernel
    for path in filter(None, os.environ.get("FLOPWATCH_KERNELS", "").split(os.pathsep)):
        _add_kernels(Path(path), found)
    return found


def _add_kernels(path: Path, found: dict[str, Kernel]) -> None:
    """Run a file of kernels from outside the package."""
    try:
        module = ModuleType(path.stem)
        module.__file__ = str(path)
        exec(compile(path.read_text("utf-8"), path, "exec"), vars(module))  # noqa: S102 (its purpose)
    except Exception as error:
        raise ImportError(f"FLOPWATCH_KERNELS names {path}, which cannot be read: {error!r}") from error
    if not hasattr(module, "register") and not hasattr(module, "KERNELS"):
        raise ImportError(f"FLOPWATCH_KERNELS names {path}, which has neither KERNELS nor register(kernels)")
    found.update({kernel.name: kernel for kernel in getattr(module, "KERNELS", ())})
    if hasattr(module, "register"):
        module.register(found)


def reread_kernels() -> None:
    """Forget the kernel files that were read, so that the next look at them compiles their loops anew."""
    read = ("runners.compiled", "runners.kernels")
    for name in [name for name in sys.modules if name in read or name.startswith("runners.kernels.")]:
        del sys.modules[name]
    kernels.cache_clear()


def cases(patterns: tuple[str, ...] = ()) -> Iterator[Case]:
    """All cases, or those whose id matches one of the glob patterns."""
    for kernel in kernels().values():
        for case in kernel.cases:
            if not patterns or any(fnmatch.fnmatchcase(case.id, pattern) for pattern in patterns):
                yield case


def variants(case: Case) -> Iterator[Variant]:
    """Every variant of a case: our own loops from its kernel, the operators from the backends, with cold caches too."""
    from runners.cold import cold_variants

    own = kernels()[case.kernel].variants
    brought = (variant for backend in backends().values() for variant in backend.operators)
    fitting = (
        variant for variant in (*own, *brought) if variant.kernel == case.kernel and variant.applies(case)
    )
    yield from cold_variants(case, fitting)
