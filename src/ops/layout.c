/*
 * Operators that move elements: Concat, Slice, Transpose, Gather, and raddle Embedding.
 */
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- Concat */

static const struct rdl__attr_rule axis_required[] = {{"axis", RDL__ATTR_INT, true}};
static const struct rdl__attr_rule axis_optional[] = {{"axis", RDL__ATTR_INT, false}};

static enum rdl_status check_concat(const struct rdl__node *node, struct rdl_error *error)
{
    return RDL__CHECK_ATTRS(node, axis_required, error);
}

static enum rdl_status infer_concat(const struct rdl__infer *infer)
{
    const struct rdl__shape *first = &infer->in[0].shape;
    int32_t axis;
    RDL_TRY(rdl__op_axis(infer->error, rdl__attr_int(infer->node, "axis", 0), first->rank, &axis));
    struct rdl__shape out = *first;
    for (uint32_t i = 1; i < infer->node->n_inputs; i++) {
        struct rdl__shape next = infer->in[i].shape;
        RDL_TRY(rdl__op_same_dtype(infer, i));
        RDL_TRY(rdl__op_rank(infer, i, first->rank, first->rank));
        if (__builtin_add_overflow(out.dims[axis], next.dims[axis], &out.dims[axis]))
            return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "the joined axis is too long");
        next.dims[axis] = out.dims[axis];
        if (!rdl__shape_equal(&next, &out)) {
            char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "input %" PRIu32 ": %s differs from %s beside axis %" PRId32, i,
                             rdl__shape_text(&infer->in[i].shape, a, sizeof a),
                             rdl__shape_text(first, b, sizeof b), axis);
        }
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, out.rank, out.dims);
}

static enum rdl_status lower_concat(const struct rdl__lower *lower)
{
    const struct rdl__shape *out = &lower->out[0].shape;
    int32_t axis;
    RDL_TRY(rdl__op_axis(lower->error, rdl__attr_int(lower->node, "axis", 0), out->rank, &axis));
    int64_t strides[RDL_MAX_RANK], at = 0;
    rdl__shape_strides(out, strides);
    for (uint32_t i = 0; i < lower->node->n_inputs; i++) {
        const struct rdl__shape *in = &lower->in[i].shape;
        struct rdl__k_move move = {.walk.rank = in->rank, .dst_offset = at * strides[axis]};
        memcpy(move.walk.dims, in->dims, sizeof move.walk.dims);
        rdl__shape_strides(in, move.walk.stride[0]);
        memcpy(move.walk.stride[1], strides, sizeof strides);
        RDL_TRY(rdl__op_move(lower, &move, lower->out[0].dtype, RDL__IN(i), RDL__OUT(0)));
        at += in->dims[axis];
    }
    return RDL_OK;
}

/* Concat@4 (11: negative axes, 13: more dtypes). */
RDL__OPERATOR(Concat, 4, 1, RDL__VARIADIC, 1, 1, .check = check_concat, .infer = infer_concat,
              .lower = lower_concat);

/* ----------------------------------------------------------------------------------------- Slice */

/* What is cut out along each dimension of the input. */
struct cut {
    int64_t start[RDL_MAX_RANK], step[RDL_MAX_RANK], count[RDL_MAX_RANK];
};

/* The parameters as they stand in attributes or inputs; axes and steps may be left out. */
struct slice {
    int64_t starts[RDL_MAX_RANK], ends[RDL_MAX_RANK], axes[RDL_MAX_RANK], steps[RDL_MAX_RANK];
    size_t count;
};

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static enum rdl_status cut_along(struct cut *cut, const struct rdl__shape *x,
                                 const struct slice *slice, size_t i, struct rdl_error *error)
{
    int32_t axis;
    RDL_TRY(rdl__op_axis(error, slice->axes[i], x->rank, &axis));
    const int64_t dim = x->dims[axis], step = slice->steps[i];
    int64_t start = slice->starts[i], end = slice->ends[i];
    if (step == 0)
        return rdl__fail(error, RDL_ERR_SHAPE, "step 0 along axis %" PRId32, axis);
    /* Negative ones count from the end; neither sum overflows, since dim >= 0. */
    start = start < 0 ? start + dim : start;
    end = end < 0 ? end + dim : end;
    int64_t count;
    if (step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        count = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = clamp(start, -1, dim - 1);
        end = clamp(end, -1, dim - 1);
        /* The smallest integer has no opposite: a step so long takes one element. */
        const int64_t back = step == INT64_MIN ? INT64_MAX : -step;
        count = start > end ? (start - end - 1) / back + 1 : 0;
    }
    cut->start[axis] = count > 0 ? start : 0;
    cut->step[axis] = count > 1 ? step : 1;
    cut->count[axis] = count;
    return RDL_OK;
}

static enum rdl_status cut_all(struct cut *cut, const struct rdl__shape *x,
                               const struct slice *slice, struct rdl_error *error)
{
    bool seen[RDL_MAX_RANK] = {false};
    for (int32_t d = 0; d < x->rank; d++) {
        cut->start[d] = 0;
        cut->step[d] = 1;
        cut->count[d] = x->dims[d];
    }
    for (size_t i = 0; i < slice->count; i++) {
        RDL_TRY(cut_along(cut, x, slice, i, error));
        int32_t axis = 0;
        RDL_TRY(rdl__op_axis(error, slice->axes[i], x->rank, &axis));
        if (seen[axis])
            return rdl__fail(error, RDL_ERR_SHAPE, "axis %" PRId32 " is named twice", axis);
        seen[axis] = true;
    }
    return RDL_OK;
}

static enum rdl_status bad_lengths(struct rdl_error *error)
{
    return rdl__fail(error, RDL_ERR_SHAPE, "starts, ends, axes and steps differ in length");
}

/* Slice@1: attributes. */
static enum rdl_status read_slice_1(const struct rdl__node *node, struct slice *slice,
                                    struct rdl_error *error)
{
    size_t n_ends, n_axes;
    const int64_t *starts = rdl__attr_ints(node, "starts", &slice->count);
    const int64_t *ends = rdl__attr_ints(node, "ends", &n_ends);
    const int64_t *axes = rdl__attr_ints(node, "axes", &n_axes);
    if (slice->count > RDL_MAX_RANK || n_ends != slice->count ||
        (axes != NULL && n_axes != slice->count))
        return bad_lengths(error);
    for (size_t i = 0; i < slice->count; i++) {
        slice->starts[i] = starts[i];
        slice->ends[i] = ends[i];
        slice->axes[i] = axes != NULL ? axes[i] : (int64_t)i;
        slice->steps[i] = 1;
    }
    return RDL_OK;
}

/* Slice@10: inputs, as an infer sees them. */
static enum rdl_status read_slice_10(const struct rdl__infer *infer, struct slice *slice)
{
    size_t n;
    RDL_TRY(rdl__op_ints(infer, 1, slice->starts, RDL_MAX_RANK, &slice->count));
    RDL_TRY(rdl__op_ints(infer, 2, slice->ends, RDL_MAX_RANK, &n));
    if (n != slice->count)
        return bad_lengths(infer->error);
    for (size_t i = 0; i < slice->count; i++) {
        slice->axes[i] = (int64_t)i;
        slice->steps[i] = 1;
    }
    if (rdl__op_has(infer->node, 3)) {
        RDL_TRY(rdl__op_ints(infer, 3, slice->axes, RDL_MAX_RANK, &n));
        if (n != slice->count)
            return bad_lengths(infer->error);
    }
    if (rdl__op_has(infer->node, 4)) {
        RDL_TRY(rdl__op_ints(infer, 4, slice->steps, RDL_MAX_RANK, &n));
        if (n != slice->count)
            return bad_lengths(infer->error);
    }
    return RDL_OK;
}

/* Reads and cuts, for infer and for lower alike. */
static enum rdl_status slice_cut(const struct rdl__infer *infer, struct cut *cut)
{
    struct slice slice;
    if (infer->node->op->since < 10)
        RDL_TRY(read_slice_1(infer->node, &slice, infer->error));
    else
        RDL_TRY(read_slice_10(infer, &slice));
    return cut_all(cut, &infer->in[0].shape, &slice, infer->error);
}

static enum rdl_status check_slice_1(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axes", RDL__ATTR_INTS, false},
                                                  {"ends", RDL__ATTR_INTS, true},
                                                  {"starts", RDL__ATTR_INTS, true}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_slice(const struct rdl__infer *infer)
{
    struct cut cut;
    RDL_TRY(slice_cut(infer, &cut));
    return rdl__op_out(infer, 0, infer->in[0].dtype, infer->in[0].shape.rank, cut.count);
}

static enum rdl_status lower_slice(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const struct rdl__infer infer = {.node = lower->node, .in = lower->in, .error = lower->error};
    struct cut cut;
    RDL_TRY(slice_cut(&infer, &cut));
    if (rdl__shape_equal(x, &lower->out[0].shape)) {
        bool reversed = false;
        for (int32_t d = 0; d < x->rank; d++)
            reversed = reversed || cut.step[d] != 1;
        if (!reversed)
            return rdl__lower_alias(lower, 0, 0);
    }
    int64_t strides[RDL_MAX_RANK];
    rdl__shape_strides(x, strides);
    struct rdl__k_move move = {.walk.rank = x->rank};
    memcpy(move.walk.dims, lower->out[0].shape.dims, sizeof move.walk.dims);
    rdl__shape_strides(&lower->out[0].shape, move.walk.stride[1]);
    for (int32_t d = 0; d < x->rank; d++) {
        move.src_offset += cut.start[d] * strides[d];
        move.walk.stride[0][d] = cut.step[d] * strides[d];
    }
    return rdl__op_move(lower, &move, lower->in[0].dtype, RDL__IN(0), RDL__OUT(0));
}

RDL__OPERATOR(Slice, 1, 1, 1, 1, 1, .check = check_slice_1, .infer = infer_slice,
              .lower = lower_slice);

/* Slice@10 (11, 13: clearer words, more dtypes). */
RDL__OPERATOR(Slice, 10, 3, 5, 1, 1, .value_inputs = 0x1e, .infer = infer_slice,
              .lower = lower_slice);

/* ------------------------------------------------------------------------------------- Transpose */

/* The input dimension that each output dimension is; the reverse order if perm is not given. */
static enum rdl_status read_perm(const struct rdl__node *node, int32_t rank, int32_t *perm,
                                 struct rdl_error *error)
{
    size_t n;
    const int64_t *given = rdl__attr_ints(node, "perm", &n);
    bool seen[RDL_MAX_RANK] = {false};
    if (given != NULL && n != (size_t)rank)
        return rdl__fail(error, RDL_ERR_SHAPE, "perm has %zu values, the input rank %" PRId32, n,
                         rank);
    for (int32_t d = 0; d < rank; d++) {
        const int64_t from = given != NULL ? given[d] : rank - 1 - d;
        if (from < 0 || from >= rank || seen[from])
            return rdl__fail(error, RDL_ERR_SHAPE, "perm is no permutation of 0..%" PRId32,
                             rank - 1);
        seen[from] = true;
        perm[d] = (int32_t)from;
    }
    return RDL_OK;
}

static enum rdl_status check_transpose(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"perm", RDL__ATTR_INTS, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_transpose(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    int32_t perm[RDL_MAX_RANK] = {0};
    int64_t dims[RDL_MAX_RANK];
    RDL_TRY(read_perm(infer->node, x->rank, perm, infer->error));
    for (int32_t d = 0; d < x->rank; d++)
        dims[d] = x->dims[perm[d]];
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank, dims);
}

static enum rdl_status lower_transpose(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape, *y = &lower->out[0].shape;
    int32_t perm[RDL_MAX_RANK] = {0};
    int64_t strides[RDL_MAX_RANK];
    RDL_TRY(read_perm(lower->node, x->rank, perm, lower->error));
    rdl__shape_strides(x, strides);
    struct rdl__k_move move = {.walk.rank = x->rank};
    memcpy(move.walk.dims, y->dims, sizeof move.walk.dims);
    rdl__shape_strides(y, move.walk.stride[1]);
    for (int32_t d = 0; d < x->rank; d++)
        move.walk.stride[0][d] = strides[perm[d]];
    struct rdl__k_walk merged = move.walk;
    rdl__k_walk_merge(&merged);
    if (merged.rank == 1 && (merged.stride[0][0] == 1 || merged.dims[0] == 1))
        return rdl__lower_alias(lower, 0, 0); /* only dimensions of 1 changed their place */
    return rdl__op_move(lower, &move, lower->in[0].dtype, RDL__IN(0), RDL__OUT(0));
}

/* Transpose@1 (13, 21, 23: more dtypes). */
RDL__OPERATOR(Transpose, 1, 1, 1, 1, 1, .check = check_transpose, .infer = infer_transpose,
              .lower = lower_transpose);

/* ---------------------------------------------------------------------------------------- Gather */

static enum rdl_status check_gather(const struct rdl__node *node, struct rdl_error *error)
{
    return RDL__CHECK_ATTRS(node, axis_optional, error);
}

static enum rdl_status infer_gather(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape, *indices = &infer->in[1].shape;
    if (infer->in[1].dtype != RDL_I64 && infer->in[1].dtype != RDL_I32)
        return rdl__op_bad_dtype(infer, 1);
    int32_t axis;
    RDL_TRY(rdl__op_axis(infer->error, rdl__attr_int(infer->node, "axis", 0), x->rank, &axis));
    int64_t dims[2 * RDL_MAX_RANK];
    int32_t rank = 0;
    for (int32_t d = 0; d < axis; d++)
        dims[rank++] = x->dims[d];
    for (int32_t d = 0; d < indices->rank; d++)
        dims[rank++] = indices->dims[d];
    for (int32_t d = axis + 1; d < x->rank; d++)
        dims[rank++] = x->dims[d];
    return rdl__op_out(infer, 0, infer->in[0].dtype, rank, dims);
}

static enum rdl_status lower_gather(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    if (lower->in[0].dtype == RDL_STRING)
        return rdl__op_no_kernel(lower, RDL_STRING);
    int32_t axis;
    RDL_TRY(rdl__op_axis(lower->error, rdl__attr_int(lower->node, "axis", 0), x->rank, &axis));
    struct rdl__k_gather params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->in[0].dtype),
                                   .wide = lower->in[1].dtype == RDL_I64,
                                   .outer = rdl__shape_product(x, 0, axis),
                                   .axis = x->dims[axis],
                                   .inner = rdl__shape_product(x, axis + 1, x->rank),
                                   .count = (int64_t)rdl__shape_count(&lower->in[1].shape)};
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    const size_t tiles = rdl__k_gather_plan(&params);
    return RDL__OP_STEP(lower, rdl__k_gather, params, tiles, bind);
}

/* Gather@1 (11: negative indices, 13: more dtypes). */
RDL__OPERATOR(Gather, 1, 2, 2, 1, 1, .check = check_gather, .infer = infer_gather,
              .lower = lower_gather);

/* ------------------------------------------------------------------------------------- Embedding */

static enum rdl_status infer_embedding(const struct rdl__infer *infer)
{
    const struct rdl__shape *ids = &infer->in[0].shape, *table = &infer->in[1].shape;
    if (infer->in[0].dtype != RDL_I64 && infer->in[0].dtype != RDL_I32)
        return rdl__op_bad_dtype(infer, 0);
    if (ids->rank < 1 || ids->dims[ids->rank - 1] != 1 || table->rank != 2 || table->dims[0] < 1)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "expected ids [.., 1] and a table of rank 2 that is not empty");
    int64_t dims[RDL_MAX_RANK] = {0};
    memcpy(dims, ids->dims, (size_t)ids->rank * sizeof *dims);
    dims[ids->rank - 1] = table->dims[1];
    return rdl__op_out(infer, 0, infer->in[1].dtype, ids->rank, dims);
}

static enum rdl_status lower_embedding(const struct rdl__lower *lower)
{
    const struct rdl__shape *table = &lower->in[1].shape;
    struct rdl__k_gather params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->in[1].dtype),
                                   .wide = lower->in[0].dtype == RDL_I64,
                                   .has_default = true,
                                   .first = rdl__attr_int(lower->node, "first", 0),
                                   .outer = 1,
                                   .axis = table->dims[0],
                                   .inner = table->dims[1],
                                   .count = (int64_t)rdl__shape_count(&lower->in[0].shape)};
    const struct rdl__operand bind[] = {RDL__IN(1), RDL__IN(0), RDL__OUT(0)};
    const size_t tiles = rdl__k_gather_plan(&params);
    return RDL__OP_STEP(lower, rdl__k_gather, params, tiles, bind);
}

/* Inputs: ids (i32 or i64) [.., 1], a table [classes + 1, N]. Row id - first of the table for each id, the
 * last row for an id of no class; what a fusion makes of a product with a one-hot matrix. */
RDL__INTERNAL_OPERATOR(Embedding, 2, 2, 1, 1, .infer = infer_embedding, .lower = lower_embedding);
