/*
 * The parts of the recurrent layers that every instruction set shares: tiles, and what is made of the
 * weights before. No state; any thread.
 */
#include "kernels/recurrent.h"

#include "base/size.h"
#include "kernels/gemm.h"

/* Multiply-adds of a tile: some 0.2 ms of AVX2, a millisecond of the portable kernel. */
#define TILE_WORK (1 << 21)

static int64_t at_least(int64_t low, int64_t value)
{
    return value < low ? low : value;
}

size_t rdl__k_recurrent_plan(struct rdl__k_recurrent *p, int64_t rows, size_t *scratch_bytes)
{
    const int64_t gates = rdl__k_cell_gates(p->cell);
    p->tile_rows = rows < p->batch ? rows : at_least(1, p->batch);
    p->row_tiles = (p->batch + p->tile_rows - 1) / p->tile_rows;
    /* In floating point: sizes of a model may overflow here, and only their order counts. */
    const double work =
        (double)p->tile_rows * (double)gates * (double)p->hidden * (double)(p->hidden + p->input);
    p->call_steps = work < TILE_WORK ? at_least(1, (int64_t)(TILE_WORK / (work + 1.0))) : 1;
    size_t floats;
    if (!rdl__mul_size((size_t)(gates + 1), (size_t)p->hidden, &floats) ||
        !rdl__mul_size(floats, (size_t)p->tile_rows, &floats) ||
        !rdl__mul_size(floats, rdl_dtype_size(p->dtype), scratch_bytes))
        return 0;
    return (size_t)(p->directions * p->row_tiles);
}

bool rdl__k_recurrent_f32_takes(const struct rdl__k_recurrent *p)
{
    for (int64_t d = 0; d < p->directions; d++)
        for (int i = 0; i < 3; i++)
            if (p->act[d][i].kind == RDL__K_CELL_ACT_ELU ||
                p->act[d][i].kind == RDL__K_CELL_ACT_SOFTPLUS)
                return false;
    return p->dtype == RDL_F32;
}

int64_t rdl__k_recurrent_f32_rows(enum rdl__isa isa)
{
    return 2 * rdl__k_gemm_blocks(isa).most;
}

bool rdl__k_recurrent_parts(enum rdl__isa isa, enum rdl__k_cell cell, int64_t hidden,
                            struct rdl__k_recurrent_part parts[2], int *n, size_t *floats)
{
    *n = cell == RDL__K_CELL_GRU ? 2 : 1;
    parts[0] = (struct rdl__k_recurrent_part){
        .gates = cell == RDL__K_CELL_GRU ? 2 : rdl__k_cell_gates(cell)};
    parts[1] = (struct rdl__k_recurrent_part){.first = 2, .gates = 1};
    *floats = 0;
    for (int i = 0; i < *n; i++) {
        int64_t cols;
        size_t count;
        parts[i].offset = *floats;
        if (!rdl__mul_dim(parts[i].gates, hidden, &cols) ||
            !rdl__k_gemm_packed_count(isa, hidden, cols, &count) ||
            !rdl__add_size(*floats, count, floats))
            return false;
    }
    return true;
}

enum rdl_status rdl__k_recurrent_bias_f32(const struct rdl__kernel_call *call)
{
    const struct rdl__k_recurrent_bias *p = call->params;
    const int64_t half = p->gates * p->hidden;
    const int64_t both = p->linear_before_reset ? half - p->hidden : half;
    for (int64_t d = 0; d < p->directions; d++) {
        const float *w = (const float *)call->bind[0] + 2 * d * half, *r = w + half;
        float *out = (float *)call->bind[1] + d * half;
        for (int64_t i = 0; i < half; i++)
            out[i] = i < both ? w[i] + r[i] : w[i];
    }
    return RDL_OK;
}
