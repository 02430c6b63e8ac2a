"""All CUDA sources compile for the devices that matter, by NVRTC as CuPy uses it and by nvcc; no device is needed."""

import importlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runners.backends.kernels_cupy import SOURCES, source

FOLDER = Path(__file__).parents[3] / "runners" / "kernels" / "cuda"
#: Ampere, Hopper, Blackwell
CAPABILITIES = (80, 90, 100)


def nvrtc() -> Any:
    """Return CuPy's NVRTC, or skip with what is missing."""
    try:
        library = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        library.getVersion()
    except Exception as error:  # an ImportError of CuPy, or what it raises where it finds no NVRTC
        pytest.skip(f"no NVRTC is here: {error}")
    return library


def test_every_source_is_named() -> None:
    """The table of sources and the folder agree."""
    assert {path.stem for path in FOLDER.glob("*.cu")} == set(SOURCES)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_nvrtc_compiles_every_source(capability: int) -> None:
    """NVRTC makes machine code of each source, without a warning."""
    library = nvrtc()
    for name in SOURCES:
        program = library.createProgram(source(name), f"{name}.cu", [], [])
        try:
            library.compileProgram(program, [f"--gpu-architecture=sm_{capability}"])
        except Exception:
            pytest.fail(f"{name}.cu: {library.getProgramLog(program)}")
        assert not library.getProgramLog(program).strip("\0\n "), name
        assert len(library.getCUBIN(program)) > 1000


def test_nvcc_compiles_every_source(tmp_path: Path) -> None:
    """The toolkit's compiler takes each source without a warning.

    No kernel spills registers to memory, and none needs more shared memory than the 48 KiB that every device grants.
    """
    compiler = shutil.which("nvcc")
    if compiler is None:
        pytest.skip("no nvcc is here")
    codes = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in CAPABILITIES]
    for name in SOURCES:
        target = tmp_path / name
        command = [compiler, *codes, "-fatbin", "-Werror=all-warnings", "-Xptxas=-v", FOLDER / f"{name}.cu"]
        done = subprocess.run([*command, "-o", target], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert target.stat().st_size > 1000
        spilled = re.findall(r"(\d+) bytes spill", done.stderr)
        assert spilled, name
        assert set(spilled) == {"0"}, (name, done.stderr)
        assert all(int(size) <= 48 * 1024 for size in re.findall(r"(\d+) bytes smem", done.stderr)), name
