/*
 * Held streams; see stream.h.
 */
#include "runtime/stream.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/fork.h"
#include "runtime/lifecycle.h"

static void destroy_stream(void *object);
static struct rdl__table streams = RDL__TABLE_INIT(destroy_stream);

/* --------------------------------------------------------------------------------------- turns */

struct rdl__turn_waiter {
    struct rdl__turn_waiter *next;
    struct rdl__park park;
    bool served; /* guarded by the turn's lock */
};

/* Takes the turn if it is free and nobody waits, or queues. */
static bool take_or_queue(struct rdl__turn *turn, struct rdl__turn_waiter *waiter)
{
    rdl__lock_acquire(&turn->lock);
    const bool free = !turn->taken && turn->head == NULL;
    if (free) {
        turn->taken = true;
    } else if (waiter != NULL) {
        if (turn->tail != NULL)
            turn->tail->next = waiter;
        else
            turn->head = waiter;
        turn->tail = waiter;
    }
    rdl__lock_release(&turn->lock);
    return free;
}

/* Whether the waiter was served; if not, and it gives up, takes it off the queue. */
static bool check_served(struct rdl__turn *turn, struct rdl__turn_waiter *waiter, bool give_up)
{
    rdl__lock_acquire(&turn->lock);
    const bool served = waiter->served;
    if (!served && give_up) {
        struct rdl__turn_waiter **at = &turn->head, *before = NULL;
        while (*at != waiter) {
            before = *at;
            at = &(*at)->next;
        }
        *at = waiter->next;
        if (turn->tail == waiter)
            turn->tail = before;
    }
    rdl__lock_release(&turn->lock);
    return served;
}

enum rdl_status rdl__turn_take(struct rdl__turn *turn, int64_t deadline_ns,
                               struct rdl_cancel *cancel)
{
    if (take_or_queue(turn, NULL))
        return RDL_OK;
    if (deadline_ns == RDL_NO_WAIT)
        return RDL_ERR_BUSY;
    struct rdl__turn_waiter waiter = {0};
    struct rdl__cancel_link link;
    rdl__park_init(&waiter.park);
    rdl__cancel_link(cancel, &link, &waiter.park);
    enum rdl_status status = RDL_OK;
    bool served = take_or_queue(turn, &waiter);
    while (!served && status == RDL_OK) {
        if (rdl__cancelled(cancel))
            status = RDL_ERR_CANCELLED;
        else if (!rdl__park_wait(&waiter.park, deadline_ns))
            status = RDL_ERR_DEADLINE;
        served = check_served(turn, &waiter, status != RDL_OK);
    }
    rdl__cancel_unlink(cancel, &link);
    rdl__park_fini(&waiter.park);
    return served ? RDL_OK : status; /* served at the last moment: the turn is used */
}

void rdl__turn_give(struct rdl__turn *turn)
{
    rdl__lock_acquire(&turn->lock);
    struct rdl__turn_waiter *next = turn->head;
    turn->taken = next != NULL;
    if (next != NULL) {
        turn->head = next->next;
        if (turn->head == NULL)
            turn->tail = NULL;
        next->served = true;
        rdl__park_wake(&next->park);
    }
    rdl__lock_release(&turn->lock);
}

/* ----------------------------------------------------------------------------- opening, finding */

static void give_lane_back(struct rdl__lane *lane, bool is_default)
{
    if (is_default)
        rdl__lane_release_after_try(lane);
    else
        rdl__lane_release(lane);
}

/* Makes a stream of a lane that the caller holds, and that goes back when the stream does, or with a
 * failure. */
static enum rdl_status publish(struct rdl__device *device, struct rdl__lane *lane, bool is_default,
                               struct rdl_stream *out)
{
    struct rdl__stream *stream = rdl__alloc_zeroed(1, sizeof *stream);
    if (stream == NULL) {
        give_lane_back(lane, is_default);
        return RDL_ERR_NO_MEMORY;
    }
    stream->device = device;
    stream->lane = lane;
    stream->epoch = rdl__fork_epoch();
    stream->is_default = is_default;
    rdl__lock_init(&stream->turn.lock, RDL__RANK_STREAM);
    enum rdl_status status = rdl__lane_stream(lane);
    rdl__table_register(&streams);
    if (status == RDL_OK)
        status = rdl__handle_open_pinned(&streams, stream, device, &stream->id);
    if (status != RDL_OK) {
        rdl__lock_fini(&stream->turn.lock);
        rdl__free(stream);
        give_lane_back(lane, is_default);
        return status;
    }
    const uint64_t id = stream->id;
    /* A device that began to close may have walked its streams before this one was named. */
    if (!is_default && rdl__load_seq_cst(&device->state) != RDL__DEVICE_OPEN) {
        (void)rdl__handle_close(&streams, id);
        status = RDL_ERR_CLOSED;
    }
    rdl__handle_unpin(&streams, id); /* closed: the lane goes with the stream */
    if (status == RDL_OK)
        out->id = id;
    return status;
}

enum rdl_status rdl_stream_open(struct rdl_device handle, int64_t deadline_ns,
                                struct rdl_cancel *cancel, struct rdl_stream *out,
                                struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_stream_open: out is NULL");
    out->id = 0;
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, error);
    if (device == NULL)
        return status;
    struct rdl__lane *lane = NULL;
    status = rdl__lane_acquire(device, deadline_ns, cancel, &lane);
    if (status == RDL_OK)
        status = publish(device, lane, false, out);
    rdl__device_unpin(device);
    if (status != RDL_OK)
        return rdl__fail(error, status, "rdl_stream_open: %s", rdl_status_text(status));
    return RDL_OK;
}

enum rdl_status rdl__stream_open_default(struct rdl__device *device)
{
    struct rdl__lane *lane = &device->lanes[0];
    struct rdl_stream stream;
    (void)rdl__lane_try(lane); /* free: the device is being opened */
    const enum rdl_status status = publish(device, lane, true, &stream);
    if (status == RDL_OK)
        device->default_stream = stream.id;
    return status;
}

void rdl__stream_after_fork(struct rdl__device *device)
{
    struct rdl__stream *stream = rdl__handle_pin(&streams, device->default_stream);
    if (stream == NULL)
        return;
    stream->epoch = rdl__fork_epoch();
    rdl__lock_init(&stream->turn.lock, RDL__RANK_STREAM); /* its holder may be gone */
    rdl__lock_acquire(&stream->turn.lock);
    stream->turn.taken = false;
    stream->turn.head = stream->turn.tail = NULL;
    rdl__lock_release(&stream->turn.lock);
    (void)rdl__lane_try(stream->lane);
    if (rdl__lane_stream(stream->lane) != RDL_OK)
        (void)rdl__handle_close(&streams, device->default_stream);
    rdl__handle_unpin(&streams, device->default_stream);
}

enum rdl_status rdl_stream_default(struct rdl_device handle, struct rdl_stream *out,
                                   struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_stream_default: out is NULL");
    out->id = 0;
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, error);
    if (device == NULL)
        return status;
    out->id = device->default_stream;
    rdl__device_unpin(device);
    return RDL_OK;
}

struct rdl__stream *rdl__stream_pin(struct rdl__device *device, struct rdl_stream handle,
                                    enum rdl_status *status, struct rdl_error *error)
{
    if (handle.id == 0 && device != NULL)
        handle.id = device->default_stream;
    struct rdl__stream *stream = rdl__handle_pin(&streams, handle.id);
    *status = RDL_OK;
    if (stream == NULL)
        *status = RDL_ERR_CLOSED;
    else if (stream != NULL && stream->epoch != rdl__fork_epoch())
        *status = RDL_ERR_FORKED;
    else if (stream != NULL && device != NULL && stream->device != device)
        *status = RDL_ERR_ARGUMENT;
    if (*status == RDL_OK)
        return stream;
    if (stream != NULL)
        rdl__handle_unpin(&streams, handle.id);
    (void)rdl__fail(error, *status, "stream: %s",
                    *status == RDL_ERR_ARGUMENT ? "it belongs to another device"
                                                : rdl_status_text(*status));
    return NULL;
}

void rdl__stream_unpin(struct rdl__stream *stream)
{
    rdl__handle_unpin(&streams, stream->id);
}

/* ------------------------------------------------------------------------------ waiting, closing */

enum rdl_status rdl__stream_wait_idle(struct rdl__stream *stream, int64_t deadline_ns,
                                      struct rdl_cancel *cancel)
{
    const struct rdl__backend *backend = stream->device->backend;
    if (!backend->asynchronous) { /* whoever has the turn is running its work */
        RDL_TRY(rdl__turn_take(&stream->turn, deadline_ns, cancel));
        rdl__turn_give(&stream->turn);
        return RDL_OK;
    }
    return rdl__device_wait(stream->device, backend->tail(stream->lane->stream), deadline_ns,
                            cancel);
}

/* The last pin went: nobody uses the stream, but its work may still run. */
static void destroy_stream(void *object)
{
    struct rdl__stream *stream = object;
    if (stream->epoch == rdl__fork_epoch()) {
        const struct rdl__backend *backend = stream->device->backend;
        if (backend->asynchronous)
            rdl__device_drain(stream->device, backend->tail(stream->lane->stream));
        give_lane_back(stream->lane, stream->is_default);
        rdl__lock_fini(&stream->turn.lock);
    } /* else the parent's lane, which the child freed at the fork */
    rdl__free(stream);
}

void rdl_stream_close(struct rdl_stream handle)
{
    enum rdl_status status;
    struct rdl__stream *stream = rdl__stream_pin(NULL, handle, &status, NULL);
    if (stream == NULL)
        return;
    if (!stream->is_default)
        (void)rdl__handle_close(&streams, handle.id);
    rdl__stream_unpin(stream);
}

enum rdl_status rdl_stream_lane(struct rdl_stream handle, uint32_t *out)
{
    enum rdl_status status;
    if (out == NULL)
        return RDL_ERR_ARGUMENT;
    struct rdl__stream *stream = rdl__stream_pin(NULL, handle, &status, NULL);
    if (stream == NULL)
        return status;
    *out = stream->lane->index;
    rdl__stream_unpin(stream);
    return RDL_OK;
}

enum rdl_status rdl_stream_query(struct rdl_stream handle, bool *out)
{
    enum rdl_status status;
    if (out == NULL)
        return RDL_ERR_ARGUMENT;
    struct rdl__stream *stream = rdl__stream_pin(NULL, handle, &status, NULL);
    if (stream == NULL)
        return status;
    struct rdl__device *device = stream->device;
    if (!device->backend->asynchronous) {
        const enum rdl_status turn = rdl__turn_take(&stream->turn, RDL_NO_WAIT, NULL);
        *out = turn == RDL_OK;
        if (turn == RDL_OK)
            rdl__turn_give(&stream->turn);
    } else {
        status =
            device->backend->query(device->impl, device->backend->tail(stream->lane->stream), out);
        (void)rdl__device_note(device, status);
    }
    rdl__stream_unpin(stream);
    return status;
}

enum rdl_status rdl_stream_synchronize(struct rdl_stream handle, int64_t deadline_ns,
                                       struct rdl_cancel *cancel, struct rdl_error *error)
{
    enum rdl_status status;
    struct rdl__stream *stream = rdl__stream_pin(NULL, handle, &status, error);
    if (stream == NULL)
        return status;
    status = rdl__stream_wait_idle(stream, deadline_ns, cancel);
    rdl__stream_unpin(stream);
    if (status != RDL_OK)
        return rdl__fail(error, status, "rdl_stream_synchronize: %s", rdl_status_text(status));
    return RDL_OK;
}
