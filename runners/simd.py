"""Vectors of float32 for loops that Numba compiles: one LLVM vector is one value.

``LANES`` float32 numbers are loaded, computed with and stored at once.  LLVM splits a vector that is wider than the
machine's registers, so the same loops run everywhere; where the machine has AVX-512 the vectors are as wide as its
registers.  Values take ``+ - * /``; everything else is a function of this module.  Only the numba backend loads it.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from runners.backends.backend_numba import library

__all__ = [
    "LANES",
    "add_exponent",
    "exponent_of",
    "fence",
    "fma",
    "highest",
    "interleave_six",
    "largest",
    "load",
    "mantissa_of",
    "select_less",
    "smallest",
    "splat",
    "splat_at",
    "store",
    "stream",
    "total",
    "transpose_eight",
    "vector",
]

_ir = library("llvmlite.ir")
_types = library("numba.core.types")
_cgutils = library("numba.core.cgutils")
_extending = library("numba.extending")
_templates = library("numba.core.typing.templates")


def _intrinsic(typed: Callable[..., Any]) -> Any:
    """Make a function of compiled code from its types and the instructions that it writes."""
    return _extending.intrinsic(typed)


def _lanes() -> int:
    """Return 16 where the compiler's target has AVX-512, else 8."""
    config = library("numba.core.config")
    features = config.CPU_FEATURES
    if features is None:
        features = library("llvmlite.binding").get_host_cpu_features().flatten()
    return 16 if "+avx512f" in features.split(",") else 8


LANES = _lanes()
_FLOAT, _INT = _ir.FloatType(), _ir.IntType(32)
_FLOATS, _INTS = _ir.VectorType(_FLOAT, LANES), _ir.VectorType(_INT, LANES)
_EVERY_LANE_FROM_FIRST = _ir.Constant(_INTS, [0] * LANES)


class _Vector(_types.Type):  # type: ignore[misc, name-defined]
    """The type of a vector in Numba's eyes."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = _Vector()


@_extending.register_model(_Vector)
class _VectorModel(_extending.models.PrimitiveModel):  # type: ignore[misc, name-defined]
    """The same in LLVM's eyes."""

    def __init__(self, manager: Any, front_end: Any) -> None:
        super().__init__(manager, front_end, _FLOATS)


def _floats(value: float) -> Any:
    return _ir.Constant(_FLOATS, [float(np.float32(value))] * LANES)


def _ints(value: int) -> Any:
    return _ir.Constant(_INTS, [value] * LANES)


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    """Call an LLVM intrinsic from vectors to a vector."""
    kind = _ir.FunctionType(_FLOATS, [argument.type for argument in arguments])
    function = _cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{LANES}f32")
    return builder.call(function, arguments)


def _broadcast(builder: Any, scalar: Any) -> Any:
    undefined = _ir.Constant(_FLOATS, _ir.Undefined)
    first = builder.insert_element(undefined, scalar, _INT(0))
    return builder.shuffle_vector(first, undefined, _EVERY_LANE_FROM_FIRST)


def _element_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Point at element ``arguments[1]`` of the contiguous array ``arguments[0]``."""
    data = _cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
    return builder.gep(data, [arguments[1]])


def _operation(emit: Any, arity: int) -> Any:
    """Make a function of ``arity`` vectors from the instructions that ``emit(builder, …)`` writes."""

    def typed(*_: Any) -> Any:
        return vector(*[vector] * arity), lambda context, builder, signature, arguments: emit(
            builder, *arguments
        )

    if arity == 1:
        return _intrinsic(lambda typing, x: typed())
    if arity == 2:
        return _intrinsic(lambda typing, x, y: typed())
    return _intrinsic(lambda typing, x, y, z: typed())


def _operator(symbol: Any, method: str) -> None:
    """Let two vectors be joined by an arithmetic operator of Python."""

    class Signature(_templates.ConcreteTemplate):  # type: ignore[misc, name-defined]
        cases = (_templates.signature(vector, vector, vector),)

    _templates.infer_global(symbol)(Signature)

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, method)(*arguments)

    _extending.lower_builtin(symbol, vector, vector)(lower)


for _symbol, _method in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_symbol, _method)


@_intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Load the LANES elements of a contiguous float32 array that start at ``index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element_pointer(context, builder, signature, arguments)
        value = builder.load(builder.bitcast(pointer, _FLOATS.as_pointer()), typ=_FLOATS)
        value.align = 4
        return value

    return vector(array, _types.intp), emit


def _storing(alignment: int, streaming: bool) -> Any:
    def typed(typing: Any, array: Any, index: Any, value: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _element_pointer(context, builder, signature, arguments)
            written = builder.store(arguments[2], builder.bitcast(pointer, _FLOATS.as_pointer()))
            written.align = alignment
            if streaming:
                written.set_metadata("nontemporal", builder.module.add_metadata([_INT(1)]))
            return context.get_dummy_value()

        return _types.none(array, _types.intp, vector), emit

    return _intrinsic(typed)


#: ``store(array, index, value)``: into the cache
store = _storing(4, streaming=False)
#: ``stream(array, index, value)``: past the caches; the address must be a multiple of a vector's size
stream = _storing(4 * LANES, streaming=True)


@_intrinsic
def splat_at(typing: Any, array: Any, index: Any) -> Any:
    """Load one element into every lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element_pointer(context, builder, signature, arguments)
        return _broadcast(builder, builder.load(pointer, typ=_FLOAT))

    return vector(array, _types.intp), emit


@_intrinsic
def splat(typing: Any, value: Any) -> Any:
    """Put one number into every lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _broadcast(builder, context.cast(builder, arguments[0], signature.args[0], _types.float32))

    return vector(value), emit


def _shuffle(builder: Any, x: Any, y: Any, *lanes: int) -> Any:
    """Pick lanes of two vectors of eight: 0-7 are those of ``x``, 8-15 those of ``y``."""
    return builder.shuffle_vector(x, y, _ir.Constant(_ir.VectorType(_INT, 8), list(lanes)))


def _columns_of_six(builder: Any, rows: list[Any]) -> Iterator[Any]:
    """Yield the eight columns of six rows of eight, each in the first six lanes of a vector."""
    low = [_shuffle(builder, *rows[i : i + 2], 0, 8, 1, 9, 4, 12, 5, 13) for i in (0, 2, 4)]
    high = [_shuffle(builder, *rows[i : i + 2], 2, 10, 3, 11, 6, 14, 7, 15) for i in (0, 2, 4)]
    fours = [
        _shuffle(
            builder,
            *pair[:2],
            first,
            first + 1,
            first + 8,
            first + 9,
            first + 4,
            first + 5,
            first + 12,
            first + 13,
        )
        for pair in (low, high)
        for first in (0, 2)
    ]
    for column in range(8):
        four, two = fours[column % 4], (low, high)[column % 4 // 2][2]
        a, b = column // 4 * 4, column // 4 * 4 + column % 2 * 2
        yield _shuffle(builder, four, two, a, a + 1, a + 2, a + 3, b + 8, b + 9, b + 8, b + 9)


@_intrinsic
def interleave_six(typing: Any, source: Any, at: Any, stride: Any, target: Any, target_at: Any) -> Any:
    """Copy eight columns of six rows, ``stride`` apart from ``at`` on, column after column.

    Two elements behind the 48 of the target are written, too.
    """
    eight = _ir.VectorType(_FLOAT, 8)

    def pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
        data = _cgutils.create_struct_proxy(kind)(context, builder, array).data
        return builder.bitcast(builder.gep(data, [index]), eight.as_pointer())

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, index = [], arguments[1]
        for _ in range(6):
            row = builder.load(pointer(context, builder, signature.args[0], arguments[0], index), typ=eight)
            row.align = 4
            rows.append(row)
            index = builder.add(index, arguments[2])
        index = arguments[4]
        for column in _columns_of_six(builder, rows):
            written = builder.store(column, pointer(context, builder, signature.args[3], arguments[3], index))
            written.align = 4
            index = builder.add(index, index.type(6))
        return context.get_dummy_value()

    return _types.none(source, _types.intp, _types.intp, target, _types.intp), emit


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose eight vectors of eight."""
    pairs = []
    for i in (0, 2, 4, 6):
        pairs.append(_shuffle(builder, *rows[i : i + 2], 0, 8, 1, 9, 4, 12, 5, 13))
        pairs.append(_shuffle(builder, *rows[i : i + 2], 2, 10, 3, 11, 6, 14, 7, 15))
    fours = []
    for i, k in ((0, 2), (1, 3), (4, 6), (5, 7)):
        fours.append(_shuffle(builder, pairs[i], pairs[k], 0, 1, 8, 9, 4, 5, 12, 13))
        fours.append(_shuffle(builder, pairs[i], pairs[k], 2, 3, 10, 11, 6, 7, 14, 15))
    low = [_shuffle(builder, fours[i], fours[i + 4], 0, 1, 2, 3, 8, 9, 10, 11) for i in range(4)]
    high = [_shuffle(builder, fours[i], fours[i + 4], 4, 5, 6, 7, 12, 13, 14, 15) for i in range(4)]
    return low + high


@_intrinsic
def transpose_eight(typing: Any, source: Any, view: Any, target: Any, target_view: Any, scale: Any) -> Any:
    """Copy eight columns of eight rows to eight rows of eight columns, times ``scale``.

    A view is (first element, row stride) in a flat array.
    """
    eight = _ir.VectorType(_FLOAT, 8)

    def pointer(context: Any, builder: Any, kind: Any, array: Any, view: Any, row: int) -> Any:
        data = _cgutils.create_struct_proxy(kind)(context, builder, array).data
        first, stride = (builder.extract_value(view, position) for position in (0, 1))
        index = builder.add(first, builder.mul(stride, stride.type(row)))
        return builder.bitcast(builder.gep(data, [index]), eight.as_pointer())

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = []
        for row in range(8):
            at = pointer(context, builder, signature.args[0], arguments[0], arguments[1], row)
            rows.append(builder.load(at, typ=eight))
            rows[-1].align = 4
        undefined = _ir.Constant(eight, _ir.Undefined)
        first = builder.insert_element(undefined, arguments[4], _INT(0))
        factor = _shuffle(builder, first, undefined, *[0] * 8)
        for column, vector in enumerate(_transposed(builder, rows)):
            at = pointer(context, builder, signature.args[2], arguments[2], arguments[3], column)
            builder.store(builder.fmul(vector, factor), at).align = 4
        return context.get_dummy_value()

    pair = _types.UniTuple(_types.intp, 2)
    return _types.none(source, pair, target, pair, _types.float32), emit


@_intrinsic
def fence(typing: Any) -> Any:
    """Wait until streamed stores are in order with all others."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return _types.none(), emit


fma = _operation(lambda builder, x, y, z: _call(builder, "llvm.fma", x, y, z), 3)


def _larger(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


def _smaller(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", x, y), x, y)


#: ``largest(x, y)``: x where x > y, else y; so a NaN in y goes through
largest = _operation(_larger, 2)
#: ``smallest(x, y)``: x where x < y, else y; so a NaN in y goes through
smallest = _operation(_smaller, 2)


@_intrinsic
def select_less(typing: Any, x: Any, y: Any, when: Any, otherwise: Any) -> Any:
    """Take ``when`` in the lanes where x < y, ``otherwise`` in the rest (also where one is NaN)."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, y, when, otherwise = arguments
        return builder.select(builder.fcmp_ordered("<", x, y), when, otherwise)

    return vector(vector, vector, vector, vector), emit


def _add_exponent(builder: Any, x: Any, shifted: Any) -> Any:
    """Write ``x · 2ⁿ`` where ``shifted`` is n + 1.5·2²³, whose lowest bits hold n as an integer."""
    bits = builder.shl(builder.bitcast(shifted, _INTS), _ints(23))
    return builder.bitcast(builder.add(builder.bitcast(x, _INTS), bits), _FLOATS)


#: ``add_exponent(x, n + 1.5 * 2**23)``: x · 2ⁿ, where both are normal numbers
add_exponent = _operation(_add_exponent, 2)


def _exponent_of(builder: Any, x: Any) -> Any:
    bits = builder.lshr(builder.bitcast(x, _INTS), _ints(23))
    return builder.sitofp(builder.sub(bits, _ints(126)), _FLOATS)


def _mantissa_of(builder: Any, x: Any) -> Any:
    bits = builder.and_(builder.bitcast(x, _INTS), _ints(0x007FFFFF))
    return builder.bitcast(builder.or_(bits, _ints(0x3F000000)), _FLOATS)


#: e of x = m · 2ᵉ with m in [0.5, 1), for positive normal x
exponent_of = _operation(_exponent_of, 1)
#: m of the same
mantissa_of = _operation(_mantissa_of, 1)


def _fold(join: Any) -> Any:
    """Join the lanes of one vector pairwise, halves first."""

    def typed(typing: Any, value: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            folded, width = arguments[0], LANES
            while width > 1:
                width //= 2
                mask = _ir.Constant(_INTS, [lane + width if lane < width else 0 for lane in range(LANES)])
                other = builder.shuffle_vector(folded, _ir.Constant(_FLOATS, _ir.Undefined), mask)
                folded = join(builder, folded, other)
            return builder.extract_element(folded, _INT(0))

        return _types.float32(vector), emit

    return _intrinsic(typed)


#: the sum of the lanes, as a float32
total = _fold(lambda builder, x, y: builder.fadd(x, y))
#: the largest of the lanes, as a float32
highest = _fold(_larger)
