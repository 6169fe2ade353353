/*
 * Operators that normalise by statistics of the run: LayerNormalization and its kin, and those that
 * divide by a norm or by the channels around.
 */
#include "ops/reduce.h"

#include <inttypes.h>

static enum rdl_status need_float(const struct rdl__infer *infer)
{
    if (infer->in[0].dtype == RDL_F32 || infer->in[0].dtype == RDL_F64)
        return RDL_OK;
    return rdl__op_bad_dtype(infer, 0);
}

static bool has_output(const struct rdl__node *node, uint32_t i)
{
    return i < node->n_outputs && node->outputs[i] != RDL__NO_VALUE;
}

/* Adds the step; with_scale and with_bias say whether inputs 1 and 2 are bound. */
static enum rdl_status normalize_step(const struct rdl__lower *lower,
                                      struct rdl__k_normalize *params, bool with_scale,
                                      bool with_bias)
{
    struct rdl__operand bind[] = {RDL__IN(0), {0}, {0}, RDL__OUT(0), {0}, {0}};
    if (with_scale)
        bind[1] = RDL__IN(1);
    if (with_bias)
        bind[2] = RDL__IN(2);
    if (has_output(lower->node, 1))
        bind[4] = RDL__OUT(1);
    if (has_output(lower->node, 2))
        bind[5] = RDL__OUT(2);
    params->dtype = lower->in[0].dtype;
    params->epsilon = rdl__attr_float(lower->node, "epsilon", 1e-5f);
    const size_t tiles = rdl__k_normalize_plan(params);
    return RDL__OP_STEP(
        lower, params->dtype == RDL_F32 ? rdl__op_f32(lower)->normalize : rdl__k_normalize_ref,
        *params, tiles, bind);
}

/* ----------------------------------------------------------- LayerNormalization, RMSNormalization */

static enum rdl_status check_layer(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"epsilon", RDL__ATTR_FLOAT, false},
                                                  {"stash_type", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    if (rdl__attr_int(node, "stash_type", RDL_F32) == RDL_F32)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%s: stash_type must be 1", RDL__NODE_TEXT(node));
}

static enum rdl_status layer_axis(const struct rdl__node *node, const struct rdl__shape *x,
                                  int32_t *axis, struct rdl_error *error)
{
    return rdl__op_axis(error, rdl__attr_int(node, "axis", -1), x->rank, axis);
}

static enum rdl_status infer_layer(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    RDL_TRY(need_float(infer));
    int32_t axis;
    RDL_TRY(layer_axis(infer->node, x, &axis, infer->error));
    for (uint32_t i = 1; i < infer->node->n_inputs; i++) {
        if (!rdl__op_has(infer->node, i))
            continue;
        RDL_TRY(rdl__op_same_dtype(infer, i));
        struct rdl__shape joined;
        RDL_TRY(rdl__shape_broadcast(x, &infer->in[i].shape, &joined, infer->error));
        if (!rdl__shape_equal(x, &joined)) {
            char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
            return rdl__fail(
                infer->error, RDL_ERR_SHAPE, "input %" PRIu32 ": %s does not broadcast to %s", i,
                rdl__shape_text(&infer->in[i].shape, a, sizeof a), rdl__shape_text(x, b, sizeof b));
        }
    }
    int64_t dims[RDL_MAX_RANK];
    for (int32_t d = 0; d < x->rank; d++)
        dims[d] = d < axis ? x->dims[d] : 1;
    for (uint32_t i = 1; i < infer->node->n_outputs; i++)
        RDL_TRY(rdl__op_out(infer, i, RDL_F32, x->rank, dims));
    return rdl__op_out_as_input(infer);
}

/* Whether input i has one element for each of a row. Others are broadcast in a step of their own. */
static bool is_row(const struct rdl__lower *lower, uint32_t i, int32_t axis)
{
    const struct rdl__shape *x = &lower->in[0].shape, *s = &lower->in[i].shape;
    if (s->rank != x->rank - axis)
        return false;
    for (int32_t d = 0; d < s->rank; d++)
        if (s->dims[d] != x->dims[axis + d])
            return false;
    return true;
}

/* out = out op input i, broadcast. */
static enum rdl_status layer_join(const struct rdl__lower *lower, enum rdl__k_binary_op op,
                                  uint32_t i)
{
    struct rdl__k_binary params = {.op = op, .dtype = lower->in[0].dtype};
    struct rdl__operand so_far = RDL__OUT(0);
    so_far.written = false;
    return rdl__op_binary(lower, &params, &lower->out[0].shape, so_far, &lower->in[i].shape,
                          RDL__IN(i), &lower->out[0].shape, RDL__OUT(0));
}

static enum rdl_status lower_layer(const struct rdl__lower *lower, bool centre)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const bool biased = rdl__op_has(lower->node, 2);
    int32_t axis;
    RDL_TRY(layer_axis(lower->node, x, &axis, lower->error));
    struct rdl__k_normalize params = {.centre = centre,
                                      .rows = rdl__shape_product(x, 0, axis),
                                      .size = rdl__shape_product(x, axis, x->rank),
                                      .segment = 1,
                                      .period = 1};
    const bool whole = is_row(lower, 1, axis) && (!biased || is_row(lower, 2, axis));
    RDL_TRY(normalize_step(lower, &params, whole, whole && biased));
    if (whole)
        return RDL_OK;
    RDL_TRY(layer_join(lower, RDL__K_BINARY_MUL, 1));
    return biased ? layer_join(lower, RDL__K_BINARY_ADD, 2) : RDL_OK;
}

static enum rdl_status lower_layer_norm(const struct rdl__lower *lower)
{
    return lower_layer(lower, true);
}

static enum rdl_status lower_rms_norm(const struct rdl__lower *lower)
{
    return lower_layer(lower, false);
}

#define TABLE(name_, since_, least_in, most_in, most_out, more_flags, check_, infer_, lower_)      \
    RDL__OPERATOR(name_, since_, least_in, most_in, 1, most_out, .flags = (more_flags),            \
                  .check = (check_), .infer = (infer_), .lower = (lower_));

/* Not in place: a scale that is x itself must outlive the first step. */
TABLE(LayerNormalization, 17, 2, 3, 3, 0, check_layer, infer_layer, lower_layer_norm)
TABLE(RMSNormalization, 23, 2, 2, 1, 0, check_layer, infer_layer, lower_rms_norm)

/* --------------------------------------------------- InstanceNormalization, GroupNormalization */

static enum rdl_status check_instance(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"epsilon", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* scale and bias are vectors of `count`. */
static enum rdl_status need_vectors(const struct rdl__infer *infer, int64_t count)
{
    for (uint32_t i = 1; i < 3; i++) {
        RDL_TRY(rdl__op_same_dtype(infer, i));
        RDL_TRY(rdl__op_rank(infer, i, 1, 1));
        if (infer->in[i].shape.dims[0] != count)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "input %" PRIu32 ": %" PRId64 " elements, expected %" PRId64, i,
                             infer->in[i].shape.dims[0], count);
    }
    return rdl__op_out_as_input(infer);
}

static enum rdl_status infer_instance(const struct rdl__infer *infer)
{
    RDL_TRY(need_float(infer));
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    return need_vectors(infer, infer->in[0].shape.dims[1]);
}

/* A segment of 1 element is of a row whose elements have factors of their own: the same thing. */
static enum rdl_status lower_instance(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const int64_t size = rdl__shape_product(x, 2, x->rank);
    struct rdl__k_normalize params = {.centre = true,
                                      .rows = x->dims[0] * x->dims[1],
                                      .size = size,
                                      .segment = size,
                                      .period = x->dims[1],
                                      .step = 1};
    return normalize_step(lower, &params, true, true);
}

static enum rdl_status check_group_values(const struct rdl__node *node, struct rdl_error *error)
{
    if (rdl__attr_int(node, "num_groups", 1) < 1)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: num_groups is %" PRId64, RDL__NODE_TEXT(node),
                         rdl__attr_int(node, "num_groups", 1));
    if (rdl__attr_int(node, "stash_type", RDL_F32) != RDL_F32)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%s: stash_type must be 1",
                         RDL__NODE_TEXT(node));
    return RDL_OK;
}

static enum rdl_status check_group_18(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"epsilon", RDL__ATTR_FLOAT, false},
                                                  {"num_groups", RDL__ATTR_INT, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_group_values(node, error);
}

static enum rdl_status check_group_21(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"epsilon", RDL__ATTR_FLOAT, false},
                                                  {"num_groups", RDL__ATTR_INT, true},
                                                  {"stash_type", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_group_values(node, error);
}

/* Before 21 scale and bias are of groups, since then of channels. */
static enum rdl_status infer_group(const struct rdl__infer *infer)
{
    const int64_t groups = rdl__attr_int(infer->node, "num_groups", 1);
    RDL_TRY(need_float(infer));
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    const int64_t channels = infer->in[0].shape.dims[1];
    if (channels % groups != 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "%" PRId64 " channels are not a multiple of %" PRId64 " groups", channels,
                         groups);
    return need_vectors(infer, infer->node->op->since < 21 ? groups : channels);
}

static enum rdl_status lower_group(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const int64_t groups = rdl__attr_int(lower->node, "num_groups", 1);
    const int64_t channels = x->dims[1] / groups, plane = rdl__shape_product(x, 2, x->rank);
    const bool of_groups = lower->node->op->since < 21;
    struct rdl__k_normalize params = {.centre = true,
                                      .rows = x->dims[0] * groups,
                                      .size = channels * plane,
                                      .segment = of_groups ? channels * plane : plane,
                                      .period = groups,
                                      .step = of_groups ? 1 : channels};
    return normalize_step(lower, &params, true, true);
}

/* InstanceNormalization@6 (22: more dtypes); GroupNormalization@18 and @21. */
TABLE(InstanceNormalization, 6, 3, 3, 1, RDL__OP_IN_PLACE, check_instance, infer_instance,
      lower_instance)
TABLE(GroupNormalization, 18, 3, 3, 1, RDL__OP_IN_PLACE, check_group_18, infer_group, lower_group)
TABLE(GroupNormalization, 21, 3, 3, 1, RDL__OP_IN_PLACE, check_group_21, infer_group, lower_group)

/* ----------------------------------------------------------------------------- LpNormalization */

static enum rdl_status check_lp(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"p", RDL__ATTR_INT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const int64_t p = rdl__attr_int(node, "p", 2);
    if (p == 1 || p == 2)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_MODEL, "%s: p is %" PRId64 ", expected 1 or 2",
                     RDL__NODE_TEXT(node), p);
}

/* The shape of x with the folded dimensions 1. */
static struct rdl__shape folded_shape(const struct rdl__shape *x, const bool fold[RDL_MAX_RANK])
{
    struct rdl__shape shape = *x;
    for (int32_t d = 0; d < x->rank; d++)
        shape.dims[d] = fold[d] ? 1 : x->dims[d];
    return shape;
}

/* Folds `from`, of input 0's shape, into a temporary; then out = from op temporary. */
static enum rdl_status fold_and_join(const struct rdl__lower *lower, const bool fold[RDL_MAX_RANK],
                                     enum rdl__k_reduce_op folding, struct rdl__operand from,
                                     enum rdl__k_binary_op op)
{
    const struct rdl__shape *x = &lower->in[0].shape, few = folded_shape(x, fold);
    struct rdl__k_binary params = {.op = op, .dtype = lower->in[0].dtype};
    uint32_t temp;
    RDL_TRY(rdl__lower_temp(lower, rdl__shape_count(&few) * rdl_dtype_size(params.dtype), &temp));
    RDL_TRY(rdl__reduce_step(lower, folding, fold, from, RDL__TEMP_WRITE(temp)));
    return rdl__op_binary(lower, &params, x, from, &few, RDL__TEMP_READ(temp), x, RDL__OUT(0));
}

static enum rdl_status infer_lp(const struct rdl__infer *infer)
{
    int32_t axis;
    RDL_TRY(need_float(infer));
    RDL_TRY(layer_axis(infer->node, &infer->in[0].shape, &axis, infer->error));
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_lp(const struct rdl__lower *lower)
{
    bool fold[RDL_MAX_RANK] = {false};
    int32_t axis;
    RDL_TRY(layer_axis(lower->node, &lower->in[0].shape, &axis, lower->error));
    fold[axis] = true;
    const bool sum = rdl__attr_int(lower->node, "p", 2) == 1;
    return fold_and_join(lower, fold, sum ? RDL__K_REDUCE_L1 : RDL__K_REDUCE_L2, RDL__IN(0),
                         RDL__K_BINARY_DIV_OR_ZERO);
}

/* LpNormalization@1 (22: more dtypes). Not in place: x is read by two steps. */
TABLE(LpNormalization, 1, 1, 1, 1, 0, check_lp, infer_lp, lower_lp)

/* --------------------------------------------------------------------- MeanVarianceNormalization */

static enum rdl_status check_mean_variance(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axes", RDL__ATTR_INTS, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status mean_variance_axes(const struct rdl__node *node, const struct rdl__shape *x,
                                          bool fold[RDL_MAX_RANK], struct rdl_error *error)
{
    static const int64_t usual[] = {0, 2, 3};
    size_t n;
    const int64_t *axes = rdl__attr_ints(node, "axes", &n);
    if (axes == NULL) {
        axes = usual;
        n = 3;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t axis;
        RDL_TRY(rdl__op_axis(error, axes[i], x->rank, &axis));
        fold[axis] = true;
    }
    return RDL_OK;
}

static enum rdl_status infer_mean_variance(const struct rdl__infer *infer)
{
    bool fold[RDL_MAX_RANK] = {false};
    RDL_TRY(need_float(infer));
    RDL_TRY(mean_variance_axes(infer->node, &infer->in[0].shape, fold, infer->error));
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_mean_variance(const struct rdl__lower *lower)
{
    bool fold[RDL_MAX_RANK] = {false};
    struct rdl__operand centred = RDL__OUT(0);
    centred.written = false;
    RDL_TRY(mean_variance_axes(lower->node, &lower->in[0].shape, fold, lower->error));
    RDL_TRY(fold_and_join(lower, fold, RDL__K_REDUCE_MEAN, RDL__IN(0), RDL__K_BINARY_SUB));
    return fold_and_join(lower, fold, RDL__K_REDUCE_DEVIATION, centred, RDL__K_BINARY_DIV);
}

/* MeanVarianceNormalization@9 (13: more dtypes). */
TABLE(MeanVarianceNormalization, 9, 1, 1, 1, 0, check_mean_variance, infer_mean_variance,
      lower_mean_variance)

/* ------------------------------------------------------------------------------------------- LRN */

static enum rdl_status check_lrn(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"alpha", RDL__ATTR_FLOAT, false},
                                                  {"beta", RDL__ATTR_FLOAT, false},
                                                  {"bias", RDL__ATTR_FLOAT, false},
                                                  {"size", RDL__ATTR_INT, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    if (rdl__attr_int(node, "size", 1) < 1)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: size is %" PRId64, RDL__NODE_TEXT(node),
                         rdl__attr_int(node, "size", 1));
    return RDL_OK;
}

static enum rdl_status infer_lrn(const struct rdl__infer *infer)
{
    RDL_TRY(need_float(infer));
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    return rdl__op_out_as_input(infer);
}

static enum rdl_status lower_lrn(const struct rdl__lower *lower)
{
    const struct rdl__node *node = lower->node;
    const struct rdl__shape *x = &lower->in[0].shape;
    struct rdl__k_lrn params = {.dtype = lower->in[0].dtype,
                                .size = rdl__attr_int(node, "size", 1),
                                .alpha = (double)rdl__attr_float(node, "alpha", 1e-4f),
                                .beta = (double)rdl__attr_float(node, "beta", 0.75f),
                                .bias = (double)rdl__attr_float(node, "bias", 1.0f),
                                .batch = x->dims[0],
                                .channels = x->dims[1],
                                .inner = rdl__shape_product(x, 2, x->rank)};
    const size_t tiles = rdl__k_lrn_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_lrn, params, tiles, bind);
}

/* LRN@1 (13: more dtypes). */
TABLE(LRN, 1, 1, 1, 1, 0, check_lrn, infer_lrn, lower_lrn)
