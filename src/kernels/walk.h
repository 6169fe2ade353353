/*
 * Walking over tensors of different strides in one order.
 *
 * A walk is a space of dims, the last the fastest, and each operand's strides through it. Kernels go
 * through it in runs along the last dimension; a tile is a range of its elements.
 */
#ifndef RDL_KERNELS_WALK_H
#define RDL_KERNELS_WALK_H

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

/** Where a walk stands. */
struct rdl__k_walk_at {
    int64_t index[RDL_MAX_RANK];
    int64_t offset[RDL__K_WALK_OPERANDS]; /* elements from each operand's first */
};

/** Stands at the run that element `element` lies in; returns the element's place in that run. */
static inline int64_t rdl__k_walk_seek(const struct rdl__k_walk *walk, int64_t element,
                                       struct rdl__k_walk_at *at)
{
    const int64_t inner = walk->dims[walk->rank - 1], place = element % inner;
    int64_t left = element / inner;
    *at = (struct rdl__k_walk_at){0};
    for (int32_t i = walk->rank - 2; i >= 0; i--) {
        at->index[i] = left % walk->dims[i];
        left /= walk->dims[i];
        for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
            at->offset[o] += at->index[i] * walk->stride[o][i];
    }
    return place;
}

/** Goes on to the next run. */
static inline void rdl__k_walk_next(const struct rdl__k_walk *walk, struct rdl__k_walk_at *at)
{
    for (int32_t i = walk->rank - 2; i >= 0; i--) {
        for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
            at->offset[o] += walk->stride[o][i];
        if (++at->index[i] < walk->dims[i])
            return;
        for (int o = 0; o < RDL__K_WALK_OPERANDS; o++)
            at->offset[o] -= walk->dims[i] * walk->stride[o][i];
        at->index[i] = 0;
    }
}

#endif
