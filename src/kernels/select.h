/*
 * Kernels that choose elements by their value: NonZero, Compress, TopK; and OneHot, Trilu,
 * ReverseSequence.
 *
 * Where the number of outputs depends on the data, the plan knows it; a kernel that finds another
 * number returns RDL_ERR_RUNTIME.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_SELECT_H
#define RDL_KERNELS_SELECT_H

#include "device/kernel.h"
#include "tensor/shape.h"

/** Number of elements of n that are not zero: any dtype but STRING. */
int64_t rdl__k_count_nonzero(enum rdl_dtype dtype, const void *x, int64_t n);

/** Parameters of the two kernels below. A tile is a part of x. */
struct rdl__k_nonzero {
    enum rdl_dtype dtype;
    struct rdl__shape shape;
    int64_t found;
    int64_t count, tile_elems, parts; /* set by the plan function */
};
size_t rdl__k_nonzero_plan(struct rdl__k_nonzero *params);
/** Bindings: x, counts (i64) [parts] (out). How many elements of each part are not zero. */
enum rdl_status rdl__k_nonzero_count(const struct rdl__kernel_call *call);
/** Bindings: x, counts, out [rank, found] (i64). The places of what is not zero, in C order.
 * Source: ONNX NonZero@9. */
enum rdl_status rdl__k_nonzero(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_compress. Bindings: x [outer, axis, inner], condition (bool) [n], out [outer,
 * found, inner]. A tile an outer index. */
struct rdl__k_compress {
    int32_t elem_bytes;
    int64_t outer, axis, inner, n, found; /* n <= axis */
};
/** The slices whose condition holds. Source: ONNX Compress@9. */
enum rdl_status rdl__k_compress(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_topk. Bindings: x [outer, axis, inner], values, indices (i64) [outer, k,
 * inner]; either NULL. Scratch: rdl__k_topk_scratch. */
struct rdl__k_topk {
    enum rdl_dtype dtype; /* f32, f64 or an integer */
    bool smallest;
    int64_t outer, axis, inner, k; /* 1 <= k <= axis */
    int64_t tile_lines;
};
bool rdl__k_topk_takes(enum rdl_dtype dtype);
size_t rdl__k_topk_plan(struct rdl__k_topk *params);
/** Bytes of scratch of a tile range; false on overflow. */
bool rdl__k_topk_scratch(const struct rdl__k_topk *params, size_t *bytes);
/** The k largest (smallest) of each line in order; of equal ones the lower index first; NaN counts as
 * the largest. Source: ONNX TopK@1..11. */
enum rdl_status rdl__k_topk(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_one_hot. Bindings: indices (i64) [outer, inner], values [2] (off, on), out
 * [outer, depth, inner]. A tile an outer index, or some. */
struct rdl__k_one_hot {
    int32_t elem_bytes;
    int64_t outer, depth, inner, tile_outer;
};
size_t rdl__k_one_hot_plan(struct rdl__k_one_hot *params);
/** `on` where the index says, `off` elsewhere; an index outside [-depth, depth) says nothing.
 * Source: ONNX OneHot@9. */
enum rdl_status rdl__k_one_hot(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_trilu. Bindings: x, k (i64 scalar, NULL: 0), out; both [matrices, rows,
 * cols]. */
struct rdl__k_trilu {
    int32_t elem_bytes;
    bool upper;
    int64_t matrices, rows, cols, tile_rows;
};
size_t rdl__k_trilu_plan(struct rdl__k_trilu *params);
/** The triangle on and above (upper) or below diagonal k; zero elsewhere. Source: ONNX Trilu@14. */
enum rdl_status rdl__k_trilu(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_reverse. Bindings: x, lengths (i64) [batch], out. A tile an index of the
 * first dimension. */
struct rdl__k_reverse {
    int32_t elem_bytes;
    bool time_first; /* [time, batch, inner], else [batch, time, inner] */
    int64_t time, batch, inner;
};
/** Each sequence backwards as far as its length. @return RDL_ERR_RUNTIME: a length outside [0, time].
 * Source: ONNX ReverseSequence@10. */
enum rdl_status rdl__k_reverse(const struct rdl__kernel_call *call);

#endif
