"""MLX on its processor device: what Metal would run, as far as it can be run here."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runners import workload
from runners.backends import backend_mlx
from runners.backends.backend_mlx import MlxBackend
from runners.backends.on_device import CHAIN_CONDITIONS, device_variants, timed_by_chains
from runners.device_timing import ChainTimer, DeviceMethod
from runners.workload import Case, Job

pytest.importorskip("mlx.core", reason="MLX is not installed")


@pytest.fixture
def backend() -> MlxBackend:
    found = MlxBackend()
    found.load(1)
    return found


def _case(name: str, **shape: Any) -> Case:
    kernels = workload.kernels().values()
    case = next(case for kernel in kernels for case in kernel.cases if case.id == name)
    return replace(case, shape=case.shape | shape)


def _job(backend: MlxBackend, case: Case, condition: str = "hot") -> Job:
    return Job(case, backend, 1, 1, workload.kernels()[case.kernel].inputs(case, 1), Path(), condition)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_products_of_16_bits_are_right(backend: MlxBackend, dtype: str) -> None:
    """MLX multiplies in the type of the case, and its answer is judged in that type."""
    case = _case(f"matmul/4096-{dtype}", m=32, n=48, k=64)
    job = _job(backend, case)
    ready = backend_mlx._matmul(job)
    outcome = workload.kernels()["matmul"].check(case, job.inputs, ready.result(ready.call()))
    assert outcome.ok, outcome
    assert outcome.max_relative > 2.0**-24  # it was not computed in float32


@pytest.mark.parametrize("row", backend_mlx._ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_chain_gives_the_answer_of_a_call(backend: MlxBackend, row: Any) -> None:
    """Every case's chain of dependent calls, as Metal is timed, ends with the right answer."""
    kernel_name, _, build = row
    kernel = workload.kernels()[kernel_name]
    small = {
        "matmul": {"m": 16, "n": 16, "k": 16},
        "attention-scores": {"m": 16, "n": 16},
        "softmax": {"rows": 2, "width": 64},
        "layernorm": {"shape": [4, 64]},
        "attention": {"heads": 2, "length": 16},
        "decode": {"prefix": 4, "tokens": 2},
    }.get(kernel_name, {"shape": [100]})
    case = replace(kernel.cases[0], shape=kernel.cases[0].shape | small)
    job = _job(backend, case)
    ready = build(job)
    returned = backend.chain(ready.call)(3)
    assert kernel.check(case, job.inputs, ready.result(returned)).ok


def test_the_calls_of_a_chain_are_all_made(backend: MlxBackend) -> None:
    """Each call of a chain is computed: the arrays of one depend on the answer before, and nothing is folded."""
    calls = []
    call = backend_mlx._Call(lambda x: calls.append(1) or x * 2, [backend.put(np.ones(4, np.float32))])
    assert backend.get(call.chain(5)).tolist() == [2.0] * 4
    assert len(calls) == 5


def test_variants_of_metal_time_chains(backend: MlxBackend) -> None:
    """The variants that a Mac has are built with a timer of chains, which takes samples on this device as well."""
    hot, whole = device_variants(
        "relu", "operator", "mlx", backend_mlx._ROWS[2][2], CHAIN_CONDITIONS, timed=timed_by_chains
    )
    assert (hot.condition, whole.condition) == ("hot", "end-to-end")
    case = _case("relu/1M", shape=[1000])
    assert whole.build(_job(backend, case)).timer is None
    timer = hot.build(_job(backend, case)).timer
    assert isinstance(timer, ChainTimer)
    timer.method = DeviceMethod(chain_ns=1_000_000, chain_warm_up_ns=0)
    timer.prepare()
    time_ns, returned, _ = timer.read()
    assert time_ns > 0
    assert timer.batch > 1
    assert backend.get(returned).shape == (1000,)


@pytest.mark.parametrize(
    ("build", "name"), [(backend_mlx._fused_gelu, "gelu/1M"), (backend_mlx._welford, "layernorm/8x128x768")]
)
def test_metal_kernels_are_handed_what_their_bodies_read(
    backend: MlxBackend, monkeypatch: pytest.MonkeyPatch, build: Any, name: str
) -> None:
    """Names, shapes and threads of a launch are those of the body: every name that is given is read in it."""
    made: dict[str, Any] = {}
    launched: dict[str, Any] = {}

    def metal_kernel(**options: Any) -> Any:
        made.update(options)

        def launch(**arguments: Any) -> list[Any]:
            launched.update(arguments)
            return [arguments["inputs"][0]]

        return launch

    library = backend_mlx._library()
    fake = SimpleNamespace(
        fast=SimpleNamespace(metal_kernel=metal_kernel),
        **{
            one: getattr(library, one)
            for one in ("array", "float32", "uint32", "eval", "depends", "synchronize")
        },
    )
    monkeypatch.setattr(backend_mlx, "_library", lambda: fake)
    shape = [2, 3, 5] if name.startswith("gelu") else [2, 3, 100]
    ready = build(_job(backend, _case(name, shape=shape)))
    ready.call()
    assert len(made["input_names"]) == len(launched["inputs"])
    assert all(one in made["source"] for one in (*made["input_names"], *made["output_names"]))
    size = int(np.prod(shape))
    assert launched["grid"] == ((size, 1, 1) if name.startswith("gelu") else (6 * 256, 1, 1))
    assert launched["output_shapes"] == [tuple(shape)]
