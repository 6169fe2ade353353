/*
 * Kernels that fold a tensor along any set of its dimensions, that find the place of its largest
 * element, or that sum or multiply along one.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_REDUCE_H
#define RDL_KERNELS_REDUCE_H

#include "device/kernel.h"
#include "tensor/shape.h"

/* X(NAME): foldings that the f32 kernels have. MAX and MIN give NaN if an element is one. DEVIATION is
 * the square root of the mean of squares, and 1e-9 on top: a divisor that is not zero. */
#define RDL__K_REDUCE_F32_LIST(X)                                                                  \
    X(SUM) X(MEAN) X(L1) X(L2) X(SUM_SQUARE) X(MAX) X(MIN) X(PROD) X(DEVIATION)
/* X(NAME): all. LOG_SUM_EXP subtracts the largest element first. Integers wrap; their means, roots and
 * logarithms are cut towards zero. */
#define RDL__K_REDUCE_LIST(X) RDL__K_REDUCE_F32_LIST(X) X(LOG_SUM) X(LOG_SUM_EXP)

enum rdl__k_reduce_op {
#define RDL__K_REDUCE_ENUM(name) RDL__K_REDUCE_##name,
    RDL__K_REDUCE_LIST(RDL__K_REDUCE_ENUM)
#undef RDL__K_REDUCE_ENUM
};

/**
 * Parameters of rdl__k_reduce_*. Bindings: x, y (C order of the kept dimensions).
 *
 * Neighbouring dimensions that are both kept or both folded are one here. Which they are is said by the
 * axes alone, and never by a dimension's size, so that the order of a sum depends on the folded
 * dimensions and on nothing else.
 */
struct rdl__k_reduce {
    enum rdl__k_reduce_op op;
    enum rdl_dtype dtype;
    bool rows;                /* the last dimension is folded, else it is kept */
    int32_t n_kept, n_folded; /* each at least 1 */
    int64_t kept[RDL_MAX_RANK], kept_stride[RDL_MAX_RANK]; /* from the outermost on */
    int64_t folded[RDL_MAX_RANK], folded_stride[RDL_MAX_RANK];
    int64_t count; /* elements of y */
    int64_t size;  /* elements of x that make one of y */
    int64_t tile_elems;
};
/** Fills all but op and dtype; y must have elements. Returns the number of tiles. */
size_t rdl__k_reduce_plan(struct rdl__k_reduce *p, const struct rdl__shape *x,
                          const bool fold[RDL_MAX_RANK]);
/** Whether the reference kernel takes this folding at this dtype: f32, f64, integers; bool for MAX and
 * MIN. */
bool rdl__k_reduce_takes(enum rdl__k_reduce_op op, enum rdl_dtype dtype);
/** Whether the f32 kernels of the instruction sets have this folding. */
bool rdl__k_reduce_f32_has(enum rdl__k_reduce_op op);
/** Floats in double. Source: ONNX ReduceSum@1..13, ReduceMean@1..18 and their kin. */
enum rdl_status rdl__k_reduce_ref(const struct rdl__kernel_call *call);
/** f32. Sums are made of parts, so that their error grows with a part's length and the number of
 * parts, not with their product. */
enum rdl_status rdl__k_reduce_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_reduce_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_reduce_f32_avx512(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_arg. Bindings: x [outer, size, inner], y: i64 [outer, inner]; with `hard` y is
 * like x, 1 at the place and 0 elsewhere. */
struct rdl__k_arg {
    enum rdl_dtype dtype; /* f32, f64 or an integer; hard: f32, f64 */
    bool least;           /* the smallest element, else the largest */
    bool last;            /* the last of equal ones, else the first */
    bool hard;
    int64_t outer, size, inner; /* size >= 1 */
    int64_t tile_elems;         /* of [outer, inner] */
};
size_t rdl__k_arg_plan(struct rdl__k_arg *p);
bool rdl__k_arg_takes(enum rdl_dtype dtype);
/** Columns are gone through side by side, row after row. Passes NaN over, unless the first element is one. Source: ONNX ArgMax@1..13, ArgMin, Hardmax. */
enum rdl_status rdl__k_arg(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_cumsum. Bindings: x, y [outer, size, inner]; y may lie on x. */
struct rdl__k_cumsum {
    enum rdl_dtype dtype; /* f32, f64, i32, i64, u32, u64 */
    bool product;         /* multiplies, else adds */
    bool exclusive, reverse;
    int64_t outer, size, inner;
    int64_t blocks; /* of the inner elements, one a tile; set by the plan function */
};
size_t rdl__k_cumsum_plan(struct rdl__k_cumsum *p);
bool rdl__k_cumsum_takes(enum rdl_dtype dtype);
/** Floats are summed in double; integers wrap. Source: ONNX CumSum@11..14, CumProd@26. */
enum rdl_status rdl__k_cumsum(const struct rdl__kernel_call *call);

#endif
