// Softmax and LayerNorm over rows of float32: one block of 256 threads a row.
#define THREADS 256
#define WARPS (THREADS / 32)
#define EVERY_LANE 0xffffffffu

// The sum, or the largest, of the values of all threads of the block; every thread gets it.
__device__ float whole(float value, bool largest) {
    __shared__ float of_warp[WARPS];
    for (int step = 16; step; step /= 2) {
        const float other = __shfl_xor_sync(EVERY_LANE, value, step);
        value = largest ? fmaxf(value, other) : value + other;
    }
    __syncthreads();  // what an earlier call left is no longer read
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warp[0];
    for (int warp = 1; warp < WARPS; warp++) value = largest ? fmaxf(value, of_warp[warp]) : value + of_warp[warp];
    return value;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    softmax_rows(const float* __restrict__ x, float* __restrict__ y, int width) {
    x += (size_t)blockIdx.x * width;
    y += (size_t)blockIdx.x * width;
    float top = __int_as_float(0xff800000), sum = 0.0f;
    for (int i = threadIdx.x; i < width; i += THREADS) top = fmaxf(top, x[i]);
    top = whole(top, true);
    for (int i = threadIdx.x; i < width; i += THREADS) sum += y[i] = expf(x[i] - top);
    const float factor = 1.0f / whole(sum, false);
    for (int i = threadIdx.x; i < width; i += THREADS) y[i] *= factor;
}

// The mean, then the mean of the squared distances from it, then the answer: the row is read three times.
extern "C" __global__ void __launch_bounds__(THREADS)
    layernorm_two_pass(const float* __restrict__ x, float* __restrict__ y, const float* __restrict__ gamma,
                       const float* __restrict__ beta, int width, float epsilon) {
    x += (size_t)blockIdx.x * width;
    y += (size_t)blockIdx.x * width;
    float sum = 0.0f, squares = 0.0f;
    for (int i = threadIdx.x; i < width; i += THREADS) sum += x[i];
    const float mean = whole(sum, false) / width;
    for (int i = threadIdx.x; i < width; i += THREADS) squares += (x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / sqrtf(whole(squares, false) / width + epsilon);
    for (int i = threadIdx.x; i < width; i += THREADS) y[i] = (x[i] - mean) * factor * gamma[i] + beta[i];
}

// Count, mean and sum of squared distances of some numbers.
struct Moments {
    float count, mean, squares;
};

// Join two sets of numbers (Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm", 1979).
__device__ Moments joined(Moments a, Moments b) {
    const float count = a.count + b.count;
    if (count == 0.0f) return a;
    const float distance = b.mean - a.mean, share = b.count / count;
    return {count, a.mean + distance * share, a.squares + b.squares + distance * distance * a.count * share};
}

// Mean and variance in a single pass (Welford, Technometrics 4(3), 1962), one chain a thread, joined at the end; the
// answer reads the row again, from the first-level cache where it fits.
extern "C" __global__ void __launch_bounds__(THREADS)
    layernorm_welford(const float* __restrict__ x, float* __restrict__ y, const float* __restrict__ gamma,
                      const float* __restrict__ beta, int width, float epsilon) {
    __shared__ Moments of_warp[WARPS];
    x += (size_t)blockIdx.x * width;
    y += (size_t)blockIdx.x * width;
    Moments own = {0.0f, 0.0f, 0.0f};
    for (int i = threadIdx.x; i < width; i += THREADS) {
        own.count += 1.0f;
        const float distance = x[i] - own.mean;
        own.mean += distance / own.count;
        own.squares += distance * (x[i] - own.mean);
    }
    for (int step = 16; step; step /= 2) {
        Moments other;
        other.count = __shfl_xor_sync(EVERY_LANE, own.count, step);
        other.mean = __shfl_xor_sync(EVERY_LANE, own.mean, step);
        other.squares = __shfl_xor_sync(EVERY_LANE, own.squares, step);
        // Both partners join in the same order, so that all lanes end with the same bits.
        own = threadIdx.x & step ? joined(other, own) : joined(own, other);
    }
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = own;
    __syncthreads();
    own = of_warp[0];
    for (int warp = 1; warp < WARPS; warp++) own = joined(own, of_warp[warp]);
    const float factor = 1.0f / sqrtf(own.squares / width + epsilon);
    for (int i = threadIdx.x; i < width; i += THREADS) y[i] = (x[i] - own.mean) * factor * gamma[i] + beta[i];
}
