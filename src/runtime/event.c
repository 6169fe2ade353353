/*
 * Events: a name for the newest recorded point.
 *
 * An event holds a point and a mark (the cell of its completion time). Both are replaced by a record,
 * under the event's lock (rank EVENT); whoever waits or queries copies the point first, so a record
 * meanwhile changes nothing for it, and numbers of points only grow, so an old point never looks
 * incomplete again nor a new one complete too early.
 */
#include "raddle/stream.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/fork.h"
#include "runtime/lifecycle.h"
#include "runtime/stream.h"

struct event {
    struct rdl__device *device;
    struct rdl_device device_handle;
    uint64_t id;
    uint32_t epoch;
    struct rdl__lock lock;
    struct rdl__point point RDL_GUARDED_BY(&lock); /* stream NULL: never recorded */
    struct rdl__mark *mark RDL_GUARDED_BY(&lock);
};

static void destroy_event(void *object)
{
    struct event *event = object;
    if (event->epoch == rdl__fork_epoch()) {
        rdl__lock_acquire(&event->lock);
        struct rdl__mark *mark = event->mark;
        rdl__lock_release(&event->lock);
        rdl__mark_release(mark);
        rdl__lock_fini(&event->lock);
    }
    rdl__free(event);
}

static struct rdl__table events = RDL__TABLE_INIT(destroy_event);

static struct event *pin(struct rdl_event handle, enum rdl_status *status, struct rdl_error *error)
{
    struct event *event = rdl__handle_pin(&events, handle.id);
    *status = event == NULL ? RDL_ERR_CLOSED : RDL_OK;
    if (event != NULL && event->epoch != rdl__fork_epoch()) {
        rdl__handle_unpin(&events, handle.id);
        event = NULL;
        *status = RDL_ERR_FORKED;
    }
    if (event == NULL)
        (void)rdl__fail(error, *status, "event: %s", rdl_status_text(*status));
    return event;
}

static void unpin(struct event *event)
{
    rdl__handle_unpin(&events, event->id);
}

enum rdl_status rdl_event_open(struct rdl_device handle, struct rdl_event *out,
                               struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_event_open: out is NULL");
    out->id = 0;
    enum rdl_status status;
    struct rdl__device *device = rdl__device_pin(handle, &status, error);
    if (device == NULL)
        return status;
    rdl__table_register(&events);
    struct event *event = rdl__alloc_zeroed(1, sizeof *event);
    status = event == NULL ? RDL_ERR_NO_MEMORY : RDL_OK;
    if (event != NULL) {
        event->device = device;
        event->device_handle = handle;
        event->epoch = rdl__fork_epoch();
        rdl__lock_init(&event->lock, RDL__RANK_EVENT);
        status = rdl__handle_open_pinned(&events, event, device, &event->id);
        if (status == RDL_OK) {
            out->id = event->id;
            rdl__handle_unpin(&events, out->id); /* it may be closed already, with its device */
        } else {
            rdl__lock_fini(&event->lock);
            rdl__free(event);
        }
    }
    rdl__device_unpin(device);
    return status == RDL_OK ? RDL_OK : rdl__fail_memory(error, "rdl_event_open", sizeof *event);
}

void rdl_event_close(struct rdl_event handle)
{
    (void)rdl__handle_close(&events, handle.id);
}

static struct rdl__point newest(struct event *event)
{
    rdl__lock_acquire(&event->lock);
    const struct rdl__point point = event->point;
    rdl__lock_release(&event->lock);
    return point;
}

/* Records in the stream and makes the point the event's newest. */
static enum rdl_status record(struct event *event, struct rdl__stream *stream)
{
    struct rdl__device *device = event->device;
    struct rdl__mark *mark = rdl__alloc_zeroed(1, sizeof *mark);
    if (mark == NULL)
        return RDL_ERR_NO_MEMORY;
    rdl__store_relaxed(&mark->references, 1); /* the event's; nobody else knows it yet */
    struct rdl__point point;
    const bool turns = !device->backend->asynchronous;
    enum rdl_status status = turns ? rdl__turn_take(&stream->turn, RDL_FOREVER, NULL) : RDL_OK;
    if (status == RDL_OK)
        status =
            rdl__device_note(device, device->backend->record(stream->lane->stream, mark, &point));
    if (turns)
        rdl__turn_give(&stream->turn);
    if (status == RDL_OK) {
        rdl__lock_acquire(&event->lock);
        struct rdl__mark *old = event->mark;
        event->mark = mark;
        event->point = point;
        rdl__lock_release(&event->lock);
        mark = old;
    }
    rdl__mark_release(mark);
    return status;
}

enum rdl_status rdl_event_record(struct rdl_event handle, struct rdl_stream stream_handle,
                                 struct rdl_error *error)
{
    enum rdl_status status;
    struct event *event = pin(handle, &status, error);
    if (event == NULL)
        return status;
    struct rdl__stream *stream = rdl__stream_pin(event->device, stream_handle, &status, error);
    if (stream != NULL) {
        status = record(event, stream);
        rdl__stream_unpin(stream);
        if (status != RDL_OK)
            (void)rdl__fail(error, status, "rdl_event_record: %s", rdl_status_text(status));
    }
    unpin(event);
    return status;
}

enum rdl_status rdl_stream_wait_event(struct rdl_stream stream_handle, struct rdl_event handle,
                                      struct rdl_error *error)
{
    enum rdl_status status;
    struct event *event = pin(handle, &status, error);
    if (event == NULL)
        return status;
    struct rdl__device *device = event->device;
    struct rdl__stream *stream = rdl__stream_pin(device, stream_handle, &status, error);
    if (stream != NULL) {
        const struct rdl__point point = newest(event);
        if (point.stream != NULL)
            status =
                rdl__device_note(device, device->backend->wait_point(stream->lane->stream, point));
        rdl__stream_unpin(stream);
        if (status != RDL_OK)
            (void)rdl__fail(error, status, "rdl_stream_wait_event: %s", rdl_status_text(status));
    }
    unpin(event);
    return status;
}

/* As pin, with the device: an event keeps neither a lane nor the device from ending. */
static struct event *pin_both(struct rdl_event handle, enum rdl_status *status,
                              struct rdl_error *error)
{
    struct event *event = pin(handle, status, error);
    if (event != NULL && rdl__device_pin(event->device_handle, status, error) == NULL) {
        unpin(event);
        event = NULL;
    }
    return event;
}

static void unpin_both(struct event *event)
{
    rdl__device_unpin(event->device);
    unpin(event);
}

enum rdl_status rdl_event_query(struct rdl_event handle, bool *out)
{
    enum rdl_status status;
    if (out == NULL)
        return RDL_ERR_ARGUMENT;
    struct event *event = pin_both(handle, &status, NULL);
    if (event == NULL)
        return status;
    status = rdl__device_note(
        event->device, event->device->backend->query(event->device->impl, newest(event), out));
    unpin_both(event);
    return status;
}

enum rdl_status rdl_event_synchronize(struct rdl_event handle, int64_t deadline_ns,
                                      struct rdl_cancel *cancel, struct rdl_error *error)
{
    enum rdl_status status;
    struct event *event = pin_both(handle, &status, error);
    if (event == NULL)
        return status;
    status = rdl__device_wait(event->device, newest(event), deadline_ns, cancel);
    unpin_both(event);
    if (status != RDL_OK)
        return rdl__fail(error, status, "rdl_event_synchronize: %s", rdl_status_text(status));
    return RDL_OK;
}

/* Completion time of the newest record; 0 if there is none, or it has not passed. */
static int64_t time_of(struct event *event)
{
    rdl__lock_acquire(&event->lock);
    /* pairs with the release in the backend */
    const int64_t time = event->mark != NULL ? rdl__load_acquire(&event->mark->time_ns) : 0;
    rdl__lock_release(&event->lock);
    return time;
}

enum rdl_status rdl_event_elapsed(struct rdl_event start_handle, struct rdl_event end_handle,
                                  int64_t *out_ns, struct rdl_error *error)
{
    enum rdl_status status;
    if (out_ns == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_event_elapsed: out_ns is NULL");
    struct event *start = pin(start_handle, &status, error);
    if (start == NULL)
        return status;
    struct event *end = pin(end_handle, &status, error);
    if (end != NULL) {
        const int64_t from = time_of(start), to = time_of(end);
        if (start->device != end->device)
            status = rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_event_elapsed: devices differ");
        else if (from == 0 || to == 0)
            status = rdl__fail(error, RDL_ERR_STATE,
                               "rdl_event_elapsed: the %s event is not recorded or not complete",
                               from == 0 ? "start" : "end");
        else
            *out_ns = to - from;
        unpin(end);
    }
    unpin(start);
    return status;
}
