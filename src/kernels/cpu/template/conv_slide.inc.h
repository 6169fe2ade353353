/*
 * Convolution on padded copies of image rows: rows of a block are output channels, as in the matrix
 * product, and its vectors are output places side by side in a row, read where the copy has them. So a
 * column is never gathered, and an input is loaded into the first-level cache once for all the places
 * of the kernel that meet it.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_CONV_SLIDE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_CONV_SLIDE_INC_H

#include "kernels/cpu/template/conv_read.inc.h"

/* Depth of one pass: a block's weights and the rows that it sees stay in the first-level cache. */
#define SLIDE_DEPTH 512

/* One pass of a tile. */
struct slide {
    const int32_t *table; /* of this pass */
    int64_t depth;
    int64_t a_block; /* floats between two blocks of weights */
    int64_t c_row;   /* floats between two output channels */
    bool first;      /* the sums begin with the bias; else with what the last pass stored */
    struct rdl__k_act act;
};

/* The vectors of a block. */
struct slide_at {
    const float *in[GEMM_MOST_VECTORS];
    float *out[GEMM_MOST_VECTORS];
    int64_t lanes[GEMM_MOST_VECTORS];
};

static ALWAYS_INLINE void slide_begin(const int mr, const int nv, const struct slide *s,
                                      const float *bias, float *const out[], const int64_t lanes[],
                                      block_sums acc)
{
    if (!s->first) {
        BLOCK_EACH(mr, nv)
        acc[r][v] = lanes[v] == VF_LANES ? vf_load(out[v] + r * s->c_row)
                                         : vf_load_first(out[v] + r * s->c_row, lanes[v]);
    } else if (bias != NULL) {
        BLOCK_EACH(mr, nv) acc[r][v] = vf_set1(bias[r]);
    } else {
        BLOCK_EACH(mr, nv) acc[r][v] = vf_set1(0.0f);
    }
}

/* One element of the columns; the smaller side waits in registers, as in block_step. */
static ALWAYS_INLINE void slide_step(const int mr, const int nv, const float *a,
                                     const float *const in[], int64_t offset, block_sums acc)
{
    if (nv <= mr) {
        vf bv[GEMM_MOST_VECTORS];
        UNROLL for (int v = 0; v < nv; v++) bv[v] = vf_load(in[v] + offset);
        UNROLL for (int r = 0; r < mr; r++)
        {
            const vf av = vf_set1(a[r]);
            UNROLL for (int v = 0; v < nv; v++) acc[r][v] = vf_fma(av, bv[v], acc[r][v]);
        }
    } else {
        vf av[GEMM_MR];
        UNROLL for (int r = 0; r < mr; r++) av[r] = vf_set1(a[r]);
        UNROLL for (int v = 0; v < nv; v++)
        {
            vf bv = vf_load(in[v] + offset);
            if (mr > 1)
                bv = vf_register(bv);
            UNROLL for (int r = 0; r < mr; r++) acc[r][v] = vf_fma(av[r], bv, acc[r][v]);
        }
    }
}

/* `count` blocks, one below another; mr and nv are constants of each caller. */
static ALWAYS_INLINE void slide_run(const int mr, const int nv, const struct slide *s,
                                    const struct slide_at *at, const float *a, const float *bias,
                                    int64_t count)
{
    const float *in[GEMM_MOST_VECTORS];
    UNROLL for (int v = 0; v < nv; v++) in[v] = at->in[v];
    for (int64_t block = 0; block < count; block++) {
        float *out[GEMM_MOST_VECTORS];
        UNROLL for (int v = 0; v < nv; v++) out[v] = at->out[v] + block * mr * s->c_row;
        block_sums acc;
        slide_begin(mr, nv, s, bias, out, at->lanes, acc);
        const float *a_at = a + block * s->a_block;
        for (int64_t i = 0; i < s->depth; i++, a_at += mr)
            slide_step(mr, nv, a_at, in, s->table[i], acc);
        act_apply(&s->act, mr, nv, acc);
        BLOCK_EACH(mr, nv)
        {
            if (at->lanes[v] == VF_LANES)
                vf_store(out[v] + r * s->c_row, acc[r][v]);
            else
                vf_store_first(out[v] + r * s->c_row, acc[r][v], at->lanes[v]);
        }
        if (bias != NULL)
            bias += mr;
    }
}

typedef void (*slide_fn)(const struct slide *s, const struct slide_at *at, const float *a,
                         const float *bias, int64_t count);

#define SLIDE_DEFINE(mr, nv)                                                                       \
    static void slide_##mr##x##nv(const struct slide *s, const struct slide_at *at,                \
                                  const float *a, const float *bias, int64_t count)                \
    {                                                                                              \
        slide_run(mr, nv, s, at, a, bias, count);                                                  \
    }
BLOCK_LIST(SLIDE_DEFINE)
#undef SLIDE_DEFINE

#define SLIDE_ENTRY(mr, nv) [mr][nv] = slide_##mr##x##nv,
static const slide_fn slides[GEMM_MR + 1][GEMM_MOST_VECTORS + 1] = {BLOCK_LIST(SLIDE_ENTRY)};
#undef SLIDE_ENTRY

/* A tile: output channels by some columns of some output rows. */
struct slide_tile {
    const float *a, *bias; /* of its channels; bias may be NULL */
    const float *slab;     /* copied rows of the first channel */
    float *c;              /* its first output */
    int64_t channels, rows, cols;
    int64_t row_step;       /* floats of the slab between two output rows */
    int64_t depth, out_row; /* floats of an output row */
};

static void slide_at_set(const struct slide_tile *t, int64_t v, int64_t width, struct slide_at *at)
{
    const int64_t per_row = (t->cols + VF_LANES - 1) / VF_LANES;
    for (int64_t i = 0; i < width; i++) {
        const int64_t y = (v + i) / per_row, x = (v + i) % per_row * VF_LANES;
        at->in[i] = t->slab + y * t->row_step + x;
        at->out[i] = t->c + y * t->out_row + x;
        at->lanes[i] = t->cols - x < VF_LANES ? t->cols - x : VF_LANES;
    }
}

/* `count` blocks of mr channels from channel r on, over all vectors of the tile. */
static void slide_blocks(const struct slide_tile *t, struct slide *s, int64_t d, int64_t r,
                         int64_t mr, int64_t count)
{
    const int64_t vectors = (t->cols + VF_LANES - 1) / VF_LANES * t->rows;
    const float *a = t->a + r * t->depth + d * mr, *bias = t->bias != NULL ? t->bias + r : NULL;
    int64_t width = gemm_vectors(mr);
    s->a_block = mr * t->depth;
    for (int64_t v = 0; v < vectors && count > 0; v += width) {
        const int64_t left = vectors - v;
        width = left <= width ? left : left < 2 * width ? (left + 1) / 2 : width;
        struct slide_at at;
        slide_at_set(t, v, width, &at);
        for (int64_t i = 0; i < width; i++)
            at.out[i] += r * s->c_row;
        slides[mr][width](s, &at, a, bias, count);
    }
}

static void slide_tile_run(const struct slide_tile *t, const int32_t *table, int64_t c_row,
                           const struct rdl__k_act *act)
{
    const struct gemm_split split = gemm_split(t->channels, GEMM_MR);
    const int64_t passes = (t->depth + SLIDE_DEPTH - 1) / SLIDE_DEPTH;
    const int64_t pass = passes > 1 ? (t->depth + passes - 1) / passes : t->depth;
    for (int64_t d = 0; d == 0 || d < t->depth; d += pass) {
        struct slide s = {.table = table + d,
                          .depth = t->depth - d < pass ? t->depth - d : pass,
                          .c_row = c_row,
                          .first = d == 0};
        if (d + s.depth == t->depth)
            s.act = *act;
        slide_blocks(t, &s, d, 0, split.base + 1, split.more);
        slide_blocks(t, &s, d, split.more * (split.base + 1), split.base, split.even);
    }
}

/* Where a column of output place 0 lies in the slab, whose channels have `channel` floats. */
static void slide_table(const struct rdl__k_conv *p, int64_t channel, int32_t *table)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t part = p->strips.part, stride = w->stride[2];
    int32_t *next = table;
    for (int64_t ky = 0; ky < w->kernel[1]; ky++)
        for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
            const int64_t x = kx * w->dilation[2];
            *next++ = (int32_t)((ky * w->dilation[1] * stride + x % stride) * part + x / stride);
        }
    conv_table_repeat(table, w->kernel[1] * w->kernel[2], p->in_channels, (int32_t)channel);
}

static void conv_slide(const struct rdl__kernel_call *call, const struct rdl__k_conv *p)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t plane = w->in[1] * w->in[2], places = w->out[1] * w->out[2];
    const int64_t depth = p->in_channels * w->kernel[1] * w->kernel[2];
    const int64_t copied = p->strips.part * w->stride[2]; /* floats of a copied row */
    const int64_t channel = rdl__k_conv_slab_rows(w, p->strips.rows) * copied;
    const float *bias = call->bind[2];
    int32_t *table = call->scratch;
    float *slab = (float *)call->scratch + rdl__k_conv_table_floats(depth);
    slide_table(p, channel, table);
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t row = (int64_t)t % p->row_tiles * p->tile_rows;
        const int64_t area = (int64_t)t / p->row_tiles;
        const int64_t col = area % p->col_tiles * p->tile_cols;
        const int64_t y = area / p->col_tiles % p->strips.count * p->strips.rows;
        const int64_t matrix = area / p->col_tiles / p->strips.count; /* image and group */
        const int64_t first = matrix % p->groups * p->out_channels + row;
        const float *x = (const float *)call->bind[0] + matrix * p->in_channels * plane;
        struct rdl__k_window seen = *w; /* its column 0 is the tile's first */
        seen.pad[2] -= col * w->stride[2];
        const struct slide_tile tile = {
            .a = (const float *)call->bind[1] + first * depth,
            .bias = bias != NULL ? bias + first : NULL,
            .slab = slab,
            .c = (float *)call->bind[3] + (matrix * p->out_channels + row) * places +
                 y * w->out[2] + col,
            .channels = p->out_channels - row < p->tile_rows ? p->out_channels - row : p->tile_rows,
            .rows = w->out[1] - y < p->strips.rows ? w->out[1] - y : p->strips.rows,
            .cols = w->out[2] - col < p->tile_cols ? w->out[2] - col : p->tile_cols,
            .row_step = w->stride[1] * copied,
            .depth = depth,
            .out_row = w->out[2],
        };
        for (int64_t c = 0; c < p->in_channels; c++)
            strip_load(&seen, &p->strips, x + c * plane, y, tile.rows, 0.0f, slab + c * channel);
        slide_tile_run(&tile, table, places, &p->act);
    }
}

#endif
