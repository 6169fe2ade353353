/*
 * Lanes: what a call leases while it runs.
 *
 * The protocol (spec/Lane.tla; each action names its function here):
 *
 * Acquire: a seq_cst exchange on the lane's own word, beginning with the lane that the thread used
 * last; the word holds the owner's token, or 0. If callers wait already, or no lane is free, the caller
 * queues under the device's lock, sets the attention bit, and scans the lanes once more: a lane that
 * was freed before the bit was set is found by the scan, one that is freed after is handed over by its
 * releaser. Newcomers do not overtake those who wait; lanes go to the oldest.
 *
 * Release: a seq_cst exchange that frees the word, then a read of the attention bits. So either the
 * releaser sees the waiter's bit, or the waiter's scan sees the free lane: no hand-over is missed.
 *
 * Hazards: a call publishes the plan and the model that it is about to use in its lane, then checks
 * that the model's handle is still open and the plan still in the cache; who closes or evicts unlinks
 * first, then looks at all lanes. `hazard_model` is written and read seq_cst; `hazard_plan` is written
 * before it and read after it, which orders it (release and acquire through hazard_model).
 *
 * In the steady state a call writes only its own lane's lines, and reads lines that nobody writes.
 *
 * Everything else in a lane belongs to whoever holds it, handed over by the word's exchanges; but for
 * `remote`, a stack that any thread pushes freed blocks to, and whoever holds the lane takes whole.
 */
#ifndef RDL_RUNTIME_LANE_H
#define RDL_RUNTIME_LANE_H

#include "runtime/cancel.h"
#include "runtime/device.h"

struct rdl__lane {
    /* Line of the lease. */
    _Alignas(
        RDL__CACHE_LINE) _Atomic(uintptr_t) owner; /* 0: free; else the holder's thread token */
    _Atomic(const void *) hazard_model;            /* the model in use; NULL: none */
    _Atomic(const void *) hazard_plan; /* the plan in use; meaningful while hazard_model is set */

    /* The holder's. */
    struct rdl__device *device;
    void *stream; /* backend's; made at the first lease, kept */
    _Atomic(void *)
        stream_seen; /* the same, for rdl_device_synchronize; set once a life, release */
    struct rdl__block *arena;
    uintptr_t last_user; /* token of the thread that held the lane before */
    uint32_t index;
    struct { /* what the last run used: a hint, to be checked by hazards */
        uint64_t model;
        const void *plan;
        uint32_t entry;
    } last;
    struct rdl__lane_cache cache;

    struct rdl__progress
        progress; /* of the holder's run; stop may be set by who closes the device */

    _Alignas(RDL__CACHE_LINE) _Atomic(struct rdl__block *) remote; /* blocks freed by anyone */
    struct rdl__memory_counts remote_counts;                       /* of those frees */
};

/** Makes the lanes of a device that was never open. @return RDL_ERR_NO_MEMORY */
enum rdl_status rdl__lanes_init(struct rdl__device *device, uint32_t n_lanes);
/** Frees the words of all lanes of a device that is being opened, maybe after a life before. */
void rdl__lanes_open(struct rdl__device *device);
/** Takes all lanes for good, stopping the runs that hold them; the device's state is CLOSING. May be
 * called again after RDL_ERR_DEADLINE. @return RDL_ERR_DEADLINE */
enum rdl_status rdl__lanes_take_all(struct rdl__device *device, int64_t deadline_ns);

/**
 * Leases a lane.
 *
 * @param deadline_ns  RDL_NO_WAIT: fail at once with RDL_ERR_BUSY
 * @param cancel       NULL allowed
 * @return RDL_ERR_BUSY, RDL_ERR_DEADLINE, RDL_ERR_CANCELLED, RDL_ERR_CLOSED (device closing)
 */
enum rdl_status rdl__lane_acquire(struct rdl__device *device, int64_t deadline_ns,
                                  struct rdl_cancel *cancel, struct rdl__lane **out);

/** Leases the lane that the thread used last, if it is free now and nobody waits; NULL otherwise. */
struct rdl__lane *rdl__lane_try_hint(struct rdl__device *device);

/** Takes this very lane if it is free; for trimming and closing. */
bool rdl__lane_try(struct rdl__lane *lane);

/** Gives a lane back, of a device that has its handle; its stream is idle. Serves waiters, retired
 * objects and memory if need be. */
void rdl__lane_release(struct rdl__lane *lane);

/** Gives a lane back that was taken for housekeeping: serves only those who wait for a lane. */
void rdl__lane_release_after_try(struct rdl__lane *lane);

/** Makes the lane's stream if it has none. The lane is held. @return RDL_ERR_DEVICE, ... */
enum rdl_status rdl__lane_stream(struct rdl__lane *lane);

/** Publishes what the holder is about to use; the caller then rechecks that both are linked. */
static inline void rdl__lane_publish(struct rdl__lane *lane, const void *model, const void *plan)
{
    /* carried by the seq_cst store below, which rdl__lane_uses reads first */
    rdl__store_relaxed(&lane->hazard_plan, plan);
    rdl__store_seq_cst(&lane->hazard_model, model);
}

/** The holder uses nothing any more. */
static inline void rdl__lane_unpublish(struct rdl__lane *lane)
{
    /* pairs with the load in rdl__lane_uses: what the call read of the object comes before its end */
    rdl__store_release(&lane->hazard_model, NULL);
}

/** Whether the lane's holder uses the object, a model or a plan. */
static inline bool rdl__lane_uses(struct rdl__lane *lane, const void *object)
{
    const void *model = rdl__load_seq_cst(&lane->hazard_model);
    if (model == NULL)
        return false;
    return model == object || rdl__load_relaxed(&lane->hazard_plan) == object; /* see publish */
}

/** Wakes all who wait for a lane, with RDL_ERR_CLOSED: the device is closing. */
void rdl__lanes_refuse(struct rdl__device *device);

/** Lanes leased now, and callers waiting; a snapshot. */
void rdl__lanes_count(struct rdl__device *device, uint32_t *leased, uint32_t *waiting);

/** In a forked child: frees the lanes that the parent's threads held. The process has one thread. */
void rdl__lanes_after_fork(struct rdl__device *device);

#endif
