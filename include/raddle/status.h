/*
 * Statuses and error messages.
 *
 * Every function that can fail returns `enum rdl_status`; 0 is success. The words that explain a
 * failure go to an optional `struct rdl_error` of the caller. There is no thread-local "last error"
 * and nothing is printed.
 */
#ifndef RADDLE_STATUS_H
#define RADDLE_STATUS_H

#include "raddle/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, value, "text"): the one list of statuses. Values never change once released. */
#define RDL_STATUS_LIST(X)                                                                         \
    X(OK, 0, "success")                                                                            \
    X(ERR_ARGUMENT, 1, "invalid argument")                                                         \
    X(ERR_SHAPE, 2, "shape, rank or dtype does not fit")                                           \
    X(ERR_BUFFER_SIZE, 3, "buffer too small")                                                      \
    X(ERR_OVERFLOW, 4, "size overflows")                                                           \
    X(ERR_NO_MEMORY, 5, "out of memory")                                                           \
    X(ERR_CLOSED, 6, "handle is closed or stale")                                                  \
    X(ERR_BUSY, 7, "nothing free at once")                                                         \
    X(ERR_DEADLINE, 8, "deadline passed")                                                          \
    X(ERR_CANCELLED, 9, "cancelled")                                                               \
    X(ERR_MODEL, 10, "model is invalid")                                                           \
    X(ERR_UNSUPPORTED, 11, "not supported")                                                        \
    X(ERR_IO, 12, "input or output failed")                                                        \
    X(ERR_NOT_FOUND, 13, "not found")                                                              \
    X(ERR_DEVICE, 14, "device call failed")                                                        \
    X(ERR_DEVICE_LOST, 15, "device lost")                                                          \
    X(ERR_FORKED, 16, "handle belongs to the parent process")                                      \
    X(ERR_THREAD, 17, "thread could not be started")                                               \
    X(ERR_SHUTDOWN, 18, "runtime is shut down")                                                    \
    X(ERR_STATE, 19, "not allowed in this state")                                                  \
    X(ERR_RUNTIME, 20, "an operator failed on its data")                                           \
    X(ERR_INTERNAL, 21, "fault of the library")

enum rdl_status {
#define RDL_STATUS_ENUM(name, value, text) RDL_##name = (value),
    RDL_STATUS_LIST(RDL_STATUS_ENUM)
#undef RDL_STATUS_ENUM
};

/** Bytes of a message, its terminating zero included; longer messages are cut. */
#define RDL_ERROR_MESSAGE_BYTES 1024

/**
 * What went wrong, in words. Owned by the caller, who may reuse it: a function that fails overwrites
 * it, a function that succeeds leaves it as it is.
 *
 * Thread: one user at a time.
 */
struct rdl_error {
    enum rdl_status status;                /* status that the failed function returned */
    char message[RDL_ERROR_MESSAGE_BYTES]; /* place and cause, UTF-8, zero-terminated */
};

/**
 * Name of a status, e.g. "RDL_ERR_CLOSED"; "RDL_ERR_UNKNOWN" for a value not in the list.
 * The string is static. Thread: any; never blocks.
 */
RDL_API const char *rdl_status_name(enum rdl_status status);

/**
 * One-line text of a status, e.g. "handle is closed or stale".
 * The string is static. Thread: any; never blocks.
 */
RDL_API const char *rdl_status_text(enum rdl_status status);

#ifdef __cplusplus
}
#endif
#endif
