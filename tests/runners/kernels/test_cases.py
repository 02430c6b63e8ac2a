"""The list of what is measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from runners import workload

ROWS = [
    *(f"matmul/{n}" for n in (128, 256, 512, 1024, 2048, 4096)),
    "matmul/batched-32x256",
    "attention-scores/8x512x64",
    *(f"attention/8x{s}x64{kind}" for s in (512, 2048, 4096) for kind in ("", "-causal")),
    "decode/512+64",
    "decode/2048+64",
    *(
        f"{operation}/{size}"
        for operation in ("relu", "exp", "sigmoid", "tanh", "gelu", "square", "log", "add", "mul")
        for size in ("1M", "10M", "50M")
    ),
    *(f"{operation}/32x512x768" for operation in ("relu", "sigmoid", "gelu")),
    *(f"softmax/64x{width}" for width in (128, 256, 512, 1024, 2048)),
    *(
        f"layernorm/{shape}"
        for shape in ("8x128x768", "32x512x768", "16x1024x768", "8x1024x1280", "4x2048x2048")
    ),
    *(
        f"{kernel}/{model}-{fill}"
        for kernel in ("save", "load", "lazy-load")
        for model in ("small", "medium")
        for fill in ("normal", "constant")
    ),
]
VARIANTS = {
    "matmul/512": {"naive", "naive-parallel", "blocked", "blas"},
    "matmul/batched-32x256": {"naive", "naive-parallel", "blocked", "blas"},
    "attention-scores/8x512x64": {"naive", "naive-parallel", "blocked", "blas"},
    "attention/8x2048x64-causal": {"unfused-fresh", "unfused-inplace", "fused", "operator"},
    "decode/512+64": {"recompute", "kv-cache"},
    "exp/10M": {"scalar", "parallel", "simd", "parallel-simd", "operator"},
    "gelu/10M": {"scalar", "parallel", "simd", "parallel-simd", "operator", "unfused", "fused"},
    "softmax/64x1024": {"scalar", "parallel", "simd", "parallel-simd", "operator"},
    "layernorm/32x512x768": {"two-pass", "welford", "two-pass-naive", "welford-naive", "operator"},
    "save/small-normal": {"json-pretty", "json-compact", "safetensors", "npz", "pickle"},
    "load/small-normal": {"json-pretty", "json-compact", "safetensors", "safetensors-mmap", "npz", "pickle"},
    "lazy-load/small-normal": {"json-pretty", "json-compact", "safetensors", "safetensors-mmap", "npz"},
    "ceiling/fma": {"chains"},
    "ceiling/copy-96MiB": {"regular", "streaming"},
}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_workload_is_a_case(row: str) -> None:
    """Each published row can be named and is found."""
    assert [case.id for case in workload.cases((row,))] == [row]


@pytest.mark.parametrize(("row", "names"), VARIANTS.items())
def test_every_case_has_its_variants(row: str, names: set[str]) -> None:
    """The ways to compute a case that must exist are there, on whatever backend."""
    (case,) = workload.cases((row,))
    assert {variant.name for variant in workload.variants(case)} == names


def test_conditions_that_change_the_number_are_separate() -> None:
    """Given and new output, warm and cold page cache, and waiting for the disk are conditions of their own."""
    (relu,) = workload.cases(("relu/10M",))
    (save,) = workload.cases(("save/small-normal",))
    (load,) = workload.cases(("load/small-normal",))
    devices = {key: backend.device for key, backend in workload.backends().items()}
    conditions: dict[str, set[str]] = {}
    for variant in workload.variants(relu):
        conditions.setdefault(devices[variant.backend], set()).add(variant.condition)
    assert conditions["cpu"] == {"given", "fresh"}
    assert conditions["cuda:0"] == {"cold", "hot", "end-to-end"}
    assert conditions["metal"] == {"hot", "end-to-end"}
    assert {variant.condition for variant in workload.variants(save)} == {"warm", "fsync"}
    assert {variant.condition for variant in workload.variants(load)} == {"warm", "cold"}


def test_no_two_variants_are_the_same_series() -> None:
    """Variant, condition, backend and threads tell the variants of each case apart."""
    for case in workload.cases():
        keys = [(v.name, v.condition, v.backend, v.threads) for v in workload.variants(case)]
        assert len(keys) == len(set(keys)), case.id


def test_profiles_grow() -> None:
    """A case of a small profile is in every larger one, and a variant's profiles do so, too."""
    order = ("smoke", "quick", "standard", "full")
    for case in workload.cases():
        for profiles in (
            case.profiles,
            *(v.profiles for v in workload.variants(case) if v.profiles is not None),
        ):
            first = min(order.index(profile) for profile in profiles)
            assert profiles == set(order[first:]), case.id


@pytest.mark.parametrize("backend", [b.name for b in workload.backends().values()])
def test_every_backend_has_something_to_run(backend: str) -> None:
    """No backend is listed that runs nothing."""
    assert any(v.backend == backend for case in workload.cases() for v in workload.variants(case))


def test_variants_name_backends_and_threads_that_exist() -> None:
    """A word that nobody knows would silently leave a variant out."""
    from runners.backends.backend_numba import FLAG_SETTINGS

    names = set(workload.backends())
    for case in workload.cases():
        for variant in workload.variants(case):
            assert variant.backend in names
            assert variant.threads in ("one", "many", "any")
            assert variant.store in (None, "regular", "streaming")
            assert set(variant.flags) <= set(FLAG_SETTINGS)


def test_memory_covers_what_a_case_holds() -> None:
    """The stated memory of a case is never less than its inputs and outputs."""
    for case in workload.cases():
        assert case.memory_bytes >= case.footprint_bytes, case.id


def test_listing_imports_no_library() -> None:
    """Reading all cases and asking every backend whether it is here imports none of them."""
    code = (
        "import sys; from runners import workload\n"
        "[list(workload.variants(case)) for case in workload.cases()]\n"
        "[backend.probe() for backend in workload.backends().values()]\n"
        "names = ('numba', 'llvmlite', 'torch', 'mlx', 'safetensors', 'orjson', 'scipy_openblas32', 'blis')\n"
        "print([name for name in names if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


KERNELS_FILE = """
from runners.workload import Case, Check, Kernel, Work
case = Case("odd/1", "odd", {}, Work(elements=1.0), "GElement/s", None, 4, 4, frozenset({"full"}))
KERNELS = (Kernel("odd", "Odd", (case,), lambda case, seed: {}, lambda case, inputs, result: Check(True, 0, 0, 0)),)
def register(kernels):
    kernels["odd"].title = "Very odd"
"""


@pytest.fixture
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> object:
    workload.kernels.cache_clear()
    yield
    monkeypatch.undo()
    workload.kernels.cache_clear()


@pytest.mark.usefixtures("_fresh_registry")
def test_kernels_from_outside_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named in FLOPWATCH_KERNELS brings kernels and may change those that are there."""
    file = tmp_path / "odd.py"
    file.write_text(KERNELS_FILE)
    monkeypatch.setenv("FLOPWATCH_KERNELS", str(file))
    assert workload.kernels()["odd"].title == "Very odd"
    assert [case.id for case in workload.cases(("odd/*",))] == ["odd/1"]


@pytest.mark.usefixtures("_fresh_registry")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 +", "cannot be read: SyntaxError"),
        ("x = 1", "neither KERNELS nor register"),
        (None, "FileNotFoundError"),
    ],
)
def test_a_file_of_kernels_that_is_wrong_is_named(
    text: str | None, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with a file from outside is said with its path."""
    file = tmp_path / "wrong.py"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("FLOPWATCH_KERNELS", str(file))
    with pytest.raises(ImportError, match=complaint) as raised:
        workload.kernels()
    assert str(file) in str(raised.value)
