/*
 * Kernels that read images at places which the data give: GridSample, RoiAlign; and
 * NonMaxSuppression, which chooses such places.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_SAMPLE_H
#define RDL_KERNELS_SAMPLE_H

#include "device/kernel.h"
#include "tensor/shape.h"

/** Most dimensions of an image. */
#define RDL__K_SAMPLE_DIMS 3

enum rdl__k_sample_padding { RDL__K_SAMPLE_ZEROS, RDL__K_SAMPLE_BORDER, RDL__K_SAMPLE_REFLECTION };

/** Parameters of rdl__k_grid_sample. Bindings: x [batch, channels, in...], grid [batch, points, n]
 * (the last dimension of the image first), y [batch, channels, points]. */
struct rdl__k_grid_sample {
    enum rdl_dtype dtype; /* of all three: f32 or f64 */
    int32_t n, taps;      /* dimensions of the image; 1: nearest, 2: linear, 4: cubic */
    enum rdl__k_sample_padding padding;
    bool align_corners;
    int64_t batch, channels, points;
    int64_t in[RDL__K_SAMPLE_DIMS];
    int64_t tile_points;
};
size_t rdl__k_grid_sample_plan(struct rdl__k_grid_sample *params);
/** A place that is no number reads as one far outside. Source: ONNX GridSample@16..22. */
enum rdl_status rdl__k_grid_sample(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_roi_align. Bindings: x [batch, channels, height, width], rois [rois, 4],
 * batch indices (i64) [rois], y [rois, channels, out_height, out_width]. A tile a plane of y. */
struct rdl__k_roi_align {
    enum rdl_dtype dtype; /* f32 or f64 */
    bool max, half_pixel;
    int64_t batch, channels, height, width, rois, out_height, out_width;
    int64_t ratio; /* samples a bin along each side; 0: as many as pixels */
    double scale;
};
/** Most samples of a bin along each side. */
#define RDL__K_ROI_GRID_MOST 4096
/** @return RDL_ERR_RUNTIME: a batch index out of range, or a region without bounds.
 * Source: ONNX RoiAlign@10..22. */
enum rdl_status rdl__k_roi_align(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_affine_grid. Bindings: theta [batch, n, n + 1], out [batch, sizes..., n]. */
struct rdl__k_affine_grid {
    enum rdl_dtype dtype; /* f32 or f64 */
    bool align_corners;   /* -1 and 1 are the middles of the outer pixels, else their outer edges */
    int32_t n;            /* 2 or 3 */
    int64_t batch, sizes[RDL__K_SAMPLE_DIMS]; /* [n] of the image, the fastest last */
    int64_t points, tile_points, tiles;       /* of an image; set by the plan function */
};
size_t rdl__k_affine_grid_plan(struct rdl__k_affine_grid *params);
/** Computes in double. Source: ONNX AffineGrid@20. */
enum rdl_status rdl__k_affine_grid(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_max_roi_pool. Bindings: images [batch, channels, height, width], regions
 * [rois, 5] (batch index, left, top, right, bottom), out [rois, channels, out_height, out_width]. Tiles:
 * regions times channels. */
struct rdl__k_max_roi_pool {
    enum rdl_dtype dtype; /* f32 or f64 */
    int64_t batch, channels, height, width, rois, out_height, out_width;
    double scale;
};
/** A bin without a pixel is 0. @return RDL_ERR_RUNTIME: a batch index out of range, or a region without
 * bounds. Source: ONNX MaxRoiPool@1..22. */
enum rdl_status rdl__k_max_roi_pool(const struct rdl__kernel_call *call);

#endif
