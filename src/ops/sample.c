/*
 * Operators that read images at places which the data give: GridSample with AffineGrid, which makes
 * such places, RoiAlign, MaxRoiPool.
 */
#include "kernels/sample.h"
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

static enum rdl_status bad_text(const struct rdl__node *node, const char *attr,
                                struct rdl_error *error)
{
    return rdl__fail(error, RDL_ERR_MODEL, "%s: %s \"%s\" is not known", RDL__NODE_TEXT(node), attr,
                     RDL__NAME_TEXT(rdl__attr_text(node, attr, "")));
}

/* ------------------------------------------------------------------------------------- GridSample */

/* Pixels a dimension that the mode reads; 0: no such mode. */
static int32_t taps_of(const struct rdl__node *node)
{
    const bool old = node->op->since < 20;
    const char *mode = rdl__attr_text(node, "mode", old ? "bilinear" : "linear");
    if (strcmp(mode, "nearest") == 0)
        return 1;
    if (strcmp(mode, old ? "bilinear" : "linear") == 0)
        return 2;
    return strcmp(mode, old ? "bicubic" : "cubic") == 0 ? 4 : 0;
}

static int padding_of(const struct rdl__node *node)
{
    static const char *const names[] = {"zeros", "border", "reflection"};
    for (int i = 0; i < 3; i++)
        if (strcmp(rdl__attr_text(node, "padding_mode", "zeros"), names[i]) == 0)
            return i;
    return -1;
}

static enum rdl_status check_grid_sample(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"align_corners", RDL__ATTR_INT, false},
                                                  {"mode", RDL__ATTR_STRING, false},
                                                  {"padding_mode", RDL__ATTR_STRING, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    if (taps_of(node) == 0)
        return bad_text(node, "mode", error);
    return padding_of(node) < 0 ? bad_text(node, "padding_mode", error) : RDL_OK;
}

static enum rdl_status infer_grid_sample(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape, *grid = &infer->in[1].shape;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    RDL_TRY(rdl__op_rank(infer, 0, 3, 2 + RDL__K_SAMPLE_DIMS));
    RDL_TRY(rdl__op_rank(infer, 1, x->rank, x->rank));
    if (grid->dims[0] != x->dims[0] || grid->dims[grid->rank - 1] != x->rank - 2) {
        char a[RDL__SHAPE_TEXT_BYTES], b[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "grid %s does not fit image %s",
                         rdl__shape_text(grid, a, sizeof a), rdl__shape_text(x, b, sizeof b));
    }
    int64_t dims[RDL_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (int32_t d = 2; d < x->rank; d++) {
        dims[d] = grid->dims[d - 1];
        if (x->dims[d] == 0)
            return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 0: the image is empty");
    }
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank, dims);
}

static enum rdl_status lower_grid_sample(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape, *y = &lower->out[0].shape;
    const int padding = padding_of(lower->node); /* the check refused negatives */
    struct rdl__k_grid_sample params = {
        .dtype = lower->in[0].dtype,
        .n = x->rank - 2,
        .taps = taps_of(lower->node),
        .padding = (enum rdl__k_sample_padding)(padding < 0 ? 0 : padding),
        .align_corners = rdl__attr_int(lower->node, "align_corners", 0) != 0,
        .batch = x->dims[0],
        .channels = x->dims[1],
        .points = rdl__shape_product(y, 2, y->rank)};
    memcpy(params.in, x->dims + 2, sizeof params.in);
    const size_t tiles = rdl__k_grid_sample_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_grid_sample, params, tiles, bind);
}

/* GridSample@16; @20 (22: more dtypes): other names of the modes, images of any rank. */
RDL__OPERATOR(GridSample, 16, 2, 2, 1, 1, .check = check_grid_sample, .infer = infer_grid_sample,
              .lower = lower_grid_sample);
RDL__OPERATOR(GridSample, 20, 2, 2, 1, 1, .check = check_grid_sample, .infer = infer_grid_sample,
              .lower = lower_grid_sample);

/* ------------------------------------------------------------------------------------- AffineGrid */

static enum rdl_status check_affine_grid(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"align_corners", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_affine_grid(const struct rdl__infer *infer)
{
    const struct rdl__shape *theta = &infer->in[0].shape;
    int64_t size[2 + RDL__K_SAMPLE_DIMS] = {0}, dims[2 + RDL__K_SAMPLE_DIMS] = {0};
    size_t count;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 3, 3));
    RDL_TRY(rdl__op_ints(infer, 1, size, 2 + RDL__K_SAMPLE_DIMS, &count));
    const int64_t n = (int64_t)count - 2;
    if (n < 2 || theta->dims[0] != size[0] || theta->dims[1] != n || theta->dims[2] != n + 1) {
        char text[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "theta %s does not fit a size of %zu numbers",
                         rdl__shape_text(theta, text, sizeof text), count);
    }
    dims[0] = size[0];
    for (int64_t d = 0; d < n; d++)
        dims[1 + d] = size[2 + d];
    dims[1 + n] = n;
    return rdl__op_out(infer, 0, infer->in[0].dtype, (int32_t)n + 2, dims);
}

static enum rdl_status lower_affine_grid(const struct rdl__lower *lower)
{
    const struct rdl__shape *y = &lower->out[0].shape;
    struct rdl__k_affine_grid params = {.dtype = lower->in[0].dtype,
                                        .align_corners =
                                            rdl__attr_int(lower->node, "align_corners", 0) != 0,
                                        .n = y->rank - 2,
                                        .batch = y->dims[0]};
    memcpy(params.sizes, y->dims + 1, sizeof params.sizes);
    const size_t tiles = rdl__k_affine_grid_plan(&params);
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_affine_grid, params, tiles, bind);
}

/* AffineGrid@20. */
RDL__OPERATOR(AffineGrid, 20, 2, 2, 1, 1, .value_inputs = 1u << 1, .check = check_affine_grid,
              .infer = infer_affine_grid, .lower = lower_affine_grid);

/* --------------------------------------------------------------------------------------- RoiAlign */

static enum rdl_status check_roi_align(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {
        {"coordinate_transformation_mode", RDL__ATTR_STRING, false},
        {"mode", RDL__ATTR_STRING, false},
        {"output_height", RDL__ATTR_INT, false},
        {"output_width", RDL__ATTR_INT, false},
        {"sampling_ratio", RDL__ATTR_INT, false},
        {"spatial_scale", RDL__ATTR_FLOAT, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const char *mode = rdl__attr_text(node, "mode", "avg");
    const char *places = rdl__attr_text(node, "coordinate_transformation_mode", "half_pixel");
    const int64_t ratio = rdl__attr_int(node, "sampling_ratio", 0);
    if (strcmp(mode, "avg") != 0 && strcmp(mode, "max") != 0)
        return bad_text(node, "mode", error);
    if (strcmp(places, "half_pixel") != 0 && strcmp(places, "output_half_pixel") != 0)
        return bad_text(node, "coordinate_transformation_mode", error);
    if (ratio < 0 || ratio > RDL__K_ROI_GRID_MOST)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: sampling_ratio is %" PRId64,
                         RDL__NODE_TEXT(node), ratio);
    return RDL_OK;
}

static enum rdl_status infer_roi_align(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape, *rois = &infer->in[1].shape;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    if (infer->in[2].dtype != RDL_I64)
        return rdl__op_bad_dtype(infer, 2);
    RDL_TRY(rdl__op_rank(infer, 0, 4, 4));
    RDL_TRY(rdl__op_rank(infer, 1, 2, 2));
    RDL_TRY(rdl__op_rank(infer, 2, 1, 1));
    if (rois->dims[1] != 4 || rois->dims[0] != infer->in[2].shape.dims[0])
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "%" PRId64 " regions of %" PRId64 " numbers, and %" PRId64
                         " batch indices",
                         rois->dims[0], rois->dims[1], infer->in[2].shape.dims[0]);
    const int64_t dims[4] = {rois->dims[0], x->dims[1],
                             rdl__attr_int(infer->node, "output_height", 1),
                             rdl__attr_int(infer->node, "output_width", 1)};
    if (x->dims[2] == 0 || x->dims[3] == 0)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "input 0: the image is empty");
    return rdl__op_out(infer, 0, infer->in[0].dtype, 4, dims);
}

static enum rdl_status lower_roi_align(const struct rdl__lower *lower)
{
    const struct rdl__node *node = lower->node;
    const int64_t *x = lower->in[0].shape.dims, *y = lower->out[0].shape.dims;
    const char *places = rdl__attr_text(node, "coordinate_transformation_mode",
                                        node->op->since < 16 ? "output_half_pixel" : "half_pixel");
    const struct rdl__k_roi_align params = {
        .dtype = lower->in[0].dtype,
        .max = strcmp(rdl__attr_text(node, "mode", "avg"), "max") == 0,
        .half_pixel = strcmp(places, "half_pixel") == 0,
        .batch = x[0],
        .channels = x[1],
        .height = x[2],
        .width = x[3],
        .rois = y[0],
        .out_height = y[2],
        .out_width = y[3],
        .ratio = rdl__attr_int(node, "sampling_ratio", 0),
        .scale = (double)rdl__attr_float(node, "spatial_scale", 1.0f)};
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__IN(2), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_roi_align, params, (size_t)(y[0] * y[1]), bind);
}

/* RoiAlign@10; @16 (22: more dtypes): regions are moved by half a pixel unless told otherwise. */
RDL__OPERATOR(RoiAlign, 10, 3, 3, 1, 1, .check = check_roi_align, .infer = infer_roi_align,
              .lower = lower_roi_align);
RDL__OPERATOR(RoiAlign, 16, 3, 3, 1, 1, .check = check_roi_align, .infer = infer_roi_align,
              .lower = lower_roi_align);

/* ------------------------------------------------------------------------------------- MaxRoiPool */

static enum rdl_status check_max_roi_pool(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"pooled_shape", RDL__ATTR_INTS, true},
                                                  {"spatial_scale", RDL__ATTR_FLOAT, false}};
    size_t n;
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const int64_t *shape = rdl__attr_ints(node, "pooled_shape", &n);
    if (n != 2 || shape[0] < 1 || shape[1] < 1)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: pooled_shape is not two sizes",
                         RDL__NODE_TEXT(node));
    return RDL_OK;
}

static enum rdl_status infer_max_roi_pool(const struct rdl__infer *infer)
{
    size_t n;
    const int64_t *pooled = rdl__attr_ints(infer->node, "pooled_shape", &n);
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_same_dtype(infer, 1));
    RDL_TRY(rdl__op_rank(infer, 0, 4, 4));
    RDL_TRY(rdl__op_rank(infer, 1, 2, 2));
    const int64_t *rois = infer->in[1].shape.dims;
    if (rois[1] != 5)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 1: a region has %" PRId64 " numbers, expected 5", rois[1]);
    const int64_t dims[4] = {rois[0], infer->in[0].shape.dims[1], pooled[0], pooled[1]};
    return rdl__op_out(infer, 0, infer->in[0].dtype, 4, dims);
}

static enum rdl_status lower_max_roi_pool(const struct rdl__lower *lower)
{
    const int64_t *x = lower->in[0].shape.dims, *y = lower->out[0].shape.dims;
    const struct rdl__k_max_roi_pool params = {
        .dtype = lower->in[0].dtype,
        .batch = x[0],
        .channels = x[1],
        .height = x[2],
        .width = x[3],
        .rois = y[0],
        .out_height = y[2],
        .out_width = y[3],
        .scale = (double)rdl__attr_float(lower->node, "spatial_scale", 1.0f)};
    const struct rdl__operand bind[] = {RDL__IN(0), RDL__IN(1), RDL__OUT(0)};
    return RDL__OP_STEP(lower, rdl__k_max_roi_pool, params, (size_t)(y[0] * y[1]), bind);
}

/* MaxRoiPool@1 (22: more dtypes). */
RDL__OPERATOR(MaxRoiPool, 1, 2, 2, 1, 1, .check = check_max_roi_pool, .infer = infer_max_roi_pool,
              .lower = lower_max_roi_pool);
