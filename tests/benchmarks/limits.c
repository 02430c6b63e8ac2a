/* The limits of the machine, independent of Numba: one line for each kind and size, best and median of many calls.
   cc -O3 -march=native -fno-tree-loop-distribute-patterns -pthread limits.c -o limits && ./limits THREADS
   (x86-64 with AVX2 and FMA; the option keeps the compiler from calling memcpy for a copy) */
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum kind { FMA, COPY, COPY_STREAM, TRIAD, TRIAD_STREAM };
static const char *NAMES[] = {"fma", "copy regular", "copy streaming", "triad regular", "triad streaming"};
static const int ARRAYS[] = {0, 2, 2, 3, 3};
enum { SAMPLES = 61, TURNS = 2000000 };

typedef struct { enum kind kind; size_t start, end, repeats; float *x, *y, *z; } part;
static volatile float sink;
static pthread_barrier_t barrier;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }

static void chains(long turns) {
    __m256 a[12], m = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(1e-4f);
    for (int i = 0; i < 12; i++) a[i] = _mm256_set1_ps(0.1f * i);
    for (long k = 0; k < turns; k++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++) a[i] = _mm256_fmadd_ps(a[i], m, c);
    }
    for (int i = 1; i < 12; i++) a[0] = _mm256_add_ps(a[0], a[i]);
    sink = _mm256_cvtss_f32(a[0]);
}

static void work(const part *p, long turns) {
    const __m256 three = _mm256_set1_ps(3);
    /* copies of the pointers: a store may alias the struct, and would make the loop read them again each time */
    const float *x = p->x, *z = p->z;
    float *y = p->y;
    const enum kind kind = p->kind;
    const size_t start = p->start, end = p->end, repeats = p->repeats;
    if (kind == FMA) { chains(turns); return; }
    for (size_t r = 0; r < repeats; r++) {
        for (size_t i = start; i < end; i += 32)
            for (size_t j = i; j < i + 32; j += 8) {
                __m256 v = _mm256_load_ps(x + j);
                if (kind >= TRIAD) v = _mm256_fmadd_ps(three, _mm256_load_ps(z + j), v);
                if (kind == COPY_STREAM || kind == TRIAD_STREAM) _mm256_stream_ps(y + j, v);
                else _mm256_store_ps(y + j, v);
            }
        __asm__ volatile("" ::: "memory");
    }
    _mm_sfence();
}

static void *serve(void *argument) {
    part *p = argument;
    for (;;) {
        pthread_barrier_wait(&barrier);
        if (p->repeats == 0) return NULL;
        work(p, TURNS);
        pthread_barrier_wait(&barrier);
    }
}

static int order(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }

static void measure(enum kind kind, size_t footprint, int threads) {
    size_t n = kind == FMA ? 0 : footprint / (4 * ARRAYS[kind]) / 256 * 256;
    size_t repeats = kind == FMA ? 1 : footprint >= (64u << 20) ? 1 : (64u << 20) / footprint;
    float *arrays[3] = {0};
    for (int i = 0; i < ARRAYS[kind]; i++) {
        size_t bytes = (4 * n + (2u << 20)) & ~(size_t)4095;
        arrays[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(arrays[i], bytes, MADV_HUGEPAGE);
        for (size_t j = 0; j < n; j++) arrays[i][j] = (float)(j % 17) - 8;
    }
    part parts[256];
    pthread_t ids[256];
    double times[SAMPLES];
    pthread_barrier_init(&barrier, NULL, threads + 1);
    for (int i = 0; i < threads; i++) {
        parts[i] = (part){kind, n / 32 * i / threads * 32, n / 32 * (i + 1) / threads * 32, repeats,
                          arrays[0], arrays[1], arrays[2]};
        pthread_create(&ids[i], NULL, serve, &parts[i]);
    }
    for (int s = -3; s < SAMPLES; s++) {
        double start = now();
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        if (s >= 0) times[s] = now() - start;
    }
    for (int i = 0; i < threads; i++) parts[i].repeats = 0;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&barrier);
    qsort(times, SAMPLES, sizeof *times, order);
    double amount = kind == FMA ? 2.0 * 12 * 8 * TURNS * threads : 4.0 * ARRAYS[kind] * n * repeats;
    printf("%s %zu %.2f %.2f\n", NAMES[kind], footprint, amount / times[0] * 1e-9, amount / times[SAMPLES / 2] * 1e-9);
    fflush(stdout);
    for (int i = 0; i < ARRAYS[kind]; i++) munmap(arrays[i], (4 * n + (2u << 20)) & ~(size_t)4095);
}

int main(int count, char **words) {
    int threads = count > 1 ? atoi(words[1]) : 1;
    const size_t sizes[] = {32u << 10, 256u << 10, 2u << 20, 8u << 20, 96u << 20, 384u << 20};
    measure(FMA, 0, threads);
    for (int kind = COPY; kind <= TRIAD_STREAM; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) measure(kind, sizes[i], threads);
    return 0;
}
