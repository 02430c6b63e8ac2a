// Products of row-major float32 matrices, C[m, n] = A[m, k] · B[k, n]; blockIdx.z counts a batch.

// One thread an element, nothing shared: what the product costs before anybody thinks of reuse.
extern "C" __global__ void matmul_naive(const float* __restrict__ a, const float* __restrict__ b,
                                        float* __restrict__ c, int m, int n, int k) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    const int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= m || column >= n) return;
    a += (size_t)blockIdx.z * m * k;
    b += (size_t)blockIdx.z * k * n;
    c += (size_t)blockIdx.z * m * n;
    float sum = 0.0f;
    for (int i = 0; i < k; i++) sum += a[(size_t)row * k + i] * b[(size_t)i * n + column];
    c[(size_t)row * n + column] = sum;
}

// A block of 256 threads computes 128 × 128 elements; each thread holds 8 × 8 of them in registers, in four quarters,
// so that neighbouring threads read neighbouring words of shared memory.  A slab is 8 deep.
#define TILE 128
#define DEPTH 8
#define THREADS 256

extern "C" __global__ void __launch_bounds__(THREADS)
    matmul_tiled(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int m, int n, int k) {
    __shared__ float a_slab[DEPTH][TILE + 4];  // transposed: a column of A is a row here
    __shared__ float b_slab[DEPTH][TILE];
    const int thread = threadIdx.x;
    const int across = thread % 16 * 4, down = thread / 16 * 4;
    const int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    a += (size_t)blockIdx.z * m * k;
    b += (size_t)blockIdx.z * k * n;
    c += (size_t)blockIdx.z * m * n;
    float sum[8][8] = {};
    for (int first = 0; first < k; first += DEPTH) {
        for (int i = thread; i < TILE * DEPTH; i += THREADS) {
            const int row = first_row + i / DEPTH, inner = first + i % DEPTH;
            a_slab[i % DEPTH][i / DEPTH] = row < m && inner < k ? a[(size_t)row * k + inner] : 0.0f;
        }
        for (int i = thread; i < TILE * DEPTH; i += THREADS) {
            const int inner = first + i / TILE, column = first_column + i % TILE;
            b_slab[i / TILE][i % TILE] = inner < k && column < n ? b[(size_t)inner * n + column] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int inner = 0; inner < DEPTH; inner++) {
            float left[8], right[8];
#pragma unroll
            for (int i = 0; i < 8; i++) {
                left[i] = a_slab[inner][i / 4 * 64 + down + i % 4];
                right[i] = b_slab[inner][i / 4 * 64 + across + i % 4];
            }
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) sum[i][j] += left[i] * right[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int row = first_row + i / 4 * 64 + down + i % 4;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int column = first_column + j / 4 * 64 + across + j % 4;
            if (row < m && column < n) c[(size_t)row * n + column] = sum[i][j];
        }
    }
}
