"""The bodies of our Metal kernels, compiled as C++ with the signature that MLX writes, against NumPy in float64."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runners.cuda.on_host import HEADER

FOLDER = Path(__file__).parents[3] / "runners" / "kernels" / "metal"
#: the words of Metal that the bodies use, on the fibers of the CUDA kernels
PROLOGUE = f"""#include "{HEADER}"
typedef unsigned uint;
#define threadgroup static __attribute__((section("shared_memory")))
#define thread_position_in_threadgroup threadIdx
#define threadgroup_position_in_grid blockIdx
namespace mem_flags {{ enum flag {{ mem_threadgroup }}; }}
inline void threadgroup_barrier(mem_flags::flag) {{ __syncthreads(); }}
namespace metal {{ namespace precise {{
inline float tanh(float x) {{ return ::tanhf(x); }}
inline float sqrt(float x) {{ return ::sqrtf(x); }}
}} }}
"""
SIGNATURES = {
    "gelu": "const float* x, uint n, float* y",
    "welford": "const float* x, const float* gamma, const float* beta, float epsilon, uint width, float* y",
}


def _kernel(name: str, tmp_path: Path) -> Any:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ is here to compile the Metal kernels for the processor")
    names = ", ".join(word.split()[-1] for word in SIGNATURES[name].split(","))
    body = (FOLDER / f"{name}.metal").read_text("utf-8")
    here = (
        "[[maybe_unused]] const dim3 thread_position_in_grid = {blockIdx.x * blockDim.x + threadIdx.x, 0, 0};"
    )
    text = f"""{PROLOGUE}
void {name}({SIGNATURES[name]}) {{ {here}
{body}
}}
extern "C" void run(unsigned blocks, unsigned seed, {SIGNATURES[name]}) {{
    run_grid({{blocks, 1, 1}}, {{256, 1, 1}}, 0, seed, [=] {{ {name}({names}); }});
}}
"""
    source = tmp_path / f"{name}.cpp"
    source.write_text(text, "utf-8")
    options = ("-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC")
    subprocess.run([compiler, *options, source, "-o", tmp_path / f"{name}.so"], check=True)
    return ctypes.CDLL(str(tmp_path / f"{name}.so")).run


def _pointer(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def test_gelu(tmp_path: Path) -> None:
    """One thread an element, none beyond the last."""
    run = _kernel("gelu", tmp_path)
    x = np.random.default_rng(0).standard_normal(1003, np.float32) * 3
    y = np.full(1024, np.nan, np.float32)
    run(4, 0, _pointer(x), ctypes.c_uint(1003), _pointer(y))
    wide = x.astype(np.float64)
    exact = 0.5 * wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
    assert np.abs(y[:1003] - exact).max() < 1e-6
    assert np.isnan(y[1003:]).all()


@pytest.mark.parametrize("width", [1, 100, 256, 1001])
def test_welford(width: int, tmp_path: Path) -> None:
    """Rows narrower and wider than a threadgroup; all orders of threads give the same bits."""
    run = _kernel("welford", tmp_path)
    random = np.random.default_rng(0)
    x = random.standard_normal((3, width), np.float32) + 5
    gamma, beta = random.standard_normal(width, np.float32), random.standard_normal(width, np.float32)
    answers = []
    for seed in (0, 1, 7):
        y = np.full_like(x, np.nan)
        arguments = (_pointer(gamma), _pointer(beta), ctypes.c_float(1e-5), ctypes.c_uint(width), _pointer(y))
        run(3, seed, _pointer(x), *arguments)
        answers.append(y)
    wide = x.astype(np.float64)
    distance = wide - wide.mean(-1, keepdims=True)
    exact = distance / np.sqrt((distance**2).mean(-1, keepdims=True) + 1e-5) * gamma + beta
    assert np.abs(answers[0] - exact).max() < 2e-5
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])
