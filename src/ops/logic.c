/*
 * Operators whose result is true or false, and Where, which chooses by them.
 */
#include "ops/common.h"

/* ------------------------------------------------------------------------------------ comparisons */

static enum rdl_status infer_compare(const struct rdl__infer *infer, enum rdl__k_compare_op op)
{
    if (!rdl__k_compare_takes(op, infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    infer->out[0].dtype = RDL_BOOL;
    return rdl__shape_broadcast(&infer->in[0].shape, &infer->in[1].shape, &infer->out[0].shape,
                                infer->error);
}

static enum rdl_status compare_step(const struct rdl__lower *lower, enum rdl__k_compare_op op,
                                    const struct rdl__shape *b, struct rdl__operand b_operand)
{
    struct rdl__k_compare params = {.op = op, .dtype = lower->in[0].dtype};
    const size_t tiles = rdl__k_compare_plan(&params, &lower->in[0].shape, b, &lower->out[0].shape);
    const struct rdl__operand bind[] = {RDL__IN(0), b_operand, RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_compare, params, tiles, bind);
}

#define COMPARE_OP(name_, since_, kind)                                                            \
    static enum rdl_status infer_##name_(const struct rdl__infer *infer)                           \
    {                                                                                              \
        return infer_compare(infer, RDL__K_COMPARE_##kind);                                        \
    }                                                                                              \
    static enum rdl_status lower_##name_(const struct rdl__lower *lower)                           \
    {                                                                                              \
        return compare_step(lower, RDL__K_COMPARE_##kind, &lower->in[1].shape, RDL__IN(1));        \
    }                                                                                              \
    RDL__OPERATOR(name_, since_, 2, 2, 1, 1, .flags = RDL__OP_IN_PLACE, .infer = infer_##name_,    \
                  .lower = lower_##name_);

/* Each holds to the newest opset; later versions added dtypes. */
COMPARE_OP(And, 7, AND)
COMPARE_OP(Equal, 7, EQUAL)
COMPARE_OP(Greater, 7, GREATER)
COMPARE_OP(GreaterOrEqual, 12, GREATER_OR_EQUAL)
COMPARE_OP(Less, 7, LESS)
COMPARE_OP(LessOrEqual, 12, LESS_OR_EQUAL)
COMPARE_OP(Or, 7, OR)
COMPARE_OP(Xor, 7, XOR)

/* ------------------------------------------------------------------------------- questions of one */

static enum rdl_status infer_float_question(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    infer->out[0].dtype = RDL_BOOL;
    infer->out[0].shape = infer->in[0].shape;
    return RDL_OK;
}

static enum rdl_status lower_is_nan(const struct rdl__lower *lower)
{
    return compare_step(lower, RDL__K_COMPARE_UNORDERED, &lower->in[0].shape, RDL__IN(0));
}

/* IsNaN@9 (13, 20: more dtypes). */
RDL__OPERATOR(IsNaN, 9, 1, 1, 1, 1, .infer = infer_float_question, .lower = lower_is_nan);

static enum rdl_status check_is_inf(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"detect_negative", RDL__ATTR_INT, false},
                                                  {"detect_positive", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* One sign is a comparison with that infinity; neither is one with NaN, which equals nothing. */
static enum rdl_status lower_is_inf(const struct rdl__lower *lower)
{
    const bool negative = rdl__attr_int(lower->node, "detect_negative", 1) != 0;
    const bool positive = rdl__attr_int(lower->node, "detect_positive", 1) != 0;
    if (negative && positive)
        return compare_step(lower, RDL__K_COMPARE_INFINITE, &lower->in[0].shape, RDL__IN(0));
    const double wide = positive   ? (double)__builtin_inff()
                        : negative ? -(double)__builtin_inff()
                                   : (double)__builtin_nanf("");
    const struct rdl__shape scalar = {0};
    uint32_t temp;
    RDL_TRY(rdl__op_temp_scalar(lower, lower->in[0].dtype, wide, &temp));
    return compare_step(lower, RDL__K_COMPARE_EQUAL, &scalar, RDL__TEMP_READ(temp));
}

/* IsInf@10 (20: more dtypes). */
RDL__OPERATOR(IsInf, 10, 1, 1, 1, 1, .check = check_is_inf, .infer = infer_float_question,
              .lower = lower_is_inf);

/* ------------------------------------------------------------------------------------------ Where */

static enum rdl_status infer_where(const struct rdl__infer *infer)
{
    const struct rdl__desc *in = infer->in;
    if (in[0].dtype != RDL_BOOL)
        return rdl__op_bad_dtype(infer, 0);
    if (in[1].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 1);
    if (in[1].dtype != in[2].dtype)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 2 is %s, input 1 is %s",
                         rdl_dtype_name(in[2].dtype), rdl_dtype_name(in[1].dtype));
    struct rdl__shape joined;
    RDL_TRY(rdl__shape_broadcast(&in[0].shape, &in[1].shape, &joined, infer->error));
    infer->out[0].dtype = in[1].dtype;
    return rdl__shape_broadcast(&joined, &in[2].shape, &infer->out[0].shape, infer->error);
}

static enum rdl_status lower_where(const struct rdl__lower *lower)
{
    const struct rdl__shape *const shapes[3] = {&lower->in[0].shape, &lower->in[1].shape,
                                                &lower->in[2].shape};
    struct rdl__k_where params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->out[0].dtype)};
    const size_t tiles = rdl__k_where_plan(&params, shapes, &lower->out[0].shape);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__IN(2), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_where, params, tiles, bind);
}

/* Where@9 (16: more dtypes). */
RDL__OPERATOR(Where, 9, 3, 3, 1, 1, .flags = RDL__OP_IN_PLACE, .infer = infer_where,
              .lower = lower_where);
