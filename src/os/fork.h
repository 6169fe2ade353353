/*
 * Fork: three functions that the runtime registers once, and the epoch by which everything else tells
 * that it lives in a child.
 */
#ifndef RDL_OS_FORK_H
#define RDL_OS_FORK_H

#include "os/atomic.h"

#include <stdbool.h>
#include <stdint.h>

/** Number of forks between the process that loaded the library and this one. Written in the child's
 * fork handler while it has one thread. */
extern _Atomic uint32_t rdl__fork_count;

/** The current epoch; what was made in another one belongs to a parent. */
static inline uint32_t rdl__fork_epoch(void)
{
    return rdl__load_relaxed(&rdl__fork_count); /* written only while the process has one thread */
}

/** Registers the handlers of fork; false if the system has no memory for it. To be called once.
 * prepare and parent run in the parent around the fork, child in the child. */
bool rdl__fork_register(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
