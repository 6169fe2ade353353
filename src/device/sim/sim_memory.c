/*
 * Memory of the simulated device: one region, mapped twice over one file in memory.
 *
 * The region is handed out in segments (first fit over a sorted list). Handing out and taking back
 * poison the bytes, in stream order where work may still touch them.
 */
#include "base/mem.h"
#include "base/status.h"
#include "device/sim/sim.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define POISON 0xFF /* NaN in every float type, -1 in the integers */
#define GRAIN 4096

enum rdl_status sim_memory_map(struct sim_device *device, struct rdl_error *error)
{
    const size_t size = (device->options.memory_bytes + GRAIN - 1) / GRAIN * GRAIN;
    device->region_bytes = size;
    const int file = memfd_create("raddle-sim", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)size) != 0) {
        if (file >= 0)
            (void)close(file);
        return rdl__fail_memory(error, "sim device: memory file", size);
    }
    void *alias = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    void *region = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    (void)close(file);
    if (alias == MAP_FAILED || region == MAP_FAILED) {
        if (alias != MAP_FAILED)
            (void)munmap(alias, size);
        if (region != MAP_FAILED)
            (void)munmap(region, size);
        return rdl__fail_memory(error, "sim device: memory", size);
    }
    /* The file is shared with a forked child, which has no business there: let it fault. */
    (void)madvise(alias, size, MADV_DONTFORK);
    device->alias = alias;
    device->region = region;
    return RDL_OK;
}

void sim_memory_unmap(struct sim_device *device)
{
    if (device->alias != NULL)
        (void)munmap(device->alias, device->region_bytes);
    if (device->region != NULL)
        (void)munmap(device->region, device->region_bytes);
}

void *sim_alias(const struct sim_device *device, const void *address)
{
    const uintptr_t at = (uintptr_t)address, base = (uintptr_t)device->region;
    if (at >= base && at < base + device->region_bytes)
        return device->alias + (at - base);
    return (void *)at;
}

static void insert_at(struct sim_range *ranges, size_t *n, size_t at, struct sim_range range)
{
    memmove(ranges + at + 1, ranges + at, (*n - at) * sizeof *ranges);
    ranges[at] = range;
    ++*n;
}

static void remove_at(struct sim_range *ranges, size_t *n, size_t at)
{
    memmove(ranges + at, ranges + at + 1, (*n - at - 1) * sizeof *ranges);
    --*n;
}

/* First free gap of size bytes: its start and its place in the list; false if there is none. */
static bool find_gap_locked(struct sim_device *device, size_t size, uintptr_t *begin, size_t *at)
    RDL_REQUIRES(device->lock)
{
    uintptr_t from = (uintptr_t)device->region;
    const uintptr_t end = from + device->region_bytes;
    for (*at = 0; *at <= device->n_taken; ++*at) {
        const uintptr_t to = *at < device->n_taken ? device->taken[*at].begin : end;
        if (to - from >= size) {
            *begin = from;
            return true;
        }
        if (*at < device->n_taken)
            from = device->taken[*at].end;
    }
    return false;
}

enum rdl_status sim_memory_new(void *object, size_t size_bytes, void **out)
{
    struct sim_device *device = object;
    if (sim_fault(device, &device->allocs, device->options.fail_alloc))
        return RDL_ERR_NO_MEMORY;
    if (size_bytes > device->region_bytes)
        return RDL_ERR_NO_MEMORY;
    const size_t size = (size_bytes + GRAIN - 1) / GRAIN * GRAIN;
    enum rdl_status status = RDL_ERR_NO_MEMORY;
    uintptr_t begin;
    size_t at;
    rdl__lock_acquire(&device->lock);
    if (device->lost) {
        status = RDL_ERR_DEVICE_LOST;
    } else if (device->n_taken < SIM_MAX_RANGES && find_gap_locked(device, size, &begin, &at)) {
        insert_at(device->taken, &device->n_taken, at, (struct sim_range){begin, begin + size});
        *out = (void *)begin;
        status = RDL_OK;
    }
    rdl__lock_release(&device->lock);
    return status;
}

void sim_memory_free(void *object, void *memory, size_t size_bytes)
{
    struct sim_device *device = object;
    (void)size_bytes;
    rdl__lock_acquire(&device->lock);
    for (size_t i = 0; i < device->n_taken; i++)
        if (device->taken[i].begin == (uintptr_t)memory) {
            remove_at(device->taken, &device->n_taken, i);
            break;
        }
    rdl__lock_release(&device->lock);
}

/* Marks the range as live or not; false if it overlaps a live one, or was not live, or if the list is
 * full: then the work that uses it is refused, and a test sees that it asks for too much. */
static bool mark_locked(struct sim_device *device, struct sim_range range, bool live)
    RDL_REQUIRES(device->lock)
{
    size_t at = 0;
    while (at < device->n_live && device->live[at].end <= range.begin)
        at++;
    const bool match = at < device->n_live && device->live[at].begin == range.begin &&
                       device->live[at].end == range.end;
    const bool overlap = at < device->n_live && device->live[at].begin < range.end;
    if (live ? overlap || device->n_live == SIM_MAX_RANGES : !match)
        return false;
    if (live)
        insert_at(device->live, &device->n_live, at, range);
    else
        remove_at(device->live, &device->n_live, at);
    return true;
}

void sim_memory_live(void *object, void *stream, void *memory, size_t size_bytes, bool live)
{
    struct sim_device *device = object;
    if (size_bytes == 0)
        return;
    const struct sim_range range = {(uintptr_t)memory, (uintptr_t)memory + size_bytes};
    rdl__lock_acquire(&device->lock);
    const bool right = mark_locked(device, range, live);
    rdl__lock_release(&device->lock);
    if (!right)
        rdl__add_relaxed(&device->violations, 1);
    if (stream == NULL)
        memset(sim_alias(device, memory), POISON, size_bytes);
    else if (live)
        (void)rdl__backend_sim.fill(stream, memory, POISON, size_bytes);
}
