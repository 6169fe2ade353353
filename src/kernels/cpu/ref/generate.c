/*
 * Making elements. No state; any thread.
 */
#include "kernels/generate.h"

#include <math.h>
#include <string.h>

#define TILE_ELEMS 16384

static size_t tiles_of(int64_t count, int64_t tile)
{
    return (size_t)((count + tile - 1) / tile);
}

size_t rdl__k_range_plan(struct rdl__k_range *params, int64_t count)
{
    params->count = count;
    params->tile_elems = TILE_ELEMS;
    return tiles_of(count, TILE_ELEMS);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): type declares */
#define RANGE(dtype, type, wide)                                                                   \
    case RDL_##dtype: {                                                                            \
        type *out = call->bind[2];                                                                 \
        const wide start = (wide) * (const type *)call->bind[0];                                   \
        const wide delta = (wide) * (const type *)call->bind[1];                                   \
        for (int64_t i = at; i < end; i++)                                                         \
            out[i] = (type)(start + (wide)i * delta);                                              \
    } break;
/* NOLINTEND(bugprone-macro-parentheses) */

enum rdl_status rdl__k_range(const struct rdl__kernel_call *call)
{
    const struct rdl__k_range *p = call->params;
    const int64_t at = (int64_t)call->tile_begin * p->tile_elems;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    switch (p->dtype) {
        RANGE(F32, float, float)
        RANGE(F64, double, double)
        RANGE(I16, int16_t, uint64_t)
        RANGE(I32, int32_t, uint64_t)
        RANGE(I64, int64_t, uint64_t)
    default:
        return RDL_ERR_INTERNAL;
    }
    return RDL_OK;
}

size_t rdl__k_eye_plan(struct rdl__k_eye *params)
{
    params->tile_rows = params->cols < TILE_ELEMS ? TILE_ELEMS / (params->cols + 1) + 1 : 1;
    return tiles_of(params->rows, params->tile_rows);
}

enum rdl_status rdl__k_eye(const struct rdl__kernel_call *call)
{
    const struct rdl__k_eye *p = call->params;
    const size_t size = (size_t)p->elem_bytes, row_bytes = (size_t)p->cols * size;
    int64_t end = (int64_t)call->tile_end * p->tile_rows;
    end = end < p->rows ? end : p->rows;
    for (int64_t r = (int64_t)call->tile_begin * p->tile_rows; r < end; r++) {
        char *row = (char *)call->bind[0] + (size_t)r * row_bytes;
        memset(row, 0, row_bytes);
        /* r + k may overflow for a k that is far outside. */
        if (p->k >= -r && p->k < p->cols - r)
            memcpy(row + (size_t)(r + p->k) * size, p->one, size);
    }
    return RDL_OK;
}

size_t rdl__k_cosines_plan(struct rdl__k_cosines *params, int64_t count)
{
    params->count = count;
    params->tile_elems = TILE_ELEMS;
    return tiles_of(count, TILE_ELEMS);
}

enum rdl_status rdl__k_cosines(const struct rdl__kernel_call *call)
{
    const struct rdl__k_cosines *p = call->params;
    double *out = call->bind[0];
    const double two_pi = 6.283185307179586476925;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    for (int64_t i = (int64_t)call->tile_begin * p->tile_elems; i < end; i++) {
        const double x = two_pi * (double)i / p->period;
        out[i] = p->a0 - p->a1 * cos(x) + p->a2 * cos(2 * x);
    }
    return RDL_OK;
}
