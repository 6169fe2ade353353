/*
 * How a matrix product is cut into register blocks, said once for the kernels and for those that plan
 * and pack for them: a block is mr rows by nv vectors of sums, held in registers while k runs.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_SPLIT_H
#define RDL_KERNELS_CPU_TEMPLATE_SPLIT_H

#include "kernels/act.h"

#include <stdbool.h>
#include <stdint.h>

/* Depth of one pass over k: deep enough that a block's begin and end, and loading and storing the
 * sums between passes, cost little; and short enough that a panel's slice and a tile's rows stay in
 * the second-level cache. */
#define GEMM_DEPTH 1024

/* Most vectors of a block. */
#define GEMM_MOST_VECTORS 8

/** Vectors side by side in a block of mr rows: two multiply-adds a cycle of latency 4 or 5 need 8 or
 * 10 independent sums, and the registers of AVX2 hold 12 beside the operands. */
static inline int gemm_vectors(int64_t mr)
{
    static const int vectors[] = {0, GEMM_MOST_VECTORS, 6, 4, 3};
    return mr <= 4 ? vectors[mr] : 2;
}

/** From the top: `more` blocks of base + 1 rows, then `even` of base rows. */
struct gemm_split {
    int64_t base, more, even;
};

/** Cuts rows >= 1 into as few blocks of at most mr rows as can be, as even as can be. */
static inline struct gemm_split gemm_split(int64_t rows, int64_t mr)
{
    const int64_t count = (rows + mr - 1) / mr, base = rows / count;
    return (struct gemm_split){base, rows % count, count - rows % count};
}

/** What blocks of one height and width share: `count` of them, one below another. Units are floats.
 * Vector v of depth i lies at b[i * b_row + v / 2 * b_panel + v % 2 * b_second]. */
struct gemm_block {
    int64_t a_row, a_step, a_block; /* between rows, depths, blocks */
    int64_t b_row, b_second, b_panel;
    int64_t c_row;
    int64_t init_row; /* between rows of the first sums; between numbers of INIT_SPLAT 1 */
    bool init_splat;  /* the first sums of a row are one number */
    int64_t depth;
    int64_t count;
    int64_t lanes; /* of the last vector, 1 to all */
    struct rdl__k_act act;
};

#endif
