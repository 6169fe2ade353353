/*
 * How the library fills a caller's `struct rdl_error`.
 */
#ifndef RDL_BASE_STATUS_H
#define RDL_BASE_STATUS_H

#include "raddle/status.h"

/**
 * Writes status and a formatted message into error and has the value of status, so that a failure is
 * one line: `return rdl__fail(error, RDL_ERR_SHAPE, "input \"%s\": rank %d, expected 2", name, rank);`
 * A macro, so that analysers see that the value is not RDL_OK.
 *
 * @param error  NULL allowed: only the status is returned
 */
#define rdl__fail(error, status, ...) (rdl__fail_write((error), (status), __VA_ARGS__), (status))

/** Writes status and message; error may be NULL. Use rdl__fail. */
void rdl__fail_write(struct rdl_error *error, enum rdl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * Puts "context: " before the message that error holds already; used on the way up, so that a
 * message names the place from the outside in. Has the value of status.
 */
#define rdl__fail_within(error, status, ...) (rdl__fail_prefix((error), __VA_ARGS__), (status))

/** Writes the prefix; error may be NULL. Use rdl__fail_within. */
void rdl__fail_prefix(struct rdl_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The failure of running out of memory while asking for size_bytes for `what`. */
#define rdl__fail_memory(error, what, size_bytes)                                                  \
    rdl__fail((error), RDL_ERR_NO_MEMORY, "%s: no memory for %zu bytes", (what),                   \
              (size_t)(size_bytes))

/** Asserts what only a fault of ours can break; off in release builds. */
#ifdef RDL_DEBUG
void rdl__assert_failed(const char *expression, const char *file, int line)
    __attribute__((noreturn));
#define RDL_ASSERT(expression)                                                                     \
    ((expression) ? (void)0 : rdl__assert_failed(#expression, __FILE__, __LINE__))
#else
#define RDL_ASSERT(expression) ((void)sizeof(!(expression)))
#endif

/** Evaluates expression; returns from the function with its status if that is not RDL_OK. */
#define RDL_TRY(expression)                                                                        \
    do {                                                                                           \
        const enum rdl_status rdl_try_status_ = (expression);                                      \
        if (rdl_try_status_ != RDL_OK)                                                             \
            return rdl_try_status_;                                                                \
    } while (0)

#endif
