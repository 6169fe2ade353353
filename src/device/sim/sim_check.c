/*
 * The checks of the simulated device: liveness of what work touches, and order between streams.
 *
 * Order is checked by vector clocks. clock(S) says, for each stream T, up to which number T's work is
 * known to have run before S's next piece: it grows when S waits for a point of T, by T's clock at that
 * point. host_seen says the same of the host, which grows when a query or a wait finds that a point has
 * passed. A use of bytes is in order with an earlier use by another stream, if either writes, only if
 * the earlier one is in the later one's clock, or the host had seen it pass before the submit.
 */
#include "base/mem.h"
#include "device/sim/sim.h"

struct sim_clock *sim_clock_new(void)
{
    return rdl__alloc_zeroed(1, sizeof(struct sim_clock) + SIM_MAX_STREAMS * sizeof(uint64_t));
}

static bool is_live_locked(struct sim_device *device, uintptr_t begin, uintptr_t end)
    RDL_REQUIRES(device->lock)
{
    for (size_t i = 0; i < device->n_live; i++)
        if (device->live[i].begin <= begin && end <= device->live[i].end)
            return true;
    return false;
}

static bool ordered_locked(struct sim_stream *stream, const struct sim_use *use)
    RDL_REQUIRES(stream->device->lock)
{
    if (use->stream == stream->index || use->number <= stream->device->host_seen[use->stream])
        return true;
    return stream->clock != NULL && use->number <= stream->clock->seen[use->stream];
}

/* Drops uses that the host has seen pass: every later submit comes after them. */
static void prune_locked(struct sim_device *device) RDL_REQUIRES(device->lock)
{
    size_t kept = 0;
    for (size_t i = 0; i < device->n_uses; i++)
        if (device->uses[i].number > device->host_seen[device->uses[i].stream])
            device->uses[kept++] = device->uses[i];
    device->n_uses = kept;
}

bool sim_check_use_locked(struct sim_stream *stream, uint64_t number, const void *address,
                          size_t size_bytes, bool write)
{
    struct sim_device *device = stream->device;
    const uintptr_t begin = (uintptr_t)address, end = begin + size_bytes;
    if (size_bytes == 0)
        return true;
    if (begin < (uintptr_t)device->region || end > (uintptr_t)device->region + device->region_bytes)
        return false;
    if (!is_live_locked(device, begin, end))
        return false;
    bool right = true;
    bool covered = false;
    for (size_t i = 0; i < device->n_uses; i++) {
        struct sim_use *use = &device->uses[i];
        if (use->end <= begin || end <= use->begin)
            continue;
        if ((use->write || write) && !ordered_locked(stream, use))
            right = false;
        if (use->stream == stream->index && use->begin == begin && use->end == end &&
            use->write == write) {
            use->number = number;
            covered = true;
        }
    }
    if (covered)
        return right;
    if (device->n_uses == SIM_MAX_USES)
        prune_locked(device);
    if (device->n_uses < SIM_MAX_USES) /* when full of unseen uses, the newest goes unchecked */
        device->uses[device->n_uses++] = (struct sim_use){begin, end, number, stream->index, write};
    return right;
}

/* The clock of a stream as it held for its piece `number`; NULL: it had waited for nothing. */
static const struct sim_clock *clock_at(const struct sim_stream *stream, uint64_t number)
{
    const struct sim_clock *clock = stream->clock;
    while (clock != NULL && clock->from > number)
        clock = clock->older;
    return clock;
}

static void merge(uint64_t *into, const struct sim_stream *from, uint64_t number)
{
    const struct sim_clock *clock = clock_at(from, number);
    for (uint32_t i = 0; clock != NULL && i < SIM_MAX_STREAMS; i++)
        if (clock->seen[i] > into[i])
            into[i] = clock->seen[i];
    if (number > into[from->index])
        into[from->index] = number;
}

void sim_check_wait_locked(struct sim_stream *stream, uint64_t number, struct rdl__point point,
                           struct sim_clock *fresh)
{
    fresh->older = stream->clock;
    fresh->from = number;
    for (uint32_t i = 0; stream->clock != NULL && i < SIM_MAX_STREAMS; i++)
        fresh->seen[i] = stream->clock->seen[i];
    merge(fresh->seen, point.stream, point.number);
    stream->clock = fresh;
}

void sim_check_seen_locked(struct sim_device *device, struct rdl__point point)
{
    merge(device->host_seen, point.stream, point.number);
}
