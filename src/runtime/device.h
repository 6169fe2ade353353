/*
 * A device as the runtime sees it: a backend, lanes, an allocator, and what waits for its last user.
 *
 * Device objects are type-stable: a closed one goes to a list and is used again, never back to the
 * system, since a run with a stale model handle may touch a device's lanes before it finds out. So are
 * its lanes.
 *
 * Owners of the fields: what is set by open is read-only until close has seen every lane free. `state`
 * and `attention` are atomic. Lanes: lane.h. Memory: memory.h. The rest is guarded by the lock beside
 * it.
 */
#ifndef RDL_RUNTIME_DEVICE_H
#define RDL_RUNTIME_DEVICE_H

#include "device/device.h"
#include "os/cpu.h"
#include "runtime/handle.h"
#include "runtime/memory.h"

struct rdl__lane;
struct rdl__lane_closer;
struct rdl__lane_waiter;
struct rdl__retired;

/** Bits of `attention`: reasons for a call that ends to do more than give its lane back. */
enum rdl__attention {
    RDL__ATTENTION_LANES = 1,  /* callers wait for a lane */
    RDL__ATTENTION_RETIRE = 2, /* objects wait for their last user */
    RDL__ATTENTION_MEMORY = 4, /* callers wait for memory: caches are to be given back */
    RDL__ATTENTION_CLOSE = 8   /* the device is being closed: its closer wants all lanes */
};

enum rdl__device_state {
    RDL__DEVICE_OPEN = 0,
    RDL__DEVICE_CLOSING = 1, /* no new lease; those waiting get RDL_ERR_CLOSED */
    RDL__DEVICE_DRAINED =
        2,                /* no handle, no lane is leased; ends when its last memory comes back */
    RDL__DEVICE_ENDED = 3 /* to be opened again */
};

struct rdl__device {
    /* Set by open. */
    const struct rdl__backend *backend;
    void *impl;                /* the backend's device */
    _Atomic uint64_t id;       /* its handle; a stale call may look while it is opened again */
    uint32_t epoch;            /* fork epoch in which it was opened */
    uint32_t n_lanes;          /* lane 0 is the default one and never leased */
    uint32_t cap_lanes;        /* lanes of the array, >= n_lanes */
    uint32_t intra_op_threads; /* width of one call */
    uint32_t plan_cache;
    bool shared;             /* opened without options */
    struct rdl__lane *lanes; /* [cap_lanes] */

    _Alignas(RDL__CACHE_LINE) _Atomic uint32_t state; /* enum rdl__device_state */
    _Atomic uint32_t attention; /* bits; changed under the lock of the list that a bit speaks of.
                                   All accesses seq_cst: a releaser frees its lane, then reads it; who
                                   needs something sets its bit, then looks at the lanes */
    _Atomic bool lost;          /* set once, when the backend reports it */

    _Alignas(RDL__CACHE_LINE) struct {
        struct rdl__lock lock;                               /* rank LANES */
        struct rdl__lane_waiter *head RDL_GUARDED_BY(&lock); /* oldest first */
        struct rdl__lane_waiter *tail RDL_GUARDED_BY(&lock);
        uint32_t count RDL_GUARDED_BY(&lock);
        struct rdl__lane_closer *closers RDL_GUARDED_BY(&lock); /* who wait for every lane */
    } wait;

    struct {
        struct rdl__lock lock; /* rank RETIRE */
        struct rdl__retired *list RDL_GUARDED_BY(&lock);
    } retire;

    struct rdl__lock plans_lock; /* rank PLANS: plan caches of the device's models */

    struct rdl__memory memory;

    uint64_t default_stream;        /* handle; set by open */
    struct rdl__device *next_spare; /* among devices that may be opened again; LIFECYCLE lock */
    struct rdl__device *next_made;  /* among all that were ever made; LIFECYCLE lock */
};

/** The table of devices. */
extern struct rdl__table rdl__devices;

/** The device behind a handle, pinned; on failure NULL with *status RDL_ERR_CLOSED or, for a device
 * that does not survive a fork, RDL_ERR_FORKED. Give back by rdl__device_unpin. */
struct rdl__device *rdl__device_pin(struct rdl_device handle, enum rdl_status *status,
                                    struct rdl_error *error);
void rdl__device_unpin(struct rdl__device *device);

/** As rdl__device_pin; handle 0 is the shared "cpu" device, opened if need be. */
struct rdl__device *rdl__device_pin_or_default(struct rdl_device handle, enum rdl_status *status,
                                               struct rdl_error *error);

/** RDL_OK if the device can be used by this process: RDL_ERR_FORKED if it belongs to a parent and does
 * not survive, RDL_ERR_DEVICE_LOST. */
enum rdl_status rdl__device_usable(const struct rdl__device *device);

/** Notes a backend's status: device loss sticks. Returns it. */
enum rdl_status rdl__device_note(struct rdl__device *device, enum rdl_status status);

/** Waits until the point has passed, heeding deadline and cancel. @return RDL_ERR_DEADLINE,
 * RDL_ERR_CANCELLED, RDL_ERR_DEVICE, RDL_ERR_DEVICE_LOST */
enum rdl_status rdl__device_wait(struct rdl__device *device, struct rdl__point point,
                                 int64_t deadline_ns, struct rdl_cancel *cancel);

/** Waits until the point has passed, whatever fails: for the sake of memory that work still touches. */
void rdl__device_drain(struct rdl__device *device, struct rdl__point point);

/** Memory of the device was given back: if it was the last of a drained device, frees the device. */
void rdl__device_freed(struct rdl__device *device);

/** Closes all devices; the first failure's status. */
enum rdl_status rdl__devices_close_all(int64_t deadline_ns, struct rdl_error *error);

/** In a forked child, which has one thread. */
void rdl__device_after_fork(struct rdl__device *device);

/** All devices ever made, for fork; the caller holds the LIFECYCLE lock. */
extern struct rdl__lock rdl__lifecycle_lock;
struct rdl__device *rdl__devices_made_locked(void) RDL_REQUIRES(rdl__lifecycle_lock);

/** Sets or clears a bit of attention; under the lock of the list that the bit speaks of. */
void rdl__device_attend(struct rdl__device *device, enum rdl__attention bit, bool on);

/* ------------------------------------------------------------------------- retired objects */

/**
 * An object that was unlinked, so that no new user can find it, and that goes when no lane's hazard
 * names it: memory that may be read by calls that found it before.
 */
struct rdl__retired {
    struct rdl__retired *next;
    const void *object; /* compared with the lanes' hazards */
    void (*free)(struct rdl__retired *retired);
};

/** Retires an object that was unlinked before the call. It is freed by this call or by the call that
 * is last seen using it. Under no lock. */
void rdl__retire(struct rdl__device *device, struct rdl__retired *retired);
/** Frees retired objects that no lane uses any more. Under no lock. */
void rdl__retire_scan(struct rdl__device *device);

#endif
