// CUDA kernels as plain C++: every thread of a block is a fiber that runs until it waits for the others.
//
// The order in which fibers run is the test's choice: a kernel that lacks a barrier gives other answers in another
// order.  Shared memory is full of NaN when a block begins.  A barrier that some threads never reach ends the program
// with a message.
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

using std::max;
using std::min;

struct dim3 {
    unsigned x, y, z;
};
struct float4 {
    float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline float __int_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(threads)
#define __shared__ static __attribute__((section("shared_memory")))
extern char __start_shared_memory __attribute__((weak)), __stop_shared_memory __attribute__((weak));
static std::vector<float> dynamic_shared;

static dim3 threadIdx, blockIdx, blockDim, gridDim;

enum class Wait { none, warp, block, ended };
struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    Wait wait = Wait::none;
    dim3 index;
};
static std::vector<Fiber> fibers;
static std::vector<float> lanes;
static ucontext_t scheduler;
static size_t current;
static std::function<void()> body;

static void pause_for(Wait what) {
    const size_t own = current;
    fibers[own].wait = what;
    swapcontext(&fibers[own].context, &scheduler);
}
inline void __syncthreads() { pause_for(Wait::block); }
inline float __shfl_xor_sync(unsigned, float value, int step) {
    const size_t own = current;
    lanes[own] = value;
    pause_for(Wait::warp);
    const float other = lanes[own / 32 * 32 + (own % 32 ^ step)];
    pause_for(Wait::warp);
    return other;
}

static void run_fiber() {
    body();
    fibers[current].wait = Wait::ended;
    swapcontext(&fibers[current].context, &scheduler);
}

[[noreturn]] static void stuck() {
    std::fprintf(stderr, "threads of a block wait for others that never come\n");
    std::_Exit(3);
}

static bool release(size_t first, size_t last, Wait what) {
    bool any = false;
    for (size_t i = first; i < last; i++) {
        if (fibers[i].wait != what && !(what == Wait::warp && fibers[i].wait == Wait::ended)) return false;
        any |= fibers[i].wait == what;
    }
    for (size_t i = first; i < last; i++)
        if (fibers[i].wait == what) fibers[i].wait = Wait::none;
    return any;
}

static void run_block(const std::vector<size_t>& order) {
    const size_t threads = fibers.size();
    for (size_t i = 0; i < threads; i++) {
        Fiber& fiber = fibers[i];
        fiber.wait = Wait::none;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = 65536;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, run_fiber, 0);
    }
    for (;;) {
        bool ran = false, all_ended = true;
        for (size_t i : order)
            if (fibers[i].wait == Wait::none) {
                current = i;
                threadIdx = fibers[i].index;
                swapcontext(&scheduler, &fibers[i].context);
                ran = true;
            }
        for (const Fiber& fiber : fibers) all_ended &= fiber.wait == Wait::ended;
        if (all_ended) return;
        bool released = release(0, threads, Wait::block);
        for (size_t warp = 0; warp < threads; warp += 32)
            released |= release(warp, std::min(warp + 32, threads), Wait::warp);
        if (!ran && !released) stuck();
    }
}

// seed 0: threads run in order, 1: backwards, else in a random order
static void run_grid(dim3 grid, dim3 block, size_t shared_bytes, unsigned seed, std::function<void()> kernel) {
    body = std::move(kernel);
    gridDim = grid;
    blockDim = block;
    const size_t threads = size_t(block.x) * block.y * block.z;
    fibers = std::vector<Fiber>(threads);
    lanes.assign(threads, NAN);
    for (size_t i = 0; i < threads; i++) {
        fibers[i].stack = std::make_unique<char[]>(65536);
        fibers[i].index = {unsigned(i % block.x), unsigned(i / block.x % block.y), unsigned(i / block.x / block.y)};
    }
    std::vector<size_t> order(threads);
    std::iota(order.begin(), order.end(), 0);
    if (seed == 1) std::reverse(order.begin(), order.end());
    if (seed > 1) std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = {x, y, z};
                dynamic_shared.assign(shared_bytes / 4, NAN);
                if (&__start_shared_memory) std::memset(&__start_shared_memory, 0xff, &__stop_shared_memory - &__start_shared_memory);
                run_block(order);
            }
}
