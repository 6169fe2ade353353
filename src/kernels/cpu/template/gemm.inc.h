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

enum rdl_status RDL_ISA(rdl__k_gemm_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_gemm *g = call->params;
    const float *bias = call->bind[2];
    const int64_t tiles = g->row_tiles * g->panel_tiles;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const bool whole = tiles == 1; /* no divisions for small products */
        const int64_t matrix = whole ? (int64_t)t : (int64_t)t / tiles;
        const int64_t tile = whole ? 0 : (int64_t)t % tiles;
        /* Row tiles run inside: a group of panels is read once for all rows. */
        const int64_t row = whole ? 0 : tile % g->row_tiles * g->tile_rows;
        const int64_t col = whole ? 0 : tile / g->row_tiles * g->tile_panels * PANEL_COLS;
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
            .packed = false,
            .b = (const float *)call->bind[1] + b + col * g->k,
            .b_row = PANEL_COLS,
            .b_panel = g->k * PANEL_COLS,
            .c = (float *)call->bind[3] + c + row * g->c_row_stride + col,
            .c_row = g->c_row_stride,
            .init = bias != NULL ? bias + shift + row * g->bias_row_stride + col : NULL,
            .init_row = g->bias_row_stride,
            .init_kind = bias != NULL ? INIT_LOAD : INIT_ZERO,
            .act = &g->act,
            .rows = rows,
            .cols = g->n - col < width ? g->n - col : width,
            .depth = g->k,
        };
        product_run(&p);
    }
    return RDL_OK;
}

#endif
