/*
 * Devices: opening, finding, closing. The argument for type-stable device objects is in device.h.
 *
 * The LIFECYCLE lock guards the lists of devices. Opening allocates and calls the backend, so it does
 * that without the lock and lists the device when it is ready.
 *
 * The end of a device: rdl_device_close moves it to CLOSING, closes what belongs to it, takes all
 * lanes, and closes the handle; when the last pin goes the device is DRAINED, and it ends when the last
 * memory in use comes back, in that call or in a later free (rdl__device_freed).
 */
#include "runtime/stream.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/clock.h"
#include "os/fork.h"
#include "runtime/lifecycle.h"

#include <stdio.h>
#include <string.h>

#define MAX_LANES 1024
#define DEFAULT_LANES 32
#define MAX_PLANS 65536
#define DEFAULT_PLANS 64

static const struct rdl__backend *const backends[] = {&rdl__backend_cpu, &rdl__backend_sim};
#define N_BACKENDS (sizeof backends / sizeof *backends)

static void drained(void *object);
struct rdl__table rdl__devices = RDL__TABLE_INIT(drained);

static struct rdl__device *made RDL_GUARDED_BY(&rdl__lifecycle_lock);
static struct rdl__device *spare RDL_GUARDED_BY(&rdl__lifecycle_lock);
static uint64_t shared_ids[N_BACKENDS] RDL_GUARDED_BY(&rdl__lifecycle_lock);

struct rdl__device *rdl__devices_made_locked(void)
{
    return made;
}

/* ------------------------------------------------------------------------------------- opening */

/* A device object with room for n_lanes: a spare one or a new one. */
static struct rdl__device *new_object(uint32_t n_lanes)
{
    rdl__lock_acquire(&rdl__lifecycle_lock);
    struct rdl__device **at = &spare;
    while (*at != NULL && (*at)->cap_lanes < n_lanes)
        at = &(*at)->next_spare;
    struct rdl__device *device = *at;
    if (device != NULL)
        *at = device->next_spare;
    rdl__lock_release(&rdl__lifecycle_lock);
    if (device != NULL) {
        device->n_lanes = n_lanes;
        return device;
    }
    device = rdl__alloc_aligned(RDL__CACHE_LINE, sizeof *device);
    if (device == NULL)
        return NULL;
    memset(device, 0, sizeof *device);
    rdl__store_seq_cst(&device->state, (uint32_t)RDL__DEVICE_DRAINED);
    if (rdl__lanes_init(device, n_lanes) != RDL_OK) {
        rdl__free(device);
        return NULL;
    }
    rdl__lock_init(&device->wait.lock, RDL__RANK_LANES);
    rdl__lock_init(&device->retire.lock, RDL__RANK_RETIRE);
    rdl__lock_init(&device->plans_lock, RDL__RANK_PLANS);
    rdl__memory_init(device);
    for (uint32_t i = 0; i < n_lanes; i++)
        (void)rdl__lane_try(&device->lanes[i]); /* until rdl__lanes_open */
    rdl__lock_acquire(&rdl__lifecycle_lock);
    device->next_made = made;
    made = device;
    rdl__lock_release(&rdl__lifecycle_lock);
    return device;
}

static void keep_object(struct rdl__device *device)
{
    rdl__lock_acquire(&rdl__lifecycle_lock);
    device->next_spare = spare;
    spare = device;
    rdl__lock_release(&rdl__lifecycle_lock);
}

static enum rdl_status check_options(const struct rdl__backend *backend,
                                     const struct rdl_device_options *options,
                                     struct rdl_error *error)
{
    if (options == NULL)
        return RDL_OK;
    if (options->size != sizeof *options)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_device_open: options have an unknown size");
    if (options->lanes != 0 && (options->lanes < 2 || options->lanes > MAX_LANES))
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_device_open: %u lanes, expected 2..%d",
                         options->lanes, MAX_LANES);
    if (options->plan_cache > MAX_PLANS)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_device_open: %u plans, expected 1..%d",
                         options->plan_cache, MAX_PLANS);
    if (options->intra_op_threads > 1)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                         "rdl_device_open: intra_op_threads %u: only 1 is supported",
                         options->intra_op_threads);
    if (options->sim != NULL && backend != &rdl__backend_sim)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_device_open: sim options for device \"%s\"",
                         backend->name);
    return RDL_OK;
}

static uint32_t default_lanes(const struct rdl__backend *backend)
{
    const uint32_t twice = 2 * rdl__cpu_allowed();
    if (backend != &rdl__backend_cpu || twice <= DEFAULT_LANES)
        return DEFAULT_LANES;
    return twice < MAX_LANES ? twice : MAX_LANES;
}

static enum rdl_status open_device(const struct rdl__backend *backend,
                                   const struct rdl_device_options *options,
                                   struct rdl__device **out, struct rdl_error *error)
{
    static const struct rdl_device_options defaults = {.size = sizeof defaults};
    const struct rdl_device_options *chosen = options != NULL ? options : &defaults;
    const uint32_t lanes = chosen->lanes > 0 ? chosen->lanes : default_lanes(backend);
    struct rdl__device *device = new_object(lanes);
    if (device == NULL)
        return rdl__fail_memory(error, "rdl_device_open: device", sizeof *device);
    device->backend = backend;
    device->epoch = rdl__fork_epoch();
    device->intra_op_threads = 1;
    device->plan_cache = chosen->plan_cache > 0 ? chosen->plan_cache : DEFAULT_PLANS;
    device->shared = options == NULL;
    device->default_stream = 0;
    rdl__store_seq_cst(&device->lost, false);
    rdl__store_seq_cst(&device->attention, (uint32_t)0);
    rdl__memory_limit(device, chosen->memory_limit_bytes);
    const enum rdl_status status = backend->open(chosen, &device->impl, error);
    if (status != RDL_OK) {
        keep_object(device);
        return status;
    }
    /* Lanes first: a run with a stale handle that finds the device open, and no lane free, would wait
     * for lanes that become free without a release. */
    rdl__lanes_open(device);
    rdl__store_seq_cst(&device->state, (uint32_t)RDL__DEVICE_OPEN);
    *out = device;
    return RDL_OK;
}

/* Ends a device that nobody uses: no handle, no lane, no memory. */
static void end_device(struct rdl__device *device)
{
    rdl__retire_scan(device);
    (void)rdl__memory_trim(device);
    rdl__memory_reset(device);
    for (uint32_t i = 0; i < device->n_lanes; i++) {
        if (device->lanes[i].stream != NULL)
            device->backend->stream_free(device->impl, device->lanes[i].stream);
        device->lanes[i].stream = NULL;
    }
    device->backend->close(device->impl);
    device->impl = NULL;
    keep_object(device);
}

/* Ends a device that was opened but cannot be named. */
static void abandon(struct rdl__device *device)
{
    rdl__store_seq_cst(&device->state, (uint32_t)RDL__DEVICE_CLOSING);
    rdl__tables_close(device);
    (void)rdl__lanes_take_all(device, RDL_FOREVER);
    end_device(device);
}

static size_t backend_index(const char *name)
{
    size_t i = 0;
    while (i < N_BACKENDS && strcmp(name, backends[i]->name) != 0)
        i++;
    return i;
}

/* Names a device; with a shared one, only if no other caller was faster: then *out is that one's. */
static enum rdl_status publish(struct rdl__device *device, size_t index, struct rdl_device *out,
                               struct rdl_error *error)
{
    uint64_t id = 0;
    enum rdl_status status = rdl__stream_open_default(device);
    if (status == RDL_OK)
        status = rdl__handle_open(&rdl__devices, device, NULL, &id);
    if (status != RDL_OK) {
        abandon(device);
        return rdl__fail(error, status, "rdl_device_open: default stream or handle: %s",
                         rdl_status_text(status));
    }
    rdl__store_relaxed(&device->id, id); /* a name; who uses it holds a pin or a lane */
    out->id = id;
    if (!device->shared)
        return RDL_OK;
    rdl__lock_acquire(&rdl__lifecycle_lock);
    const uint64_t other = shared_ids[index];
    if (other == 0)
        shared_ids[index] = id;
    rdl__lock_release(&rdl__lifecycle_lock);
    if (other != 0) {
        (void)rdl_device_close(*out, RDL_FOREVER, NULL); /* nobody else knows it */
        out->id = other;
    }
    return RDL_OK;
}

static uint64_t find_shared(size_t index)
{
    rdl__lock_acquire(&rdl__lifecycle_lock);
    const uint64_t id = shared_ids[index];
    rdl__lock_release(&rdl__lifecycle_lock);
    return id;
}

enum rdl_status rdl_device_open(const char *name, const struct rdl_device_options *options,
                                struct rdl_device *out, struct rdl_error *error)
{
    if (out == NULL || name == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_device_open: %s is NULL",
                         out == NULL ? "out" : "name");
    out->id = 0;
    const size_t index = backend_index(name);
    if (index == N_BACKENDS)
        return rdl__fail(error, RDL_ERR_NOT_FOUND,
                         "rdl_device_open: no device \"%s\"; there are \"cpu\" and \"sim\"", name);
    RDL_TRY(check_options(backends[index], options, error));
    RDL_TRY(rdl__runtime_enter(error));
    rdl__table_register(&rdl__devices);
    if (options == NULL && (out->id = find_shared(index)) != 0)
        return RDL_OK;
    struct rdl__device *device;
    RDL_TRY(open_device(backends[index], options, &device, error));
    return publish(device, index, out, error);
}

/* ------------------------------------------------------------------------------------- finding */

enum rdl_status rdl__device_usable(const struct rdl__device *device)
{
    if (device->epoch != rdl__fork_epoch() && !device->backend->survives_fork)
        return RDL_ERR_FORKED;
    return rdl__load_relaxed(&device->lost) ? RDL_ERR_DEVICE_LOST : RDL_OK; /* only grows */
}

struct rdl__device *rdl__device_pin(struct rdl_device handle, enum rdl_status *status,
                                    struct rdl_error *error)
{
    struct rdl__device *device = rdl__handle_pin(&rdl__devices, handle.id);
    *status = RDL_ERR_CLOSED;
    if (device != NULL) {
        *status = rdl__device_usable(device);
        if (*status != RDL_ERR_FORKED && rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN)
            *status = RDL_ERR_CLOSED;
        if (*status == RDL_OK || *status == RDL_ERR_DEVICE_LOST) {
            *status = RDL_OK; /* a lost device still answers; its work fails */
            return device;
        }
        rdl__handle_unpin(&rdl__devices, handle.id);
    }
    (void)rdl__fail(error, *status, "device: %s", rdl_status_text(*status));
    return NULL;
}

void rdl__device_unpin(struct rdl__device *device)
{
    rdl__handle_unpin(&rdl__devices, rdl__load_relaxed(&device->id)); /* pinned: its own */
}

struct rdl__device *rdl__device_pin_or_default(struct rdl_device handle, enum rdl_status *status,
                                               struct rdl_error *error)
{
    if (handle.id == 0 && (*status = rdl_device_open("cpu", NULL, &handle, error)) != RDL_OK)
        return NULL;
    return rdl__device_pin(handle, status, error);
}

enum rdl_status rdl__device_note(struct rdl__device *device, enum rdl_status status)
{
    if (status == RDL_ERR_DEVICE_LOST)
        rdl__store_relaxed(&device->lost, true); /* only grows; carries no data */
    return status;
}

void rdl__device_attend(struct rdl__device *device, enum rdl__attention bit, bool on)
{
    if (on)
        (void)atomic_fetch_or_explicit(&device->attention, (uint32_t)bit, memory_order_seq_cst);
    else if ((rdl__load_seq_cst(&device->attention) & (uint32_t)bit) != 0)
        (void)atomic_fetch_and_explicit(&device->attention, ~(uint32_t)bit, memory_order_seq_cst);
}

enum rdl_status rdl_device_get_info(struct rdl_device handle, struct rdl_device_info *info)
{
    if (info == NULL || info->size != sizeof *info)
        return RDL_ERR_ARGUMENT;
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, NULL);
    if (device == NULL)
        return status;
    *info = (struct rdl_device_info){.size = sizeof *info,
                                     .lanes = device->n_lanes,
                                     .intra_op_threads = device->intra_op_threads,
                                     .plan_cache = device->plan_cache,
                                     .host_memory = device->backend->host_memory,
                                     .asynchronous = device->backend->asynchronous,
                                     .lost = rdl__load_relaxed(&device->lost)};
    (void)snprintf(info->name, sizeof info->name, "%s", device->backend->name);
    (void)snprintf(info->isa, sizeof info->isa, "%s", rdl__isa_name(rdl__isa_best()));
    rdl__lanes_count(device, &info->lanes_leased, &info->lane_waiters);
    rdl__lock_acquire(&device->memory.lock);
    info->memory_limit_bytes = device->memory.limit_bytes;
    info->memory_waiters = device->memory.n_waiters;
    rdl__lock_release(&device->memory.lock);
    rdl__device_unpin(device);
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------- waiting */

enum rdl_status rdl__device_wait(struct rdl__device *device, struct rdl__point point,
                                 int64_t deadline_ns, struct rdl_cancel *cancel)
{
    struct rdl__park park;
    struct rdl__cancel_link link;
    rdl__park_init(&park);
    rdl__cancel_link(cancel, &link, &park);
    enum rdl_status status = RDL_OK;
    bool passed = point.stream == NULL;
    while (!passed && status == RDL_OK) {
        struct rdl__watch watch = {.park = &park};
        rdl__assert_no_lock();
        status =
            rdl__device_note(device, device->backend->watch(device->impl, point, &watch, &passed));
        if (status != RDL_OK || passed)
            break;
        if (rdl__cancelled(cancel))
            status = RDL_ERR_CANCELLED;
        else if (!rdl__park_wait(&park, deadline_ns))
            status = deadline_ns == RDL_NO_WAIT ? RDL_ERR_BUSY : RDL_ERR_DEADLINE;
        device->backend->unwatch(device->impl, point, &watch);
    }
    rdl__cancel_unlink(cancel, &link);
    rdl__park_fini(&park);
    return status == RDL_ERR_BUSY ? RDL_ERR_DEADLINE : status;
}

void rdl__device_drain(struct rdl__device *device, struct rdl__point point)
{
    enum rdl_status status;
    do
        status = rdl__device_wait(device, point, RDL_FOREVER, NULL);
    while (status == RDL_ERR_DEVICE); /* a wait that fails says nothing about the work */
}

enum rdl_status rdl_device_synchronize(struct rdl_device handle, int64_t deadline_ns,
                                       struct rdl_cancel *cancel, struct rdl_error *error)
{
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, error);
    if (device == NULL)
        return status;
    for (uint32_t i = 0; i < device->n_lanes && status == RDL_OK; i++) {
        void *stream = rdl__load_acquire(&device->lanes[i].stream_seen);
        if (!device->backend->asynchronous || stream == NULL)
            continue; /* on a synchronous device what was submitted has run */
        status = rdl__device_wait(device, device->backend->tail(stream), deadline_ns, cancel);
    }
    rdl__device_unpin(device);
    if (status != RDL_OK)
        return rdl__fail(error, status, "rdl_device_synchronize: %s", rdl_status_text(status));
    return RDL_OK;
}

/* ------------------------------------------------------------------------------------- closing */

static int64_t in_use(const struct rdl__memory_counts *counts)
{
    return rdl__load_seq_cst(&counts->allocations) - rdl__load_seq_cst(&counts->frees);
}

/* Takes the end of a drained device whose memory has all come back: true for one caller. Nothing is
 * allocated any more and a block is counted as free once it lies in the store or among the pending
 * ones, so what is empty stays so; state and counts are looked at under one lock, lest another thread
 * ends the device, and it is opened again, in between. */
static bool take_end(struct rdl__device *device)
{
    rdl__lock_acquire(&device->memory.lock);
    bool ends = rdl__load_seq_cst(&device->state) == RDL__DEVICE_DRAINED &&
                device->memory.pending_bytes == 0;
    if (ends) {
        int64_t blocks = in_use(&device->memory.counts);
        for (uint32_t i = 0; i < device->n_lanes; i++)
            blocks +=
                in_use(&device->lanes[i].cache.counts) + in_use(&device->lanes[i].remote_counts);
        ends = blocks == 0;
    }
    if (ends)
        rdl__store_seq_cst(&device->state, (uint32_t)RDL__DEVICE_ENDED);
    rdl__lock_release(&device->memory.lock);
    return ends;
}

void rdl__device_freed(struct rdl__device *device)
{
    if (rdl__load_seq_cst(&device->state) != RDL__DEVICE_DRAINED)
        return;
    rdl__memory_poll_pending(device);
    if (take_end(device))
        end_device(device);
}

/* The last pin of a closed device went. */
static void drained(void *object)
{
    struct rdl__device *device = object;
    rdl__retire_scan(device);
    for (uint32_t i = 0; i < device->n_lanes; i++) /* all are the closer's */
        rdl__memory_flush_lane(&device->lanes[i]);
    (void)rdl__memory_trim(device);
    rdl__store_seq_cst(&device->state, (uint32_t)RDL__DEVICE_DRAINED);
    rdl__device_freed(device);
}

static void forget_shared(struct rdl__device *device)
{
    rdl__lock_acquire(&rdl__lifecycle_lock);
    for (size_t i = 0; i < N_BACKENDS; i++)
        if (shared_ids[i] == rdl__load_relaxed(&device->id)) /* pinned: its own */
            shared_ids[i] = 0;
    rdl__lock_release(&rdl__lifecycle_lock);
}

enum rdl_status rdl_device_close(struct rdl_device handle, int64_t deadline_ns,
                                 struct rdl_error *error)
{
    if (rdl__in_callback())
        return rdl__fail(error, RDL_ERR_STATE, "rdl_device_close: called from a callback");
    struct rdl__device *device = rdl__handle_pin(&rdl__devices, handle.id);
    if (device == NULL)
        return rdl__fail(error, RDL_ERR_CLOSED, "rdl_device_close: device is closed");
    if (device->epoch != rdl__fork_epoch()) {
        const bool survives = device->backend->survives_fork;
        rdl__handle_unpin(&rdl__devices, handle.id);
        if (!survives)
            return rdl__fail(error, RDL_ERR_FORKED, "rdl_device_close: device of the parent");
        device = rdl__handle_pin(&rdl__devices, handle.id);
        if (device == NULL)
            return rdl__fail(error, RDL_ERR_CLOSED, "rdl_device_close: device is closed");
    }
    forget_shared(device);
    rdl__store_seq_cst(&device->state, (uint32_t)RDL__DEVICE_CLOSING);
    rdl__tables_close(device);
    rdl__lanes_refuse(device);
    rdl__memory_refuse(device); /* and from now on what is freed goes to the store */
    const enum rdl_status status = rdl__lanes_take_all(device, deadline_ns);
    if (status == RDL_OK)
        (void)rdl__handle_close(&rdl__devices, handle.id);
    rdl__handle_unpin(&rdl__devices, handle.id);
    if (status != RDL_OK)
        return rdl__fail(error, status, "rdl_device_close: work is still in flight");
    return RDL_OK;
}

struct close_all {
    int64_t deadline_ns;
    enum rdl_status status;
    struct rdl_error *error;
};

static void close_one(uint64_t id, void *object, void *user)
{
    struct close_all *all = user;
    struct rdl__device *device = object;
    if (device->epoch != rdl__fork_epoch() && !device->backend->survives_fork)
        return; /* the parent's */
    const enum rdl_status status =
        rdl_device_close((struct rdl_device){id}, all->deadline_ns, all->error);
    if (status != RDL_OK && status != RDL_ERR_CLOSED && all->status == RDL_OK)
        all->status = status;
}

enum rdl_status rdl__devices_close_all(int64_t deadline_ns, struct rdl_error *error)
{
    struct close_all all = {.deadline_ns = deadline_ns, .error = error};
    rdl__handle_each(&rdl__devices, close_one, &all);
    return all.status;
}

void rdl__device_after_fork(struct rdl__device *device)
{
    const uint32_t state = rdl__load_seq_cst(&device->state);
    if (state != RDL__DEVICE_OPEN && state != RDL__DEVICE_CLOSING)
        return;
    if (!device->backend->survives_fork) {
        forget_shared(device); /* who asks for the device by name gets one of this process */
        return;
    }
    rdl__lanes_after_fork(device);
    rdl__memory_after_fork(device);
    if (state == RDL__DEVICE_OPEN)
        rdl__stream_after_fork(device);
}
