/*
 * Foldings on vectors. Where the last dimension is folded, lanes a vector's length apart are folded
 * first and joined at the end; where it is kept, each lane is an output of its own.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_REDUCE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_REDUCE_INC_H

#include "kernels/cpu/template/math.inc.h"
#include "kernels/cpu/template/softmax.inc.h"
#include "kernels/reduce.h"

/* Elements of a part of a row, and rows of a part of columns: each part is folded alone. */
#define FOLD_ROW_PART 4096
#define FOLD_COLUMN_PART 256
/* Vectors that are folded side by side: their additions do not wait for each other. */
#define FOLD_ROW_VECTORS 4
#define FOLD_COLUMN_VECTORS 8

static ALWAYS_INLINE vf fold_none(const enum rdl__k_reduce_op op)
{
    switch (op) {
    case RDL__K_REDUCE_MAX:
        return vf_set1(-__builtin_inff());
    case RDL__K_REDUCE_MIN:
        return vf_set1(__builtin_inff());
    case RDL__K_REDUCE_PROD:
        return vf_set1(1.0f);
    default:
        return vf_set1(0.0f);
    }
}

/* What of an element is folded. */
static ALWAYS_INLINE vf fold_term(const enum rdl__k_reduce_op op, vf x)
{
    switch (op) {
    case RDL__K_REDUCE_L1:
        return vf_abs(x);
    case RDL__K_REDUCE_L2:
    case RDL__K_REDUCE_SUM_SQUARE:
    case RDL__K_REDUCE_DEVIATION:
        return x * x;
    default:
        return x;
    }
}

static ALWAYS_INLINE vf fold_two(const enum rdl__k_reduce_op op, vf a, vf b)
{
    switch (op) {
    case RDL__K_REDUCE_MAX: /* vf_max passes a NaN of its second operand only */
        return vf_select(a != a, a, vf_max(a, b));
    case RDL__K_REDUCE_MIN:
        return vf_select(a != a, a, vf_min(a, b));
    case RDL__K_REDUCE_PROD:
        return a * b;
    default:
        return a + b;
    }
}

static ALWAYS_INLINE vf fold_end(const enum rdl__k_reduce_op op, vf x, float size)
{
    switch (op) {
    case RDL__K_REDUCE_MEAN:
        return x / vf_set1(size);
    case RDL__K_REDUCE_L2:
        return vf_sqrt(x);
    case RDL__K_REDUCE_DEVIATION:
        return vf_sqrt(x / vf_set1(size)) + vf_set1(1e-9f);
    default:
        return x;
    }
}

/* Goes to the next of the folded dimensions but the last; returns the step in elements. */
static int64_t fold_next(const struct rdl__k_reduce *p, int64_t index[RDL_MAX_RANK])
{
    int64_t step = 0;
    for (int32_t d = p->n_folded - 2; d >= 0; d--) {
        step += p->folded_stride[d];
        if (++index[d] < p->folded[d])
            break;
        step -= p->folded[d] * p->folded_stride[d];
        index[d] = 0;
    }
    return step;
}

/* Lane 0 of the result is all lanes of v, halves joined first. */
static ALWAYS_INLINE vf fold_lanes(const enum rdl__k_reduce_op op, vf v)
{
    float lanes[2 * VF_LANES];
    for (int n = VF_LANES / 2; n > 0; n /= 2) {
        vf_store(lanes, v);
        vf_store(lanes + VF_LANES, v);
        v = fold_two(op, v, vf_load(lanes + n));
    }
    return v;
}

/* A part of a row. */
static ALWAYS_INLINE vf fold_part(const enum rdl__k_reduce_op op, const float *x, int64_t n)
{
    vf acc[FOLD_ROW_VECTORS];
    UNROLL for (int v = 0; v < FOLD_ROW_VECTORS; v++) acc[v] = fold_none(op);
    int64_t i = 0;
    for (; i + FOLD_ROW_VECTORS * VF_LANES <= n; i += FOLD_ROW_VECTORS * VF_LANES) {
        UNROLL for (int v = 0; v < FOLD_ROW_VECTORS; v++) acc[v] =
            fold_two(op, acc[v], fold_term(op, vf_load(x + i + v * VF_LANES)));
    }
    for (; i + VF_LANES <= n; i += VF_LANES)
        acc[0] = fold_two(op, acc[0], fold_term(op, vf_load(x + i)));
    if (i < n) {
        const vf last = fold_term(op, vf_load_first(x + i, n - i));
        acc[1] = fold_two(op, acc[1], vf_first_of(last, fold_none(op), n - i));
    }
    return fold_two(op, fold_two(op, acc[0], acc[1]), fold_two(op, acc[2], acc[3]));
}

/* Output elements [at, end) where the last dimension is folded. */
static ALWAYS_INLINE void fold_rows(const enum rdl__k_reduce_op op, const struct rdl__k_reduce *p,
                                    const float *x, float *y, int64_t at, int64_t end)
{
    const int64_t length = p->folded[p->n_folded - 1];
    for (; at < end; at++) {
        int64_t left = at, index[RDL_MAX_RANK] = {0};
        const float *row = x;
        for (int32_t d = p->n_kept - 1; d >= 0; d--) {
            row += left % p->kept[d] * p->kept_stride[d];
            left /= p->kept[d];
        }
        vf all = fold_none(op);
        for (int64_t e = 0; e < p->size; e += length) {
            for (int64_t i = 0; i < length; i += FOLD_ROW_PART)
                all = fold_two(op, all,
                               fold_part(op, row + i,
                                         length - i < FOLD_ROW_PART ? length - i : FOLD_ROW_PART));
            row += fold_next(p, index);
        }
        vf_store_first(y + at, fold_end(op, fold_lanes(op, all), (float)p->size), 1);
    }
}

/* nv vectors of columns, `lanes` of the last one. */
static ALWAYS_INLINE void fold_columns(const enum rdl__k_reduce_op op, const int nv,
                                       const bool whole, int64_t lanes,
                                       const struct rdl__k_reduce *p, const float *x, float *y)
{
    const int64_t length = p->folded[p->n_folded - 1], stride = p->folded_stride[p->n_folded - 1];
    int64_t index[RDL_MAX_RANK] = {0};
    vf all[FOLD_COLUMN_VECTORS];
    UNROLL for (int v = 0; v < nv; v++) all[v] = fold_none(op);
    for (int64_t e = 0; e < p->size; e += length) {
        for (int64_t begin = 0; begin < length; begin += FOLD_COLUMN_PART) {
            const int64_t end =
                length - begin < FOLD_COLUMN_PART ? length : begin + FOLD_COLUMN_PART;
            vf acc[FOLD_COLUMN_VECTORS];
            UNROLL for (int v = 0; v < nv; v++) acc[v] = fold_none(op);
            for (int64_t i = begin; i < end; i++) {
                const float *row = x + i * stride;
                UNROLL for (int v = 0; v < nv; v++) acc[v] = fold_two(
                    op, acc[v],
                    fold_term(op, whole ? vf_load(row + v * VF_LANES) : vf_load_first(row, lanes)));
            }
            UNROLL for (int v = 0; v < nv; v++) all[v] = fold_two(op, all[v], acc[v]);
        }
        x += fold_next(p, index);
    }
    UNROLL for (int v = 0; v < nv; v++)
    {
        const vf result = fold_end(op, all[v], (float)p->size);
        if (whole)
            vf_store(y + v * VF_LANES, result);
        else
            vf_store_first(y, result, lanes);
    }
}

/* A run of n outputs that lie side by side. */
static ALWAYS_INLINE void fold_run(const enum rdl__k_reduce_op op, const struct rdl__k_reduce *p,
                                   const float *x, float *y, int64_t n)
{
    const int64_t wide = (int64_t)FOLD_COLUMN_VECTORS * VF_LANES;
    int64_t i = 0;
    for (; i + wide <= n; i += wide)
        fold_columns(op, FOLD_COLUMN_VECTORS, true, VF_LANES, p, x + i, y + i);
    for (; i + VF_LANES <= n; i += VF_LANES)
        fold_columns(op, 1, true, VF_LANES, p, x + i, y + i);
    if (i < n)
        fold_columns(op, 1, false, n - i, p, x + i, y + i);
}

typedef void (*fold_rows_fn)(const struct rdl__k_reduce *p, const float *x, float *y, int64_t at,
                             int64_t end);
typedef void (*fold_run_fn)(const struct rdl__k_reduce *p, const float *x, float *y, int64_t n);

#define FOLD_DEFINE(name)                                                                          \
    static void fold_rows_##name(const struct rdl__k_reduce *p, const float *x, float *y,          \
                                 int64_t at, int64_t end)                                          \
    {                                                                                              \
        fold_rows(RDL__K_REDUCE_##name, p, x, y, at, end);                                         \
    }                                                                                              \
    static void fold_run_##name(const struct rdl__k_reduce *p, const float *x, float *y,           \
                                int64_t n)                                                         \
    {                                                                                              \
        fold_run(RDL__K_REDUCE_##name, p, x, y, n);                                                \
    }
RDL__K_REDUCE_F32_LIST(FOLD_DEFINE)
#undef FOLD_DEFINE

enum rdl_status RDL_ISA(rdl__k_reduce_f32)(const struct rdl__kernel_call *call)
{
#define FOLD_ROWS_ENTRY(name) [RDL__K_REDUCE_##name] = fold_rows_##name,
#define FOLD_RUN_ENTRY(name) [RDL__K_REDUCE_##name] = fold_run_##name,
    static const fold_rows_fn rows[] = {RDL__K_REDUCE_F32_LIST(FOLD_ROWS_ENTRY)};
    static const fold_run_fn runs[] = {RDL__K_REDUCE_F32_LIST(FOLD_RUN_ENTRY)};
#undef FOLD_ROWS_ENTRY
#undef FOLD_RUN_ENTRY
    const struct rdl__k_reduce *p = call->params;
    const float *x = call->bind[0];
    float *y = call->bind[1];
    int64_t at = (int64_t)call->tile_begin * p->tile_elems;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    if (p->rows) {
        rows[p->op](p, x, y, at, end);
        return RDL_OK;
    }
    const int32_t last = p->n_kept - 1;
    while (at < end) {
        const int64_t place = at % p->kept[last];
        int64_t left = at / p->kept[last], n = p->kept[last] - place, offset = place;
        n = n < end - at ? n : end - at;
        for (int32_t d = last - 1; d >= 0; d--) {
            offset += left % p->kept[d] * p->kept_stride[d];
            left /= p->kept[d];
        }
        runs[p->op](p, x + offset, y + at, n);
        at += n;
    }
    return RDL_OK;
}

#endif
