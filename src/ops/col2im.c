/*
 * Col2Im: the sum of sliding windows, which a transposed convolution ends with.
 */
#include "kernels/col2im.h"
#include "ops/window.h"

#include <inttypes.h>
#include <string.h>

static enum rdl_status check(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"dilations", RDL__ATTR_INTS, false},
                                                  {"pads", RDL__ATTR_INTS, false},
                                                  {"strides", RDL__ATTR_INTS, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    return rdl__window_check(node, error);
}

/* The windows over the image, told as the kernel has them: `in` is the windows' places, and `out` the
 * image. Inputs are [batch, channels * block, windows], the image's shape, the block's shape. */
static enum rdl_status read_windows(const struct rdl__infer *infer, struct rdl__op_window *window)
{
    int64_t dims[2 + RDL__WINDOW_SPATIAL] = {1, 1}, block[RDL__WINDOW_SPATIAL] = {0};
    size_t n, n_block;
    RDL_TRY(rdl__op_ints(infer, 1, dims + 2, RDL__WINDOW_SPATIAL, &n));
    RDL_TRY(rdl__op_ints(infer, 2, block, RDL__WINDOW_SPATIAL, &n_block));
    if (n != n_block)
        return rdl__fail(infer->error, RDL_ERR_SHAPE, "image of %zu dimensions, block of %zu", n,
                         n_block);
    RDL_TRY(rdl__shape_check((int32_t)n + 2, dims, infer->error));
    struct rdl__shape image;
    rdl__shape_set(&image, (int32_t)n + 2, dims);
    RDL_TRY(rdl__window_read(infer->node, &image, block, window, infer->error));
    for (int d = 0; d < RDL__WINDOW_SPATIAL; d++) {
        const int64_t size = window->window.in[d];
        window->window.in[d] = window->window.out[d];
        window->window.out[d] = size;
    }
    return RDL_OK;
}

static enum rdl_status infer(const struct rdl__infer *infer)
{
    const int64_t *x = infer->in[0].shape.dims;
    struct rdl__op_window window;
    int64_t block = 1, places = 1;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 3, 3));
    RDL_TRY(read_windows(infer, &window));
    for (int d = 0; d < RDL__WINDOW_SPATIAL; d++)
        if (!rdl__mul_dim(block, window.window.kernel[d], &block) ||
            !rdl__mul_dim(places, window.window.in[d], &places))
            return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "the block is too large");
    if (x[1] % block != 0 || x[2] != places)
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 0 has %" PRId64 " rows of %" PRId64
                         ", expected a multiple of %" PRId64 " rows of %" PRId64 " windows",
                         x[1], x[2], block, places);
    return rdl__window_out(infer, 0, infer->in[0].dtype, x[0], x[1] / block, &window);
}

static enum rdl_status lower(const struct rdl__lower *lower)
{
    const struct rdl__infer infer = {.node = lower->node, .in = lower->in, .error = lower->error};
    struct rdl__op_window window;
    RDL_TRY(read_windows(&infer, &window));
    struct rdl__k_col2im params = {.window = window.window,
                                   .batch = lower->out[0].shape.dims[0],
                                   .channels = lower->out[0].shape.dims[1],
                                   .dtype = lower->in[0].dtype};
    struct rdl__step_spec spec = {.fn = params.dtype == RDL_F32 ? rdl__op_f32(lower)->col2im
                                                                : rdl__k_col2im_ref,
                                  .params = &params,
                                  .params_bytes = sizeof params,
                                  .n_bind = 3,
                                  .bind = {RDL__IN(0), {0}, RDL__OUT(0)}};
    spec.tiles = rdl__k_col2im_plan(&params, &spec.scratch_bytes);
    if (spec.tiles == 0)
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "the image is too large");
    return rdl__lower_step(lower, &spec);
}

/* Col2Im@18. */
RDL__OPERATOR(Col2Im, 18, 3, 3, 1, 1, .value_inputs = 3u << 1, .check = check, .infer = infer,
              .lower = lower);
