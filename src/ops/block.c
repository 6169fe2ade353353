/*
 * Operators that move blocks of an image into its channels and back: DepthToSpace, SpaceToDepth.
 */
#include "ops/common.h"

#include <inttypes.h>
#include <string.h>

static int64_t block_size(const struct rdl__node *node)
{
    return rdl__attr_int(node, "blocksize", 0);
}

static bool by_rows(const struct rdl__node *node)
{
    return strcmp(rdl__attr_text(node, "mode", "DCR"), "CRD") == 0;
}

static enum rdl_status check_block(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"blocksize", RDL__ATTR_INT, true},
                                                  {"mode", RDL__ATTR_STRING, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const char *mode = rdl__attr_text(node, "mode", "DCR");
    if (block_size(node) < 1 || block_size(node) > INT16_MAX)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: blocksize is %" PRId64, RDL__NODE_TEXT(node),
                         block_size(node));
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: mode \"%s\" is not known", RDL__NODE_TEXT(node),
                         RDL__NAME_TEXT(mode));
    return RDL_OK;
}

static enum rdl_status not_divided(const struct rdl__infer *infer)
{
    char text[RDL__SHAPE_TEXT_BYTES];
    return rdl__fail(infer->error, RDL_ERR_SHAPE, "%s does not divide into blocks of %" PRId64,
                     rdl__shape_text(&infer->in[0].shape, text, sizeof text),
                     block_size(infer->node));
}

static enum rdl_status infer_depth_to_space(const struct rdl__infer *infer)
{
    const int64_t *x = infer->in[0].shape.dims, size = block_size(infer->node);
    int64_t dims[4];
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 4, 4));
    if (x[1] % (size * size) != 0)
        return not_divided(infer);
    dims[0] = x[0];
    dims[1] = x[1] / (size * size);
    if (!rdl__mul_dim(x[2], size, &dims[2]) || !rdl__mul_dim(x[3], size, &dims[3]))
        return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "the image becomes too large");
    return rdl__op_out(infer, 0, infer->in[0].dtype, 4, dims);
}

static enum rdl_status infer_space_to_depth(const struct rdl__infer *infer)
{
    const int64_t *x = infer->in[0].shape.dims, size = block_size(infer->node);
    int64_t dims[4];
    if (infer->in[0].dtype == RDL_STRING)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 4, 4));
    if (x[2] % size != 0 || x[3] % size != 0)
        return not_divided(infer);
    dims[0] = x[0];
    if (!rdl__mul_dim(x[1], size * size, &dims[1]))
        return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "the image becomes too deep");
    dims[2] = x[2] / size;
    dims[3] = x[3] / size;
    return rdl__op_out(infer, 0, infer->in[0].dtype, 4, dims);
}

/* Moves the input, seen as `dims`, to the output, whose dimension d is the input's perm[d]. */
static enum rdl_status permute(const struct rdl__lower *lower, const int64_t dims[6],
                               const int perm[6])
{
    struct rdl__shape x, y = {.rank = 6};
    int64_t strides[RDL_MAX_RANK];
    struct rdl__k_move move = {.walk.rank = 6};
    rdl__shape_set(&x, 6, dims);
    rdl__shape_strides(&x, strides);
    for (int d = 0; d < 6; d++) {
        y.dims[d] = dims[perm[d]];
        move.walk.stride[0][d] = strides[perm[d]];
    }
    memcpy(move.walk.dims, y.dims, sizeof move.walk.dims);
    rdl__shape_strides(&y, move.walk.stride[1]);
    return rdl__op_move(lower, &move, lower->in[0].dtype, RDL__IN(0), RDL__OUT(0));
}

static enum rdl_status lower_depth_to_space(const struct rdl__lower *lower)
{
    const int64_t *x = lower->in[0].shape.dims, size = block_size(lower->node);
    const int64_t channels = lower->out[0].shape.dims[1];
    if (by_rows(lower->node))
        return permute(lower, (const int64_t[]){x[0], channels, size, size, x[2], x[3]},
                       (const int[]){0, 1, 4, 2, 5, 3});
    return permute(lower, (const int64_t[]){x[0], size, size, channels, x[2], x[3]},
                   (const int[]){0, 3, 4, 1, 5, 2});
}

static enum rdl_status lower_space_to_depth(const struct rdl__lower *lower)
{
    const int64_t *x = lower->in[0].shape.dims, size = block_size(lower->node);
    const int64_t dims[] = {x[0], x[1], x[2] / size, size, x[3] / size, size};
    if (by_rows(lower->node))
        return permute(lower, dims, (const int[]){0, 1, 3, 5, 2, 4});
    return permute(lower, dims, (const int[]){0, 3, 5, 1, 2, 4});
}

#define BLOCK_OP(name_, infer_, lower_)                                                            \
    RDL__OPERATOR(name_, 1, 1, 1, 1, 1, .check = check_block, .infer = (infer_), .lower = (lower_));

/* DepthToSpace@1 (11: mode; 13, 28: more dtypes), SpaceToDepth@1 (13: more dtypes, 28: mode). */
BLOCK_OP(DepthToSpace, infer_depth_to_space, lower_depth_to_space)
BLOCK_OP(SpaceToDepth, infer_space_to_depth, lower_space_to_depth)
