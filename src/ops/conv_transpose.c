/*
 * ConvTranspose: a convolution of one place, whose output channels are those of the node times the
 * kernel's places, and then the sum of the columns that it leaves. The weights of that convolution are
 * the node's, transposed within each group.
 */
#include "ops/conv.h"

#include <inttypes.h>

/* What prepare leaves. */
struct state {
    bool packed; /* weight 0 holds the packed weights */
};

static enum rdl_status check(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {
        {"auto_pad", RDL__ATTR_STRING, false},     {"dilations", RDL__ATTR_INTS, false},
        {"group", RDL__ATTR_INT, false},           {"kernel_shape", RDL__ATTR_INTS, false},
        {"output_padding", RDL__ATTR_INTS, false}, {"output_shape", RDL__ATTR_INTS, false},
        {"pads", RDL__ATTR_INTS, false},           {"strides", RDL__ATTR_INTS, false},
    };
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return rdl__window_check(node, error);
}

static enum rdl_status infer(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape, *w = &infer->in[1].shape;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    RDL_TRY(rdl__op_rank(infer, 1, x->rank, x->rank));
    struct rdl__op_window window;
    RDL_TRY(rdl__window_read_transposed(infer->node, x, w->dims + 2, &window, infer->error));
    const int64_t group = rdl__attr_int(infer->node, "group", 1);
    int64_t channels;
    if (w->dims[0] != x->dims[1] || w->dims[0] % group != 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "weights [%" PRId64 ", ...] in %" PRId64
                         " groups do not fit an input of %" PRId64 " channels",
                         w->dims[0], group, x->dims[1]);
    if (!rdl__mul_dim(w->dims[1], group, &channels))
        return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "too many output channels");
    if (rdl__op_has(infer->node, 2))
        RDL_TRY(rdl__op_same_dtype(infer, 2));
    RDL_TRY(rdl__conv_bias(infer, 2, channels));
    return rdl__window_out(infer, 0, infer->in[0].dtype, x->dims[0], channels, &window);
}

static enum rdl_status prepare(struct rdl__prepare *prepare)
{
    const struct rdl__desc *w = &prepare->in[1];
    const int64_t group = rdl__attr_int(prepare->node, "group", 1);
    const size_t count = w->data != NULL ? rdl__shape_count(&w->shape) : 0;
    if (count == 0 || w->dtype != RDL_F32 || w->shape.rank < 3 || w->shape.dims[0] % group != 0)
        return RDL_OK;
    const int64_t depth = w->shape.dims[0] / group;
    const int64_t rows = rdl__shape_product(&w->shape, 1, w->shape.rank);
    struct state *state = RDL__ARENA_NEW(prepare->arena, struct state);
    float *turned = rdl__arena_zeroed(prepare->packed, count, sizeof *turned);
    if (state == NULL || turned == NULL)
        return rdl__fail_memory(prepare->error, "ConvTranspose", count * sizeof(float));
    for (int64_t g = 0; g < group; g++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < depth; i++)
                turned[(g * rows + r) * depth + i] =
                    ((const float *)w->data)[(g * depth + i) * rows + r];
    float *packed = rdl__prepare_weight(prepare, 0, count * sizeof(float));
    if (packed == NULL)
        return rdl__fail_memory(prepare->error, "packed weights", count * sizeof(float));
    rdl__k_conv_pack(prepare->isa, packed, turned, group, rows, depth);
    state->packed = true;
    prepare->state = state;
    prepare->absorbed |= 1u << 1;
    return RDL_OK;
}

/* The weights transposed within their groups. */
static enum rdl_status turn_weights(const struct rdl__lower *lower, const struct rdl__k_conv *p,
                                    struct rdl__operand *turned)
{
    uint32_t temp;
    const size_t bytes = rdl__shape_count(&lower->in[1].shape) * rdl_dtype_size(lower->in[1].dtype);
    RDL_TRY(rdl__lower_temp(lower, bytes, &temp));
    *turned = RDL__TEMP_READ(temp);
    const int64_t rows = p->out_channels, depth = p->in_channels;
    struct rdl__k_move move = {
        .walk = {.rank = 3,
                 .dims = {p->groups, rows, depth},
                 .stride = {{depth * rows, 1, rows}, {depth * rows, depth, 1}}}};
    return rdl__op_move(lower, &move, lower->in[1].dtype, RDL__IN(1), RDL__TEMP_WRITE(temp));
}

static enum rdl_status bind_weights(const struct rdl__lower *lower, const struct rdl__k_conv *p,
                                    struct rdl__operand *weights)
{
    const struct state *state = lower->state;
    *weights = RDL__WEIGHT(0);
    if (state != NULL && state->packed)
        return RDL_OK;
    RDL_TRY(turn_weights(lower, p, weights));
    if (p->dtype != RDL_F32 || p->in_channels == 0)
        return RDL_OK;
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, rdl__shape_count(&lower->in[1].shape) * sizeof(float), &temp));
    const struct rdl__k_conv_pack_params pack = {.isa = lower->isa,
                                                 .groups = p->groups,
                                                 .out_channels = p->out_channels,
                                                 .depth = p->in_channels};
    const struct rdl__operand bind[] = {*weights, RDL__TEMP_WRITE(temp)};
    *weights = RDL__TEMP_READ(temp);
    return RDL__OP_STEP(lower, rdl__k_conv_pack_f32, pack, (size_t)pack.groups, bind);
}

static enum rdl_status too_large(const struct rdl__lower *lower)
{
    return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "the convolution is too large");
}

/* The products of every input place with all weights: [batch, channels, kernel..., in...]. */
static enum rdl_status lower_columns(const struct rdl__lower *lower,
                                     const struct rdl__op_window *window,
                                     struct rdl__operand *columns)
{
    const struct rdl__shape *x = &lower->in[0].shape, *w = &lower->in[1].shape;
    const int64_t *in = window->window.in;
    const int64_t group = rdl__attr_int(lower->node, "group", 1);
    struct rdl__k_conv params = {.window = {.in = {in[0], in[1], in[2]},
                                            .out = {in[0], in[1], in[2]},
                                            .kernel = {1, 1, 1},
                                            .stride = {1, 1, 1},
                                            .dilation = {1, 1, 1}},
                                 .batch = x->dims[0],
                                 .groups = group,
                                 .in_channels = w->dims[0] / group,
                                 .out_channels = rdl__shape_product(w, 1, w->rank),
                                 .dtype = lower->in[0].dtype};
    const int64_t places = in[0] * in[1] * in[2];
    int64_t count;
    size_t bytes;
    uint32_t temp;
    if (!rdl__mul_dim(params.out_channels, group, &count) ||
        !rdl__mul_dim(count, params.batch, &count) || !rdl__mul_dim(count, places, &count) ||
        !rdl__mul_size((size_t)count, rdl_dtype_size(params.dtype), &bytes))
        return too_large(lower);
    RDL_TRY(rdl__lower_temp(lower, bytes, &temp));
    *columns = RDL__TEMP_READ(temp);
    if (count == 0)
        return RDL_OK;
    struct rdl__step_spec spec = {.fn = rdl__k_conv_ref,
                                  .params = &params,
                                  .params_bytes = sizeof params,
                                  .n_bind = 4,
                                  .bind = {RDL__IN(0), {0}, {0}, RDL__TEMP_WRITE(temp)}};
    RDL_TRY(bind_weights(lower, &params, &spec.bind[1]));
    if (params.dtype == RDL_F32) {
        spec.fn = rdl__op_f32(lower)->conv;
        spec.tiles = rdl__k_conv_plan(lower->isa, &params, &spec.scratch_bytes);
    } else {
        spec.tiles = rdl__k_conv_ref_plan(&params);
    }
    return spec.tiles == 0 ? too_large(lower) : rdl__lower_step(lower, &spec);
}

static enum rdl_status lower(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape, *w = &lower->in[1].shape;
    struct rdl__op_window window;
    RDL_TRY(rdl__window_read_transposed(lower->node, x, w->dims + 2, &window, lower->error));
    const bool fast = lower->in[0].dtype == RDL_F32;
    struct rdl__k_col2im params = {.window = window.window,
                                   .batch = x->dims[0],
                                   .channels = lower->out[0].shape.dims[1],
                                   .dtype = lower->in[0].dtype};
    struct rdl__step_spec spec = {.fn = rdl__k_col2im_ref,
                                  .params = &params,
                                  .params_bytes = sizeof params,
                                  .n_bind = 3,
                                  .bind = {{0}, {0}, RDL__OUT(0)}};
    RDL_TRY(lower_columns(lower, &window, &spec.bind[0]));
    if (rdl__op_has(lower->node, 2))
        spec.bind[1] = RDL__IN(2);
    if (fast) {
        spec.fn = rdl__op_f32(lower)->col2im;
        params.act = rdl__op_act(lower->node);
    }
    spec.tiles = rdl__k_col2im_plan(&params, &spec.scratch_bytes);
    if (spec.tiles == 0)
        return too_large(lower);
    RDL_TRY(rdl__lower_step(lower, &spec));
    return fast ? RDL_OK : rdl__op_lower_act(lower);
}

static double flop(const struct rdl__node *node, const struct rdl__desc *in,
                   const struct rdl__desc *out)
{
    (void)node;
    (void)out;
    const struct rdl__shape *w = &in[1].shape;
    return 2.0 * (double)rdl__shape_count(&in[0].shape) * (double)rdl__shape_product(w, 1, w->rank);
}

/* ConvTranspose@1 (11, 22: more dtypes, clearer words). */
RDL__OPERATOR(ConvTranspose, 1, 2, 3, 1, 1, .flags = RDL__OP_FUSES, .check = check, .infer = infer,
              .prepare = prepare, .lower = lower, .flop = flop);
