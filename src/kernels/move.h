/*
 * Kernels that move elements and compute nothing; they know only the size of an element.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_MOVE_H
#define RDL_KERNELS_MOVE_H

#include "device/kernel.h"
#include "kernels/walk.h"

/** Parameters of rdl__k_move. Bindings: source, destination; the walk's operands in this order. */
struct rdl__k_move {
    int32_t elem_bytes; /* 1, 2, 4 or 8 */
    struct rdl__k_walk walk;
    int64_t src_offset, dst_offset; /* elements */
    int64_t count;
    int64_t tile_elems;
};
/** Merges the walk and sets count and tiles; returns the number of tiles. */
size_t rdl__k_move_plan(struct rdl__k_move *params);
/** Copies every element of the walk: Transpose, Slice, Concat, Expand are strides. */
enum rdl_status rdl__k_move(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_gather. Bindings: data [outer, axis, inner], indices [count], out [outer,
 * count, inner]. */
struct rdl__k_gather {
    int32_t elem_bytes;
    bool wide; /* indices are i64, else i32 */
    int64_t outer, axis, inner, count;
};
/** A tile an outer index. @return RDL_ERR_RUNTIME if an index is outside [-axis, axis). */
enum rdl_status rdl__k_gather(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_store; the bytes follow the struct in the blob. Binding: out. */
struct rdl__k_store {
    size_t size_bytes;
    unsigned char bytes[];
};
/** Writes bytes that were known when the plan was made (Shape, Constant). One tile. */
enum rdl_status rdl__k_store(const struct rdl__kernel_call *call);

#endif
