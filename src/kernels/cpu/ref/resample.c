/*
 * Reference resampling. No state; any thread.
 */
#include "kernels/resample.h"

#include "base/size.h"

#define TILE_ELEMS 16384

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

bool rdl__k_resample_bytes(enum rdl_dtype dtype, int64_t out, int32_t taps, size_t *bytes)
{
    size_t entries;
    return rdl__mul_size((size_t)out, (size_t)taps, &entries) &&
           rdl__mul_size(entries, rdl_dtype_size(dtype) + sizeof(int32_t), bytes) &&
           rdl__add_size(*bytes, sizeof(struct rdl__k_resample), bytes);
}

size_t rdl__k_resample_plan(struct rdl__k_resample *p)
{
    /* Along the last axis a row is all outputs of one line; else one output's inner elements. */
    p->length = p->inner == 1 ? p->out : p->inner;
    p->blocks = (p->length + RDL__K_RESAMPLE_BLOCK - 1) / RDL__K_RESAMPLE_BLOCK;
    p->units = p->outer * (p->inner == 1 ? 1 : p->out) * p->blocks;
    const int64_t each = p->length < TILE_ELEMS ? TILE_ELEMS / (p->length * p->taps) : 1;
    p->tile_units = each > 1 && p->blocks == 1 ? each : 1;
    return (size_t)((p->units + p->tile_units - 1) / p->tile_units);
}

/* Outputs [at, end) of a line, and elements [at, end) of output j. */
#define RESAMPLE(dtype, type)                                                                      \
    static void line_##dtype(const struct rdl__k_resample *p, const type *x, type *y, int64_t at,  \
                             int64_t end)                                                          \
    {                                                                                              \
        const type *weights = (const type *)p->tables;                                             \
        const int32_t *places = rdl__k_resample_places(p);                                         \
        for (int64_t j = at; j < end; j++) {                                                       \
            const type *w = weights + j * p->taps;                                                 \
            const int32_t *place = places + j * p->taps;                                           \
            type sum = 0;                                                                          \
            for (int32_t t = 0; t < p->taps && place[0] >= 0; t++)                                 \
                sum += w[t] * x[place[t]];                                                         \
            y[j] = place[0] < 0 ? (type)p->outside : sum;                                          \
        }                                                                                          \
    }                                                                                              \
    static void inner_##dtype(const struct rdl__k_resample *p, int64_t j, const type *x, type *y,  \
                              int64_t at, int64_t end)                                             \
    {                                                                                              \
        const type *w = (const type *)p->tables + j * p->taps;                                     \
        const int32_t *place = rdl__k_resample_places(p) + j * p->taps;                            \
        for (int64_t i = at; i < end; i++) {                                                       \
            type sum = 0;                                                                          \
            for (int32_t t = 0; t < p->taps && place[0] >= 0; t++)                                 \
                sum += w[t] * x[place[t] * p->inner + i];                                          \
            y[i] = place[0] < 0 ? (type)p->outside : sum;                                          \
        }                                                                                          \
    }                                                                                              \
    static void units_##dtype(const struct rdl__k_resample *p, const type *x, type *y, int64_t at, \
                              int64_t end)                                                         \
    {                                                                                              \
        for (int64_t u = at; u < end; u++) {                                                       \
            const int64_t row = u / p->blocks, from = u % p->blocks * RDL__K_RESAMPLE_BLOCK;       \
            const int64_t left = p->length - from;                                                 \
            const int64_t to =                                                                     \
                from + (left < RDL__K_RESAMPLE_BLOCK ? left : RDL__K_RESAMPLE_BLOCK);              \
            if (p->inner == 1)                                                                     \
                line_##dtype(p, x + row * p->in, y + row * p->out, from, to);                      \
            else                                                                                   \
                inner_##dtype(p, row % p->out, x + row / p->out * p->in * p->inner,                \
                              y + row * p->inner, from, to);                                       \
        }                                                                                          \
    }
RESAMPLE(f32, float)
RESAMPLE(f64, double)

enum rdl_status rdl__k_resample_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_resample *p = call->params;
    const int64_t at = (int64_t)call->tile_begin * p->tile_units;
    int64_t end = (int64_t)call->tile_end * p->tile_units;
    end = end < p->units ? end : p->units;
    if (p->dtype == RDL_F32)
        units_f32(p, call->bind[0], call->bind[1], at, end);
    else
        units_f64(p, call->bind[0], call->bind[1], at, end);
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
