// The limits of a device: multiply-add rate, and memory that is moved.

// x ← x·factor + summand in 12 chains a thread; the sum of the chains, so that nothing can be left out.
#define CHAINS 12
extern "C" __global__ void fma_chains(const float* __restrict__ start, float* __restrict__ sums, int turns,
                                      float factor, float summand) {
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    float chain[CHAINS], sum = 0.0f;
#pragma unroll
    for (int i = 0; i < CHAINS; i++) chain[i] = start[(threadIdx.x + i) % 1024];
    for (int turn = 0; turn < turns; turn++)
#pragma unroll
        for (int i = 0; i < CHAINS; i++) chain[i] = fmaf(chain[i], factor, summand);
#pragma unroll
    for (int i = 0; i < CHAINS; i++) sum += chain[i];
    sums[thread] = sum;
}

// target = first, or first + 3·second (McCalpin's STREAM); n is a multiple of 4.
extern "C" __global__ void copy(const float4* __restrict__ first, float4* __restrict__ target, long long n) {
    const long long start = (long long)blockIdx.x * blockDim.x + threadIdx.x, step = (long long)gridDim.x * blockDim.x;
    for (long long i = start; i < n / 4; i += step) target[i] = first[i];
}

extern "C" __global__ void triad(const float4* __restrict__ first, const float4* __restrict__ second,
                                 float4* __restrict__ target, long long n) {
    const long long start = (long long)blockIdx.x * blockDim.x + threadIdx.x, step = (long long)gridDim.x * blockDim.x;
    for (long long i = start; i < n / 4; i += step) {
        const float4 a = first[i], b = second[i];
        target[i] = make_float4(fmaf(3.0f, b.x, a.x), fmaf(3.0f, b.y, a.y), fmaf(3.0f, b.z, a.z), fmaf(3.0f, b.w, a.w));
    }
}

// Nothing: what a launch costs.
extern "C" __global__ void nothing(int* __restrict__ unused) {}
