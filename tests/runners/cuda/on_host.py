"""Our CUDA sources compiled as plain C++ and run on the processor: the logic of the very text that a device gets."""

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.backends.kernels_cupy import source

HEADER = Path(__file__).with_name("on_host.h")
_TYPES = {"int": ctypes.c_int, "long long": ctypes.c_longlong, "float": ctypes.c_float}


def _signatures(text: str) -> dict[str, list[tuple[str, str]]]:
    """Return each kernel's parameters as (type, name); macros are expanded by the compiler's preprocessor."""
    found = {}
    for name, inside in re.findall(r'extern "C"\s+void\s+(\w+)\s*\(([^)]*)\)', text):
        parameters = [" ".join(one.split()) for one in inside.split(",")]
        found[name] = [re.fullmatch(r"(.*?)\s*(\w+)", one).groups() for one in parameters]  # type: ignore[union-attr]
    return found


def _as_cpp(text: str) -> str:
    return re.sub(r"extern __shared__ float (\w+)\[\];", r"float* \1 = dynamic_shared.data();", text)


@cache
def library(name: str) -> Any:
    """Compile a source with a function for each kernel that runs a whole grid; skip where there is no compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ is here to compile the CUDA sources for the processor")
    text = f'#include "{HEADER}"\n{_as_cpp(source(name))}'
    digest = hashlib.sha256(text.encode() + HEADER.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"flopwatch-cuda-{digest}"
    folder.mkdir(exist_ok=True)
    built = folder / f"{name}.so"
    if not built.exists():
        plain = folder / f"{name}.cpp"
        plain.write_text(text, "utf-8")
        options = ("-std=c++17", "-O1", "-fno-strict-aliasing", "-ffp-contract=off", "-Wno-unknown-pragmas")
        expanded = subprocess.run(
            [compiler, *options, "-E", "-P", plain], capture_output=True, text=True, check=True
        ).stdout
        plain.write_text(text + "".join(map(_entry, _signatures(expanded).items())), "utf-8")
        aside = folder / f"{name}.{id(text)}.so"
        subprocess.run([compiler, *options, "-shared", "-fPIC", plain, "-o", aside], check=True)
        aside.replace(built)
    return ctypes.CDLL(str(built))


def _entry(kernel: tuple[str, list[tuple[str, str]]]) -> str:
    name, parameters = kernel
    declared = "".join(f", {type_} {parameter}" for type_, parameter in parameters)
    passed = ", ".join(parameter for _, parameter in parameters)
    return (
        f'\nextern "C" void run_{name}(const unsigned* shape, unsigned shared_bytes, unsigned seed{declared}) {{\n'
        f"    run_grid({{shape[0], shape[1], shape[2]}}, {{shape[3], shape[4], shape[5]}}, shared_bytes, seed, "
        f"[=] {{ {name}({passed}); }});\n}}\n"
    )


class HostModule:
    """Launches kernels of one source on the processor, as :class:`runners.backends.kernels_cupy.Launcher` does."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self.library, self.seed = library(name), seed

    def launch(
        self,
        kernel: str,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        arguments: tuple[Any, ...],
        shared_bytes: int = 0,
    ) -> None:
        """Run the whole grid; arguments are NumPy arrays and scalars of the right width."""
        shape = (ctypes.c_uint * 6)(*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3])
        getattr(self.library, f"run_{kernel}")(
            shape, ctypes.c_uint(shared_bytes), ctypes.c_uint(self.seed), *map(_argument, arguments)
        )


def _argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return {np.int32: ctypes.c_int, np.int64: ctypes.c_longlong, np.float32: ctypes.c_float}[type(value)](
        value
    )
