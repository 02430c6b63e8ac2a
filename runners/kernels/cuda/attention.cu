// softmax(Q·Kᵀ/√64)·V in one kernel with an online softmax over tiles of keys: nothing of size length² is stored
// (Dao et al., arXiv 2205.14135; the loop over keys inside that over queries as in arXiv 2307.08691).
//
// A block of 256 threads computes 64 queries of one head.  Thread (across, down) of 16 × 16 holds the scores of 4
// queries with 2 keys, and 4 queries × 4 columns of the answer; the 16 threads of a query are half a warp.
#define WIDTH 64
#define QUERIES 64
#define KEYS 32
#define THREADS 256
#define EVERY_LANE 0xffffffffu

extern "C" __global__ void __launch_bounds__(THREADS)
    attention_fused(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
                    float* __restrict__ output, int length, int causal, float scale) {
    __shared__ float queries[QUERIES][WIDTH + 1];
    __shared__ float keys[KEYS][WIDTH + 1];
    __shared__ float values[KEYS][WIDTH];
    __shared__ float weights[QUERIES][KEYS + 1];
    const float nothing = __int_as_float(0xff800000);  // minus infinity
    const int thread = threadIdx.x, across = thread % 16, down = thread / 16;
    const int first_query = blockIdx.x * QUERIES;
    const size_t head = (size_t)blockIdx.y * length * WIDTH;
    // exp2 takes the place of exp: log2(e) goes into the scale
    const float to_powers_of_two = scale * 1.44269504088896341f;
    for (int i = thread; i < QUERIES * WIDTH; i += THREADS) {
        const int query = first_query + i / WIDTH;
        queries[i / WIDTH][i % WIDTH] =
            query < length ? q[head + (size_t)query * WIDTH + i % WIDTH] * to_powers_of_two : 0.0f;
    }
    float top[4], total[4], sum[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        top[i] = nothing;
        total[i] = 0.0f;
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = 0.0f;
    }
    const int end = causal ? min(length, first_query + QUERIES) : length;
    for (int first_key = 0; first_key < end; first_key += KEYS) {
        __syncthreads();  // the last tile is no longer read, and the queries are written
        for (int i = thread; i < KEYS * WIDTH; i += THREADS) {
            const int key = first_key + i / WIDTH;
            const size_t place = head + (size_t)key * WIDTH + i % WIDTH;
            keys[i / WIDTH][i % WIDTH] = key < length ? k[place] : 0.0f;
            values[i / WIDTH][i % WIDTH] = key < length ? v[place] : 0.0f;
        }
        __syncthreads();
        float score[4][2] = {};
#pragma unroll 16
        for (int inner = 0; inner < WIDTH; inner++) {
            const float one = keys[across][inner], other = keys[across + 16][inner];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float query = queries[down * 4 + i][inner];
                score[i][0] += query * one;
                score[i][1] += query * other;
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int query = first_query + down * 4 + i;
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const int key = first_key + across + 16 * j;
                if (key >= length || (causal && key > query)) score[i][j] = nothing;
            }
            float largest = fmaxf(score[i][0], score[i][1]);
            for (int step = 8; step; step /= 2) largest = fmaxf(largest, __shfl_xor_sync(EVERY_LANE, largest, step));
            // The first tile holds key 0, which every query sees: from then on the maximum is finite.
            largest = fmaxf(largest, top[i]);
            const float shrink = exp2f(top[i] - largest);
            float part = 0.0f;
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const float weight = exp2f(score[i][j] - largest);
                weights[down * 4 + i][across + 16 * j] = weight;
                part += weight;
            }
            for (int step = 8; step; step /= 2) part += __shfl_xor_sync(EVERY_LANE, part, step);
            total[i] = total[i] * shrink + part;
            top[i] = largest;
#pragma unroll
            for (int j = 0; j < 4; j++) sum[i][j] *= shrink;
        }
        __syncthreads();
#pragma unroll 8
        for (int key = 0; key < KEYS; key++) {
            float value[4];
#pragma unroll
            for (int j = 0; j < 4; j++) value[j] = values[key][across + 16 * j];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float weight = weights[down * 4 + i][key];
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] += weight * value[j];
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int query = first_query + down * 4 + i;
        if (query >= length) continue;
        const float factor = 1.0f / total[i];
#pragma unroll
        for (int j = 0; j < 4; j++) output[head + (size_t)query * WIDTH + across + 16 * j] = sum[i][j] * factor;
    }
}
