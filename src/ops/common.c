/*
 * See common.h.
 */
#include "ops/common.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum rdl_status rdl__op_stop(const struct rdl__infer *infer)
{
    const struct rdl__effort *effort = infer->effort;
    return effort->stop == NULL ? RDL_OK : effort->stop(effort->user, infer->error);
}

bool rdl__op_has(const struct rdl__node *node, uint32_t i)
{
    return i < node->n_inputs && node->inputs[i] != RDL__NO_VALUE;
}

enum rdl_status rdl__op_bad_dtype(const struct rdl__infer *infer, uint32_t i)
{
    return rdl__fail(infer->error, RDL_ERR_UNSUPPORTED,
                     "input %" PRIu32 ": dtype %s is not supported", i,
                     rdl_dtype_name(infer->in[i].dtype));
}

enum rdl_status rdl__op_same_dtype(const struct rdl__infer *infer, uint32_t i)
{
    if (infer->in[i].dtype == infer->in[0].dtype)
        return RDL_OK;
    return rdl__fail(infer->error, RDL_ERR_SHAPE, "input %" PRIu32 " is %s, input 0 is %s", i,
                     rdl_dtype_name(infer->in[i].dtype), rdl_dtype_name(infer->in[0].dtype));
}

enum rdl_status rdl__op_rank(const struct rdl__infer *infer, uint32_t i, int32_t low, int32_t high)
{
    const int32_t rank = infer->in[i].shape.rank;
    if (rank >= low && rank <= high)
        return RDL_OK;
    char text[RDL__SHAPE_TEXT_BYTES];
    rdl__shape_text(&infer->in[i].shape, text, sizeof text);
    if (low == high)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input %" PRIu32 ": shape %s has rank %" PRId32 ", expected %" PRId32, i,
                         text, rank, low);
    return rdl__fail(infer->error, RDL_ERR_SHAPE,
                     "input %" PRIu32 ": shape %s has rank %" PRId32 ", expected %" PRId32
                     " to %" PRId32,
                     i, text, rank, low, high);
}

enum rdl_status rdl__op_out(const struct rdl__infer *infer, uint32_t i, enum rdl_dtype dtype,
                            int32_t rank, const int64_t *dims)
{
    RDL_TRY(rdl__shape_check(rank, dims, infer->error));
    infer->out[i].dtype = dtype;
    rdl__shape_set(&infer->out[i].shape, rank, dims);
    return RDL_OK;
}

enum rdl_status rdl__op_out_as_input(const struct rdl__infer *infer)
{
    infer->out[0].dtype = infer->in[0].dtype;
    infer->out[0].shape = infer->in[0].shape;
    return RDL_OK;
}

enum rdl_status rdl__op_axis(struct rdl_error *error, int64_t axis, int32_t rank, int32_t *at)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return rdl__fail(error, RDL_ERR_SHAPE, "axis %" PRId64 " is outside rank %" PRId32, axis,
                         rank);
    *at = (int32_t)(axis < 0 ? axis + rank : axis);
    return RDL_OK;
}

enum rdl_dtype rdl__op_dtype(const struct rdl__node *node, const char *attr,
                             enum rdl_dtype otherwise)
{
    const int64_t number = rdl__attr_int(node, attr, otherwise);
    if (number < 0 || number > RDL_BF16 || rdl_dtype_size((enum rdl_dtype)number) == 0)
        return RDL_DTYPE_NONE;
    return (enum rdl_dtype)number;
}

enum rdl_status rdl__op_ints(const struct rdl__infer *infer, uint32_t i, int64_t *values,
                             size_t max, size_t *count)
{
    const struct rdl__desc *in = &infer->in[i];
    if (in->dtype != RDL_I64 && in->dtype != RDL_I32)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input %" PRIu32 ": dtype %s, expected i64 or i32", i,
                         rdl_dtype_name(in->dtype));
    RDL_TRY(rdl__op_rank(infer, i, 0, 1));
    *count = rdl__shape_count(&in->shape);
    if (*count > max)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input %" PRIu32 ": %zu elements, at most %zu are possible", i, *count,
                         max);
    for (size_t e = 0; e < *count; e++)
        values[e] =
            in->dtype == RDL_I64 ? ((const int64_t *)in->data)[e] : ((const int32_t *)in->data)[e];
    return RDL_OK;
}

struct rdl__k_act rdl__op_act(const struct rdl__node *node)
{
    static const enum rdl__k_act_kind kinds[] = {
        [RDL__ACT_NONE] = RDL__K_ACT_NONE,
        [RDL__ACT_RELU] = RDL__K_ACT_RELU,
        [RDL__ACT_CLIP] = RDL__K_ACT_CLIP,
        [RDL__ACT_HARD_SWISH] = RDL__K_ACT_HARD_SWISH,
        [RDL__ACT_HARD_SIGMOID] = RDL__K_ACT_HARD_SIGMOID,
    };
    return (struct rdl__k_act){kinds[node->activation.kind], node->activation.a,
                               node->activation.b};
}

enum rdl_status rdl__op_lower_act(const struct rdl__lower *lower)
{
    static const enum rdl__k_unary_op unary[] = {
        [RDL__ACT_RELU] = RDL__K_UNARY_RELU,
        [RDL__ACT_CLIP] = RDL__K_UNARY_CLIP,
        [RDL__ACT_HARD_SWISH] = RDL__K_UNARY_HARD_SWISH,
        [RDL__ACT_HARD_SIGMOID] = RDL__K_UNARY_HARD_SIGMOID,
    };
    const struct rdl__activation *act = &lower->node->activation;
    if (act->kind == RDL__ACT_NONE)
        return RDL_OK;
    struct rdl__k_unary params = {.op = unary[act->kind],
                                  .dtype = lower->out[0].dtype,
                                  .has_bounds = true,
                                  .a = act->a,
                                  .b = act->b};
    return rdl__op_unary(lower, &params, (int64_t)rdl__shape_count(&lower->out[0].shape),
                         RDL__OUT(0), RDL__OUT(0));
}

enum rdl_status rdl__op_step(const struct rdl__lower *lower, rdl__kernel_fn fn, const void *params,
                             size_t params_bytes, size_t tiles, uint32_t n_bind,
                             const struct rdl__operand *bind)
{
    struct rdl__step_spec spec = {
        .fn = fn, .params = params, .params_bytes = params_bytes, .tiles = tiles, .n_bind = n_bind};
    memcpy(spec.bind, bind, n_bind * sizeof *bind);
    return rdl__lower_step(lower, &spec);
}

enum rdl_status rdl__op_unary(const struct rdl__lower *lower, struct rdl__k_unary *params,
                              int64_t count, struct rdl__operand from, struct rdl__operand to)
{
    if (!rdl__k_unary_takes(params->op, params->dtype))
        return rdl__op_no_kernel(lower, params->dtype);
    const struct rdl__operand bind[] = {from, to, {0}, {0}};
    const bool fast = params->dtype == RDL_F32 && rdl__k_unary_f32_has(params->op);
    const size_t tiles = rdl__k_unary_plan(params, count);
    return RDL__OP_STEP(lower, fast ? rdl__op_f32(lower)->unary : rdl__k_unary_ref, *params, tiles,
                        bind);
}

enum rdl_status rdl__op_binary(const struct rdl__lower *lower, struct rdl__k_binary *params,
                               const struct rdl__shape *a, struct rdl__operand a_operand,
                               const struct rdl__shape *b, struct rdl__operand b_operand,
                               const struct rdl__shape *out, struct rdl__operand to)
{
    if (!rdl__k_binary_takes(params->op, params->dtype))
        return rdl__op_no_kernel(lower, params->dtype);
    const bool fast = params->dtype == RDL_F32 && rdl__k_binary_f32_has(params->op);
    const size_t tiles = rdl__k_binary_plan(params, a, b, out);
    const struct rdl__operand bind[] = {a_operand, b_operand, to};
    return RDL__OP_STEP(lower, fast ? rdl__op_f32(lower)->binary : rdl__k_binary_ref, *params,
                        tiles, bind);
}

enum rdl_status rdl__op_temp_scalar(const struct rdl__lower *lower, enum rdl_dtype dtype,
                                    double value, uint32_t *index)
{
    const float narrow = (float)value;
    RDL_TRY(rdl__lower_temp(lower, sizeof value, index));
    return rdl__op_store(lower, dtype == RDL_F64 ? (const void *)&value : &narrow,
                         rdl_dtype_size(dtype), RDL__TEMP_WRITE(*index));
}

enum rdl_status rdl__op_move(const struct rdl__lower *lower, struct rdl__k_move *params,
                             enum rdl_dtype dtype, struct rdl__operand from, struct rdl__operand to)
{
    if (dtype == RDL_STRING)
        return rdl__op_no_kernel(lower, dtype);
    params->elem_bytes = (int32_t)rdl_dtype_size(dtype);
    const size_t tiles = rdl__k_move_plan(params);
    if (tiles == 0)
        return RDL_OK;
    const struct rdl__operand bind[] = {from, to};
    return RDL__OP_STEP(lower, rdl__k_move, *params, tiles, bind);
}

enum rdl_status rdl__op_store(const struct rdl__lower *lower, const void *bytes, size_t size_bytes,
                              struct rdl__operand to)
{
    size_t blob_bytes;
    if (!rdl__add_size(sizeof(struct rdl__k_store), size_bytes, &blob_bytes))
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "constant is too large");
    struct rdl__k_store *blob = rdl__alloc(blob_bytes);
    if (blob == NULL)
        return rdl__fail_memory(lower->error, "constant", blob_bytes);
    blob->size_bytes = size_bytes;
    memcpy(blob->bytes, bytes, size_bytes);
    const enum rdl_status status = rdl__op_step(lower, rdl__k_store, blob, blob_bytes, 1, 1, &to);
    rdl__free(blob);
    return status;
}

enum rdl_status rdl__op_store_ints(const struct rdl__lower *lower, const int64_t *values,
                                   int64_t count, struct rdl__operand to)
{
    const int64_t part = 65536;
    for (int64_t at = 0; at < count; at += part) {
        const int64_t n = count - at < part ? count - at : part;
        struct rdl__operand where = to;
        where.offset_bytes += (size_t)at * sizeof *values;
        RDL_TRY(rdl__op_store(lower, values + at, (size_t)n * sizeof *values, where));
    }
    return RDL_OK;
}

enum rdl_status rdl__op_no_kernel(const struct rdl__lower *lower, enum rdl_dtype dtype)
{
    return rdl__fail(lower->error, RDL_ERR_UNSUPPORTED, "no kernel for dtype %s",
                     rdl_dtype_name(dtype));
}
