/*
 * Peak probe: independent chains of fused multiply-adds in registers, in the widest vectors here.
 */
#include "cli/peak.h"

#include "raddle/config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Twelve chains cover the latency of two units; values stay below 12 and never become subnormal. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CHAIN_COUNT 12
#define STEPS 4096

/* One function for each vector type: `steps` rounds, returns the sum of the chains so that none can
 * be left out. */
#define DEFINE_PROBE(name, attribute, vector, set, fma, lane0)                                     \
    attribute static float name(void)                                                              \
    {                                                                                              \
        const vector factor = set(0.5f), addend = set(1.0f);                                       \
        vector CHAINS(DECLARE_CHAIN) end = set(0.0f);                                              \
        CHAINS(START_CHAIN_##fma)                                                                  \
        for (int i = 0; i < STEPS; i++) {                                                          \
            CHAINS(STEP_CHAIN_##fma)                                                               \
        }                                                                                          \
        CHAINS(END_CHAIN_##fma)                                                                    \
        return lane0(end);                                                                         \
    }
#define DECLARE_CHAIN(i) c##i,

#if defined(__x86_64__)
/* Different starts: equal chains would be computed once. */
#define START_CHAIN_fma512(i) c##i = _mm512_set1_ps(i);
#define STEP_CHAIN_fma512(i) c##i = _mm512_fmadd_ps(c##i, factor, addend);
#define END_CHAIN_fma512(i) end = _mm512_add_ps(end, c##i);
#define START_CHAIN_fma256(i) c##i = _mm256_set1_ps(i);
#define STEP_CHAIN_fma256(i) c##i = _mm256_fmadd_ps(c##i, factor, addend);
#define END_CHAIN_fma256(i) end = _mm256_add_ps(end, c##i);
#define START_CHAIN_mul128(i) c##i = _mm_set1_ps(i);
#define STEP_CHAIN_mul128(i) c##i = _mm_add_ps(_mm_mul_ps(c##i, factor), addend);
#define END_CHAIN_mul128(i) end = _mm_add_ps(end, c##i);
DEFINE_PROBE(probe_512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, fma512,
             _mm512_cvtss_f32)
DEFINE_PROBE(probe_256, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, fma256,
             _mm256_cvtss_f32)
DEFINE_PROBE(probe_128, , __m128, _mm_set1_ps, mul128, _mm_cvtss_f32)
#elif defined(__aarch64__)
#define START_CHAIN_neon(i) c##i = vdupq_n_f32(i);
#define STEP_CHAIN_neon(i) c##i = vfmaq_f32(addend, c##i, factor);
#define END_CHAIN_neon(i) end = vaddq_f32(end, c##i);
#define FIRST_LANE(v) vgetq_lane_f32((v), 0)
DEFINE_PROBE(probe_neon, , float32x4_t, vdupq_n_f32, neon, FIRST_LANE)
#else
#define SAME(value) (value)
#define START_CHAIN_scalar(i) c##i = (i);
#define STEP_CHAIN_scalar(i) c##i = c##i * factor + addend;
#define END_CHAIN_scalar(i) end += c##i;
DEFINE_PROBE(probe_scalar, , float, SAME, scalar, SAME)
#endif

struct probe {
    float (*run)(void);
    unsigned lanes;
};

static struct probe choose_probe(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return (struct probe){probe_512, 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct probe){probe_256, 8};
    return (struct probe){probe_128, 4};
#elif defined(__aarch64__)
    return (struct probe){probe_neon, 4};
#else
    return (struct probe){probe_scalar, 1};
#endif
}

struct measurement {
    struct probe probe;
    int64_t length_ns;
    unsigned waiting; /* threads that have not arrived; under mutex */
    bool cancelled;
    pthread_mutex_t mutex;
    pthread_cond_t all_here;
};

struct runner {
    pthread_t thread;
    struct measurement *measurement;
    double gflops;
    float sink; /* keeps the result alive */
};

static bool arrive(struct measurement *measurement)
{
    pthread_mutex_lock(&measurement->mutex);
    if (--measurement->waiting == 0)
        pthread_cond_broadcast(&measurement->all_here);
    while (measurement->waiting > 0 && !measurement->cancelled)
        pthread_cond_wait(&measurement->all_here, &measurement->mutex);
    bool go = !measurement->cancelled;
    pthread_mutex_unlock(&measurement->mutex);
    return go;
}

static void *run_probe(void *argument)
{
    struct runner *runner = argument;
    const struct measurement *measurement = runner->measurement;
    if (!arrive(runner->measurement))
        return NULL;
    int64_t start = 0, now = 0;
    double rounds = 0;
    float sink = 0;
    /* The first pass settles: it wakes the wide units, and the kernel spreads threads that woke on
     * one core. The second is measured. */
    for (int pass = 0; pass < 2; pass++) {
        start = rdl_now_ns();
        rounds = 0;
        do {
            sink += measurement->probe.run();
            rounds++;
            now = rdl_now_ns();
        } while (now - start < measurement->length_ns);
    }
    runner->sink = sink;
    runner->gflops =
        rounds * STEPS * CHAIN_COUNT * measurement->probe.lanes * 2 / (double)(now - start);
    return NULL;
}

double peak_measure(unsigned threads, double seconds)
{
    struct measurement measurement = {
        .probe = choose_probe(),
        .length_ns = (int64_t)(seconds * 1e9),
        .waiting = threads,
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .all_here = PTHREAD_COND_INITIALIZER,
    };
    struct runner *runners = calloc(threads, sizeof *runners);
    if (runners == NULL)
        return 0;
    unsigned started = 0;
    for (; started < threads; started++) {
        runners[started].measurement = &measurement;
        if (pthread_create(&runners[started].thread, NULL, run_probe, &runners[started]) != 0)
            break;
    }
    if (started < threads) {
        pthread_mutex_lock(&measurement.mutex);
        measurement.cancelled = true;
        pthread_cond_broadcast(&measurement.all_here);
        pthread_mutex_unlock(&measurement.mutex);
    }
    double gflops = 0;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(runners[i].thread, NULL);
        gflops += runners[i].gflops;
    }
    free(runners);
    return started < threads ? 0 : gflops;
}
