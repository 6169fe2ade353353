/*
 * Windows over spatial dimensions, which convolutions and poolings share: their attributes and the
 * output sizes that these give.
 */
#ifndef RDL_OPS_WINDOW_H
#define RDL_OPS_WINDOW_H

#include "ops/common.h"

/** Most spatial dimensions. */
#define RDL__WINDOW_SPATIAL 3

/** A window, and the padding behind. */
struct rdl__op_window {
    struct rdl__k_window window; /* right-aligned: with fewer dimensions the first ones are 1 */
    int64_t pad_end[3];
    int32_t n_spatial;
};

/** Checks the values of the attributes auto_pad, strides, dilations, pads, kernel_shape, ceil_mode,
 * output_padding, output_shape and group that are given. */
enum rdl_status rdl__window_check(const struct rdl__node *node, struct rdl_error *error);

/**
 * Reads the window of a node on x [N, C, spatial...].
 *
 * @param kernel  [n_spatial] the kernel's size where it is no attribute (Conv), else NULL
 * @return RDL_ERR_SHAPE (lengths, sizes that give no output), RDL_ERR_UNSUPPORTED (more than three
 *         spatial dimensions), RDL_ERR_OVERFLOW
 */
enum rdl_status rdl__window_read(const struct rdl__node *node, const struct rdl__shape *x,
                                 const int64_t *kernel, struct rdl__op_window *out,
                                 struct rdl_error *error);

/** The same of a node whose output is the larger image (ConvTranspose), with output_padding and
 * output_shape: input place i meets kernel place k at output place i * stride - pad + k * dilation. */
enum rdl_status rdl__window_read_transposed(const struct rdl__node *node,
                                            const struct rdl__shape *x, const int64_t *kernel,
                                            struct rdl__op_window *out, struct rdl_error *error);

/** Moves the dimensions in which nothing slides (one place, one kernel place, no padding) before the
 * others: kernels work along the last one, and an image of one column is a row to them. The elements lie
 * as they did. For lowering only: rdl__window_out wants the node's own dimensions. */
void rdl__window_squeeze(struct rdl__k_window *window);

/** Gives output i the shape [n, c, out...]. */
enum rdl_status rdl__window_out(const struct rdl__infer *infer, uint32_t i, enum rdl_dtype dtype,
                                int64_t n, int64_t c, const struct rdl__op_window *window);

#endif
