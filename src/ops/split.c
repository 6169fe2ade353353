/*
 * Split: a tensor cut into its outputs along one axis.
 */
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

/* Length of output i where nothing tells the lengths: as equal as may be, the last one shorter. */
static enum rdl_status equal_part(const struct rdl__infer *infer, int64_t dim, uint32_t i,
                                  int64_t *length)
{
    const int64_t n = infer->node->n_outputs, wide = (dim + n - 1) / n;
    if (infer->node->op->since < 18 && dim % n != 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "an axis of %" PRId64 " does not split into %" PRId64 " equal parts", dim,
                         n);
    const int64_t left = dim - wide * i;
    *length = left < 0 ? 0 : left < wide ? left : wide;
    return RDL_OK;
}

/* Length of output i; `given` is false where the node does not tell. */
static enum rdl_status told_part(const struct rdl__infer *infer, uint32_t i, bool *given,
                                 int64_t *length)
{
    size_t n;
    const int64_t *parts;
    int64_t values[RDL__VARIADIC];
    if (infer->node->op->since < 13) {
        parts = rdl__attr_ints(infer->node, "split", &n);
        *given = parts != NULL;
    } else {
        parts = values;
        *given = rdl__op_has(infer->node, 1);
        if (*given)
            RDL_TRY(rdl__op_ints(infer, 1, values, RDL__VARIADIC, &n));
    }
    if (!*given)
        return RDL_OK;
    if (n != infer->node->n_outputs)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "split has %zu lengths for %" PRIu32 " outputs", n,
                         infer->node->n_outputs);
    *length = parts[i];
    if (*length < 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "length %" PRId64 " of output %" PRIu32,
                         *length, i);
    return RDL_OK;
}

static enum rdl_status check_split(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule by_attribute[] = {{"axis", RDL__ATTR_INT, false},
                                                         {"split", RDL__ATTR_INTS, false}};
    static const struct rdl__attr_rule by_input[] = {{"axis", RDL__ATTR_INT, false}};
    static const struct rdl__attr_rule by_number[] = {{"axis", RDL__ATTR_INT, false},
                                                      {"num_outputs", RDL__ATTR_INT, false}};
    if (node->op->since < 13)
        return RDL__CHECK_ATTRS(node, by_attribute, error);
    if (node->op->since < 18)
        return RDL__CHECK_ATTRS(node, by_input, error);
    RDL_TRY(RDL__CHECK_ATTRS(node, by_number, error));
    const int64_t n = rdl__attr_int(node, "num_outputs", node->n_outputs);
    if (n != node->n_outputs)
        return rdl__fail(error, RDL_ERR_MODEL,
                         "%s: num_outputs is %" PRId64 ", the node has %" PRIu32,
                         RDL__NODE_TEXT(node), n, node->n_outputs);
    return RDL_OK;
}

static enum rdl_status infer_split(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    int32_t axis;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_axis(infer->error, rdl__attr_int(infer->node, "axis", 0), x->rank, &axis));
    int64_t sum = 0;
    for (uint32_t i = 0; i < infer->node->n_outputs; i++) {
        struct rdl__shape out = *x;
        bool given;
        RDL_TRY(told_part(infer, i, &given, &out.dims[axis]));
        if (!given)
            RDL_TRY(equal_part(infer, x->dims[axis], i, &out.dims[axis]));
        if (out.dims[axis] > x->dims[axis] - sum)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "the parts are longer than axis %" PRId32 " (%" PRId64 ")", axis,
                             x->dims[axis]);
        sum += out.dims[axis];
        RDL_TRY(rdl__op_out(infer, i, infer->in[0].dtype, out.rank, out.dims));
    }
    if (sum != x->dims[axis])
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "the parts make %" PRId64 ", axis %" PRId32 " is %" PRId64, sum, axis,
                         x->dims[axis]);
    return RDL_OK;
}

static enum rdl_status lower_split(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    int32_t axis;
    RDL_TRY(rdl__op_axis(lower->error, rdl__attr_int(lower->node, "axis", 0), x->rank, &axis));
    int64_t strides[RDL_MAX_RANK], at = 0;
    rdl__shape_strides(x, strides);
    for (uint32_t i = 0; i < lower->node->n_outputs; i++) {
        const struct rdl__shape *y = &lower->out[i].shape;
        struct rdl__k_move move = {.walk.rank = x->rank, .src_offset = at * strides[axis]};
        memcpy(move.walk.dims, y->dims, sizeof move.walk.dims);
        memcpy(move.walk.stride[0], strides, sizeof strides);
        rdl__shape_strides(y, move.walk.stride[1]);
        at += y->dims[axis];
        if (lower->node->outputs[i] != RDL__NO_VALUE)
            RDL_TRY(rdl__op_move(lower, &move, lower->in[0].dtype, RDL__IN(0), RDL__OUT(i)));
    }
    return RDL_OK;
}

#define SPLIT_OP(since_, most, values)                                                             \
    RDL__OPERATOR(Split, since_, 1, most, 1, RDL__VARIADIC, .value_inputs = (values),              \
                  .check = check_split, .infer = infer_split, .lower = lower_split);

/* Split@2 (11: negative axes): lengths are an attribute; @13: an input; @18: num_outputs. */
SPLIT_OP(2, 1, 0)
SPLIT_OP(13, 2, 1u << 1)
SPLIT_OP(18, 2, 1u << 1)
