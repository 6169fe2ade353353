/*
 * Products and convolutions of 8-bit integers: MatMulInteger, ConvInteger, and with scales
 * QLinearMatMul and QLinearConv.
 */
#include "kernels/quantize.h"

#include "ops/conv.h"
#include "ops/matmul.h"

#include <inttypes.h>
#include <string.h>

#define NONE 255

/* Which input of a node is what. */
struct roles {
    uint8_t b, a_scale, a_zero, b_scale, b_zero, y_scale, y_zero, bias;
};

static const struct roles plain = {1, NONE, 2, NONE, 3, NONE, NONE, NONE};
static const struct roles linear = {3, 1, 2, 4, 5, 6, 7, 8};

static const struct roles *roles_of(const struct rdl__node *node)
{
    return node->op_type[0] == 'Q' ? &linear : &plain;
}

/* *step: 0 if input i is one number or absent, 1 if it is [count]. */
static enum rdl_status read_step(const struct rdl__node *node, const struct rdl__desc *in,
                                 uint32_t i, int64_t count, int64_t *step, struct rdl_error *error)
{
    *step = 0;
    if (i == NONE || !rdl__op_has(node, i) || rdl__shape_count(&in[i].shape) == 1)
        return RDL_OK;
    *step = 1;
    if (count > 1 && in[i].shape.rank == 1 && in[i].shape.dims[0] == count)
        return RDL_OK;
    char text[RDL__SHAPE_TEXT_BYTES];
    return rdl__fail(error, RDL_ERR_SHAPE,
                     "input %" PRIu32 ": shape %s, expected one number or %" PRId64, i,
                     rdl__shape_text(&in[i].shape, text, sizeof text), count);
}

/* rows and cols: how many numbers A and B may have; 1: one alone. */
static enum rdl_status describe(const struct rdl__node *node, const struct rdl__desc *in,
                                int64_t rows, int64_t cols, struct rdl__k_quantized *q,
                                struct rdl_error *error)
{
    const struct roles *r = roles_of(node);
    int64_t one;
    *q = (struct rdl__k_quantized){.a = in[0].dtype,
                                   .b = in[r->b].dtype,
                                   .y = r == &linear ? in[r->y_zero].dtype : RDL_I32,
                                   .scaled = r == &linear};
    RDL_TRY(read_step(node, in, r->a_zero, rows, &q->a_zero_step, error));
    RDL_TRY(read_step(node, in, r->b_zero, cols, &q->b_zero_step, error));
    RDL_TRY(read_step(node, in, r->a_scale, rows, &q->a_scale_step, error));
    RDL_TRY(read_step(node, in, r->b_scale, cols, &q->b_scale_step, error));
    RDL_TRY(read_step(node, in, r->y_scale, 1, &one, error));
    return read_step(node, in, r->y_zero, 1, &one, error);
}

static bool is_8_bit(enum rdl_dtype dtype)
{
    return dtype == RDL_I8 || dtype == RDL_U8;
}

static enum rdl_status check_dtypes(const struct rdl__infer *infer)
{
    const struct roles *r = roles_of(infer->node);
    const uint8_t scales[] = {r->a_scale, r->b_scale, r->y_scale};
    const uint8_t zeros[][2] = {{r->a_zero, 0}, {r->b_zero, r->b}};
    if (!is_8_bit(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    if (!is_8_bit(infer->in[r->b].dtype))
        return rdl__op_bad_dtype(infer, r->b);
    if (r->y_zero != NONE && !is_8_bit(infer->in[r->y_zero].dtype))
        return rdl__op_bad_dtype(infer, r->y_zero);
    for (int i = 0; i < 3; i++)
        if (scales[i] != NONE && infer->in[scales[i]].dtype != RDL_F32)
            return rdl__op_bad_dtype(infer, scales[i]);
    for (int i = 0; i < 2; i++)
        if (rdl__op_has(infer->node, zeros[i][0]) &&
            infer->in[zeros[i][0]].dtype != infer->in[zeros[i][1]].dtype)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "input %d (zero point) is %s, input %d is %s", zeros[i][0],
                             rdl_dtype_name(infer->in[zeros[i][0]].dtype), zeros[i][1],
                             rdl_dtype_name(infer->in[zeros[i][1]].dtype));
    return RDL_OK;
}

/* Binds all inputs by their roles, and output 0. */
static void bind_roles(const struct rdl__lower *lower, struct rdl__operand *bind)
{
    const struct roles *r = roles_of(lower->node);
    const uint8_t inputs[] = {0,          r->b,       r->a_zero,  r->b_zero, r->bias,
                              r->a_scale, r->b_scale, r->y_scale, r->y_zero};
    for (uint32_t i = 0; i < sizeof inputs; i++)
        if (inputs[i] != NONE && rdl__op_has(lower->node, inputs[i]))
            bind[i] = RDL__IN(inputs[i]);
    bind[RDL__K_QUANTIZED_Y] = RDL__OUT(0);
}

/* -------------------------------------------------------------------------------------- products */

static enum rdl_status infer_matmul(const struct rdl__infer *infer)
{
    const struct roles *r = roles_of(infer->node);
    struct rdl__k_quantized q;
    RDL_TRY(check_dtypes(infer));
    RDL_TRY(rdl__matmul_out(infer, r->b, r->y_zero == NONE ? RDL_I32 : infer->in[r->y_zero].dtype));
    const struct rdl__matmul_dims dims =
        rdl__matmul_dims(&infer->in[0].shape, &infer->in[r->b].shape);
    return describe(infer->node, infer->in, dims.m, dims.n, &q, infer->error);
}

static enum rdl_status lower_matmul(const struct rdl__lower *lower)
{
    const struct rdl__matmul_dims dims =
        rdl__matmul_dims(&lower->in[0].shape, &lower->in[roles_of(lower->node)->b].shape);
    struct rdl__k_matmul_quantized p = {.m = dims.m, .n = dims.n, .k = dims.k, .batch = dims.batch};
    RDL_TRY(describe(lower->node, lower->in, dims.m, dims.n, &p.q, lower->error));
    struct rdl__operand bind[RDL__K_QUANTIZED_BINDINGS] = {{0}};
    bind_roles(lower, bind);
    return RDL__OP_STEP(lower, rdl__k_matmul_quantized, p, rdl__k_matmul_quantized_tiles(&p), bind);
}

/* ---------------------------------------------------------------------------------- convolutions */

static enum rdl_status infer_conv(const struct rdl__infer *infer)
{
    const struct roles *r = roles_of(infer->node);
    const int64_t channels = infer->in[r->b].shape.dims[0];
    struct rdl__op_window window;
    struct rdl__k_quantized q;
    RDL_TRY(check_dtypes(infer));
    RDL_TRY(rdl__conv_read(infer, r->b, &window));
    if (r->bias != NONE && rdl__op_has(infer->node, r->bias)) {
        if (infer->in[r->bias].dtype != RDL_I32)
            return rdl__op_bad_dtype(infer, r->bias);
        RDL_TRY(rdl__conv_bias(infer, r->bias, channels));
    }
    RDL_TRY(describe(infer->node, infer->in, 1, channels, &q, infer->error));
    return rdl__window_out(infer, 0, q.y, infer->in[0].shape.dims[0], channels, &window);
}

static enum rdl_status lower_conv(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const struct rdl__shape *w = &lower->in[roles_of(lower->node)->b].shape;
    struct rdl__op_window window;
    RDL_TRY(rdl__window_read(lower->node, x, w->dims + 2, &window, lower->error));
    const int64_t group = rdl__attr_int(lower->node, "group", 1);
    struct rdl__k_conv_quantized p = {.conv = {.window = window.window,
                                               .batch = x->dims[0],
                                               .groups = group,
                                               .in_channels = w->dims[1],
                                               .out_channels = w->dims[0] / group}};
    RDL_TRY(describe(lower->node, lower->in, 1, w->dims[0], &p.q, lower->error));
    struct rdl__operand bind[RDL__K_QUANTIZED_BINDINGS] = {{0}};
    bind_roles(lower, bind);
    return RDL__OP_STEP(lower, rdl__k_conv_quantized, p, rdl__k_conv_ref_plan(&p.conv), bind);
}

/* All of them @10 (QLinearMatMul@21: more dtypes). */
#define INTEGER_OP(name_, least, most, check_, kind)                                               \
    RDL__OPERATOR(name_, 10, least, most, 1, 1, .check = (check_), .infer = infer_##kind,          \
                  .lower = lower_##kind);
INTEGER_OP(MatMulInteger, 2, 4, NULL, matmul)
INTEGER_OP(QLinearMatMul, 8, 8, NULL, matmul)
INTEGER_OP(ConvInteger, 2, 4, rdl__conv_check, conv)
INTEGER_OP(QLinearConv, 8, 9, rdl__conv_check, conv)
