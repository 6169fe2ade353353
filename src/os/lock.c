/*
 * Locks over pthread mutexes. A failing mutex call is a fault of ours and aborts.
 *
 * The rank check keeps, for each thread, a bit for each rank that it holds: ranks are taken in rising
 * order, so a bit at or above the new rank is an inversion (or a recursion).
 */
#include "os/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(int code, const char *call)
{
    if (code != 0) {
        (void)fprintf(stderr, "raddle: fault of the library: %s: %s\n", call, strerror(code));
        abort();
    }
}

#ifdef RDL_DEBUG
static const char *const rank_names[] = {
#define RANK_NAME(name) #name,
    RDL__RANK_LIST(RANK_NAME)
#undef RANK_NAME
};

static _Thread_local uint32_t held_ranks;

static void check_rank(enum rdl__rank rank)
{
    const uint32_t above = held_ranks >> rank;
    if (above != 0) {
        const unsigned held = (unsigned)rank + (unsigned)__builtin_ctz(above);
        (void)fprintf(stderr, "raddle: fault of the library: lock %s taken under lock %s\n",
                      rank_names[rank], rank_names[held]);
        abort();
    }
}

static void note_taken(enum rdl__rank rank)
{
    held_ranks |= UINT32_C(1) << rank;
}

static void note_given(enum rdl__rank rank)
{
    held_ranks &= ~(UINT32_C(1) << rank);
}

void rdl__assert_no_lock(void)
{
    if (held_ranks != 0) {
        (void)fprintf(stderr, "raddle: fault of the library: lock %s held across a blocking call\n",
                      rank_names[__builtin_ctz(held_ranks)]);
        abort();
    }
}
#else
static inline void check_rank(enum rdl__rank rank)
{
    (void)rank;
}
static inline void note_taken(enum rdl__rank rank)
{
    (void)rank;
}
static inline void note_given(enum rdl__rank rank)
{
    (void)rank;
}
#endif

void rdl__lock_init(struct rdl__lock *lock, enum rdl__rank rank)
{
    must(pthread_mutex_init(&lock->mutex, NULL), "pthread_mutex_init");
    lock->rank = rank;
}

void rdl__lock_fini(struct rdl__lock *lock)
{
    must(pthread_mutex_destroy(&lock->mutex), "pthread_mutex_destroy");
}

void rdl__lock_acquire(struct rdl__lock *lock) RDL_NO_ANALYSIS /* implements the capability */
{
    check_rank(lock->rank);
    must(pthread_mutex_lock(&lock->mutex), "pthread_mutex_lock");
    note_taken(lock->rank);
}

void rdl__lock_release(struct rdl__lock *lock) RDL_NO_ANALYSIS /* implements the capability */
{
    note_given(lock->rank);
    must(pthread_mutex_unlock(&lock->mutex), "pthread_mutex_unlock");
}

void rdl__lock_acquire_for_fork(struct rdl__lock *lock) RDL_NO_ANALYSIS /* implements it */
{
    must(pthread_mutex_lock(&lock->mutex), "pthread_mutex_lock");
}

void rdl__lock_release_for_fork(struct rdl__lock *lock) RDL_NO_ANALYSIS /* implements it */
{
    must(pthread_mutex_unlock(&lock->mutex), "pthread_mutex_unlock");
}

void rdl__cond_init(struct rdl__cond *cond)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes), "pthread_condattr_init");
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock");
    must(pthread_cond_init(&cond->cond, &attributes), "pthread_cond_init");
    must(pthread_condattr_destroy(&attributes), "pthread_condattr_destroy");
}

void rdl__cond_fini(struct rdl__cond *cond)
{
    must(pthread_cond_destroy(&cond->cond), "pthread_cond_destroy");
}

void rdl__cond_wait(struct rdl__cond *cond, struct rdl__lock *lock)
{
    note_given(lock->rank);
    rdl__assert_no_lock();
    must(pthread_cond_wait(&cond->cond, &lock->mutex), "pthread_cond_wait");
    note_taken(lock->rank);
}

bool rdl__cond_wait_until(struct rdl__cond *cond, struct rdl__lock *lock, int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX) {
        rdl__cond_wait(cond, lock);
        return true;
    }
    if (deadline_ns < 0)
        deadline_ns = 0;
    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                   .tv_nsec = (long)(deadline_ns % 1000000000)};
    note_given(lock->rank);
    rdl__assert_no_lock();
    const int code = pthread_cond_timedwait(&cond->cond, &lock->mutex, &until);
    note_taken(lock->rank);
    if (code == ETIMEDOUT)
        return false;
    must(code, "pthread_cond_timedwait");
    return true;
}

void rdl__cond_signal(struct rdl__cond *cond)
{
    must(pthread_cond_signal(&cond->cond), "pthread_cond_signal");
}

void rdl__cond_broadcast(struct rdl__cond *cond)
{
    must(pthread_cond_broadcast(&cond->cond), "pthread_cond_broadcast");
}
