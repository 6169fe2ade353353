/*
 * Unique, by sorting the places of the slices. No state; any thread.
 */
#include "kernels/unique.h"

#include "base/size.h"
#include "kernels/cpu/ref/types.h"

#include <string.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* -1, 0 or 1 as element i is before, the same as, or after element j. */
typedef int (*compare_fn)(const void *x, int64_t i, int64_t j);

/* A NaN is after all numbers. */
#define COMPARE_FLOAT(dtype, type)                                                                 \
    static int compare_##dtype(const void *vx, int64_t i, int64_t j)                               \
    {                                                                                              \
        const type a = ((const type *)vx)[i], b = ((const type *)vx)[j];                           \
        const int nan_a = a != a, nan_b = b != b;                                                  \
        return nan_a || nan_b ? nan_a - nan_b : (a > b) - (a < b);                                 \
    }
#define COMPARE_INTEGER(dtype, type, wide)                                                         \
    static int compare_##dtype(const void *vx, int64_t i, int64_t j)                               \
    {                                                                                              \
        const type a = ((const type *)vx)[i], b = ((const type *)vx)[j];                           \
        return (a > b) - (a < b);                                                                  \
    }
REF_FLOATS(COMPARE_FLOAT)
REF_SIGNED(COMPARE_INTEGER)
REF_UNSIGNED(COMPARE_INTEGER)

#define ENTRY_FLOAT(dtype, type) [RDL_##dtype] = compare_##dtype,
#define ENTRY_INTEGER(dtype, type, wide) [RDL_##dtype] = compare_##dtype,
static const compare_fn compares[RDL_BF16 + 1] = {REF_FLOATS(ENTRY_FLOAT) REF_SIGNED(ENTRY_INTEGER)
                                                      REF_UNSIGNED(ENTRY_INTEGER)[RDL_BOOL] =
                                                          compare_U8};

/* NOLINTEND(bugprone-macro-parentheses) */

bool rdl__k_unique_takes(enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && compares[dtype] != NULL;
}

bool rdl__k_unique_scratch(const struct rdl__k_unique *p, size_t *bytes)
{
    return rdl__mul_size((size_t)p->n, 3 * sizeof(int64_t), bytes);
}

/* Slice i against slice j, element by element. */
static int compare_slices(const struct rdl__k_unique *p, const void *x, int64_t i, int64_t j)
{
    const compare_fn compare = compares[p->dtype];
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t e = 0; e < p->inner; e++) {
            const int order =
                compare(x, (o * p->n + i) * p->inner + e, (o * p->n + j) * p->inner + e);
            if (order != 0)
                return order;
        }
    return 0;
}

/* Whether slice i comes after slice j; of the same ones the higher place does. */
static bool after(const struct rdl__k_unique *p, const void *x, int64_t i, int64_t j)
{
    const int order = compare_slices(p, x, i, j);
    return order != 0 ? order > 0 : i > j;
}

static void sift(const struct rdl__k_unique *p, const void *x, int64_t *heap, int64_t n, int64_t at)
{
    const int64_t moving = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && after(p, x, heap[child + 1], heap[child]))
            child++;
        if (!after(p, x, heap[child], moving))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

/* The places of all slices in the order of their values. */
static void sort_places(const struct rdl__k_unique *p, const void *x, int64_t *order)
{
    for (int64_t i = 0; i < p->n; i++)
        order[i] = i;
    for (int64_t i = p->n / 2 - 1; i >= 0; i--)
        sift(p, x, order, p->n, i);
    for (int64_t last = p->n - 1; last > 0; last--) {
        const int64_t most = order[0];
        order[0] = order[last];
        sift(p, x, order, last, 0);
        order[last] = most;
    }
}

/* first [groups]: the first place of each group; group [n]: the group of each slice. Groups rise. */
static int64_t group_slices(const struct rdl__k_unique *p, const void *x, int64_t *order,
                            int64_t *first, int64_t *group)
{
    int64_t groups = 0;
    sort_places(p, x, order);
    for (int64_t i = 0; i < p->n; i++) {
        if (i == 0 || compare_slices(p, x, order[i - 1], order[i]) != 0)
            first[groups++] = order[i];
        group[order[i]] = groups - 1;
    }
    return groups;
}

int64_t rdl__k_unique_count(const struct rdl__k_unique *p, const void *x, void *scratch)
{
    int64_t *order = scratch;
    return group_slices(p, x, order, order + p->n, order + 2 * p->n);
}

/* Numbers the groups anew, in the order of their first places. `fresh` [groups] is overwritten. */
static void number_by_place(const struct rdl__k_unique *p, int64_t *first, int64_t *group,
                            int64_t *fresh)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (first[group[i]] == i)
            fresh[group[i]] = groups++;
    for (int64_t i = 0; i < p->n; i++)
        group[i] = fresh[group[i]];
    for (int64_t i = p->n - 1; i >= 0; i--)
        first[group[i]] = i;
}

enum rdl_status rdl__k_unique(const struct rdl__kernel_call *call)
{
    const struct rdl__k_unique *p = call->params;
    const size_t row = (size_t)p->inner * rdl_dtype_size(p->dtype);
    int64_t *order = call->scratch, *first = order + p->n, *group = order + 2 * p->n;
    int64_t *firsts = call->bind[2], *groups = call->bind[3], *counts = call->bind[4];
    if (group_slices(p, call->bind[0], order, first, group) != p->found)
        return RDL_ERR_RUNTIME;
    if (!p->sorted)
        number_by_place(p, first, group, order);
    for (int64_t o = 0; call->bind[1] != NULL && o < p->outer; o++)
        for (int64_t g = 0; g < p->found; g++)
            memcpy((char *)call->bind[1] + (size_t)(o * p->found + g) * row,
                   (const char *)call->bind[0] + (size_t)(o * p->n + first[g]) * row, row);
    if (firsts != NULL)
        memcpy(firsts, first, (size_t)p->found * sizeof *firsts);
    if (groups != NULL)
        memcpy(groups, group, (size_t)p->n * sizeof *groups);
    for (int64_t g = 0; counts != NULL && g < p->found; g++)
        counts[g] = 0;
    for (int64_t i = 0; counts != NULL && i < p->n; i++)
        counts[group[i]]++;
    return RDL_OK;
}
