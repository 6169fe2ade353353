/*
 * Moving elements. No state; any thread.
 */
#include "kernels/move.h"

#include <string.h>

#define TILE_ELEMS 16384

/* A block of a transposition: so many elements along each side, and blocks a tile. */
#define BLOCK_SIDE 32
#define TILE_BLOCKS (TILE_ELEMS / (BLOCK_SIDE * BLOCK_SIDE))

static void swap_dims(struct rdl__k_walk *walk, int32_t i, int32_t j)
{
    const int64_t dim = walk->dims[i];
    walk->dims[i] = walk->dims[j];
    walk->dims[j] = dim;
    for (int o = 0; o < RDL__K_WALK_OPERANDS; o++) {
        const int64_t stride = walk->stride[o][i];
        walk->stride[o][i] = walk->stride[o][j];
        walk->stride[o][j] = stride;
    }
}

/* Finds the dimension that runs through the source and puts it before the last, which runs through the
 * destination. False if this is no transposition. */
static bool arrange_transposed(struct rdl__k_walk *walk)
{
    const int32_t last = walk->rank - 1;
    if (walk->stride[1][last] != 1 || walk->stride[0][last] == 1 || walk->stride[0][last] == 0)
        return false;
    for (int32_t d = 0; d < last; d++)
        if (walk->stride[0][d] == 1) {
            swap_dims(walk, d, last - 1);
            return true;
        }
    return false;
}

size_t rdl__k_move_plan(struct rdl__k_move *params)
{
    struct rdl__k_walk *walk = &params->walk;
    params->count = 1;
    for (int32_t i = 0; i < walk->rank; i++)
        params->count *= walk->dims[i];
    rdl__k_walk_merge(walk);
    params->tile_elems = TILE_ELEMS;
    params->transposed = params->count > 0 && arrange_transposed(walk);
    if (!params->transposed)
        return (size_t)((params->count + TILE_ELEMS - 1) / TILE_ELEMS);
    int64_t blocks = params->count / walk->dims[walk->rank - 1] / walk->dims[walk->rank - 2];
    for (int i = 0; i < 2; i++) {
        params->blocks[i] = (walk->dims[walk->rank - 2 + i] + BLOCK_SIDE - 1) / BLOCK_SIDE;
        blocks *= params->blocks[i];
    }
    params->tile_elems = TILE_BLOCKS;
    return (size_t)((blocks + TILE_BLOCKS - 1) / TILE_BLOCKS);
}

#define MOVE_RUN(bits)                                                                             \
    static void run_##bits(const void *vs, int64_t ss, void *vd, int64_t sd, int64_t n)            \
    {                                                                                              \
        const uint##bits##_t *s = vs;                                                              \
        uint##bits##_t *d = vd;                                                                    \
        if (ss == 0 && sd == 1) {                                                                  \
            const uint##bits##_t value = *s;                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                d[i] = value;                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                            \
            d[i * sd] = s[i * ss];                                                                 \
    }
MOVE_RUN(8)
MOVE_RUN(16)
MOVE_RUN(32)
MOVE_RUN(64)

void rdl__k_move_run(int32_t bytes, const void *s, int64_t ss, void *d, int64_t sd, int64_t n)
{
    if (ss == 1 && sd == 1)
        memcpy(d, s, (size_t)n * (size_t)bytes);
    else if (bytes == 1)
        run_8(s, ss, d, sd, n);
    else if (bytes == 2)
        run_16(s, ss, d, sd, n);
    else if (bytes == 4)
        run_32(s, ss, d, sd, n);
    else
        run_64(s, ss, d, sd, n);
}

/* Elements [na, nb] of a block: they follow each other along a in the source, ss apart along b, and along
 * b in the destination, sd apart along a. The longer side is the inner loop. */
#define MOVE_BLOCK(bits)                                                                           \
    static void block_##bits(const void *vs, int64_t ss, void *vd, int64_t sd, int64_t na,         \
                             int64_t nb)                                                           \
    {                                                                                              \
        const uint##bits##_t *s = vs;                                                              \
        uint##bits##_t *d = vd;                                                                    \
        if (na > nb) {                                                                             \
            for (int64_t b = 0; b < nb; b++)                                                       \
                for (int64_t a = 0; a < na; a++)                                                   \
                    d[a * sd + b] = s[b * ss + a];                                                 \
        } else {                                                                                   \
            for (int64_t a = 0; a < na; a++)                                                       \
                for (int64_t b = 0; b < nb; b++)                                                   \
                    d[a * sd + b] = s[b * ss + a];                                                 \
        }                                                                                          \
    }
MOVE_BLOCK(8)
MOVE_BLOCK(16)
MOVE_BLOCK(32)
MOVE_BLOCK(64)

typedef void (*block_fn)(const void *s, int64_t ss, void *d, int64_t sd, int64_t na, int64_t nb);

static int64_t block_length(int64_t dim, int64_t block)
{
    const int64_t left = dim - block * BLOCK_SIDE;
    return left < BLOCK_SIDE ? left : BLOCK_SIDE;
}

static enum rdl_status move_transposed(const struct rdl__kernel_call *call)
{
    const struct rdl__k_move *p = call->params;
    const struct rdl__k_walk *w = &p->walk;
    const int32_t a = w->rank - 2, b = w->rank - 1;
    const block_fn block = p->elem_bytes == 1   ? block_8
                           : p->elem_bytes == 2 ? block_16
                           : p->elem_bytes == 4 ? block_32
                                                : block_64;
    const int64_t area = p->blocks[0] * p->blocks[1];
    const int64_t blocks = p->count / w->dims[a] / w->dims[b] * area;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < blocks ? end : blocks;
    for (int64_t at = (int64_t)call->tile_begin * p->tile_elems; at < end; at++) {
        const int64_t ba = at % area / p->blocks[1], bb = at % p->blocks[1];
        int64_t from = p->src_offset + ba * BLOCK_SIDE + bb * BLOCK_SIDE * w->stride[0][b];
        int64_t to = p->dst_offset + ba * BLOCK_SIDE * w->stride[1][a] + bb * BLOCK_SIDE;
        int64_t left = at / area;
        for (int32_t d = a - 1; d >= 0; d--) {
            from += left % w->dims[d] * w->stride[0][d];
            to += left % w->dims[d] * w->stride[1][d];
            left /= w->dims[d];
        }
        block((const char *)call->bind[0] + from * p->elem_bytes, w->stride[0][b],
              (char *)call->bind[1] + to * p->elem_bytes, w->stride[1][a],
              block_length(w->dims[a], ba), block_length(w->dims[b], bb));
    }
    return RDL_OK;
}

enum rdl_status rdl__k_move(const struct rdl__kernel_call *call)
{
    const struct rdl__k_move *p = call->params;
    if (p->transposed)
        return move_transposed(call);
    const char *src = (const char *)call->bind[0] + p->src_offset * p->elem_bytes;
    char *dst = (char *)call->bind[1] + p->dst_offset * p->elem_bytes;
    const int32_t last = p->walk.rank - 1;
    const int64_t ss = p->walk.stride[0][last], sd = p->walk.stride[1][last];
    for (struct rdl__k_run run = rdl__k_run_first(&p->walk, call, p->tile_elems, p->count);
         run.n > 0; rdl__k_run_next(&p->walk, &run))
        rdl__k_move_run(p->elem_bytes, src + run.offset[0] * p->elem_bytes, ss,
                        dst + run.offset[1] * p->elem_bytes, sd, run.n);
    return RDL_OK;
}

size_t rdl__k_gather_plan(struct rdl__k_gather *params)
{
    const int64_t rows = params->outer * params->count;
    params->tile_rows = params->inner < TILE_ELEMS ? TILE_ELEMS / (params->inner + 1) + 1 : 1;
    return (size_t)((rows + params->tile_rows - 1) / params->tile_rows);
}

/* Copies one row; a length that the caller knows becomes a move of a register. */
static inline void copy_row(char *out, const char *row, size_t bytes)
{
    if (bytes == 4)
        memcpy(out, row, 4);
    else if (bytes == 8)
        memcpy(out, row, 8);
    else
        memcpy(out, row, bytes);
}

/* The place on the axis that an index means; outside of the axis if it means none. */
static inline int64_t gather_place(const struct rdl__k_gather *p, int64_t index)
{
    if (!p->has_default)
        return index + (index < 0 ? p->axis : 0);
    /* Unsigned: no difference overflows, and what is below the first is far above the last. */
    const uint64_t at = (uint64_t)index - (uint64_t)p->first, last = (uint64_t)p->axis - 1;
    return (int64_t)(at < last ? at : last);
}

enum rdl_status rdl__k_gather(const struct rdl__kernel_call *call)
{
    const struct rdl__k_gather *p = call->params;
    const size_t row = (size_t)p->inner * (size_t)p->elem_bytes;
    const int64_t rows = p->outer * p->count, at = (int64_t)call->tile_begin * p->tile_rows;
    int64_t end = (int64_t)call->tile_end * p->tile_rows, i = at % p->count;
    end = end < rows ? end : rows;
    const char *data = (const char *)call->bind[0] + (size_t)(at / p->count * p->axis) * row;
    char *out = (char *)call->bind[2] + (size_t)at * row;
    for (int64_t r = at; r < end; r++, out += row) {
        const int64_t index = gather_place(p, p->wide ? ((const int64_t *)call->bind[1])[i]
                                                      : ((const int32_t *)call->bind[1])[i]);
        if (index < 0 || index >= p->axis)
            return RDL_ERR_RUNTIME;
        copy_row(out, data + (size_t)index * row, row);
        if (++i == p->count) {
            i = 0;
            data += (size_t)p->axis * row;
        }
    }
    return RDL_OK;
}

enum rdl_status rdl__k_store(const struct rdl__kernel_call *call)
{
    const struct rdl__k_store *p = call->params;
    memcpy(call->bind[0], p->bytes, p->size_bytes);
    return RDL_OK;
}

size_t rdl__k_fill_plan(struct rdl__k_fill *params, int64_t count)
{
    params->count = count;
    params->tile_elems = TILE_ELEMS;
    return (size_t)((count + TILE_ELEMS - 1) / TILE_ELEMS);
}

enum rdl_status rdl__k_fill(const struct rdl__kernel_call *call)
{
    const struct rdl__k_fill *p = call->params;
    const int64_t at = (int64_t)call->tile_begin * p->tile_elems;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    rdl__k_move_run(p->elem_bytes, p->value, 0, (char *)call->bind[0] + at * p->elem_bytes, 1,
                    end - at);
    return RDL_OK;
}
