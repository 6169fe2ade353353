/*
 * Threads of the library: the worker pool's and the simulated device's.
 */
#ifndef RDL_OS_THREAD_H
#define RDL_OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct rdl__thread {
    pthread_t thread;
};

/** Starts a thread that runs fn(argument), with all signals blocked; false if the system refuses.
 * @param name  at most 15 bytes, seen in debuggers */
bool rdl__thread_start(struct rdl__thread *thread, const char *name, void (*fn)(void *),
                       void *argument);
/** Waits for the thread's end. */
void rdl__thread_join(struct rdl__thread *thread);

/** Token of the calling thread: not zero, and no two live threads have the same. */
uintptr_t rdl__thread_token(void);

/** For tests: the n-th start from now on fails, and with sticky all later ones; 0 turns it off. */
void rdl__thread_fail_at(uint64_t n, bool sticky);

#endif
