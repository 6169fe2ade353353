/*
 * The packed matrix product.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_GEMM_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_GEMM_INC_H

#include "kernels/cpu/template/block.inc.h"
#include "kernels/gemm.h"

/* Offsets of matrix `index` of the batch. */
static void gemm_matrix(const struct rdl__k_gemm_batch *batch, int64_t index, int64_t *a,
                        int64_t *b)
{
    *a = *b = 0;
    for (int32_t i = batch->rank - 1; i >= 0; i--) {
        const int64_t at = index % batch->dims[i];
        index /= batch->dims[i];
        *a += at * batch->a_stride[i];
        *b += at * batch->b_stride[i];
    }
}

static void gemm_tile(const struct rdl__kernel_call *call, const struct rdl__k_gemm *g, int64_t t)
{
    const float *bias = call->bind[2];
    const int64_t tiles = g->row_tiles * g->panel_tiles;
    const int64_t matrix = t / tiles, tile = t % tiles;
    /* Panels run inside: a tile's rows stay in the second-level cache while they pass. */
    const int64_t row = tile / g->panel_tiles * g->tile_rows;
    const int64_t col = tile % g->panel_tiles * g->tile_panels * PANEL_COLS;
    const int64_t rows = g->m - row < g->tile_rows ? g->m - row : g->tile_rows;
    const int64_t width = g->tile_panels * PANEL_COLS;
    int64_t a, b;
    gemm_matrix(&g->batch, matrix, &a, &b);
    const int64_t c = matrix * g->batch.c_matrix;
    /* Added to C itself, the bias moves with the matrix; else one bias serves them all. */
    const int64_t shift = bias == call->bind[3] ? c : 0;
    const struct product p = {
        .a = (const float *)call->bind[0] + a + row * g->a_row_stride,
        .a_row = g->a_row_stride,
        .b = (const float *)call->bind[1] + b + col * g->k,
        .b_row = PANEL_COLS,
        .b_panel = g->k * PANEL_COLS,
        .c = (float *)call->bind[3] + c + row * g->c_row_stride + col,
        .c_row = g->c_row_stride,
        .init = bias != NULL ? bias + shift + row * g->bias_row_stride + col : NULL,
        .init_row = g->bias_row_stride,
        .act = &g->act,
        .rows = rows,
        .cols = g->n - col < width ? g->n - col : width,
        .depth = g->k,
    };
    product_run(&p);
}

enum rdl_status RDL_ISA(rdl__k_gemm_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_gemm *g = call->params;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        if (g->one_vectors > 0) /* a small product: one block, planned to the last number */
            blocks[g->m][g->one_vectors](&g->one, call->bind[0], call->bind[1], call->bind[2],
                                         call->bind[3]);
        else
            gemm_tile(call, g, (int64_t)t);
    }
    return RDL_OK;
}

#endif
