// One step of decoding with a cache of keys and values, float32, heads of width 64: three kernels a token.
#define WIDTH 64
#define COLUMNS 32
#define PARTS 8
#define ROWS 64
#define THREADS 128
#define EVERY_LANE 0xffffffffu

// The sum of x[i]·w[i, column] over i, by 8 parts of the rows; every thread of the column gets it.
__device__ float project(const float* x, const float* __restrict__ w, int model, int column) {
    __shared__ float partial[PARTS][COLUMNS];
    float sum = 0.0f;
    for (int i = threadIdx.y; i < model; i += PARTS) sum += x[i] * w[(size_t)i * model + column];
    partial[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    sum = 0.0f;
    for (int part = 0; part < PARTS; part++) sum += partial[part][threadIdx.x];
    return sum;
}

// Project the token x[model] to its query, key and value, one third of the grid each; the last two go into the cache.
// blockDim = (32, 8), gridDim = (model / 32, 3); model is a multiple of 32.
extern "C" __global__ void decode_project(const float* __restrict__ x, const float* __restrict__ wq,
                                          const float* __restrict__ wk, const float* __restrict__ wv,
                                          float* __restrict__ query, float* __restrict__ keys,
                                          float* __restrict__ values, int row, int model) {
    const int column = blockIdx.x * COLUMNS + threadIdx.x;
    const float* token = x + (size_t)row * model;
    const float* weight = blockIdx.y == 0 ? wq : blockIdx.y == 1 ? wk : wv;
    const float sum = project(token, weight, model, column);
    if (threadIdx.y != 0) return;
    if (blockIdx.y == 0) query[column] = sum;
    else (blockIdx.y == 1 ? keys : values)[(size_t)row * model + column] = sum;
}

// Attend with the query to 64 rows of the cache: block (head, part) leaves the maximum, the sum of the weights and the
// weighted sum of the values of its rows (Dao et al., "Flash-Decoding", 2023: the rows are divided among blocks).
extern "C" __global__ void __launch_bounds__(THREADS)
    decode_attend(const float* __restrict__ query, const float* __restrict__ keys, const float* __restrict__ values,
                  float* __restrict__ tops, float* __restrict__ totals, float* __restrict__ sums, int rows, int model,
                  float scale) {
    __shared__ float score[ROWS];
    __shared__ float half_sum[WIDTH];
    const float nothing = __int_as_float(0xff800000);
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int head = blockIdx.x, part = blockIdx.y, parts = gridDim.y, first = part * ROWS;
    const float one = query[head * WIDTH + lane], other = query[head * WIDTH + lane + 32];
    for (int i = warp; i < ROWS; i += THREADS / 32) {
        const int row = first + i;
        float sum = nothing;
        if (row < rows) {  // the same for a whole warp
            const float* key = keys + (size_t)row * model + head * WIDTH;
            sum = one * key[lane] + other * key[lane + 32];
            for (int step = 16; step; step /= 2) sum += __shfl_xor_sync(EVERY_LANE, sum, step);
            sum *= scale;
        }
        if (lane == 0) score[i] = sum;
    }
    __syncthreads();
    float top = nothing;
    for (int i = 0; i < ROWS; i++) top = fmaxf(top, score[i]);
    __syncthreads();
    if (thread < ROWS) score[thread] = expf(score[thread] - top);
    __syncthreads();
    const int column = thread % WIDTH, half = thread / WIDTH;
    float sum = 0.0f;
    for (int i = half; i < ROWS && first + i < rows; i += 2)
        sum += score[i] * values[(size_t)(first + i) * model + head * WIDTH + column];
    if (half == 1) half_sum[column] = sum;
    __syncthreads();
    const int place = head * parts + part;
    if (half == 0) sums[(size_t)place * WIDTH + column] = sum + half_sum[column];
    if (thread == 0) {
        float total = 0.0f;
        for (int i = 0; i < ROWS; i++) total += score[i];
        tops[place] = top;
        totals[place] = total;
    }
}

// Join the parts of every head and project the answer: output[column] of blockDim = (32, 8), gridDim = (model / 32).
// The dynamic shared memory holds model floats.
extern "C" __global__ void decode_output(const float* __restrict__ tops, const float* __restrict__ totals,
                                         const float* __restrict__ sums, const float* __restrict__ wo,
                                         float* __restrict__ output, int parts, int model) {
    extern __shared__ float mixed[];
    const float nothing = __int_as_float(0xff800000);
    for (int i = threadIdx.y * COLUMNS + threadIdx.x; i < model; i += COLUMNS * PARTS) {
        const int head = i / WIDTH;
        float top = nothing, total = 0.0f, sum = 0.0f;
        for (int part = 0; part < parts; part++) top = fmaxf(top, tops[head * parts + part]);
        for (int part = 0; part < parts; part++) {
            const int place = head * parts + part;
            const float factor = expf(tops[place] - top);
            total += factor * totals[place];
            sum += factor * sums[(size_t)place * WIDTH + i % WIDTH];
        }
        mixed[i] = sum / total;
    }
    __syncthreads();
    const int column = blockIdx.x * COLUMNS + threadIdx.x;
    const float sum = project(mixed, wo, model, column);
    if (threadIdx.y == 0) output[column] = sum;
}
