/*
 * Cast and CastLike, of every pair of dtypes but strings, and BitCast, which changes no bit.
 */
#include "ops/common.h"

#include <inttypes.h>

/* The dtype that attribute "to" names; NONE if it names none. */
static enum rdl_dtype target(const struct rdl__node *node)
{
    return rdl__op_dtype(node, "to", RDL_DTYPE_NONE);
}

static enum rdl_status check_target(const struct rdl__node *node, struct rdl_error *error)
{
    char text[RDL__NODE_TEXT_BYTES];
    if (target(node) == RDL_DTYPE_NONE || target(node) == RDL_STRING)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%s: to = %" PRId64 " (%s) is not supported",
                         rdl__node_text(node, text, sizeof text), rdl__attr_int(node, "to", 0),
                         target(node) == RDL_STRING ? "string" : "TensorProto.DataType");
    return RDL_OK;
}

static enum rdl_status check_cast(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"round_mode", RDL__ATTR_STRING, false},
                                                  {"saturate", RDL__ATTR_INT, false},
                                                  {"to", RDL__ATTR_INT, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_target(node, error);
}

static enum rdl_status infer_cast(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    infer->out[0].dtype = target(infer->node);
    infer->out[0].shape = infer->in[0].shape;
    return RDL_OK;
}

static enum rdl_status lower_cast(const struct rdl__lower *lower)
{
    struct rdl__k_cast params = {.from = lower->in[0].dtype, .to = lower->out[0].dtype};
    if (params.from == params.to)
        return rdl__lower_alias(lower, 0, 0);
    const size_t tiles = rdl__k_cast_plan(&params, (int64_t)rdl__shape_count(&lower->out[0].shape));
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_cast_ref, params, tiles, bind);
}

/* Cast@6 (9, 13: more dtypes; 19: saturate and 24: round_mode, of 8-bit floats alone). */
RDL__OPERATOR(Cast, 6, 1, 1, 1, 1, .check = check_cast, .infer = infer_cast, .lower = lower_cast);

static enum rdl_status check_cast_like(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"round_mode", RDL__ATTR_STRING, false},
                                                  {"saturate", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_cast_like(const struct rdl__infer *infer)
{
    for (uint32_t i = 0; i < 2; i++)
        if (infer->in[i].dtype == RDL_STRING)
            return rdl__op_bad_dtype(infer, i);
    infer->out[0].dtype = infer->in[1].dtype;
    infer->out[0].shape = infer->in[0].shape;
    return RDL_OK;
}

/* CastLike@15 (19: saturate, 21, ...: more dtypes; 24: round_mode). */
RDL__OPERATOR(CastLike, 15, 2, 2, 1, 1, .check = check_cast_like, .infer = infer_cast_like,
              .lower = lower_cast);

static enum rdl_status check_bit_cast(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"to", RDL__ATTR_INT, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_target(node, error);
}

static enum rdl_status infer_bit_cast(const struct rdl__infer *infer)
{
    RDL_TRY(infer_cast(infer));
    if (rdl_dtype_size(infer->in[0].dtype) == rdl_dtype_size(infer->out[0].dtype))
        return RDL_OK;
    return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 0 is %s, which has not the size of %s",
                     rdl_dtype_name(infer->in[0].dtype), rdl_dtype_name(infer->out[0].dtype));
}

static enum rdl_status lower_bit_cast(const struct rdl__lower *lower)
{
    return rdl__lower_alias(lower, 0, 0);
}

/* BitCast@26. */
RDL__OPERATOR(BitCast, 26, 1, 1, 1, 1, .check = check_bit_cast, .infer = infer_bit_cast,
              .lower = lower_bit_cast);
