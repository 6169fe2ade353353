/*
 * Elementwise operators. Binary ones broadcast by numpy's rules.
 */
#include "ops/common.h"

/* ---------------------------------------------------------------------------------------- binary */

static enum rdl_status infer_binary(const struct rdl__infer *infer)
{
    if (!rdl__k_binary_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    infer->out[0].dtype = infer->in[0].dtype;
    struct rdl__shape shape = infer->in[0].shape;
    for (uint32_t i = 1; i < infer->node->n_inputs; i++) {
        RDL_TRY(rdl__op_same_dtype(infer, i));
        struct rdl__shape joined;
        RDL_TRY(rdl__shape_broadcast(&shape, &infer->in[i].shape, &joined, infer->error));
        shape = joined;
    }
    infer->out[0].shape = shape;
    return RDL_OK;
}

static enum rdl_status binary_step(const struct rdl__lower *lower, enum rdl__k_binary_op op,
                                   const struct rdl__shape *a, struct rdl__operand a_operand,
                                   uint32_t b, bool last)
{
    const enum rdl_dtype dtype = lower->in[0].dtype;
    const bool fast = dtype == RDL_F32;
    struct rdl__k_binary params = {.op = op, .dtype = dtype};
    if (last && fast)
        params.act = rdl__op_act(lower->node);
    const size_t tiles = rdl__k_binary_plan(&params, a, &lower->in[b].shape, &lower->out[0].shape);
    const struct rdl__operand bind[] = {a_operand, RDL__IN(b), RDL__OUT(0)};
    RDL_TRY(RDL__OP_STEP(lower, fast ? rdl__op_f32(lower)->binary : rdl__k_binary_ref, params,
                         tiles, bind));
    return last && !fast ? rdl__op_lower_act(lower) : RDL_OK;
}

/* a op b, then the result op each further input. */
static enum rdl_status lower_chain(const struct rdl__lower *lower, enum rdl__k_binary_op op)
{
    const uint32_t n = lower->node->n_inputs;
    if (n == 1)
        return rdl__lower_alias(lower, 0, 0);
    RDL_TRY(binary_step(lower, op, &lower->in[0].shape, RDL__IN(0), 1, n == 2));
    for (uint32_t i = 2; i < n; i++) {
        struct rdl__operand so_far = RDL__OUT(0);
        so_far.written = false;
        RDL_TRY(binary_step(lower, op, &lower->out[0].shape, so_far, i, i + 1 == n));
    }
    return RDL_OK;
}

#define BINARY_OP(name_, since_, kind, most, more_flags)                                           \
    static enum rdl_status lower_##name_(const struct rdl__lower *lower)                           \
    {                                                                                              \
        return lower_chain(lower, RDL__K_BINARY_##kind);                                           \
    }                                                                                              \
    const struct rdl__op rdl__op_##name_##_##since_ = {.domain = "",                               \
                                                       .name = #name_,                             \
                                                       .since = (since_),                          \
                                                       .min_inputs = (most) == 2 ? 2 : 1,          \
                                                       .max_inputs = (most),                       \
                                                       .min_outputs = 1,                           \
                                                       .max_outputs = 1,                           \
                                                       .flags = (more_flags),                      \
                                                       .infer = infer_binary,                      \
                                                       .lower = lower_##name_};

/* Add@7 (13, 14: more dtypes), Sub, Mul and Div likewise. */
BINARY_OP(Add, 7, ADD, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
BINARY_OP(Sub, 7, SUB, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
BINARY_OP(Mul, 7, MUL, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
BINARY_OP(Div, 7, DIV, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
/* Max@8 and Min@8 (12, 13: more dtypes). Not in place: a later input must outlive the first step. */
BINARY_OP(Max, 8, MAX, RDL__VARIADIC, 0)
BINARY_OP(Min, 8, MIN, RDL__VARIADIC, 0)

/* ----------------------------------------------------------------------------------------- unary */

static enum rdl_status infer_unary(const struct rdl__infer *infer, enum rdl__k_unary_op op)
{
    if (!rdl__k_unary_takes(op, infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_unary(const struct rdl__lower *lower, enum rdl__k_unary_op op, float a,
                                   float b)
{
    struct rdl__k_unary params = {
        .op = op, .dtype = lower->in[0].dtype, .has_bounds = true, .a = a, .b = b};
    return rdl__op_unary(lower, &params, (int64_t)rdl__shape_count(&lower->out[0].shape),
                         RDL__IN(0), RDL__OUT(0));
}

#define UNARY_OP(name_, since_, kind, check_, a, b)                                                \
    static enum rdl_status infer_##name_(const struct rdl__infer *infer)                           \
    {                                                                                              \
        return infer_unary(infer, RDL__K_UNARY_##kind);                                            \
    }                                                                                              \
    static enum rdl_status lower_##name_(const struct rdl__lower *lower)                           \
    {                                                                                              \
        return lower_unary(lower, RDL__K_UNARY_##kind, a, b);                                      \
    }                                                                                              \
    const struct rdl__op rdl__op_##name_##_##since_ = {.domain = "",                               \
                                                       .name = #name_,                             \
                                                       .since = (since_),                          \
                                                       .min_inputs = 1,                            \
                                                       .max_inputs = 1,                            \
                                                       .min_outputs = 1,                           \
                                                       .max_outputs = 1,                           \
                                                       .flags = RDL__OP_IN_PLACE,                  \
                                                       .check = (check_),                          \
                                                       .infer = infer_##name_,                     \
                                                       .lower = lower_##name_};

static enum rdl_status check_hard_sigmoid(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"alpha", RDL__ATTR_FLOAT, false},
                                                  {"beta", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* Each holds to the newest opset; later versions added dtypes. */
UNARY_OP(Abs, 6, ABS, NULL, 0.0f, 0.0f)
UNARY_OP(Ceil, 6, CEIL, NULL, 0.0f, 0.0f)
UNARY_OP(Erf, 9, ERF, NULL, 0.0f, 0.0f)
UNARY_OP(Exp, 6, EXP, NULL, 0.0f, 0.0f)
UNARY_OP(Floor, 6, FLOOR, NULL, 0.0f, 0.0f)
UNARY_OP(HardSigmoid, 6, HARD_SIGMOID, check_hard_sigmoid,
         rdl__attr_float(lower->node, "alpha", 0.2f), rdl__attr_float(lower->node, "beta", 0.5f))
UNARY_OP(HardSwish, 14, HARD_SWISH, NULL, 0.0f, 0.0f)
UNARY_OP(Log, 6, LOG, NULL, 0.0f, 0.0f)
UNARY_OP(Neg, 6, NEG, NULL, 0.0f, 0.0f)
UNARY_OP(Reciprocal, 6, RECIPROCAL, NULL, 0.0f, 0.0f)
UNARY_OP(Relu, 6, RELU, NULL, 0.0f, 0.0f)
UNARY_OP(Sigmoid, 6, SIGMOID, NULL, 0.0f, 0.0f)
UNARY_OP(Sqrt, 6, SQRT, NULL, 0.0f, 0.0f)
UNARY_OP(Tanh, 6, TANH, NULL, 0.0f, 0.0f)

/* ------------------------------------------------------------------------------------------ Clip */

/* Clip@6: the bounds are attributes. */
static enum rdl_status check_clip_6(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"min", RDL__ATTR_FLOAT, false},
                                                  {"max", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_clip_6(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_clip_6(const struct rdl__lower *lower)
{
    const float infinity = __builtin_inff();
    return lower_unary(lower, RDL__K_UNARY_CLIP, rdl__attr_float(lower->node, "min", -infinity),
                       rdl__attr_float(lower->node, "max", infinity));
}

const struct rdl__op rdl__op_Clip_6 = {.domain = "",
                                       .name = "Clip",
                                       .since = 6,
                                       .min_inputs = 1,
                                       .max_inputs = 1,
                                       .min_outputs = 1,
                                       .max_outputs = 1,
                                       .flags = RDL__OP_IN_PLACE,
                                       .check = check_clip_6,
                                       .infer = infer_clip_6,
                                       .lower = lower_clip_6};

/* Clip@11 (12, 13: more dtypes): the bounds are scalar inputs, each optional. */
static enum rdl_status infer_clip_11(const struct rdl__infer *infer)
{
    if (!rdl__k_unary_takes(RDL__K_UNARY_CLIP, infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    for (uint32_t i = 1; i < infer->node->n_inputs; i++) {
        if (!rdl__op_has(infer->node, i))
            continue;
        RDL_TRY(rdl__op_same_dtype(infer, i));
        if (rdl__shape_count(&infer->in[i].shape) != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "%s is no scalar",
                             i == 1 ? "input 1 (min)" : "input 2 (max)");
    }
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_clip_11(const struct rdl__lower *lower)
{
    struct rdl__k_unary params = {.op = RDL__K_UNARY_CLIP, .dtype = lower->in[0].dtype};
    const size_t tiles =
        rdl__k_unary_plan(&params, (int64_t)rdl__shape_count(&lower->out[0].shape));
    struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0), {0}, {0}};
    for (uint32_t i = 1; i <= 2; i++)
        if (rdl__op_has(lower->node, i))
            bind[i + 1] = RDL__IN(i);
    const bool fast = params.dtype == RDL_F32;
    return RDL__OP_STEP(lower, fast ? rdl__op_f32(lower)->unary : rdl__k_unary_ref, params, tiles,
                        bind);
}

const struct rdl__op rdl__op_Clip_11 = {.domain = "",
                                        .name = "Clip",
                                        .since = 11,
                                        .min_inputs = 1,
                                        .max_inputs = 3,
                                        .min_outputs = 1,
                                        .max_outputs = 1,
                                        .flags = RDL__OP_IN_PLACE,
                                        .infer = infer_clip_11,
                                        .lower = lower_clip_11};
