/*
 * Moving elements. No state; any thread.
 */
#include "kernels/move.h"

#include <string.h>

#define TILE_ELEMS 16384

size_t rdl__k_move_plan(struct rdl__k_move *params)
{
    params->count = 1;
    for (int32_t i = 0; i < params->walk.rank; i++)
        params->count *= params->walk.dims[i];
    rdl__k_walk_merge(&params->walk);
    params->tile_elems = TILE_ELEMS;
    return (size_t)((params->count + TILE_ELEMS - 1) / TILE_ELEMS);
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

enum rdl_status rdl__k_move(const struct rdl__kernel_call *call)
{
    const struct rdl__k_move *p = call->params;
    const char *src = (const char *)call->bind[0] + p->src_offset * p->elem_bytes;
    char *dst = (char *)call->bind[1] + p->dst_offset * p->elem_bytes;
    const int32_t last = p->walk.rank - 1;
    const int64_t ss = p->walk.stride[0][last], sd = p->walk.stride[1][last];
    int64_t at = (int64_t)call->tile_begin * p->tile_elems;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    struct rdl__k_walk_at walk;
    int64_t place = rdl__k_walk_seek(&p->walk, at, &walk);
    while (at < end) {
        int64_t n = p->walk.dims[last] - place;
        n = n < end - at ? n : end - at;
        rdl__k_move_run(p->elem_bytes, src + (walk.offset[0] + place * ss) * p->elem_bytes, ss,
                        dst + (walk.offset[1] + place * sd) * p->elem_bytes, sd, n);
        at += n;
        place = 0;
        rdl__k_walk_next(&p->walk, &walk);
    }
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
        int64_t index =
            p->wide ? ((const int64_t *)call->bind[1])[i] : ((const int32_t *)call->bind[1])[i];
        index += index < 0 ? p->axis : 0;
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
