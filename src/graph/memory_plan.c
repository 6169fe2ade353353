/*
 * The static memory planner; see memory_plan.h.
 */
#include "graph/memory_plan.h"

#include "base/mem.h"
#include "base/size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Largest first; equal ones in the order of their lives, then of the caller. */
static int by_size(const void *left, const void *right)
{
    const struct rdl__memory_buffer *a = *(struct rdl__memory_buffer *const *)left;
    const struct rdl__memory_buffer *b = *(struct rdl__memory_buffer *const *)right;
    if (a->size_bytes != b->size_bytes)
        return a->size_bytes > b->size_bytes ? -1 : 1;
    if (a->first_use != b->first_use)
        return a->first_use < b->first_use ? -1 : 1;
    return a < b ? -1 : 1;
}

/* The planner at work: buffers placed so far, by rising offset. */
struct placed {
    struct rdl__memory_buffer **list; /* [n] */
    uint32_t n;
};

/* Gives buffer the smallest gap that it fits, or the first place above all that live with it. False if
 * its end does not fit into size_t; else *end is set. */
static bool place(const struct placed *placed, struct rdl__memory_buffer *buffer, size_t *end)
{
    size_t reached = 0, best = SIZE_MAX, best_gap = SIZE_MAX, padded;
    for (uint32_t i = 0; i < placed->n; i++) {
        const struct rdl__memory_buffer *other = placed->list[i];
        if (other->last_use < buffer->first_use || other->first_use > buffer->last_use)
            continue;
        if (other->offset_bytes > reached) {
            const size_t gap = other->offset_bytes - reached;
            if (gap >= buffer->size_bytes && gap < best_gap) {
                best = reached;
                best_gap = gap;
            }
        }
        /* Ends of placed buffers were checked when they were placed, padding included. */
        const size_t other_end =
            (other->offset_bytes + other->size_bytes + RDL_ALIGN - 1) & ~(size_t)(RDL_ALIGN - 1);
        if (other_end > reached)
            reached = other_end;
    }
    buffer->offset_bytes = best == SIZE_MAX ? reached : best;
    return rdl__align_size(buffer->size_bytes, RDL_ALIGN, &padded) &&
           rdl__add_size(buffer->offset_bytes, padded, end);
}

/* Enters a placed buffer; among equal offsets the order does not matter. */
static void enter(struct placed *placed, struct rdl__memory_buffer *buffer)
{
    uint32_t low = 0, high = placed->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (placed->list[middle]->offset_bytes <= buffer->offset_bytes)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&placed->list[low + 1], &placed->list[low], (placed->n - low) * sizeof *placed->list);
    placed->list[low] = buffer;
    placed->n++;
}

enum rdl_status rdl__memory_plan(struct rdl__memory_buffer *buffers, uint32_t n,
                                 size_t *total_bytes, struct rdl_error *error)
{
    *total_bytes = 0;
    if (n == 0)
        return RDL_OK;
    struct rdl__memory_buffer **order = rdl__alloc_zeroed(n, sizeof *order);
    struct placed placed = {.list = rdl__alloc_zeroed(n, sizeof *placed.list)};
    enum rdl_status status = RDL_OK;
    if (order == NULL || placed.list == NULL) {
        status = rdl__fail_memory(error, "memory plan", n * sizeof *order);
        goto done;
    }
    for (uint32_t i = 0; i < n; i++) {
        RDL_ASSERT(buffers[i].first_use <= buffers[i].last_use);
        order[i] = &buffers[i];
    }
    qsort(order, n, sizeof *order, by_size);
    for (uint32_t i = 0; i < n && status == RDL_OK; i++) {
        size_t end;
        order[i]->offset_bytes = 0;
        if (order[i]->size_bytes == 0)
            break; /* the rest are empty too */
        if (!place(&placed, order[i], &end)) {
            status = rdl__fail(error, RDL_ERR_OVERFLOW,
                               "memory plan: a buffer of %zu bytes beside those that live with it "
                               "does not fit into the address space",
                               order[i]->size_bytes);
            break;
        }
        enter(&placed, order[i]);
        if (end > *total_bytes)
            *total_bytes = end;
    }
    for (uint32_t i = placed.n; i < n; i++)
        order[i]->offset_bytes = 0;
done:
    rdl__free(placed.list);
    rdl__free(order);
    return status;
}
