/*
 * See bench.h. One thread.
 */
#include "bench.h"

#include "os/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 400
/* Operations of a round: a tenth of a millisecond or so, unless one call takes longer. */
#define ROUND_FLOPS 1e7
/* A line shows the round at this place of a hundred: of a shared machine's rounds most are
 * disturbed a little and some a lot, and the lower quarter repeats itself within half a percent. */
#define PERCENTILE 10

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Operations a second of independent multiply-adds that live in registers. */
#define PEAK_TURNS 20000
#define PEAK_CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#if defined(__x86_64__)
typedef float chain256 __attribute__((vector_size(32)));
typedef float chain512 __attribute__((vector_size(64)));

#define PEAK_DEFINE(name, type, isa)                                                               \
    __attribute__((target(isa))) static double name(void)                                          \
    {                                                                                              \
        type c[12] = {{0.5f}}, m = {0.5f};                                                         \
        const double start = now();                                                                \
        for (int i = 0; i < PEAK_TURNS; i++) {                                                     \
            PEAK_CHAINS(PEAK_STEP)                                                                 \
        }                                                                                          \
        const double seconds = now() - start;                                                      \
        return 2.0 * 12.0 * PEAK_TURNS * (double)sizeof(type) / (double)sizeof(float) / seconds;   \
    }
#define PEAK_STEP(i) __asm__ volatile("vfmadd213ps %1, %1, %0" : "+v"(c[i]) : "v"(m));
PEAK_DEFINE(peak_avx2, chain256, "avx2,fma")
PEAK_DEFINE(peak_avx512, chain512, "avx512f")
#endif

static double peak(void)
{
#if defined(__x86_64__)
    if (rdl__isa_best() == RDL__ISA_AVX512)
        return peak_avx512();
    if (rdl__isa_best() == RDL__ISA_AVX2)
        return peak_avx2();
#endif
    return 0.0;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void bench_head(void)
{
    printf("instruction set %s; the least disturbed %d %% of %d rounds take at most\n",
           rdl__isa_name(rdl__isa_best()), PERCENTILE, ROUNDS);
    printf("%-40s %10s %10s %8s %12s\n", "", "us/call", "GFLOP/s", "% peak", "median us");
}

void bench_line(const char *name, double flops, void (*call)(void *user), void *user)
{
    double seconds[ROUNDS], peaks[ROUNDS];
    const int calls = 1 + (int)(ROUND_FLOPS / flops);
    call(user);
    for (int r = 0; r < ROUNDS; r++) {
        peaks[r] = peak();
        const double start = now();
        for (int i = 0; i < calls; i++)
            call(user);
        seconds[r] = (now() - start) / calls;
    }
    qsort(seconds, ROUNDS, sizeof *seconds, by_value);
    qsort(peaks, ROUNDS, sizeof *peaks, by_value);
    const double least = seconds[ROUNDS * PERCENTILE / 100];
    const double most = peaks[ROUNDS - 1 - ROUNDS * PERCENTILE / 100];
    printf("%-40s %10.2f %10.1f %8.1f %12.2f\n", name, 1e6 * least, 1e-9 * flops / least,
           most > 0 ? 100.0 * flops / least / most : 0.0, 1e6 * seconds[ROUNDS / 2]);
}
