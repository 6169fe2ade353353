/*
 * Comparisons and choices: one plain loop for each way in which the operands run, left to the
 * compiler to make vectors of. No state; any thread.
 */
#include "kernels/logic.h"

#include "kernels/cpu/ref/types.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* ---------------------------------------------------------------------------------------- compare */

size_t rdl__k_compare_plan(struct rdl__k_compare *params, const struct rdl__shape *a,
                           const struct rdl__shape *b, const struct rdl__shape *out)
{
    const struct rdl__shape *const in[] = {a, b};
    return rdl__k_walk_plan(&params->walk, in, 2, out, &params->count, &params->tile_elems);
}

/* A run of n elements: strides of a and b are 0 or 1. */
typedef void (*compare_run_fn)(const void *a, int64_t sa, const void *b, int64_t sb, uint8_t *out,
                               int64_t n);

#define COMPARE_EACH(type, ia, ib, value)                                                          \
    for (int64_t i = 0; i < n; i++) {                                                              \
        const type x = a[ia], y = b[ib];                                                           \
        (void)y;                                                                                   \
        out[i] = (uint8_t)(value);                                                                 \
    }
#define COMPARE_RUN(name, type, value)                                                             \
    static void name(const void *va, int64_t sa, const void *vb, int64_t sb, uint8_t *out,         \
                     int64_t n)                                                                    \
    {                                                                                              \
        const type *a = va, *b = vb;                                                               \
        if (sa != 0 && sb != 0) {                                                                  \
            COMPARE_EACH(type, i, i, value)                                                        \
        } else if (sa != 0) {                                                                      \
            COMPARE_EACH(type, i, 0, value)                                                        \
        } else if (sb != 0) {                                                                      \
            COMPARE_EACH(type, 0, i, value)                                                        \
        } else {                                                                                   \
            COMPARE_EACH(type, 0, 0, value)                                                        \
        }                                                                                          \
    }

#define ORDER_RUNS(dtype, type)                                                                    \
    COMPARE_RUN(equal_##dtype, type, x == y)                                                       \
    COMPARE_RUN(greater_##dtype, type, x > y)                                                      \
    COMPARE_RUN(less_##dtype, type, x < y)                                                         \
    COMPARE_RUN(greater_or_equal_##dtype, type, x >= y)                                            \
    COMPARE_RUN(less_or_equal_##dtype, type, x <= y)
#define ORDER_RUNS_INT(dtype, type, wide) ORDER_RUNS(dtype, type)
#define FLOAT_RUNS(dtype, type)                                                                    \
    COMPARE_RUN(unordered_##dtype, type, isnan(x) || isnan(y))                                     \
    COMPARE_RUN(infinite_##dtype, type, isinf(x) != 0)
REF_FLOATS(ORDER_RUNS)
REF_SIGNED(ORDER_RUNS_INT)
REF_UNSIGNED(ORDER_RUNS_INT)
REF_FLOATS(FLOAT_RUNS)
COMPARE_RUN(equal_BOOL, uint8_t, x == y)
COMPARE_RUN(and_BOOL, uint8_t, x &y)
COMPARE_RUN(or_BOOL, uint8_t, x | y)
COMPARE_RUN(xor_BOOL, uint8_t, x ^ y)

#define ORDER_ENTRIES(dtype)                                                                       \
    [RDL__K_COMPARE_EQUAL] = equal_##dtype, [RDL__K_COMPARE_GREATER] = greater_##dtype,            \
    [RDL__K_COMPARE_LESS] = less_##dtype,                                                          \
    [RDL__K_COMPARE_GREATER_OR_EQUAL] = greater_or_equal_##dtype,                                  \
    [RDL__K_COMPARE_LESS_OR_EQUAL] = less_or_equal_##dtype
#define COMPARE_ROW_FLOAT(dtype, type)                                                             \
    [RDL_##dtype] = {ORDER_ENTRIES(dtype), [RDL__K_COMPARE_UNORDERED] = unordered_##dtype,         \
                     [RDL__K_COMPARE_INFINITE] = infinite_##dtype},
#define COMPARE_ROW_INT(dtype, type, wide) [RDL_##dtype] = {ORDER_ENTRIES(dtype)},
static const compare_run_fn compare_runs[RDL_BF16 + 1][RDL__K_COMPARE_INFINITE + 1] = {
    REF_FLOATS(COMPARE_ROW_FLOAT) REF_SIGNED(COMPARE_ROW_INT)
        REF_UNSIGNED(COMPARE_ROW_INT)[RDL_BOOL] =
            {
                [RDL__K_COMPARE_EQUAL] = equal_BOOL,
                [RDL__K_COMPARE_AND] = and_BOOL,
                [RDL__K_COMPARE_OR] = or_BOOL,
                [RDL__K_COMPARE_XOR] = xor_BOOL,
            },
};

bool rdl__k_compare_takes(enum rdl__k_compare_op op, enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && compare_runs[dtype][op] != NULL;
}

enum rdl_status rdl__k_compare(const struct rdl__kernel_call *call)
{
    const struct rdl__k_compare *p = call->params;
    const int64_t size = (int64_t)rdl_dtype_size(p->dtype);
    const char *a = call->bind[0], *b = call->bind[1];
    const compare_run_fn run = compare_runs[p->dtype][p->op];
    const int32_t last = p->walk.rank - 1;
    const int64_t sa = p->walk.stride[0][last], sb = p->walk.stride[1][last];
    for (struct rdl__k_run at = rdl__k_run_first(&p->walk, call, p->tile_elems, p->count); at.n > 0;
         rdl__k_run_next(&p->walk, &at))
        run(a + at.offset[0] * size, sa, b + at.offset[1] * size, sb,
            (uint8_t *)call->bind[2] + at.at, at.n);
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------------ where */

size_t rdl__k_where_plan(struct rdl__k_where *params, const struct rdl__shape *const in[3],
                         const struct rdl__shape *out)
{
    return rdl__k_walk_plan(&params->walk, in, 3, out, &params->count, &params->tile_elems);
}

#define WHERE_EACH(ic, ix, iy)                                                                     \
    for (int64_t i = 0; i < n; i++)                                                                \
        out[i] = c[ic] ? x[ix] : y[iy];
#define WHERE_RUN(bits)                                                                            \
    static void where_##bits(const uint8_t *c, int64_t sc, const void *vx, int64_t sx,             \
                             const void *vy, int64_t sy, void *vout, int64_t n)                    \
    {                                                                                              \
        const uint##bits##_t *x = vx, *y = vy;                                                     \
        uint##bits##_t *out = vout;                                                                \
        if (sc != 0 && sx != 0 && sy != 0) {                                                       \
            WHERE_EACH(i, i, i)                                                                    \
        } else if (sc != 0 && sx == 0 && sy != 0) {                                                \
            const uint##bits##_t one = x[0]; /* read once: out may lie on y */                     \
            for (int64_t i = 0; i < n; i++)                                                        \
                out[i] = c[i] ? one : y[i];                                                        \
        } else if (sc != 0 && sx != 0 && sy == 0) {                                                \
            const uint##bits##_t one = y[0];                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                out[i] = c[i] ? x[i] : one;                                                        \
        } else {                                                                                   \
            WHERE_EACH(i * sc, i * sx, i * sy)                                                     \
        }                                                                                          \
    }
WHERE_RUN(8)
WHERE_RUN(16)
WHERE_RUN(32)
WHERE_RUN(64)

typedef void (*where_run_fn)(const uint8_t *c, int64_t sc, const void *x, int64_t sx, const void *y,
                             int64_t sy, void *out, int64_t n);

enum rdl_status rdl__k_where(const struct rdl__kernel_call *call)
{
    static const where_run_fn runs[] = {
        [1] = where_8, [2] = where_16, [4] = where_32, [8] = where_64};
    const struct rdl__k_where *p = call->params;
    const int64_t size = p->elem_bytes;
    const int32_t last = p->walk.rank - 1;
    const int64_t sc = p->walk.stride[0][last], sx = p->walk.stride[1][last];
    const int64_t sy = p->walk.stride[2][last];
    for (struct rdl__k_run at = rdl__k_run_first(&p->walk, call, p->tile_elems, p->count); at.n > 0;
         rdl__k_run_next(&p->walk, &at))
        runs[size]((const uint8_t *)call->bind[0] + at.offset[0], sc,
                   (const char *)call->bind[1] + at.offset[1] * size, sx,
                   (const char *)call->bind[2] + at.offset[2] * size, sy,
                   (char *)call->bind[3] + at.at * size, at.n);
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
