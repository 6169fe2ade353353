/*
 * Operators that choose elements: NonZero, Compress, TopK, OneHot, Trilu, ReverseSequence.
 */
#include "kernels/select.h"
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

static enum rdl_status check_axis(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* --------------------------------------------------------------------------------------- NonZero */

static enum rdl_status infer_nonzero(const struct rdl__infer *infer)
{
    const struct rdl__desc *x = &infer->in[0];
    if (x->dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    const int64_t dims[2] = {
        x->shape.rank,
        rdl__k_count_nonzero(x->dtype, x->data, (int64_t)rdl__shape_count(&x->shape))};
    return rdl__op_out(infer, 0, RDL_I64, 2, dims);
}

static enum rdl_status lower_nonzero(const struct rdl__lower *lower)
{
    struct rdl__k_nonzero params = {.dtype = lower->in[0].dtype,
                                    .shape = lower->in[0].shape,
                                    .found = lower->out[0].shape.dims[1]};
    const size_t tiles = rdl__k_nonzero_plan(&params);
    uint32_t counts;
    RDL_TRY(rdl__lower_temp(lower, tiles * sizeof(int64_t), &counts));
    const struct rdl__operand first[] = {RDL__IN(0), RDL__TEMP_WRITE(counts)};
    RDL_TRY(RDL__OP_STEP(lower, rdl__k_nonzero_count, params, tiles, first));
    const struct rdl__operand second[] = {RDL__IN(0), RDL__TEMP_READ(counts), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_nonzero, params, tiles, second);
}

/* NonZero@9 (13: more dtypes). */
RDL__OPERATOR(NonZero, 9, 1, 1, 1, 1, .value_inputs = 1u << 0, .flags = RDL__OP_COUNTS,
              .infer = infer_nonzero, .lower = lower_nonzero);

/* -------------------------------------------------------------------------------------- Compress */

/* The input as [outer, axis, inner]; flat if no axis is given. */
static enum rdl_status compress_dims(const struct rdl__node *node, const struct rdl__shape *x,
                                     struct rdl__k_compress *p, int32_t *axis,
                                     struct rdl_error *error)
{
    *axis = -1;
    p->outer = p->inner = 1;
    p->axis = (int64_t)rdl__shape_count(x);
    if (rdl__attr_find(node, "axis") == NULL)
        return RDL_OK;
    RDL_TRY(rdl__op_axis(error, rdl__attr_int(node, "axis", 0), x->rank, axis));
    p->outer = rdl__shape_product(x, 0, *axis);
    p->axis = x->dims[*axis];
    p->inner = rdl__shape_product(x, *axis + 1, x->rank);
    return RDL_OK;
}

static enum rdl_status infer_compress(const struct rdl__infer *infer)
{
    const struct rdl__desc *condition = &infer->in[1];
    struct rdl__k_compress params;
    struct rdl__shape out = infer->in[0].shape;
    int32_t axis;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    if (condition->dtype != RDL_BOOL)
        return rdl__op_bad_dtype(infer, 1);
    RDL_TRY(rdl__op_rank(infer, 1, 1, 1));
    RDL_TRY(compress_dims(infer->node, &infer->in[0].shape, &params, &axis, infer->error));
    if (condition->shape.dims[0] > params.axis)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 1: %" PRId64 " conditions for %" PRId64 " slices",
                         condition->shape.dims[0], params.axis);
    const int64_t found = rdl__k_count_nonzero(RDL_BOOL, condition->data, condition->shape.dims[0]);
    if (axis < 0)
        return rdl__op_out(infer, 0, infer->in[0].dtype, 1, &found);
    out.dims[axis] = found;
    return rdl__op_out(infer, 0, infer->in[0].dtype, out.rank, out.dims);
}

static enum rdl_status lower_compress(const struct rdl__lower *lower)
{
    struct rdl__k_compress params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->in[0].dtype),
                                     .n = lower->in[1].shape.dims[0]};
    int32_t axis;
    RDL_TRY(compress_dims(lower->node, &lower->in[0].shape, &params, &axis, lower->error));
    params.found = lower->out[0].shape.dims[axis < 0 ? 0 : axis];
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_compress, params, (size_t)params.outer, bind);
}

/* Compress@9 (11: negative axes, 28: more dtypes). */
RDL__OPERATOR(Compress, 9, 2, 2, 1, 1, .value_inputs = 1u << 1, .flags = RDL__OP_COUNTS,
              .check = check_axis, .infer = infer_compress, .lower = lower_compress);

/* ------------------------------------------------------------------------------------------ TopK */

static enum rdl_status check_topk_1(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"k", RDL__ATTR_INT, true}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_topk_11(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"largest", RDL__ATTR_INT, false},
                                                  {"sorted", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_topk(const struct rdl__infer *infer)
{
    struct rdl__shape out = infer->in[0].shape;
    int64_t k = rdl__attr_int(infer->node, "k", 0);
    int32_t axis;
    size_t n;
    if (!rdl__k_topk_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    if (infer->node->op->since >= 10) {
        RDL_TRY(rdl__op_ints(infer, 1, &k, 1, &n));
        if (n != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 1 (k) is empty");
    }
    RDL_TRY(rdl__op_axis(infer->error, rdl__attr_int(infer->node, "axis", -1), out.rank, &axis));
    if (k < 0 || k > out.dims[axis])
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "k is %" PRId64 ", axis %" PRId32 " has %" PRId64, k, axis,
                         out.dims[axis]);
    out.dims[axis] = k;
    RDL_TRY(rdl__op_out(infer, 0, infer->in[0].dtype, out.rank, out.dims));
    return infer->node->n_outputs < 2 ? RDL_OK : rdl__op_out(infer, 1, RDL_I64, out.rank, out.dims);
}

static enum rdl_status lower_topk(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const struct rdl__node *node = lower->node;
    int32_t axis;
    RDL_TRY(rdl__op_axis(lower->error, rdl__attr_int(node, "axis", -1), x->rank, &axis));
    struct rdl__k_topk params = {.dtype = lower->in[0].dtype,
                                 .smallest = rdl__attr_int(node, "largest", 1) == 0,
                                 .outer = rdl__shape_product(x, 0, axis),
                                 .axis = x->dims[axis],
                                 .inner = rdl__shape_product(x, axis + 1, x->rank),
                                 .k = lower->out[0].shape.dims[axis]};
    struct rdl__step_spec spec = {.fn = rdl__k_topk,
                                  .params = &params,
                                  .params_bytes = sizeof params,
                                  .tiles = rdl__k_topk_plan(&params),
                                  .n_bind = 3,
                                  .bind = {RDL__IN(0)}};
    if (!rdl__k_topk_scratch(&params, &spec.scratch_bytes))
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "k is too large");
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE)
            spec.bind[1 + i] = RDL__OUT(i);
    return rdl__lower_step(lower, &spec);
}

/* TopK@1: k is an attribute; @10: an input; @11 (24: more dtypes): the smallest, or in no order. */
RDL__OPERATOR(TopK, 1, 1, 1, 1, 2, .check = check_topk_1, .infer = infer_topk, .lower = lower_topk);
RDL__OPERATOR(TopK, 10, 2, 2, 1, 2, .value_inputs = 1u << 1, .check = check_axis,
              .infer = infer_topk, .lower = lower_topk);
RDL__OPERATOR(TopK, 11, 2, 2, 1, 2, .value_inputs = 1u << 1, .check = check_topk_11,
              .infer = infer_topk, .lower = lower_topk);

/* ---------------------------------------------------------------------------------------- OneHot */

/* A scalar of any number dtype, cut to an integer. */
static enum rdl_status read_scalar(const struct rdl__infer *infer, uint32_t i, int64_t *value)
{
    const struct rdl__desc *in = &infer->in[i];
    if (in->dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, i);
    if (rdl__shape_count(&in->shape) != 1)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input %" PRIu32 " is no scalar", i);
    const struct rdl__k_cast cast = {.from = in->dtype, .to = RDL_I64, .count = 1, .tile_elems = 1};
    void *const bind[] = {(void *)(uintptr_t)in->data, value};
    const struct rdl__kernel_call call = {
        .params = &cast, .bind = bind, .tile_begin = 0, .tile_end = 1};
    return rdl__k_cast_ref(&call);
}

/* Where the new axis stands. */
static enum rdl_status one_hot_axis(const struct rdl__node *node, int32_t rank, int32_t *axis,
                                    struct rdl_error *error)
{
    return rdl__op_axis(error, rdl__attr_int(node, "axis", -1), rank + 1, axis);
}

static enum rdl_status infer_one_hot(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    int64_t dims[RDL_MAX_RANK + 1], depth = 0;
    int32_t axis;
    for (uint32_t i = 0; i < 3; i++)
        if (infer->in[i].dtype == RDL_STRING || (i == 0 && infer->in[i].dtype == RDL_BOOL))
            return rdl__op_bad_dtype(infer, i);
    RDL_TRY(rdl__op_rank(infer, 2, 1, 1));
    if (infer->in[2].shape.dims[0] != 2)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 2 (values) has not two elements");
    RDL_TRY(read_scalar(infer, 1, &depth));
    RDL_TRY(one_hot_axis(infer->node, x->rank, &axis, infer->error));
    for (int32_t d = 0; d < x->rank; d++)
        dims[d < axis ? d : d + 1] = x->dims[d];
    dims[axis] = depth;
    return rdl__op_out(infer, 0, infer->in[2].dtype, x->rank + 1, dims);
}

static enum rdl_status lower_one_hot(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const int64_t count = (int64_t)rdl__shape_count(x);
    struct rdl__operand indices = RDL__IN(0);
    int32_t axis;
    RDL_TRY(one_hot_axis(lower->node, x->rank, &axis, lower->error));
    if (lower->in[0].dtype != RDL_I64) {
        uint32_t temp;
        struct rdl__k_cast cast = {.from = lower->in[0].dtype, .to = RDL_I64};
        const size_t tiles = rdl__k_cast_plan(&cast, count);
        RDL_TRY(rdl__lower_temp(lower, (size_t)count * sizeof(int64_t), &temp));
        const struct rdl__operand bind[] = {indices, RDL__TEMP_WRITE(temp)};
        RDL_TRY(RDL__OP_STEP(lower, rdl__k_cast_ref, cast, tiles, bind));
        indices = RDL__TEMP_READ(temp);
    }
    struct rdl__k_one_hot params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->out[0].dtype),
                                    .outer = rdl__shape_product(x, 0, axis),
                                    .depth = lower->out[0].shape.dims[axis],
                                    .inner = rdl__shape_product(x, axis, x->rank)};
    const size_t tiles = rdl__k_one_hot_plan(&params);
    const struct rdl__operand bind[] = {indices, RDL__IN(2), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_one_hot, params, tiles, bind);
}

/* OneHot@9 (11: negative axes and indices, 28: more dtypes). */
RDL__OPERATOR(OneHot, 9, 3, 3, 1, 1, .value_inputs = 1u << 1, .check = check_axis,
              .infer = infer_one_hot, .lower = lower_one_hot);

/* ----------------------------------------------------------------------------------------- Trilu */

static enum rdl_status check_trilu(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"upper", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_trilu(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    if (rdl__op_has(infer->node, 1)) {
        if (infer->in[1].dtype != RDL_I64)
            return rdl__op_bad_dtype(infer, 1);
        if (rdl__shape_count(&infer->in[1].shape) != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 1 (k) is no scalar");
    }
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_trilu(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    struct rdl__k_trilu params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->in[0].dtype),
                                  .upper = rdl__attr_int(lower->node, "upper", 1) != 0,
                                  .matrices = rdl__shape_product(x, 0, x->rank - 2),
                                  .rows = x->dims[x->rank - 2],
                                  .cols = x->dims[x->rank - 1]};
    const size_t tiles = rdl__k_trilu_plan(&params);
    struct rdl__operand bind[] = {RDL__IN(0), {0}, RDL__OUT(0)};
    if (rdl__op_has(lower->node, 1))
        bind[1] = RDL__IN(1);
    return RDL__OP_STEP(lower, rdl__k_trilu, params, tiles, bind);
}

RDL__OPERATOR(Trilu, 14, 1, 2, 1, 1, .check = check_trilu, .infer = infer_trilu,
              .lower = lower_trilu);

/* ------------------------------------------------------------------------------- ReverseSequence */

static enum rdl_status check_reverse(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"batch_axis", RDL__ATTR_INT, false},
                                                  {"time_axis", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const int64_t batch = rdl__attr_int(node, "batch_axis", 1);
    const int64_t time = rdl__attr_int(node, "time_axis", 0);
    if (batch + time != 1 || batch < 0 || batch > 1)
        return rdl__fail(error, RDL_ERR_MODEL,
                         "%s: batch_axis %" PRId64 " and time_axis %" PRId64
                         " are not 0 and 1 in some order",
                         RDL__NODE_TEXT(node), batch, time);
    return RDL_OK;
}

static enum rdl_status infer_reverse(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    if (infer->in[1].dtype != RDL_I64)
        return rdl__op_bad_dtype(infer, 1);
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    RDL_TRY(rdl__op_rank(infer, 1, 1, 1));
    const int64_t batch = infer->in[0].shape.dims[rdl__attr_int(infer->node, "batch_axis", 1)];
    if (infer->in[1].shape.dims[0] != batch)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 1: %" PRId64 " lengths for a batch of %" PRId64,
                         infer->in[1].shape.dims[0], batch);
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_reverse(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const bool time_first = rdl__attr_int(lower->node, "time_axis", 0) == 0;
    const struct rdl__k_reverse params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->in[0].dtype),
                                          .time_first = time_first,
                                          .time = x->dims[time_first ? 0 : 1],
                                          .batch = x->dims[time_first ? 1 : 0],
                                          .inner = rdl__shape_product(x, 2, x->rank)};
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_reverse, params, (size_t)x->dims[0], bind);
}

/* ReverseSequence@10 (28: more dtypes). */
RDL__OPERATOR(ReverseSequence, 10, 2, 2, 1, 1, .check = check_reverse, .infer = infer_reverse,
              .lower = lower_reverse);
