/*
 * Drawing numbers. No state; any thread.
 */
#include "kernels/random.h"

#include <math.h>
#include <unistd.h>

#define TILE_ELEMS 8192
/* Samples of a tile of rdl__k_multinomial. */
#define TILE_SAMPLES 4096

static size_t tiles_of(int64_t count, int64_t tile)
{
    return (size_t)((count + tile - 1) / tile);
}

/* ------------------------------------------------------------------------------------- generator */

void rdl__k_philox(uint64_t key, uint64_t counter, uint32_t words[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        const uint64_t even = (uint64_t)0xd2511f53u * c0, odd = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(odd >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)odd;
        c2 = (uint32_t)(even >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)even;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

/* Of two words, a multiple of 2^-53 in [0, 1). */
static double unit_of(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

/* Number i of the stream, in [0, 1): there are two in each four words. */
static double unit_at(uint64_t key, int64_t i)
{
    uint32_t words[4];
    rdl__k_philox(key, (uint64_t)i / 2, words);
    const int at = (int)(i % 2) * 2;
    return unit_of(words[at], words[at + 1]);
}

/* Normal number i of the stream, with mean 0 and deviation 1. */
static double normal_at(uint64_t key, int64_t i)
{
    uint32_t words[4];
    rdl__k_philox(key, (uint64_t)i / 2, words);
    const double radius = sqrt(-2.0 * log(1.0 - unit_of(words[0], words[1])));
    const double angle = 6.283185307179586476925 * unit_of(words[2], words[3]);
    return radius * (i % 2 == 0 ? cos(angle) : sin(angle));
}

enum rdl_status rdl__k_random_key(const struct rdl__kernel_call *call)
{
    return getentropy(call->bind[0], sizeof(uint64_t)) == 0 ? RDL_OK : RDL_ERR_RUNTIME;
}

/* --------------------------------------------------------------------------------------- filling */

size_t rdl__k_random_fill_plan(struct rdl__k_random_fill *params, int64_t count)
{
    params->count = count;
    params->tile_elems = TILE_ELEMS;
    return tiles_of(count, TILE_ELEMS);
}

static double number_at(const struct rdl__k_random_fill *p, uint64_t key, int64_t i)
{
    return p->normal ? p->a + p->b * normal_at(key, i) : p->a + (p->b - p->a) * unit_at(key, i);
}

/* As a float; rounding must not reach the end that is left out. */
static float narrow(const struct rdl__k_random_fill *p, double number)
{
    const float value = (float)number;
    return !p->normal && p->b > p->a && (double)value >= p->b ? nextafterf(value, (float)p->a)
                                                              : value;
}

enum rdl_status rdl__k_random_fill(const struct rdl__kernel_call *call)
{
    const struct rdl__k_random_fill *p = call->params;
    const uint64_t key = *(const uint64_t *)call->bind[0];
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    for (int64_t i = (int64_t)call->tile_begin * p->tile_elems; i < end; i++) {
        const double number = number_at(p, key, i);
        if (p->dtype == RDL_F64)
            ((double *)call->bind[1])[i] = number;
        else
            ((float *)call->bind[1])[i] = narrow(p, number);
    }
    return RDL_OK;
}

/* -------------------------------------------------------------------------------------- choosing */

static double double_at(enum rdl_dtype dtype, const void *x, int64_t i)
{
    return dtype == RDL_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

size_t rdl__k_bernoulli_plan(struct rdl__k_bernoulli *params, int64_t count)
{
    params->count = count;
    params->tile_elems = TILE_ELEMS;
    return tiles_of(count, TILE_ELEMS);
}

enum rdl_status rdl__k_bernoulli(const struct rdl__kernel_call *call)
{
    const struct rdl__k_bernoulli *p = call->params;
    const uint64_t key = *(const uint64_t *)call->bind[0];
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    for (int64_t i = (int64_t)call->tile_begin * p->tile_elems; i < end; i++) {
        const double chance = double_at(p->dtype, call->bind[1], i);
        if (!(chance >= 0 && chance <= 1))
            return RDL_ERR_RUNTIME;
        ((uint8_t *)call->bind[2])[i] = unit_at(key, i) < chance;
    }
    return RDL_OK;
}

size_t rdl__k_multinomial_plan(struct rdl__k_multinomial *params)
{
    params->tile_samples = TILE_SAMPLES;
    params->pieces = (params->samples + TILE_SAMPLES - 1) / TILE_SAMPLES;
    return (size_t)(params->batch * params->pieces);
}

/* Running sums of a row's weights, scaled so that the largest is 1; false if there is no such row. */
static bool sum_weights(const struct rdl__k_multinomial *p, const void *x, int64_t row,
                        double *sums)
{
    double top = -HUGE_VAL, sum = 0;
    for (int64_t c = 0; c < p->classes; c++) {
        const double log_weight = double_at(p->dtype, x, row * p->classes + c);
        if (isnan(log_weight))
            return false;
        top = log_weight > top ? log_weight : top;
    }
    for (int64_t c = 0; c < p->classes; c++) {
        sum += exp(double_at(p->dtype, x, row * p->classes + c) - top);
        sums[c] = sum;
    }
    return isfinite(top);
}

/* The first class whose running sum exceeds `place`, which lies below the last sum. */
static int64_t class_at(const double *sums, int64_t classes, double place)
{
    int64_t low = 0, high = classes - 1;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sums[middle] > place)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

enum rdl_status rdl__k_multinomial(const struct rdl__kernel_call *call)
{
    const struct rdl__k_multinomial *p = call->params;
    const uint64_t key = *(const uint64_t *)call->bind[0];
    double *sums = call->scratch;
    for (int64_t t = (int64_t)call->tile_begin; t < (int64_t)call->tile_end; t++) {
        const int64_t row = t / p->pieces, first = t % p->pieces * p->tile_samples;
        const int64_t end =
            first + p->tile_samples < p->samples ? first + p->tile_samples : p->samples;
        if (!sum_weights(p, call->bind[1], row, sums))
            return RDL_ERR_RUNTIME;
        for (int64_t s = row * p->samples + first; s < row * p->samples + end; s++) {
            const int64_t c = class_at(sums, p->classes, unit_at(key, s) * sums[p->classes - 1]);
            if (p->wide)
                ((int64_t *)call->bind[2])[s] = c;
            else
                ((int32_t *)call->bind[2])[s] = (int32_t)c;
        }
    }
    return RDL_OK;
}
