/*
 * Operators that change the shape alone, or tell it: Reshape, Flatten, Squeeze, Unsqueeze, Identity,
 * Shape, Size.
 */
#include "ops/common.h"

#include <inttypes.h>

/* The output has the input's elements in the same order. */
static enum rdl_status lower_same(const struct rdl__lower *lower)
{
    return rdl__lower_alias(lower, 0, 0);
}

/* --------------------------------------------------------------------------------------- Reshape */

static enum rdl_status check_reshape_14(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"allowzero", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* What a new shape is made of. */
struct reshape {
    int64_t dims[RDL_MAX_RANK];
    size_t rank;
    bool copied[RDL_MAX_RANK]; /* dimension i is that of the input */
};

static enum rdl_status read_reshape(const struct rdl__infer *infer, struct reshape *new)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    RDL_TRY(rdl__op_ints(infer, 1, new->dims, RDL_MAX_RANK, &new->rank));
    const bool allow_zero = rdl__attr_int(infer->node, "allowzero", 0) != 0;
    for (size_t i = 0; i < new->rank; i++) {
        if (new->dims[i] < -1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "dimension %zu is %" PRId64, i,
                             new->dims[i]);
        if (new->dims[i] != 0 || allow_zero)
            continue;
        if (i >= (size_t)x->rank)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "dimension %zu is 0, and the input has no such dimension to copy", i);
        new->dims[i] = x->dims[i];
        new->copied[i] = true;
    }
    return RDL_OK;
}

/* Replaces the one dimension given as -1. Copied dimensions stand on both sides and are left out, so
 * that it can be told of an empty tensor too. */
static enum rdl_status solve_dim(const struct rdl__infer *infer, struct reshape *new)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    int64_t known = 1, rest = 1;
    size_t at = new->rank;
    for (size_t i = 0; i < new->rank; i++) {
        if (new->dims[i] == -1 && at != new->rank)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "two dimensions are -1");
        if (new->dims[i] == -1)
            at = i;
        else if (!new->copied[i] && !rdl__mul_dim(known, new->dims[i], &known))
            return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "the new shape is too large");
    }
    for (int32_t d = 0; d < x->rank; d++)
        rest *= (size_t)d < new->rank && new->copied[d] ? 1 : x->dims[d];
    if (at != new->rank && known != 0 && rest % known == 0)
        new->dims[at] = rest / known;
    return RDL_OK;
}

static enum rdl_status infer_reshape(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    struct reshape new = {.rank = 0};
    RDL_TRY(read_reshape(infer, &new));
    RDL_TRY(solve_dim(infer, &new));
    struct rdl__shape wanted;
    rdl__shape_set(&wanted, (int32_t)new.rank, new.dims);
    bool solved = true;
    for (size_t i = 0; i < new.rank; i++)
        solved = solved && new.dims[i] >= 0;
    if (solved)
        RDL_TRY(rdl__shape_check(wanted.rank, wanted.dims, infer->error));
    if (!solved || rdl__shape_count(&wanted) != rdl__shape_count(x)) {
        char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "%s cannot become %s",
                         rdl__shape_text(x, a, sizeof a), rdl__shape_text(&wanted, b, sizeof b));
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, wanted.rank, wanted.dims);
}

/* Reshape@5 (13: more dtypes) and @14 (19, 21, ...: more dtypes) with allowzero. */
RDL__OPERATOR(Reshape, 5, 2, 2, 1, 1, .value_inputs = 1u << 1, .infer = infer_reshape,
              .lower = lower_same);
RDL__OPERATOR(Reshape, 14, 2, 2, 1, 1, .value_inputs = 1u << 1, .check = check_reshape_14,
              .infer = infer_reshape, .lower = lower_same);

/* --------------------------------------------------------------------------------------- Flatten */

static enum rdl_status check_flatten(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_flatten(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    const int64_t axis = rdl__attr_int(infer->node, "axis", 1);
    int32_t at = x->rank; /* the axis may stand behind the last dimension */
    if (axis != x->rank)
        RDL_TRY(rdl__op_axis(infer->error, axis, x->rank, &at));
    const int64_t dims[2] = {rdl__shape_product(x, 0, at), rdl__shape_product(x, at, x->rank)};
    return rdl__op_out(infer, 0, infer->in[0].dtype, 2, dims);
}

/* Flatten@1 (11: negative axes; 9, 13, ...: more dtypes). */
RDL__OPERATOR(Flatten, 1, 1, 1, 1, 1, .check = check_flatten, .infer = infer_flatten,
              .lower = lower_same);

/* ----------------------------------------------------------------------------- Squeeze, Unsqueeze */

/* The axes of an attribute (before 13) or of input 1, as a set of dimensions of a tensor of `rank`;
 * *given is false if there are none. */
static enum rdl_status read_axes(const struct rdl__infer *infer, int32_t rank,
                                 bool set[RDL_MAX_RANK], bool *given)
{
    int64_t values[RDL_MAX_RANK];
    const int64_t *axes = values;
    size_t n = 0;
    if (infer->node->op->since < 13) {
        axes = rdl__attr_ints(infer->node, "axes", &n);
        *given = axes != NULL;
    } else {
        *given = rdl__op_has(infer->node, 1);
        if (*given)
            RDL_TRY(rdl__op_ints(infer, 1, values, RDL_MAX_RANK, &n));
    }
    for (size_t i = 0; axes != NULL && i < n; i++) {
        int32_t axis;
        RDL_TRY(rdl__op_axis(infer->error, axes[i], rank, &axis));
        if (set[axis])
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "axis %" PRId32 " is named twice", axis);
        set[axis] = true;
    }
    return RDL_OK;
}

static enum rdl_status check_axes_optional(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axes", RDL__ATTR_INTS, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_axes_required(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axes", RDL__ATTR_INTS, true}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_squeeze(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    bool drop[RDL_MAX_RANK] = {false}, given;
    RDL_TRY(read_axes(infer, x->rank, drop, &given));
    int64_t dims[RDL_MAX_RANK];
    int32_t rank = 0;
    for (int32_t d = 0; d < x->rank; d++) {
        if (given && drop[d] && x->dims[d] != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "axis %" PRId32 " is %" PRId64 ", only 1 can be dropped", d,
                             x->dims[d]);
        if (given ? !drop[d] : x->dims[d] != 1)
            dims[rank++] = x->dims[d];
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, rank, rank > 0 ? dims : NULL);
}

static enum rdl_status infer_unsqueeze(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    size_t n = 0;
    if (infer->node->op->since < 13)
        (void)rdl__attr_ints(infer->node, "axes", &n);
    else
        n = rdl__shape_count(&infer->in[1].shape);
    if (n > (size_t)(RDL_MAX_RANK - x->rank))
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "more than %d dimensions", RDL_MAX_RANK);
    const int32_t rank = x->rank + (int32_t)n;
    bool fresh[RDL_MAX_RANK] = {false}, given;
    RDL_TRY(read_axes(infer, rank, fresh, &given));
    int64_t dims[RDL_MAX_RANK];
    for (int32_t d = 0, from = 0; d < rank; d++)
        dims[d] = fresh[d] ? 1 : x->dims[from++];
    return rdl__op_out(infer, 0, infer->in[0].dtype, rank, dims);
}

#define AXES_OP(name_, since_, least, most, values, check_, infer_)                                \
    RDL__OPERATOR(name_, since_, least, most, 1, 1, .value_inputs = (values), .check = (check_),   \
                  .infer = (infer_), .lower = lower_same);

/* Axes are an attribute before 13 (11: negative ones) and an input since (21, ...: more dtypes). */
AXES_OP(Squeeze, 1, 1, 1, 0, check_axes_optional, infer_squeeze)
AXES_OP(Squeeze, 13, 1, 2, 1u << 1, NULL, infer_squeeze)
AXES_OP(Unsqueeze, 1, 1, 1, 0, check_axes_required, infer_unsqueeze)
AXES_OP(Unsqueeze, 13, 2, 2, 1u << 1, NULL, infer_unsqueeze)

/* -------------------------------------------------------------------------- Identity, Shape, Size */

/* Identity@1 (13, 14, ...: more dtypes; sequences and optionals are not taken). */
RDL__OPERATOR(Identity, 1, 1, 1, 1, 1, .infer = rdl__op_out_as_input, .lower = lower_same);

static enum rdl_status check_shape_15(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"end", RDL__ATTR_INT, false},
                                                  {"start", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* The dimensions that Shape tells: [*begin, *end). */
static void shape_range(const struct rdl__node *node, int32_t rank, int32_t *begin, int32_t *end)
{
    int64_t from = rdl__attr_int(node, "start", 0), to = rdl__attr_int(node, "end", rank);
    from = from < 0 ? from + rank : from;
    to = to < 0 ? to + rank : to;
    *begin = (int32_t)(from < 0 ? 0 : from > rank ? rank : from);
    *end = (int32_t)(to < *begin ? *begin : to > rank ? rank : to);
}

static enum rdl_status infer_shape(const struct rdl__infer *infer)
{
    int32_t begin, end;
    shape_range(infer->node, infer->in[0].shape.rank, &begin, &end);
    return rdl__op_out(infer, 0, RDL_I64, 1, (const int64_t[]){end - begin});
}

static enum rdl_status lower_shape(const struct rdl__lower *lower)
{
    int32_t begin, end;
    shape_range(lower->node, lower->in[0].shape.rank, &begin, &end);
    return rdl__op_store(lower, lower->in[0].shape.dims + begin,
                         (size_t)(end - begin) * sizeof(int64_t), RDL__OUT(0));
}

#define SHAPE_OP(since_, check_)                                                                   \
    RDL__OPERATOR(Shape, since_, 1, 1, 1, 1, .flags = RDL__OP_OF_SHAPE, .check = (check_),         \
                  .infer = infer_shape, .lower = lower_shape);

/* Shape@1 (13: more dtypes) and @15 (19, ...: more dtypes) with start and end. */
SHAPE_OP(1, NULL)
SHAPE_OP(15, check_shape_15)

static enum rdl_status infer_size(const struct rdl__infer *infer)
{
    return rdl__op_out(infer, 0, RDL_I64, 0, NULL);
}

static enum rdl_status lower_size(const struct rdl__lower *lower)
{
    const int64_t count = (int64_t)rdl__shape_count(&lower->in[0].shape);
    return rdl__op_store(lower, &count, sizeof count, RDL__OUT(0));
}

/* Size@1 (13, 19, ...: more dtypes). */
RDL__OPERATOR(Size, 1, 1, 1, 1, 1, .flags = RDL__OP_OF_SHAPE, .infer = infer_size,
              .lower = lower_size);
