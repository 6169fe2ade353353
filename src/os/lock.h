/*
 * Locks and conditions.
 *
 * Every lock has a rank. A thread takes a lock only if its rank is above those of all locks it holds;
 * a debug build (RDL_DEBUG) checks that and aborts, naming both. There are no recursive locks. Under
 * a lock there is no callback, no allocation, no device call and no log line; waking a parked thread
 * is allowed (RDL__RANK_PARK is the leaf).
 */
#ifndef RDL_OS_LOCK_H
#define RDL_OS_LOCK_H

#include "os/annot.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* X(NAME): all ranks of the library, outermost first. */
#define RDL__RANK_LIST(X)                                                                          \
    X(LIFECYCLE) /* opening and closing of devices, configuration, shutdown */                     \
    X(TABLE)     /* handle tables: free slots */                                                   \
    X(PLANS)     /* a model's plan cache */                                                        \
    X(LANES)     /* a device's waiters for lanes */                                                \
    X(RETIRE)    /* a device's list of objects that wait for their last user */                    \
    X(MEMORY)    /* a device's allocator */                                                        \
    X(WORKERS)   /* the worker pool */                                                             \
    X(REQUEST)   /* a submitted run */                                                             \
    X(EVENT)     /* an event's newest record */                                                    \
    X(STREAM)    /* turns of a CPU stream */                                                       \
    X(SIM)       /* the simulated device */                                                        \
    X(CANCEL)    /* a cancel token's waiters */                                                    \
    X(PARK)      /* a parked thread */

enum rdl__rank {
#define RDL__RANK_ENUM(name) RDL__RANK_##name,
    RDL__RANK_LIST(RDL__RANK_ENUM)
#undef RDL__RANK_ENUM
        RDL__RANK_COUNT
};

/** A lock. Initialise by RDL__LOCK_INIT(rank) or rdl__lock_init. */
struct RDL_CAPABILITY("lock") rdl__lock {
    pthread_mutex_t mutex;
    enum rdl__rank rank;
};

#define RDL__LOCK_INIT(lock_rank) {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (lock_rank)}

void rdl__lock_init(struct rdl__lock *lock, enum rdl__rank rank);
void rdl__lock_fini(struct rdl__lock *lock);
void rdl__lock_acquire(struct rdl__lock *lock) RDL_ACQUIRES(lock);
void rdl__lock_release(struct rdl__lock *lock) RDL_RELEASES(lock);

/** For fork handlers only: take and give back without the rank check, since a fork takes many locks of
 * one rank, always in the order of their objects' slots. */
void rdl__lock_acquire_for_fork(struct rdl__lock *lock) RDL_ACQUIRES(lock);
void rdl__lock_release_for_fork(struct rdl__lock *lock) RDL_RELEASES(lock);

/** A condition, waited for with one lock. Its waits may wake without cause. */
struct rdl__cond {
    pthread_cond_t cond;
};

void rdl__cond_init(struct rdl__cond *cond);
void rdl__cond_fini(struct rdl__cond *cond);
/** Gives lock back, waits, takes it again. The caller holds no other lock. */
void rdl__cond_wait(struct rdl__cond *cond, struct rdl__lock *lock) RDL_REQUIRES(lock);
/** As rdl__cond_wait; false if deadline_ns (rdl_now_ns clock) passed. INT64_MAX never passes. */
bool rdl__cond_wait_until(struct rdl__cond *cond, struct rdl__lock *lock, int64_t deadline_ns)
    RDL_REQUIRES(lock);
void rdl__cond_signal(struct rdl__cond *cond);
void rdl__cond_broadcast(struct rdl__cond *cond);

/** In a debug build: aborts if the calling thread holds any lock. To stand before whatever may block
 * or call out: device calls, callbacks, allocations of device memory, logging. */
#ifdef RDL_DEBUG
void rdl__assert_no_lock(void);
#else
static inline void rdl__assert_no_lock(void)
{
}
#endif

#endif
