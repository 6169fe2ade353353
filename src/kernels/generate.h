/*
 * Kernels that make elements out of few numbers: Range, EyeLike, windows.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_GENERATE_H
#define RDL_KERNELS_GENERATE_H

#include "device/kernel.h"
#include "raddle/tensor.h"

/** Parameters of rdl__k_range. Bindings: start, delta (scalars), out. */
struct rdl__k_range {
    enum rdl_dtype dtype; /* f32, f64, i16, i32 or i64 */
    int64_t count, tile_elems;
};
size_t rdl__k_range_plan(struct rdl__k_range *params, int64_t count);
/** Writes start + i * delta; integers wrap. Source: ONNX Range@11. */
enum rdl_status rdl__k_range(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_eye. Binding: out [rows, cols]. */
struct rdl__k_eye {
    int32_t elem_bytes;
    unsigned char one[8];
    int64_t rows, cols, k, tile_rows;
};
size_t rdl__k_eye_plan(struct rdl__k_eye *params);
/** Writes one where col - row = k, and zero elsewhere. Source: ONNX EyeLike@9. */
enum rdl_status rdl__k_eye(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_cosines. Binding: out, f64. */
struct rdl__k_cosines {
    double a0, a1, a2; /* a0 - a1 cos(x) + a2 cos(2 x), x = 2 pi i / period */
    double period;
    int64_t count, tile_elems;
};
size_t rdl__k_cosines_plan(struct rdl__k_cosines *params, int64_t count);
/** Writes a sum of cosines. Source: ONNX BlackmanWindow@17, HannWindow@17, HammingWindow@17. */
enum rdl_status rdl__k_cosines(const struct rdl__kernel_call *call);

#endif
