"""The logic of our CUDA kernels: their own sources, run on the processor, against the float64 references."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners import workload
from runners.backends.backend_cupy import CupyBackend
from runners.backends.kernels_cupy import KERNELS
from runners.workload import Case, Job, Variant
from tests.runners.cuda.device_on_host import HostDevice

#: edges of tiles, one of everything, several blocks
SHAPES: dict[str, tuple[dict[str, Any], ...]] = {
    "matmul": (
        {"stack": 1, "m": 1, "n": 1, "k": 1},
        {"stack": 1, "m": 7, "n": 33, "k": 9},
        {"stack": 1, "m": 150, "n": 200, "k": 37},
        {"stack": 3, "m": 8, "n": 16, "k": 20},
    ),
    "attention-scores": ({"stack": 2, "m": 31, "n": 31, "k": 64},),
    "attention": (
        {"heads": 2, "length": 1},
        {"heads": 1, "length": 33},
        {"heads": 2, "length": 130},
    ),
    "decode": ({"prefix": 5, "tokens": 2}, {"prefix": 127, "tokens": 3}),
    "softmax": ({"rows": 3, "width": 64}, {"rows": 2, "width": 1000}),
    "layernorm": ({"shape": [2, 3, 128]}, {"shape": [3, 1001]}),
    "ceiling": ({"elements": 1024, "repeats": 1, "threads": 512, "turns": 50},),
}
ELEMENTWISE = ({"shape": [1]}, {"shape": [1003]}, {"shape": [3, 5, 8]})
#: what tensor cores do cannot be said in C++
ON_HOST = [
    variant
    for variant in KERNELS
    if variant.name != "mma" and (variant.condition == "end-to-end" or variant.name in ("chains", "regular"))
]
ON_HOST = [variant for variant in ON_HOST if variant.name != "regular" or variant.condition == "hot"]


def _named(variant: Variant) -> str:
    return f"{variant.kernel}-{variant.name}"


def small(variant: Variant) -> list[Case]:
    kernel = workload.kernels()[variant.kernel]
    kinds = {
        (case.shape.get("kind"), case.shape.get("causal")): case
        for case in kernel.cases
        if variant.applies(case)
    }
    shapes = SHAPES.get(variant.kernel, ELEMENTWISE)
    return [replace(case, shape=case.shape | shape) for case in kinds.values() for shape in shapes]


def answer(variant: Variant, case: Case, inputs: dict[str, Any], seed: int) -> Any:
    job = Job(case, HostDevice(seed), 1, 1, inputs, Path(), "end-to-end")
    ready = variant.build(job)
    return ready.result(ready.call())


@pytest.mark.parametrize("variant", ON_HOST, ids=_named)
def test_every_kernel_computes_the_right_answer(variant: Variant) -> None:
    """Each kernel agrees with its reference on shapes with remainders, whatever the order in which threads run.

    Threads run forwards, backwards and at random between barriers: a barrier that is missing changes an answer, and
    all orders must give the same bits.
    """
    for case in small(variant):
        kernel = workload.kernels()[case.kernel]
        inputs = kernel.inputs(case, 1)
        answers = [answer(variant, case, inputs, seed) for seed in (0, 1, 7)]
        outcome = kernel.check(case, inputs, answers[0])
        assert outcome.ok, (case.shape, outcome)
        for other in answers[1:]:
            assert np.array_equal(answers[0], other, equal_nan=True), case.shape


def test_a_missing_barrier_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product without the barrier after its slabs are filled gives a wrong answer here."""
    from runners.backends import kernels_cupy
    from tests.runners.cuda import on_host

    text = kernels_cupy.source("matmul")
    assert text.count("__syncthreads();") == 2
    broken = text.replace("        __syncthreads();\n", "", 1)
    monkeypatch.setattr(on_host, "source", lambda name: broken)
    on_host.library.cache_clear()
    try:
        variant = next(one for one in ON_HOST if _named(one) == "matmul-blocked")
        case = small(variant)[2]
        kernel = workload.kernels()["matmul"]
        inputs = kernel.inputs(case, 1)
        assert not kernel.check(case, inputs, answer(variant, case, inputs, 0)).ok
    finally:
        on_host.library.cache_clear()


FILES = [
    variant for variant in CupyBackend.operators if variant.kernel == "load" and variant.condition == "warm"
]


def test_all_formats_reach_the_device() -> None:
    """The formats that a model is loaded from straight onto the device."""
    assert {variant.name for variant in FILES} == {
        "safetensors",
        "safetensors-mmap",
        "json-compact",
        "pickle",
    }


@pytest.mark.parametrize("variant", FILES, ids=_named)
def test_a_model_is_loaded_onto_the_device(variant: Variant, tmp_path: Path) -> None:
    """Every tensor comes to the device as it was saved, and the call ends only when the device has them all."""
    kernel = workload.kernels()["load"]
    case = replace(
        kernel.cases[0], shape=kernel.cases[0].shape | {"vocabulary": 40, "width": 32, "layers": 2}
    )
    waited = []

    class Waiting(HostDevice):
        def synchronize(self) -> None:
            waited.append(True)

    inputs = kernel.inputs(case, 1)
    ready = variant.build(Job(case, Waiting(), 1, 1, inputs, tmp_path, "warm"))
    if ready.before is not None:
        ready.before()
    held = ready.call()
    assert waited == [True]
    assert kernel.check(case, inputs, ready.result(held)).ok
    assert ready.attributes is not None
    assert ready.attributes()["file_bytes"] > 0
