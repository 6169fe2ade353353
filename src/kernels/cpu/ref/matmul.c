/*
 * Reference matrix product. No state; any thread.
 */
#include "kernels/matmul.h"

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* Columns whose sums run side by side, so that B is read along its rows. */
#define COLS 64

size_t rdl__k_matmul_ref_tiles(const struct rdl__k_matmul *params)
{
    const int64_t matrices = params->batch.rank > 0 ? params->batch.count : 1;
    return (size_t)(matrices * params->m);
}

/* Where row `row` of the result, counted through all matrices, finds its operands. */
struct place {
    int64_t a, b, bias, c;
};

static struct place place_of(const struct rdl__k_matmul *p, int64_t row)
{
    int64_t matrix = row / p->m;
    const int64_t r = row % p->m;
    struct place at = {.a = r * p->a_row, .bias = r * p->bias_row, .c = row * p->n};
    for (int32_t i = p->batch.rank - 1; i >= 0; i--) {
        const int64_t index = matrix % p->batch.dims[i];
        matrix /= p->batch.dims[i];
        at.a += index * p->batch.a_stride[i];
        at.b += index * p->batch.b_stride[i];
    }
    return at;
}

/* sum is the type that the sums are kept in; unsigned for integers, so that they wrap. */
#define MATMUL_ROW(dtype, type, sum)                                                               \
    static void row_##dtype(const struct rdl__k_matmul *p, void *const *bind, struct place at)     \
    {                                                                                              \
        const type *a = (const type *)bind[0] + at.a, *b = (const type *)bind[1] + at.b;           \
        const type *bias = bind[2];                                                                \
        type *c = (type *)bind[3] + at.c;                                                          \
        const sum alpha = (sum)p->alpha, beta = (sum)p->beta;                                      \
        for (int64_t j0 = 0; j0 < p->n; j0 += COLS) {                                              \
            const int64_t cols = p->n - j0 < COLS ? p->n - j0 : COLS;                              \
            sum sums[COLS] = {0};                                                                  \
            for (int64_t i = 0; i < p->k; i++)                                                     \
                for (int64_t j = 0; j < cols; j++)                                                 \
                    sums[j] += (sum)a[i * p->a_col] * (sum)b[i * p->b_row + (j0 + j) * p->b_col];  \
            for (int64_t j = 0; j < cols; j++) {                                                   \
                sum value = alpha * sums[j];                                                       \
                if (bias != NULL)                                                                  \
                    value += beta * (sum)bias[at.bias + (j0 + j) * p->bias_col];                   \
                c[j0 + j] = (type)value;                                                           \
            }                                                                                      \
        }                                                                                          \
    }
#define MATMUL_LIST(X)                                                                             \
    X(F32, float, float)                                                                           \
    X(F64, double, double)                                                                         \
    X(I32, int32_t, uint32_t)                                                                      \
    X(U32, uint32_t, uint32_t) X(I64, int64_t, uint64_t) X(U64, uint64_t, uint64_t)
MATMUL_LIST(MATMUL_ROW)

typedef void (*row_fn)(const struct rdl__k_matmul *p, void *const *bind, struct place at);
#define ROW_ENTRY(dtype, type, sum) [RDL_##dtype] = row_##dtype,
static const row_fn rows[RDL_BF16 + 1] = {MATMUL_LIST(ROW_ENTRY)};

bool rdl__k_matmul_takes(enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && rows[dtype] != NULL;
}

enum rdl_status rdl__k_matmul_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_matmul *p = call->params;
    for (size_t t = call->tile_begin; t < call->tile_end; t++)
        rows[p->dtype](p, call->bind, place_of(p, (int64_t)t));
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
