/*
 * Operators that read or write where indices say: GatherElements, GatherND, ScatterElements, Scatter,
 * ScatterND, TensorScatter. The scatters copy the data and then write the updates, in the order of the indices.
 */
#include "kernels/scatter.h"
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

static enum rdl_status check_axis(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status indices_dtype(const struct rdl__infer *infer)
{
    const enum rdl_dtype dtype = infer->in[1].dtype;
    return dtype == RDL_I64 || dtype == RDL_I32 ? RDL_OK : rdl__op_bad_dtype(infer, 1);
}

/* Copies input 0 to output 0. */
static enum rdl_status lower_copy(const struct rdl__lower *lower)
{
    struct rdl__k_move move = {.walk = {.rank = 1}};
    move.walk.dims[0] = (int64_t)rdl__shape_count(&lower->out[0].shape);
    move.walk.stride[0][0] = move.walk.stride[1][0] = 1;
    return rdl__op_move(lower, &move, lower->in[0].dtype, RDL__IN(0), RDL__OUT(0));
}

/* ------------------------------------------------------------------------------ indices an element */

/* The indices have the data's rank, and their dimensions fit beside the axis. */
static enum rdl_status check_elements(const struct rdl__infer *infer, int32_t *axis)
{
    const struct rdl__shape *x = &infer->in[0].shape, *indices = &infer->in[1].shape;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(indices_dtype(infer));
    RDL_TRY(rdl__op_rank(infer, 0, 1, RDL_MAX_RANK));
    RDL_TRY(rdl__op_rank(infer, 1, x->rank, x->rank));
    RDL_TRY(rdl__op_axis(infer->error, rdl__attr_int(infer->node, "axis", 0), x->rank, axis));
    for (int32_t d = 0; d < x->rank; d++)
        if (d != *axis && indices->dims[d] > x->dims[d])
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "input 1: dimension %" PRId32 " is %" PRId64
                             ", the data have %" PRId64,
                             d, indices->dims[d], x->dims[d]);
    return RDL_OK;
}

static enum rdl_status make_elements(const struct rdl__lower *lower, struct rdl__k_elements *p)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    *p = (struct rdl__k_elements){
        .dtype = lower->in[0].dtype, .wide = lower->in[1].dtype == RDL_I64, .rank = x->rank};
    RDL_TRY(rdl__op_axis(lower->error, rdl__attr_int(lower->node, "axis", 0), x->rank, &p->axis));
    memcpy(p->dims, lower->in[1].shape.dims, sizeof p->dims);
    rdl__shape_strides(x, p->stride);
    p->axis_dim = x->dims[p->axis];
    return RDL_OK;
}

static enum rdl_status infer_gather_elements(const struct rdl__infer *infer)
{
    int32_t axis;
    RDL_TRY(check_elements(infer, &axis));
    return rdl__op_out(infer, 0, infer->in[0].dtype, infer->in[1].shape.rank,
                       infer->in[1].shape.dims);
}

static enum rdl_status lower_gather_elements(const struct rdl__lower *lower)
{
    struct rdl__k_elements params;
    RDL_TRY(make_elements(lower, &params));
    const size_t tiles = rdl__k_gather_elements_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_gather_elements, params, tiles, bind);
}

/* GatherElements@11 (13: more dtypes). */
RDL__OPERATOR(GatherElements, 11, 2, 2, 1, 1, .check = check_axis, .infer = infer_gather_elements,
              .lower = lower_gather_elements);

/* How the reduction attribute joins; -1 if the version knows no such one. */
static int how_of(const struct rdl__node *node)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *text = rdl__attr_text(node, "reduction", "none");
    const int n = node->op->since < 18 ? 3 : 5;
    for (int i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

/* The same of a node that was checked. */
static int known_how(const struct rdl__node *node)
{
    const int how = how_of(node);
    return how < 0 ? 0 : how;
}

static enum rdl_status check_reduction(const struct rdl__node *node, struct rdl_error *error)
{
    if (how_of(node) < 0)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: reduction \"%s\" is not known",
                         RDL__NODE_TEXT(node),
                         RDL__NAME_TEXT(rdl__attr_text(node, "reduction", "")));
    return RDL_OK;
}

static enum rdl_status check_scatter_elements(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"reduction", RDL__ATTR_STRING, false}};
    if (node->op->since < 16)
        return check_axis(node, error);
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_reduction(node, error);
}

/* What the scatters have in common: dtypes. */
static enum rdl_status check_updates(const struct rdl__infer *infer)
{
    if (!rdl__k_scatter_takes((enum rdl__k_scatter_how)known_how(infer->node), infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    return rdl__op_same_dtype(infer, 2);
}

static enum rdl_status infer_scatter_elements(const struct rdl__infer *infer)
{
    int32_t axis;
    RDL_TRY(check_elements(infer, &axis));
    RDL_TRY(check_updates(infer));
    if (!rdl__shape_equal(&infer->in[1].shape, &infer->in[2].shape)) {
        char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "updates are %s, indices %s",
                         rdl__shape_text(&infer->in[2].shape, b, sizeof b),
                         rdl__shape_text(&infer->in[1].shape, a, sizeof a));
    }
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_scatter_elements(const struct rdl__lower *lower)
{
    struct rdl__k_elements params;
    RDL_TRY(make_elements(lower, &params));
    params.how = (enum rdl__k_scatter_how)known_how(lower->node);
    const size_t tiles = rdl__k_scatter_elements_plan(&params);
    if (tiles == 0)
        return rdl__lower_alias(lower, 0, 0);
    RDL_TRY(lower_copy(lower));
    const struct rdl__operand bind[] = {RDL__IN(1), RDL__IN(2), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_scatter_elements, params, tiles, bind);
}

#define SCATTER_OP(name_, since_, check_, infer_, lower_)                                          \
    RDL__OPERATOR(name_, since_, 3, 3, 1, 1, .check = (check_), .infer = (infer_),                 \
                  .lower = (lower_));

/* Scatter@9 (11: gone); ScatterElements@11 (13: more dtypes), @16: add and mul, @18: max and min. */
SCATTER_OP(Scatter, 9, check_axis, infer_scatter_elements, lower_scatter_elements)
SCATTER_OP(ScatterElements, 11, check_axis, infer_scatter_elements, lower_scatter_elements)
SCATTER_OP(ScatterElements, 16, check_scatter_elements, infer_scatter_elements,
           lower_scatter_elements)
SCATTER_OP(ScatterElements, 18, check_scatter_elements, infer_scatter_elements,
           lower_scatter_elements)

/* -------------------------------------------------------------------------------- indices a slice */

static int32_t batch_dims(const struct rdl__node *node)
{
    return (int32_t)rdl__attr_int(node, "batch_dims", 0);
}

/* Number of indices in a tuple; checks that the data have so many dimensions behind the batch. */
static enum rdl_status read_depth(const struct rdl__infer *infer, int32_t batch, int32_t *depth)
{
    const struct rdl__shape *x = &infer->in[0].shape, *indices = &infer->in[1].shape;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    if (infer->in[1].dtype != RDL_I64)
        return rdl__op_bad_dtype(infer, 1);
    RDL_TRY(rdl__op_rank(infer, 0, batch + 1, RDL_MAX_RANK));
    RDL_TRY(rdl__op_rank(infer, 1, batch + 1, RDL_MAX_RANK));
    const int64_t last = indices->dims[indices->rank - 1];
    if (last < 0 || last > x->rank - batch)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 1: tuples of %" PRId64 " indices, the data have %" PRId32
                         " dimensions for them",
                         last, x->rank - batch);
    *depth = (int32_t)last;
    return RDL_OK;
}

static void make_slices(const struct rdl__lower *lower, int32_t batch, struct rdl__k_slices *p)
{
    const struct rdl__shape *x = &lower->in[0].shape, *indices = &lower->in[1].shape;
    int64_t strides[RDL_MAX_RANK];
    rdl__shape_strides(x, strides);
    *p = (struct rdl__k_slices){.dtype = lower->in[0].dtype,
                                .depth = (int32_t)indices->dims[indices->rank - 1],
                                .batches = rdl__shape_product(x, 0, batch),
                                .batch_rows = rdl__shape_product(indices, batch, indices->rank - 1),
                                .batch_elems = rdl__shape_product(x, batch, x->rank)};
    for (int32_t k = 0; k < p->depth; k++) {
        p->dims[k] = x->dims[batch + k];
        p->stride[k] = strides[batch + k];
    }
    p->inner = rdl__shape_product(x, batch + p->depth, x->rank);
}

static enum rdl_status check_gather_nd(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"batch_dims", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const int64_t batch = rdl__attr_int(node, "batch_dims", 0);
    if (batch < 0 || batch >= RDL_MAX_RANK)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: batch_dims is %" PRId64, RDL__NODE_TEXT(node),
                         batch);
    return RDL_OK;
}

static enum rdl_status infer_gather_nd(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape, *indices = &infer->in[1].shape;
    const int32_t batch = batch_dims(infer->node);
    int64_t dims[2 * RDL_MAX_RANK] = {0};
    int32_t depth = 0, rank = 0;
    RDL_TRY(read_depth(infer, batch, &depth));
    for (int32_t d = 0; d < batch; d++)
        if (x->dims[d] != indices->dims[d])
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "batch dimension %" PRId32 " is %" PRId64 " and %" PRId64, d,
                             x->dims[d], indices->dims[d]);
    for (int32_t d = 0; d < indices->rank - 1; d++)
        dims[rank++] = indices->dims[d];
    for (int32_t d = batch + depth; d < x->rank; d++)
        dims[rank++] = x->dims[d];
    return rdl__op_out(infer, 0, infer->in[0].dtype, rank, dims);
}

static enum rdl_status lower_gather_nd(const struct rdl__lower *lower)
{
    struct rdl__k_slices params;
    make_slices(lower, batch_dims(lower->node), &params);
    const size_t tiles = rdl__k_gather_nd_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_gather_nd, params, tiles, bind);
}

/* GatherND@11 (12: batch_dims, 13: more dtypes). */
RDL__OPERATOR(GatherND, 11, 2, 2, 1, 1, .check = check_gather_nd, .infer = infer_gather_nd,
              .lower = lower_gather_nd);

static enum rdl_status check_scatter_nd(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"reduction", RDL__ATTR_STRING, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_reduction(node, error);
}

static enum rdl_status infer_scatter_nd(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape, *indices = &infer->in[1].shape;
    int32_t depth = 0;
    RDL_TRY(read_depth(infer, 0, &depth));
    RDL_TRY(check_updates(infer));
    struct rdl__shape want = {.rank = 0};
    int64_t dims[2 * RDL_MAX_RANK] = {0};
    int32_t rank = 0;
    for (int32_t d = 0; d < indices->rank - 1; d++)
        dims[rank++] = indices->dims[d];
    for (int32_t d = depth; d < x->rank; d++)
        dims[rank++] = x->dims[d];
    RDL_TRY(rdl__shape_check(rank, dims, infer->error));
    rdl__shape_set(&want, rank, dims);
    if (!rdl__shape_equal(&want, &infer->in[2].shape)) {
        char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "updates are %s, expected %s",
                         rdl__shape_text(&infer->in[2].shape, a, sizeof a),
                         rdl__shape_text(&want, b, sizeof b));
    }
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_scatter_nd(const struct rdl__lower *lower)
{
    struct rdl__k_slices params;
    make_slices(lower, 0, &params);
    params.how = (enum rdl__k_scatter_how)known_how(lower->node);
    if (params.batch_rows == 0)
        return rdl__lower_alias(lower, 0, 0);
    RDL_TRY(lower_copy(lower));
    const size_t tiles = rdl__k_scatter_nd_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(1), RDL__IN(2), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_scatter_nd, params, tiles, bind);
}

/* ScatterND@11 (13: more dtypes), @16: add and mul, @18: max and min. */
SCATTER_OP(ScatterND, 11, NULL, infer_scatter_nd, lower_scatter_nd)
SCATTER_OP(ScatterND, 16, check_scatter_nd, infer_scatter_nd, lower_scatter_nd)
SCATTER_OP(ScatterND, 18, check_scatter_nd, infer_scatter_nd, lower_scatter_nd)

/* ---------------------------------------------------------------------------------- TensorScatter */

static bool is_circular(const struct rdl__node *node)
{
    return strcmp(rdl__attr_text(node, "mode", "linear"), "circular") == 0;
}

static enum rdl_status check_rows(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"mode", RDL__ATTR_STRING, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const char *mode = rdl__attr_text(node, "mode", "linear");
    if (is_circular(node) || strcmp(mode, "linear") == 0)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_MODEL, "%s: mode \"%s\" is not known", RDL__NODE_TEXT(node),
                     RDL__NAME_TEXT(mode));
}

/* The dimension of rows, behind that of the batch. */
static enum rdl_status rows_axis(const struct rdl__node *node, int32_t rank, int32_t *axis,
                                 struct rdl_error *error)
{
    RDL_TRY(rdl__op_axis(error, rdl__attr_int(node, "axis", -2), rank, axis));
    return *axis > 0 ? RDL_OK
                     : rdl__fail(error, RDL_ERR_SHAPE, "axis 0 is the dimension of the batch");
}

static enum rdl_status infer_rows(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape, *updates = &infer->in[1].shape;
    int32_t axis;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    RDL_TRY(rdl__op_rank(infer, 1, x->rank, x->rank));
    RDL_TRY(rows_axis(infer->node, x->rank, &axis, infer->error));
    for (int32_t d = 0; d < x->rank; d++)
        if (d == axis ? updates->dims[d] > x->dims[d] : updates->dims[d] != x->dims[d]) {
            char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "updates %s do not fit data %s",
                             rdl__shape_text(updates, a, sizeof a),
                             rdl__shape_text(x, b, sizeof b));
        }
    if (rdl__op_has(infer->node, 2)) {
        if (infer->in[2].dtype != RDL_I64)
            return rdl__op_bad_dtype(infer, 2);
        RDL_TRY(rdl__op_rank(infer, 2, 1, 1));
        if (infer->in[2].shape.dims[0] != x->dims[0])
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "%" PRId64 " write indices for a batch of %" PRId64,
                             infer->in[2].shape.dims[0], x->dims[0]);
    }
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_rows(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    int32_t axis;
    RDL_TRY(rows_axis(lower->node, x->rank, &axis, lower->error));
    struct rdl__k_scatter_rows params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->in[0].dtype),
                                         .circular = is_circular(lower->node),
                                         .batch = x->dims[0],
                                         .planes = rdl__shape_product(x, 1, axis),
                                         .rows = lower->in[1].shape.dims[axis],
                                         .axis = x->dims[axis],
                                         .inner = rdl__shape_product(x, axis + 1, x->rank)};
    if (params.rows == 0)
        return rdl__lower_alias(lower, 0, 0);
    RDL_TRY(lower_copy(lower));
    const size_t tiles = rdl__k_scatter_rows_plan(&params);
    struct rdl__operand bind[] = {RDL__IN(1), {0}, RDL__OUT(0)};
    if (rdl__op_has(lower->node, 2))
        bind[1] = RDL__IN(2);
    return RDL__OP_STEP(lower, rdl__k_scatter_rows, params, tiles, bind);
}

/* TensorScatter@24. */
RDL__OPERATOR(TensorScatter, 24, 2, 3, 1, 1, .check = check_rows, .infer = infer_rows,
              .lower = lower_rows);
