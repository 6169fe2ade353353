/*
 * Elementwise operators. Binary ones broadcast by numpy's rules.
 */
#include "ops/common.h"
#include "ops/unary.h"

#include <string.h>

/* ---------------------------------------------------------------------------------------- binary */

static enum rdl_status infer_binary(const struct rdl__infer *infer, enum rdl__k_binary_op op)
{
    if (!rdl__k_binary_takes(op, infer->in[0].dtype))
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

/* a op b into output 0, with the node's activation if it is the last step. */
static enum rdl_status binary_step(const struct rdl__lower *lower, enum rdl__k_binary_op op,
                                   const struct rdl__shape *a, struct rdl__operand a_operand,
                                   uint32_t b, bool last)
{
    const enum rdl_dtype dtype = lower->in[0].dtype;
    struct rdl__k_binary params = {.op = op, .dtype = dtype};
    if (last && dtype == RDL_F32)
        params.act = rdl__op_act(lower->node);
    RDL_TRY(rdl__op_binary(lower, &params, a, a_operand, &lower->in[b].shape, RDL__IN(b),
                           &lower->out[0].shape, RDL__OUT(0)));
    return last && dtype != RDL_F32 ? rdl__op_lower_act(lower) : RDL_OK;
}

static struct rdl__operand result_so_far(void)
{
    struct rdl__operand operand = RDL__OUT(0);
    operand.written = false;
    return operand;
}

/* a op b, then the result op each further input. */
static enum rdl_status lower_chain(const struct rdl__lower *lower, enum rdl__k_binary_op op)
{
    const uint32_t n = lower->node->n_inputs;
    if (n == 1)
        return rdl__lower_alias(lower, 0, 0);
    RDL_TRY(binary_step(lower, op, &lower->in[0].shape, RDL__IN(0), 1, n == 2));
    for (uint32_t i = 2; i < n; i++)
        RDL_TRY(binary_step(lower, op, &lower->out[0].shape, result_so_far(), i, i + 1 == n));
    return RDL_OK;
}

#define BINARY_TABLE(name_, since_, least, most, more_flags, check_, infer_, lower_)               \
    RDL__OPERATOR(name_, since_, least, most, 1, 1, .flags = (more_flags), .check = (check_),      \
                  .infer = (infer_), .lower = (lower_));

#define BINARY_OP(name_, since_, kind, most, more_flags)                                           \
    static enum rdl_status infer_##name_(const struct rdl__infer *infer)                           \
    {                                                                                              \
        return infer_binary(infer, RDL__K_BINARY_##kind);                                          \
    }                                                                                              \
    static enum rdl_status lower_##name_(const struct rdl__lower *lower)                           \
    {                                                                                              \
        return lower_chain(lower, RDL__K_BINARY_##kind);                                           \
    }                                                                                              \
    BINARY_TABLE(name_, since_, (most) == 2 ? 2 : 1, most, more_flags, NULL, infer_##name_,        \
                 lower_##name_)

/* Add@7 (13, 14: more dtypes), Sub, Mul and Div likewise. */
BINARY_OP(Add, 7, ADD, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
BINARY_OP(Sub, 7, SUB, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
BINARY_OP(Mul, 7, MUL, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
BINARY_OP(Div, 7, DIV, 2, RDL__OP_IN_PLACE | RDL__OP_FUSES)
/* Max@6 (8: broadcasting; 12, 13: more dtypes) and Min. Not in place: a later input must outlive the
 * first step. */
BINARY_OP(Max, 6, MAX, RDL__VARIADIC, 0)
BINARY_OP(Min, 6, MIN, RDL__VARIADIC, 0)
/* BitwiseAnd@18, BitwiseOr@18, BitwiseXor@18. */
BINARY_OP(BitwiseAnd, 18, BIT_AND, 2, RDL__OP_IN_PLACE)
BINARY_OP(BitwiseOr, 18, BIT_OR, 2, RDL__OP_IN_PLACE)
BINARY_OP(BitwiseXor, 18, BIT_XOR, 2, RDL__OP_IN_PLACE)

/* ------------------------------------------------------------------------------------- Sum, Mean */

static enum rdl_status infer_sum(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    return infer_binary(infer, RDL__K_BINARY_ADD);
}

static enum rdl_status lower_sum(const struct rdl__lower *lower)
{
    return lower_chain(lower, RDL__K_BINARY_ADD);
}

static enum rdl_status lower_mean(const struct rdl__lower *lower)
{
    RDL_TRY(lower_sum(lower));
    if (lower->node->n_inputs == 1)
        return RDL_OK;
    struct rdl__k_binary params = {.op = RDL__K_BINARY_DIV, .dtype = lower->in[0].dtype};
    const struct rdl__shape scalar = {0};
    uint32_t temp;
    RDL_TRY(rdl__op_temp_scalar(lower, params.dtype, (double)lower->node->n_inputs, &temp));
    return rdl__op_binary(lower, &params, &lower->out[0].shape, result_so_far(), &scalar,
                          RDL__TEMP_READ(temp), &lower->out[0].shape, RDL__OUT(0));
}

/* Sum@6 (8: broadcasting; 13: more dtypes) and Mean. Not in place, as Max. */
BINARY_TABLE(Sum, 6, 1, RDL__VARIADIC, 0, NULL, infer_sum, lower_sum)
BINARY_TABLE(Mean, 6, 1, RDL__VARIADIC, 0, NULL, infer_sum, lower_mean)

/* ------------------------------------------------------------------------------------- Mod, PRelu */

static enum rdl_status check_mod(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"fmod", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl__k_binary_op mod_of(const struct rdl__node *node)
{
    return rdl__attr_int(node, "fmod", 0) != 0 ? RDL__K_BINARY_FMOD : RDL__K_BINARY_MOD;
}

static enum rdl_status infer_mod(const struct rdl__infer *infer)
{
    return infer_binary(infer, mod_of(infer->node));
}

static enum rdl_status lower_mod(const struct rdl__lower *lower)
{
    return lower_chain(lower, mod_of(lower->node));
}

/* Mod@10 (13: more dtypes; 28: floats without fmod, which are taken before too). */
BINARY_TABLE(Mod, 10, 2, 2, RDL__OP_IN_PLACE, check_mod, infer_mod, lower_mod)

/* The slope broadcasts to x, never the other way. */
static enum rdl_status infer_prelu(const struct rdl__infer *infer)
{
    RDL_TRY(infer_binary(infer, RDL__K_BINARY_PRELU));
    if (rdl__shape_equal(&infer->out[0].shape, &infer->in[0].shape))
        return RDL_OK;
    char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
    return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 1 (slope): %s does not broadcast to %s",
                     rdl__shape_text(&infer->in[1].shape, a, sizeof a),
                     rdl__shape_text(&infer->in[0].shape, b, sizeof b));
}

static enum rdl_status lower_prelu(const struct rdl__lower *lower)
{
    return lower_chain(lower, RDL__K_BINARY_PRELU);
}

/* PRelu@7 (9, 16: more dtypes). */
BINARY_TABLE(PRelu, 7, 2, 2, RDL__OP_IN_PLACE, NULL, infer_prelu, lower_prelu)

/* --------------------------------------------------------------------------------------- BitShift */

static enum rdl_status check_bit_shift(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"direction", RDL__ATTR_STRING, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const char *direction = rdl__attr_text(node, "direction", "");
    if (strcmp(direction, "LEFT") == 0 || strcmp(direction, "RIGHT") == 0)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_MODEL, "%s: direction \"%s\" is neither LEFT nor RIGHT",
                     RDL__NODE_TEXT(node), RDL__NAME_TEXT(direction));
}

static enum rdl__k_binary_op shift_of(const struct rdl__node *node)
{
    return strcmp(rdl__attr_text(node, "direction", ""), "LEFT") == 0 ? RDL__K_BINARY_SHIFT_LEFT
                                                                      : RDL__K_BINARY_SHIFT_RIGHT;
}

static enum rdl_status infer_bit_shift(const struct rdl__infer *infer)
{
    return infer_binary(infer, shift_of(infer->node));
}

static enum rdl_status lower_bit_shift(const struct rdl__lower *lower)
{
    return lower_chain(lower, shift_of(lower->node));
}

/* BitShift@11 (28: signed integers, which are taken before too). */
BINARY_TABLE(BitShift, 11, 2, 2, RDL__OP_IN_PLACE, check_bit_shift, infer_bit_shift,
             lower_bit_shift)

/* -------------------------------------------------------------------------------------------- Pow */

static bool is_float(enum rdl_dtype dtype)
{
    return dtype == RDL_F32 || dtype == RDL_F64;
}

static enum rdl_status infer_pow(const struct rdl__infer *infer)
{
    const enum rdl_dtype base = infer->in[0].dtype, exponent = infer->in[1].dtype;
    if (!rdl__k_binary_takes(RDL__K_BINARY_POW, base))
        return rdl__op_bad_dtype(infer, 0);
    if (!rdl__k_binary_takes(RDL__K_BINARY_POW, exponent))
        return rdl__op_bad_dtype(infer, 1);
    infer->out[0].dtype = base;
    return rdl__shape_broadcast(&infer->in[0].shape, &infer->in[1].shape, &infer->out[0].shape,
                                infer->error);
}

/* The known exponent of a float base, if there is one for all elements; NaN if not. */
static double one_exponent(const struct rdl__lower *lower)
{
    const struct rdl__desc *y = &lower->in[1];
    if (y->data == NULL || rdl__shape_count(&y->shape) != 1 || !is_float(lower->in[0].dtype) ||
        !rdl__shape_equal(&lower->in[0].shape, &lower->out[0].shape))
        return (double)__builtin_nanf("");
    switch (y->dtype) {
    case RDL_F32:
        return (double)*(const float *)y->data;
    case RDL_F64:
        return *(const double *)y->data;
    case RDL_I32:
        return (double)*(const int32_t *)y->data;
    case RDL_I64:
        return (double)*(const int64_t *)y->data;
    default:
        return (double)__builtin_nanf("");
    }
}

/* x * x, and once more by x. */
static enum rdl_status lower_product(const struct rdl__lower *lower, bool cube)
{
    RDL_TRY(binary_step(lower, RDL__K_BINARY_MUL, &lower->in[0].shape, RDL__IN(0), 0, !cube));
    return cube ? binary_step(lower, RDL__K_BINARY_MUL, &lower->out[0].shape, result_so_far(), 0,
                              true)
                : RDL_OK;
}

/* An input as `to`; a temporary if it has another dtype. */
static enum rdl_status cast_input(const struct rdl__lower *lower, uint32_t i, enum rdl_dtype to,
                                  struct rdl__operand *operand)
{
    struct rdl__k_cast params = {.from = lower->in[i].dtype, .to = to};
    const size_t count = rdl__shape_count(&lower->in[i].shape);
    *operand = RDL__IN(i);
    if (params.from == to)
        return RDL_OK;
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, count * rdl_dtype_size(to), &temp));
    const size_t tiles = rdl__k_cast_plan(&params, (int64_t)count);
    const struct rdl__operand bind[] = {RDL__IN(i), RDL__TEMP_WRITE(temp)};
    *operand = RDL__TEMP_READ(temp);
    return RDL__OP_STEP(lower, rdl__k_cast_ref, params, tiles, bind);
}

/* In the base's dtype; an integer to a real power in f64, cut to the base's dtype again. */
static enum rdl_status lower_power(const struct rdl__lower *lower)
{
    const enum rdl_dtype base = lower->in[0].dtype;
    const enum rdl_dtype dtype = is_float(lower->in[1].dtype) && !is_float(base) ? RDL_F64 : base;
    const struct rdl__shape *out = &lower->out[0].shape;
    struct rdl__k_binary params = {.op = RDL__K_BINARY_POW, .dtype = dtype};
    struct rdl__operand x, y;
    RDL_TRY(cast_input(lower, 0, dtype, &x));
    RDL_TRY(cast_input(lower, 1, dtype, &y));
    if (dtype == base)
        return rdl__op_binary(lower, &params, &lower->in[0].shape, x, &lower->in[1].shape, y, out,
                              RDL__OUT(0));
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, rdl__shape_count(out) * sizeof(double), &temp));
    RDL_TRY(rdl__op_binary(lower, &params, &lower->in[0].shape, x, &lower->in[1].shape, y, out,
                           RDL__TEMP_WRITE(temp)));
    struct rdl__k_cast cast = {.from = RDL_F64, .to = base};
    const size_t tiles = rdl__k_cast_plan(&cast, (int64_t)rdl__shape_count(out));
    const struct rdl__operand bind[] = {RDL__TEMP_READ(temp), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_cast_ref, cast, tiles, bind);
}

static enum rdl_status lower_pow(const struct rdl__lower *lower)
{
    struct rdl__k_unary root = {.op = RDL__K_UNARY_SQRT, .dtype = lower->in[0].dtype};
    struct rdl__k_unary inverse = {.op = RDL__K_UNARY_RECIPROCAL, .dtype = lower->in[0].dtype};
    const int64_t count = (int64_t)rdl__shape_count(&lower->out[0].shape);
    const double exponent = one_exponent(lower);
    if (exponent == 1.0)
        return rdl__lower_alias(lower, 0, 0);
    if (exponent == 2.0 || exponent == 3.0)
        return lower_product(lower, exponent == 3.0);
    if (exponent == 0.5)
        return rdl__op_unary(lower, &root, count, RDL__IN(0), RDL__OUT(0));
    if (exponent == -1.0)
        return rdl__op_unary(lower, &inverse, count, RDL__IN(0), RDL__OUT(0));
    return lower_power(lower);
}

/* Pow@7 (12: an exponent of another dtype; 13, 15: more dtypes). */
BINARY_TABLE(Pow, 7, 2, 2, 0, NULL, infer_pow, lower_pow)

/* ----------------------------------------------------------------------------------------- unary */

enum rdl_status rdl__unary_infer(const struct rdl__infer *infer, enum rdl__k_unary_op op)
{
    if (!rdl__k_unary_takes(op, infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    return rdl__op_out_as_input(infer);
}

enum rdl_status rdl__unary_lower(const struct rdl__lower *lower, enum rdl__k_unary_op op, float a,
                                 float b)
{
    struct rdl__k_unary params = {
        .op = op, .dtype = lower->in[0].dtype, .has_bounds = true, .a = a, .b = b};
    return rdl__op_unary(lower, &params, (int64_t)rdl__shape_count(&lower->out[0].shape),
                         RDL__IN(0), RDL__OUT(0));
}

static enum rdl_status check_hard_sigmoid(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"alpha", RDL__ATTR_FLOAT, false},
                                                  {"beta", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* Each holds to the newest opset; later versions added dtypes. */
UNARY_OP(Abs, 6, ABS, NULL, 0.0f, 0.0f)
UNARY_OP(Acos, 7, ACOS, NULL, 0.0f, 0.0f)
UNARY_OP(Acosh, 9, ACOSH, NULL, 0.0f, 0.0f)
UNARY_OP(Asin, 7, ASIN, NULL, 0.0f, 0.0f)
UNARY_OP(Asinh, 9, ASINH, NULL, 0.0f, 0.0f)
UNARY_OP(Atan, 7, ATAN, NULL, 0.0f, 0.0f)
UNARY_OP(Atanh, 9, ATANH, NULL, 0.0f, 0.0f)
UNARY_OP(BitwiseNot, 18, BIT_NOT, NULL, 0.0f, 0.0f)
UNARY_OP(Ceil, 6, CEIL, NULL, 0.0f, 0.0f)
UNARY_OP(Cos, 7, COS, NULL, 0.0f, 0.0f)
UNARY_OP(Cosh, 9, COSH, NULL, 0.0f, 0.0f)
UNARY_OP(Erf, 9, ERF, NULL, 0.0f, 0.0f)
UNARY_OP(Exp, 6, EXP, NULL, 0.0f, 0.0f)
UNARY_OP(Floor, 6, FLOOR, NULL, 0.0f, 0.0f)
UNARY_OP(HardSigmoid, 6, HARD_SIGMOID, check_hard_sigmoid,
         rdl__attr_float(lower->node, "alpha", 0.2f), rdl__attr_float(lower->node, "beta", 0.5f))
UNARY_OP(HardSwish, 14, HARD_SWISH, NULL, 1.0f, 0.0f)
UNARY_OP(Log, 6, LOG, NULL, 0.0f, 0.0f)
UNARY_OP(Neg, 6, NEG, NULL, 0.0f, 0.0f)
UNARY_OP(Not, 1, NOT, NULL, 0.0f, 0.0f)
UNARY_OP(Reciprocal, 6, RECIPROCAL, NULL, 0.0f, 0.0f)
UNARY_OP(Relu, 6, RELU, NULL, 0.0f, 0.0f)
UNARY_OP(Round, 11, ROUND, NULL, 0.0f, 0.0f)
UNARY_OP(Sigmoid, 6, SIGMOID, NULL, 0.0f, 0.0f)
UNARY_OP(Sign, 9, SIGN, NULL, 0.0f, 0.0f)
UNARY_OP(Sin, 7, SIN, NULL, 0.0f, 0.0f)
UNARY_OP(Sinh, 9, SINH, NULL, 0.0f, 0.0f)
UNARY_OP(Sqrt, 6, SQRT, NULL, 0.0f, 0.0f)
UNARY_OP(Tan, 7, TAN, NULL, 0.0f, 0.0f)
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
    return rdl__unary_lower(lower, RDL__K_UNARY_CLIP,
                            rdl__attr_float(lower->node, "min", -infinity),
                            rdl__attr_float(lower->node, "max", infinity));
}

RDL__OPERATOR(Clip, 6, 1, 1, 1, 1, .flags = RDL__OP_IN_PLACE, .check = check_clip_6,
              .infer = infer_clip_6, .lower = lower_clip_6);

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

RDL__OPERATOR(Clip, 11, 1, 3, 1, 1, .flags = RDL__OP_IN_PLACE, .infer = infer_clip_11,
              .lower = lower_clip_11);
