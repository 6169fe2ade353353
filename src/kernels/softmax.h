/*
 * Softmax, and affine maps of channels (BatchNormalization).
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_SOFTMAX_H
#define RDL_KERNELS_SOFTMAX_H

#include "device/kernel.h"
#include "kernels/act.h"
#include "raddle/tensor.h"

/** Parameters of rdl__k_softmax_*. Bindings: x, y [outer, size, inner]; y may lie on x. */
struct rdl__k_softmax {
    enum rdl_dtype dtype; /* f32, f64 */
    bool log;             /* LogSoftmax */
    int64_t outer, size, inner;
    int64_t tile_outer;
};
size_t rdl__k_softmax_plan(struct rdl__k_softmax *p);
/** exp(x - max) / sum, the sum in double. Source: ONNX Softmax@1..13, LogSoftmax. */
enum rdl_status rdl__k_softmax_ref(const struct rdl__kernel_call *call);
/** f32, inner 1, not log. */
enum rdl_status rdl__k_softmax_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_softmax_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_softmax_f32_avx512(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_norm_fold_ref. Bindings: scale, bias, mean, variance [channels], factor and
 * term [channels] (out): factor = scale / sqrt(variance + epsilon), term = bias - mean * factor. */
struct rdl__k_norm_fold {
    enum rdl_dtype dtype; /* f32, f64 */
    int64_t channels;
    float epsilon;
};
/** One tile. Computes in double. Source: ONNX BatchNormalization@7..15. */
enum rdl_status rdl__k_norm_fold_ref(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_affine_*: y = x * factor[channel] + term[channel], product and sum rounded
 * apart. Bindings: x [batch, channels, size], factor, term, y; y may lie on x. */
struct rdl__k_affine {
    enum rdl_dtype dtype;  /* f32, f64 */
    struct rdl__k_act act; /* f32 only */
    int64_t batch, channels, size;
    int64_t tile_planes;
};
size_t rdl__k_affine_plan(struct rdl__k_affine *p);
enum rdl_status rdl__k_affine_ref(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_affine_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_affine_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_affine_f32_avx512(const struct rdl__kernel_call *call);

#endif
