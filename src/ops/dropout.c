/*
 * Dropout in inference: the input as it is, and a mask that lets everything through.
 */
#include "ops/common.h"

static enum rdl_status check_ratio(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"ratio", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_seed(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"seed", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_dropout(const struct rdl__infer *infer)
{
    const struct rdl__desc *in = infer->in;
    if (in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    if (rdl__op_has(infer->node, 2)) {
        if (in[2].dtype != RDL_BOOL)
            return rdl__op_bad_dtype(infer, 2);
        if (rdl__shape_count(&in[2].shape) != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 2 (training_mode) is no scalar");
        if (*(const uint8_t *)in[2].data != 0)
            return rdl__fail(infer->error, RDL_ERR_UNSUPPORTED, "training_mode is not supported");
    }
    if (infer->node->n_outputs > 1) {
        infer->out[1].dtype = infer->node->op->since < 10 ? in[0].dtype : RDL_BOOL;
        infer->out[1].shape = in[0].shape;
    }
    return rdl__op_out_as_input(infer);
}

/* One 1 in every place of the mask. */
static enum rdl_status lower_mask(const struct rdl__lower *lower)
{
    const enum rdl_dtype dtype = lower->out[1].dtype;
    const uint8_t truth = 1;
    struct rdl__k_move move = {
        .walk = {.rank = 1, .dims = {(int64_t)rdl__shape_count(&lower->out[1].shape)}}};
    move.walk.stride[1][0] = 1;
    uint32_t one, temp;
    RDL_TRY(rdl__lower_temp(lower, 1, &one));
    RDL_TRY(rdl__op_store(lower, &truth, sizeof truth, RDL__TEMP_WRITE(one)));
    if (dtype == RDL_BOOL)
        return rdl__op_move(lower, &move, dtype, RDL__TEMP_READ(one), RDL__OUT(1));
    struct rdl__k_cast cast = {.from = RDL_BOOL, .to = dtype};
    const size_t tiles = rdl__k_cast_plan(&cast, 1);
    RDL_TRY(rdl__lower_temp(lower, rdl_dtype_size(dtype), &temp));
    const struct rdl__operand bind[] = {RDL__TEMP_READ(one), RDL__TEMP_WRITE(temp)};
    RDL_TRY(RDL__OP_STEP(lower, rdl__k_cast_ref, cast, tiles, bind));
    return rdl__op_move(lower, &move, dtype, RDL__TEMP_READ(temp), RDL__OUT(1));
}

static enum rdl_status lower_dropout(const struct rdl__lower *lower)
{
    RDL_TRY(rdl__lower_alias(lower, 0, 0));
    if (lower->node->n_outputs > 1 && lower->node->outputs[1] != RDL__NO_VALUE)
        return lower_mask(lower);
    return RDL_OK;
}

#define DROPOUT_OP(since_, most, values, check_)                                                   \
    RDL__OPERATOR(Dropout, since_, 1, most, 1, 2, .value_inputs = (values), .check = (check_),     \
                  .infer = infer_dropout, .lower = lower_dropout);

/* Dropout@7, @10 (the mask is bool), @12 (13, 22: more dtypes) with training_mode as an input. */
DROPOUT_OP(7, 1, 0, check_ratio)
DROPOUT_OP(10, 1, 0, check_ratio)
DROPOUT_OP(12, 3, 1u << 2, check_seed)
