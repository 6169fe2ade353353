/*
 * The CPU device: work runs on the thread that submits it, so every point has passed by the time that
 * it can be named, and a submit returns when its work has run.
 *
 * Neighbours: the runtime above (lanes give each caller a stream of its own; a stream that several
 * threads hold is used in turns), the kernels below.
 *
 * Threading: a stream is touched by the thread whose turn it is. Nothing is shared between streams.
 */
#include "os/cpu.h"
#include "base/mem.h"
#include "device/device.h"
#include "os/clock.h"

#include <string.h>

struct stream {
    uint64_t number; /* pieces of work run; written by the thread whose turn it is */
};

/* The device has no state; its address only has to be something. */
static char device_object;

static enum rdl_status cpu_open(const struct rdl_device_options *options, void **out,
                                struct rdl_error *error)
{
    (void)options;
    (void)error;
    *out = &device_object;
    return RDL_OK;
}

static void cpu_close(void *device)
{
    (void)device;
}

static enum rdl_status cpu_memory_new(void *device, size_t size_bytes, void **out)
{
    (void)device;
    *out = rdl__alloc_aligned(256, size_bytes);
    return *out != NULL ? RDL_OK : RDL_ERR_NO_MEMORY;
}

static void cpu_memory_free(void *device, void *memory, size_t size_bytes)
{
    (void)device;
    (void)size_bytes;
    rdl__free(memory);
}

static enum rdl_status cpu_stream_new(void *device, void **out)
{
    (void)device;
    struct stream *stream = rdl__alloc_aligned(RDL__CACHE_LINE, RDL__CACHE_LINE);
    if (stream == NULL)
        return RDL_ERR_NO_MEMORY;
    *stream = (struct stream){0};
    *out = stream;
    return RDL_OK;
}

static void cpu_stream_free(void *device, void *stream)
{
    (void)device;
    rdl__free(stream);
}

static void bind_step(const struct rdl__segment *segment, const struct rdl__step *step,
                      void *const *bases, void **bind)
{
    const struct rdl__binding *binding = segment->bindings + step->first_bind;
    for (uint32_t i = 0; i < step->n_bind; i++) {
        char *base = bases[binding[i].base];
        bind[i] = base != NULL ? base + binding[i].offset_bytes : NULL;
    }
}

/* Runs a step tile by tile, looking for a stop and the deadline before each. */
static enum rdl_status run_watched(const struct rdl__step *step, struct rdl__kernel_call *call,
                                   struct rdl__progress *progress, int64_t deadline_ns)
{
    for (size_t tile = 0; tile < step->tiles; tile++) {
        const enum rdl_status stop = rdl__progress_stop(progress);
        if (stop != RDL_OK)
            return stop;
        if (rdl__deadline_passed(deadline_ns))
            return RDL_ERR_DEADLINE;
        call->tile_begin = tile;
        call->tile_end = tile + 1;
        const enum rdl_status status = step->fn(call);
        if (status != RDL_OK)
            return status;
    }
    return RDL_OK;
}

static enum rdl_status cpu_submit(void *stream, const struct rdl__segment *segment,
                                  void *const *bases, uint32_t n_bases,
                                  struct rdl__progress *progress, int64_t deadline_ns)
{
    (void)n_bases;
    struct stream *own = stream;
    void *bind[RDL__MAX_BINDINGS];
    struct rdl__kernel_call call = {.bind = bind};
    if (segment->scratch_bytes > 0)
        call.scratch = (char *)bases[RDL__BASE_ARENA] + segment->scratch_offset_bytes;
    for (uint32_t i = 0; i < segment->n_steps; i++) {
        const struct rdl__step *step = &segment->steps[i];
        bind_step(segment, step, bases, bind);
        call.params = step->params;
        const enum rdl_status status = run_watched(step, &call, progress, deadline_ns);
        if (status != RDL_OK) {
            rdl__progress_fail(progress, status, step->node);
            break;
        }
    }
    own->number++;
    return RDL_OK;
}

static enum rdl_status cpu_copy_in(void *stream, void *dst, const void *src, size_t size_bytes,
                                   struct rdl__progress *progress)
{
    (void)progress;
    memmove(dst, src, size_bytes);
    ((struct stream *)stream)->number++;
    return RDL_OK;
}

static enum rdl_status cpu_copy(void *stream, void *dst, const void *src, size_t size_bytes)
{
    return cpu_copy_in(stream, dst, src, size_bytes, NULL);
}

static enum rdl_status cpu_fill(void *stream, void *dst, uint8_t value, size_t size_bytes)
{
    memset(dst, value, size_bytes);
    ((struct stream *)stream)->number++;
    return RDL_OK;
}

static struct rdl__point cpu_tail(void *stream)
{
    return (struct rdl__point){stream, ((struct stream *)stream)->number};
}

static enum rdl_status cpu_record(void *stream, struct rdl__mark *mark, struct rdl__point *out)
{
    /* pairs with the acquire in rdl_event_elapsed */
    rdl__store_release(&mark->time_ns, rdl_now_ns());
    *out = cpu_tail(stream);
    return RDL_OK;
}

static enum rdl_status cpu_wait_point(void *stream, struct rdl__point point)
{
    (void)stream;
    (void)point; /* has passed */
    return RDL_OK;
}

static enum rdl_status cpu_query(void *device, struct rdl__point point, bool *out)
{
    (void)device;
    (void)point;
    *out = true;
    return RDL_OK;
}

static enum rdl_status cpu_watch(void *device, struct rdl__point point, struct rdl__watch *watch,
                                 bool *passed)
{
    (void)watch;
    return cpu_query(device, point, passed);
}

static void cpu_unwatch(void *device, struct rdl__point point, struct rdl__watch *watch)
{
    (void)device;
    (void)point;
    (void)watch;
}

const struct rdl__backend rdl__backend_cpu = {
    .api_version = RDL__BACKEND_API,
    .name = "cpu",
    .host_memory = true,
    .asynchronous = false,
    .survives_fork = true,
    .open = cpu_open,
    .close = cpu_close,
    .memory_new = cpu_memory_new,
    .memory_free = cpu_memory_free,
    .stream_new = cpu_stream_new,
    .stream_free = cpu_stream_free,
    .submit = cpu_submit,
    .copy_in = cpu_copy_in,
    .copy_out = cpu_copy_in,
    .copy = cpu_copy,
    .fill = cpu_fill,
    .tail = cpu_tail,
    .record = cpu_record,
    .wait_point = cpu_wait_point,
    .query = cpu_query,
    .watch = cpu_watch,
    .unwatch = cpu_unwatch,
};
