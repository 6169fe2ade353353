/*
 * Unique: the different slices of a tensor along an axis, and where they stand.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_UNIQUE_H
#define RDL_KERNELS_UNIQUE_H

#include "device/kernel.h"
#include "raddle/tensor.h"

/** Parameters of rdl__k_unique. Bindings: x [outer, n, inner], y [outer, found, inner], first places
 * [found], groups [n], counts [found] (i64); each output NULL if nobody asks. Scratch:
 * rdl__k_unique_scratch. One tile. */
struct rdl__k_unique {
    enum rdl_dtype dtype; /* f32, f64, an integer or bool */
    bool sorted;          /* slices rise; else in the order of their first places */
    int64_t outer, n, inner, found;
};

bool rdl__k_unique_takes(enum rdl_dtype dtype);
/** Bytes of scratch; false on overflow. */
bool rdl__k_unique_scratch(const struct rdl__k_unique *params, size_t *bytes);
/** Number of different slices; all NaN are one. scratch: rdl__k_unique_scratch. */
int64_t rdl__k_unique_count(const struct rdl__k_unique *params, const void *x, void *scratch);
/** @return RDL_ERR_RUNTIME: another number than found. Source: ONNX Unique@11. */
enum rdl_status rdl__k_unique(const struct rdl__kernel_call *call);

#endif
