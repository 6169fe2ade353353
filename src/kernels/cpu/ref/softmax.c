/*
 * Reference softmax and batch normalisation. No state; any thread.
 */
#include "kernels/softmax.h"
#include "kernels/cpu/ref/types.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

#define TILE_ELEMS 16384

/* Rows of a tile when each has `size` elements. */
static int64_t rows_of(int64_t rows, int64_t size)
{
    const int64_t n = TILE_ELEMS / (size > 0 ? size : 1);
    return n < 1 ? 1 : n < rows ? n : rows;
}

size_t rdl__k_softmax_plan(struct rdl__k_softmax *p)
{
    p->tile_outer = rows_of(p->outer, p->size * p->inner);
    return (size_t)((p->outer + p->tile_outer - 1) / p->tile_outer);
}

#define SOFTMAX_ROW(dtype, type)                                                                   \
    static void softmax_##dtype(const struct rdl__k_softmax *p, int64_t first, void *const *bind)  \
    {                                                                                              \
        const type *x = (const type *)bind[0] + first;                                             \
        type *y = (type *)bind[1] + first;                                                         \
        double most = -(double)INFINITY, sum = 0.0;                                                \
        for (int64_t i = 0; i < p->size; i++) {                                                    \
            const double value = (double)x[i * p->inner];                                          \
            most = most > value ? most : value;                                                    \
        }                                                                                          \
        for (int64_t i = 0; i < p->size; i++)                                                      \
            sum += exp((double)x[i * p->inner] - most);                                            \
        for (int64_t i = 0; i < p->size; i++) {                                                    \
            const double value = (double)x[i * p->inner] - most;                                   \
            y[i * p->inner] = (type)(p->log ? value - log(sum) : exp(value) / sum);                \
        }                                                                                          \
    }
REF_FLOATS(SOFTMAX_ROW)

enum rdl_status rdl__k_softmax_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_softmax *p = call->params;
    int64_t end = (int64_t)call->tile_end * p->tile_outer;
    end = end < p->outer ? end : p->outer;
    for (int64_t o = (int64_t)call->tile_begin * p->tile_outer; o < end; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            const int64_t first = o * p->size * p->inner + i;
            if (p->dtype == RDL_F64)
                softmax_F64(p, first, call->bind);
            else
                softmax_F32(p, first, call->bind);
        }
    return RDL_OK;
}

#define NORM_FOLD(dtype, type)                                                                     \
    static void fold_##dtype(const struct rdl__k_norm_fold *p, void *const *bind)                  \
    {                                                                                              \
        const type *scale = bind[0], *bias = bind[1], *mean = bind[2], *variance = bind[3];        \
        type *factor = bind[4], *term = bind[5];                                                   \
        for (int64_t c = 0; c < p->channels; c++) {                                                \
            const double f = (double)scale[c] / sqrt((double)variance[c] + (double)p->epsilon);    \
            factor[c] = (type)f;                                                                   \
            term[c] = (type)((double)bias[c] - (double)mean[c] * f);                               \
        }                                                                                          \
    }
REF_FLOATS(NORM_FOLD)

enum rdl_status rdl__k_norm_fold_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_norm_fold *p = call->params;
    if (p->dtype == RDL_F64)
        fold_F64(p, call->bind);
    else
        fold_F32(p, call->bind);
    return RDL_OK;
}

size_t rdl__k_affine_plan(struct rdl__k_affine *p)
{
    const int64_t planes = p->batch * p->channels;
    p->tile_planes = rows_of(planes, p->size);
    return (size_t)((planes + p->tile_planes - 1) / p->tile_planes);
}

#define AFFINE_PLANE(dtype, type)                                                                  \
    static void affine_##dtype(const struct rdl__k_affine *p, int64_t plane, void *const *bind)    \
    {                                                                                              \
        const type *x = (const type *)bind[0] + plane * p->size;                                   \
        type *y = (type *)bind[3] + plane * p->size;                                               \
        const type factor = ((const type *)bind[1])[plane % p->channels];                          \
        const type term = ((const type *)bind[2])[plane % p->channels];                            \
        for (int64_t i = 0; i < p->size; i++)                                                      \
            y[i] = x[i] * factor + term;                                                           \
    }
REF_FLOATS(AFFINE_PLANE)

enum rdl_status rdl__k_affine_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_affine *p = call->params;
    int64_t end = (int64_t)call->tile_end * p->tile_planes;
    end = end < p->batch * p->channels ? end : p->batch * p->channels;
    for (int64_t n = (int64_t)call->tile_begin * p->tile_planes; n < end; n++) {
        if (p->dtype == RDL_F64)
            affine_F64(p, n, call->bind);
        else
            affine_F32(p, n, call->bind);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
