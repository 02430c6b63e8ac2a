// Functions of each element, float32: four elements a thread and turn, the rest one by one.

// NAME(x, y, n): y[i] = f(x[i]), where EXPRESSION is f of `value`.
#define UNARY(NAME, EXPRESSION)                                                                          \
    __device__ __forceinline__ float of_##NAME(float value) { return EXPRESSION; }                       \
    extern "C" __global__ void NAME(const float* __restrict__ x, float* __restrict__ y, long long n) {   \
        const long long start = (long long)blockIdx.x * blockDim.x + threadIdx.x;                        \
        const long long step = (long long)gridDim.x * blockDim.x;                                        \
        for (long long i = start; i < n / 4; i += step) {                                                \
            const float4 four = reinterpret_cast<const float4*>(x)[i];                                   \
            reinterpret_cast<float4*>(y)[i] =                                                            \
                make_float4(of_##NAME(four.x), of_##NAME(four.y), of_##NAME(four.z), of_##NAME(four.w)); \
        }                                                                                                \
        for (long long i = n / 4 * 4 + start; i < n; i += step) y[i] = of_##NAME(x[i]);                  \
    }

// NAME(x, z, y, n): y[i] = f(x[i], z[i]), where EXPRESSION is f of `one` and `other`.
#define BINARY(NAME, EXPRESSION)                                                                           \
    __device__ __forceinline__ float of_##NAME(float one, float other) { return EXPRESSION; }              \
    extern "C" __global__ void NAME(const float* __restrict__ x, const float* __restrict__ z,              \
                                    float* __restrict__ y, long long n) {                                  \
        const long long start = (long long)blockIdx.x * blockDim.x + threadIdx.x;                          \
        const long long step = (long long)gridDim.x * blockDim.x;                                          \
        for (long long i = start; i < n / 4; i += step) {                                                  \
            const float4 a = reinterpret_cast<const float4*>(x)[i], b = reinterpret_cast<const float4*>(z)[i]; \
            reinterpret_cast<float4*>(y)[i] = make_float4(of_##NAME(a.x, b.x), of_##NAME(a.y, b.y),        \
                                                          of_##NAME(a.z, b.z), of_##NAME(a.w, b.w));       \
        }                                                                                                  \
        for (long long i = n / 4 * 4 + start; i < n; i += step) y[i] = of_##NAME(x[i], z[i]);              \
    }

UNARY(relu, fmaxf(value, 0.0f))
UNARY(exponential, expf(value))
UNARY(sigmoid, 1.0f / (1.0f + expf(-value)))
UNARY(hyperbolic_tangent, tanhf(value))
UNARY(square, value* value)
UNARY(logarithm, logf(value))
UNARY(gelu, 0.5f * value * (1.0f + tanhf(0.797884560802865356f * (value + 0.044715f * value * value * value))))
BINARY(add, one + other)
BINARY(mul, one* other)

// The steps of an unfused GELU that are none of the above.
UNARY(times_cubic, 0.044715f * value)
UNARY(times_slope, 0.797884560802865356f * value)
UNARY(plus_one, 1.0f + value)
UNARY(halved, 0.5f * value)
