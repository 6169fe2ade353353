/*
 * Operators that repeat a tensor along its dimensions: Expand, Tile.
 */
#include "kernels/remap.h"
#include "ops/remap.h"

#include <inttypes.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- Expand */

static enum rdl_status infer_expand(const struct rdl__infer *infer)
{
    struct rdl__shape wanted = {.rank = 0}, out;
    size_t n;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_ints(infer, 1, wanted.dims, RDL_MAX_RANK, &n));
    wanted.rank = (int32_t)n;
    RDL_TRY(rdl__shape_check(wanted.rank, wanted.dims, infer->error));
    RDL_TRY(rdl__shape_broadcast(&infer->in[0].shape, &wanted, &out, infer->error));
    return rdl__op_out(infer, 0, infer->in[0].dtype, out.rank, out.dims);
}

static enum rdl_status lower_expand(const struct rdl__lower *lower)
{
    const struct rdl__shape *y = &lower->out[0].shape;
    if (rdl__shape_count(&lower->in[0].shape) == rdl__shape_count(y))
        return rdl__lower_alias(lower, 0, 0);
    struct rdl__k_move move = {.walk.rank = y->rank};
    memcpy(move.walk.dims, y->dims, sizeof move.walk.dims);
    rdl__k_walk_broadcast(&move.walk, 0, &lower->in[0].shape);
    rdl__shape_strides(y, move.walk.stride[1]);
    return rdl__op_move(lower, &move, lower->in[0].dtype, RDL__IN(0), RDL__OUT(0));
}

/* Expand@8 (13: more dtypes). */
RDL__OPERATOR(Expand, 8, 2, 2, 1, 1, .value_inputs = 1u << 1, .infer = infer_expand,
              .lower = lower_expand);

/* ------------------------------------------------------------------------------------------ Tile */

static enum rdl_status infer_tile(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    int64_t dims[RDL_MAX_RANK];
    size_t n;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_ints(infer, 1, dims, RDL_MAX_RANK, &n));
    if (n != (size_t)x->rank)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "%zu repeats, the input has rank %" PRId32, n,
                         x->rank);
    for (int32_t d = 0; d < x->rank; d++) {
        if (dims[d] < 0)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "repeats %" PRId64 " of axis %" PRId32,
                             dims[d], d);
        if (!rdl__mul_dim(dims[d], x->dims[d], &dims[d]))
            return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "axis %" PRId32 " becomes too long",
                             d);
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank, dims);
}

static enum rdl_status lower_tile(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape, *y = &lower->out[0].shape;
    struct rdl__remap map = {0};
    for (int32_t d = 0; d < x->rank; d++) {
        if (x->dims[d] == y->dims[d])
            continue;
        int64_t *table = rdl__remap_table(&map, d, y->dims[d]);
        if (table == NULL) {
            rdl__remap_fini(&map);
            return rdl__fail_memory(lower->error, "tables", sizeof *table * (size_t)y->dims[d]);
        }
        for (int64_t i = 0; i < y->dims[d]; i++)
            table[i] = i % x->dims[d];
    }
    return rdl__remap_lower(lower, &map, (struct rdl__operand){0}, NULL);
}

/* Tile@6 (13: more dtypes). */
RDL__OPERATOR(Tile, 6, 2, 2, 1, 1, .value_inputs = 1u << 1, .infer = infer_tile,
              .lower = lower_tile);
