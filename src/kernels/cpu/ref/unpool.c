/*
 * MaxUnpool. Every tile looks at all indices and stores those that fall into it. No state; any thread.
 */
#include "kernels/pool.h"

#include <string.h>

/* Elements of y in a tile. */
#define TILE_ELEMS 65536

size_t rdl__k_unpool_plan(struct rdl__k_unpool *p)
{
    const size_t count = rdl__shape_count(&p->out);
    p->tile_elems = TILE_ELEMS;
    return (count + TILE_ELEMS - 1) / TILE_ELEMS;
}

/* Where an element of dims lies in y; -1: outside. */
static int64_t place_of(const struct rdl__k_unpool *p, int64_t index)
{
    int64_t place = 0, stride = 1;
    for (int32_t d = p->dims.rank - 1; d >= 0; d--) {
        const int64_t i = index % p->dims.dims[d];
        index /= p->dims.dims[d];
        if (i >= p->out.dims[d])
            return -1;
        place += i * stride;
        stride *= p->out.dims[d];
    }
    return place;
}

enum rdl_status rdl__k_unpool(const struct rdl__kernel_call *call)
{
    const struct rdl__k_unpool *p = call->params;
    const int64_t total = (int64_t)rdl__shape_count(&p->dims);
    const int64_t out = (int64_t)rdl__shape_count(&p->out);
    const size_t size = (size_t)p->elem_bytes;
    const char *x = call->bind[0];
    const int64_t *indices = call->bind[1];
    char *y = call->bind[2];
    const int64_t begin = (int64_t)call->tile_begin * p->tile_elems;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < out ? end : out;
    memset(y + (size_t)begin * size, 0, (size_t)(end - begin) * size);
    for (int64_t i = 0; i < p->count; i++) {
        if (indices[i] < 0 || indices[i] >= total)
            return RDL_ERR_RUNTIME;
        const int64_t place = place_of(p, indices[i]);
        if (place >= begin && place < end)
            memcpy(y + (size_t)place * size, x + (size_t)i * size, size);
    }
    return RDL_OK;
}
