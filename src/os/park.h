/*
 * Parking: how a thread waits for what another thread will do.
 *
 * A parker belongs to one waiting thread, usually on its stack. It holds at most one token: wake puts
 * it there, wait takes it, or waits until it comes. A wake before the wait is not lost. Who wakes must
 * be sure that the parker still lives: it is found under the lock of the queue that lists it, and the
 * waiter takes itself off that queue under the same lock before its stack frame ends.
 *
 * Threading: token is guarded by lock; wake is for any thread, wait for the owner.
 */
#ifndef RDL_OS_PARK_H
#define RDL_OS_PARK_H

#include "os/lock.h"

struct rdl__park {
    struct rdl__lock lock; /* rank PARK, the leaf: a wake is allowed under any other lock */
    struct rdl__cond cond;
    bool token RDL_GUARDED_BY(&lock);
};

void rdl__park_init(struct rdl__park *park);
void rdl__park_fini(struct rdl__park *park);
/** Takes the token, waiting for it until deadline_ns; false if the deadline passed without one. */
bool rdl__park_wait(struct rdl__park *park, int64_t deadline_ns);
/** Puts the token. */
void rdl__park_wake(struct rdl__park *park);

#endif
