/*
 * Softmax, LogSoftmax and Hardmax.
 */
#include "ops/common.h"

static enum rdl_status check_softmax(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* Before 13 the input is taken as a matrix, cut before the axis; since 13 one axis is normalised. */
static enum rdl_status softmax_shape(const struct rdl__node *node, const struct rdl__shape *x,
                                     struct rdl__k_softmax *params, struct rdl_error *error)
{
    const bool one_axis = node->op->since >= 13;
    const int64_t axis = rdl__attr_int(node, "axis", one_axis ? -1 : 1);
    int32_t at = 0;
    /* Old ones may cut behind the last dimension. */
    if (!one_axis && axis == x->rank)
        at = x->rank;
    else if (x->rank > 0 || (axis != 0 && axis != -1))
        RDL_TRY(rdl__op_axis(error, axis, x->rank, &at));
    const int32_t end = !one_axis ? x->rank : x->rank > 0 ? at + 1 : 0;
    params->outer = rdl__shape_product(x, 0, at);
    params->size = rdl__shape_product(x, at, end);
    params->inner = rdl__shape_product(x, end, x->rank);
    return RDL_OK;
}

static enum rdl_status infer_softmax(const struct rdl__infer *infer)
{
    struct rdl__k_softmax params;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(softmax_shape(infer->node, &infer->in[0].shape, &params, infer->error));
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_softmax_kind(const struct rdl__lower *lower, bool log)
{
    struct rdl__k_softmax params = {.dtype = lower->in[0].dtype, .log = log};
    RDL_TRY(softmax_shape(lower->node, &lower->in[0].shape, &params, lower->error));
    const size_t tiles = rdl__k_softmax_plan(&params);
    const bool fast = params.dtype == RDL_F32 && !log && params.inner == 1;
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0)};
    return RDL__OP_STEP(lower, fast ? rdl__op_f32(lower)->softmax : rdl__k_softmax_ref, params,
                        tiles, bind);
}

static enum rdl_status lower_softmax(const struct rdl__lower *lower)
{
    return lower_softmax_kind(lower, false);
}

static enum rdl_status lower_log_softmax(const struct rdl__lower *lower)
{
    return lower_softmax_kind(lower, true);
}

#define SOFTMAX_OP(name_, since_, lower_)                                                          \
    RDL__OPERATOR(name_, since_, 1, 1, 1, 1, .flags = RDL__OP_IN_PLACE, .check = check_softmax,    \
                  .infer = infer_softmax, .lower = (lower_));

/* Hardmax: 1 at the first largest element of a row, else 0. */
static enum rdl_status lower_hardmax(const struct rdl__lower *lower)
{
    struct rdl__k_softmax cut;
    RDL_TRY(softmax_shape(lower->node, &lower->in[0].shape, &cut, lower->error));
    struct rdl__k_arg params = {.dtype = lower->in[0].dtype,
                                .hard = true,
                                .outer = cut.outer,
                                .size = cut.size,
                                .inner = cut.inner};
    const size_t tiles = rdl__k_arg_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_arg, params, tiles, bind);
}

/* Softmax@1 (11: negative axes) and @13. */
SOFTMAX_OP(Softmax, 1, lower_softmax)
SOFTMAX_OP(Softmax, 13, lower_softmax)
SOFTMAX_OP(LogSoftmax, 1, lower_log_softmax)
SOFTMAX_OP(LogSoftmax, 13, lower_log_softmax)
SOFTMAX_OP(Hardmax, 1, lower_hardmax)
SOFTMAX_OP(Hardmax, 13, lower_hardmax)
