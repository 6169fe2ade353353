/*
 * How rows are cut into register blocks: even blocks if all of them are large enough to keep the
 * units busy, else whole blocks and a rest.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_SPLIT_H
#define RDL_KERNELS_CPU_TEMPLATE_SPLIT_H

#include <stdint.h>

/** From the top: `more` blocks of base + 1 rows, `even` of base rows, and one of `last` rows if that
 * is not 0. */
struct gemm_split {
    int64_t base, more, even, last;
};

/** Cuts rows >= 1 into blocks of at most mr rows, of at least full rows if that is possible. */
static inline struct gemm_split gemm_split(int64_t rows, int64_t mr, int64_t full)
{
    if (rows <=
        mr) /* one block; said without the divisions, which cost more than a small product */
        return rows >= full ? (struct gemm_split){rows, 0, 1, 0}
                            : (struct gemm_split){mr, 0, 0, rows};
    const int64_t count = (rows + mr - 1) / mr, base = rows / count;
    if (base >= full)
        return (struct gemm_split){base, rows % count, count - rows % count, 0};
    return (struct gemm_split){mr, 0, count - 1, rows - (count - 1) * mr};
}

#endif
