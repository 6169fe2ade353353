/*
 * The kernel interface: what a device runs.
 *
 * A kernel is a plain function of (parameter blob, binding table, tile range, scratch). It allocates
 * nothing, takes no lock, knows no thread, keeps no state, and touches only the memory that its
 * bindings and its scratch name. The same arguments give the same bits on every thread and for every
 * split of the tiles: a tile range chooses which outputs are written, never how one is summed.
 */
#ifndef RDL_DEVICE_KERNEL_H
#define RDL_DEVICE_KERNEL_H

#include "raddle/status.h"

/** Most bindings of one kernel call. */
#define RDL__MAX_BINDINGS 16

/** Arguments of one kernel call. */
struct rdl__kernel_call {
    const void *params; /* blob made when the plan was made; read-only */
    void *const *bind;  /* binding table [n]: addresses of inputs, weights and outputs, in the
                            order that the kernel states; NULL for an absent optional input */
    size_t tile_begin;  /* first tile to run */
    size_t tile_end;    /* one past the last */
    void *scratch;      /* scratch_bytes of the step, 64-byte aligned, uninitialised; a tile range's
                            own (ranges that run side by side have one each) */
};

/**
 * Runs tiles [tile_begin, tile_end).
 * @return RDL_OK, or RDL_ERR_RUNTIME if the data make the operator fail (an index out of range):
 *         the run reports it with the node's name; a kernel has no message of its own.
 * Cost: a tile takes at most about a millisecond, so that cancel and deadline are seen in time.
 */
typedef enum rdl_status (*rdl__kernel_fn)(const struct rdl__kernel_call *call);

#endif
