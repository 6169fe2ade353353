/*
 * Sum of products along labelled dimensions, any strides: what no matrix product does.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_EINSUM_H
#define RDL_KERNELS_EINSUM_H

#include "device/kernel.h"
#include "tensor/shape.h"

/** Most dimensions that are summed over: those of two operands. */
#define RDL__K_EINSUM_SUMS (2 * RDL_MAX_RANK)

/**
 * Parameters of rdl__k_einsum. Bindings: A, B or NULL (one operand alone), out (C order of `kept`).
 * out[i...] is the sum over all `summed` of A * B; an operand that lacks a dimension has stride 0.
 */
struct rdl__k_einsum {
    enum rdl_dtype dtype;     /* f32, f64 or an integer */
    int32_t n_kept, n_summed; /* the last of each the fastest */
    int64_t kept[RDL_MAX_RANK], kept_stride[2][RDL_MAX_RANK];
    int64_t summed[RDL__K_EINSUM_SUMS], summed_stride[2][RDL__K_EINSUM_SUMS]; /* in elements */
    int64_t count, tile_elems; /* set by the plan function: elements of out */
};
/** Sets count and tiles; returns the number of tiles. */
size_t rdl__k_einsum_plan(struct rdl__k_einsum *params);
bool rdl__k_einsum_takes(enum rdl_dtype dtype);
/** Floats are summed in double; integers wrap. Source: ONNX Einsum@12. */
enum rdl_status rdl__k_einsum(const struct rdl__kernel_call *call);

#endif
