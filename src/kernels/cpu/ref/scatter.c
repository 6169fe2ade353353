/*
 * Reading and writing where indices say. No state; any thread.
 */
#include "kernels/scatter.h"

#include "kernels/cpu/ref/types.h"

#include <string.h>

#define TILE_ELEMS 16384

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* --------------------------------------------------------------------------------------- updates */

typedef void (*update_fn)(void *to, const void *from, int64_t n);

#define SET(bits)                                                                                  \
    static void set_##bits(void *to, const void *from, int64_t n)                                  \
    {                                                                                              \
        if (n == 1)                                                                                \
            *(uint##bits##_t *)to = *(const uint##bits##_t *)from;                                 \
        else                                                                                       \
            memcpy(to, from, (size_t)n * sizeof(uint##bits##_t));                                  \
    }
SET(8)
SET(16)
SET(32)
SET(64)

#define UPDATE(name, type, expression)                                                             \
    static void name(void *to, const void *from, int64_t n)                                        \
    {                                                                                              \
        type *at = to;                                                                             \
        const type *more = from;                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type a = at[i], b = more[i];                                                     \
            at[i] = (type)(expression);                                                            \
        }                                                                                          \
    }
/* A NaN on either side stays. */
#define UPDATES_OF_FLOAT(dtype, type)                                                              \
    UPDATE(add_##dtype, type, a + b)                                                               \
    UPDATE(mul_##dtype, type, a *b)                                                                \
    UPDATE(max_##dtype, type, a > b || a != a ? a : b)                                             \
    UPDATE(min_##dtype, type, a < b || a != a ? a : b)
#define UPDATES_OF_INTEGER(dtype, type, wide)                                                      \
    UPDATE(add_##dtype, type, (wide)a + (wide)b)                                                   \
    UPDATE(mul_##dtype, type, (wide)a *(wide)b)                                                    \
    UPDATE(max_##dtype, type, a > b ? a : b)                                                       \
    UPDATE(min_##dtype, type, a < b ? a : b)
REF_FLOATS(UPDATES_OF_FLOAT)
REF_SIGNED(UPDATES_OF_INTEGER)
REF_UNSIGNED(UPDATES_OF_INTEGER)

#define ROW(dtype)                                                                                 \
    [RDL_##dtype] = {[RDL__K_SCATTER_ADD] = add_##dtype,                                           \
                     [RDL__K_SCATTER_MUL] = mul_##dtype,                                           \
                     [RDL__K_SCATTER_MAX] = max_##dtype,                                           \
                     [RDL__K_SCATTER_MIN] = min_##dtype},
#define ROW_OF_FLOAT(dtype, type) ROW(dtype)
#define ROW_OF_INTEGER(dtype, type, wide) ROW(dtype)
static const update_fn updates[RDL_BF16 + 1][RDL__K_SCATTER_MIN + 1] = {
    REF_FLOATS(ROW_OF_FLOAT) REF_SIGNED(ROW_OF_INTEGER) REF_UNSIGNED(ROW_OF_INTEGER)};

bool rdl__k_scatter_takes(enum rdl__k_scatter_how how, enum rdl_dtype dtype)
{
    return how == RDL__K_SCATTER_SET ? dtype != RDL_STRING
                                     : (unsigned)dtype <= RDL_BF16 && updates[dtype][how] != NULL;
}

static update_fn update_of(enum rdl__k_scatter_how how, enum rdl_dtype dtype)
{
    const size_t size = rdl_dtype_size(dtype);
    if (how != RDL__K_SCATTER_SET)
        return updates[dtype][how];
    return size == 1 ? set_8 : size == 2 ? set_16 : size == 4 ? set_32 : set_64;
}

/* NOLINTEND(bugprone-macro-parentheses) */

/* -------------------------------------------------------------------------------------- elements */

size_t rdl__k_gather_elements_plan(struct rdl__k_elements *p)
{
    p->count = 1;
    for (int32_t d = 0; d < p->rank; d++)
        p->count *= p->dims[d];
    p->tile_elems = TILE_ELEMS;
    return (size_t)((p->count + TILE_ELEMS - 1) / TILE_ELEMS);
}

/* Data elements from the first to where a row of indices begins, its axis at 0. */
static int64_t row_start(const struct rdl__k_elements *p, const int64_t *index)
{
    int64_t start = 0;
    for (int32_t d = 0; d < p->rank - 1; d++)
        start += d == p->axis ? 0 : index[d] * p->stride[d];
    return start;
}

enum rdl_status rdl__k_gather_elements(const struct rdl__kernel_call *call)
{
    const struct rdl__k_elements *p = call->params;
    const size_t size = rdl_dtype_size(p->dtype);
    const update_fn set = update_of(RDL__K_SCATTER_SET, p->dtype);
    const int32_t last = p->rank - 1;
    const int64_t row = p->dims[last], step = p->axis == last ? 0 : 1;
    int64_t at = (int64_t)call->tile_begin * p->tile_elems, index[RDL_MAX_RANK] = {0};
    int64_t end = (int64_t)call->tile_end * p->tile_elems, place = at % row;
    end = end < p->count ? end : p->count;
    for (int64_t d = last - 1, left = at / row; d >= 0; d--) {
        index[d] = left % p->dims[d];
        left /= p->dims[d];
    }
    while (at < end) {
        const int64_t start = row_start(p, index);
        for (; place < row && at < end; place++, at++) {
            int64_t i = rdl__k_index(call->bind[1], p->wide, at);
            i += i < 0 ? p->axis_dim : 0;
            if (i < 0 || i >= p->axis_dim)
                return RDL_ERR_RUNTIME;
            const int64_t from = start + place * step + i * p->stride[p->axis];
            set((char *)call->bind[2] + (size_t)at * size,
                (const char *)call->bind[0] + (size_t)from * size, 1);
        }
        place = 0;
        for (int32_t d = last - 1; d >= 0 && ++index[d] == p->dims[d]; d--)
            index[d] = 0;
    }
    return RDL_OK;
}

size_t rdl__k_scatter_elements_plan(struct rdl__k_elements *p)
{
    p->count = 1;
    p->split = -1;
    for (int32_t d = p->rank - 1; d >= 0; d--) {
        p->count *= p->dims[d];
        if (d != p->axis && p->dims[d] > 1)
            p->split = d;
    }
    if (p->count == 0)
        return 0;
    p->tile_elems = 1;
    if (p->split < 0)
        return 1;
    const int64_t each = p->count / p->dims[p->split]; /* elements of one coordinate */
    p->tile_elems = each < TILE_ELEMS ? TILE_ELEMS / each : 1;
    return (size_t)((p->dims[p->split] + p->tile_elems - 1) / p->tile_elems);
}

/* Moves index to the next row of those whose coordinates lie in [low, high); false behind the last. */
static bool next_row(const struct rdl__k_elements *p, int64_t *index, const int64_t *low,
                     const int64_t *high)
{
    for (int32_t d = p->rank - 2; d >= 0; d--) {
        if (++index[d] < high[d])
            return true;
        index[d] = low[d];
    }
    return false;
}

enum rdl_status rdl__k_scatter_elements(const struct rdl__kernel_call *call)
{
    const struct rdl__k_elements *p = call->params;
    const size_t size = rdl_dtype_size(p->dtype);
    const update_fn update = update_of(p->how, p->dtype);
    const int32_t last = p->rank - 1;
    const int64_t step = p->axis == last ? 0 : 1;
    int64_t low[RDL_MAX_RANK] = {0}, high[RDL_MAX_RANK], index[RDL_MAX_RANK];
    memcpy(high, p->dims, sizeof high);
    if (p->split >= 0) {
        const int64_t end = (int64_t)call->tile_end * p->tile_elems;
        low[p->split] = (int64_t)call->tile_begin * p->tile_elems;
        high[p->split] = end < p->dims[p->split] ? end : p->dims[p->split];
    }
    memcpy(index, low, sizeof index);
    do {
        const int64_t start = row_start(p, index);
        int64_t at = 0; /* the row's number among the indices */
        for (int32_t d = 0; d < last; d++)
            at = at * p->dims[d] + index[d];
        for (int64_t j = low[last]; j < high[last]; j++) {
            const int64_t e = at * p->dims[last] + j;
            int64_t i = rdl__k_index(call->bind[0], p->wide, e);
            i += i < 0 ? p->axis_dim : 0;
            if (i < 0 || i >= p->axis_dim)
                return RDL_ERR_RUNTIME;
            const int64_t to = start + j * step + i * p->stride[p->axis];
            update((char *)call->bind[2] + (size_t)to * size,
                   (const char *)call->bind[1] + (size_t)e * size, 1);
        }
    } while (next_row(p, index, low, high));
    return RDL_OK;
}

/* ---------------------------------------------------------------------------------------- slices */

size_t rdl__k_gather_nd_plan(struct rdl__k_slices *p)
{
    const int64_t rows = p->batches * p->batch_rows;
    p->tile_rows = p->inner < TILE_ELEMS ? TILE_ELEMS / (p->inner + p->depth) + 1 : 1;
    return (size_t)((rows + p->tile_rows - 1) / p->tile_rows);
}

size_t rdl__k_scatter_nd_plan(struct rdl__k_slices *p)
{
    const int64_t rows = p->batches * p->batch_rows;
    p->tile_inner = rows < TILE_ELEMS ? TILE_ELEMS / (rows + 1) + 64 : 64;
    return (size_t)((p->inner + p->tile_inner - 1) / p->tile_inner);
}

/* First element of the slice that tuple `row` names; -1 if it is none. */
static int64_t slice_start(const struct rdl__k_slices *p, const int64_t *indices, int64_t row)
{
    const int64_t *tuple = indices + row * p->depth;
    int64_t start = row / p->batch_rows * p->batch_elems;
    for (int32_t k = 0; k < p->depth; k++) {
        const int64_t i = tuple[k] + (tuple[k] < 0 ? p->dims[k] : 0);
        if (i < 0 || i >= p->dims[k])
            return -1;
        start += i * p->stride[k];
    }
    return start;
}

enum rdl_status rdl__k_gather_nd(const struct rdl__kernel_call *call)
{
    const struct rdl__k_slices *p = call->params;
    const size_t size = rdl_dtype_size(p->dtype), bytes = (size_t)p->inner * size;
    const int64_t rows = p->batches * p->batch_rows;
    int64_t end = (int64_t)call->tile_end * p->tile_rows;
    end = end < rows ? end : rows;
    for (int64_t row = (int64_t)call->tile_begin * p->tile_rows; row < end; row++) {
        const int64_t start = slice_start(p, call->bind[1], row);
        if (start < 0)
            return RDL_ERR_RUNTIME;
        memcpy((char *)call->bind[2] + (size_t)row * bytes,
               (const char *)call->bind[0] + (size_t)start * size, bytes);
    }
    return RDL_OK;
}

enum rdl_status rdl__k_scatter_nd(const struct rdl__kernel_call *call)
{
    const struct rdl__k_slices *p = call->params;
    const size_t size = rdl_dtype_size(p->dtype);
    const update_fn update = update_of(p->how, p->dtype);
    const int64_t rows = p->batches * p->batch_rows;
    const int64_t at = (int64_t)call->tile_begin * p->tile_inner;
    int64_t end = (int64_t)call->tile_end * p->tile_inner;
    end = end < p->inner ? end : p->inner;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t start = slice_start(p, call->bind[0], row);
        if (start < 0)
            return RDL_ERR_RUNTIME;
        update((char *)call->bind[2] + (size_t)(start + at) * size,
               (const char *)call->bind[1] + (size_t)(row * p->inner + at) * size, end - at);
    }
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------------- rows */

#define ROWS_TILE_ELEMS 16384

size_t rdl__k_scatter_rows_plan(struct rdl__k_scatter_rows *params)
{
    const int64_t fit = params->inner > 0 ? ROWS_TILE_ELEMS / params->inner : ROWS_TILE_ELEMS;
    params->tile_rows = fit < 1 ? 1 : fit;
    const int64_t count = params->batch * params->planes * params->rows;
    return (size_t)((count + params->tile_rows - 1) / params->tile_rows);
}

enum rdl_status rdl__k_scatter_rows(const struct rdl__kernel_call *call)
{
    const struct rdl__k_scatter_rows *p = call->params;
    const size_t row_bytes = (size_t)p->inner * (size_t)p->elem_bytes;
    const int64_t count = p->batch * p->planes * p->rows;
    int64_t end = (int64_t)call->tile_end * p->tile_rows;
    end = end < count ? end : count;
    for (int64_t r = (int64_t)call->tile_begin * p->tile_rows; r < end; r++) {
        const int64_t plane = r / p->rows, i = r % p->rows;
        const int64_t *starts = call->bind[1];
        int64_t start = starts != NULL ? starts[plane / p->planes] : 0;
        if (p->circular && start >= 0)
            start %= p->axis;
        if (start < 0 || start >= p->axis || (!p->circular && i >= p->axis - start))
            return RDL_ERR_RUNTIME;
        memcpy((char *)call->bind[2] +
                   (size_t)(plane * p->axis + (start + i) % p->axis) * row_bytes,
               (const char *)call->bind[0] + (size_t)r * row_bytes, row_bytes);
    }
    return RDL_OK;
}
