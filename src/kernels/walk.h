/*
 * Walking over tensors of different strides in one order.
 *
 * A walk is a space of dims, the last the fastest, and each operand's strides through it. Kernels go
 * through it in runs along the last dimension; a tile is a range of its elements.
 */
#ifndef RDL_KERNELS_WALK_H
#define RDL_KERNELS_WALK_H

#include "device/kernel.h"
#include "tensor/shape.h"

/** Most operands of a walk. */
#define RDL__K_WALK_OPERANDS 3

struct rdl__k_walk {
    int32_t rank; /* >= 1 once merged */
    int64_t dims[RDL_MAX_RANK];
    int64_t stride[RDL__K_WALK_OPERANDS][RDL_MAX_RANK]; /* in elements; negative allowed */
};

/** Drops dimensions of 1 and joins neighbours through which every operand runs without a step, so
 * that runs are long. */
void rdl__k_walk_merge(struct rdl__k_walk *walk);

/** Gives operand `operand` the strides with which a C-order tensor of `shape` is broadcast through the
 * walk's dims (numpy rules: aligned at the last dimension, 0 where it has 1). */
void rdl__k_walk_broadcast(struct rdl__k_walk *walk, int operand, const struct rdl__shape *shape);

/**
 * Makes the walk of operands in [n] that broadcast to out, merged, with *count elements in tiles of
 * *tile_elems. Returns the number of tiles.
 */
size_t rdl__k_walk_plan(struct rdl__k_walk *walk, const struct rdl__shape *const *in, int n,
                        const struct rdl__shape *out, int64_t *count, int64_t *tile_elems);

/** A run of a walk: elements along its last dimension. */
struct rdl__k_run {
    int64_t at;                           /* number of the first among all elements of the walk */
    int64_t n;                            /* elements; 0 behind the last run */
    int64_t offset[RDL__K_WALK_OPERANDS]; /* of the first, from each operand's first element */
    int64_t end;                          /* one past the last element to be gone through */
    int64_t place;               /* of the first along the last dimension; 0 but at first */
    int64_t index[RDL_MAX_RANK]; /* of the run, along the dimensions but the last */
};

/** Gives a run its length. */
static inline void rdl__k_run_measure(const struct rdl__k_walk *walk, struct rdl__k_run *run)
{
    const int64_t inner = walk->dims[walk->rank - 1] - run->place, left = run->end - run->at;
    run->n = inner < left ? inner : left;
}

/** The first run of a call's tiles, of tile_elems elements each, in a walk of count elements. */
static inline struct rdl__k_run rdl__k_run_first(const struct rdl__k_walk *walk,
                                                 const struct rdl__kernel_call *call,
                                                 int64_t tile_elems, int64_t count)
{
    const int64_t begin = (int64_t)call->tile_begin * tile_elems;
    const int64_t end = (int64_t)call->tile_end * tile_elems;
    struct rdl__k_run run = {.at = begin, .end = end < count ? end : count};
    if (run.at >= run.end)
        return run;
    const int32_t last = walk->rank - 1;
    run.place = run.at % walk->dims[last];
    int64_t left = run.at / walk->dims[last];
    for (int32_t i = last; i-- > 0;) {
        run.index[i] = left % walk->dims[i];
        left /= walk->dims[i];
        for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
            run.offset[o] += run.index[i] * walk->stride[o][i];
    }
    for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
        run.offset[o] += run.place * walk->stride[o][last];
    rdl__k_run_measure(walk, &run);
    return run;
}

/** Goes on to the next run, which begins a row of the last dimension. */
static inline void rdl__k_run_next(const struct rdl__k_walk *walk, struct rdl__k_run *run)
{
    const int32_t last = walk->rank - 1;
    run->at += run->n;
    for (int o = 0; o < RDL__K_WALK_OPERANDS && run->place != 0; o++)
        run->offset[o] -= run->place * walk->stride[o][last];
    run->place = 0;
    for (int32_t i = last; i-- > 0;) {
        for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
            run->offset[o] += walk->stride[o][i];
        if (++run->index[i] < walk->dims[i])
            break;
        for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
            run->offset[o] -= walk->dims[i] * walk->stride[o][i];
        run->index[i] = 0;
    }
    rdl__k_run_measure(walk, run);
}

#endif
