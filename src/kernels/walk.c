/*
 * Walks: merging and broadcasting. No state; any thread.
 */
#include "kernels/walk.h"

/* Elements of a tile. */
#define TILE_ELEMS 16384

/* The analyser does not know that rank <= RDL_MAX_RANK.
 * NOLINTBEGIN(clang-analyzer-security.ArrayBound) */

/* Whether every operand goes through dims (i, i + 1) as through one. */
static bool joins(const struct rdl__k_walk *walk, int32_t i)
{
    for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
        if (walk->stride[o][i] != walk->stride[o][i + 1] * walk->dims[i + 1])
            return false;
    return true;
}

static void drop(struct rdl__k_walk *walk, int32_t i)
{
    walk->rank--;
    for (; i < walk->rank; i++) {
        walk->dims[i] = walk->dims[i + 1];
        for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
            walk->stride[o][i] = walk->stride[o][i + 1];
    }
}

void rdl__k_walk_merge(struct rdl__k_walk *walk)
{
    for (int32_t i = walk->rank - 1; i >= 0 && walk->rank > 1; i--)
        if (walk->dims[i] == 1)
            drop(walk, i);
    for (int32_t i = walk->rank - 2; i >= 0; i--)
        if (joins(walk, i)) {
            walk->dims[i + 1] *= walk->dims[i];
            drop(walk, i);
        }
    if (walk->rank == 0) {
        walk->rank = 1;
        walk->dims[0] = 1;
    }
}

/* NOLINTEND(clang-analyzer-security.ArrayBound) */

void rdl__k_walk_broadcast(struct rdl__k_walk *walk, int operand, const struct rdl__shape *shape)
{
    int64_t strides[RDL_MAX_RANK];
    rdl__shape_strides(shape, strides);
    for (int32_t i = 0; i < walk->rank; i++) {
        const int32_t own = i - (walk->rank - shape->rank);
        walk->stride[operand][i] = own < 0 || shape->dims[own] == 1 ? 0 : strides[own];
    }
}

size_t rdl__k_walk_plan(struct rdl__k_walk *walk, const struct rdl__shape *const *in, int n,
                        const struct rdl__shape *out, int64_t *count, int64_t *tile_elems)
{
    *walk = (struct rdl__k_walk){.rank = out->rank};
    for (int32_t i = 0; i < out->rank; i++)
        walk->dims[i] = out->dims[i];
    for (int o = 0; o < n; o++)
        rdl__k_walk_broadcast(walk, o, in[o]);
    rdl__k_walk_merge(walk);
    *count = (int64_t)rdl__shape_count(out);
    *tile_elems = TILE_ELEMS;
    return (size_t)((*count + TILE_ELEMS - 1) / TILE_ELEMS);
}
