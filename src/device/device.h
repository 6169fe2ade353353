/*
 * The device vtable: what a backend gives to the runtime.
 *
 * A stream runs its pieces of work in order. Each piece gets the next sequence number of its stream,
 * and a point (stream, number) has passed when that piece and all before it have run; events, waits
 * and the allocator are built on points, so nothing can look complete by being recycled: numbers only
 * grow, and streams live as long as their device.
 *
 * Threading: every entry may be called by any thread at the same time, save that one stream's work is
 * submitted by one thread at a time where `asynchronous` is false (the runtime takes turns). No entry
 * is called under a lock of the runtime's, and none calls back, but for `wake`.
 */
#ifndef RDL_DEVICE_DEVICE_H
#define RDL_DEVICE_DEVICE_H

#include "device/segment.h"
#include "os/park.h"
#include "raddle/device.h"

#define RDL__BACKEND_API 1

/** A point in a stream. A NULL stream has always passed. */
struct rdl__point {
    void *stream;
    uint64_t number;
};

/** One waiter for a point: woken when the point has passed. Listed in the
 * backend between watch and unwatch; belongs to the waiter. */
struct rdl__watch {
    struct rdl__watch *next;
    struct rdl__park *park;
    uint64_t number;
};

/** Completion time of a recorded point. Counted: the event and the piece of work in the stream each
 * hold a reference, so a late completion touches only memory that it owns. */
struct rdl__mark {
    _Atomic uint32_t references;
    _Atomic int64_t time_ns; /* 0 until the point has passed; written by the device, release */
};

struct rdl__backend {
    uint32_t api_version; /* RDL__BACKEND_API */
    const char *name;
    bool host_memory;   /* the host may touch the device's memory */
    bool asynchronous;  /* work runs beside the caller */
    bool survives_fork; /* usable in a child that made it before */

    /** Opens a device. @return RDL_ERR_NO_MEMORY, RDL_ERR_THREAD, RDL_ERR_DEVICE. Required. */
    enum rdl_status (*open)(const struct rdl_device_options *options, void **out,
                            struct rdl_error *error);
    /** Closes it; all streams are idle and freed, all memory is given back. Required. */
    void (*close)(void *device);

    /** A segment of memory, 256-byte aligned. @return RDL_ERR_NO_MEMORY, RDL_ERR_DEVICE_LOST. */
    enum rdl_status (*memory_new)(void *device, size_t size_bytes, void **out);
    /** Gives it back; no work uses it any more. */
    void (*memory_free)(void *device, void *memory, size_t size_bytes);
    /** Says that a range passed from the store to a user (live) or back, in the order of a stream, or
     * with stream NULL while no work touches it. Optional: for devices that check uses. */
    void (*memory_live)(void *device, void *stream, void *memory, size_t size_bytes, bool live);

    /** Makes a stream. @return RDL_ERR_NO_MEMORY, RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST. */
    enum rdl_status (*stream_new)(void *device, void **out);
    /** Frees an idle stream. */
    void (*stream_free)(void *device, void *stream);

    /** Submits a segment. bases [n_bases] are copied if the call returns before the work has run;
     * segment, progress and what the bases point to stay until then. Work is skipped once progress
     * says stop or failed. deadline_ns is seen by devices that run on the caller.
     * @return RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST, RDL_ERR_NO_MEMORY: nothing was submitted */
    enum rdl_status (*submit)(void *stream, const struct rdl__segment *segment, void *const *bases,
                              uint32_t n_bases, struct rdl__progress *progress,
                              int64_t deadline_ns);
    /** Submits a copy from host memory to the device's, and back, and within the device. The memory
     * stays until it has run. progress may be NULL. @return as submit */
    enum rdl_status (*copy_in)(void *stream, void *dst, const void *src, size_t size_bytes,
                               struct rdl__progress *progress);
    enum rdl_status (*copy_out)(void *stream, void *dst, const void *src, size_t size_bytes,
                                struct rdl__progress *progress);
    enum rdl_status (*copy)(void *stream, void *dst, const void *src, size_t size_bytes);
    enum rdl_status (*fill)(void *stream, void *dst, uint8_t value, size_t size_bytes);

    /** The point behind all work submitted to the stream so far. Cannot fail: when a device is lost its
     * points pass, since nothing runs any more. */
    struct rdl__point (*tail)(void *stream);
    /** Submits a note of the time to mark (a reference is taken); *out is the point behind it.
     * @return as submit */
    enum rdl_status (*record)(void *stream, struct rdl__mark *mark, struct rdl__point *out);
    /** Makes work submitted to the stream from now on wait for a point. @return as submit */
    enum rdl_status (*wait_point)(void *stream, struct rdl__point point);
    /** Whether a point has passed. @return RDL_ERR_DEVICE_LOST */
    enum rdl_status (*query)(void *device, struct rdl__point point, bool *out);
    /** Lists a watch for the point unless it has passed: *passed. @return RDL_ERR_DEVICE (a wait that
     * fails), RDL_ERR_DEVICE_LOST (the point has passed, but the device is lost) */
    enum rdl_status (*watch)(void *device, struct rdl__point point, struct rdl__watch *watch,
                             bool *passed);
    /** Takes a watch off, whether or not it was woken. */
    void (*unwatch)(void *device, struct rdl__point point, struct rdl__watch *watch);
};

/** Gives a reference to a mark back; NULL is allowed. */
void rdl__mark_release(struct rdl__mark *mark);

extern const struct rdl__backend rdl__backend_cpu;
extern const struct rdl__backend rdl__backend_sim;

#endif
