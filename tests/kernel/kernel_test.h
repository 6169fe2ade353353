/*
 * What kernel tests share: reproducible data, running kernels tile by tile, comparing results.
 */
#ifndef RDL_TESTS_KERNEL_TEST_H
#define RDL_TESTS_KERNEL_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/kernel.h"
#include "kernels/act.h"
#include "os/cpu.h"

/** Words of a xorshift generator; any seed but 0. */
static inline uint64_t test_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/** A whole number in [low, high]. */
static inline int64_t test_between(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(test_next(state) % (uint64_t)(high - low + 1));
}

/** A number in [-1, 1). */
static inline float test_unit(uint64_t *state)
{
    return (float)(int64_t)(test_next(state) >> 40) * 0x1p-23f - 1.0f;
}

/** A number that is often one of the edges of the format. */
static inline float test_edgy(uint64_t *state)
{
    static const float edges[] = {0.0f,       -0.0f,     INFINITY, -INFINITY, NAN,   0x1p-149f,
                                  -0x1p-130f, 0x1p-126f, 3e38f,    -3e38f,    1.0f,  -3.0f,
                                  3.0f,       6.0f,      88.8f,    -103.9f,   -88.0f};
    const uint64_t pick = test_next(state) % 40;
    return pick < sizeof edges / sizeof *edges ? edges[pick] : 20.0f * test_unit(state);
}

/** An activation of each kind. */
static const struct rdl__k_act test_acts[] = {{RDL__K_ACT_NONE, 0.0f, 0.0f},
                                              {RDL__K_ACT_RELU, 0.0f, 0.0f},
                                              {RDL__K_ACT_CLIP, -0.5f, 0.75f},
                                              {RDL__K_ACT_HARD_SWISH, 1.5f, -0.25f},
                                              {RDL__K_ACT_HARD_SIGMOID, 0.2f, 0.5f}};
#define TEST_ACTS (sizeof test_acts / sizeof *test_acts)

/** The words of act.h, on one number. */
static inline float test_act(const struct rdl__k_act *act, float x)
{
    float t = x;
    if (act->kind == RDL__K_ACT_RELU)
        t = 0.0f > x ? 0.0f : x;
    if (act->kind == RDL__K_ACT_CLIP) {
        t = act->a > x ? act->a : x;
        t = act->b < t ? act->b : t;
    }
    if (act->kind == RDL__K_ACT_HARD_SWISH) {
        t = 0.0f > x + 3.0f ? 0.0f : x + 3.0f;
        t = act->a * (x * ((6.0f < t ? 6.0f : t) * (1.0f / 6.0f))) + act->b;
    }
    if (act->kind == RDL__K_ACT_HARD_SIGMOID) {
        t = act->a * x + act->b;
        t = 0.0f > t ? 0.0f : t;
        t = 1.0f < t ? 1.0f : t;
    }
    return t;
}

/** Memory with exactly `bytes` readable bytes from a place that is only aligned to `align`; freed by
 * test_release. Under AddressSanitizer a byte beyond is a fault. */
static inline void *test_memory(size_t bytes, size_t align)
{
    const size_t room = bytes + align;
    char *base = malloc(room);
    assert_non_null(base);
    memset(base, 0x5a, room);
    /* malloc gives 16-byte alignment: one element further is the worst that a kernel may meet. */
    return base + align;
}

static inline void test_release(void *memory, size_t align)
{
    free((char *)memory - align);
}

static inline float *test_floats(int64_t count)
{
    return test_memory((size_t)count * sizeof(float), sizeof(float));
}

static inline void test_floats_release(float *floats)
{
    test_release(floats, sizeof(float));
}

static inline float *test_random(uint64_t *state, int64_t count, float (*number)(uint64_t *))
{
    float *floats = test_floats(count);
    for (int64_t i = 0; i < count; i++)
        floats[i] = number(state);
    return floats;
}

/** Runs tiles [0, tiles) in one call, with scratch of exactly scratch_bytes. */
static inline enum rdl_status test_run(rdl__kernel_fn fn, const void *params, void *const *bind,
                                       size_t tiles, size_t scratch_bytes)
{
    void *scratch = aligned_alloc(64, (scratch_bytes + 127) / 64 * 64);
    assert_non_null(scratch);
    memset(scratch, 0xff, scratch_bytes); /* NaN, if it is read unwritten */
    const struct rdl__kernel_call call = {params, bind, 0, tiles, scratch};
    const enum rdl_status status = fn(&call);
    free(scratch);
    return status;
}

/** Runs the tiles one by one, the last first, each with scratch of its own. */
static inline enum rdl_status test_run_split(rdl__kernel_fn fn, const void *params,
                                             void *const *bind, size_t tiles, size_t scratch_bytes)
{
    for (size_t t = tiles; t-- > 0;) {
        void *scratch = aligned_alloc(64, (scratch_bytes + 127) / 64 * 64);
        assert_non_null(scratch);
        memset(scratch, 0xff, scratch_bytes);
        const struct rdl__kernel_call call = {params, bind, t, t + 1, scratch};
        const enum rdl_status status = fn(&call);
        free(scratch);
        if (status != RDL_OK)
            return status;
    }
    return RDL_OK;
}

/** The bits of a float. */
static inline uint32_t test_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/** Fails unless the two have the same bits; any NaN counts as any other. */
static inline void test_same_bits(const float *want, const float *got, int64_t count,
                                  const char *what)
{
    for (int64_t i = 0; i < count; i++)
        if (test_bits(want[i]) != test_bits(got[i]) && !(isnan(want[i]) && isnan(got[i])))
            fail_msg("%s: element %lld of %lld is %.9g, expected %.9g", what, (long long)i,
                     (long long)count, (double)got[i], (double)want[i]);
}

/** Fails unless |got - want| <= relative * |want| + absolute everywhere; NaN and infinities agree. */
static inline void test_close(const float *want, const float *got, int64_t count, double relative,
                              double absolute, const char *what)
{
    for (int64_t i = 0; i < count; i++) {
        const double w = (double)want[i], g = (double)got[i];
        const bool fits = isnan(w)   ? isnan(g)
                          : isinf(w) ? w == g
                                     : fabs(g - w) <= relative * fabs(w) + absolute;
        if (!fits)
            fail_msg("%s: element %lld of %lld is %.9g, expected %.9g", what, (long long)i,
                     (long long)count, g, w);
    }
}

/** Calls test for each instruction set of this machine and says which were left out. */
static inline void test_each_isa(void (*test)(enum rdl__isa isa))
{
    for (int isa = RDL__ISA_PORTABLE; isa <= RDL__ISA_AVX512; isa++) {
        if (isa <= (int)rdl__isa_best())
            test((enum rdl__isa)isa);
        else
            print_message("not on this machine: %s\n", rdl__isa_name((enum rdl__isa)isa));
    }
}

#endif
