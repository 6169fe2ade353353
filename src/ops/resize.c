/*
 * Resize and Upsample. Interpolation is separable: nearest is a copy along tables, linear and cubic
 * are one pass an axis, whose weights are worked out when the plan is made.
 */
#include "base/mem.h"
#include "kernels/remap.h"
#include "kernels/resample.h"
#include "ops/remap.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum coordinates {
    AT_HALF_PIXEL,
    AT_HALF_PIXEL_SYMMETRIC,
    AT_PYTORCH_HALF_PIXEL,
    AT_ALIGN_CORNERS,
    AT_ASYMMETRIC,
    AT_TF_HALF_PIXEL_FOR_NN,
    AT_TF_CROP_AND_RESIZE
};
static const char *const coordinate_names[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};

enum interpolation { BY_NEAREST, BY_LINEAR, BY_CUBIC };
static const char *const mode_names[] = {"nearest", "linear", "cubic"};

enum nearest { PREFER_FLOOR, PREFER_CEIL, ALWAYS_FLOOR, ALWAYS_CEIL };
static const char *const nearest_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil"};

enum policy { STRETCH, NOT_LARGER, NOT_SMALLER };
static const char *const policy_names[] = {"stretch", "not_larger", "not_smaller"};

/* What the node asks for. */
struct resize {
    enum interpolation mode;
    enum coordinates coordinates;
    enum nearest nearest;
    enum policy policy;
    bool exclude_outside, antialias;
    double cubic_a, outside;
    struct {
        double scale, roi_begin, roi_end;
        int64_t out;
        bool named; /* among the axes */
    } axes[RDL_MAX_RANK];
};

/* Index of an attribute's text in a list; -1 if it is not there. */
static int index_of(const struct rdl__node *node, const char *attr, const char *otherwise,
                    const char *const *names, size_t n)
{
    const char *text = rdl__attr_text(node, attr, otherwise);
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return (int)i;
    return -1;
}
#define INDEX_OF(node, attr, otherwise, names)                                                     \
    index_of((node), (attr), (otherwise), (names), sizeof(names) / sizeof *(names))

static enum rdl_status bad_text(const struct rdl__node *node, const char *attr,
                                struct rdl_error *error)
{
    return rdl__fail(error, RDL_ERR_MODEL, "%s: %s \"%s\" is not known", RDL__NODE_TEXT(node), attr,
                     RDL__NAME_TEXT(rdl__attr_text(node, attr, "")));
}

static int mode_of(const struct rdl__node *node)
{
    if (strcmp(rdl__attr_text(node, "mode", ""), "bilinear") == 0) /* an old name of Upsample */
        return BY_LINEAR;
    return INDEX_OF(node, "mode", "nearest", mode_names);
}

static enum rdl_status check_resize(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {
        {"antialias", RDL__ATTR_INT, false},
        {"axes", RDL__ATTR_INTS, false},
        {"coordinate_transformation_mode", RDL__ATTR_STRING, false},
        {"cubic_coeff_a", RDL__ATTR_FLOAT, false},
        {"exclude_outside", RDL__ATTR_INT, false},
        {"extrapolation_value", RDL__ATTR_FLOAT, false},
        {"keep_aspect_ratio_policy", RDL__ATTR_STRING, false},
        {"mode", RDL__ATTR_STRING, false},
        {"nearest_mode", RDL__ATTR_STRING, false},
    };
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    if (mode_of(node) < 0)
        return bad_text(node, "mode", error);
    if (INDEX_OF(node, "coordinate_transformation_mode", "half_pixel", coordinate_names) < 0)
        return bad_text(node, "coordinate_transformation_mode", error);
    if (INDEX_OF(node, "nearest_mode", "round_prefer_floor", nearest_names) < 0)
        return bad_text(node, "nearest_mode", error);
    if (INDEX_OF(node, "keep_aspect_ratio_policy", "stretch", policy_names) < 0)
        return bad_text(node, "keep_aspect_ratio_policy", error);
    if (mode_of(node) == BY_NEAREST && rdl__attr_int(node, "antialias", 0) != 0)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: antialias does not go with nearest",
                         RDL__NODE_TEXT(node));
    return RDL_OK;
}

static enum rdl_status check_by_mode(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"mode", RDL__ATTR_STRING, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return mode_of(node) < 0 ? bad_text(node, "mode", error) : RDL_OK;
}

static enum rdl_status check_upsample_7(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"mode", RDL__ATTR_STRING, false},
                                                  {"scales", RDL__ATTR_FLOATS, true}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return mode_of(node) < 0 ? bad_text(node, "mode", error) : RDL_OK;
}

/* An index that the check found to be there. */
static int known(int index)
{
    return index < 0 ? 0 : index;
}

/* The attributes. Before 11 there is one way only. */
static void read_ways(const struct rdl__node *node, struct resize *r)
{
    const bool old = node->op->since < 11;
    r->mode = (enum interpolation)known(mode_of(node));
    r->coordinates =
        (enum coordinates)known(INDEX_OF(node, "coordinate_transformation_mode",
                                         old ? "asymmetric" : "half_pixel", coordinate_names));
    r->nearest = (enum nearest)known(
        INDEX_OF(node, "nearest_mode", old ? "floor" : "round_prefer_floor", nearest_names));
    r->policy =
        (enum policy)known(INDEX_OF(node, "keep_aspect_ratio_policy", "stretch", policy_names));
    r->exclude_outside = rdl__attr_int(node, "exclude_outside", 0) != 0;
    r->antialias = rdl__attr_int(node, "antialias", 0) != 0;
    r->cubic_a = (double)rdl__attr_float(node, "cubic_coeff_a", -0.75f);
    r->outside = (double)rdl__attr_float(node, "extrapolation_value", 0.0f);
}

/* n floats of input i, or of attribute "scales" where i is 0. */
static enum rdl_status read_floats(const struct rdl__infer *infer, uint32_t i, size_t n,
                                   double *values)
{
    const struct rdl__attr *attr = rdl__attr_find(infer->node, "scales");
    const struct rdl__desc *in = &infer->in[i];
    const size_t have = i == 0 ? attr->count : rdl__shape_count(&in->shape);
    if (have != n)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input %" PRIu32 ": %zu values, expected %zu",
                         i, have, n);
    if (i != 0 && in->dtype != RDL_F32 && in->dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, i);
    for (size_t k = 0; k < n; k++)
        values[k] = i == 0                 ? (double)attr->floats[k]
                    : in->dtype == RDL_F64 ? ((const double *)in->data)[k]
                                           : (double)((const float *)in->data)[k];
    return RDL_OK;
}

/* Whether input i is there and not empty. */
static bool filled(const struct rdl__infer *infer, uint32_t i)
{
    return rdl__op_has(infer->node, i) && rdl__shape_count(&infer->in[i].shape) > 0;
}

static enum rdl_status apply_scales(const struct rdl__infer *infer, uint32_t i, size_t n,
                                    const int32_t *axes, struct resize *r)
{
    double scales[RDL_MAX_RANK] = {0};
    RDL_TRY(read_floats(infer, i, n, scales));
    for (size_t k = 0; k < n; k++) {
        const int32_t d = axes[k];
        const double out = floor((double)infer->in[0].shape.dims[d] * scales[k]);
        if (!(scales[k] > 0) || !(out < 0x1p62))
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "scale %g of axis %" PRId32, scales[k],
                             d);
        r->axes[d].scale = scales[k];
        r->axes[d].out = (int64_t)out;
    }
    return RDL_OK;
}

static enum rdl_status apply_sizes(const struct rdl__infer *infer, uint32_t i, size_t n,
                                   const int32_t *axes, struct resize *r)
{
    const int64_t *dims = infer->in[0].shape.dims;
    int64_t sizes[RDL_MAX_RANK] = {0};
    size_t have;
    RDL_TRY(rdl__op_ints(infer, i, sizes, RDL_MAX_RANK, &have));
    if (have != n)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input %" PRIu32 ": %zu values, expected %zu",
                         i, have, n);
    double common = 0;
    for (size_t k = 0; k < n; k++) {
        if (sizes[k] < 0 || (dims[axes[k]] == 0 && sizes[k] > 0))
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "size %" PRId64 " of axis %" PRId32,
                             sizes[k], axes[k]);
        const double scale = dims[axes[k]] > 0 ? (double)sizes[k] / (double)dims[axes[k]] : 1;
        r->axes[axes[k]].scale = scale;
        r->axes[axes[k]].out = sizes[k];
        const bool better = r->policy == NOT_LARGER ? scale < common : scale > common;
        common = k == 0 || better ? scale : common;
    }
    for (size_t k = 0; k < n && r->policy != STRETCH; k++) {
        const double out = common * (double)dims[axes[k]] + 0.5;
        if (!(out < 0x1p62))
            return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "axis %" PRId32 " becomes too long",
                             axes[k]);
        r->axes[axes[k]].scale = common;
        r->axes[axes[k]].out = (int64_t)out;
    }
    return RDL_OK;
}

static enum rdl_status apply_roi(const struct rdl__infer *infer, size_t n, const int32_t *axes,
                                 struct resize *r)
{
    double roi[2 * RDL_MAX_RANK] = {0};
    if (r->coordinates != AT_TF_CROP_AND_RESIZE)
        return RDL_OK;
    if (!filled(infer, 1))
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 1 (roi) is missing");
    RDL_TRY(read_floats(infer, 1, 2 * n, roi));
    for (size_t k = 0; k < n; k++) {
        r->axes[axes[k]].roi_begin = roi[k];
        r->axes[axes[k]].roi_end = roi[n + k];
    }
    return RDL_OK;
}

static enum rdl_status read_axes(const struct rdl__infer *infer, struct resize *r, int32_t *axes,
                                 size_t *n)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    const int64_t *given = rdl__attr_ints(infer->node, "axes", n);
    *n = given != NULL ? *n : (size_t)x->rank;
    if (*n > (size_t)x->rank)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "%zu axes, the input has rank %" PRId32, *n,
                         x->rank);
    for (size_t k = 0; k < *n; k++) {
        RDL_TRY(
            rdl__op_axis(infer->error, given != NULL ? given[k] : (int64_t)k, x->rank, &axes[k]));
        if (r->axes[axes[k]].named)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "axis %" PRId32 " is named twice",
                             axes[k]);
        r->axes[axes[k]].named = true;
    }
    return RDL_OK;
}

static enum rdl_status read_resize(const struct rdl__infer *infer, struct resize *r)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    const bool upsample = strcmp(infer->node->op->name, "Upsample") == 0;
    const bool old = infer->node->op->since < 11;
    int32_t axes[RDL_MAX_RANK] = {0};
    size_t n;
    *r = (struct resize){0};
    read_ways(infer->node, r);
    for (int32_t d = 0; d < x->rank; d++) {
        r->axes[d].scale = 1;
        r->axes[d].roi_end = 1;
        r->axes[d].out = x->dims[d];
    }
    RDL_TRY(read_axes(infer, r, axes, &n));
    if (old)
        return apply_scales(infer, upsample && infer->node->op->since < 9 ? 0 : 1, n, axes, r);
    RDL_TRY(apply_roi(infer, n, axes, r));
    if (filled(infer, 3))
        return apply_sizes(infer, 3, n, axes, r);
    if (filled(infer, 2))
        return apply_scales(infer, 2, n, axes, r);
    if (n > 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "neither scales nor sizes are given");
    return RDL_OK;
}

static enum rdl_status infer_resize(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    struct resize r;
    int64_t dims[RDL_MAX_RANK];
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(read_resize(infer, &r));
    if (r.mode != BY_NEAREST && infer->in[0].dtype == RDL_BOOL)
        return rdl__op_bad_dtype(infer, 0);
    for (int32_t d = 0; d < x->rank; d++) {
        dims[d] = r.axes[d].out;
        if (dims[d] > 0 && (x->dims[d] == 0 || x->dims[d] > INT32_MAX))
            if (dims[d] != x->dims[d] || r.axes[d].scale != 1)
                return rdl__fail(infer->error, RDL_ERR_SHAPE,
                                 "axis %" PRId32 " of %" PRId64 " cannot become %" PRId64, d,
                                 x->dims[d], dims[d]);
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank, dims);
}

/* Where output i of axis d lies in the input of n elements; *outside: nowhere. */
static double origin(const struct resize *r, int32_t d, int64_t n, int64_t i, bool *outside)
{
    const double scale = r->axes[d].scale, width = scale * (double)n, x = (double)i;
    const double from = r->axes[d].roi_begin, to = r->axes[d].roi_end, last = (double)(n - 1);
    *outside = false;
    switch (r->coordinates) {
    case AT_ALIGN_CORNERS:
        return width == 1 ? 0 : x * last / (width - 1);
    case AT_ASYMMETRIC:
        return x / scale;
    case AT_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / scale;
    case AT_PYTORCH_HALF_PIXEL:
        return width == 1 ? -0.5 : (x + 0.5) / scale - 0.5;
    case AT_HALF_PIXEL_SYMMETRIC:
        return (double)n / 2 * (1 - (double)r->axes[d].out / width) + (x + 0.5) / scale - 0.5;
    case AT_TF_CROP_AND_RESIZE: {
        const double way = (to - from) * last;
        const double at = from * last + (width == 1 ? way / 2 : x * way / (width - 1));
        *outside = !(at >= 0 && at <= last);
        return at;
    }
    case AT_HALF_PIXEL:
        break;
    }
    return (x + 0.5) / scale - 0.5;
}

/* Whether the axis is left as it is. */
static bool untouched(const struct resize *r, int32_t d, int64_t n)
{
    return r->axes[d].out == n && fabs(r->axes[d].scale - 1) <= 1e-9 && r->axes[d].roi_begin == 0 &&
           r->axes[d].roi_end == 1;
}

static int64_t clamped(double value, int64_t n)
{
    return value <= 0 ? 0 : value >= (double)(n - 1) ? n - 1 : (int64_t)value;
}

/* --------------------------------------------------------------------------------------- nearest */

static double rounded(enum nearest how, double at)
{
    switch (how) {
    case PREFER_FLOOR:
        return ceil(at - 0.5);
    case PREFER_CEIL:
        return floor(at + 0.5);
    case ALWAYS_FLOOR:
        return floor(at);
    case ALWAYS_CEIL:
        break;
    }
    return ceil(at);
}

/* The value outside in the input's dtype. */
static void outside_bytes(double value, enum rdl_dtype dtype, unsigned char bytes[8])
{
    const struct rdl__k_cast cast = {.from = RDL_F64, .to = dtype, .count = 1, .tile_elems = 1};
    const struct rdl__kernel_call call = {
        .params = &cast, .bind = (void *const[]){&value, bytes}, .tile_begin = 0, .tile_end = 1};
    memset(bytes, 0, 8);
    (void)rdl__k_cast_ref(&call);
}

static enum rdl_status lower_nearest(const struct rdl__lower *lower, const struct resize *r)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    struct rdl__remap map = {0};
    unsigned char fill[8];
    for (int32_t d = 0; d < x->rank; d++) {
        const int64_t n = x->dims[d], out = r->axes[d].out;
        if (untouched(r, d, n))
            continue;
        int64_t *table = rdl__remap_table(&map, d, out);
        if (table == NULL) {
            rdl__remap_fini(&map);
            return rdl__fail_memory(lower->error, "tables", sizeof *table * (size_t)out);
        }
        for (int64_t i = 0; i < out; i++) {
            bool outside;
            const double at = origin(r, d, n, i, &outside);
            table[i] = outside ? RDL__K_REMAP_FILL : clamped(rounded(r->nearest, at), n);
        }
    }
    outside_bytes(r->outside, lower->in[0].dtype, fill);
    return rdl__remap_lower(lower, &map, (struct rdl__operand){0}, fill);
}

/* --------------------------------------------------------------------------------- linear, cubic */

static double cubic(double a, double x)
{
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* By how much the weights are stretched: only where the axis shrinks, and antialias is on. */
static double stretch_of(const struct resize *r, int32_t d)
{
    return r->antialias && r->axes[d].scale < 1 ? r->axes[d].scale : 1;
}

/* Elements that weigh in before the one left of an output's place, with it: half of all taps. */
static double reach(const struct resize *r, int32_t d)
{
    return -floor(-(r->mode == BY_LINEAR ? 1 : 2) / stretch_of(r, d));
}

/* Weights w [taps] and places [taps] of output i. */
static void weigh(const struct resize *r, int32_t d, int64_t n, int64_t i, int32_t taps, double *w,
                  int32_t *places)
{
    const double stretch = stretch_of(r, d);
    bool outside;
    const double at = origin(r, d, n, i, &outside);
    const int32_t half = taps / 2;
    const double first = ceil(at) - half; /* a whole number is right of the middle */
    double sum = 0;
    for (int32_t t = 0; t < taps; t++) {
        const double place = first + t, far = (place - at) * stretch;
        const double linear = fabs(far) < 1 ? 1 - fabs(far) : 0;
        w[t] = r->mode == BY_LINEAR ? linear : cubic(r->cubic_a, far);
        if (r->exclude_outside && (place < 0 || place >= (double)n))
            w[t] = 0;
        places[t] = outside ? -1 : (int32_t)clamped(place, n);
        sum += w[t];
    }
    for (int32_t t = 0; t < taps && (r->exclude_outside || r->antialias) && sum != 0; t++)
        w[t] /= sum;
}

/* The blob of one pass along axis d of x. */
static enum rdl_status make_pass(const struct rdl__lower *lower, const struct resize *r, int32_t d,
                                 const struct rdl__shape *x, enum rdl_dtype dtype,
                                 struct rdl__k_resample **pass, size_t *bytes)
{
    const double half = reach(r, d);
    const int64_t out = r->axes[d].out;
    if (!(half < 0x1p20) || !rdl__k_resample_bytes(dtype, out, (int32_t)(2 * half), bytes))
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "axis %" PRId32 " is too large", d);
    const int32_t taps = (int32_t)(2 * half);
    struct rdl__k_resample *p = rdl__alloc_zeroed(1, *bytes);
    double *w = rdl__alloc((size_t)taps * sizeof *w);
    if (p == NULL || w == NULL) {
        rdl__free(p);
        rdl__free(w);
        return rdl__fail_memory(lower->error, "weights", *bytes);
    }
    *p = (struct rdl__k_resample){.dtype = dtype,
                                  .taps = taps,
                                  .outer = rdl__shape_product(x, 0, d),
                                  .in = x->dims[d],
                                  .out = out,
                                  .inner = rdl__shape_product(x, d + 1, x->rank),
                                  .outside = r->outside};
    int32_t *places = (int32_t *)(uintptr_t)rdl__k_resample_places(p);
    for (int64_t i = 0; i < out; i++) {
        weigh(r, d, x->dims[d], i, taps, w, places + i * taps);
        for (int32_t t = 0; t < taps; t++) {
            if (dtype == RDL_F32)
                ((float *)p->tables)[i * taps + t] = (float)w[t];
            else
                p->tables[i * taps + t] = w[t];
        }
    }
    rdl__free(w);
    *pass = p;
    return RDL_OK;
}

/* The axes to resample: those that shrink first, from the front, then those that grow, from the
 * back, so that what lies between is small. Returns their number. */
static int32_t order_axes(const struct resize *r, const struct rdl__shape *x, int32_t *axes)
{
    int32_t n = 0;
    for (int32_t d = 0; d < x->rank; d++)
        if (!untouched(r, d, x->dims[d]) && r->axes[d].out < x->dims[d])
            axes[n++] = d;
    for (int32_t d = x->rank - 1; d >= 0; d--)
        /* The analyser does not know that rank <= RDL_MAX_RANK.
         * NOLINTNEXTLINE(clang-analyzer-security.ArrayBound) */
        if (!untouched(r, d, x->dims[d]) && r->axes[d].out >= x->dims[d])
            axes[n++] = d;
    return n;
}

static enum rdl_status cast_step(const struct rdl__lower *lower, enum rdl_dtype from,
                                 enum rdl_dtype to, const struct rdl__shape *shape,
                                 struct rdl__operand x, struct rdl__operand y)
{
    struct rdl__k_cast cast = {.from = from, .to = to};
    const size_t tiles = rdl__k_cast_plan(&cast, (int64_t)rdl__shape_count(shape));
    const struct rdl__operand bind[] = {x, y};
    return RDL__OP_STEP(lower, rdl__k_cast_ref, cast, tiles, bind);
}

/* A temporary of a shape. */
static enum rdl_status temp_of(const struct rdl__lower *lower, const struct rdl__shape *shape,
                               enum rdl_dtype dtype, uint32_t *index)
{
    RDL_TRY(rdl__shape_check(shape->rank, shape->dims, lower->error));
    return rdl__lower_temp(lower, rdl__shape_count(shape) * rdl_dtype_size(dtype), index);
}

/* The dtype that sums are taken in: a 32-bit integer has no place in an f32. */
static enum rdl_dtype sum_dtype(enum rdl_dtype dtype)
{
    return dtype == RDL_F64 || dtype == RDL_I32 || dtype == RDL_U32 || dtype == RDL_I64 ||
                   dtype == RDL_U64
               ? RDL_F64
               : RDL_F32;
}

static enum rdl_status lower_passes(const struct rdl__lower *lower, const struct resize *r)
{
    const enum rdl_dtype dtype = lower->in[0].dtype, sums = sum_dtype(dtype);
    struct rdl__shape shape = lower->in[0].shape;
    struct rdl__operand from = RDL__IN(0);
    int32_t axes[RDL_MAX_RANK];
    uint32_t temp;
    const int32_t n = order_axes(r, &shape, axes);
    if (n == 0)
        return rdl__lower_alias(lower, 0, 0);
    if (sums != dtype) {
        RDL_TRY(temp_of(lower, &shape, sums, &temp));
        RDL_TRY(cast_step(lower, dtype, sums, &shape, from, RDL__TEMP_WRITE(temp)));
        from = RDL__TEMP_READ(temp);
    }
    for (int32_t k = 0; k < n && k < RDL_MAX_RANK; k++) {
        struct rdl__k_resample *pass = NULL;
        size_t bytes;
        RDL_TRY(make_pass(lower, r, axes[k], &shape, sums, &pass, &bytes));
        const size_t tiles = rdl__k_resample_plan(pass);
        shape.dims[axes[k]] = r->axes[axes[k]].out;
        const bool last = k + 1 == n && sums == dtype;
        enum rdl_status status = last ? RDL_OK : temp_of(lower, &shape, sums, &temp);
        if (status == RDL_OK) {
            const struct rdl__operand bind[] = {from, last ? RDL__OUT(0) : RDL__TEMP_WRITE(temp)};
            status = rdl__op_step(
                lower, sums == RDL_F32 ? rdl__op_f32(lower)->resample : rdl__k_resample_ref, pass,
                bytes, tiles, 2, bind);
        }
        rdl__free(pass);
        RDL_TRY(status);
        from = RDL__TEMP_READ(temp);
    }
    if (sums == dtype)
        return RDL_OK;
    if (dtype != RDL_F16 && dtype != RDL_BF16) { /* integers: to the nearest, halves to even */
        struct rdl__k_unary round = {.op = RDL__K_UNARY_ROUND, .dtype = sums};
        RDL_TRY(rdl__op_unary(lower, &round, (int64_t)rdl__shape_count(&shape), from,
                              RDL__TEMP_WRITE(from.index)));
    }
    return cast_step(lower, sums, dtype, &shape, from, RDL__OUT(0));
}

static enum rdl_status lower_resize(const struct rdl__lower *lower)
{
    const struct rdl__infer infer = {.node = lower->node, .in = lower->in, .error = lower->error};
    struct resize r;
    RDL_TRY(read_resize(&infer, &r));
    return r.mode == BY_NEAREST ? lower_nearest(lower, &r) : lower_passes(lower, &r);
}

#define RESIZE_OP(name_, since_, least, most, values, check_)                                      \
    RDL__OPERATOR(name_, since_, least, most, 1, 1, .value_inputs = (values), .check = (check_),   \
                  .infer = infer_resize, .lower = lower_resize);

/* Resize@10: scales alone, one way to place elements; @11 (13, 18: attributes more, 19): all. */
RESIZE_OP(Resize, 10, 2, 2, 1u << 1, check_by_mode)
RESIZE_OP(Resize, 11, 1, 4, 0xe, check_resize)
/* Upsample@7: scales are an attribute; @9: an input; gone since 10. */
RESIZE_OP(Upsample, 7, 1, 1, 0, check_upsample_7)
RESIZE_OP(Upsample, 9, 2, 2, 1u << 1, check_by_mode)
