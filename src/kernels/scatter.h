/*
 * Kernels that read or write where indices say: GatherElements, GatherND, ScatterElements, ScatterND,
 * TensorScatter.
 *
 * An index out of range makes the kernel return RDL_ERR_RUNTIME before it touches what it names.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_SCATTER_H
#define RDL_KERNELS_SCATTER_H

#include "device/kernel.h"
#include "tensor/shape.h"

/** Index i of a tensor of i64 (wide) or i32. */
static inline int64_t rdl__k_index(const void *indices, bool wide, int64_t i)
{
    return wide ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
}

/** How an update joins what is there. */
enum rdl__k_scatter_how {
    RDL__K_SCATTER_SET,
    RDL__K_SCATTER_ADD,
    RDL__K_SCATTER_MUL,
    RDL__K_SCATTER_MAX,
    RDL__K_SCATTER_MIN
};

/** Whether the scatter kernels take this dtype: SET moves any, the others compute with f32, f64 and
 * integers. */
bool rdl__k_scatter_takes(enum rdl__k_scatter_how how, enum rdl_dtype dtype);

/** Parameters of the kernels that address one element by one index along an axis. */
struct rdl__k_elements {
    enum rdl_dtype dtype;
    bool wide;
    enum rdl__k_scatter_how how;  /* of scatter alone */
    int32_t rank, axis;           /* >= 1 */
    int64_t dims[RDL_MAX_RANK];   /* of the indices */
    int64_t stride[RDL_MAX_RANK]; /* of the data, in elements */
    int64_t axis_dim;             /* of the data */
    int32_t split; /* scatter: tiles are ranges of this dimension, never the axis; -1: one tile */
    int64_t count, tile_elems; /* gather: elements; scatter: coordinates of split a tile */
};

/** Returns the number of tiles. */
size_t rdl__k_gather_elements_plan(struct rdl__k_elements *params);
size_t rdl__k_scatter_elements_plan(struct rdl__k_elements *params);

/** Bindings: data, indices, out. Source: ONNX GatherElements@11. */
enum rdl_status rdl__k_gather_elements(const struct rdl__kernel_call *call);
/** Bindings: indices, updates, out (holding the data). Updates of one place are taken in the order of
 * the indices. Source: ONNX ScatterElements@11..18, Scatter@9. */
enum rdl_status rdl__k_scatter_elements(const struct rdl__kernel_call *call);

/** Parameters of the kernels that address a slice by a tuple of indices. */
struct rdl__k_slices {
    enum rdl_dtype dtype;
    enum rdl__k_scatter_how how;
    int32_t depth;                                    /* indices of a tuple; always i64 */
    int64_t dims[RDL_MAX_RANK], stride[RDL_MAX_RANK]; /* [depth] of the data, within a batch */
    int64_t batches, batch_rows, batch_elems;         /* tuples and data elements of a batch */
    int64_t inner;                                    /* elements of a slice */
    int64_t tile_rows, tile_inner; /* gather: rows a tile; scatter: columns a tile */
};

size_t rdl__k_gather_nd_plan(struct rdl__k_slices *params);
size_t rdl__k_scatter_nd_plan(struct rdl__k_slices *params);

/** Bindings: data, indices, out. Source: ONNX GatherND@11..13. */
enum rdl_status rdl__k_gather_nd(const struct rdl__kernel_call *call);
/** Bindings: indices, updates, out (holding the data). Source: ONNX ScatterND@11..18. */
enum rdl_status rdl__k_scatter_nd(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_scatter_rows. Bindings: updates [batch, planes, rows, inner], first row of each
 * batch (i64 [batch]; NULL: 0), out [batch, planes, axis, inner] (holding the data). */
struct rdl__k_scatter_rows {
    int32_t elem_bytes;
    bool circular; /* rows behind the last are the first ones, else an error */
    int64_t batch, planes, rows, axis, inner;
    int64_t tile_rows; /* set by the plan function */
};
size_t rdl__k_scatter_rows_plan(struct rdl__k_scatter_rows *params);
/** Writes rows one after another. @return RDL_ERR_RUNTIME: a row outside the axis.
 * Source: ONNX TensorScatter@24. */
enum rdl_status rdl__k_scatter_rows(const struct rdl__kernel_call *call);

#endif
