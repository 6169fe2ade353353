/*
 * The parts of the packed matrix product that every instruction set shares: splitting into blocks
 * and tiles, and packing. No state; any thread.
 */
#include "kernels/gemm.h"

#include "base/size.h"

/* Multiply-adds of a tile: some 30 us of AVX2, half a millisecond of the portable kernel. */
#define TILE_WORK (1 << 20)
/* Most rows of a tile, and most bytes of them in a pass: they stay in the second-level cache. */
#define TILE_ROWS 96
#define TILE_ROW_BYTES (192 << 10)

struct rdl__k_gemm_blocks rdl__k_gemm_blocks(enum rdl__isa isa)
{
    switch (isa) {
    case RDL__ISA_AVX512:
        return (struct rdl__k_gemm_blocks){32, 12};
    case RDL__ISA_AVX2:
        return (struct rdl__k_gemm_blocks){16, 6};
    case RDL__ISA_PORTABLE:
        break;
    }
    return (struct rdl__k_gemm_blocks){8, 4};
}

bool rdl__k_gemm_packed_count(enum rdl__isa isa, int64_t k, int64_t n, size_t *count)
{
    const size_t cols = (size_t)rdl__k_gemm_blocks(isa).cols;
    size_t padded;
    return rdl__align_size((size_t)n, cols, &padded) && rdl__mul_size(padded, (size_t)k, count);
}

static void pack_panel(float *dst, const float *b, int64_t k, int64_t cols, int64_t panel_cols,
                       int64_t row_stride, int64_t col_stride, float alpha)
{
    for (int64_t i = 0; i < k; i++, dst += panel_cols) {
        const float *row = b + i * row_stride;
        for (int64_t j = 0; j < cols; j++)
            dst[j] = alpha * row[j * col_stride];
        for (int64_t j = cols; j < panel_cols; j++)
            dst[j] = 0.0f;
    }
}

void rdl__k_gemm_pack(enum rdl__isa isa, float *dst, const float *b, int64_t k, int64_t n,
                      int64_t row_stride, int64_t col_stride, float alpha)
{
    const int64_t cols = rdl__k_gemm_blocks(isa).cols;
    for (int64_t j = 0; j < n; j += cols)
        pack_panel(dst + j * k, b + j * col_stride, k, n - j < cols ? n - j : cols, cols,
                   row_stride, col_stride, alpha);
}

static int64_t pack_panels(const struct rdl__k_gemm_pack_params *p)
{
    return (p->n + p->panel_cols - 1) / p->panel_cols;
}

size_t rdl__k_gemm_pack_tiles(const struct rdl__k_gemm_pack_params *params)
{
    return (size_t)(params->matrices * pack_panels(params));
}

enum rdl_status rdl__k_gemm_pack_f32(const struct rdl__kernel_call *call)
{
    const struct rdl__k_gemm_pack_params *p = call->params;
    const int64_t panels = pack_panels(p), panel_size = p->k * p->panel_cols;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t matrix = (int64_t)t / panels, j = (int64_t)t % panels * p->panel_cols;
        const float *b = (const float *)call->bind[0] + matrix * p->matrix_stride;
        pack_panel((float *)call->bind[1] + (int64_t)t * panel_size, b + j * p->col_stride, p->k,
                   p->n - j < p->panel_cols ? p->n - j : p->panel_cols, p->panel_cols,
                   p->row_stride, p->col_stride, p->alpha);
    }
    return RDL_OK;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Whether the whole product is one block, which is then set. */
static void plan_one(const struct rdl__k_gemm_blocks *blocks, struct rdl__k_gemm *p)
{
    const int64_t lanes = blocks->cols / 2, vectors = ceil_div(p->n, lanes);
    p->one_vectors = 0;
    if (p->m < 1 || p->m > blocks->most || vectors < 1 || vectors > gemm_vectors(p->m) ||
        p->k > GEMM_DEPTH || p->batch.rank > 0)
        return;
    p->one_vectors = vectors;
    p->one = (struct gemm_block){.a_row = p->a_row_stride,
                                 .a_step = 1,
                                 .b_row = blocks->cols,
                                 .b_second = lanes,
                                 .b_panel = p->k * blocks->cols,
                                 .c_row = p->c_row_stride,
                                 .init_row = p->bias_row_stride,
                                 .depth = p->k,
                                 .count = 1,
                                 .lanes = p->n - (vectors - 1) * lanes,
                                 .act = p->act};
}

size_t rdl__k_gemm_plan(enum rdl__isa isa, struct rdl__k_gemm *params)
{
    const struct rdl__k_gemm_blocks blocks = rdl__k_gemm_blocks(isa);
    const int64_t cols = blocks.cols, mr = blocks.most;
    const int64_t panels = ceil_div(params->n, cols);
    const int64_t depth = params->k < 1 ? 1 : params->k < GEMM_DEPTH ? params->k : GEMM_DEPTH;
    const int64_t fit = TILE_ROW_BYTES / (depth * (int64_t)sizeof(float));
    int64_t rows = ceil_div(params->m, ceil_div(params->m, fit < TILE_ROWS ? fit : TILE_ROWS));
    /* A very deep product: fewer rows, so that even one panel of them is a short tile. */
    const int64_t column = params->k * cols > 0 ? params->k * cols : 1;
    if (rows > mr && rows > TILE_WORK * 4 / column)
        rows = TILE_WORK * 4 / column > mr ? TILE_WORK * 4 / column : mr;
    if (rows < params->m)
        rows = ceil_div(rows, mr) * mr;
    int64_t width = TILE_WORK / (rows * column);
    width = width < 1 ? 1 : width > panels ? panels : width;
    params->tile_rows = rows;
    params->tile_panels = width;
    params->row_tiles = ceil_div(params->m, rows);
    params->panel_tiles = ceil_div(panels, width);
    plan_one(&blocks, params);
    const int64_t matrices = params->batch.rank > 0 ? params->batch.count : 1;
    return (size_t)(matrices * params->row_tiles * params->panel_tiles);
}
