"""Our kernels beside the best of others, and beside the limits of the machine.

``pytest tests/benchmarks/test_kernels.py --benchmark-only`` prints one line for each comparison; ``--benchmark-json``
keeps them.  Nothing here asserts a time: what the figures should be is for people to judge, on a quiet machine.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runners import workload
from tests.benchmarks.comparisons import Contender, Outcome, Script, compare

THREADS = sorted({1, os.cpu_count() or 1})


def _threads_allowed(contender: Contender, threads: int) -> bool:
    (case,) = workload.cases((contender.case,))
    wanted = (contender.variant, contender.backend, contender.condition)
    variant = next(v for v in workload.variants(case) if (v.name, v.backend, v.condition) == wanted)
    return variant.threads == "any" or (variant.threads == "one") == (threads == 1)


def _rate(contender: Contender, seconds: float) -> str:
    (case,) = workload.cases((contender.case,))
    amount = {
        "GFLOP/s": case.work.flop,
        "GB/s": case.work.bytes,
        "GElement/s": case.work.elements,
        "token/s": 1e9 * (case.work.tokens or 0),
    }[case.unit]
    return f"{(amount or 0) / seconds * 1e-9:.4g} {case.unit}"


def _report(
    benchmark: Any,
    capsys: pytest.CaptureFixture[str],
    contenders: list[Contender],
    threads: int,
    note: str = "",
) -> list[Outcome]:
    """Compare, print a line for each contender with its factor against the first, and keep all in the JSON."""
    contenders = [contender for contender in contenders if _threads_allowed(contender, threads)]
    outcomes: list[Outcome] = []
    benchmark.pedantic(lambda: outcomes.extend(compare(contenders, threads)), rounds=1)
    first = outcomes[0]
    lines = [f"\n{contenders[0].case}, {threads} threads"]
    for contender, outcome in zip(contenders, outcomes, strict=True):
        case = "" if contender.case == contenders[0].case else f" {contender.case}"
        key, factor = contender.label + case, outcome.typical / first.typical
        lines.append(
            f"  {key:44s} {outcome.typical * 1e3:9.3f} ms {_rate(contender, outcome.typical):>18s}  x{factor:.2f}"
            f"  (best {outcome.best * 1e3:.3f} ms, x{outcome.best / first.best:.2f}) {outcome.attributes or ''}"
        )
        benchmark.extra_info[key] = {"seconds": outcome.typical, "best": outcome.best, "factor": factor}
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
    return outcomes


def _fastest_first(case: str, ours: tuple[str, ...], *others: tuple[str, str, str]) -> list[Contender]:
    return [
        *(Contender(case, name, "numba") for name in ours),
        *(Contender(case, *other) for other in others),
    ]


BLAS = (
    ("blas", "openblas", "given"),
    ("blas", "numpy", "given"),
    ("blas", "mkl", "given"),
    ("blas", "torch", "given"),
)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("size", [128, 256, 512, 1024, 2048])
def test_matmul(size: int, threads: int, benchmark: Any, capsys: Any) -> None:
    """The blocked product beside the BLAS libraries and the naive loops."""
    contenders = _fastest_first(f"matmul/{size}", ("blocked", "naive", "naive-parallel"), *BLAS)
    _report(benchmark, capsys, contenders, threads)


@pytest.mark.parametrize("threads", THREADS)
def test_blas_beside_the_peak(threads: int, benchmark: Any, capsys: Any) -> None:
    """The share of the multiply-add peak that BLAS and the blocked product reach at 1024."""
    names = (("chains", "ceiling/fma"), ("blocked", "matmul/1024"))
    contenders = [Contender(case, name, "numba") for name, case in names]
    contenders += [Contender("matmul/1024", "blas", name) for name in ("openblas", "numpy")]
    _report(benchmark, capsys, contenders, threads)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("case", ["matmul/batched-32x256", "attention-scores/8x512x64"])
def test_batches(case: str, threads: int, benchmark: Any, capsys: Any) -> None:
    """Batches of products beside the BLAS libraries and the naive loops."""
    _report(benchmark, capsys, _fastest_first(case, ("blocked", "naive", "naive-parallel"), *BLAS), threads)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("kind", ["", "-causal"])
@pytest.mark.parametrize("length", [512, 2048, 4096])
def test_attention(length: int, kind: str, threads: int, benchmark: Any, capsys: Any) -> None:
    """Fused attention beside PyTorch's operator and the ways that keep all scores."""
    others = (
        ("operator", "torch", "fresh"),
        ("unfused-inplace", "numpy", "given"),
        ("unfused-fresh", "numpy", "fresh"),
    )
    _report(benchmark, capsys, _fastest_first(f"attention/8x{length}x64{kind}", ("fused",), *others), threads)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("prefix", [512, 2048])
def test_decoding(prefix: int, threads: int, benchmark: Any, capsys: Any) -> None:
    """Decoding with a cache beside decoding without one."""
    others = tuple(
        (name, backend, "given") for backend in ("numpy", "torch") for name in ("kv-cache", "recompute")
    )
    contenders = _fastest_first(f"decode/{prefix}+64", ("kv-cache", "recompute"), *others)
    _report(benchmark, capsys, contenders, threads)


OPERATORS = (("operator", "torch", "given"), ("operator", "numpy", "given"))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("size", ["1M", "10M", "50M"])
@pytest.mark.parametrize("kernel", ["relu", "exp", "sigmoid", "tanh", "log", "square", "add", "mul"])
def test_elementwise(kernel: str, size: str, threads: int, benchmark: Any, capsys: Any) -> None:
    """Vector loops beside the operators of PyTorch and NumPy and the scalar loops, into a given array."""
    ours = ("simd", "parallel-simd", "scalar", "parallel")
    contenders = _fastest_first(f"{kernel}/{size}", ours, *OPERATORS)
    _report(benchmark, capsys, contenders, threads)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("size", ["1M", "10M", "32x512x768"])
def test_gelu(size: str, threads: int, benchmark: Any, capsys: Any) -> None:
    """Fused GELU beside PyTorch's operator and the chains of array operations."""
    others = (("operator", "torch", "given"), ("unfused", "numpy", "given"), ("unfused", "torch", "fresh"))
    _report(
        benchmark, capsys, _fastest_first(f"gelu/{size}", ("fused", "scalar", "parallel"), *others), threads
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("shape", ["8x128x768", "32x512x768", "16x1024x768", "8x1024x1280", "4x2048x2048"])
def test_layernorm(shape: str, threads: int, benchmark: Any, capsys: Any) -> None:
    """Welford in many chains beside two passes, the plain loops, PyTorch and NumPy."""
    ours = ("welford", "two-pass", "welford-naive", "two-pass-naive")
    # PyTorch's form with an output copies, so its form without one is beside it.
    others = (*OPERATORS, ("operator", "torch", "fresh"))
    _report(benchmark, capsys, _fastest_first(f"layernorm/{shape}", ours, *others), threads)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("width", [128, 1024, 2048])
def test_softmax(width: int, threads: int, benchmark: Any, capsys: Any) -> None:
    """Softmax over vectors beside PyTorch and NumPy."""
    contenders = _fastest_first(f"softmax/64x{width}", ("simd", "parallel-simd"), *OPERATORS)
    _report(benchmark, capsys, contenders, threads)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(("size", "footprint"), [("10M", "96MiB"), ("50M", "384MiB")])
def test_memory_bound_kernels_beside_the_copy(
    size: str, footprint: str, threads: int, benchmark: Any, capsys: Any
) -> None:
    """The share of the streaming copy's bandwidth that kernels reach which only move memory."""
    name = "simd" if threads == 1 else "parallel-simd"
    contenders = [Contender(f"ceiling/copy-{footprint}", "streaming", "numba")]
    contenders += [
        Contender(f"{kernel}/{size}", name, "numba") for kernel in ("relu", "square", "add", "mul")
    ]
    if size == "10M":
        contenders.append(Contender("layernorm/32x512x768", "welford", "numba"))
    _report(benchmark, capsys, contenders, threads)


@pytest.mark.parametrize("model", ["small", "medium"])
def test_saving(model: str, benchmark: Any, capsys: Any) -> None:
    """Saving beside writing the same number of bytes with the system calls alone."""
    case = f"save/{model}-normal"
    contenders = [
        Contender(case, "safetensors", "safetensors", "warm"),
        Contender(case, "npz", "numpy", "warm"),
    ]
    contenders += [Contender(case, "pickle", "pickle", "warm")]
    contenders += [Contender("ceiling/write-193MiB", "raw", "numpy", "warm")]
    _report(benchmark, capsys, contenders, 1)


@pytest.mark.parametrize("model", ["small", "medium"])
def test_loading(model: str, benchmark: Any, capsys: Any) -> None:
    """Loading by a memory map beside the ways that copy, and reading the file with the system calls alone."""
    case = f"load/{model}-normal"
    contenders = [Contender(case, "safetensors-mmap", "numpy", "warm")]
    contenders += [
        Contender(case, "safetensors", "safetensors", "warm"),
        Contender(case, "npz", "numpy", "warm"),
    ]
    contenders += [Contender("ceiling/read-193MiB", "raw", "numpy", "warm")]
    _report(benchmark, capsys, contenders, 1)


def test_json(benchmark: Any, capsys: Any) -> None:
    """The published comparison: indented JSON against safetensors, with the constant fill."""
    contenders = [Contender("save/small-constant", "safetensors", "safetensors", "warm")]
    contenders += [
        Contender("save/small-constant", name, "orjson", "warm") for name in ("json-pretty", "json-compact")
    ]
    contenders += [Contender("load/small-constant", "safetensors", "safetensors", "warm")]
    contenders += [
        Contender("load/small-constant", name, "orjson", "warm") for name in ("json-pretty", "json-compact")
    ]
    _report(benchmark, capsys, contenders, 1)


_NUMPY = "import numpy as np; r = np.random.default_rng(1)"
_TORCH = "import torch; torch.set_grad_enabled(False)"
_LAYER = "x = torch.randn(32, 512, 768); w, b = torch.ones(768), torch.zeros(768)"
_SQUARES = "a, b = (r.standard_normal((1024, 1024), np.float32) for _ in range(2)); c = np.empty_like(a)"
_NUMBERS = "x = r.standard_normal(10_000_000, np.float32); y = np.empty_like(x); y[:] = 0"
_TENSORS = "x = torch.randn(10_000_000); y = torch.zeros_like(x)"
_HEADS = "q, k, v = (torch.randn(1, 8, 512, 64) for _ in range(3))"
#: a peer's variant, and the same as a script of its own
PEERS = [
    (
        Contender("matmul/1024", "blas", "numpy"),
        Script("numpy", f"{_NUMPY}; {_SQUARES}", "np.matmul(a, b, out=c)"),
    ),
    (
        Contender("matmul/1024", "blas", "torch"),
        Script(
            "torch",
            f"{_TORCH}; a, b, c = (torch.randn(1024, 1024) for _ in range(3))",
            "torch.matmul(a, b, out=c)",
        ),
    ),
    (Contender("exp/10M", "operator", "numpy"), Script("numpy", f"{_NUMPY}; {_NUMBERS}", "np.exp(x, out=y)")),
    (
        Contender("relu/10M", "operator", "numpy"),
        Script("numpy", f"{_NUMPY}; {_NUMBERS}", "np.maximum(x, 0, out=y)"),
    ),
    (
        Contender("relu/10M", "operator", "torch"),
        Script("torch", f"{_TORCH}; {_TENSORS}", "torch.clamp_min(x, 0, out=y)"),
    ),
    (
        Contender("exp/10M", "operator", "torch"),
        Script("torch", f"{_TORCH}; {_TENSORS}", "torch.exp(x, out=y)"),
    ),
    (
        Contender("tanh/10M", "operator", "torch"),
        Script("torch", f"{_TORCH}; {_TENSORS}", "torch.tanh(x, out=y)"),
    ),
    (
        Contender("sigmoid/10M", "operator", "torch"),
        Script("torch", f"{_TORCH}; {_TENSORS}", "torch.sigmoid(x, out=y)"),
    ),
    (
        Contender("gelu/10M", "operator", "torch"),
        Script(
            "torch",
            f"{_TORCH}; {_TENSORS}",
            "torch._C._nn.gelu(x, approximate='tanh', out=y)",
        ),
    ),
    (
        Contender("layernorm/32x512x768", "operator", "torch", "fresh"),
        Script(
            "torch",
            f"{_TORCH}; {_LAYER}",
            "torch.nn.functional.layer_norm(x, (768,), w, b, 1e-5)",
        ),
    ),
    (
        Contender("attention/8x512x64", "operator", "torch", "fresh"),
        Script(
            "torch",
            f"{_TORCH}; {_HEADS}",
            "torch.nn.functional.scaled_dot_product_attention(q, k, v)",
        ),
    ),
]


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("pair", PEERS, ids=lambda pair: f"{pair[0].case}-{pair[0].backend}")
def test_peers_beside_a_plain_script(
    pair: tuple[Contender, Script], threads: int, benchmark: Any, capsys: Any
) -> None:
    """No peer is slower with us than in a script of its own: our factors are not bought by holding others back."""
    contender, script = pair
    outcomes: list[Outcome] = []
    benchmark.pedantic(lambda: outcomes.extend(compare([script, contender], threads)), rounds=1)
    plain, ours = outcomes
    share = plain.typical / ours.typical
    benchmark.extra_info["share"] = share
    with capsys.disabled():
        sys.stdout.write(
            f"\n{contender.case} {contender.label}, {threads} threads: {share:.2f} of the speed in a plain script "
            f"({ours.typical * 1e3:.3f} against {plain.typical * 1e3:.3f} ms; best {plain.best / ours.best:.2f})\n"
        )


def _c_program(folder: Path) -> Path:
    """Compile the independent program."""
    compiler = shutil.which("cc")
    if compiler is None or platform.machine() != "x86_64":
        pytest.skip("needs a C compiler on x86-64")
    program = folder / "limits"
    options = ["-O3", "-march=native", "-fno-tree-loop-distribute-patterns", "-pthread"]
    subprocess.run(
        [compiler, *options, str(Path(__file__).with_name("limits.c")), "-o", str(program)], check=True
    )
    return program


def _rates_of(program: Path, threads: int) -> dict[tuple[str, str], float]:
    """Run the independent program; return the best rate by kind and footprint."""
    done = subprocess.run([program, str(threads)], capture_output=True, text=True, check=True)
    rows = [line.rsplit(" ", 3) for line in done.stdout.splitlines()]
    return {(name, size): float(best) for name, size, best, _ in rows}


def _our_rate(name: str, footprint: str, threads: int) -> tuple[str, float]:
    """Return the case of a ceiling and the best rate that our loop reaches."""
    kind, _, store = name.partition(" ")
    found = (case for case in workload.kernels()["ceiling"].cases if case.shape["kind"] == kind)
    case = next(case for case in found if case.footprint_bytes == int(footprint))
    (ours,) = compare([Contender(case.id, store or "chains", "numba")], threads)
    return f"{case.id} {store}".strip(), (case.work.flop or case.work.bytes or 0) * 1e-9 / ours.best


@pytest.mark.parametrize("threads", THREADS)
def test_ceilings_beside_a_c_program(threads: int, tmp_path: Path, benchmark: Any, capsys: Any) -> None:
    """The limits that our loops measure beside those that a C program measures: FMA rate, and copies of each size.

    A limit is the best that was ever reached, and neighbours take bandwidth for minutes: both are measured in turns,
    several times.
    """
    theirs: dict[tuple[str, str], float] = {}
    ours: dict[tuple[str, str], tuple[str, float]] = {}

    def in_turns() -> None:
        program = _c_program(tmp_path)
        for _ in range(3):
            for key, rate in _rates_of(program, threads).items():
                theirs[key] = max(rate, theirs.get(key, 0.0))
                case, own = _our_rate(*key, threads)
                ours[key] = case, max(own, ours.get(key, (case, 0.0))[1])

    benchmark.pedantic(in_turns, rounds=1)
    lines = [f"\nceilings, {threads} threads: ours / C program, best calls"]
    for key, (case, own) in ours.items():
        lines.append(f"  {case:34s} {own:7.1f} / {theirs[key]:7.1f} = {own / theirs[key]:.2f}")
        benchmark.extra_info[case] = {"ours": own, "theirs": theirs[key]}
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
