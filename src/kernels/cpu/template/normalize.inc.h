/*
 * Normalisation of rows on vectors: two passes for mean and variance, a third that writes.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_NORMALIZE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_NORMALIZE_INC_H

#include "kernels/cpu/template/reduce.inc.h"
#include "kernels/normalize.h"

/* The sum of the squares of x - mean, of a part of a row. */
static vf squares_part(const float *x, int64_t n, vf mean)
{
    vf acc[FOLD_ROW_VECTORS];
    UNROLL for (int v = 0; v < FOLD_ROW_VECTORS; v++) acc[v] = vf_set1(0.0f);
    int64_t i = 0;
    for (; i + FOLD_ROW_VECTORS * VF_LANES <= n; i += FOLD_ROW_VECTORS * VF_LANES) {
        UNROLL for (int v = 0; v < FOLD_ROW_VECTORS; v++)
        {
            const vf d = vf_load(x + i + v * VF_LANES) - mean;
            acc[v] = vf_fma(d, d, acc[v]);
        }
    }
    for (; i + VF_LANES <= n; i += VF_LANES) {
        const vf d = vf_load(x + i) - mean;
        acc[0] = vf_fma(d, d, acc[0]);
    }
    if (i < n) {
        const vf d = vf_load_first(x + i, n - i) - mean;
        acc[1] = acc[1] + vf_first_of(d * d, vf_set1(0.0f), n - i);
    }
    return (acc[0] + acc[1]) + (acc[2] + acc[3]);
}

/* Mean and mean square of what differs from it; without centre the mean is 0. */
static void row_moments(const float *x, int64_t n, bool centre, float *mean, float *square)
{
    vf sum = vf_set1(0.0f), squares = vf_set1(0.0f);
    for (int64_t i = 0; centre && i < n; i += FOLD_ROW_PART)
        sum = sum +
              fold_part(RDL__K_REDUCE_SUM, x + i, n - i < FOLD_ROW_PART ? n - i : FOLD_ROW_PART);
    *mean = vf_sum(sum) / (float)n;
    for (int64_t i = 0; i < n; i += FOLD_ROW_PART)
        squares = squares + squares_part(x + i, n - i < FOLD_ROW_PART ? n - i : FOLD_ROW_PART,
                                         vf_set1(*mean));
    *square = vf_sum(squares) / (float)n;
}

/* n elements; with `each` and `biased` they have factors and terms of their own. */
static ALWAYS_INLINE void normalize_run(const bool each, const bool biased, const float *x,
                                        float *y, int64_t n, vf mean, vf factor, vf term,
                                        const float *scale, const float *bias)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, vf_fma(vf_load(x + i) - mean, each ? factor * vf_load(scale + i) : factor,
                               biased ? vf_load(bias + i) : term));
    if (i < n) {
        const int64_t lanes = n - i;
        vf_store_first(y + i,
                       vf_fma(vf_load_first(x + i, lanes) - mean,
                              each ? factor * vf_load_first(scale + i, lanes) : factor,
                              biased ? vf_load_first(bias + i, lanes) : term),
                       lanes);
    }
}

static void normalize_row(const struct rdl__k_normalize *p, const float *x, float *y, float mean,
                          float inverse, const float *scale, const float *bias)
{
    const vf m = vf_set1(mean), f = vf_set1(inverse), none = vf_set1(0.0f);
    if (p->segment == 1 && scale != NULL && bias != NULL) {
        normalize_run(true, true, x, y, p->size, m, f, none, scale, bias);
    } else if (p->segment == 1 && scale != NULL) {
        normalize_run(true, false, x, y, p->size, m, f, none, scale, bias);
    } else if (p->segment == 1) {
        normalize_run(false, false, x, y, p->size, m, f, none, scale, bias);
    } else {
        for (int64_t i = 0, s = 0; i < p->size; i += p->segment, s++)
            normalize_run(false, false, x + i, y + i, p->segment, m,
                          scale != NULL ? f * vf_set1(scale[s]) : f,
                          bias != NULL ? vf_set1(bias[s]) : none, scale, bias);
    }
}

enum rdl_status RDL_ISA(rdl__k_normalize_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_normalize *p = call->params;
    const float *scale = call->bind[1], *bias = call->bind[2];
    float *means = call->bind[4], *inverses = call->bind[5];
    int64_t end = (int64_t)call->tile_end * p->tile_rows;
    end = end < p->rows ? end : p->rows;
    for (int64_t r = (int64_t)call->tile_begin * p->tile_rows; r < end; r++) {
        const float *x = (const float *)call->bind[0] + r * p->size;
        const int64_t at = r % p->period * p->step;
        float mean, square;
        row_moments(x, p->size, p->centre, &mean, &square);
        const float inverse = 1.0f / __builtin_sqrtf(square + p->epsilon);
        normalize_row(p, x, (float *)call->bind[3] + r * p->size, mean, inverse,
                      scale != NULL ? scale + at : NULL, bias != NULL ? bias + at : NULL);
        if (means != NULL)
            means[r] = mean;
        if (inverses != NULL)
            inverses[r] = inverse;
    }
    return RDL_OK;
}

#endif
