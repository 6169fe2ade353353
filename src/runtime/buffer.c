/*
 * Buffers. Owners: everything but `references` and the list of streams is fixed once made. Streams that
 * use a buffer are noted by lane in a bit set (atomic words, so recording takes no lock and no memory);
 * at the last release a point is taken in each of those lanes' streams.
 *
 * A buffer of a parent process: its descriptor is in the child's copy of memory. On a device that
 * survives the fork it is freed as usual; on another it is forgotten.
 */
#include "runtime/buffer.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/status.h"
#include "os/fork.h"

#define LANE_WORDS 16 /* 1024 lanes */

struct rdl_buffer {
    _Atomic uint32_t references;
    struct rdl__device *device;
    struct rdl__block *block;
    size_t size_bytes;
    uint32_t epoch;
    _Atomic uint64_t used_by[LANE_WORDS]; /* bit: lane; set relaxed, read by the last release, which
                                             acq_rel on references orders */
};

struct rdl__device *rdl__buffer_device(const struct rdl_buffer *buffer)
{
    return buffer->device;
}

/* Allocates the block: in the order of a held stream, or out of the cache of the thread's usual lane
 * while nobody holds it (then the lane's stream is idle), or out of the store. */
static enum rdl_status allocate(struct rdl__device *device, size_t size_bytes,
                                const struct rdl_buffer_options *options, struct rdl__block **out,
                                struct rdl_error *error)
{
    struct rdl__memory_want want = {.size_bytes = size_bytes};
    enum rdl_status status;
    if (options != NULL && options->stream.id != 0) {
        struct rdl__stream *stream = rdl__stream_pin(device, options->stream, &status, error);
        if (stream == NULL)
            return status;
        /* The lane's cache is for whoever has the stream's turn. */
        status = rdl__turn_take(&stream->turn, RDL_FOREVER, options->cancel);
        if (status == RDL_OK) {
            status = rdl__memory_alloc(device, stream->lane, &want, 1, options->deadline_ns,
                                       options->cancel, error);
            rdl__memory_share_cache(stream->lane);
            rdl__turn_give(&stream->turn);
        }
        rdl__stream_unpin(stream);
    } else {
        struct rdl__lane *lane = rdl__lane_try_hint(device);
        if (lane != NULL) {
            want.block = rdl__memory_take_cached(lane, size_bytes);
            rdl__lane_release(lane);
        }
        if (want.block != NULL)
            status = RDL_OK;
        else
            status = rdl__memory_alloc(device, NULL, &want, 1,
                                       options != NULL ? options->deadline_ns : RDL_NO_WAIT,
                                       options != NULL ? options->cancel : NULL, error);
    }
    *out = want.block;
    return status;
}

enum rdl_status rdl_buffer_new(struct rdl_device handle, size_t size_bytes,
                               const struct rdl_buffer_options *options, struct rdl_buffer **out,
                               struct rdl_error *error)
{
    if (out == NULL || (options != NULL && options->size != sizeof *options))
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_buffer_new: %s",
                         out == NULL ? "out is NULL" : "options have an unknown size");
    *out = NULL;
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, error);
    if (device == NULL)
        return status;
    struct rdl_buffer *buffer = rdl__alloc_zeroed(1, sizeof *buffer);
    if (buffer == NULL)
        status = rdl__fail_memory(error, "rdl_buffer_new", sizeof *buffer);
    else
        status = allocate(device, size_bytes, options, &buffer->block, error);
    if (status == RDL_OK) {
        buffer->device = device;
        buffer->size_bytes = size_bytes;
        buffer->epoch = rdl__fork_epoch();
        rdl__store_relaxed(&buffer->references, 1); /* nobody else knows it yet */
        *out = buffer;
    } else {
        rdl__free(buffer);
    }
    rdl__device_unpin(device);
    return status;
}

struct rdl_buffer *rdl_buffer_retain(struct rdl_buffer *buffer)
{
    rdl__add_relaxed(&buffer->references, 1); /* from a reference that the caller holds */
    return buffer;
}

/* Points behind the work that the recorded streams hold now; their number. Lanes' streams live as long
 * as the device, which lives as long as its memory is in use. */
static uint32_t capture(struct rdl_buffer *buffer, struct rdl__point *points)
{
    struct rdl__device *device = buffer->device;
    uint32_t n = 0;
    for (uint32_t i = 0; i < device->n_lanes; i++) {
        /* ordered by the acq_rel decrement of references */
        const uint64_t word = rdl__load_relaxed(&buffer->used_by[i / 64]);
        void *stream = rdl__load_acquire(&device->lanes[i].stream_seen);
        if ((word >> i % 64 & 1) == 0 || stream == NULL)
            continue;
        points[n++] = device->backend->tail(stream);
    }
    return n;
}

static bool has_recorded(const struct rdl_buffer *buffer)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < LANE_WORDS; i++)
        any |= rdl__load_relaxed(&buffer->used_by[i]); /* as in capture */
    return any != 0;
}

static void free_block(struct rdl_buffer *buffer)
{
    struct rdl__device *device = buffer->device;
    if (!device->backend->asynchronous || !has_recorded(buffer)) {
        rdl__memory_free(device, buffer->block, NULL, 0);
        return;
    }
    struct rdl__point points[LANE_WORDS * 64];
    rdl__memory_free(device, buffer->block, points, capture(buffer, points));
}

void rdl_buffer_release(struct rdl_buffer *buffer)
{
    if (buffer == NULL || rdl__sub_acq_rel(&buffer->references, 1) != 1)
        return;
    if (buffer->epoch == rdl__fork_epoch() || buffer->device->backend->survives_fork)
        free_block(buffer);
    rdl__free(buffer);
}

void *rdl_buffer_data(const struct rdl_buffer *buffer)
{
    return buffer->block->address;
}

size_t rdl_buffer_size(const struct rdl_buffer *buffer)
{
    return buffer->size_bytes;
}

bool rdl_buffer_is_host(const struct rdl_buffer *buffer)
{
    return buffer->device->backend->host_memory;
}

enum rdl_status rdl_buffer_record_stream(struct rdl_buffer *buffer, struct rdl_stream handle,
                                         struct rdl_error *error)
{
    enum rdl_status status = rdl__device_usable(buffer->device);
    if (status == RDL_ERR_FORKED)
        return rdl__fail(error, status, "rdl_buffer_record_stream: %s", rdl_status_text(status));
    struct rdl__stream *stream = rdl__stream_pin(buffer->device, handle, &status, error);
    if (stream == NULL)
        return status;
    const uint32_t lane = stream->lane->index;
    (void)atomic_fetch_or_explicit(&buffer->used_by[lane / 64], UINT64_C(1) << lane % 64,
                                   memory_order_relaxed); /* read after the last release */
    rdl__stream_unpin(stream);
    return RDL_OK;
}

/* --------------------------------------------------------------------------------------- copies */

static bool in_range(const struct rdl_buffer *buffer, size_t offset_bytes, size_t size_bytes)
{
    size_t end;
    return rdl__add_size(offset_bytes, size_bytes, &end) && end <= buffer->size_bytes;
}

static enum rdl_status range_error(const struct rdl_buffer *buffer, const char *function,
                                   size_t offset_bytes, size_t size_bytes, struct rdl_error *error)
{
    return rdl__fail(error, RDL_ERR_BUFFER_SIZE, "%s: %zu bytes at offset %zu of a buffer of %zu",
                     function, size_bytes, offset_bytes, buffer->size_bytes);
}

/* The stream to work in, pinned, with its turn taken on a synchronous device; NULL on failure. */
static struct rdl__stream *begin(struct rdl__device *device, struct rdl_stream handle,
                                 int64_t deadline_ns, enum rdl_status *status,
                                 struct rdl_error *error)
{
    *status = rdl__device_usable(device);
    if (*status != RDL_OK) {
        (void)rdl__fail(error, *status, "device: %s", rdl_status_text(*status));
        return NULL;
    }
    struct rdl__stream *stream = rdl__stream_pin(device, handle, status, error);
    if (stream == NULL || device->backend->asynchronous)
        return stream;
    *status = rdl__turn_take(&stream->turn, deadline_ns, NULL);
    if (*status == RDL_OK)
        return stream;
    rdl__stream_unpin(stream);
    (void)rdl__fail(error, *status, "stream: %s", rdl_status_text(*status));
    return NULL;
}

static enum rdl_status end(struct rdl__stream *stream, const char *function, enum rdl_status status,
                           struct rdl_error *error)
{
    struct rdl__device *device = stream->device;
    if (!device->backend->asynchronous)
        rdl__turn_give(&stream->turn);
    rdl__stream_unpin(stream);
    (void)rdl__device_note(device, status);
    return status == RDL_OK ? RDL_OK
                            : rdl__fail(error, status, "%s: %s", function, rdl_status_text(status));
}

/* Waits for a copy between host and device; whatever ends the wait, the copy has run or been stopped
 * when this returns, so nothing touches the host's memory any more. */
static enum rdl_status finish_copy(struct rdl__stream *stream, struct rdl__progress *progress,
                                   int64_t deadline_ns)
{
    struct rdl__device *device = stream->device;
    if (!device->backend->asynchronous)
        return RDL_OK;
    const struct rdl__point point = device->backend->tail(stream->lane->stream);
    const enum rdl_status status = rdl__device_wait(device, point, deadline_ns, NULL);
    if (status != RDL_OK) {
        rdl__store_relaxed(&progress->stop, (uint32_t)status);
        rdl__device_drain(device, point);
    }
    const uint64_t failed = rdl__load_acquire(&progress->failed);
    if (failed == 0)
        return status == RDL_ERR_DEVICE_LOST ? status : RDL_OK; /* it ran after all */
    return (enum rdl_status)(failed >> 32);
}

enum rdl_status rdl_buffer_write(struct rdl_buffer *buffer, size_t offset_bytes, const void *src,
                                 size_t size_bytes, struct rdl_stream handle, int64_t deadline_ns,
                                 struct rdl_error *error)
{
    static const char function[] = "rdl_buffer_write";
    if (!in_range(buffer, offset_bytes, size_bytes))
        return range_error(buffer, function, offset_bytes, size_bytes, error);
    struct rdl__progress progress = {0};
    enum rdl_status status;
    struct rdl__stream *stream = begin(buffer->device, handle, deadline_ns, &status, error);
    if (stream == NULL)
        return status;
    status = buffer->device->backend->copy_in(
        stream->lane->stream, buffer->block->address + offset_bytes, src, size_bytes, &progress);
    if (status == RDL_OK)
        status = finish_copy(stream, &progress, deadline_ns);
    return end(stream, function, status, error);
}

enum rdl_status rdl_buffer_read(const struct rdl_buffer *buffer, size_t offset_bytes, void *dst,
                                size_t size_bytes, struct rdl_stream handle, int64_t deadline_ns,
                                struct rdl_error *error)
{
    static const char function[] = "rdl_buffer_read";
    if (!in_range(buffer, offset_bytes, size_bytes))
        return range_error(buffer, function, offset_bytes, size_bytes, error);
    struct rdl__progress progress = {0};
    enum rdl_status status;
    struct rdl__stream *stream = begin(buffer->device, handle, deadline_ns, &status, error);
    if (stream == NULL)
        return status;
    status = buffer->device->backend->copy_out(
        stream->lane->stream, dst, buffer->block->address + offset_bytes, size_bytes, &progress);
    if (status == RDL_OK)
        status = finish_copy(stream, &progress, deadline_ns);
    return end(stream, function, status, error);
}

enum rdl_status rdl_buffer_copy(struct rdl_buffer *dst, size_t dst_offset_bytes,
                                const struct rdl_buffer *src, size_t src_offset_bytes,
                                size_t size_bytes, struct rdl_stream handle,
                                struct rdl_error *error)
{
    static const char function[] = "rdl_buffer_copy";
    if (dst->device != src->device)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "%s: devices differ", function);
    if (!in_range(dst, dst_offset_bytes, size_bytes))
        return range_error(dst, function, dst_offset_bytes, size_bytes, error);
    if (!in_range(src, src_offset_bytes, size_bytes))
        return range_error(src, function, src_offset_bytes, size_bytes, error);
    enum rdl_status status;
    struct rdl__stream *stream = begin(dst->device, handle, RDL_FOREVER, &status, error);
    if (stream == NULL)
        return status;
    status =
        dst->device->backend->copy(stream->lane->stream, dst->block->address + dst_offset_bytes,
                                   src->block->address + src_offset_bytes, size_bytes);
    return end(stream, function, status, error);
}

enum rdl_status rdl_buffer_fill(struct rdl_buffer *buffer, size_t offset_bytes, uint8_t value,
                                size_t size_bytes, struct rdl_stream handle,
                                struct rdl_error *error)
{
    static const char function[] = "rdl_buffer_fill";
    if (!in_range(buffer, offset_bytes, size_bytes))
        return range_error(buffer, function, offset_bytes, size_bytes, error);
    enum rdl_status status;
    struct rdl__stream *stream = begin(buffer->device, handle, RDL_FOREVER, &status, error);
    if (stream == NULL)
        return status;
    status = buffer->device->backend->fill(
        stream->lane->stream, buffer->block->address + offset_bytes, value, size_bytes);
    return end(stream, function, status, error);
}
