/*
 * What Unique is made of: sorting the slices of a tensor along an axis, and grouping the same ones. How
 * many there are is known only when all are grouped, so the operator computes on the host, some slices
 * at a time.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef RDL_KERNELS_UNIQUE_H
#define RDL_KERNELS_UNIQUE_H

#include "raddle/tensor.h"

#include <stdbool.h>

/** Slices along an axis, and their places while they are sorted. Zero `heaped` and `sorted` to begin. */
struct rdl__k_unique {
    enum rdl_dtype dtype; /* f32, f64, an integer or bool */
    const void *x;        /* [outer, n, inner] */
    int64_t outer, n, inner;
    int64_t *order;         /* [n] places; of rising slices once sorted, the same ones by place */
    int64_t heaped, sorted; /* places that have gone through each half of the sort */
};

bool rdl__k_unique_takes(enum rdl_dtype dtype);

/** Goes on with the sort by at most `steps` places; whether it is done. A step compares about
 * 2 log2(n) pairs of slices. */
bool rdl__k_unique_sort(struct rdl__k_unique *u, int64_t steps);

/**
 * Groups what is sorted; all NaN are the same.
 * @param first  [n] receives the first place of each group, which rise by their slices
 * @param group  [n] receives the number of each place's group
 * @return number of groups
 */
int64_t rdl__k_unique_group(const struct rdl__k_unique *u, int64_t *first, int64_t *group);

/** Numbers the groups anew, in the order of their first places. fresh [groups] is overwritten. */
void rdl__k_unique_by_place(const struct rdl__k_unique *u, int64_t *first, int64_t *group,
                            int64_t *fresh);

#endif
