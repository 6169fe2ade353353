/*
 * How the library fills a caller's `struct rdl_error`.
 */
#ifndef RDL_BASE_STATUS_H
#define RDL_BASE_STATUS_H

#include "raddle/status.h"

#include <stdarg.h>

/**
 * Writes status and a formatted message into error and returns status, so that a failure is one
 * line: `return rdl__fail(error, RDL_ERR_SHAPE, "input \"%s\": rank %d, expected 2", name, rank);`
 *
 * @param error  NULL allowed: only the status is returned
 */
enum rdl_status rdl__fail(struct rdl_error *error, enum rdl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** As rdl__fail, with a va_list. */
enum rdl_status rdl__fail_v(struct rdl_error *error, enum rdl_status status, const char *format,
                            va_list args) __attribute__((format(printf, 3, 0)));

/**
 * Puts "context: " before the message that error holds already; used on the way up, so that a
 * message names the place from the outside in. Returns error's status, or status if error is NULL.
 */
enum rdl_status rdl__fail_within(struct rdl_error *error, enum rdl_status status,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));

/** The message of running out of memory while asking for size bytes for `what`. */
enum rdl_status rdl__fail_memory(struct rdl_error *error, const char *what, size_t size_bytes);

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
