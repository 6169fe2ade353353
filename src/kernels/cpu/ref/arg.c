/*
 * Reference places of extremes. No state; any thread.
 */
#include "kernels/reduce.h"

#include "kernels/cpu/ref/types.h"

#include <string.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* Elements that a tile reads. */
#define TILE_ELEMS 65536
/* Columns whose extremes are found side by side. */
#define COLUMNS 64

size_t rdl__k_arg_plan(struct rdl__k_arg *p)
{
    const int64_t least = p->inner < COLUMNS ? p->inner : COLUMNS;
    p->tile_elems = TILE_ELEMS / p->size;
    p->tile_elems = p->tile_elems < least ? least : p->tile_elems;
    p->tile_elems = p->tile_elems < 1 ? 1 : p->tile_elems;
    return (size_t)((p->outer * p->inner + p->tile_elems - 1) / p->tile_elems);
}

/* Sets at[0..n) to the places of the extremes of n columns, whose rows lie n_row elements apart. */
typedef void (*arg_fn)(const void *x, int64_t n_row, int64_t size, int64_t n, int64_t *at);

/* Of one column. */
#define ARG_ONE(name, type, order)                                                                 \
    static void name##_one(const type *x, int64_t n_row, int64_t size, int64_t *at)                \
    {                                                                                              \
        type best = x[0];                                                                          \
        *at = 0;                                                                                   \
        for (int64_t i = 1; i < size; i++)                                                         \
            if (x[i * n_row] order best) {                                                         \
                best = x[i * n_row];                                                               \
                *at = i;                                                                           \
            }                                                                                      \
    }
/* Of several, row by row; places are kept in 32 bits, so that they lie in vectors as elements do. */
#define ARG(name, type, order)                                                                     \
    ARG_ONE(name, type, order)                                                                     \
    static void name(const void *vx, int64_t n_row, int64_t size, int64_t n, int64_t *at)          \
    {                                                                                              \
        const type *x = vx;                                                                        \
        type best[COLUMNS];                                                                        \
        int32_t place[COLUMNS] = {0};                                                              \
        if (n == 1 || size > INT32_MAX) {                                                          \
            for (int64_t e = 0; e < n; e++)                                                        \
                name##_one(x + e, n_row, size, at + e);                                            \
            return;                                                                                \
        }                                                                                          \
        for (int64_t e = 0; e < n; e++)                                                            \
            best[e] = x[e];                                                                        \
        for (int32_t i = 1; i < (int32_t)size; i++) {                                              \
            const type *row = x + i * n_row;                                                       \
            for (int64_t e = 0; e < n; e++) {                                                      \
                const bool better = row[e] order best[e];                                          \
                best[e] = better ? row[e] : best[e];                                               \
                place[e] = better ? i : place[e];                                                  \
            }                                                                                      \
        }                                                                                          \
        for (int64_t e = 0; e < n; e++)                                                            \
            at[e] = place[e];                                                                      \
    }
#define ARGS(dtype, type)                                                                          \
    ARG(arg_max_##dtype, type, >)                                                                  \
    ARG(arg_min_##dtype, type, <)                                                                  \
    ARG(arg_max_last_##dtype, type, >=)                                                            \
    ARG(arg_min_last_##dtype, type, <=)
#define ARGS_INT(dtype, type, wide) ARGS(dtype, type)
REF_FLOATS(ARGS)
REF_SIGNED(ARGS_INT)
REF_UNSIGNED(ARGS_INT)

/* By dtype, least, last. */
#define ARG_ROW(dtype, type)                                                                       \
    [RDL_##dtype] = {{arg_max_##dtype, arg_max_last_##dtype},                                      \
                     {arg_min_##dtype, arg_min_last_##dtype}},
#define ARG_ROW_INT(dtype, type, wide) ARG_ROW(dtype, type)
static const arg_fn args[RDL_BF16 + 1][2][2] = {REF_FLOATS(ARG_ROW) REF_SIGNED(ARG_ROW_INT)
                                                    REF_UNSIGNED(ARG_ROW_INT)};

bool rdl__k_arg_takes(enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && args[dtype][0][0] != NULL;
}

#define HARD(dtype, type)                                                                          \
    static void hard_##dtype(void *vy, int64_t n_row, int64_t size, int64_t n, const int64_t *at)  \
    {                                                                                              \
        type *y = vy;                                                                              \
        for (int64_t i = 0; i < size; i++)                                                         \
            for (int64_t e = 0; e < n; e++)                                                        \
                y[i * n_row + e] = (type)(i == at[e]);                                             \
    }
REF_FLOATS(HARD)

enum rdl_status rdl__k_arg(const struct rdl__kernel_call *call)
{
    const struct rdl__k_arg *p = call->params;
    const int64_t bytes = (int64_t)rdl_dtype_size(p->dtype);
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->outer * p->inner ? end : p->outer * p->inner;
    for (int64_t o = (int64_t)call->tile_begin * p->tile_elems, n; o < end; o += n) {
        const int64_t column = o % p->inner;
        int64_t at[COLUMNS];
        n = p->inner - column < end - o ? p->inner - column : end - o;
        n = n < COLUMNS ? n : COLUMNS;
        const int64_t first = (o / p->inner * p->size * p->inner + column) * bytes;
        args[p->dtype][p->least][p->last]((const char *)call->bind[0] + first, p->inner, p->size, n,
                                          at);
        char *y = (char *)call->bind[1] + first;
        if (!p->hard)
            memcpy((int64_t *)call->bind[1] + o, at, (size_t)n * sizeof *at);
        else if (p->dtype == RDL_F64)
            hard_F64(y, p->inner, p->size, n, at);
        else
            hard_F32(y, p->inner, p->size, n, at);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
