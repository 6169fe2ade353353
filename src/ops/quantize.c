/*
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear: between f32 and integers of 8 and 16 bits.
 */
#include "kernels/quantize.h"

#include "ops/common.h"

#include <inttypes.h>

/* The attributes of a version: the first n of these, in the order in which ONNX brought them. */
static const struct rdl__attr_rule quantize_rules[] = {
    {"axis", RDL__ATTR_INT, false},         {"saturate", RDL__ATTR_INT, false},
    {"output_dtype", RDL__ATTR_INT, false}, {"block_size", RDL__ATTR_INT, false},
    {"precision", RDL__ATTR_INT, false},
};
static const struct rdl__attr_rule dequantize_rules[] = {
    {"axis", RDL__ATTR_INT, false},
    {"block_size", RDL__ATTR_INT, false},
    {"output_dtype", RDL__ATTR_INT, false},
};

static enum rdl_status check_block(const struct rdl__node *node, struct rdl_error *error)
{
    const int64_t block = rdl__attr_int(node, "block_size", 0);
    if (block >= 0)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_MODEL, "%s: block_size is %" PRId64, RDL__NODE_TEXT(node),
                     block);
}

static enum rdl_status check_quantize(const struct rdl__node *node, struct rdl_error *error)
{
    const int32_t since = node->op->since;
    const size_t n = since >= 23 ? 5 : since >= 21 ? 4 : since >= 19 ? 2 : since >= 13 ? 1 : 0;
    RDL_TRY(rdl__attr_check(node, quantize_rules, n, error));
    return check_block(node, error);
}

static enum rdl_status check_dequantize(const struct rdl__node *node, struct rdl_error *error)
{
    const int32_t since = node->op->since;
    const size_t n = since >= 23 ? 3 : since >= 21 ? 2 : since >= 13 ? 1 : 0;
    RDL_TRY(rdl__attr_check(node, dequantize_rules, n, error));
    return check_block(node, error);
}

/* Where element o, a, i finds its scale: one for all, one for an index of axis, or one for a block. */
static enum rdl_status describe(const struct rdl__node *node, const struct rdl__shape *x,
                                const struct rdl__shape *scale, struct rdl__k_quantize *p,
                                struct rdl_error *error)
{
    char is[RDL__SHAPE_TEXT_BYTES], of[RDL__SHAPE_TEXT_BYTES];
    *p = (struct rdl__k_quantize){
        .outer = 1, .axis = (int64_t)rdl__shape_count(x), .inner = 1, .block = 1};
    const int64_t block = rdl__attr_int(node, "block_size", 0);
    if (rdl__shape_count(scale) == 1 && block == 0)
        return RDL_OK;
    int32_t axis;
    RDL_TRY(rdl__op_axis(error, rdl__attr_int(node, "axis", 1), x->rank, &axis));
    p->outer = rdl__shape_product(x, 0, axis);
    p->axis = x->dims[axis];
    p->inner = rdl__shape_product(x, axis + 1, x->rank);
    p->scale_axis = 1;
    if (block == 0 && scale->rank == 1 && scale->dims[0] == p->axis)
        return RDL_OK;
    struct rdl__shape blocks = *x;
    blocks.dims[axis] = block > 0 ? (p->axis - 1) / block + 1 : -1;
    if (p->axis == 0)
        blocks.dims[axis] = 0;
    if (block == 0 || !rdl__shape_equal(&blocks, scale))
        return rdl__fail(
            error, RDL_ERR_SHAPE,
            "input 1 (scale): %s does not fit %s along axis %" PRId32 " in blocks of %" PRId64,
            rdl__shape_text(scale, is, sizeof is), rdl__shape_text(x, of, sizeof of), axis, block);
    p->block = block;
    p->scale_inner = 1;
    p->scale_axis = p->inner;
    p->scale_outer = p->inner * blocks.dims[axis];
    return RDL_OK;
}

/* What both directions ask of scale and zero point. */
static enum rdl_status check_scales(const struct rdl__infer *infer)
{
    struct rdl__k_quantize p;
    if (infer->in[1].dtype != RDL_F32)
        return rdl__op_bad_dtype(infer, 1);
    RDL_TRY(describe(infer->node, &infer->in[0].shape, &infer->in[1].shape, &p, infer->error));
    if (rdl__op_has(infer->node, 2) &&
        rdl__shape_count(&infer->in[2].shape) != rdl__shape_count(&infer->in[1].shape))
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 2 (zero point): another number of elements than input 1 (scale)");
    return RDL_OK;
}

/* Fails unless an attribute that names a dtype is absent, 0, or this one. */
static enum rdl_status expect_dtype(const struct rdl__infer *infer, const char *name,
                                    enum rdl_dtype dtype)
{
    const int64_t given = rdl__attr_int(infer->node, name, 0);
    if (given == 0 || given == (int64_t)dtype)
        return RDL_OK;
    return rdl__fail(infer->error, RDL_ERR_UNSUPPORTED, "%s = %" PRId64 " is not supported here",
                     name, given);
}

/* The dtype that QuantizeLinear makes. */
static enum rdl_dtype made_dtype(const struct rdl__infer *infer)
{
    if (rdl__op_has(infer->node, 2))
        return infer->in[2].dtype;
    const int64_t given = rdl__attr_int(infer->node, "output_dtype", 0);
    return given == 0 ? RDL_U8 : given > 0 && given <= RDL_BF16 ? (enum rdl_dtype)given : 0;
}

static enum rdl_status infer_quantize(const struct rdl__infer *infer)
{
    const struct rdl__desc *x = &infer->in[0];
    const enum rdl_dtype dtype = made_dtype(infer);
    if (x->dtype != RDL_F32 && x->dtype != RDL_I32)
        return rdl__op_bad_dtype(infer, 0);
    if (rdl__op_has(infer->node, 2) && !rdl__k_quantize_takes(dtype))
        return rdl__op_bad_dtype(infer, 2);
    if (!rdl__k_quantize_takes(dtype))
        return rdl__fail(infer->error, RDL_ERR_UNSUPPORTED,
                         "output_dtype = %" PRId64 " is not supported",
                         rdl__attr_int(infer->node, "output_dtype", 0));
    RDL_TRY(expect_dtype(infer, "output_dtype", dtype));
    RDL_TRY(expect_dtype(infer, "precision", RDL_F32));
    RDL_TRY(check_scales(infer));
    return rdl__op_out(infer, 0, dtype, x->shape.rank, x->shape.dims);
}

static enum rdl_status infer_dequantize(const struct rdl__infer *infer)
{
    const struct rdl__desc *x = &infer->in[0];
    if (!rdl__k_quantize_takes(x->dtype) && x->dtype != RDL_I32)
        return rdl__op_bad_dtype(infer, 0);
    if (rdl__op_has(infer->node, 2))
        RDL_TRY(rdl__op_same_dtype(infer, 2));
    RDL_TRY(expect_dtype(infer, "output_dtype", RDL_F32));
    RDL_TRY(check_scales(infer));
    return rdl__op_out(infer, 0, RDL_F32, x->shape.rank, x->shape.dims);
}

static enum rdl_status lower_quantize(const struct rdl__lower *lower)
{
    struct rdl__k_quantize p;
    RDL_TRY(describe(lower->node, &lower->in[0].shape, &lower->in[1].shape, &p, lower->error));
    const bool back = lower->out[0].dtype == RDL_F32;
    p.integer = back ? lower->in[0].dtype : lower->out[0].dtype;
    p.from_integer = !back && lower->in[0].dtype == RDL_I32;
    const struct rdl__operand bind[] = {
        RDL__IN(0), RDL__IN(1), rdl__op_has(lower->node, 2) ? RDL__IN(2) : (struct rdl__operand){0},
        RDL__OUT(0)};
    const size_t tiles = rdl__k_quantize_plan(&p);
    return RDL__OP_STEP(lower, back ? rdl__k_dequantize : rdl__k_quantize, p, tiles, bind);
}

/* @10, @13: axis, @19: saturate, @21: blocks, @23: precision, output_dtype (24, 25: more dtypes). */
#define QUANTIZE_OP(name_, since_, kind)                                                           \
    RDL__OPERATOR(name_, since_, 2, 3, 1, 1, .check = check_##kind, .infer = infer_##kind,         \
                  .lower = lower_quantize);
QUANTIZE_OP(QuantizeLinear, 10, quantize)
QUANTIZE_OP(QuantizeLinear, 13, quantize)
QUANTIZE_OP(QuantizeLinear, 19, quantize)
QUANTIZE_OP(QuantizeLinear, 21, quantize)
QUANTIZE_OP(QuantizeLinear, 23, quantize)
QUANTIZE_OP(DequantizeLinear, 10, dequantize)
QUANTIZE_OP(DequantizeLinear, 13, dequantize)
QUANTIZE_OP(DequantizeLinear, 21, dequantize)
QUANTIZE_OP(DequantizeLinear, 23, dequantize)

/* --------------------------------------------------------------------------------------- dynamic */

static bool wants(const struct rdl__node *node, uint32_t i)
{
    return i < node->n_outputs && node->outputs[i] != RDL__NO_VALUE;
}

static enum rdl_status infer_dynamic(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    if (infer->in[0].dtype != RDL_F32)
        return rdl__op_bad_dtype(infer, 0);
    if (wants(infer->node, 0))
        RDL_TRY(rdl__op_out(infer, 0, RDL_U8, x->rank, x->dims));
    if (wants(infer->node, 1))
        RDL_TRY(rdl__op_out(infer, 1, RDL_F32, 0, NULL));
    return wants(infer->node, 2) ? rdl__op_out(infer, 2, RDL_U8, 0, NULL) : RDL_OK;
}

/* Adds the steps that make scale and zero point. */
static enum rdl_status lower_range(const struct rdl__lower *lower, int64_t count,
                                   const struct rdl__operand made[2])
{
    struct rdl__k_quantize_range range;
    uint32_t ranges;
    const size_t tiles = rdl__k_quantize_range_plan(&range, count);
    RDL_TRY(rdl__lower_temp(lower, 2 * tiles * sizeof(float), &ranges));
    const struct rdl__operand first[] = {RDL__IN(0), RDL__TEMP_WRITE(ranges)};
    if (tiles > 0)
        RDL_TRY(RDL__OP_STEP(lower, rdl__k_quantize_range, range, tiles, first));
    const struct rdl__operand second[] = {RDL__TEMP_READ(ranges), made[0], made[1]};
    return RDL__OP_STEP(lower, rdl__k_quantize_scale, range, 1, second);
}

static enum rdl_status lower_dynamic(const struct rdl__lower *lower)
{
    struct rdl__operand made[2] = {RDL__OUT(1), RDL__OUT(2)};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t temp;
        if (wants(lower->node, 1 + i))
            continue;
        RDL_TRY(rdl__lower_temp(lower, sizeof(float), &temp));
        made[i] = RDL__TEMP_WRITE(temp);
    }
    const int64_t count = (int64_t)rdl__shape_count(&lower->in[0].shape);
    RDL_TRY(lower_range(lower, count, made));
    if (!wants(lower->node, 0) || count == 0)
        return RDL_OK;
    struct rdl__k_quantize p = {
        .integer = RDL_U8, .outer = 1, .axis = count, .inner = 1, .block = 1};
    struct rdl__operand second[] = {RDL__IN(0), made[0], made[1], RDL__OUT(0)};
    second[1].written = second[2].written = false;
    const size_t tiles = rdl__k_quantize_plan(&p);
    return RDL__OP_STEP(lower, rdl__k_quantize, p, tiles, second);
}

/* DynamicQuantizeLinear@11. */
RDL__OPERATOR(DynamicQuantizeLinear, 11, 1, 1, 3, 3, .infer = infer_dynamic,
              .lower = lower_dynamic);
