/*
 * Operators that put a border around a tensor or cut one off: Pad, CenterCropPad.
 */
#include "kernels/remap.h"
#include "ops/remap.h"

#include <inttypes.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------- Pad */

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

/* What is put before and behind each dimension; negative: cut off. */
struct pads {
    int64_t before[RDL_MAX_RANK], after[RDL_MAX_RANK];
    enum pad_mode mode;
};

/* Index of the mode attribute's text in the order of enum pad_mode; -1: none of them. */
static int mode_of(const struct rdl__node *node)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *text = rdl__attr_text(node, "mode", "constant");
    const int n = node->op->since < 19 ? 3 : 4;
    for (int i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

static enum rdl_status check_mode(const struct rdl__node *node, struct rdl_error *error)
{
    if (mode_of(node) < 0)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: mode \"%s\" is not known", RDL__NODE_TEXT(node),
                         RDL__NAME_TEXT(rdl__attr_text(node, "mode", "constant")));
    return RDL_OK;
}

static enum rdl_status check_pad_2(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"mode", RDL__ATTR_STRING, false},
                                                  {"pads", RDL__ATTR_INTS, true},
                                                  {"value", RDL__ATTR_FLOAT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_mode(node, error);
}

static enum rdl_status check_pad_11(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"mode", RDL__ATTR_STRING, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return check_mode(node, error);
}

/* An index that the check found to be there. */
static int known(int index)
{
    return index < 0 ? 0 : index;
}

/* The axes that the pads speak of: all, or those of input 3. */
static enum rdl_status read_pad_axes(const struct rdl__infer *infer, int32_t axes[RDL_MAX_RANK],
                                     size_t *count)
{
    const int32_t rank = infer->in[0].shape.rank;
    int64_t values[RDL_MAX_RANK];
    bool seen[RDL_MAX_RANK] = {false};
    *count = (size_t)rank;
    const bool given = infer->node->op->since >= 18 && rdl__op_has(infer->node, 3);
    if (given)
        RDL_TRY(rdl__op_ints(infer, 3, values, RDL_MAX_RANK, count));
    for (size_t i = 0; i < *count; i++) {
        RDL_TRY(rdl__op_axis(infer->error, given ? values[i] : (int64_t)i, rank, &axes[i]));
        if (seen[axes[i]])
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "axis %" PRId32 " is named twice",
                             axes[i]);
        seen[axes[i]] = true;
    }
    return RDL_OK;
}

static enum rdl_status read_pads(const struct rdl__infer *infer, struct pads *pads)
{
    int64_t values[2 * RDL_MAX_RANK];
    const int64_t *given = values;
    int32_t axes[RDL_MAX_RANK];
    size_t n, n_axes;
    *pads = (struct pads){.mode = (enum pad_mode)known(mode_of(infer->node))};
    if (infer->node->op->since < 11)
        given = rdl__attr_ints(infer->node, "pads", &n);
    else
        RDL_TRY(rdl__op_ints(infer, 1, values, 2 * (size_t)RDL_MAX_RANK, &n));
    RDL_TRY(read_pad_axes(infer, axes, &n_axes));
    if (n != 2 * n_axes)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "%zu pads for %zu axes, expected two each", n,
                         n_axes);
    for (size_t i = 0; i < n_axes; i++) {
        pads->before[axes[i]] = given[i];
        pads->after[axes[i]] = given[n_axes + i];
    }
    return RDL_OK;
}

/* The part of a dimension that cutting leaves: [*low, *high). */
static void kept(const struct pads *pads, int32_t d, int64_t dim, int64_t *low, int64_t *high)
{
    *low = pads->before[d] < 0 ? -pads->before[d] : 0;
    *high = pads->after[d] < 0 ? dim + pads->after[d] : dim;
}

static enum rdl_status infer_pad(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    struct pads pads;
    int64_t dims[RDL_MAX_RANK];
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(read_pads(infer, &pads));
    if (infer->node->op->since >= 11 && rdl__op_has(infer->node, 2)) {
        RDL_TRY(rdl__op_same_dtype(infer, 2));
        if (rdl__shape_count(&infer->in[2].shape) != 1)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 2 (constant_value) is no scalar");
    }
    for (int32_t d = 0; d < x->rank; d++) {
        if (pads.before[d] < -x->dims[d] || pads.after[d] < -x->dims[d] ||
            __builtin_add_overflow(x->dims[d], pads.before[d], &dims[d]) ||
            __builtin_add_overflow(dims[d], pads.after[d], &dims[d]) || dims[d] < 0)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "pads %" PRId64 " and %" PRId64 " do not fit axis %" PRId32
                             " of %" PRId64,
                             pads.before[d], pads.after[d], d, x->dims[d]);
        int64_t low, high;
        kept(&pads, d, x->dims[d], &low, &high);
        if (pads.mode != PAD_CONSTANT && low >= high && dims[d] > 0)
            return rdl__fail(infer->error, RDL_ERR_SHAPE,
                             "axis %" PRId32 " has no element to pad with", d);
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank, dims);
}

/* value mod n, not negative. */
static int64_t wrapped(int64_t value, int64_t n)
{
    const int64_t rest = value % n;
    return rest < 0 ? rest + n : rest;
}

/* The element of [low, high) that place i shows. */
static int64_t shown(enum pad_mode mode, int64_t i, int64_t low, int64_t high)
{
    const int64_t n = high - low, period = 2 * (n - 1);
    if (i >= low && i < high)
        return i;
    switch (mode) {
    case PAD_REFLECT: {
        const int64_t at = n > 1 ? wrapped(i - low, period) : 0;
        return low + (at < n ? at : period - at);
    }
    case PAD_EDGE:
        return i < low ? low : high - 1;
    case PAD_WRAP:
        return low + wrapped(i - low, n);
    case PAD_CONSTANT:
        break;
    }
    return RDL__K_REMAP_FILL;
}

static enum rdl_status pad_map(const struct rdl__lower *lower, const struct pads *pads,
                               struct rdl__remap *map)
{
    const struct rdl__shape *x = &lower->in[0].shape, *y = &lower->out[0].shape;
    for (int32_t d = 0; d < x->rank; d++) {
        if (pads->before[d] == 0 && pads->after[d] == 0)
            continue;
        int64_t low, high, *table = rdl__remap_table(map, d, y->dims[d]);
        if (table == NULL)
            return rdl__fail_memory(lower->error, "tables", sizeof *table * (size_t)y->dims[d]);
        kept(pads, d, x->dims[d], &low, &high);
        for (int64_t i = 0; i < y->dims[d]; i++)
            table[i] = shown(pads->mode, i - pads->before[d], low, high);
    }
    return RDL_OK;
}

/* The fill of Pad@2: its attribute in the input's dtype. */
static void fill_of(const struct rdl__lower *lower, unsigned char fill[8])
{
    const float value = rdl__attr_float(lower->node, "value", 0.0f);
    const double wide = (double)value;
    const uint16_t half = rdl__k_f32_to_f16(value);
    memset(fill, 0, 8);
    if (lower->in[0].dtype == RDL_F32)
        memcpy(fill, &value, sizeof value);
    else if (lower->in[0].dtype == RDL_F64)
        memcpy(fill, &wide, sizeof wide);
    else if (lower->in[0].dtype == RDL_F16)
        memcpy(fill, &half, sizeof half);
}

static enum rdl_status lower_pad(const struct rdl__lower *lower)
{
    const struct rdl__infer infer = {.node = lower->node, .in = lower->in, .error = lower->error};
    struct pads pads;
    struct rdl__remap map = {0};
    unsigned char fill[8] = {0};
    RDL_TRY(read_pads(&infer, &pads));
    const enum rdl_status status = pad_map(lower, &pads, &map);
    if (status != RDL_OK) {
        rdl__remap_fini(&map);
        return status;
    }
    struct rdl__operand operand = {0};
    if (lower->node->op->since < 11)
        fill_of(lower, fill);
    else if (rdl__op_has(lower->node, 2))
        operand = RDL__IN(2);
    return rdl__remap_lower(lower, &map, operand, fill);
}

static enum rdl_status infer_pad_2(const struct rdl__infer *infer)
{
    const enum rdl_dtype dtype = infer->in[0].dtype;
    if (dtype != RDL_F32 && dtype != RDL_F64 && dtype != RDL_F16)
        return rdl__op_bad_dtype(infer, 0);
    return infer_pad(infer);
}

#define PAD_OP(since_, most, values, check_, infer_)                                               \
    RDL__OPERATOR(Pad, since_, (most) == 1 ? 1 : 2, most, 1, 1, .value_inputs = (values),          \
                  .check = (check_), .infer = (infer_), .lower = lower_pad);

/* Pad@2: attributes; @11 (13: more dtypes): inputs; @18: axes; @19 (21, ...: more dtypes): wrap. */
PAD_OP(2, 1, 0, check_pad_2, infer_pad_2)
PAD_OP(11, 3, 1u << 1, check_pad_11, infer_pad)
PAD_OP(18, 4, 1u << 1 | 1u << 3, check_pad_11, infer_pad)
PAD_OP(19, 4, 1u << 1 | 1u << 3, check_pad_11, infer_pad)

/* --------------------------------------------------------------------------------- CenterCropPad */

static enum rdl_status check_center_crop_pad(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axes", RDL__ATTR_INTS, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_center_crop_pad(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    int64_t sizes[RDL_MAX_RANK], dims[RDL_MAX_RANK];
    size_t n, n_axes;
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_ints(infer, 1, sizes, RDL_MAX_RANK, &n));
    const int64_t *axes = rdl__attr_ints(infer->node, "axes", &n_axes);
    if (n != (axes != NULL ? n_axes : (size_t)x->rank))
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "%zu sizes for %zu axes", n,
                         axes != NULL ? n_axes : (size_t)x->rank);
    bool seen[RDL_MAX_RANK] = {false};
    memcpy(dims, x->dims, sizeof dims);
    for (size_t i = 0; i < n; i++) {
        int32_t axis;
        RDL_TRY(rdl__op_axis(infer->error, axes != NULL ? axes[i] : (int64_t)i, x->rank, &axis));
        if (seen[axis])
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "axis %" PRId32 " is named twice", axis);
        seen[axis] = true;
        dims[axis] = sizes[i];
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank, dims);
}

/* An odd rest goes behind, of the border as of what is cut off. */
static enum rdl_status lower_center_crop_pad(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape, *y = &lower->out[0].shape;
    struct pads pads = {.mode = PAD_CONSTANT};
    struct rdl__remap map = {0};
    for (int32_t d = 0; d < x->rank; d++) {
        const int64_t more = y->dims[d] - x->dims[d];
        pads.before[d] = more / 2; /* towards zero: as much before as behind, or one less */
        pads.after[d] = more - pads.before[d];
    }
    const enum rdl_status status = pad_map(lower, &pads, &map);
    if (status != RDL_OK) {
        rdl__remap_fini(&map);
        return status;
    }
    return rdl__remap_lower(lower, &map, (struct rdl__operand){0}, NULL);
}

RDL__OPERATOR(CenterCropPad, 18, 2, 2, 1, 1, .value_inputs = 1u << 1,
              .check = check_center_crop_pad, .infer = infer_center_crop_pad,
              .lower = lower_center_crop_pad);
