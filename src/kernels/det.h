/*
 * Determinants.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_DET_H
#define RDL_KERNELS_DET_H

#include "device/kernel.h"
#include "raddle/tensor.h"

/** Parameters of rdl__k_det. Bindings: x [count, n, n], y [count]. Scratch: n * n doubles. Tiles:
 * matrices. */
struct rdl__k_det {
    enum rdl_dtype dtype; /* f32 or f64 */
    int64_t n;            /* 0: the determinant is 1 */
};
/** Eliminates with the largest pivot of a column, in double. Source: ONNX Det@11..22. */
enum rdl_status rdl__k_det(const struct rdl__kernel_call *call);

#endif
