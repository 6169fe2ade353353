/*
 * A segment: kernel calls that run on one device, one after the other, without a stop.
 *
 * A segment holds no addresses of memory that a run brings: a binding is a base and an offset, and a
 * run supplies the table of bases (its arena, the weights, inputs, outputs). So one segment serves any
 * number of runs at the same time. It is read-only once made.
 */
#ifndef RDL_DEVICE_SEGMENT_H
#define RDL_DEVICE_SEGMENT_H

#include "device/kernel.h"
#include "os/atomic.h"

#include <stdbool.h>

/** Indices into a run's table of bases. Inputs follow at RDL__BASE_FIRST_PORT, outputs behind them. */
enum rdl__base {
    RDL__BASE_NONE = 0,  /* absent: the kernel sees NULL */
    RDL__BASE_ARENA,     /* the lane's arena */
    RDL__BASE_WEIGHTS,   /* the program's constants and packed weights */
    RDL__BASE_CONSTANTS, /* the plan's folded constants */
    RDL__BASE_FIRST_PORT
};

/** Where one binding lies. */
struct rdl__binding {
    uint32_t base;       /* index into the table of bases */
    bool written;        /* whether the kernel writes it */
    size_t offset_bytes; /* from the base */
    size_t size_bytes;   /* extent that the kernel may touch; for checking devices */
};

/** One kernel call. */
struct rdl__step {
    rdl__kernel_fn fn;
    const void *params;
    size_t tiles;
    uint32_t n_bind;
    uint32_t first_bind; /* index into the segment's bindings */
    uint32_t node;       /* index of the node, for messages */
};

struct rdl__segment {
    const struct rdl__step *steps;
    const struct rdl__binding *bindings;
    uint32_t n_steps;
    size_t scratch_offset_bytes; /* in the arena */
    size_t scratch_bytes;        /* of one tile range; 0: none */
};

/** Bytes of all extents that a step binds. */
static inline size_t rdl__step_bytes(const struct rdl__segment *segment, uint32_t index)
{
    const struct rdl__step *step = &segment->steps[index];
    size_t bytes = 0;
    for (uint32_t b = 0; b < step->n_bind; b++)
        bytes += segment->bindings[step->first_bind + b].size_bytes;
    return bytes;
}

/**
 * The state of one submitted chain of work: what stopped it, and the request to stop. Shared between
 * the caller and whoever runs the work.
 *
 * stop: written by the caller, or by who closes the device, read by the device between tiles (relaxed:
 * it carries no data). cancelled: flags of cancel tokens, set before the submit, that stay until the work
 * has run; read likewise.
 * failed: written once by the device by compare-and-swap from 0 (first failure wins); read by the
 * caller after the work has completed, which orders it.
 */
struct rdl__progress {
    _Atomic uint32_t stop;            /* an enum rdl_status to end with; 0: go on */
    const _Atomic bool *cancelled[2]; /* NULL: none */
    _Atomic uint64_t failed;          /* status << 32 | node index of the first failure; 0: none */
};

/** What the work is to end with: RDL_OK to go on. */
static inline enum rdl_status rdl__progress_stop(const struct rdl__progress *progress)
{
    const uint32_t stop = rdl__load_relaxed(&progress->stop); /* carries no data */
    if (stop != 0)
        return (enum rdl_status)stop;
    for (int i = 0; i < 2; i++)
        if (progress->cancelled[i] != NULL && rdl__load_relaxed(progress->cancelled[i]))
            return RDL_ERR_CANCELLED;
    return RDL_OK;
}

/** Records a failure; the first one stays. */
static inline void rdl__progress_fail(struct rdl__progress *progress, enum rdl_status status,
                                      uint32_t node)
{
    uint64_t none = 0;
    (void)rdl__cas_acq_rel(&progress->failed, &none, (uint64_t)status << 32 | node);
}

#endif
