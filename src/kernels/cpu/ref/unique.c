/*
 * Unique, by sorting the places of the slices. No state; any thread.
 */
#include "kernels/unique.h"

#include "kernels/cpu/ref/types.h"

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

/* Slice i against slice j, element by element. */
static int compare_slices(const struct rdl__k_unique *u, int64_t i, int64_t j)
{
    const compare_fn compare = compares[u->dtype];
    for (int64_t o = 0; o < u->outer; o++)
        for (int64_t e = 0; e < u->inner; e++) {
            const int order =
                compare(u->x, (o * u->n + i) * u->inner + e, (o * u->n + j) * u->inner + e);
            if (order != 0)
                return order;
        }
    return 0;
}

/* Whether slice i comes after slice j; of the same ones the higher place does. */
static bool after(const struct rdl__k_unique *u, int64_t i, int64_t j)
{
    const int order = compare_slices(u, i, j);
    return order != 0 ? order > 0 : i > j;
}

static void sift(const struct rdl__k_unique *u, int64_t *heap, int64_t n, int64_t at)
{
    const int64_t moving = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && after(u, heap[child + 1], heap[child]))
            child++;
        if (!after(u, heap[child], moving))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

bool rdl__k_unique_sort(struct rdl__k_unique *u, int64_t steps)
{
    for (; u->heaped < u->n && steps > 0; steps--, u->heaped++) {
        const int64_t at = u->n - 1 - u->heaped; /* all behind it are heaps */
        u->order[at] = at;
        sift(u, u->order, u->n, at);
    }
    for (; u->heaped == u->n && u->sorted + 1 < u->n && steps > 0; steps--, u->sorted++) {
        const int64_t last = u->n - 1 - u->sorted, most = u->order[0];
        u->order[0] = u->order[last];
        sift(u, u->order, last, 0);
        u->order[last] = most;
    }
    return u->heaped == u->n && u->sorted + 1 >= u->n;
}

int64_t rdl__k_unique_group(const struct rdl__k_unique *u, int64_t *first, int64_t *group)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < u->n; i++) {
        if (i == 0 || compare_slices(u, u->order[i - 1], u->order[i]) != 0)
            first[groups++] = u->order[i];
        group[u->order[i]] = groups - 1;
    }
    return groups;
}

void rdl__k_unique_by_place(const struct rdl__k_unique *u, int64_t *first, int64_t *group,
                            int64_t *fresh)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < u->n; i++)
        if (first[group[i]] == i)
            fresh[group[i]] = groups++;
    for (int64_t i = 0; i < u->n; i++)
        group[i] = fresh[group[i]];
    for (int64_t i = u->n - 1; i >= 0; i--)
        first[group[i]] = i;
}
