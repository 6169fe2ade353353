/*
 * BatchNormalization, in inference.
 */
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

/* What prepare leaves: factor and term of each channel are weights 0 and 1. */
struct state {
    bool folded;
};

static enum rdl_status check_norm_outputs(const struct rdl__node *node, struct rdl_error *error)
{
    char text[RDL__NODE_TEXT_BYTES];
    for (uint32_t i = 1; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE)
            return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                             "%s: outputs of training are not supported",
                             rdl__node_text(node, text, sizeof text));
    return RDL_OK;
}

static enum rdl_status check_norm_7(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"epsilon", RDL__ATTR_FLOAT, false},
                                                  {"momentum", RDL__ATTR_FLOAT, false},
                                                  {"spatial", RDL__ATTR_INT, false}};
    char text[RDL__NODE_TEXT_BYTES];
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    if (rdl__attr_int(node, "spatial", 1) != 1)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%s: spatial must be 1",
                         rdl__node_text(node, text, sizeof text));
    return check_norm_outputs(node, error);
}

static enum rdl_status check_norm_9(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"epsilon", RDL__ATTR_FLOAT, false},
                                                  {"momentum", RDL__ATTR_FLOAT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_norm_outputs(node, error);
}

static enum rdl_status check_norm_14(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"epsilon", RDL__ATTR_FLOAT, false},
                                                  {"momentum", RDL__ATTR_FLOAT, false},
                                                  {"training_mode", RDL__ATTR_INT, false}};
    char text[RDL__NODE_TEXT_BYTES];
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    if (rdl__attr_int(node, "training_mode", 0) != 0)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%s: training_mode is not supported",
                         rdl__node_text(node, text, sizeof text));
    return check_norm_outputs(node, error);
}

static enum rdl_status infer_norm(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 1, RDL_MAX_RANK));
    const struct rdl__shape *x = &infer->in[0].shape;
    const int64_t channels = x->rank > 1 ? x->dims[1] : 1;
    for (uint32_t i = 1; i < 5; i++) {
        RDL_TRY(rdl__op_same_dtype(infer, i));
        RDL_TRY(rdl__op_rank(infer, i, 1, 1));
        if (infer->in[i].shape.dims[0] != channels)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "input %" PRIu32 ": %" PRId64 " elements, expected %" PRId64, i,
                             infer->in[i].shape.dims[0], channels);
    }
    return rdl__op_out_as_input(infer);
}

static struct rdl__k_norm_fold fold_params(const struct rdl__node *node, enum rdl_dtype dtype,
                                           int64_t channels)
{
    return (struct rdl__k_norm_fold){
        .dtype = dtype, .channels = channels, .epsilon = rdl__attr_float(node, "epsilon", 1e-5f)};
}

/* Whether the four statistics are constants that fit together. */
static bool foldable(const struct rdl__prepare *prepare)
{
    const struct rdl__desc *scale = &prepare->in[1];
    for (uint32_t i = 1; i < 5; i++)
        if (prepare->in[i].data == NULL || prepare->in[i].dtype != scale->dtype ||
            prepare->in[i].shape.rank != 1 ||
            !rdl__shape_equal(&prepare->in[i].shape, &scale->shape))
            return false;
    return (scale->dtype == RDL_F32 || scale->dtype == RDL_F64) && scale->shape.dims[0] > 0;
}

static enum rdl_status prepare_norm(struct rdl__prepare *prepare)
{
    if (!foldable(prepare))
        return RDL_OK;
    const struct rdl__desc *in = prepare->in;
    const struct rdl__k_norm_fold params =
        fold_params(prepare->node, in[1].dtype, in[1].shape.dims[0]);
    const size_t bytes = (size_t)params.channels * rdl_dtype_size(params.dtype);
    struct state *state = RDL__ARENA_NEW(prepare->arena, struct state);
    void *factor = rdl__prepare_weight(prepare, 0, bytes);
    void *term = rdl__prepare_weight(prepare, 1, bytes);
    if (state == NULL || factor == NULL || term == NULL)
        return rdl__fail_memory(prepare->error, "BatchNormalization", 2 * bytes);
    void *bind[6] = {[4] = factor, [5] = term};
    for (uint32_t i = 0; i < 4; i++)
        memcpy(&bind[i], &in[i + 1].data, sizeof bind[i]); /* a kernel only reads them */
    const struct rdl__kernel_call call = {.params = &params, .bind = bind, .tile_end = 1};
    RDL_TRY(rdl__k_norm_fold_ref(&call));
    state->folded = true;
    prepare->state = state;
    prepare->absorbed |= 0x1e;
    return RDL_OK;
}

static enum rdl_status lower_norm(const struct rdl__lower *lower)
{
    const struct state *state = lower->state;
    const struct rdl__shape *x = &lower->in[0].shape;
    const enum rdl_dtype dtype = lower->in[0].dtype;
    struct rdl__k_affine params = {.dtype = dtype,
                                   .batch = x->dims[0],
                                   .channels = x->rank > 1 ? x->dims[1] : 1,
                                   .size = x->rank > 2 ? rdl__shape_product(x, 2, x->rank) : 1};
    struct rdl__operand factor = RDL__WEIGHT(0), term = RDL__WEIGHT(1);
    if (state == NULL || !state->folded) {
        const struct rdl__k_norm_fold fold = fold_params(lower->node, dtype, params.channels);
        const size_t bytes = (size_t)params.channels * rdl_dtype_size(dtype);
        uint32_t f, t;
        RDL_TRY(rdl__lower_temp(lower, bytes, &f));
        RDL_TRY(rdl__lower_temp(lower, bytes, &t));
        const struct rdl__operand bind[] = {RDL__IN(1), RDL__IN(2),         RDL__IN(3),
                                            RDL__IN(4), RDL__TEMP_WRITE(f), RDL__TEMP_WRITE(t)};
        RDL_TRY(RDL__OP_STEP(lower, rdl__k_norm_fold_ref, fold, 1, bind));
        factor = RDL__TEMP_READ(f);
        term = RDL__TEMP_READ(t);
    }
    const struct rdl__operand bind[] = {RDL__IN(0), factor, term, RDL__OUT(0)};
    const size_t tiles = rdl__k_affine_plan(&params);
    if (dtype == RDL_F32) {
        params.act = rdl__op_act(lower->node);
        return RDL__OP_STEP(lower, rdl__op_f32(lower)->affine, params, tiles, bind);
    }
    RDL_TRY(RDL__OP_STEP(lower, rdl__k_affine_ref, params, tiles, bind));
    return rdl__op_lower_act(lower);
}

#define NORM_OP(since_, check_)                                                                    \
    RDL__OPERATOR(BatchNormalization, since_, 5, 5, 1, 5,                                          \
                  .flags = RDL__OP_IN_PLACE | RDL__OP_FUSES, .check = (check_),                    \
                  .infer = infer_norm, .prepare = prepare_norm, .lower = lower_norm);

/* BatchNormalization@7 with spatial, @9 without, @14 (15: more dtypes) with training_mode. */
NORM_OP(7, check_norm_7)
NORM_OP(9, check_norm_9)
NORM_OP(14, check_norm_14)
