/*
 * Kernels that move elements and compute nothing; they know only the size of an element.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_MOVE_H
#define RDL_KERNELS_MOVE_H

#include "device/kernel.h"
#include "kernels/walk.h"

#include <stdbool.h>

/** Parameters of rdl__k_move. Bindings: source, destination; the walk's operands in this order. */
struct rdl__k_move {
    int32_t elem_bytes; /* 1, 2, 4 or 8 */
    struct rdl__k_walk walk;
    int64_t src_offset, dst_offset; /* elements */
    int64_t count;
    int64_t tile_elems;
    /* Set by the plan function: the last dimension of the walk runs through the destination and the
     * one before it through the source, and both are cut into blocks; a tile has tile_elems blocks. */
    bool transposed;
    int64_t blocks[2];
};
/** Merges the walk and sets count and tiles; returns the number of tiles. */
size_t rdl__k_move_plan(struct rdl__k_move *params);
/** Copies every element of the walk: Transpose, Slice, Concat, Expand are strides. */
enum rdl_status rdl__k_move(const struct rdl__kernel_call *call);

/** Copies n elements from s on, ss apart, to d on, sd apart (in elements; ss 0 repeats one). */
void rdl__k_move_run(int32_t elem_bytes, const void *s, int64_t ss, void *d, int64_t sd, int64_t n);

/** Parameters of rdl__k_fill. Binding: out. */
struct rdl__k_fill {
    int32_t elem_bytes;                 /* 1, 2, 4 or 8 */
    _Alignas(8) unsigned char value[8]; /* read as one element */
    int64_t count, tile_elems;
};
/** Sets count and tiles; returns the number of tiles. */
size_t rdl__k_fill_plan(struct rdl__k_fill *params, int64_t count);
/** Writes one value everywhere. Source: ONNX ConstantOfShape@9. */
enum rdl_status rdl__k_fill(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_gather. Bindings: data [outer, axis, inner], indices [count], out [outer,
 * count, inner]. */
struct rdl__k_gather {
    int32_t elem_bytes;
    bool wide; /* indices are i64, else i32 */
    bool
        has_default; /* the last of the axis stands for all indices outside [first, first + axis - 1) */
    int64_t first; /* with has_default: the index of the first of the axis */
    int64_t outer, axis, inner, count;
    int64_t tile_rows; /* rows of out, [outer * count], a tile */
};
/** Sets the tiles; returns their number. */
size_t rdl__k_gather_plan(struct rdl__k_gather *params);
/** @return RDL_ERR_RUNTIME if an index is outside [-axis, axis) and there is no default. */
enum rdl_status rdl__k_gather(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_store; the bytes follow the struct in the blob. Binding: out. */
struct rdl__k_store {
    size_t size_bytes;
    unsigned char bytes[];
};
/** Writes bytes that were known when the plan was made (Shape, Constant). One tile. */
enum rdl_status rdl__k_store(const struct rdl__kernel_call *call);

#endif
