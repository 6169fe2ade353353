/*
 * Reference foldings and running sums. No state; any thread.
 */
#include "kernels/reduce.h"

#include "kernels/cpu/ref/types.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* Elements that a tile reads, and columns that it has at least: narrower ones waste cache lines. */
#define TILE_ELEMS 65536
#define TILE_COLUMNS 64

/* --------------------------------------------------------------------------------------- planning */

/* Puts dimension d before the n groups of a kind, joined with the first of them if it is its
 * neighbour. */
static void add_dim(int64_t *dims, int64_t *strides, int32_t *n, bool joined, int64_t dim,
                    int64_t stride)
{
    if (joined) {
        dims[0] *= dim;
        return;
    }
    for (int32_t i = *n; i > 0; i--) {
        dims[i] = dims[i - 1];
        strides[i] = strides[i - 1];
    }
    dims[0] = dim;
    strides[0] = stride;
    (*n)++;
}

size_t rdl__k_reduce_plan(struct rdl__k_reduce *p, const struct rdl__shape *x,
                          const bool fold[RDL_MAX_RANK])
{
    int64_t strides[RDL_MAX_RANK];
    rdl__shape_strides(x, strides);
    p->n_kept = p->n_folded = 0;
    p->count = p->size = 1;
    p->rows = x->rank == 0 || fold[x->rank - 1];
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        const bool joined = d + 1 < x->rank && fold[d] == fold[d + 1];
        if (fold[d]) {
            add_dim(p->folded, p->folded_stride, &p->n_folded, joined, x->dims[d], strides[d]);
            p->size *= x->dims[d];
        } else {
            add_dim(p->kept, p->kept_stride, &p->n_kept, joined, x->dims[d], strides[d]);
            p->count *= x->dims[d];
        }
    }
    if (p->n_kept == 0)
        add_dim(p->kept, p->kept_stride, &p->n_kept, false, 1, 1);
    if (p->n_folded == 0)
        add_dim(p->folded, p->folded_stride, &p->n_folded, false, 1, 1);
    p->tile_elems = TILE_ELEMS / (p->size > 0 ? p->size : 1);
    const int64_t least = p->rows ? 1 : TILE_COLUMNS;
    p->tile_elems = p->tile_elems < least ? least : p->tile_elems;
    return (size_t)((p->count + p->tile_elems - 1) / p->tile_elems);
}

/* -------------------------------------------------------------------------------------- reference */

/* What has been folded so far. */
struct folded {
    double f;   /* floats */
    int64_t i;  /* signed integers, and unsigned ones as they wrap */
    double top; /* LOG_SUM_EXP: the largest element */
};

/* Folds n elements that are `stride` apart into *so_far. */
typedef void (*fold_fn)(const void *x, int64_t stride, int64_t n, struct folded *so_far);

#define FOLD(name, type, member, expression)                                                       \
    static void name(const void *vx, int64_t stride, int64_t n, struct folded *so_far)             \
    {                                                                                              \
        const type *xs = vx;                                                                       \
        for (int64_t e = 0; e < n; e++) {                                                          \
            const type x = xs[e * stride];                                                         \
            so_far->member = (expression);                                                         \
        }                                                                                          \
    }
#define F so_far->f
#define I so_far->i
#define U (uint64_t)so_far->i
#define FOLDS_FLOAT(dtype, type)                                                                   \
    FOLD(sum_##dtype, type, f, F + (double)x)                                                      \
    FOLD(l1_##dtype, type, f, F + fabs((double)x))                                                 \
    FOLD(square_##dtype, type, f, F + (double)x * (double)x)                                       \
    FOLD(prod_##dtype, type, f, F *(double)x)                                                      \
    FOLD(max_##dtype, type, f, F != F || F > (double)x ? F : (double)x)                            \
    FOLD(min_##dtype, type, f, F != F || F < (double)x ? F : (double)x)                            \
    FOLD(exp_##dtype, type, f, F + exp((double)x - so_far->top))
#define FOLDS_INT(dtype, type)                                                                     \
    FOLD(sum_##dtype, type, i, (int64_t)(U + (uint64_t)x))                                         \
    FOLD(square_##dtype, type, i, (int64_t)(U + (uint64_t)x * (uint64_t)x))                        \
    FOLD(prod_##dtype, type, i, (int64_t)(U * (uint64_t)x))                                        \
    FOLD(exp_##dtype, type, f, F + exp((double)x - so_far->top))
#define FOLDS_SIGNED(dtype, type, wide)                                                            \
    FOLDS_INT(dtype, type)                                                                         \
    FOLD(l1_##dtype, type, i, (int64_t)(x < 0 ? U - (uint64_t)x : U + (uint64_t)x))                \
    FOLD(max_##dtype, type, i, I > x ? I : x)                                                      \
    FOLD(min_##dtype, type, i, I < x ? I : x)
#define FOLDS_UNSIGNED(dtype, type, wide)                                                          \
    FOLDS_INT(dtype, type)                                                                         \
    FOLD(max_##dtype, type, i, U > x ? I : (int64_t)x)                                             \
    FOLD(min_##dtype, type, i, U < x ? I : (int64_t)x)
REF_FLOATS(FOLDS_FLOAT)
REF_SIGNED(FOLDS_SIGNED)
REF_UNSIGNED(FOLDS_UNSIGNED)
#undef F
#undef I
#undef U

#define FOLD_ENTRIES(dtype, l1)                                                                    \
    [RDL__K_REDUCE_SUM] = sum_##dtype, [RDL__K_REDUCE_MEAN] = sum_##dtype,                         \
    [RDL__K_REDUCE_L1] = l1##_##dtype, [RDL__K_REDUCE_L2] = square_##dtype,                        \
    [RDL__K_REDUCE_SUM_SQUARE] = square_##dtype, [RDL__K_REDUCE_MAX] = max_##dtype,                \
    [RDL__K_REDUCE_MIN] = min_##dtype, [RDL__K_REDUCE_PROD] = prod_##dtype,                        \
    [RDL__K_REDUCE_LOG_SUM] = sum_##dtype, [RDL__K_REDUCE_LOG_SUM_EXP] = exp_##dtype
#define FOLD_ROW_FLOAT(dtype, type)                                                                \
    [RDL_##dtype] = {FOLD_ENTRIES(dtype, l1), [RDL__K_REDUCE_DEVIATION] = square_##dtype},
#define FOLD_ROW_SIGNED(dtype, type, wide) [RDL_##dtype] = {FOLD_ENTRIES(dtype, l1)},
#define FOLD_ROW_UNSIGNED(dtype, type, wide) [RDL_##dtype] = {FOLD_ENTRIES(dtype, sum)},
static const fold_fn folds[RDL_BF16 + 1][RDL__K_REDUCE_LOG_SUM_EXP + 1] = {
    REF_FLOATS(FOLD_ROW_FLOAT) REF_SIGNED(FOLD_ROW_SIGNED) REF_UNSIGNED(
        FOLD_ROW_UNSIGNED)[RDL_BOOL] = {[RDL__K_REDUCE_MAX] = max_U8, [RDL__K_REDUCE_MIN] = min_U8},
};

bool rdl__k_reduce_takes(enum rdl__k_reduce_op op, enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && folds[dtype][op] != NULL;
}

bool rdl__k_reduce_f32_has(enum rdl__k_reduce_op op)
{
    return op <= RDL__K_REDUCE_DEVIATION;
}

static bool is_float(enum rdl_dtype dtype)
{
    return dtype == RDL_F32 || dtype == RDL_F64;
}

static bool is_signed(enum rdl_dtype dtype)
{
    return dtype == RDL_I8 || dtype == RDL_I16 || dtype == RDL_I32 || dtype == RDL_I64;
}

/* The largest (or smallest) integer of a dtype, as it wraps. */
static int64_t int_end(enum rdl_dtype dtype, bool largest)
{
    const int bits = 8 * (int)rdl_dtype_size(dtype);
    if (dtype == RDL_BOOL)
        return largest;
    if (!is_signed(dtype))
        return largest ? (int64_t)(UINT64_MAX >> (64 - bits)) : 0;
    const int64_t most = INT64_MAX >> (64 - bits);
    return largest ? most : -most - 1;
}

/* What folding nothing gives. */
static struct folded fold_nothing(enum rdl__k_reduce_op op, enum rdl_dtype dtype)
{
    if (op == RDL__K_REDUCE_PROD)
        return (struct folded){.f = 1.0, .i = 1};
    if (op == RDL__K_REDUCE_MAX)
        return (struct folded){.f = -(double)INFINITY, .i = int_end(dtype, false)};
    if (op == RDL__K_REDUCE_MIN)
        return (struct folded){.f = (double)INFINITY, .i = int_end(dtype, true)};
    return (struct folded){.f = 0.0};
}

/* Folds all elements of the output at x. */
static void fold_all(const struct rdl__k_reduce *p, enum rdl__k_reduce_op op, const char *x,
                     struct folded *so_far)
{
    const int64_t size = (int64_t)rdl_dtype_size(p->dtype);
    const int32_t last = p->n_folded - 1;
    int64_t index[RDL_MAX_RANK] = {0};
    for (int64_t left = p->folded[last] > 0 ? p->size / p->folded[last] : 0; left > 0; left--) {
        folds[p->dtype][op](x, p->folded_stride[last], p->folded[last], so_far);
        for (int32_t d = last - 1; d >= 0; d--) {
            x += p->folded_stride[d] * size;
            if (++index[d] < p->folded[d])
                break;
            x -= p->folded[d] * p->folded_stride[d] * size;
            index[d] = 0;
        }
    }
}

/* The largest element as a double. */
static double top_of(const struct rdl__k_reduce *p, const char *x)
{
    struct folded most = fold_nothing(RDL__K_REDUCE_MAX, p->dtype);
    fold_all(p, RDL__K_REDUCE_MAX, x, &most);
    if (is_float(p->dtype))
        return most.f;
    return is_signed(p->dtype) ? (double)most.i : (double)(uint64_t)most.i;
}

/* Cut towards zero; what is too large becomes the end of the range. */
static int64_t whole(double x)
{
    return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : x == x ? (int64_t)x : 0;
}

static double finish_float(const struct rdl__k_reduce *p, const struct folded *all)
{
    switch (p->op) {
    case RDL__K_REDUCE_MEAN:
        return all->f / (double)p->size;
    case RDL__K_REDUCE_L2:
        return sqrt(all->f);
    case RDL__K_REDUCE_DEVIATION:
        return sqrt(all->f / (double)p->size) + 1e-9;
    case RDL__K_REDUCE_LOG_SUM:
        return log(all->f);
    case RDL__K_REDUCE_LOG_SUM_EXP:
        return all->top + log(all->f);
    default:
        return all->f;
    }
}

static int64_t finish_int(const struct rdl__k_reduce *p, const struct folded *all)
{
    const bool negative = is_signed(p->dtype);
    const double sum = negative ? (double)all->i : (double)(uint64_t)all->i;
    switch (p->op) {
    case RDL__K_REDUCE_MEAN:
        if (p->size == 0)
            return 0;
        return negative ? all->i / p->size : (int64_t)((uint64_t)all->i / (uint64_t)p->size);
    case RDL__K_REDUCE_L2:
        return whole(sqrt(sum));
    case RDL__K_REDUCE_LOG_SUM:
        return whole(log(sum));
    case RDL__K_REDUCE_LOG_SUM_EXP:
        return whole(all->top + log(all->f));
    default:
        return all->i;
    }
}

static void store(const struct rdl__k_reduce *p, const struct folded *all, void *y, int64_t o)
{
    if (p->dtype == RDL_F32) {
        ((float *)y)[o] = (float)finish_float(p, all);
        return;
    }
    if (p->dtype == RDL_F64) {
        ((double *)y)[o] = finish_float(p, all);
        return;
    }
    const int64_t value = finish_int(p, all);
    switch (rdl_dtype_size(p->dtype)) {
    case 1:
        ((uint8_t *)y)[o] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)y)[o] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)y)[o] = (uint32_t)value;
        break;
    default:
        ((int64_t *)y)[o] = value;
        break;
    }
}

enum rdl_status rdl__k_reduce_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_reduce *p = call->params;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    for (int64_t o = (int64_t)call->tile_begin * p->tile_elems; o < end; o++) {
        int64_t left = o, offset = 0;
        for (int32_t d = p->n_kept - 1; d >= 0; d--) {
            offset += left % p->kept[d] * p->kept_stride[d];
            left /= p->kept[d];
        }
        struct folded all = fold_nothing(p->op, p->dtype);
        const char *x = call->bind[0];
        if (p->size > 0) {
            x += offset * (int64_t)rdl_dtype_size(p->dtype);
            if (p->op == RDL__K_REDUCE_LOG_SUM_EXP) {
                const double top = top_of(p, x);
                all.top = isfinite(top) || top != top ? top : 0.0;
            }
            fold_all(p, p->op, x, &all);
        }
        store(p, &all, call->bind[1], o);
    }
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------ running sums */

/* Inner elements of a tile. */
#define CUMSUM_BLOCK 64

size_t rdl__k_cumsum_plan(struct rdl__k_cumsum *p)
{
    p->blocks = (p->inner + CUMSUM_BLOCK - 1) / CUMSUM_BLOCK;
    return (size_t)(p->outer * p->blocks);
}

/* n inner elements of one outer index, from `first` on. */
typedef void (*cumsum_fn)(const struct rdl__k_cumsum *p, int64_t first, int64_t n,
                          void *const *bind);

#define CUMSUM(name, type, sum_type)                                                               \
    static void name(const struct rdl__k_cumsum *p, int64_t first, int64_t n, void *const *bind)   \
    {                                                                                              \
        sum_type sum[CUMSUM_BLOCK];                                                                \
        for (int64_t e = 0; e < n; e++)                                                            \
            sum[e] = (sum_type)p->product;                                                         \
        for (int64_t i = 0; i < p->size; i++) {                                                    \
            const int64_t at = first + (p->reverse ? p->size - 1 - i : i) * p->inner;              \
            const type *x = (const type *)bind[0] + at;                                            \
            type *y = (type *)bind[1] + at;                                                        \
            for (int64_t e = 0; e < n; e++) {                                                      \
                const sum_type before = sum[e];                                                    \
                sum[e] = p->product ? before * (sum_type)x[e] : before + (sum_type)x[e];           \
                y[e] = (type)(p->exclusive ? before : sum[e]);                                     \
            }                                                                                      \
        }                                                                                          \
    }
CUMSUM(cumsum_f32, float, double)
CUMSUM(cumsum_f64, double, double)
CUMSUM(cumsum_32, uint32_t, uint32_t)
CUMSUM(cumsum_64, uint64_t, uint64_t)

static const cumsum_fn cumsums[RDL_BF16 + 1] = {[RDL_F32] = cumsum_f32, [RDL_F64] = cumsum_f64,
                                                [RDL_I32] = cumsum_32,  [RDL_U32] = cumsum_32,
                                                [RDL_I64] = cumsum_64,  [RDL_U64] = cumsum_64};

bool rdl__k_cumsum_takes(enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && cumsums[dtype] != NULL;
}

enum rdl_status rdl__k_cumsum(const struct rdl__kernel_call *call)
{
    const struct rdl__k_cumsum *p = call->params;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t at = (int64_t)t % p->blocks * CUMSUM_BLOCK;
        const int64_t n = p->inner - at < CUMSUM_BLOCK ? p->inner - at : CUMSUM_BLOCK;
        cumsums[p->dtype](p, (int64_t)t / p->blocks * p->size * p->inner + at, n, call->bind);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
