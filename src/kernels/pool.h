/*
 * Pooling: the largest, the mean or the norm of what a window sees, and its way back (MaxUnpool).
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_POOL_H
#define RDL_KERNELS_POOL_H

#include "kernels/conv.h"

enum rdl__k_pool_kind { RDL__K_POOL_MAX, RDL__K_POOL_AVERAGE, RDL__K_POOL_LP };

/**
 * Parameters of rdl__k_pool_*. Bindings: x [planes, in...], y [planes, out...], and for MAX the
 * indices (i64, NULL if nobody asks): the place of the largest element in the whole of x.
 *
 * MAX begins at the smallest value and passes NaN over; places outside the image do not take part.
 * AVERAGE divides by the number of places inside the image, or with count_include_pad by those
 * inside the padded image. LP is the p-th root of the sum of |x| to the power p, inside the image.
 */
struct rdl__k_pool {
    enum rdl__k_pool_kind kind;
    enum rdl_dtype dtype; /* f32, f64; MAX also i8, u8 */
    struct rdl__k_window window;
    int64_t pad_end[3];
    int64_t planes;
    bool count_include_pad;
    bool column_major; /* indices count the image's columns first */
    int32_t n_spatial; /* for column_major */
    int64_t p;         /* LP */
    /* Set by the plan functions. */
    int64_t tile_planes;
    struct rdl__k_strips strips;
};
size_t rdl__k_pool_ref_plan(struct rdl__k_pool *p);
/** Source: ONNX MaxPool@1..22, AveragePool@7..22, LpPool@2..22. */
enum rdl_status rdl__k_pool_ref(const struct rdl__kernel_call *call);

/** Whether the f32 kernels take it: MAX in at most two dimensions, without indices. */
bool rdl__k_pool_f32_takes(const struct rdl__k_pool *p);
/** As rdl__k_conv_plan. */
size_t rdl__k_pool_f32_plan(struct rdl__k_pool *p, size_t *scratch_bytes);
enum rdl_status rdl__k_pool_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_pool_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_pool_f32_avx512(const struct rdl__kernel_call *call);

/**
 * Parameters of rdl__k_unpool: every element of x goes to the place that its index names, the last one
 * where several name the same; all other elements of y are zero. Indices count through an image of
 * `dims`, which lies at the beginning of y's dimensions; what lies outside y is left out.
 * Bindings: x [count], indices i64 [count], y [out...].
 */
struct rdl__k_unpool {
    int32_t elem_bytes; /* 1, 2, 4 or 8 */
    int64_t count;
    struct rdl__shape dims, out; /* of the same rank */
    int64_t tile_elems;          /* set by the plan: elements of y */
};
size_t rdl__k_unpool_plan(struct rdl__k_unpool *p);
/** @return RDL_ERR_RUNTIME if an index is outside dims. Source: ONNX MaxUnpool@9..22. */
enum rdl_status rdl__k_unpool(const struct rdl__kernel_call *call);

#endif
