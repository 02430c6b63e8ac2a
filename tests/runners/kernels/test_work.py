"""The work that a case states, against operations counted while the plain formula runs on small shapes."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runners import workload
from runners.workload import Case
from tests.runners.kernels.conftest import loops

COUNTS: Counter[str] = Counter()


class Number:
    """A number that counts the arithmetic done with it."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __add__(self, other: Any) -> "Number":
        COUNTS["flop"] += 1
        return Number(self.value + getattr(other, "value", other))

    __radd__ = __add__

    def __mul__(self, other: Any) -> "Number":
        COUNTS["flop"] += 1
        return Number(self.value * getattr(other, "value", other))


class Touched:
    """A flat array that counts its elements that are read and written, each once."""

    def __init__(self, values: Any) -> None:
        self.values, self.size = values, values.size
        self.read: set[int] = set()
        self.written: set[int] = set()

    def __getitem__(self, index: int) -> Any:
        self.read.add(index)
        return self.values[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self.written.add(index)
        self.values[index] = value


def _numbers(*shape: int) -> Any:
    values = np.random.default_rng(0).standard_normal(shape)
    return np.vectorize(Number, otypes=[object])(values)


def _resized(case_id: str, shape: dict[str, Any]) -> Case:
    """Rebuild a case of the same family at another shape, through the family's own formula."""
    (case,) = workload.cases((case_id,))
    return replace(case, shape=case.shape | shape)


def _formula(case: Case) -> float:
    """Return the stated FLOP, and see to it that the formula below is that of the case's own shape."""
    shape = case.shape
    if case.kernel in ("matmul", "attention-scores"):
        return 2.0 * shape["stack"] * shape["m"] * shape["n"] * shape["k"]
    if case.kernel == "attention":
        return 4.0 * shape["heads"] * shape["length"] ** 2 * shape["width"] / (2 if shape["causal"] else 1)
    model, prefix, tokens = shape["heads"] * shape["width"], shape["prefix"], shape["tokens"]
    attended = sum(range(prefix + 1, prefix + tokens + 1))
    return 8.0 * model**2 * tokens + 4.0 * model * attended


@pytest.mark.parametrize("kernel", ["matmul", "attention-scores", "attention", "decode"])
def test_every_case_states_the_flop_of_its_formula(kernel: str) -> None:
    """The FLOP of each case follow from its shape by the one formula of its family."""
    for case in workload.kernels()[kernel].cases:
        assert case.work.flop == _formula(case), case.id


def test_matmul_flop_are_those_that_the_loops_do() -> None:
    """Three plain loops do one multiplication and one addition for each of m·n·k."""
    case = _resized("matmul/128", {"stack": 2, "m": 3, "n": 4, "k": 5})
    COUNTS.clear()
    c = np.empty((2, 3, 4), object)
    loops("_gemm").naive.py_func(_numbers(2, 3, 5), _numbers(2, 5, 4), c)
    assert COUNTS["flop"] == _formula(case)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_flop_are_those_of_its_two_products(causal: bool) -> None:
    """Q·Kᵀ and P·V do 4·h·s²·d; the causal half is the convention, the exact count is (s+1)/s times as much."""
    heads, length, width = 2, 6, 4
    case = _resized(
        "attention/8x512x64" + ("-causal" if causal else ""), {"heads": 2, "length": 6, "width": 4}
    )
    q, k, v = (_numbers(heads, length, width) for _ in range(3))
    COUNTS.clear()
    for head in range(heads):
        for query in range(length):
            keys = query + 1 if causal else length
            for key in range(keys):
                sum((q[head, query, i] * k[head, key, i] for i in range(width)), Number(0))
            for column in range(width):
                sum((v[head, key, column] * 1.0 for key in range(keys)), Number(0))
    exact = _formula(case) * ((length + 1) / length if causal else 1)
    assert COUNTS["flop"] == exact


def test_decoding_flop_are_those_of_a_step_with_a_cache() -> None:
    """A step does four projections of one token and attends to every token so far and itself."""
    heads, width, prefix, tokens = 2, 3, 4, 2
    case = _resized("decode/512+64", {"heads": heads, "width": width, "prefix": prefix, "tokens": tokens})
    model = heads * width
    x, w, cache = _numbers(1, 1, model), _numbers(1, model, model), _numbers(heads, prefix + tokens, width)
    COUNTS.clear()
    naive = loops("_gemm").naive.py_func
    for row in range(prefix, prefix + tokens):
        for _ in range(4):
            naive(x, w, np.empty((1, 1, model), object))
        keys = cache[:, : row + 1]
        naive(_numbers(heads, 1, width), keys.transpose(0, 2, 1), np.empty((heads, 1, row + 1), object))
        naive(_numbers(heads, 1, row + 1), keys, np.empty((heads, 1, width), object))
    assert COUNTS["flop"] == _formula(case)


@pytest.mark.parametrize("kernel", ["relu", "exp", "sigmoid", "tanh", "gelu", "square", "log", "add", "mul"])
def test_elementwise_bytes_are_those_that_the_loops_touch(kernel: str) -> None:
    """Each input is read once, the output written once: 4 bytes each; one element of work for each of the output."""
    inputs = loops("elementwise").OPERATIONS[kernel].inputs
    arrays = [Touched(np.linspace(0.1, 1, 12).astype(np.float32)) for _ in range(inputs + 1)]
    scalar = loops("_elementwise").LOOPS[kernel].scalar.py_func
    scalar(*arrays)
    touched = sum(len(array.read) + len(array.written) for array in arrays)
    for case in workload.kernels()[kernel].cases:
        elements = int(np.prod(case.shape["shape"]))
        assert case.work.elements == elements
        assert case.work.bytes == 4 * touched * elements / 12, case.id
        assert case.footprint_bytes == case.work.bytes


@pytest.mark.parametrize("kernel", ["layernorm", "softmax"])
def test_row_kernels_count_each_element_read_and_written_once(kernel: str) -> None:
    """What a row costs again while it lies in the first-level cache is not counted."""
    for case in workload.kernels()[kernel].cases:
        shape = case.shape
        elements = int(np.prod(shape["shape"])) if kernel == "layernorm" else shape["rows"] * shape["width"]
        assert (case.work.elements, case.work.bytes) == (elements, 8 * elements)


def test_the_chains_do_the_flop_that_the_ceiling_states() -> None:
    """12 chains of vectors, a multiplication and an addition in each lane and turn."""
    ceiling, limits = loops("ceiling"), loops("_limits")
    (case,) = (case for case in ceiling.KERNELS[0].cases if case.id == "ceiling/fma")
    lanes = loops("_gemm").LANES
    for threads in (1, 2, 4, 8):
        turns = int(case.work.flop) // (2 * limits.CHAINS * lanes * threads)
        assert 2 * limits.CHAINS * lanes * turns * threads == case.work.flop


@pytest.mark.parametrize(("kind", "arrays"), [("copy", 2), ("triad", 3)])
def test_bandwidth_cases_move_what_they_state(kind: str, arrays: int) -> None:
    """Bytes of a case are 4 for each element of each array and repetition, and its arrays have the size in its name."""
    units = {"KiB": 2**10, "MiB": 2**20}
    for case in workload.kernels()["ceiling"].cases:
        if case.shape["kind"] != kind:
            continue
        size = case.id.rpartition("-")[2]
        stated = int(size[:-3]) * units[size[-3:]]
        elements = case.shape["elements"]
        assert case.work.bytes == 4 * arrays * elements * case.shape["repeats"]
        assert 0 <= stated - 4 * arrays * elements < 4 * arrays * 256
        assert case.footprint_bytes == stated


def test_models_have_the_published_sizes() -> None:
    """The two models have 50,558,976 and 172,048,384 parameters: 193 and 656 MiB."""
    bytes_of = {case.id: case.work.bytes for case in workload.kernels()["save"].cases}
    assert bytes_of["save/small-normal"] == bytes_of["save/small-constant"] == 4 * 50_558_976
    assert bytes_of["save/medium-normal"] == bytes_of["save/medium-constant"] == 4 * 172_048_384
    assert round(4 * 50_558_976 / 2**20) == 193
    assert round(4 * 172_048_384 / 2**20) == 656
