/*
 * Held streams: lanes leased by name, and the turns that their users take.
 *
 * On a device that runs work on the caller, one stream's work must be submitted by one thread at a
 * time; and a run uses the lane's arena on any device. So whoever runs in a held stream takes its turn
 * first: first in, first out, with deadline and cancel. The turn's lock guards its fields and is never
 * held while work runs.
 */
#ifndef RDL_RUNTIME_STREAM_H
#define RDL_RUNTIME_STREAM_H

#include "raddle/stream.h"
#include "runtime/lane.h"

struct rdl__turn_waiter;

struct rdl__turn {
    struct rdl__lock lock; /* rank STREAM */
    bool taken RDL_GUARDED_BY(&lock);
    struct rdl__turn_waiter *head RDL_GUARDED_BY(&lock); /* oldest first */
    struct rdl__turn_waiter *tail RDL_GUARDED_BY(&lock);
};

struct rdl__stream {
    struct rdl__device *device;
    struct rdl__lane *lane; /* held until the stream's last pin goes */
    uint64_t id;
    uint32_t epoch;
    bool is_default;
    struct rdl__turn turn;
};

/** The stream behind a handle, pinned; handle 0 is the device's default stream if device is given.
 * On failure NULL with *status: RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT (of another device).
 * @param device  the device that it must belong to; NULL: any */
struct rdl__stream *rdl__stream_pin(struct rdl__device *device, struct rdl_stream handle,
                                    enum rdl_status *status, struct rdl_error *error);
void rdl__stream_unpin(struct rdl__stream *stream);

/** Makes the default stream of a device that is being opened, in lane 0. */
enum rdl_status rdl__stream_open_default(struct rdl__device *device);
/** In a forked child: makes the default stream of a device that survives usable again. */
void rdl__stream_after_fork(struct rdl__device *device);

/** Takes the stream's turn. @return RDL_ERR_BUSY (RDL_NO_WAIT), RDL_ERR_DEADLINE, RDL_ERR_CANCELLED */
enum rdl_status rdl__turn_take(struct rdl__turn *turn, int64_t deadline_ns,
                               struct rdl_cancel *cancel);
/** Gives it to the next in line. */
void rdl__turn_give(struct rdl__turn *turn);

/** Waits until the stream's work so far has run. The caller pins the stream. */
enum rdl_status rdl__stream_wait_idle(struct rdl__stream *stream, int64_t deadline_ns,
                                      struct rdl_cancel *cancel);

#endif
