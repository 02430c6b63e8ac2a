"""Every variant of every kernel on every backend that is installed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners import workload
from runners.workload import Variant
from tests.runners.kernels.conftest import answer, check, prepare, small_cases

ALL = [
    variant
    for name, kernel in workload.kernels().items()
    for variant in (
        *kernel.variants,
        *(v for backend in workload.backends().values() for v in backend.operators if v.kernel == name),
    )
]


def _named(variant: Variant) -> str:
    return f"{variant.kernel}-{variant.name}-{variant.backend}-{variant.condition}"


def _again(variant: Variant) -> Variant:
    """Find the variant among the kernels as they are now: compiled."""
    backends = workload.backends()
    found = [*workload.kernels()[variant.kernel].variants, *backends[variant.backend].operators]
    return next(v for v in found if (v.kernel, _named(v)) == (variant.kernel, _named(variant)))


def _cases(variant: Variant) -> list[Any]:
    """Return small cases, one set for each kind of case that the variant applies to."""
    kinds = {
        case.shape.get("kind"): case
        for case in workload.kernels()[variant.kernel].cases
        if variant.applies(case)
    }
    return [small for case in kinds.values() for small in small_cases(case)]


@pytest.mark.parametrize("variant", ALL, ids=_named)
def test_every_variant_computes_the_right_answer(variant: Variant, tmp_path: Path) -> None:
    """Every variant agrees with the float64 reference on shapes with remainders, on one thread or on several."""
    variant = _again(variant)
    for threads in {"one": (1,), "many": (2,), "any": (1, 2)}[variant.threads]:
        for case in _cases(variant):
            outcome = check(case, variant, threads, tmp_path)
            assert outcome.ok, (case.shape, threads, outcome)
            assert outcome.max_relative <= outcome.tolerance


@pytest.mark.parametrize("threads", [3, 5, 7])
@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        ("matmul", "blocked"),
        ("attention", "fused"),
        ("relu", "parallel-simd"),
        ("layernorm", "welford"),
        ("rmsnorm", "fused"),
        ("rmsnorm", "unfused"),
        ("softmax", "parallel-simd"),
        ("decode", "kv-cache"),
        ("decode", "recompute"),
    ],
)
def test_the_work_divides_among_any_number_of_threads(
    kernel: str, name: str, threads: int, tmp_path: Path
) -> None:
    """Our loops cover everything once, whether or not the parts come out even."""
    kernels = workload.kernels()
    variant = next(v for v in kernels[kernel].variants if v.name == name)
    for case in _cases(variant):
        inputs = kernels[kernel].inputs(case, 1)
        job = workload.Job(
            case, workload.backends()["numba"], threads, 1, inputs, tmp_path, variant.condition
        )
        ready = variant.build(job)
        call = ready.call if isinstance(ready, workload.Ready) else ready
        assert kernels[kernel].check(case, inputs, call()).ok


@pytest.mark.parametrize(
    "kernel", [name for name in workload.kernels() if name not in ("save", "load", "lazy-load")]
)
def test_a_wrong_element_anywhere_is_found(kernel: str, tmp_path: Path) -> None:
    """One element that is changed by a hundredth of the largest, or is NaN, fails the check."""
    kernels = workload.kernels()
    case = small_cases(kernels[kernel].cases[-1 if kernel == "matmul" else 0])[-1]
    variant = next(v for v in kernels[kernel].variants if v.applies(case) and not v.flags)
    inputs = kernels[kernel].inputs(case, 1)
    good = np.array(answer(prepare(case, variant, 1, tmp_path, inputs)))
    assert kernels[kernel].check(case, inputs, good).ok
    for position in {0, good.size // 2, good.size - 1}:
        for wrong in (np.float32(np.nan), good.reshape(-1)[position] + np.float32(0.01) * np.abs(good).max()):
            bad = good.copy()
            bad.reshape(-1)[position] = wrong
            outcome = kernels[kernel].check(case, inputs, bad)
            assert not outcome.ok, (position, wrong)


def test_an_answer_of_another_type_or_shape_cannot_be_compared() -> None:
    """A float64 or reshaped answer is neither right nor wrong: it raises TypeError and says what came."""
    kernel = workload.kernels()["softmax"]
    case = small_cases(kernel.cases[0])[0]
    inputs = kernel.inputs(case, 1)
    with pytest.raises(TypeError, match=r"expected float32 \(3, 64\), the call returned float64"):
        kernel.check(case, inputs, np.zeros((3, 64)))
    with pytest.raises(TypeError, match=r"returned float32 \(64, 3\)"):
        kernel.check(case, inputs, np.zeros((64, 3), np.float32))


def test_lower_precision_is_found() -> None:
    """A product whose factors were rounded to TF32 (10 bits) is not taken for float32."""
    kernel = workload.kernels()["matmul"]
    case = next(case for case in kernel.cases if case.id == "matmul/512")
    inputs = kernel.inputs(case, 1)

    def rounded(x: Any) -> Any:
        bits = x.view(np.uint32)
        return ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)

    outcome = kernel.check(case, inputs, rounded(inputs["a"]) @ rounded(inputs["b"]))
    assert not outcome.ok
    assert outcome.max_relative > outcome.tolerance
