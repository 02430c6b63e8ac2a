"""Scalar is scalar and SIMD is SIMD: the compiled loops are disassembled and their instructions counted."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from runners.backends.backend_numba import FLAG_SETTINGS

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the instructions counted are those of x86-64"
)

#: prints how many packed and scalar instructions of float32 arithmetic a loop has, by the width of its registers
COUNT = r"""
import importlib, json, re, sys
from collections import Counter
from runners.workload import backends
backends()["numba"].load(1)
from numba import types
array = types.Array(types.float32, 1, "C")
signatures = {
    "one": (array, array),
    "two": (array, array, array),
    "vector": (array, array, types.int64, types.boolean),
    "vector-two": (array, array, array, types.int64, types.boolean),
    "copy": (array, array, types.int64, types.int64, types.boolean),
    "fma": (array, array, types.int64),
}
arithmetic = r"\bv?(?:add|sub|mul|div|max|min|f(?:n?m)(?:add|sub)\d+)"
result = {}
for name in sys.argv[1:]:
    module, path, kind = name.split(":")
    loop = importlib.import_module(f"runners.kernels.{module}")
    for step in path.split("."):
        loop = loop[step] if isinstance(loop, dict) else getattr(loop, step)
    loop.compile(signatures[kind])
    text = loop.inspect_asm(loop.signatures[0])
    counts = Counter(scalar=0, packed=0, streaming=len(re.findall(r"\bv?movntps\b", text)))
    for suffix, register in re.findall(arithmetic + r"([ps]s)\b.*?%([xyz])mm", text):
        counts["packed" if suffix == "ps" else "scalar"] += 1
        counts[f"packed-{register}"] += suffix == "ps"
    result[name] = counts
print(json.dumps(result))
"""


SCALAR = [
    "_elementwise:LOOPS.relu.scalar:one",
    "_elementwise:LOOPS.square.scalar:one",
    "_elementwise:LOOPS.add.scalar:two",
    "_elementwise:LOOPS.square.parallel:one",
    "_elementwise:LOOPS.mul.parallel:two",
]
#: loops and how many packed instructions they have at least
VECTOR = {
    "_elementwise:LOOPS.relu.vector:vector": 8,
    "_elementwise:LOOPS.exp.vector:vector": 80,
    "_elementwise:LOOPS.add.vector:vector-two": 8,
    "_limits:fused_multiply_add:fma": 12,
}
COPY = "_limits:copy:copy"


def _counts(folder: Path, *loops: str, **settings: str) -> dict[str, dict[str, int]]:
    """Compile loops in a process of their own, with nothing cached, and return their instructions."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "NUMBA_NUM_THREADS": "1"} | settings
    command = [sys.executable, "-c", COUNT, *loops]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    counts: dict[str, dict[str, int]] = json.loads(done.stdout)
    return counts


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """Count the instructions of all loops, compiled with both vectorisers off."""
    folder = tmp_path_factory.mktemp("plain")
    return _counts(folder, *SCALAR, *VECTOR, COPY, **FLAG_SETTINGS["no-vectorise"])


@pytest.mark.parametrize("loop", SCALAR)
def test_scalar_loops_are_scalar(loop: str, plain: dict[str, dict[str, int]]) -> None:
    """With both vectorisers off a loop has scalar arithmetic and not one packed instruction."""
    assert plain[loop]["scalar"] > 0
    assert plain[loop]["packed"] == 0


def test_the_setting_is_what_makes_them_scalar(tmp_path: Path) -> None:
    """Compiled without the setting the same loop is packed: the test above can fail."""
    loop = "_elementwise:LOOPS.square.scalar:one"
    assert _counts(tmp_path, loop)[loop]["packed"] > 0


@pytest.mark.parametrize(("loop", "least"), VECTOR.items())
def test_vector_loops_are_packed(loop: str, least: int, plain: dict[str, dict[str, int]]) -> None:
    """A vector loop's arithmetic is packed, also with the vectorisers off; only the last sum of lanes is scalar."""
    assert plain[loop]["packed"] >= least
    assert plain[loop]["scalar"] <= (12 if "fused" in loop else 0)


def test_streaming_stores_are_streaming(plain: dict[str, dict[str, int]]) -> None:
    """The copy that goes past the caches has the instruction for it."""
    assert plain[COPY]["streaming"] >= 4


AVX_512 = {
    "NUMBA_CPU_NAME": "skylake-avx512",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512bw,+avx512dq",
}
AVX_2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}


@pytest.mark.parametrize(("settings", "register"), [(AVX_512, "z"), (AVX_2, "y")], ids=["avx512", "avx2"])
def test_vectors_are_as_wide_as_the_registers(
    settings: dict[str, str], register: str, tmp_path: Path
) -> None:
    """Compiled for a processor with AVX-512 the chains use its 512-bit registers, with AVX2 those of 256 bits."""
    chains = "_limits:fused_multiply_add:fma"
    assert _counts(tmp_path, chains, **settings)[chains][f"packed-{register}"] >= 12
