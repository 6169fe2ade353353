/*
 * Choosing elements. No state; any thread.
 */
#include "kernels/select.h"

#include "base/size.h"
#include "kernels/cpu/ref/types.h"
#include "kernels/move.h"

#include <string.h>

#define TILE_ELEMS 16384

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* --------------------------------------------------------------------------------------- nonzero */

/* The bits that make an element of a dtype other than zero: a sign alone does not. */
static uint64_t value_bits(enum rdl_dtype dtype)
{
    switch (dtype) {
    case RDL_F32:
        return 0x7fffffffu;
    case RDL_F64:
        return ~(uint64_t)0 >> 1;
    case RDL_F16:
    case RDL_BF16:
        return 0x7fffu;
    default:
        return ~(uint64_t)0;
    }
}

/* The first element from `at` on, before n, that is not zero; n if there is none. */
#define NEXT_NONZERO(bits)                                                                         \
    static int64_t next_##bits(const void *vx, int64_t at, int64_t n, uint64_t mask)               \
    {                                                                                              \
        const uint##bits##_t *x = vx, own = (uint##bits##_t)mask;                                  \
        while (at < n && (x[at] & own) == 0)                                                       \
            at++;                                                                                  \
        return at;                                                                                 \
    }
NEXT_NONZERO(8)
NEXT_NONZERO(16)
NEXT_NONZERO(32)
NEXT_NONZERO(64)

typedef int64_t (*next_fn)(const void *x, int64_t at, int64_t n, uint64_t mask);

static next_fn next_of(enum rdl_dtype dtype)
{
    const size_t size = rdl_dtype_size(dtype);
    return size == 1 ? next_8 : size == 2 ? next_16 : size == 4 ? next_32 : next_64;
}

int64_t rdl__k_count_nonzero(enum rdl_dtype dtype, const void *x, int64_t n)
{
    const next_fn next = next_of(dtype);
    const uint64_t mask = value_bits(dtype);
    int64_t found = 0;
    for (int64_t at = next(x, 0, n, mask); at < n; at = next(x, at + 1, n, mask))
        found++;
    return found;
}

/* Elements of a part. */
#define NONZERO_ELEMS 32768

size_t rdl__k_nonzero_plan(struct rdl__k_nonzero *params)
{
    params->count = (int64_t)rdl__shape_count(&params->shape);
    params->tile_elems = NONZERO_ELEMS;
    params->parts = (params->count + NONZERO_ELEMS - 1) / NONZERO_ELEMS;
    return (size_t)params->parts;
}

/* One past the last element of part t. */
static int64_t part_end(const struct rdl__k_nonzero *p, int64_t t)
{
    return t + 1 < p->parts ? (t + 1) * p->tile_elems : p->count;
}

enum rdl_status rdl__k_nonzero_count(const struct rdl__kernel_call *call)
{
    const struct rdl__k_nonzero *p = call->params;
    for (int64_t t = (int64_t)call->tile_begin; t < (int64_t)call->tile_end; t++) {
        const int64_t at = t * p->tile_elems;
        const char *x = (const char *)call->bind[0] + (size_t)at * rdl_dtype_size(p->dtype);
        ((int64_t *)call->bind[1])[t] = rdl__k_count_nonzero(p->dtype, x, part_end(p, t) - at);
    }
    return RDL_OK;
}

/* Writes the places of a part, of which `found` are before it; false if there are too many. */
static bool write_places(const struct rdl__k_nonzero *p, const void *x, int64_t t, int64_t found,
                         int64_t *out)
{
    const next_fn next = next_of(p->dtype);
    const uint64_t mask = value_bits(p->dtype);
    const int64_t end = part_end(p, t);
    for (int64_t at = next(x, t * p->tile_elems, end, mask); at < end;
         at = next(x, at + 1, end, mask)) {
        if (found == p->found)
            return false;
        int64_t left = at;
        for (int32_t d = p->shape.rank - 1; d >= 0; d--) {
            out[d * p->found + found] = left % p->shape.dims[d];
            left /= p->shape.dims[d];
        }
        found++;
    }
    return t + 1 < p->parts || found == p->found;
}

enum rdl_status rdl__k_nonzero(const struct rdl__kernel_call *call)
{
    const struct rdl__k_nonzero *p = call->params;
    const int64_t *counts = call->bind[1];
    int64_t before = 0;
    for (size_t t = 0; t < call->tile_begin; t++)
        before += counts[t];
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        if (!write_places(p, call->bind[0], (int64_t)t, before, call->bind[2]))
            return RDL_ERR_RUNTIME;
        before += counts[t];
    }
    return RDL_OK;
}

enum rdl_status rdl__k_compress(const struct rdl__kernel_call *call)
{
    const struct rdl__k_compress *p = call->params;
    const size_t row = (size_t)p->inner * (size_t)p->elem_bytes;
    const uint8_t *condition = call->bind[1];
    for (size_t o = call->tile_begin; o < call->tile_end; o++) {
        const char *x = (const char *)call->bind[0] + o * (size_t)p->axis * row;
        char *out = (char *)call->bind[2] + o * (size_t)p->found * row;
        int64_t found = 0;
        for (int64_t i = 0; i < p->n; i++) {
            if (condition[i] == 0)
                continue;
            if (found++ == p->found)
                return RDL_ERR_RUNTIME;
            memcpy(out, x + (size_t)i * row, row);
            out += row;
        }
        if (found != p->found)
            return RDL_ERR_RUNTIME;
    }
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------------ topk */

size_t rdl__k_topk_plan(struct rdl__k_topk *p)
{
    const int64_t lines = p->outer * p->inner;
    p->tile_lines = p->axis < TILE_ELEMS ? TILE_ELEMS / (p->axis + 1) + 1 : 1;
    return (size_t)((lines + p->tile_lines - 1) / p->tile_lines);
}

bool rdl__k_topk_scratch(const struct rdl__k_topk *p, size_t *bytes)
{
    return rdl__mul_size((size_t)p->k, sizeof(int64_t), bytes);
}

/* The best k so far are a heap of their indices, the worst of them at its root. */
#define TOPK(dtype, type, GREATER)                                                                 \
    static inline bool better_##dtype(const type *x, int64_t step, bool smallest, int64_t i,       \
                                      int64_t j)                                                   \
    {                                                                                              \
        const type a = x[i * step], b = x[j * step];                                               \
        const bool over = GREATER(a, b), under = GREATER(b, a);                                    \
        return over == under ? i < j : smallest ? under : over;                                    \
    }                                                                                              \
    static void sift_##dtype(const type *x, int64_t step, bool smallest, int64_t *heap, int64_t n, \
                             int64_t at)                                                           \
    {                                                                                              \
        const int64_t moving = heap[at];                                                           \
        for (int64_t child; (child = 2 * at + 1) < n; at = child) {                                \
            if (child + 1 < n && better_##dtype(x, step, smallest, heap[child], heap[child + 1]))  \
                child++;                                                                           \
            if (!better_##dtype(x, step, smallest, moving, heap[child]))                           \
                break;                                                                             \
            heap[at] = heap[child];                                                                \
        }                                                                                          \
        heap[at] = moving;                                                                         \
    }                                                                                              \
    static void best_##dtype(const struct rdl__k_topk *p, const void *vx, int64_t *heap,           \
                             void *vvalues, int64_t *indices)                                      \
    {                                                                                              \
        const type *x = vx;                                                                        \
        type *values = vvalues;                                                                    \
        const int64_t step = p->inner;                                                             \
        for (int64_t i = 0; i < p->k; i++)                                                         \
            heap[i] = i;                                                                           \
        for (int64_t i = p->k / 2 - 1; i >= 0; i--)                                                \
            sift_##dtype(x, step, p->smallest, heap, p->k, i);                                     \
        for (int64_t i = p->k; i < p->axis; i++)                                                   \
            if (better_##dtype(x, step, p->smallest, i, heap[0])) {                                \
                heap[0] = i;                                                                       \
                sift_##dtype(x, step, p->smallest, heap, p->k, 0);                                 \
            }                                                                                      \
        for (int64_t n = p->k - 1; n >= 0; n--) {                                                  \
            const int64_t worst = heap[0];                                                         \
            heap[0] = heap[n];                                                                     \
            sift_##dtype(x, step, p->smallest, heap, n, 0);                                        \
            if (values != NULL)                                                                    \
                values[n * step] = x[worst * step];                                                \
            if (indices != NULL)                                                                   \
                indices[n * step] = worst;                                                         \
        }                                                                                          \
    }
#define GREATER_FLOAT(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))
#define GREATER_INTEGER(a, b) ((a) > (b))
#define TOPK_FLOAT(dtype, type) TOPK(dtype, type, GREATER_FLOAT)
#define TOPK_INTEGER(dtype, type, wide) TOPK(dtype, type, GREATER_INTEGER)
REF_FLOATS(TOPK_FLOAT)
REF_SIGNED(TOPK_INTEGER)
REF_UNSIGNED(TOPK_INTEGER)

typedef void (*best_fn)(const struct rdl__k_topk *p, const void *x, int64_t *heap, void *values,
                        int64_t *indices);
#define BEST_FLOAT(dtype, type) [RDL_##dtype] = best_##dtype,
#define BEST_INTEGER(dtype, type, wide) [RDL_##dtype] = best_##dtype,
static const best_fn bests[RDL_BF16 + 1] = {REF_FLOATS(BEST_FLOAT) REF_SIGNED(BEST_INTEGER)
                                                REF_UNSIGNED(BEST_INTEGER)};

bool rdl__k_topk_takes(enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && bests[dtype] != NULL;
}

/* NOLINTEND(bugprone-macro-parentheses) */

enum rdl_status rdl__k_topk(const struct rdl__kernel_call *call)
{
    const struct rdl__k_topk *p = call->params;
    const int64_t size = (int64_t)rdl_dtype_size(p->dtype), lines = p->outer * p->inner;
    int64_t end = (int64_t)call->tile_end * p->tile_lines;
    end = end < lines ? end : lines;
    for (int64_t line = (int64_t)call->tile_begin * p->tile_lines; line < end; line++) {
        const int64_t o = line / p->inner, i = line % p->inner;
        const int64_t to = o * p->k * p->inner + i;
        bests[p->dtype](p, (const char *)call->bind[0] + (o * p->axis * p->inner + i) * size,
                        call->scratch,
                        call->bind[1] != NULL ? (char *)call->bind[1] + to * size : NULL,
                        call->bind[2] != NULL ? (int64_t *)call->bind[2] + to : NULL);
    }
    return RDL_OK;
}

/* ------------------------------------------------------------------------- one hot, trilu, reverse */

size_t rdl__k_one_hot_plan(struct rdl__k_one_hot *p)
{
    const int64_t each = p->depth * p->inner;
    p->tile_outer = each < TILE_ELEMS ? TILE_ELEMS / (each + 1) + 1 : 1;
    return (size_t)((p->outer + p->tile_outer - 1) / p->tile_outer);
}

enum rdl_status rdl__k_one_hot(const struct rdl__kernel_call *call)
{
    const struct rdl__k_one_hot *p = call->params;
    const size_t size = (size_t)p->elem_bytes;
    const char *off = call->bind[1], *on = off + size;
    int64_t end = (int64_t)call->tile_end * p->tile_outer;
    end = end < p->outer ? end : p->outer;
    for (int64_t o = (int64_t)call->tile_begin * p->tile_outer; o < end; o++) {
        const int64_t *indices = (const int64_t *)call->bind[0] + o * p->inner;
        char *out = (char *)call->bind[2] + (size_t)(o * p->depth * p->inner) * size;
        rdl__k_move_run(p->elem_bytes, off, 0, out, 1, p->depth * p->inner);
        for (int64_t i = 0; i < p->inner; i++) {
            const int64_t at = indices[i] < 0 ? indices[i] + p->depth : indices[i];
            if (at >= 0 && at < p->depth)
                memcpy(out + (size_t)(at * p->inner + i) * size, on, size);
        }
    }
    return RDL_OK;
}

size_t rdl__k_trilu_plan(struct rdl__k_trilu *p)
{
    const int64_t rows = p->matrices * p->rows;
    p->tile_rows = p->cols < TILE_ELEMS ? TILE_ELEMS / (p->cols + 1) + 1 : 1;
    return (size_t)((rows + p->tile_rows - 1) / p->tile_rows);
}

enum rdl_status rdl__k_trilu(const struct rdl__kernel_call *call)
{
    const struct rdl__k_trilu *p = call->params;
    const size_t size = (size_t)p->elem_bytes;
    const int64_t k = call->bind[1] != NULL ? *(const int64_t *)call->bind[1] : 0;
    const int64_t rows = p->matrices * p->rows;
    int64_t end = (int64_t)call->tile_end * p->tile_rows;
    end = end < rows ? end : rows;
    for (int64_t line = (int64_t)call->tile_begin * p->tile_rows; line < end; line++) {
        /* Columns [0, edge) lie below the diagonal that the triangle begins at, or end with it. */
        const int64_t r = line % p->rows, skip = p->upper ? r : r + 1;
        const int64_t edge = k < -skip ? 0 : k > p->cols - skip ? p->cols : skip + k;
        const int64_t from = p->upper ? edge : 0, to = p->upper ? p->cols : edge;
        const char *x = (const char *)call->bind[0] + (size_t)(line * p->cols) * size;
        char *out = (char *)call->bind[2] + (size_t)(line * p->cols) * size;
        memset(out, 0, (size_t)from * size);
        memcpy(out + (size_t)from * size, x + (size_t)from * size, (size_t)(to - from) * size);
        memset(out + (size_t)to * size, 0, (size_t)(p->cols - to) * size);
    }
    return RDL_OK;
}

enum rdl_status rdl__k_reverse(const struct rdl__kernel_call *call)
{
    const struct rdl__k_reverse *p = call->params;
    const size_t row = (size_t)p->inner * (size_t)p->elem_bytes;
    const int64_t *lengths = call->bind[1];
    const int64_t second = p->time_first ? p->batch : p->time;
    for (int64_t a = (int64_t)call->tile_begin; a < (int64_t)call->tile_end; a++)
        for (int64_t b = 0; b < second; b++) {
            const int64_t t = p->time_first ? a : b, n = p->time_first ? b : a;
            if (lengths[n] < 0 || lengths[n] > p->time)
                return RDL_ERR_RUNTIME;
            const int64_t from = t < lengths[n] ? lengths[n] - 1 - t : t;
            const int64_t at = p->time_first ? from * p->batch + n : n * p->time + from;
            memcpy((char *)call->bind[2] + (size_t)(a * second + b) * row,
                   (const char *)call->bind[0] + (size_t)at * row, row);
        }
    return RDL_OK;
}
