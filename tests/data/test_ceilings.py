"""Which ceiling a rate of a device stands beside."""

import pytest

from data.records import Ceiling
from data.summary import summarise
from data.words import Status
from tests.data.test_summary import Document, line


def on_device(condition, time_ns, case="relu/1M", kind=None, **more):
    options = {"device": "cuda:0", "condition": condition, "time_ns": time_ns, "case": case} | more
    return [line(**options, process=p, **({"kind": kind} if kind else {})) for p in range(6)]


def test_what_is_cold_stands_beside_what_is_cold():
    """A copy inside the cache of a device is no limit for one that starts without, and the other way round."""
    ceilings = [
        *on_device("cold", 4000, "ceiling/copy-8MiB", Ceiling, bound=None, unit="GB/s"),
        *on_device("hot", 1000, "ceiling/copy-8MiB", Ceiling, bound=None, unit="GB/s"),
    ]
    measured = [*on_device("cold", 5000, bound="bytes"), *on_device("hot", 2000, bound="bytes")]
    rows = {row.condition: row for row in summarise(Document([*ceilings, *measured])) if not row.is_ceiling}
    assert rows["cold"].share_of_ceiling == pytest.approx(0.8)
    assert rows["hot"].share_of_ceiling == pytest.approx(0.5)
    assert all(row.status == Status.OK for row in rows.values())


def test_16_bits_stand_beside_tensor_cores_and_32_beside_chains():
    """The faster of two ways to reach a ceiling counts, and no ceiling of another device does."""
    ceilings = [
        *on_device("hot", 1000, "ceiling/tensor-bfloat16", Ceiling, bound=None, variant="mma"),
        *on_device("hot", 600, "ceiling/tensor-bfloat16", Ceiling, bound=None, variant="blas"),
        *on_device("hot", 9000, "ceiling/fma-device", Ceiling, bound=None),
        *on_device("hot", 5, "ceiling/fma", Ceiling, bound=None, device="cpu"),
    ]
    half = on_device("hot", 650, "matmul/8192-bfloat16", bound="flop-bfloat16")
    single = on_device("hot", 9500, "matmul/8192", bound="flop")
    rows = {row.case: row for row in summarise(Document([*ceilings, *half, *single])) if not row.is_ceiling}
    assert rows["matmul/8192-bfloat16"].share_of_ceiling == pytest.approx(600 / 650)
    assert rows["matmul/8192"].ceiling_case == "ceiling/fma-device"
    assert rows["matmul/8192"].share_of_ceiling == pytest.approx(9000 / 9500)
