/*
 * The simulated device: streams, workers, faults, loss. See sim.h for the argument.
 */
#include "device/sim/sim.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/clock.h"

#include <string.h>

#define DEFAULT_WORKERS 2
#define DEFAULT_MEMORY ((size_t)1 << 30)

bool sim_fault(struct sim_device *device, _Atomic uint64_t *calls, uint64_t n)
{
    const uint64_t call = rdl__add_relaxed(calls, 1) + 1; /* a count, orders nothing */
    return n > 0 && (device->options.sticky ? call >= n : call == n);
}

static uint64_t next_random_locked(struct sim_device *device) RDL_REQUIRES(device->lock)
{
    /* xorshift64: period 2^64 - 1, enough to shuffle a schedule */
    uint64_t x = device->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    device->random = x;
    return x;
}

static bool passed_locked(struct rdl__point point)
{
    const struct sim_stream *stream = point.stream;
    return stream == NULL || stream->completed >= point.number;
}

/* ------------------------------------------------------------------------------- running work */

static void wake_watches_locked(struct sim_device *device, const struct sim_stream *stream)
    RDL_REQUIRES(device->lock)
{
    (void)device;
    for (struct rdl__watch *watch = stream->watches; watch != NULL; watch = watch->next)
        if (stream->completed >= watch->number)
            rdl__park_wake(watch->park);
}

static void run_segment(struct sim_device *device, const struct sim_work *work)
{
    void *bind[RDL__MAX_BINDINGS];
    struct rdl__kernel_call call = {.bind = bind};
    const struct rdl__segment *segment = work->segment;
    if (segment->scratch_bytes > 0)
        call.scratch =
            (char *)sim_alias(device, work->bases[RDL__BASE_ARENA]) + segment->scratch_offset_bytes;
    for (uint32_t i = 0; i < segment->n_steps; i++) {
        const struct rdl__step *step = &segment->steps[i];
        const struct rdl__binding *binding = segment->bindings + step->first_bind;
        for (uint32_t b = 0; b < step->n_bind; b++) {
            char *base = work->bases[binding[b].base];
            bind[b] = base != NULL ? sim_alias(device, base + binding[b].offset_bytes) : NULL;
        }
        call.params = step->params;
        for (size_t tile = 0; tile < step->tiles; tile++) {
            const enum rdl_status stop = rdl__progress_stop(work->progress);
            call.tile_begin = tile;
            call.tile_end = tile + 1;
            const enum rdl_status status = stop != RDL_OK ? stop : step->fn(&call);
            if (status != RDL_OK) {
                rdl__progress_fail(work->progress, status, step->node);
                return;
            }
        }
    }
}

/* Whether the chain that the work belongs to has failed, or is to stop, which is noted. */
static bool is_stopped(const struct sim_work *work)
{
    if (work->progress == NULL)
        return false;
    const enum rdl_status stop = rdl__progress_stop(work->progress);
    if (stop != RDL_OK)
        rdl__progress_fail(work->progress, stop, 0);
    return rdl__load_acquire(&work->progress->failed) != 0; /* pairs with rdl__progress_fail */
}

static void run_work(struct sim_device *device, const struct sim_work *work)
{
    if (work->kind == SIM_RECORD) { /* pairs with the acquire in rdl_event_elapsed */
        rdl__store_release(&work->mark->time_ns, rdl_now_ns());
        return;
    }
    if (work->broken) {
        if (work->progress != NULL)
            rdl__progress_fail(work->progress, RDL_ERR_INTERNAL, 0);
        return;
    }
    if (is_stopped(work))
        return;
    if (work->kind == SIM_SEGMENT)
        run_segment(device, work);
    else if (work->kind == SIM_COPY)
        memmove(sim_alias(device, work->dst), sim_alias(device, work->src), work->size_bytes);
    else if (work->kind == SIM_FILL)
        memset(sim_alias(device, work->dst), work->value, work->size_bytes);
}

/* The first piece of a stream has run, or is left out: who waits for it goes on. Returns the piece. */
static struct sim_work *pass_head_locked(struct sim_device *device, struct sim_stream *stream)
    RDL_REQUIRES(device->lock)
{
    struct sim_work *work = stream->head;
    stream->head = work->next;
    if (stream->head == NULL)
        stream->tail = NULL;
    stream->completed++;
    wake_watches_locked(device, stream);
    rdl__cond_broadcast(&device->work_cond); /* waits on this stream may be over */
    return work;
}

static void free_work(struct sim_work *work)
{
    rdl__mark_release(work->mark);
    rdl__free(work);
}

/* A random stream that has a piece of work that can run now; NULL if there is none. */
static struct sim_stream *pick_locked(struct sim_device *device) RDL_REQUIRES(device->lock)
{
    struct sim_stream *chosen = NULL;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < device->n_streams; i++) {
        struct sim_stream *stream = device->streams[i];
        if (stream == NULL || stream->busy || stream->head == NULL)
            continue;
        if (stream->head->kind == SIM_WAIT && !passed_locked(stream->head->point) && !device->lost)
            continue;
        if (next_random_locked(device) % ++seen == 0)
            chosen = stream;
    }
    return chosen;
}

static void worker(void *object)
{
    struct sim_device *device = object;
    rdl__lock_acquire(&device->lock);
    for (;;) {
        struct sim_stream *stream = pick_locked(device);
        if (stream == NULL && device->ending)
            break;
        if (stream == NULL) {
            rdl__cond_wait(&device->work_cond, &device->lock);
            continue;
        }
        struct sim_work *work = stream->head;
        const uint32_t most = device->options.max_delay_us;
        const uint64_t delay_us = most > 0 ? next_random_locked(device) % (most + 1) : 0;
        const bool lost = device->lost;
        stream->busy = true;
        rdl__lock_release(&device->lock);
        if (delay_us > 0 && !lost)
            rdl__sleep_ns((int64_t)delay_us * 1000);
        if (!lost)
            run_work(device, work);
        else if (work->progress != NULL)
            rdl__progress_fail(work->progress, RDL_ERR_DEVICE_LOST, 0);
        rdl__lock_acquire(&device->lock);
        stream->busy = false;
        (void)pass_head_locked(device, stream);
        rdl__lock_release(&device->lock);
        free_work(work);
        rdl__lock_acquire(&device->lock);
    }
    rdl__lock_release(&device->lock);
}

/* -------------------------------------------------------------------------------- submitting */

static struct sim_work *new_work(enum sim_kind kind, uint32_t n_bases)
{
    struct sim_work *work = rdl__alloc_zeroed(1, sizeof *work + n_bases * sizeof(void *));
    if (work != NULL) {
        work->kind = kind;
        work->n_bases = n_bases;
    }
    return work;
}

/* Loses the device: workers drain all work without running it, so that waits end, and nothing touches
 * a caller's memory any more when they do. */
static void lose_locked(struct sim_device *device) RDL_REQUIRES(device->lock)
{
    device->lost = true;
    rdl__cond_broadcast(&device->work_cond);
}

static void check_work_locked(struct sim_stream *stream, uint64_t number, struct sim_work *work)
    RDL_REQUIRES(stream->device->lock)
{
    struct sim_device *device = stream->device;
    bool right = true;
    if (work->kind == SIM_SEGMENT) {
        for (uint32_t i = 0; i < work->segment->n_steps; i++) {
            const struct rdl__step *step = &work->segment->steps[i];
            const struct rdl__binding *binding = work->segment->bindings + step->first_bind;
            for (uint32_t b = 0; b < step->n_bind; b++) {
                const char *base = work->bases[binding[b].base];
                if (base != NULL)
                    right &= sim_check_use_locked(stream, number, base + binding[b].offset_bytes,
                                                  binding[b].size_bytes, binding[b].written);
            }
        }
    } else if (work->kind == SIM_COPY || work->kind == SIM_FILL) {
        if (sim_alias(device, work->dst) != work->dst)
            right &= sim_check_use_locked(stream, number, work->dst, work->size_bytes, true);
        if (work->src != NULL && sim_alias(device, work->src) != work->src)
            right &= sim_check_use_locked(stream, number, work->src, work->size_bytes, false);
    }
    if (!right) {
        work->broken = true;
        rdl__add_relaxed(&device->violations, 1); /* a count */
    }
}

/* Puts work at the stream's end; takes it over on success and frees it on failure. */
static enum rdl_status enqueue(struct sim_stream *stream, struct sim_work *work,
                               struct rdl__point *out)
{
    struct sim_device *device = stream->device;
    if (work == NULL)
        return RDL_ERR_NO_MEMORY;
    struct sim_clock *fresh = NULL;
    if (work->kind == SIM_WAIT && (fresh = sim_clock_new()) == NULL) {
        free_work(work);
        return RDL_ERR_NO_MEMORY;
    }
    const bool counts = work->kind != SIM_RECORD;
    const bool fails = counts && sim_fault(device, &device->submits, device->options.fail_submit);
    rdl__lock_acquire(&device->lock);
    if (counts && device->options.lose_at > 0 && !device->lost &&
        rdl__load_relaxed(&device->submits) >= device->options.lose_at)
        lose_locked(device);
    enum rdl_status status = device->lost ? RDL_ERR_DEVICE_LOST : RDL_OK;
    if (status == RDL_OK && fails)
        status = RDL_ERR_DEVICE;
    if (status == RDL_OK) {
        const uint64_t number = ++stream->submitted;
        check_work_locked(stream, number, work);
        if (work->kind == SIM_WAIT) {
            sim_check_wait_locked(stream, number, work->point, fresh);
            fresh = NULL;
        }
        if (stream->tail != NULL)
            stream->tail->next = work;
        else
            stream->head = work;
        stream->tail = work;
        if (out != NULL)
            *out = (struct rdl__point){stream, number};
        rdl__cond_signal(&device->work_cond);
    }
    rdl__lock_release(&device->lock);
    rdl__free(fresh);
    if (status != RDL_OK)
        free_work(work);
    return status;
}

static enum rdl_status sim_submit(void *stream, const struct rdl__segment *segment,
                                  void *const *bases, uint32_t n_bases,
                                  struct rdl__progress *progress, int64_t deadline_ns)
{
    (void)deadline_ns; /* the caller stops the work through progress */
    struct sim_work *work = new_work(SIM_SEGMENT, n_bases);
    if (work != NULL) {
        work->segment = segment;
        work->progress = progress;
        memcpy(work->bases, bases, n_bases * sizeof(void *));
    }
    return enqueue(stream, work, NULL);
}

static enum rdl_status submit_copy(void *stream, void *dst, const void *src, size_t size_bytes,
                                   struct rdl__progress *progress)
{
    struct sim_work *work = new_work(SIM_COPY, 0);
    if (work != NULL) {
        work->dst = dst;
        work->src = src;
        work->size_bytes = size_bytes;
        work->progress = progress;
    }
    return enqueue(stream, work, NULL);
}

static enum rdl_status sim_copy(void *stream, void *dst, const void *src, size_t size_bytes)
{
    return submit_copy(stream, dst, src, size_bytes, NULL);
}

static enum rdl_status sim_fill(void *stream, void *dst, uint8_t value, size_t size_bytes)
{
    struct sim_work *work = new_work(SIM_FILL, 0);
    if (work != NULL) {
        work->dst = dst;
        work->value = value;
        work->size_bytes = size_bytes;
    }
    return enqueue(stream, work, NULL);
}

static struct rdl__point sim_tail(void *object)
{
    struct sim_stream *stream = object;
    rdl__lock_acquire(&stream->device->lock);
    const struct rdl__point point = {stream, stream->submitted};
    rdl__lock_release(&stream->device->lock);
    return point;
}

static enum rdl_status sim_record(void *stream, struct rdl__mark *mark, struct rdl__point *out)
{
    struct sim_work *work = new_work(SIM_RECORD, 0);
    if (work != NULL) {
        rdl__add_relaxed(&mark->references, 1); /* from a reference that the caller holds */
        work->mark = mark;
    }
    return enqueue(stream, work, out);
}

static enum rdl_status sim_wait_point(void *stream, struct rdl__point point)
{
    if (point.stream == NULL || point.stream == stream)
        return RDL_OK; /* in order by itself */
    struct sim_work *work = new_work(SIM_WAIT, 0);
    if (work != NULL)
        work->point = point;
    return enqueue(stream, work, NULL);
}

static enum rdl_status sim_query(void *object, struct rdl__point point, bool *out)
{
    struct sim_device *device = object;
    rdl__lock_acquire(&device->lock);
    *out = passed_locked(point);
    if (*out && point.stream != NULL)
        sim_check_seen_locked(device, point);
    const bool lost = device->lost;
    rdl__lock_release(&device->lock);
    return lost ? RDL_ERR_DEVICE_LOST : RDL_OK;
}

/* Takes off a stream what no worker has begun and what its caller has stopped: the caller must not wait for
 * workers that other streams keep busy, only to have its work left out. Returns what it took. */
static struct sim_work *drop_stopped_locked(struct sim_device *device, struct sim_stream *stream)
    RDL_REQUIRES(device->lock)
{
    struct sim_work *dropped = NULL;
    while (!stream->busy && stream->head != NULL && is_stopped(stream->head)) {
        struct sim_work *work = pass_head_locked(device, stream);
        work->next = dropped;
        dropped = work;
    }
    return dropped;
}

static enum rdl_status sim_watch(void *object, struct rdl__point point, struct rdl__watch *watch,
                                 bool *passed)
{
    struct sim_device *device = object;
    if (sim_fault(device, &device->waits, device->options.fail_wait))
        return RDL_ERR_DEVICE;
    struct sim_stream *stream = point.stream;
    rdl__lock_acquire(&device->lock);
    struct sim_work *dropped = stream != NULL ? drop_stopped_locked(device, stream) : NULL;
    *passed = passed_locked(point);
    if (*passed && stream != NULL)
        sim_check_seen_locked(device, point);
    if (!*passed) {
        watch->number = point.number;
        watch->next = stream->watches;
        stream->watches = watch;
    }
    const bool lost = device->lost && *passed;
    rdl__lock_release(&device->lock);
    while (dropped != NULL) {
        struct sim_work *next = dropped->next;
        free_work(dropped);
        dropped = next;
    }
    return lost ? RDL_ERR_DEVICE_LOST : RDL_OK;
}

static void sim_unwatch(void *object, struct rdl__point point, struct rdl__watch *watch)
{
    struct sim_device *device = object;
    struct sim_stream *stream = point.stream;
    rdl__lock_acquire(&device->lock);
    for (struct rdl__watch **at = &stream->watches; *at != NULL; at = &(*at)->next)
        if (*at == watch) {
            *at = watch->next;
            break;
        }
    rdl__lock_release(&device->lock);
}

/* ------------------------------------------------------------------------- streams and life */

static enum rdl_status sim_stream_new(void *object, void **out)
{
    struct sim_device *device = object;
    if (sim_fault(device, &device->stream_news, device->options.fail_stream))
        return RDL_ERR_DEVICE;
    struct sim_stream *stream = rdl__alloc_zeroed(1, sizeof *stream);
    if (stream == NULL)
        return RDL_ERR_NO_MEMORY;
    stream->device = device;
    enum rdl_status status = RDL_ERR_DEVICE;
    rdl__lock_acquire(&device->lock);
    if (device->n_streams < SIM_MAX_STREAMS) {
        stream->index = device->n_streams++;
        device->streams[stream->index] = stream;
        status = RDL_OK;
    }
    rdl__lock_release(&device->lock);
    if (status == RDL_OK)
        *out = stream;
    else
        rdl__free(stream);
    return status;
}

static void free_stream(struct sim_stream *stream)
{
    while (stream->clock != NULL) {
        struct sim_clock *older = stream->clock->older;
        rdl__free(stream->clock);
        stream->clock = older;
    }
    rdl__free(stream);
}

static void sim_stream_free(void *object, void *stream)
{
    /* Other streams' clocks and points may name it: it goes with the device. */
    (void)object;
    (void)stream;
}

static void sim_close(void *object)
{
    struct sim_device *device = object;
    rdl__lock_acquire(&device->lock);
    device->ending = true;
    rdl__cond_broadcast(&device->work_cond);
    rdl__lock_release(&device->lock);
    for (uint32_t i = 0; i < device->n_threads; i++)
        rdl__thread_join(&device->threads[i]);
    for (uint32_t i = 0; i < SIM_MAX_STREAMS; i++) {
        rdl__lock_acquire(&device->lock); /* no worker is left; for the checker */
        struct sim_stream *stream = device->streams[i];
        rdl__lock_release(&device->lock);
        if (stream != NULL)
            free_stream(stream);
    }
    sim_memory_unmap(device);
    rdl__free(device->threads);
    rdl__cond_fini(&device->work_cond);
    rdl__lock_fini(&device->lock);
    rdl__free(device);
}

static enum rdl_status start_workers(struct sim_device *device, struct rdl_error *error)
{
    const uint32_t wanted = device->options.workers;
    device->threads = rdl__alloc_zeroed(wanted, sizeof *device->threads);
    if (device->threads == NULL)
        return rdl__fail_memory(error, "sim device: threads", wanted * sizeof *device->threads);
    for (uint32_t i = 0; i < wanted; i++) {
        const bool fails = device->options.fail_thread > 0 &&
                           (device->options.sticky ? i + 1 >= device->options.fail_thread
                                                   : i + 1 == device->options.fail_thread);
        if (fails || !rdl__thread_start(&device->threads[i], "rdl-sim", worker, device))
            return rdl__fail(error, RDL_ERR_THREAD, "sim device: worker thread %u of %u", i + 1,
                             wanted);
        device->n_threads++;
    }
    return RDL_OK;
}

static enum rdl_status sim_open(const struct rdl_device_options *options, void **out,
                                struct rdl_error *error)
{
    struct sim_device *device = rdl__alloc_zeroed(1, sizeof *device);
    if (device == NULL)
        return rdl__fail_memory(error, "sim device", sizeof *device);
    if (options != NULL && options->sim != NULL)
        device->options = *options->sim;
    if (device->options.workers == 0)
        device->options.workers = DEFAULT_WORKERS;
    if (device->options.memory_bytes == 0)
        device->options.memory_bytes = DEFAULT_MEMORY;
    rdl__lock_init(&device->lock, RDL__RANK_SIM);
    rdl__cond_init(&device->work_cond);
    rdl__lock_acquire(&device->lock);
    device->random = device->options.seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    rdl__lock_release(&device->lock);
    enum rdl_status status = sim_memory_map(device, error);
    if (status == RDL_OK)
        status = start_workers(device, error);
    if (status != RDL_OK)
        sim_close(device);
    else
        *out = device;
    return status;
}

uint64_t rdl__sim_violations(void *device)
{
    return rdl__load_relaxed(&((struct sim_device *)device)->violations); /* a count */
}

const struct rdl__backend rdl__backend_sim = {
    .api_version = RDL__BACKEND_API,
    .name = "sim",
    .host_memory = false,
    .asynchronous = true,
    .survives_fork = false,
    .open = sim_open,
    .close = sim_close,
    .memory_new = sim_memory_new,
    .memory_free = sim_memory_free,
    .memory_live = sim_memory_live,
    .stream_new = sim_stream_new,
    .stream_free = sim_stream_free,
    .submit = sim_submit,
    .copy_in = submit_copy,
    .copy_out = submit_copy,
    .copy = sim_copy,
    .fill = sim_fill,
    .tail = sim_tail,
    .record = sim_record,
    .wait_point = sim_wait_point,
    .query = sim_query,
    .watch = sim_watch,
    .unwatch = sim_unwatch,
};
