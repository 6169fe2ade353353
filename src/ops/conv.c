/*
 * Conv. f32 runs as a packed matrix product, or directly if it is depthwise; which of the two is
 * decided by the weights and the group, never by the image.
 */
#include "ops/conv.h"

#include <inttypes.h>

/* What prepare leaves. */
struct state {
    bool packed; /* weight 0 holds the packed weights */
};

enum rdl_status rdl__conv_check(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {
        {"auto_pad", RDL__ATTR_STRING, false}, {"dilations", RDL__ATTR_INTS, false},
        {"group", RDL__ATTR_INT, false},       {"kernel_shape", RDL__ATTR_INTS, false},
        {"pads", RDL__ATTR_INTS, false},       {"strides", RDL__ATTR_INTS, false},
    };
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return rdl__window_check(node, error);
}

enum rdl_status rdl__conv_read(const struct rdl__infer *infer, uint32_t i,
                               struct rdl__op_window *window)
{
    const struct rdl__shape *x = &infer->in[0].shape, *w = &infer->in[i].shape;
    RDL_TRY(rdl__op_rank(infer, i, x->rank, x->rank));
    RDL_TRY(rdl__window_read(infer->node, x, w->dims + 2, window, infer->error));
    const int64_t group = rdl__attr_int(infer->node, "group", 1);
    int64_t channels;
    if (rdl__mul_dim(w->dims[1], group, &channels) && channels == x->dims[1] &&
        w->dims[0] % group == 0)
        return RDL_OK;
    return rdl__fail(infer->error, RDL_ERR_SHAPE,
                     "weights [%" PRId64 ", %" PRId64 ", ...] in %" PRId64
                     " groups do not fit an input of %" PRId64 " channels",
                     w->dims[0], w->dims[1], group, x->dims[1]);
}

enum rdl_status rdl__conv_bias(const struct rdl__infer *infer, uint32_t i, int64_t channels)
{
    if (!rdl__op_has(infer->node, i))
        return RDL_OK;
    RDL_TRY(rdl__op_rank(infer, i, 1, 1));
    if (infer->in[i].shape.dims[0] == channels)
        return RDL_OK;
    return rdl__fail(infer->error, RDL_ERR_SHAPE,
                     "input %" PRIu32 " (bias): %" PRId64 " elements, expected %" PRId64, i,
                     infer->in[i].shape.dims[0], channels);
}

static enum rdl_status infer_conv(const struct rdl__infer *infer)
{
    const int64_t channels = infer->in[1].shape.dims[0];
    struct rdl__op_window window;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    RDL_TRY(rdl__conv_read(infer, 1, &window));
    if (rdl__op_has(infer->node, 2))
        RDL_TRY(rdl__op_same_dtype(infer, 2));
    RDL_TRY(rdl__conv_bias(infer, 2, channels));
    return rdl__window_out(infer, 0, infer->in[0].dtype, infer->in[0].shape.dims[0], channels,
                           &window);
}

/* One input channel a group and at most two dimensions: no product pays there. */
static bool is_depthwise(const struct rdl__shape *weights, int64_t group)
{
    return group > 1 && weights->dims[1] == 1 && weights->rank <= 4;
}

static enum rdl_status prepare_conv(struct rdl__prepare *prepare)
{
    const struct rdl__desc *w = &prepare->in[1];
    const int64_t group = rdl__attr_int(prepare->node, "group", 1);
    if (w->data == NULL || w->dtype != RDL_F32 || w->shape.rank < 3 ||
        w->shape.dims[0] % group != 0 || is_depthwise(&w->shape, group))
        return RDL_OK;
    const size_t count = rdl__shape_count(&w->shape);
    struct state *state = RDL__ARENA_NEW(prepare->arena, struct state);
    if (state == NULL)
        return rdl__fail_memory(prepare->error, "Conv", sizeof *state);
    if (count == 0)
        return RDL_OK;
    float *packed = rdl__prepare_weight(prepare, 0, count * sizeof(float));
    if (packed == NULL)
        return rdl__fail_memory(prepare->error, "packed weights", count * sizeof(float));
    rdl__k_conv_pack(prepare->isa, packed, w->data, group, w->shape.dims[0] / group,
                     rdl__shape_product(&w->shape, 1, w->shape.rank));
    state->packed = true;
    prepare->state = state;
    prepare->absorbed |= 1u << 1;
    return RDL_OK;
}

/* The packed weights: what prepare left, or packed now. */
static enum rdl_status bind_weights(const struct rdl__lower *lower,
                                    const struct rdl__k_conv *params, struct rdl__operand *operand)
{
    const struct state *state = lower->state;
    *operand = RDL__WEIGHT(0);
    if (state != NULL && state->packed)
        return RDL_OK;
    const struct rdl__shape *w = &lower->in[1].shape;
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, rdl__shape_count(w) * sizeof(float), &temp));
    *operand = RDL__TEMP_READ(temp);
    const struct rdl__k_conv_pack_params pack = {.isa = lower->isa,
                                                 .groups = params->groups,
                                                 .out_channels = params->out_channels,
                                                 .depth = rdl__shape_product(w, 1, w->rank)};
    const struct rdl__operand bind[] = {RDL__IN(1), RDL__TEMP_WRITE(temp)};
    return RDL__OP_STEP(lower, rdl__k_conv_pack_f32, pack, (size_t)pack.groups, bind);
}

static enum rdl_status lower_conv(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape, *w = &lower->in[1].shape;
    struct rdl__op_window window;
    RDL_TRY(rdl__window_read(lower->node, x, w->dims + 2, &window, lower->error));
    rdl__window_squeeze(&window.window);
    const int64_t group = rdl__attr_int(lower->node, "group", 1);
    struct rdl__k_conv params = {.window = window.window,
                                 .batch = x->dims[0],
                                 .groups = group,
                                 .in_channels = w->dims[1],
                                 .out_channels = w->dims[0] / group,
                                 .dtype = lower->in[0].dtype};
    struct rdl__step_spec spec = {
        .params = &params,
        .params_bytes = sizeof params,
        .n_bind = 4,
        .bind = {RDL__IN(0), RDL__IN(1), {0}, RDL__OUT(0)},
    };
    if (rdl__op_has(lower->node, 2))
        spec.bind[2] = RDL__IN(2);
    if (params.dtype != RDL_F32) {
        spec.fn = rdl__k_conv_ref;
        spec.tiles = rdl__k_conv_ref_plan(&params);
        RDL_TRY(rdl__lower_step(lower, &spec));
        return rdl__op_lower_act(lower);
    }
    params.act = rdl__op_act(lower->node);
    if (is_depthwise(w, group)) {
        spec.fn = rdl__op_f32(lower)->depthwise;
        spec.tiles = rdl__k_depthwise_plan(&params, &spec.scratch_bytes);
    } else {
        RDL_TRY(bind_weights(lower, &params, &spec.bind[1]));
        spec.fn = rdl__op_f32(lower)->conv;
        spec.tiles = rdl__k_conv_plan(lower->isa, &params, &spec.scratch_bytes);
    }
    if (spec.tiles == 0)
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "the convolution is too large");
    return rdl__lower_step(lower, &spec);
}

static double flop_conv(const struct rdl__node *node, const struct rdl__desc *in,
                        const struct rdl__desc *out)
{
    (void)node;
    const struct rdl__shape *w = &in[1].shape;
    return 2.0 * (double)rdl__shape_count(&out[0].shape) *
           (double)rdl__shape_product(w, 1, w->rank);
}

/* Conv@1 (11, 22: more dtypes, clearer words). */
RDL__OPERATOR(Conv, 1, 2, 3, 1, 1, .flags = RDL__OP_FUSES, .check = rdl__conv_check,
              .infer = infer_conv, .prepare = prepare_conv, .lower = lower_conv, .flop = flop_conv);
