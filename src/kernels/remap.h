/*
 * Copying along tables: each dimension of the output says, index by index, which index of the source it
 * shows, or that it shows none. Pad, Tile and nearest Resize are such tables; the kernel knows only
 * the size of an element.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_REMAP_H
#define RDL_KERNELS_REMAP_H

#include "device/kernel.h"
#include "tensor/shape.h"

/** A run of the last dimension: `length` elements of the source from `start` on, each `step` after
 * the one before; or the fill if start is RDL__K_REMAP_FILL. */
struct rdl__k_remap_piece {
    int64_t length, start, step;
};

/** In a table, and as a piece's start: the fill is shown. */
#define RDL__K_REMAP_FILL (-1)

/** How the last dimension is described. */
enum rdl__k_remap_rows {
    RDL__K_REMAP_PIECES, /* by pieces, from data[last_at] on */
    RDL__K_REMAP_TABLE,  /* by a table of source elements at data[last_at] */
    RDL__K_REMAP_REPEAT  /* element i shows source element i / repeat */
};

/**
 * Parameters of rdl__k_remap; tables and pieces follow in `data`. Bindings: source, out, fill (one
 * element, NULL: the bytes in `fill`).
 */
struct rdl__k_remap {
    int32_t elem_bytes; /* 1, 2, 4 or 8 */
    int32_t rank;       /* >= 1 */
    enum rdl__k_remap_rows rows;
    int32_t repeat;
    int64_t dims[RDL_MAX_RANK];     /* of the output, which is in C order */
    int64_t stride[RDL_MAX_RANK];   /* source elements a step of a dimension without a table */
    int64_t table_at[RDL_MAX_RANK]; /* data[table_at[d]...]: source elements; -1: no table */
    int64_t last_at, n_pieces;
    int64_t count, tile_elems;
    unsigned char fill[8];
    int64_t data[];
};

/** Sets count and tiles; returns the number of tiles. */
size_t rdl__k_remap_plan(struct rdl__k_remap *params);

/** Copies. Source: ONNX Pad@2..25, Tile@6, Resize@10..19 (nearest), CenterCropPad@18. */
enum rdl_status rdl__k_remap(const struct rdl__kernel_call *call);

#endif
