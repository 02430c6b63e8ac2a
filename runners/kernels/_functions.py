"""Elementary functions of vectors.

Each lane errs by a few units in the last place (the tests measure them); NaN stays NaN, infinities and denormal numbers
give what the real function gives.  exp and log follow the Cephes library (Moshier), tanh the rational approximation
that Eigen and XLA use.
"""

import math
from typing import Any

import numpy as np

from runners.compiled import compiled, simd

__all__ = [
    "add",
    "exp",
    "exp2_of_negative",
    "exp_bounded",
    "gelu",
    "log",
    "mul",
    "relu",
    "sigmoid",
    "square",
    "tanh",
]

f4 = np.float32

#: adding it to a small number leaves the nearest integer in the lowest bits
_SHIFTER = f4(1.5 * 2**23)
_LOG2_E = f4(math.log2(math.e))
#: ln 2 in two parts; the product of the first with an integer is exact
_LN_2_HIGH, _LN_2_LOW = f4(0.693359375), f4(-2.12194440e-4)
#: beyond these exp is infinite, or less than half of the smallest denormal number
_EXP_HIGHEST, _EXP_LOWEST = f4(89.0), f4(-104.0)
#: between these exp is a normal number
_NORMAL_HIGHEST, _NORMAL_LOWEST = f4(88.3), f4(-87.3)
_E5, _E4, _E3 = f4(1.9875691500e-4), f4(1.3981999507e-3), f4(8.3334519073e-3)
_E2, _E1, _E0 = f4(4.1665795894e-2), f4(1.6666665459e-1), f4(5.0000001201e-1)

#: minimax coefficients of 2ʳ on [-0.5, 0.5], relative error 1.9·10⁻⁹
_T6, _T5, _T4 = f4(1.5345812426e-4), f4(1.3399930904e-3), f4(9.618489072e-3)
_T3, _T2, _T1 = f4(5.550328643e-2), f4(0.24022646248), f4(0.69314718246)
_EXP2_LOWEST = f4(-126.0)

#: of the rational approximation, divided by its last denominator: near zero it is then the identity by itself
_TANH_LIMIT = f4(7.90531110763549805)
_P6, _P5, _P4 = f4(-5.641676241044476e-14), f4(4.087417207402143e-11), f4(-1.758378918240114e-08)
_P3, _P2, _P1, _P0 = (
    f4(1.046749918750416e-05),
    f4(3.036098315318411e-03),
    f4(1.302255336823433e-01),
    f4(9.999998719479379e-01),
)
_Q3, _Q2, _Q1 = f4(2.448660933036251e-04), f4(2.422276399778669e-02), f4(4.635583850963452e-01)

_SQRT_HALF = f4(math.sqrt(0.5))
_SMALLEST_NORMAL, _SMALLEST = f4(2.0**-126), f4(2.0**-149)
_L8, _L7, _L6 = f4(7.0376836292e-2), f4(-1.1514610310e-1), f4(1.1676998740e-1)
_L5, _L4, _L3 = f4(-1.2420140846e-1), f4(1.4249322787e-1), f4(-1.6668057665e-1)
_L2, _L1, _L0 = f4(2.0000714765e-1), f4(-2.4999993993e-1), f4(3.3333331174e-1)

_GELU_SLOPE, _GELU_CUBIC = f4(-2 * math.sqrt(2 / math.pi)), f4(0.044715)
_ZERO, _HALF, _ONE, _INFINITE, _NOT_A_NUMBER = f4(0), f4(0.5), f4(1), f4(math.inf), f4(math.nan)


@compiled(inline=True)
def _reduced_exp(x: Any) -> Any:
    """Return eʳ in [0.7, 1.42] and n + 1.5·2²³, where x = n·ln 2 + r."""
    shifted = simd.fma(x, simd.splat(_LOG2_E), simd.splat(_SHIFTER))
    n = shifted - simd.splat(_SHIFTER)
    r = simd.fma(n, simd.splat(-_LN_2_LOW), simd.fma(n, simd.splat(-_LN_2_HIGH), x))
    p = simd.fma(simd.splat(_E5), r, simd.splat(_E4))
    p = simd.fma(simd.fma(p, r, simd.splat(_E3)), r, simd.splat(_E2))
    p = simd.fma(simd.fma(p, r, simd.splat(_E1)), r, simd.splat(_E0))
    return simd.fma(p, r * r, r + simd.splat(_ONE)), shifted


@compiled(inline=True)
def exp_bounded(x: Any) -> Any:
    """eˣ for x in [-87.3, 88.3], and its value at the ends beyond them."""
    x = simd.smallest(simd.splat(_NORMAL_HIGHEST), simd.largest(simd.splat(_NORMAL_LOWEST), x))
    p, shifted = _reduced_exp(x)
    return simd.add_exponent(p, shifted)


@compiled(inline=True)
def exp2_of_negative(x: Any) -> Any:
    """2ˣ for x ≤ 0, and 2⁻¹²⁶ below -126: what a softmax needs, in fewer steps than a full exponential."""
    x = simd.largest(simd.splat(_EXP2_LOWEST), x)
    shifted = x + simd.splat(_SHIFTER)
    r = x - (shifted - simd.splat(_SHIFTER))
    p = simd.fma(simd.splat(_T6), r, simd.splat(_T5))
    p = simd.fma(simd.fma(p, r, simd.splat(_T4)), r, simd.splat(_T3))
    p = simd.fma(simd.fma(p, r, simd.splat(_T2)), r, simd.splat(_T1))
    return simd.add_exponent(simd.fma(p, r, simd.splat(_ONE)), shifted)


@compiled(inline=True)
def exp(x: Any) -> Any:
    """eˣ; 2ⁿ is multiplied in two halves, so that the result may be denormal or infinite."""
    x = simd.smallest(simd.splat(_EXP_HIGHEST), simd.largest(simd.splat(_EXP_LOWEST), x))
    p, shifted = _reduced_exp(x)
    shifter = simd.splat(_SHIFTER)
    n = shifted - shifter
    half = simd.fma(n, simd.splat(_HALF), shifter)
    rest = n - (half - shifter)
    return simd.add_exponent(p, half) * simd.add_exponent(simd.splat(_ONE), rest + shifter)


@compiled(inline=True)
def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    one = simd.splat(_ONE)
    return one / (one + exp_bounded(simd.splat(_ZERO) - x))


@compiled(inline=True)
def tanh(x: Any) -> Any:
    """Hyperbolic tangent; ±1 beyond ±7.9."""
    limit = simd.splat(_TANH_LIMIT)
    c = simd.smallest(limit, simd.largest(simd.splat(-_TANH_LIMIT), x))
    s = c * c
    p = simd.fma(simd.splat(_P6), s, simd.splat(_P5))
    p = simd.fma(simd.fma(p, s, simd.splat(_P4)), s, simd.splat(_P3))
    p = simd.fma(simd.fma(p, s, simd.splat(_P2)), s, simd.splat(_P1))
    p = simd.fma(p, s, simd.splat(_P0)) * c
    q = simd.fma(simd.splat(_Q3), s, simd.splat(_Q2))
    q = simd.fma(simd.fma(q, s, simd.splat(_Q1)), s, simd.splat(_ONE))
    return p / q


@compiled(inline=True)
def gelu(x: Any) -> Any:
    """x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), which is x / (1 + e⁻²ᵘ)."""
    u = x * simd.splat(_GELU_SLOPE) * simd.fma(x * x, simd.splat(_GELU_CUBIC), simd.splat(_ONE))
    return x / (simd.splat(_ONE) + exp_bounded(u))


@compiled(inline=True)
def log(x: Any) -> Any:
    """Natural logarithm; NaN for negative numbers, -∞ for zero."""
    one, normal = simd.splat(_ONE), simd.splat(_SMALLEST_NORMAL)
    scaled = simd.select_less(x, normal, x * simd.splat(f4(2.0**24)), x)
    e = simd.exponent_of(scaled) - simd.select_less(x, normal, simd.splat(f4(24)), simd.splat(_ZERO))
    m, half = simd.mantissa_of(scaled), simd.splat(_SQRT_HALF)
    e = simd.select_less(m, half, e - one, e)
    m = simd.select_less(m, half, m + m, m) - one
    z = m * m
    p = simd.fma(simd.splat(_L8), m, simd.splat(_L7))
    p = simd.fma(simd.fma(p, m, simd.splat(_L6)), m, simd.splat(_L5))
    p = simd.fma(simd.fma(p, m, simd.splat(_L4)), m, simd.splat(_L3))
    p = simd.fma(simd.fma(p, m, simd.splat(_L2)), m, simd.splat(_L1))
    p = simd.fma(p, m, simd.splat(_L0)) * m * z
    p = simd.fma(z, simd.splat(-_HALF), simd.fma(e, simd.splat(_LN_2_LOW), p))
    result = simd.fma(e, simd.splat(_LN_2_HIGH), m + p)
    result = simd.select_less(x, simd.splat(_INFINITE), result, x)
    result = simd.select_less(x, simd.splat(_SMALLEST), simd.splat(-_INFINITE), result)
    return simd.select_less(x, simd.splat(_ZERO), simd.splat(_NOT_A_NUMBER), result)


@compiled(inline=True)
def relu(x: Any) -> Any:
    """max(x, 0); NaN stays NaN."""
    return simd.largest(simd.splat(_ZERO), x)


@compiled(inline=True)
def add(x: Any, z: Any) -> Any:
    """x + z."""
    return x + z


@compiled(inline=True)
def mul(x: Any, z: Any) -> Any:
    """x · z."""
    return x * z


@compiled(inline=True)
def square(x: Any) -> Any:
    """x²."""
    return x * x
