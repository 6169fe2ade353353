/*
 * Pooling: MaxPool, AveragePool, LpPool, the global ones, and MaxUnpool.
 */
#include "ops/reduce.h"
#include "ops/window.h"

#include <inttypes.h>
#include <string.h>

static const struct rdl__attr_rule max_rules[] = {
    {"auto_pad", RDL__ATTR_STRING, false}, {"ceil_mode", RDL__ATTR_INT, false},
    {"dilations", RDL__ATTR_INTS, false},  {"kernel_shape", RDL__ATTR_INTS, true},
    {"pads", RDL__ATTR_INTS, false},       {"storage_order", RDL__ATTR_INT, false},
    {"strides", RDL__ATTR_INTS, false},
};

static const struct rdl__attr_rule average_rules[] = {
    {"auto_pad", RDL__ATTR_STRING, false},       {"ceil_mode", RDL__ATTR_INT, false},
    {"count_include_pad", RDL__ATTR_INT, false}, {"dilations", RDL__ATTR_INTS, false},
    {"kernel_shape", RDL__ATTR_INTS, true},      {"pads", RDL__ATTR_INTS, false},
    {"strides", RDL__ATTR_INTS, false},
};

static const struct rdl__attr_rule lp_rules[] = {
    {"auto_pad", RDL__ATTR_STRING, false}, {"ceil_mode", RDL__ATTR_INT, false},
    {"dilations", RDL__ATTR_INTS, false},  {"kernel_shape", RDL__ATTR_INTS, true},
    {"p", RDL__ATTR_INT, false},           {"pads", RDL__ATTR_INTS, false},
    {"strides", RDL__ATTR_INTS, false},
};

static enum rdl_status check_max(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(RDL__CHECK_ATTRS(node, max_rules, error));
    return rdl__window_check(node, error);
}

static enum rdl_status check_average(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(RDL__CHECK_ATTRS(node, average_rules, error));
    return rdl__window_check(node, error);
}

static enum rdl_status check_power(const struct rdl__node *node, struct rdl_error *error)
{
    const int64_t p = rdl__attr_int(node, "p", 2);
    if (p < 1)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: p is %" PRId64 ", expected at least 1",
                         RDL__NODE_TEXT(node), p);
    return RDL_OK;
}

static enum rdl_status check_lp(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(RDL__CHECK_ATTRS(node, lp_rules, error));
    RDL_TRY(check_power(node, error));
    return rdl__window_check(node, error);
}

static enum rdl_status infer_pool(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    struct rdl__op_window window;
    RDL_TRY(rdl__window_read(infer->node, x, NULL, &window, infer->error));
    RDL_TRY(rdl__window_out(infer, 0, infer->in[0].dtype, x->dims[0], x->dims[1], &window));
    if (infer->node->n_outputs < 2 || infer->node->outputs[1] == RDL__NO_VALUE)
        return RDL_OK;
    return rdl__window_out(infer, 1, RDL_I64, x->dims[0], x->dims[1], &window);
}

static enum rdl_status infer_max(const struct rdl__infer *infer)
{
    const enum rdl_dtype dtype = infer->in[0].dtype;
    if (dtype != RDL_F32 && dtype != RDL_F64 && dtype != RDL_I8 && dtype != RDL_U8)
        return rdl__op_bad_dtype(infer, 0);
    return infer_pool(infer);
}

static enum rdl_status infer_average(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    return infer_pool(infer);
}

/* The step of a pooling whose kind and window are set. */
static enum rdl_status pool_step(const struct rdl__lower *lower, struct rdl__k_pool *params)
{
    params->dtype = lower->in[0].dtype;
    params->planes = lower->in[0].shape.dims[0] * lower->in[0].shape.dims[1];
    struct rdl__step_spec spec = {.fn = rdl__k_pool_ref,
                                  .params = params,
                                  .params_bytes = sizeof *params,
                                  .n_bind = 3,
                                  .bind = {RDL__IN(0), RDL__OUT(0)}};
    if (lower->node->n_outputs > 1 && lower->node->outputs[1] != RDL__NO_VALUE)
        spec.bind[2] = RDL__OUT(1);
    else if (params->dtype == RDL_F32 && rdl__k_pool_f32_takes(params)) {
        spec.fn = rdl__op_f32(lower)->pool;
        spec.tiles = rdl__k_pool_f32_plan(params, &spec.scratch_bytes);
        return rdl__lower_step(lower, &spec);
    }
    spec.tiles = rdl__k_pool_ref_plan(params);
    return rdl__lower_step(lower, &spec);
}

static enum rdl_status lower_pool(const struct rdl__lower *lower, enum rdl__k_pool_kind kind)
{
    struct rdl__op_window window;
    RDL_TRY(rdl__window_read(lower->node, &lower->in[0].shape, NULL, &window, lower->error));
    struct rdl__k_pool params = {
        .kind = kind,
        .window = window.window,
        .count_include_pad = rdl__attr_int(lower->node, "count_include_pad", 0) != 0,
        .column_major = rdl__attr_int(lower->node, "storage_order", 0) != 0,
        .n_spatial = window.n_spatial,
        .p = rdl__attr_int(lower->node, "p", 2)};
    memcpy(params.pad_end, window.pad_end, sizeof params.pad_end);
    return pool_step(lower, &params);
}

static enum rdl_status lower_max(const struct rdl__lower *lower)
{
    return lower_pool(lower, RDL__K_POOL_MAX);
}

static enum rdl_status lower_average(const struct rdl__lower *lower)
{
    return lower_pool(lower, RDL__K_POOL_AVERAGE);
}

static enum rdl_status lower_lp(const struct rdl__lower *lower)
{
    return lower_pool(lower, RDL__K_POOL_LP);
}

/* MaxPool@1 (8: indices, 10: dilations and ceil_mode, 12: integers; 11, 22). */
RDL__OPERATOR(MaxPool, 1, 1, 1, 1, 2, .check = check_max, .infer = infer_max, .lower = lower_max);

/* AveragePool@7 (10: ceil_mode, 19: dilations; 11, 22). */
RDL__OPERATOR(AveragePool, 7, 1, 1, 1, 1, .check = check_average, .infer = infer_average,
              .lower = lower_average);

/* LpPool@2 (18: dilations and ceil_mode; 11, 22). */
RDL__OPERATOR(LpPool, 2, 1, 1, 1, 1, .check = check_lp, .infer = infer_average, .lower = lower_lp);

/* ---------------------------------------------------------------------------------------- global */

static enum rdl_status infer_global(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    int64_t dims[RDL_MAX_RANK] = {x->dims[0], x->dims[1], 1, 1, 1, 1, 1, 1};
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank, dims);
}

/* Folds every plane into one number. */
static enum rdl_status lower_planes(const struct rdl__lower *lower, enum rdl__k_reduce_op op)
{
    bool fold[RDL_MAX_RANK] = {false};
    for (int32_t d = 2; d < lower->in[0].shape.rank; d++)
        fold[d] = true;
    return rdl__reduce_step(lower, op, fold, RDL__IN(0), RDL__OUT(0));
}

static enum rdl_status lower_global_average(const struct rdl__lower *lower)
{
    return lower_planes(lower, RDL__K_REDUCE_MEAN);
}

static enum rdl_status lower_global_max(const struct rdl__lower *lower)
{
    return lower_planes(lower, RDL__K_REDUCE_MAX);
}

/* The norm of every plane: a window over the whole image. */
static enum rdl_status lower_global_lp(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const int64_t size = rdl__shape_product(x, 2, x->rank);
    struct rdl__k_pool params = {.kind = RDL__K_POOL_LP,
                                 .window = {.in = {1, 1, size},
                                            .out = {1, 1, 1},
                                            .kernel = {1, 1, size},
                                            .stride = {1, 1, 1},
                                            .dilation = {1, 1, 1}},
                                 .n_spatial = 1,
                                 .p = rdl__attr_int(lower->node, "p", 2)};
    return pool_step(lower, &params);
}

static enum rdl_status check_global_lp(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"p", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_power(node, error);
}

/* GlobalAveragePool@1 (22: more dtypes). */
RDL__OPERATOR(GlobalAveragePool, 1, 1, 1, 1, 1, .infer = infer_global,
              .lower = lower_global_average);

/* GlobalMaxPool@1 (22: more dtypes). */
RDL__OPERATOR(GlobalMaxPool, 1, 1, 1, 1, 1, .infer = infer_global, .lower = lower_global_max);

/* GlobalLpPool@2 (22: more dtypes). */
RDL__OPERATOR(GlobalLpPool, 2, 1, 1, 1, 1, .check = check_global_lp, .infer = infer_global,
              .lower = lower_global_lp);

/* ---------------------------------------------------------------------------------------- unpool */

static enum rdl_status check_unpool(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"kernel_shape", RDL__ATTR_INTS, true},
                                                  {"pads", RDL__ATTR_INTS, false},
                                                  {"strides", RDL__ATTR_INTS, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return rdl__window_check(node, error);
}

/* The image that was pooled, as the window's sizes tell. */
static enum rdl_status pooled_shape(const struct rdl__node *node, const struct rdl__shape *x,
                                    struct rdl__shape *shape, struct rdl_error *error)
{
    struct rdl__op_window window;
    RDL_TRY(rdl__window_read_transposed(node, x, NULL, &window, error));
    const int64_t *out = window.window.out + RDL__WINDOW_SPATIAL - window.n_spatial;
    const int64_t dims[] = {x->dims[0], x->dims[1], out[0], window.n_spatial > 1 ? out[1] : 0,
                            window.n_spatial > 2 ? out[2] : 0};
    RDL_TRY(rdl__shape_check(x->rank, dims, error));
    rdl__shape_set(shape, x->rank, dims);
    return RDL_OK;
}

static enum rdl_status infer_unpool(const struct rdl__infer *infer)
{
    const struct rdl__desc *x = &infer->in[0];
    if (x->dtype != RDL_F32 && x->dtype != RDL_F64 && x->dtype != RDL_F16)
        return rdl__op_bad_dtype(infer, 0);
    if (infer->in[1].dtype != RDL_I64)
        return rdl__op_bad_dtype(infer, 1);
    if (!rdl__shape_equal(&x->shape, &infer->in[1].shape))
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 1: the indices have another shape than input 0");
    struct rdl__shape pooled;
    RDL_TRY(pooled_shape(infer->node, &x->shape, &pooled, infer->error));
    if (!rdl__op_has(infer->node, 2))
        return rdl__op_out(infer, 0, x->dtype, pooled.rank, pooled.dims);
    int64_t dims[RDL_MAX_RANK];
    size_t n;
    RDL_TRY(rdl__op_ints(infer, 2, dims, RDL_MAX_RANK, &n));
    if (n != (size_t)x->shape.rank)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 2 (output_shape): %zu elements, expected %" PRId32, n,
                         x->shape.rank);
    return rdl__op_out(infer, 0, x->dtype, x->shape.rank, dims);
}

static enum rdl_status lower_unpool(const struct rdl__lower *lower)
{
    struct rdl__k_unpool params = {.elem_bytes = (int32_t)rdl_dtype_size(lower->in[0].dtype),
                                   .count = (int64_t)rdl__shape_count(&lower->in[0].shape),
                                   .out = lower->out[0].shape};
    RDL_TRY(pooled_shape(lower->node, &lower->in[0].shape, &params.dims, lower->error));
    const size_t tiles = rdl__k_unpool_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_unpool, params, tiles, bind);
}

/* MaxUnpool@9 (11, 22). Indices count through the image that was pooled; output_shape may be larger. */
RDL__OPERATOR(MaxUnpool, 9, 2, 3, 1, 1, .value_inputs = 1u << 2, .check = check_unpool,
              .infer = infer_unpool, .lower = lower_unpool);
