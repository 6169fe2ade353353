/*
 * Reference normalisation of rows and over channels. No state; any thread.
 */
#include "kernels/normalize.h"

#include "kernels/cpu/ref/types.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

#define TILE_ELEMS 16384

size_t rdl__k_normalize_plan(struct rdl__k_normalize *p)
{
    p->tile_rows = TILE_ELEMS / (p->size > 0 ? p->size : 1);
    p->tile_rows = p->tile_rows < 1 ? 1 : p->tile_rows;
    return (size_t)((p->rows + p->tile_rows - 1) / p->tile_rows);
}

#define NORMALIZE_ROW(dtype, type)                                                                 \
    static void row_##dtype(const struct rdl__k_normalize *p, int64_t r, void *const *bind)        \
    {                                                                                              \
        const type *x = (const type *)bind[0] + r * p->size;                                       \
        const type *scale = bind[1], *bias = bind[2];                                              \
        type *y = (type *)bind[3] + r * p->size;                                                   \
        float *means = bind[4], *inverses = bind[5];                                               \
        double mean = 0.0, square = 0.0;                                                           \
        for (int64_t i = 0; p->centre && i < p->size; i++)                                         \
            mean += (double)x[i];                                                                  \
        mean /= (double)p->size;                                                                   \
        for (int64_t i = 0; i < p->size; i++)                                                      \
            square += ((double)x[i] - mean) * ((double)x[i] - mean);                               \
        const double inverse = 1.0 / sqrt(square / (double)p->size + (double)p->epsilon);          \
        for (int64_t i = 0; i < p->size; i++) {                                                    \
            const int64_t at = r % p->period * p->step + i / p->segment;                           \
            const double factor = scale != NULL ? (double)scale[at] : 1.0;                         \
            const double term = bias != NULL ? (double)bias[at] : 0.0;                             \
            y[i] = (type)(((double)x[i] - mean) * inverse * factor + term);                        \
        }                                                                                          \
        if (means != NULL)                                                                         \
            means[r] = (float)mean;                                                                \
        if (inverses != NULL)                                                                      \
            inverses[r] = (float)inverse;                                                          \
    }
REF_FLOATS(NORMALIZE_ROW)

enum rdl_status rdl__k_normalize_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_normalize *p = call->params;
    int64_t end = (int64_t)call->tile_end * p->tile_rows;
    end = end < p->rows ? end : p->rows;
    for (int64_t r = (int64_t)call->tile_begin * p->tile_rows; r < end; r++) {
        if (p->dtype == RDL_F64)
            row_F64(p, r, call->bind);
        else
            row_F32(p, r, call->bind);
    }
    return RDL_OK;
}

/* Inner elements of a tile. */
#define LRN_BLOCK 64

size_t rdl__k_lrn_plan(struct rdl__k_lrn *p)
{
    p->blocks = (p->inner + LRN_BLOCK - 1) / LRN_BLOCK;
    return (size_t)(p->batch * p->channels * p->blocks);
}

/* t^beta; the usual 0.75 by roots. */
static void powers(double *t, int64_t n, double beta)
{
    if (beta == 0.75) {
        for (int64_t i = 0; i < n; i++)
            t[i] = sqrt(t[i]) * sqrt(sqrt(t[i]));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        t[i] = pow(t[i], beta);
}

/* n inner elements of channel c, whose first one lies at `at`. */
#define LRN(dtype, type)                                                                           \
    static void lrn_##dtype(const struct rdl__k_lrn *p, int64_t c, int64_t at, int64_t n,          \
                            void *const *bind)                                                     \
    {                                                                                              \
        const int64_t before = (p->size - 1) / 2, after = p->size - 1 - before;                    \
        const int64_t first = c < before ? -c : -before;                                           \
        const int64_t last = p->channels - 1 - c < after ? p->channels - 1 - c : after;            \
        const type *x = (const type *)bind[0] + at;                                                \
        type *y = (type *)bind[1] + at;                                                            \
        double t[LRN_BLOCK] = {0};                                                                 \
        for (int64_t k = first; k <= last; k++)                                                    \
            for (int64_t i = 0; i < n; i++)                                                        \
                t[i] += (double)x[k * p->inner + i] * (double)x[k * p->inner + i];                 \
        for (int64_t i = 0; i < n; i++)                                                            \
            t[i] = p->bias + p->alpha / (double)p->size * t[i];                                    \
        powers(t, n, p->beta);                                                                     \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = (type)((double)x[i] / t[i]);                                                    \
    }
REF_FLOATS(LRN)

enum rdl_status rdl__k_lrn(const struct rdl__kernel_call *call)
{
    const struct rdl__k_lrn *p = call->params;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t place = (int64_t)t % p->blocks * LRN_BLOCK, plane = (int64_t)t / p->blocks;
        const int64_t n = p->inner - place < LRN_BLOCK ? p->inner - place : LRN_BLOCK;
        const int64_t at = plane * p->inner + place;
        if (p->dtype == RDL_F64)
            lrn_F64(p, plane % p->channels, at, n, call->bind);
        else
            lrn_F32(p, plane % p->channels, at, n, call->bind);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
