/*
 * The life of the runtime in a process: first use, configuration, fork, shutdown.
 *
 * Everything global is immortal: exit runs no code of the library's and waits for nothing. Shutdown is
 * explicit. Fork takes all locks that guard what a child goes on using (registry, handle tables, each
 * device's lists and store, workers, cancel tokens), so the child finds them whole and free; the child
 * then forgets what its parent's other threads held.
 */
#ifndef RDL_RUNTIME_LIFECYCLE_H
#define RDL_RUNTIME_LIFECYCLE_H

#include "raddle/config.h"
#include "runtime/handle.h"

/** To stand at the head of every function that makes something: marks the library as used, registers
 * the fork handlers at the first call. @return RDL_ERR_SHUTDOWN, RDL_ERR_NO_MEMORY */
enum rdl_status rdl__runtime_enter(struct rdl_error *error);

/** To stand before the allocation of what is made without entering the runtime (tensors, values,
 * tokens, which work after shutdown as well): the allocator may not change any more. */
void rdl__runtime_settle_config(void);

/** Most threads of the worker pool. */
uint32_t rdl__runtime_worker_threads(void);

/** Logs a line if the level is wanted. Under no lock. */
void rdl__log(enum rdl_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Makes a handle table known: forks take its lock, and closing a device closes the objects in it whose
 * context is the device. Harmless when repeated. */
void rdl__table_register(struct rdl__table *table);

/** Closes the objects of all registered tables whose context is `context`. */
void rdl__tables_close(const void *context);

/** Whether the calling thread is inside a callback of the library, where waiting is refused. */
bool rdl__in_callback(void);
void rdl__set_in_callback(bool in);

#endif
