/*
 * Shapes of matrix products by the rules of MatMul, which products of several families follow.
 */
#ifndef RDL_OPS_MATMUL_H
#define RDL_OPS_MATMUL_H

#include "ops/common.h"

/** Gives output 0 a dtype and the shape of input 0 times input `second`. @return RDL_ERR_SHAPE */
enum rdl_status rdl__matmul_out(const struct rdl__infer *infer, uint32_t second,
                                enum rdl_dtype dtype);

/** One product of a batch, and the batch; strides in elements of matrices in C order. */
struct rdl__matmul_dims {
    int64_t m, n, k;
    struct rdl__k_gemm_batch batch;
};
/** Of shapes that rdl__matmul_out has passed. */
struct rdl__matmul_dims rdl__matmul_dims(const struct rdl__shape *a, const struct rdl__shape *b);

#endif
