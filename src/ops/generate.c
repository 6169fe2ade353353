/*
 * Operators that make a tensor out of few numbers: ConstantOfShape, Range, EyeLike, and the windows
 * of signal processing.
 */
#include "kernels/generate.h"
#include "ops/common.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------- ConstantOfShape */

static enum rdl_status check_constant_of_shape(const struct rdl__node *node,
                                               struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"value", RDL__ATTR_TENSOR, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const struct rdl__attr *value = rdl__attr_find(node, "value");
    if (value != NULL &&
        (value->tensor->dtype == RDL_STRING || rdl__shape_count(&value->tensor->shape) != 1))
        return rdl__fail(error, RDL_ERR_MODEL, "%s: attribute \"value\" is no number",
                         RDL__NODE_TEXT(node));
    return RDL_OK;
}

static enum rdl_status infer_constant_of_shape(const struct rdl__infer *infer)
{
    const struct rdl__attr *value = rdl__attr_find(infer->node, "value");
    int64_t dims[RDL_MAX_RANK];
    size_t n;
    RDL_TRY(rdl__op_ints(infer, 0, dims, RDL_MAX_RANK, &n));
    return rdl__op_out(infer, 0, value != NULL ? value->tensor->dtype : RDL_F32, (int32_t)n, dims);
}

static enum rdl_status lower_constant_of_shape(const struct rdl__lower *lower)
{
    const struct rdl__attr *value = rdl__attr_find(lower->node, "value");
    struct rdl__k_fill fill = {.elem_bytes = (int32_t)rdl_dtype_size(lower->out[0].dtype)};
    if (value != NULL)
        memcpy(fill.value, value->tensor->data, (size_t)fill.elem_bytes);
    const size_t tiles = rdl__k_fill_plan(&fill, (int64_t)rdl__shape_count(&lower->out[0].shape));
    const struct rdl__operand bind[] = {RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_fill, fill, tiles, bind);
}

/* ConstantOfShape@9 (20, 21, ...: more dtypes). */
RDL__OPERATOR(ConstantOfShape, 9, 1, 1, 1, 1, .value_inputs = 1u << 0,
              .check = check_constant_of_shape, .infer = infer_constant_of_shape,
              .lower = lower_constant_of_shape);

/* ----------------------------------------------------------------------------------------- Range */

/* Steps from start to limit, for integers: none where they lead away. */
static bool integer_steps(int64_t start, int64_t limit, int64_t delta, int64_t *count)
{
    *count = 0;
    if (delta == 0)
        return false;
    const uint64_t by = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t way = 0;
    if (delta > 0 && limit > start)
        way = (uint64_t)limit - (uint64_t)start;
    else if (delta < 0 && limit < start)
        way = (uint64_t)start - (uint64_t)limit;
    const uint64_t steps = way / by + (way % by != 0);
    *count = steps > INT64_MAX ? INT64_MAX : (int64_t)steps;
    return true;
}

static bool float_steps(double way, double delta, int64_t *count)
{
    const double steps = ceil(way / delta);
    if (delta == 0 || isnan(steps))
        return false;
    *count = steps <= 0 ? 0 : steps >= 0x1p62 ? INT64_MAX : (int64_t)steps;
    return true;
}

#define AT_0(type, i) (((const type *)infer->in[i].data)[0])

static enum rdl_status infer_range(const struct rdl__infer *infer)
{
    int64_t count = 0;
    bool good = false;
    for (uint32_t i = 0; i < 3; i++) {
        RDL_TRY(rdl__op_same_dtype(infer, i));
        if (rdl__shape_count(&infer->in[i].shape) != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "input %" PRIu32 " is no scalar", i);
    }
    switch (infer->in[0].dtype) {
    case RDL_F32: /* the difference is taken in single precision, as the elements are */
        good =
            float_steps((double)(AT_0(float, 1) - AT_0(float, 0)), (double)AT_0(float, 2), &count);
        break;
    case RDL_F64:
        good = float_steps(AT_0(double, 1) - AT_0(double, 0), AT_0(double, 2), &count);
        break;
    case RDL_I16:
        good = integer_steps(AT_0(int16_t, 0), AT_0(int16_t, 1), AT_0(int16_t, 2), &count);
        break;
    case RDL_I32:
        good = integer_steps(AT_0(int32_t, 0), AT_0(int32_t, 1), AT_0(int32_t, 2), &count);
        break;
    case RDL_I64:
        good = integer_steps(AT_0(int64_t, 0), AT_0(int64_t, 1), AT_0(int64_t, 2), &count);
        break;
    default:
        return rdl__op_bad_dtype(infer, 0);
    }
    if (!good)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 2 (delta) does not lead anywhere");
    return rdl__op_out(infer, 0, infer->in[0].dtype, 1, &count);
}

static enum rdl_status lower_range(const struct rdl__lower *lower)
{
    struct rdl__k_range range = {.dtype = lower->out[0].dtype};
    const size_t tiles = rdl__k_range_plan(&range, lower->out[0].shape.dims[0]);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(2), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_range, range, tiles, bind);
}

static enum rdl_status check_range(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"stash_type", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* Range@11 (27: 16-bit floats, which are not taken, with the stash_type that is theirs alone). */
RDL__OPERATOR(Range, 11, 3, 3, 1, 1, .value_inputs = 7, .check = check_range, .infer = infer_range,
              .lower = lower_range);

/* --------------------------------------------------------------------------------------- EyeLike */

static enum rdl_status check_dtype(const struct rdl__node *node, const char *attr,
                                   struct rdl_error *error)
{
    const enum rdl_dtype dtype = rdl__op_dtype(node, attr, RDL_F32);
    if (dtype == RDL_DTYPE_NONE || dtype == RDL_STRING)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%s: %s = %" PRId64 " is not supported",
                         RDL__NODE_TEXT(node), attr, rdl__attr_int(node, attr, 0));
    return RDL_OK;
}

static enum rdl_status check_eye(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"dtype", RDL__ATTR_INT, false},
                                                  {"k", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_dtype(node, "dtype", error);
}

static enum rdl_status infer_eye(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 2, 2));
    RDL_TRY(rdl__op_out_as_input(infer));
    infer->out[0].dtype = rdl__op_dtype(infer->node, "dtype", infer->in[0].dtype);
    return RDL_OK;
}

static enum rdl_status lower_eye(const struct rdl__lower *lower)
{
    const enum rdl_dtype dtype = lower->out[0].dtype;
    struct rdl__k_eye eye = {.elem_bytes = (int32_t)rdl_dtype_size(dtype),
                             .rows = lower->out[0].shape.dims[0],
                             .cols = lower->out[0].shape.dims[1],
                             .k = rdl__attr_int(lower->node, "k", 0)};
    const float one_f32 = 1.0f;
    const double one_f64 = 1.0;
    const uint16_t one_f16 = rdl__k_f32_to_f16(1.0f), one_bf16 = rdl__k_f32_to_bf16(1.0f);
    const uint64_t one = 1; /* little-endian: the first bytes serve every integer */
    const void *from = dtype == RDL_F32    ? (const void *)&one_f32
                       : dtype == RDL_F64  ? (const void *)&one_f64
                       : dtype == RDL_F16  ? (const void *)&one_f16
                       : dtype == RDL_BF16 ? (const void *)&one_bf16
                                           : (const void *)&one;
    memcpy(eye.one, from, (size_t)eye.elem_bytes);
    const size_t tiles = rdl__k_eye_plan(&eye);
    const struct rdl__operand bind[] = {RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_eye, eye, tiles, bind);
}

/* EyeLike@9 (22: more dtypes). */
RDL__OPERATOR(EyeLike, 9, 1, 1, 1, 1, .flags = RDL__OP_OF_SHAPE, .check = check_eye,
              .infer = infer_eye, .lower = lower_eye);

/* --------------------------------------------------------------------------------------- windows */

static enum rdl_status check_window(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"output_datatype", RDL__ATTR_INT, false},
                                                  {"periodic", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_dtype(node, "output_datatype", error);
}

static enum rdl_status infer_window(const struct rdl__infer *infer)
{
    int64_t size = 0;
    size_t n;
    RDL_TRY(rdl__op_ints(infer, 0, &size, 1, &n));
    if (n != 1 || size < 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 0 (size) is %" PRId64, size);
    return rdl__op_out(infer, 0, rdl__op_dtype(infer->node, "output_datatype", RDL_F32), 1, &size);
}

/* The sum of cosines in double, then in the dtype wanted. */
static enum rdl_status lower_window(const struct rdl__lower *lower, double a0, double a1, double a2)
{
    const int64_t count = lower->out[0].shape.dims[0];
    const bool periodic = rdl__attr_int(lower->node, "periodic", 1) != 0;
    struct rdl__k_cosines window = {.a0 = a0,
                                    .a1 = a1,
                                    .a2 = a2,
                                    .period = (double)(periodic || count < 2 ? count : count - 1)};
    const size_t tiles = rdl__k_cosines_plan(&window, count);
    if (lower->out[0].dtype == RDL_F64) {
        const struct rdl__operand bind[] = {RDL__OUT(0)};
        return RDL__OP_STEP(lower, rdl__k_cosines, window, tiles, bind);
    }
    uint32_t wide;
    RDL_TRY(rdl__lower_temp(lower, (size_t)count * sizeof(double), &wide));
    const struct rdl__operand bind[] = {RDL__TEMP_WRITE(wide)};
    RDL_TRY(RDL__OP_STEP(lower, rdl__k_cosines, window, tiles, bind));
    struct rdl__k_cast cast = {.from = RDL_F64, .to = lower->out[0].dtype};
    const size_t cast_tiles = rdl__k_cast_plan(&cast, count);
    const struct rdl__operand cast_bind[] = {RDL__TEMP_READ(wide), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_cast_ref, cast, cast_tiles, cast_bind);
}

#define WINDOW_OP(name_, a0, a1, a2)                                                               \
    static enum rdl_status lower_##name_(const struct rdl__lower *lower)                           \
    {                                                                                              \
        return lower_window(lower, a0, a1, a2);                                                    \
    }                                                                                              \
    RDL__OPERATOR(name_, 17, 1, 1, 1, 1, .value_inputs = 1u << 0, .check = check_window,           \
                  .infer = infer_window, .lower = lower_##name_);

WINDOW_OP(BlackmanWindow, 0.42, 0.5, 0.08)
WINDOW_OP(HannWindow, 0.5, 0.5, 0.0)
WINDOW_OP(HammingWindow, 25.0 / 46.0, 1.0 - 25.0 / 46.0, 0.0)
