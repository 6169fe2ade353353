/*
 * Streams and events: order among pieces of device work.
 *
 * A stream is an ordered queue of work. Holding one leases its lane until rdl_stream_close. Any thread
 * may use any stream; pieces of work that two threads put into one stream run one after the other, in
 * the order of arrival. Runs that name no stream lease a lane of their own for the length of the call.
 *
 * An event marks a point in a stream. It may be recorded again; then it stands for the newest point.
 */
#ifndef RADDLE_STREAM_H
#define RADDLE_STREAM_H

#include "raddle/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A stream, by value. id 0 is no stream. */
struct rdl_stream {
    uint64_t id;
};

/** An event, by value. id 0 is no event. */
struct rdl_event {
    uint64_t id;
};

/**
 * Leases a lane and holds it as a stream.
 *
 * @param deadline_ns  how long to wait for a lane: RDL_NO_WAIT, a time, or RDL_FOREVER
 * @param cancel       NULL allowed
 * @param out          receives the stream; zero on failure
 * @return RDL_ERR_BUSY (none free, RDL_NO_WAIT), RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_CLOSED,
 *         RDL_ERR_FORKED, RDL_ERR_DEVICE (the stream could not be made), RDL_ERR_NO_MEMORY,
 *         RDL_ERR_SHUTDOWN
 * Thread: any; may block. Order: waiters are served first come, first served.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_stream_open(struct rdl_device device, int64_t deadline_ns,
                                                      struct rdl_cancel *cancel,
                                                      struct rdl_stream *out,
                                                      struct rdl_error *error);

/** The device's default stream (lane 0), shared by all; closing it does nothing.
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status
rdl_stream_default(struct rdl_device device, struct rdl_stream *out, struct rdl_error *error);

/** Gives the stream back; its work goes on, and the lane is free once it is done. Harmless on a stale
 * or zero handle. Thread: any; waits for the stream's work. */
RDL_API void rdl_stream_close(struct rdl_stream stream);

/** Number of the lane that a stream holds: 0 the default, 1.. leased ones. Two streams held at the
 * same time have different numbers. @return RDL_ERR_CLOSED, RDL_ERR_FORKED. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status rdl_stream_lane(struct rdl_stream stream, uint32_t *out);

/** Whether all work of the stream has run: *out. @return RDL_ERR_CLOSED, RDL_ERR_FORKED,
 * RDL_ERR_DEVICE_LOST. Thread: any; never blocks. */
RDL_API RDL_NODISCARD enum rdl_status rdl_stream_query(struct rdl_stream stream, bool *out);

/** Waits until the stream's work submitted before the call has run.
 * @return RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_DEVICE_LOST,
 *         RDL_ERR_DEVICE. Thread: any; blocks, holding no lock. */
RDL_API RDL_NODISCARD enum rdl_status rdl_stream_synchronize(struct rdl_stream stream,
                                                             int64_t deadline_ns,
                                                             struct rdl_cancel *cancel,
                                                             struct rdl_error *error);

/** Makes an event, never recorded. @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_NO_MEMORY,
 * RDL_ERR_DEVICE. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status
rdl_event_open(struct rdl_device device, struct rdl_event *out, struct rdl_error *error);

/** Gives the event back; waits that were submitted on it stay in force. Harmless on a stale or zero
 * handle. Thread: any; never blocks. */
RDL_API void rdl_event_close(struct rdl_event event);

/** Records the event: it completes when the work that is in the stream now has run.
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_ARGUMENT (another device), RDL_ERR_DEVICE,
 *         RDL_ERR_DEVICE_LOST. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status
rdl_event_record(struct rdl_event event, struct rdl_stream stream, struct rdl_error *error);

/** Makes work submitted to the stream from now on wait for the event's newest record; nothing to do
 * if it was never recorded, as in CUDA. The host does not wait.
 * @return as rdl_event_record. Thread: any. */
RDL_API RDL_NODISCARD enum rdl_status
rdl_stream_wait_event(struct rdl_stream stream, struct rdl_event event, struct rdl_error *error);

/** Whether the newest record has completed: *out; true if never recorded.
 * @return RDL_ERR_CLOSED, RDL_ERR_FORKED, RDL_ERR_DEVICE_LOST. Thread: any; never blocks. */
RDL_API RDL_NODISCARD enum rdl_status rdl_event_query(struct rdl_event event, bool *out);

/** Waits for the newest record at the time of the call; returns at once if never recorded.
 * @return as rdl_stream_synchronize. Thread: any; blocks, holding no lock. */
RDL_API RDL_NODISCARD enum rdl_status rdl_event_synchronize(struct rdl_event event,
                                                            int64_t deadline_ns,
                                                            struct rdl_cancel *cancel,
                                                            struct rdl_error *error);

/** Nanoseconds between the completions of two records: *out_ns, negative if end came first.
 * @return RDL_ERR_STATE (one not recorded or not complete), RDL_ERR_CLOSED, RDL_ERR_FORKED,
 *         RDL_ERR_ARGUMENT (devices differ). Thread: any; never blocks. */
RDL_API RDL_NODISCARD enum rdl_status rdl_event_elapsed(struct rdl_event start,
                                                        struct rdl_event end, int64_t *out_ns,
                                                        struct rdl_error *error);

#ifdef __cplusplus
}
#endif
#endif
