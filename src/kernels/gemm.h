/*
 * Matrix product with packed weights: C = act(A B + bias), f32.
 *
 * The second operand is packed once into panels of `nr` columns, [ceil(n / nr)][k][nr], the last one
 * padded with zeros; nr belongs to the instruction set. Every element of C is the same chain of
 * operations whatever the shape, the tile range and the place of the element in its tile:
 *
 *     c = bias;  for (i = 0; i < k; i++) c = fma(a[i], b[i], c);  c = act(c);
 *
 * (the portable kernel rounds the product: c = a[i] * b[i] + c). Blocking over k stores the running
 * sum in C and loads it again, which changes no bit. So a row of C does not depend on the rows beside
 * it, and all instruction sets with fused multiply-add give the same bits.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_GEMM_H
#define RDL_KERNELS_GEMM_H

#include "device/kernel.h"
#include "kernels/act.h"
#include "kernels/cpu/template/split.h"
#include "os/cpu.h"

/** Largest number of batch dimensions of a matrix product. */
#define RDL__K_GEMM_BATCH_RANK 6

/** Operands of a batched product: offsets of the matrices, in elements (of packed B: in floats). */
struct rdl__k_gemm_batch {
    int32_t rank;  /* 0: one matrix */
    int64_t count; /* product of dims */
    int64_t dims[RDL__K_GEMM_BATCH_RANK];
    int64_t a_stride[RDL__K_GEMM_BATCH_RANK]; /* 0 where A is broadcast */
    int64_t b_stride[RDL__K_GEMM_BATCH_RANK];
    int64_t c_matrix; /* elements between two matrices of C */
};

/**
 * Parameters of rdl__k_gemm_f32_*. Bindings: A [m, k], packed B, bias or NULL, C [m, n].
 * The bias may be C itself (bias_row_stride = c_row_stride): then the product is added to C.
 */
struct rdl__k_gemm {
    int64_t m, n, k;
    int64_t a_row_stride; /* elements between rows of A; within a row elements are adjacent */
    int64_t c_row_stride;
    int64_t bias_row_stride; /* 0: one row [n] for all rows of C */
    struct rdl__k_gemm_batch batch;
    struct rdl__k_act act;
    int64_t tile_rows, tile_panels; /* set by rdl__k_gemm_plan */
    int64_t row_tiles, panel_tiles; /* set by rdl__k_gemm_plan */
    int64_t one_vectors;            /* set by rdl__k_gemm_plan: if all is one block, its vectors */
    struct gemm_block one;          /* and that block */
};

/** Register blocks of an instruction set; its vector.h has the same numbers. */
struct rdl__k_gemm_blocks {
    int64_t cols; /* of a panel */
    int64_t most; /* rows of a block */
};
struct rdl__k_gemm_blocks rdl__k_gemm_blocks(enum rdl__isa isa);

/** Floats of a packed [k, n] matrix; false if that overflows. */
bool rdl__k_gemm_packed_count(enum rdl__isa isa, int64_t k, int64_t n, size_t *count);

/**
 * Packs alpha * B. B's element (i, j) is b[i * row_stride + j * col_stride].
 * @param dst  rdl__k_gemm_packed_count floats, written whole
 */
void rdl__k_gemm_pack(enum rdl__isa isa, float *dst, const float *b, int64_t k, int64_t n,
                      int64_t row_stride, int64_t col_stride, float alpha);

/** Parameters of rdl__k_gemm_pack_f32: rdl__k_gemm_pack at run time, for a B that is no constant.
 * Bindings: B, packed. Tiles: matrices times panels, rdl__k_gemm_pack_tiles. */
struct rdl__k_gemm_pack_params {
    int64_t k, n, row_stride, col_stride;
    int64_t matrices;      /* packed one after another */
    int64_t matrix_stride; /* elements between two matrices of B */
    int64_t panel_cols;
    float alpha;
};
size_t rdl__k_gemm_pack_tiles(const struct rdl__k_gemm_pack_params *params);
enum rdl_status rdl__k_gemm_pack_f32(const struct rdl__kernel_call *call);

/** Chooses the tiles (by shape alone) and returns their number. */
size_t rdl__k_gemm_plan(enum rdl__isa isa, struct rdl__k_gemm *params);

/** The products. Source: ONNX Gemm@7..13, MatMul@1..13. */
enum rdl_status rdl__k_gemm_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_gemm_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_gemm_f32_avx512(const struct rdl__kernel_call *call);

#endif
