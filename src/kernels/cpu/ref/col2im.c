/*
 * Reference sum of columns: one output element after another. No state; any thread.
 */
#include "kernels/col2im.h"

#include "base/size.h"
#include "kernels/cpu/ref/types.h"

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* Sums of a tile. */
#define TILE_WORK 65536
/* A vector's worth of floats, of any instruction set. */
#define LANES_MAX 16

size_t rdl__k_col2im_plan(struct rdl__k_col2im *p, size_t *scratch_bytes)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t rows = w->out[0] * w->out[1];
    const double work = (double)w->out[2] * (double)(w->kernel[0] * w->kernel[1] * w->kernel[2]);
    const int64_t fit = work < TILE_WORK ? (int64_t)(TILE_WORK / (work + 1.0)) : 1;
    p->tile_rows = fit < 1 ? 1 : fit < rows ? fit : rows;
    p->row_tiles = (rows + p->tile_rows - 1) / p->tile_rows;
    p->part = (w->out[2] + w->stride[2] - 1) / w->stride[2] + LANES_MAX;
    size_t floats, tiles;
    if (!rdl__mul_size((size_t)p->part, (size_t)w->stride[2], &floats) ||
        !rdl__mul_size(floats, sizeof(float), scratch_bytes) ||
        !rdl__mul_size((size_t)(p->batch * p->channels), (size_t)p->row_tiles, &tiles))
        return 0;
    return tiles;
}

#define COL2IM_ROW(dtype, type)                                                                    \
    static void row_##dtype(const struct rdl__k_col2im *p, void *const *bind, int64_t plane,       \
                            int64_t row)                                                           \
    {                                                                                              \
        const struct rdl__k_window *w = &p->window;                                                \
        const int64_t places = w->in[0] * w->in[1] * w->in[2];                                     \
        const int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2];                           \
        const int64_t oz = row / w->out[1], oy = row % w->out[1];                                  \
        const type *columns = (const type *)bind[0] + plane * taps * places;                       \
        const type bias = bind[1] != NULL ? ((const type *)bind[1])[plane % p->channels] : 0;      \
        type *y = (type *)bind[2] + (plane * w->out[0] * w->out[1] + row) * w->out[2];             \
        for (int64_t ox = 0; ox < w->out[2]; ox++) {                                               \
            const type *from = columns;                                                            \
            type sum = bias;                                                                       \
            for (int64_t kz = 0; kz < w->kernel[0]; kz++)                                          \
                for (int64_t ky = 0; ky < w->kernel[1]; ky++)                                      \
                    for (int64_t kx = 0; kx < w->kernel[2]; kx++, from += places) {                \
                        const int64_t iz = rdl__k_col2im_at(w, 0, oz, kz),                         \
                                      iy = rdl__k_col2im_at(w, 1, oy, ky),                         \
                                      ix = rdl__k_col2im_at(w, 2, ox, kx);                         \
                        if (iz >= 0 && iy >= 0 && ix >= 0)                                         \
                            sum += from[(iz * w->in[1] + iy) * w->in[2] + ix];                     \
                    }                                                                              \
            y[ox] = sum;                                                                           \
        }                                                                                          \
    }
REF_FLOATS(COL2IM_ROW)

enum rdl_status rdl__k_col2im_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_col2im *p = call->params;
    const int64_t rows = p->window.out[0] * p->window.out[1];
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t plane = (int64_t)t / p->row_tiles;
        const int64_t first = (int64_t)t % p->row_tiles * p->tile_rows;
        for (int64_t row = first; row < first + p->tile_rows && row < rows; row++) {
            if (p->dtype == RDL_F64)
                row_F64(p, call->bind, plane, row);
            else
                row_F32(p, call->bind, plane, row);
        }
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
