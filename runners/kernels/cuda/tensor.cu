// The rate of the tensor cores' warp-wide instruction, D[16, 8] += A[16, 16]·B[16, 8], float32 sums of half products.
// Every element of A and B is 2⁻⁶, so a turn adds 16·2⁻¹² = 2⁻⁸ to every sum, exactly.  Needs compute capability 8.0.
#define CHAINS 8

#define MULTIPLY(TYPE)                                                                                               \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE ".f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%4,%4}, " \
                 "{%0,%1,%2,%3};"                                                                                    \
                 : "+f"(sum[i][0]), "+f"(sum[i][1]), "+f"(sum[i][2]), "+f"(sum[i][3])                                \
                 : "r"(pair))

#define CHAINS_OF(NAME, TYPE, PAIR)                                                             \
    extern "C" __global__ void NAME(float* __restrict__ sums, int turns) {                      \
        const unsigned int pair = PAIR;                                                         \
        float sum[CHAINS][4] = {};                                                              \
        for (int turn = 0; turn < turns; turn++) {                                              \
            _Pragma("unroll") for (int i = 0; i < CHAINS; i++) MULTIPLY(TYPE);                  \
        }                                                                                       \
        float all = 0.0f;                                                                       \
        _Pragma("unroll") for (int i = 0; i < CHAINS; i++)                                      \
            all += (sum[i][0] + sum[i][1]) + (sum[i][2] + sum[i][3]);                           \
        sums[(long long)blockIdx.x * blockDim.x + threadIdx.x] = all;                           \
    }

CHAINS_OF(mma_float16, "f16", 0x24002400u)
CHAINS_OF(mma_bfloat16, "bf16", 0x3c803c80u)
