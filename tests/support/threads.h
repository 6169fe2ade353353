/*
 * Threads for tests: start n of them from a barrier, join them, and count what failed. Assertions of
 * cmocka belong to the main thread only, so a worker counts its failures by CHECK and the main thread
 * asserts that there were none.
 */
#ifndef TESTS_SUPPORT_THREADS_H
#define TESTS_SUPPORT_THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/** Failures that worker threads counted. */
static _Atomic unsigned test_failures;

/** In a worker thread: counts and prints a failure. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            atomic_fetch_add(&test_failures, 1);                                                   \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
        }                                                                                          \
    } while (0)

struct test_thread {
    pthread_t thread;
    pthread_barrier_t *barrier;
    void (*fn)(unsigned index, void *shared);
    unsigned index;
    void *shared;
};

static inline void *test_thread_main(void *object)
{
    struct test_thread *self = object;
    (void)pthread_barrier_wait(self->barrier);
    self->fn(self->index, self->shared);
    return NULL;
}

/** Runs fn(0..n-1, shared) on n threads that start together; the number of failures they counted. */
static inline unsigned test_run_threads(unsigned n, void (*fn)(unsigned index, void *shared),
                                        void *shared)
{
    struct test_thread *threads = calloc(n, sizeof *threads);
    pthread_barrier_t barrier;
    (void)pthread_barrier_init(&barrier, NULL, n);
    atomic_store(&test_failures, 0);
    for (unsigned i = 0; i < n; i++) {
        threads[i] =
            (struct test_thread){.barrier = &barrier, .fn = fn, .index = i, .shared = shared};
        if (pthread_create(&threads[i].thread, NULL, test_thread_main, &threads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(threads[i].thread, NULL);
    (void)pthread_barrier_destroy(&barrier);
    free(threads);
    return atomic_load(&test_failures);
}

/** Waits a little: for tests that must let another thread get somewhere, and that hold (only more
 * weakly) if it does not. */
static inline void test_pause_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

#endif
