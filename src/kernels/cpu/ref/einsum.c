/*
 * Reference sum of products: one output element after another. No state; any thread.
 */
#include "kernels/einsum.h"

#include "kernels/cpu/ref/types.h"

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* Products of a tile. */
#define TILE_WORK 65536

size_t rdl__k_einsum_plan(struct rdl__k_einsum *p)
{
    double size = 1; /* of a sum; may be more than an integer holds */
    for (int32_t d = 0; d < p->n_summed; d++)
        size *= (double)p->summed[d];
    p->count = 1;
    for (int32_t d = 0; d < p->n_kept; d++)
        p->count *= p->kept[d];
    p->tile_elems = size < TILE_WORK ? (int64_t)(TILE_WORK / (size + 1)) : 1;
    p->tile_elems = p->tile_elems < 1 ? 1 : p->tile_elems;
    return (size_t)((p->count + p->tile_elems - 1) / p->tile_elems);
}

/* The analyser does not know that n_summed <= RDL__K_EINSUM_SUMS.
 * NOLINTBEGIN(clang-analyzer-security.ArrayBound) */

/* The sum of the products of what begins at a and b; b is NULL if there is one operand. */
#define EINSUM_SUM(dtype, type, sum_type)                                                          \
    static sum_type sum_##dtype(const struct rdl__k_einsum *p, const type *a, const type *b)       \
    {                                                                                              \
        const int32_t last = p->n_summed - 1;                                                      \
        const int64_t inner = last < 0 ? 1 : p->summed[last];                                      \
        const int64_t a_step = last < 0 ? 0 : p->summed_stride[0][last];                           \
        const int64_t b_step = last < 0 ? 0 : p->summed_stride[1][last];                           \
        int64_t index[RDL__K_EINSUM_SUMS] = {0};                                                   \
        sum_type sum = 0;                                                                          \
        for (;;) {                                                                                 \
            for (int64_t i = 0; i < inner; i++)                                                    \
                sum += b == NULL ? (sum_type)a[i * a_step]                                         \
                                 : (sum_type)a[i * a_step] * (sum_type)b[i * b_step];              \
            int32_t d = last - 1;                                                                  \
            for (; d >= 0; d--) {                                                                  \
                a += p->summed_stride[0][d];                                                       \
                b = b == NULL ? NULL : b + p->summed_stride[1][d];                                 \
                if (++index[d] < p->summed[d])                                                     \
                    break;                                                                         \
                a -= p->summed[d] * p->summed_stride[0][d];                                        \
                b = b == NULL ? NULL : b - p->summed[d] * p->summed_stride[1][d];                  \
                index[d] = 0;                                                                      \
            }                                                                                      \
            if (d < 0)                                                                             \
                return sum;                                                                        \
        }                                                                                          \
    }                                                                                              \
    static void element_##dtype(const struct rdl__k_einsum *p, void *const *bind, int64_t o)       \
    {                                                                                              \
        int64_t left = o, at[2] = {0};                                                             \
        for (int32_t d = p->n_kept - 1; d >= 0; d--) {                                             \
            for (int i = 0; i < 2; i++)                                                            \
                at[i] += left % p->kept[d] * p->kept_stride[i][d];                                 \
            left /= p->kept[d];                                                                    \
        }                                                                                          \
        const type *a = (const type *)bind[0] + at[0];                                             \
        const type *b = bind[1] == NULL ? NULL : (const type *)bind[1] + at[1];                    \
        ((type *)bind[2])[o] = (type)sum_##dtype(p, a, b);                                         \
    }
#define EINSUM_FLOAT(dtype, type) EINSUM_SUM(dtype, type, double)
REF_FLOATS(EINSUM_FLOAT)
REF_SIGNED(EINSUM_SUM)
REF_UNSIGNED(EINSUM_SUM)

/* NOLINTEND(clang-analyzer-security.ArrayBound) */

typedef void (*element_fn)(const struct rdl__k_einsum *p, void *const *bind, int64_t o);
#define ENTRY(dtype, type) [RDL_##dtype] = element_##dtype,
#define ENTRY_INT(dtype, type, wide) ENTRY(dtype, type)
static const element_fn elements[RDL_BF16 + 1] = {REF_FLOATS(ENTRY) REF_SIGNED(ENTRY_INT)
                                                      REF_UNSIGNED(ENTRY_INT)};

bool rdl__k_einsum_takes(enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && elements[dtype] != NULL;
}

enum rdl_status rdl__k_einsum(const struct rdl__kernel_call *call)
{
    const struct rdl__k_einsum *p = call->params;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    for (int64_t o = (int64_t)call->tile_begin * p->tile_elems; o < end; o++)
        elements[p->dtype](p, call->bind, o);
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
