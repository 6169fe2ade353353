/*
 * Reference matrix product: every dtype, any strides, nothing packed.
 */
#ifndef RDL_KERNELS_MATMUL_H
#define RDL_KERNELS_MATMUL_H

#include "kernels/gemm.h"
#include "tensor/shape.h"

/** Parameters of rdl__k_matmul_ref. Bindings: A, B, bias or NULL, C [batch, m, n]. C = alpha A B +
 * beta bias; for integers alpha and beta are whole numbers. Strides are in elements. */
struct rdl__k_matmul {
    enum rdl_dtype dtype; /* f32, f64, i32, i64, u32, u64 */
    int64_t m, n, k;
    int64_t a_row, a_col, b_row, b_col;
    int64_t bias_row, bias_col;
    float alpha, beta;
    struct rdl__k_gemm_batch batch;
};
/** Tiles are rows of C, of all matrices. */
size_t rdl__k_matmul_ref_tiles(const struct rdl__k_matmul *params);
bool rdl__k_matmul_takes(enum rdl_dtype dtype);
/** Source: ONNX Gemm@7..13, MatMul@1..13. */
enum rdl_status rdl__k_matmul_ref(const struct rdl__kernel_call *call);

#endif
