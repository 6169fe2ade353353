/*
 * Operators that fold a tensor along axes: ReduceSum and its kin, ArgMax, ArgMin, CumSum, CumProd.
 */
#include "ops/reduce.h"

#include <inttypes.h>

/* ---------------------------------------------------------------------------------------- folding */

enum rdl_status rdl__reduce_step(const struct rdl__lower *lower, enum rdl__k_reduce_op op,
                                 const bool fold[RDL_MAX_RANK], struct rdl__operand from,
                                 struct rdl__operand to)
{
    const enum rdl_dtype dtype = lower->in[0].dtype;
    struct rdl__k_reduce params = {.op = op, .dtype = dtype};
    const size_t tiles = rdl__k_reduce_plan(&params, &lower->in[0].shape, fold);
    const struct rdl__operand bind[] = {from, to};
    const bool fast = dtype == RDL_F32 && rdl__k_reduce_f32_has(op);
    return RDL__OP_STEP(lower, fast ? rdl__op_f32(lower)->reduce : rdl__k_reduce_ref, params, tiles,
                        bind);
}

/* Axes are an attribute, or with noop_with_empty_axes an input. */
static enum rdl_status check_axes_attr(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axes", RDL__ATTR_INTS, false},
                                                  {"keepdims", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_axes_input(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"keepdims", RDL__ATTR_INT, false},
                                                  {"noop_with_empty_axes", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* The axes that are folded. None given means all of them, or with noop_with_empty_axes none. */
static enum rdl_status read_axes(const struct rdl__infer *infer, bool fold[RDL_MAX_RANK])
{
    const struct rdl__node *node = infer->node;
    const int32_t rank = infer->in[0].shape.rank;
    int64_t values[RDL_MAX_RANK];
    const int64_t *axes = values;
    size_t n = 0;
    if (node->op->value_inputs == 0)
        axes = rdl__attr_ints(node, "axes", &n);
    else if (rdl__op_has(node, 1))
        RDL_TRY(rdl__op_ints(infer, 1, values, RDL_MAX_RANK, &n));
    const bool all = n == 0 && rdl__attr_int(node, "noop_with_empty_axes", 0) == 0;
    for (int32_t d = 0; d < RDL_MAX_RANK; d++)
        fold[d] = all && d < rank;
    for (size_t i = 0; i < n; i++) {
        int32_t axis;
        RDL_TRY(rdl__op_axis(infer->error, axes[i], rank, &axis));
        if (fold[axis])
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "axis %" PRId32 " is named twice", axis);
        fold[axis] = true;
    }
    return RDL_OK;
}

/* Gives output 0 the shape of input 0 with the folded dimensions 1, or dropped. */
static enum rdl_status folded_shape(const struct rdl__infer *infer, enum rdl_dtype dtype,
                                    const bool fold[RDL_MAX_RANK])
{
    const struct rdl__shape *x = &infer->in[0].shape;
    const bool keep = rdl__attr_int(infer->node, "keepdims", 1) != 0;
    int64_t dims[RDL_MAX_RANK];
    int32_t rank = 0;
    for (int32_t d = 0; d < x->rank; d++) {
        if (!fold[d])
            dims[rank++] = x->dims[d];
        else if (keep)
            dims[rank++] = 1;
    }
    return rdl__op_out(infer, 0, dtype, rank, rank > 0 ? dims : NULL);
}

static enum rdl_status infer_reduce(const struct rdl__infer *infer, enum rdl__k_reduce_op op)
{
    const enum rdl_dtype dtype = infer->in[0].dtype;
    bool fold[RDL_MAX_RANK];
    if (!rdl__k_reduce_takes(op, dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(read_axes(infer, fold));
    return folded_shape(infer, dtype, fold);
}

static enum rdl_status lower_reduce(const struct rdl__lower *lower, enum rdl__k_reduce_op op)
{
    const struct rdl__infer infer = {.node = lower->node, .in = lower->in, .error = lower->error};
    bool fold[RDL_MAX_RANK];
    RDL_TRY(read_axes(&infer, fold));
    if (op != RDL__K_REDUCE_LOG_SUM || lower->in[0].dtype != RDL_F32)
        return rdl__reduce_step(lower, op, fold, RDL__IN(0), RDL__OUT(0));
    struct rdl__k_unary log = {.op = RDL__K_UNARY_LOG, .dtype = RDL_F32};
    RDL_TRY(rdl__reduce_step(lower, RDL__K_REDUCE_SUM, fold, RDL__IN(0), RDL__OUT(0)));
    return rdl__op_unary(lower, &log, (int64_t)rdl__shape_count(&lower->out[0].shape), RDL__OUT(0),
                         RDL__OUT(0));
}

#define REDUCE_TABLE(name_, since_, most, values, check_)                                          \
    RDL__OPERATOR(name_, since_, 1, most, 1, 1, .value_inputs = (values), .check = (check_),       \
                  .infer = infer_##name_, .lower = lower_##name_);

#define REDUCE_OP(name_, axes_since, kind)                                                         \
    static enum rdl_status infer_##name_(const struct rdl__infer *infer)                           \
    {                                                                                              \
        return infer_reduce(infer, RDL__K_REDUCE_##kind);                                          \
    }                                                                                              \
    static enum rdl_status lower_##name_(const struct rdl__lower *lower)                           \
    {                                                                                              \
        return lower_reduce(lower, RDL__K_REDUCE_##kind);                                          \
    }                                                                                              \
    REDUCE_TABLE(name_, 1, 1, 0, check_axes_attr)                                                  \
    REDUCE_TABLE(name_, axes_since, 2, 1u << 1, check_axes_input)

/* Axes become an input at 13 (ReduceSum) or 18 (the others); 11: negative axes; 12, 13, 20: more
 * dtypes. */
REDUCE_OP(ReduceL1, 18, L1)
REDUCE_OP(ReduceL2, 18, L2)
REDUCE_OP(ReduceLogSum, 18, LOG_SUM)
REDUCE_OP(ReduceLogSumExp, 18, LOG_SUM_EXP)
REDUCE_OP(ReduceMax, 18, MAX)
REDUCE_OP(ReduceMean, 18, MEAN)
REDUCE_OP(ReduceMin, 18, MIN)
REDUCE_OP(ReduceProd, 18, PROD)
REDUCE_OP(ReduceSum, 13, SUM)
REDUCE_OP(ReduceSumSquare, 18, SUM_SQUARE)

/* ----------------------------------------------------------------------------------------- places */

static enum rdl_status check_arg_1(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"keepdims", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_arg_12(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"keepdims", RDL__ATTR_INT, false},
                                                  {"select_last_index", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_arg(const struct rdl__infer *infer)
{
    bool fold[RDL_MAX_RANK] = {false};
    int32_t axis;
    if (!rdl__k_arg_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 1, RDL_MAX_RANK));
    RDL_TRY(rdl__op_axis(infer->error, rdl__attr_int(infer->node, "axis", 0),
                         infer->in[0].shape.rank, &axis));
    if (infer->in[0].shape.dims[axis] == 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "axis %" PRId32 " has no elements", axis);
    fold[axis] = true;
    return folded_shape(infer, RDL_I64, fold);
}

static enum rdl_status lower_arg(const struct rdl__lower *lower, bool least)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    int32_t axis;
    RDL_TRY(rdl__op_axis(lower->error, rdl__attr_int(lower->node, "axis", 0), x->rank, &axis));
    struct rdl__k_arg params = {.dtype = lower->in[0].dtype,
                                .least = least,
                                .last = rdl__attr_int(lower->node, "select_last_index", 0) != 0,
                                .outer = rdl__shape_product(x, 0, axis),
                                .size = x->dims[axis],
                                .inner = rdl__shape_product(x, axis + 1, x->rank)};
    const size_t tiles = rdl__k_arg_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_arg, params, tiles, bind);
}

static enum rdl_status lower_arg_max(const struct rdl__lower *lower)
{
    return lower_arg(lower, false);
}

static enum rdl_status lower_arg_min(const struct rdl__lower *lower)
{
    return lower_arg(lower, true);
}

#define UNARY_TABLE(name_, since_, more_flags, check_, infer_, lower_)                             \
    RDL__OPERATOR(name_, since_, 1, 1, 1, 1, .flags = (more_flags), .check = (check_),             \
                  .infer = (infer_), .lower = (lower_));

/* ArgMax@1 (11: negative axes) and @12 (13: more dtypes) with select_last_index; ArgMin likewise. */
UNARY_TABLE(ArgMax, 1, 0, check_arg_1, infer_arg, lower_arg_max)
UNARY_TABLE(ArgMax, 12, 0, check_arg_12, infer_arg, lower_arg_max)
UNARY_TABLE(ArgMin, 1, 0, check_arg_1, infer_arg, lower_arg_min)
UNARY_TABLE(ArgMin, 12, 0, check_arg_12, infer_arg, lower_arg_min)

/* --------------------------------------------------------------------------------- CumSum, CumProd */

static enum rdl_status check_cumsum(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"exclusive", RDL__ATTR_INT, false},
                                                  {"reverse", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* The axis is a number of input 1. */
static enum rdl_status cumsum_axis(const struct rdl__infer *infer, int32_t *axis)
{
    int64_t value = 0;
    size_t n;
    RDL_TRY(rdl__op_ints(infer, 1, &value, 1, &n));
    if (n != 1)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 1 (axis) has no element");
    return rdl__op_axis(infer->error, value, infer->in[0].shape.rank, axis);
}

static enum rdl_status infer_cumsum(const struct rdl__infer *infer)
{
    int32_t axis;
    if (!rdl__k_cumsum_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(cumsum_axis(infer, &axis));
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_running(const struct rdl__lower *lower, bool product)
{
    const struct rdl__infer infer = {.node = lower->node, .in = lower->in, .error = lower->error};
    const struct rdl__shape *x = &lower->in[0].shape;
    int32_t axis;
    RDL_TRY(cumsum_axis(&infer, &axis));
    struct rdl__k_cumsum params = {.dtype = lower->in[0].dtype,
                                   .product = product,
                                   .exclusive = rdl__attr_int(lower->node, "exclusive", 0) != 0,
                                   .reverse = rdl__attr_int(lower->node, "reverse", 0) != 0,
                                   .outer = rdl__shape_product(x, 0, axis),
                                   .size = x->dims[axis],
                                   .inner = rdl__shape_product(x, axis + 1, x->rank)};
    const size_t tiles = rdl__k_cumsum_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_cumsum, params, tiles, bind);
}

static enum rdl_status lower_cumsum(const struct rdl__lower *lower)
{
    return lower_running(lower, false);
}

static enum rdl_status lower_cumprod(const struct rdl__lower *lower)
{
    return lower_running(lower, true);
}

/* CumSum@11 (14: more dtypes). */
RDL__OPERATOR(CumSum, 11, 2, 2, 1, 1, .value_inputs = 1u << 1, .flags = RDL__OP_IN_PLACE,
              .check = check_cumsum, .infer = infer_cumsum, .lower = lower_cumsum);
/* CumProd@26. */
RDL__OPERATOR(CumProd, 26, 2, 2, 1, 1, .value_inputs = 1u << 1, .flags = RDL__OP_IN_PLACE,
              .check = check_cumsum, .infer = infer_cumsum, .lower = lower_cumprod);
