/*
 * Statistics of device memory: sums over the counters of lanes and store.
 */
#include "runtime/lane.h"

#include "base/status.h"

static const char *const keys[RDL_MEMORY_STAT_COUNT] = {
#define STAT_KEY(name, key) [RDL_MEMORY_STAT_##name] = (key),
    RDL_MEMORY_STAT_LIST(STAT_KEY)
#undef STAT_KEY
};

const char *rdl_memory_stat_key(enum rdl_memory_stat stat)
{
    return (unsigned)stat < RDL_MEMORY_STAT_COUNT ? keys[stat] : NULL;
}

/* Counters are read one by one while they move: each is right at some moment of the call. */
static void sum(const struct rdl__memory_counts *counts, int64_t *out)
{
    const int64_t allocated = rdl__load_relaxed(&counts->allocated_bytes);
    const int64_t freed = rdl__load_relaxed(&counts->freed_bytes);
    const int64_t allocations = rdl__load_relaxed(&counts->allocations);
    const int64_t frees = rdl__load_relaxed(&counts->frees);
    out[RDL_MEMORY_STAT_ALLOCATED_BYTES_ALLOCATED] += allocated;
    out[RDL_MEMORY_STAT_ALLOCATED_BYTES_FREED] += freed;
    out[RDL_MEMORY_STAT_ALLOCATION_ALLOCATED] += allocations;
    out[RDL_MEMORY_STAT_ALLOCATION_FREED] += frees;
    out[RDL_MEMORY_STAT_REQUESTED_BYTES_CURRENT] +=
        rdl__load_relaxed(&counts->requested_bytes) -
        rdl__load_relaxed(&counts->requested_freed_bytes);
}

void rdl__memory_read_stats(struct rdl__device *device, int64_t *out)
{
    struct rdl__memory *memory = &device->memory;
    for (int i = 0; i < RDL_MEMORY_STAT_COUNT; i++)
        out[i] = 0;
    for (uint32_t i = 0; i < device->n_lanes; i++) {
        sum(&device->lanes[i].cache.counts, out);
        sum(&device->lanes[i].remote_counts, out);
    }
    sum(&memory->counts, out);
    const int64_t current =
        out[RDL_MEMORY_STAT_ALLOCATED_BYTES_ALLOCATED] - out[RDL_MEMORY_STAT_ALLOCATED_BYTES_FREED];
    out[RDL_MEMORY_STAT_ALLOCATED_BYTES_CURRENT] = current;
    out[RDL_MEMORY_STAT_ALLOCATION_CURRENT] =
        out[RDL_MEMORY_STAT_ALLOCATION_ALLOCATED] - out[RDL_MEMORY_STAT_ALLOCATION_FREED];
    rdl__lock_acquire(&memory->lock);
    out[RDL_MEMORY_STAT_RESERVED_BYTES_CURRENT] = (int64_t)memory->reserved_bytes;
    out[RDL_MEMORY_STAT_RESERVED_BYTES_PEAK] = (int64_t)memory->reserved_peak;
    out[RDL_MEMORY_STAT_SEGMENT_CURRENT] = (int64_t)memory->n_segments;
    out[RDL_MEMORY_STAT_ACTIVE_BYTES_CURRENT] = current + (int64_t)memory->pending_bytes;
    out[RDL_MEMORY_STAT_INACTIVE_SPLIT_BYTES_CURRENT] = (int64_t)memory->split_bytes;
    if (current > memory->allocated_peak)
        memory->allocated_peak = current;
    out[RDL_MEMORY_STAT_ALLOCATED_BYTES_PEAK] = memory->allocated_peak;
    rdl__lock_release(&memory->lock);
    out[RDL_MEMORY_STAT_NUM_ALLOC_RETRIES] = rdl__load_relaxed(&memory->retries);
    out[RDL_MEMORY_STAT_NUM_OOMS] = rdl__load_relaxed(&memory->ooms);
}

enum rdl_status rdl_memory_stats(struct rdl_device handle, int64_t *out)
{
    enum rdl_status status;
    if (out == NULL)
        return RDL_ERR_ARGUMENT;
    struct rdl__device *device = rdl__device_pin(handle, &status, NULL);
    if (device == NULL)
        return status;
    rdl__memory_read_stats(device, out);
    rdl__device_unpin(device);
    return RDL_OK;
}

enum rdl_status rdl_memory_trim(struct rdl_device handle, size_t *freed_bytes)
{
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, NULL);
    if (device == NULL)
        return status;
    const size_t freed = rdl__memory_trim(device);
    if (freed_bytes != NULL)
        *freed_bytes = freed;
    rdl__device_unpin(device);
    return RDL_OK;
}

enum rdl_status rdl_memory_set_limit(struct rdl_device handle, size_t limit_bytes)
{
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, NULL);
    if (device == NULL)
        return status;
    rdl__memory_limit(device, limit_bytes);
    rdl__device_unpin(device);
    return RDL_OK;
}
