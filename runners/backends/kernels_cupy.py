"""Our own CUDA kernels: their source in ``runners/kernels/cuda``, and how they are launched.

Builders find the device in ``job.backend``: ``module(name).launch(…)``, ``put``, ``output`` and ``get``; nothing here
imports a library, so that the same builders run on anything that launches the kernels.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from runners.backends.on_device import device_variants
from runners.profiles import SMOKE
from runners.workload import Case, Job, Ready, Unsupported, Variant

__all__ = ["KERNELS", "SOURCES", "source"]

_FOLDER = Path(__file__).resolve().parent.parent / "kernels" / "cuda"
SOURCES = ("attention", "clock", "decoding", "elementwise", "limits", "matmul", "rows", "tensor")

i4, i8, f4 = np.int32, np.int64, np.float32


@cache
def source(name: str) -> str:
    """Return the text of ``<name>.cu``."""
    return (_FOLDER / f"{name}.cu").read_text("utf-8")


def _parts(size: int, part: int) -> int:
    return -(-size // part)


def _module(job: Job, name: str) -> Any:
    return job.backend.module(name)  # type: ignore[attr-defined]


def _output(job: Job, shape: tuple[int, ...]) -> Any:
    return job.backend.output(shape)  # type: ignore[attr-defined]


def _ready(job: Job, call: Callable[[], Any]) -> Ready:
    return Ready(call, job.backend.get)


# -- products --------------------------------------------------------------------------------------------------


def _matmul(kernel: str, tile: int, block: tuple[int, ...]) -> Callable[[Job], Ready]:
    def build(job: Job) -> Ready:
        a, b = job.put("a", "b")
        c = _output(job, (*a.shape[:-1], b.shape[-1]))
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        module, stack = _module(job, "matmul"), a.size // (m * k)
        grid = (_parts(n, tile), _parts(m, tile), stack)
        arguments = (a, b, c, i4(m), i4(n), i4(k))

        def call() -> Any:
            module.launch(kernel, grid, block, arguments)
            return c

        return _ready(job, call)

    return build


# -- attention -------------------------------------------------------------------------------------------------


def _attention(job: Job) -> Ready:
    q, k, v = job.put("q", "k", "v")
    heads, length, width = q.shape
    if width != 64:
        raise Unsupported(f"the kernel is written for heads of width 64, these have {width}")
    output, module = _output(job, q.shape), _module(job, "attention")
    causal, scale = i4(job.case.shape["causal"]), f4(width**-0.5)
    arguments, grid = (q, k, v, output, i4(length), causal, scale), (_parts(length, 64), heads)

    def call() -> Any:
        module.launch("attention_fused", grid, (256,), arguments)
        return output

    return _ready(job, call)


# -- decoding --------------------------------------------------------------------------------------------------

_ROWS_OF_A_PART = 64


class _Decoding:
    """The arrays of a decoding on the device, and the launches of one step."""

    def __init__(self, job: Job) -> None:
        self.x, self.wq, self.wk, self.wv, self.wo = job.put("x", "wq", "wk", "wv", "wo")
        self.prefix, self.heads = int(job.inputs["prefix"]), int(job.inputs["heads"])
        self.rows, self.model = self.x.shape
        parts = _parts(self.rows, _ROWS_OF_A_PART)
        self.keys, self.values = _output(job, self.x.shape), _output(job, self.x.shape)
        self.query, self.output = (
            _output(job, (self.model,)),
            _output(job, (self.rows - self.prefix, self.model)),
        )
        self.tops, self.totals = _output(job, (self.heads, parts)), _output(job, (self.heads, parts))
        self.sums = _output(job, (self.heads, parts, self.model // self.heads))
        self.module, self.products = _module(job, "decoding"), _module(job, "matmul")
        self.fill(self.prefix)

    def fill(self, rows: int) -> None:
        """Compute keys and values of so many tokens."""
        grid = (_parts(self.model, 128), _parts(rows, 128), 1)
        for weight, cache_ in ((self.wk, self.keys), (self.wv, self.values)):
            arguments = (self.x, weight, cache_, i4(rows), i4(self.model), i4(self.model))
            self.products.launch("matmul_tiled", grid, (256,), arguments)

    def step(self, row: int) -> None:
        """Project one token, attend to all tokens so far, and project the answer."""
        model, parts = i4(self.model), _parts(row + 1, _ROWS_OF_A_PART)
        arguments = (self.x, self.wq, self.wk, self.wv, self.query, self.keys, self.values, i4(row), model)
        self.module.launch("decode_project", (self.model // 32, 3), (32, 8), arguments)
        partial = (self.tops, self.totals, self.sums)
        scale = f4((self.model // self.heads) ** -0.5)
        attend = (self.query, self.keys, self.values, *partial, i4(row + 1), model, scale)
        self.module.launch("decode_attend", (self.heads, parts), (128,), attend)
        target = self.output[row - self.prefix]
        joined = (*partial, self.wo, target, i4(parts), model)
        self.module.launch("decode_output", (self.model // 32,), (32, 8), joined, 4 * self.model)


def _decode(cached: bool) -> Callable[[Job], Ready]:
    def build(job: Job) -> Ready:
        decoding = _Decoding(job)

        def call() -> Any:
            for row in range(decoding.prefix, decoding.rows):
                if not cached:
                    decoding.fill(row + 1)
                decoding.step(row)
            return decoding.output

        return _ready(job, call)

    return build


# -- elementwise -----------------------------------------------------------------------------------------------

_BLOCK = 256
#: kernel of the workload → our kernel
_FUNCTIONS = {
    "relu": "relu",
    "exp": "exponential",
    "sigmoid": "sigmoid",
    "tanh": "hyperbolic_tangent",
    "gelu": "gelu",
    "square": "square",
    "log": "logarithm",
    "add": "add",
    "mul": "mul",
}


def _grid(elements: int) -> tuple[int]:
    """Return blocks for one turn of four elements a thread; what is left over after 2²⁰ blocks takes more turns."""
    return (min(_parts(elements, 4 * _BLOCK), 1 << 20),)


def _elementwise(name: str) -> Callable[[Job], Ready]:
    def build(job: Job) -> Ready:
        operands = [job.backend.put(operand) for operand in job.inputs["operands"]]
        output, module = _output(job, operands[0].shape), _module(job, "elementwise")
        grid, arguments = _grid(output.size), (*operands, output, i8(output.size))

        def call() -> Any:
            module.launch(name, grid, (_BLOCK,), arguments)
            return output

        return _ready(job, call)

    return build


def _gelu_unfused(job: Job) -> Ready:
    """Chain nine kernels of one operation each over two given arrays, as NumPy's variant does."""
    x = job.backend.put(job.inputs["operands"][0])
    output, half, module = _output(job, x.shape), _output(job, x.shape), _module(job, "elementwise")
    grid, size = _grid(x.size), i8(x.size)
    steps = (
        ("square", (x, output, size)),
        ("mul", (output, x, output, size)),
        ("times_cubic", (output, output, size)),
        ("add", (output, x, output, size)),
        ("times_slope", (output, output, size)),
        ("hyperbolic_tangent", (output, output, size)),
        ("plus_one", (output, output, size)),
        ("halved", (x, half, size)),
        ("mul", (output, half, output, size)),
    )

    def call() -> Any:
        for name, arguments in steps:
            module.launch(name, grid, (_BLOCK,), arguments)
        return output

    return _ready(job, call)


# -- rows ------------------------------------------------------------------------------------------------------


def _softmax(job: Job) -> Ready:
    (x,) = job.put("x")
    output, module = _output(job, x.shape), _module(job, "rows")
    arguments, grid = (x, output, i4(x.shape[-1])), (x.size // x.shape[-1],)

    def call() -> Any:
        module.launch("softmax_rows", grid, (256,), arguments)
        return output

    return _ready(job, call)


def _layernorm(kernel: str) -> Callable[[Job], Ready]:
    def build(job: Job) -> Ready:
        x, gamma, beta = job.put("x", "gamma", "beta")
        output, module, width = _output(job, x.shape), _module(job, "rows"), x.shape[-1]
        arguments, grid = (x, output, gamma, beta, i4(width), f4(job.inputs["epsilon"])), (x.size // width,)

        def call() -> Any:
            module.launch(kernel, grid, (256,), arguments)
            return output

        return _ready(job, call)

    return build


# -- limits ----------------------------------------------------------------------------------------------------


def _fma(job: Job) -> Ready:
    """Run the chains; a thread's sum of 12 chains stands for one lane of the processor's vectors."""
    shape, module = job.case.shape, _module(job, "limits")
    sums = _output(job, (shape["threads"],))
    start = job.backend.put(job.inputs["start"])
    arguments = (start, sums, i4(shape["turns"]), f4(shape["factor"]), f4(shape["summand"]))

    def call() -> Any:
        module.launch("fma_chains", (shape["threads"] // 256,), (256,), arguments)
        return sums

    return _ready(job, call)


def _tensor_cores(job: Job) -> Ready:
    shape, module = job.case.shape, _module(job, "tensor")
    if job.backend.compute_capability < 80:  # type: ignore[attr-defined]
        raise Unsupported("the kernel uses an instruction of compute capability 8.0 and newer")
    sums = _output(job, (shape["threads"],))

    def call() -> Any:
        grid = (shape["threads"] // 256,)
        module.launch(f"mma_{shape['dtype']}", grid, (256,), (sums, i4(shape["turns"])))
        return sums

    return _ready(job, call)


def _moving(job: Job) -> Ready:
    kind, module = job.case.shape["kind"], _module(job, "limits")
    arrays = job.put("first") if kind == "copy" else job.put("first", "second")
    target = _output(job, arrays[0].shape)
    arguments, grid = (*arrays, target, i8(target.size)), _grid(target.size)

    def call() -> Any:
        module.launch(kind, grid, (_BLOCK,), arguments)
        return target

    return _ready(job, call)


def _launch(job: Job) -> Ready:
    unused, module = _output(job, (1,)), _module(job, "limits")

    def call() -> Any:
        module.launch("nothing", (1,), (1,), (unused,))
        return unused

    return _ready(job, call)


def _is(*kinds: str) -> Callable[[Case], bool]:
    return lambda case: case.shape["kind"] in kinds


def _is_moved_once(case: Case) -> bool:
    return case.shape["kind"] in ("copy", "triad") and case.shape["repeats"] == 1


def _in_float32(case: Case) -> bool:
    return case.shape.get("dtype") == "float32"


def _fits_naive(case: Case) -> bool:
    return _in_float32(case) and case.shape["n"] <= 4096


_NAIVE, _TILED = _matmul("matmul_naive", 16, (16, 16)), _matmul("matmul_tiled", 128, (256,))
#: kernel, variant, builder, what else
_ROWS: tuple[tuple[str, str, Callable[[Job], Ready], dict[str, Any]], ...] = (
    ("matmul", "naive", _NAIVE, {"applies": _fits_naive}),
    ("attention-scores", "naive", _NAIVE, {}),
    ("matmul", "blocked", _TILED, {"applies": _in_float32}),
    ("attention-scores", "blocked", _TILED, {}),
    ("attention", "fused", _attention, {}),
    ("decode", "kv-cache", _decode(cached=True), {}),
    ("decode", "recompute", _decode(cached=False), {}),
    *(
        (kernel, "fused" if kernel == "gelu" else "parallel", _elementwise(name), {})
        for kernel, name in _FUNCTIONS.items()
    ),
    ("gelu", "unfused", _gelu_unfused, {}),
    ("softmax", "parallel", _softmax, {}),
    ("layernorm", "two-pass", _layernorm("layernorm_two_pass"), {}),
    ("layernorm", "welford", _layernorm("layernorm_welford"), {}),
    ("ceiling", "chains", _fma, {"applies": _is("device-fma"), "conditions": ("hot",)}),
    ("ceiling", "mma", _tensor_cores, {"applies": _is("tensor"), "conditions": ("hot",)}),
    ("ceiling", "regular", _moving, {"applies": _is_moved_once, "conditions": ("cold", "hot")}),
    ("ceiling", "launch", _launch, {"applies": _is("launch")}),
)

KERNELS: tuple[Variant, ...] = tuple(
    variant
    for kernel, name, build, options in _ROWS
    for variant in device_variants(
        kernel, name, "cupy", build, **({"profiles": SMOKE} if kernel == "ceiling" else {}) | options
    )
)
