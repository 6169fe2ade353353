/*
 * Kernels that bring rows to mean 0 and variance 1, or divide by what lies around an element.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_NORMALIZE_H
#define RDL_KERNELS_NORMALIZE_H

#include "device/kernel.h"
#include "tensor/shape.h"

/**
 * Parameters of rdl__k_normalize_*. Bindings: x [rows, size], scale and bias (each may be NULL: 1 and
 * 0), y, and mean [rows] and inverse deviation [rows] (f32, NULL if nobody asks); y may lie on x.
 *
 * y = (x - mean) / sqrt(variance + epsilon) * scale + bias, mean and variance of the row; without
 * `centre` the mean is taken to be 0. Element i of row r has the scale and bias
 * [(r % period) * step + i / segment].
 */
struct rdl__k_normalize {
    enum rdl_dtype dtype; /* f32, f64 */
    bool centre;
    float epsilon;
    int64_t rows, size;
    int64_t segment, period, step;
    int64_t tile_rows; /* set by the plan function */
};
size_t rdl__k_normalize_plan(struct rdl__k_normalize *p);
/** Sums in double. Source: ONNX LayerNormalization@17, RMSNormalization@23, InstanceNormalization@6,
 * GroupNormalization@18..21. */
enum rdl_status rdl__k_normalize_ref(const struct rdl__kernel_call *call);
/** f32: the mean first, then the squares of what differs from it. */
enum rdl_status rdl__k_normalize_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_normalize_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_normalize_f32_avx512(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_lrn. Bindings: x, y [batch, channels, inner]. */
struct rdl__k_lrn {
    enum rdl_dtype dtype; /* f32, f64 */
    int64_t size;         /* channels of the window */
    double alpha, beta, bias;
    int64_t batch, channels, inner;
    int64_t blocks; /* of the inner elements, one a tile; set by the plan function */
};
size_t rdl__k_lrn_plan(struct rdl__k_lrn *p);
/** x / (bias + alpha / size * sum of squares in the window)^beta. Source: ONNX LRN@1..13. */
enum rdl_status rdl__k_lrn(const struct rdl__kernel_call *call);

#endif
