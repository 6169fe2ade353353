/*
 * Statuses: names, texts, and the filling of error messages. No state; any thread.
 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *rdl_status_name(enum rdl_status status)
{
    switch (status) {
#define RDL_STATUS_CASE(name, value, text)                                                         \
    case RDL_##name:                                                                               \
        return "RDL_" #name;
        RDL_STATUS_LIST(RDL_STATUS_CASE)
#undef RDL_STATUS_CASE
    }
    return "RDL_ERR_UNKNOWN";
}

const char *rdl_status_text(enum rdl_status status)
{
    switch (status) {
#define RDL_STATUS_CASE(name, value, text)                                                         \
    case RDL_##name:                                                                               \
        return text;
        RDL_STATUS_LIST(RDL_STATUS_CASE)
#undef RDL_STATUS_CASE
    }
    return "unknown status";
}

void rdl__fail_write(struct rdl_error *error, enum rdl_status status, const char *format, ...)
{
    if (error == NULL)
        return;
    error->status = status;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
}

void rdl__fail_prefix(struct rdl_error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    char cause[RDL_ERROR_MESSAGE_BYTES];
    memcpy(cause, error->message, sizeof cause);
    va_list args;
    va_start(args, format);
    int length = vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    if (length < 0)
        length = 0;
    if ((size_t)length < sizeof error->message)
        (void)snprintf(error->message + length, sizeof error->message - (size_t)length, ": %s",
                       cause);
}

#ifdef RDL_DEBUG
void rdl__assert_failed(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "raddle: fault of the library: %s (%s:%d)\n", expression, file, line);
    abort();
}
#endif
