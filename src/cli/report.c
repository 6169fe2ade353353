/*
 * Faults of the command line and of files, in words.
 */
#include "cli/cli.h"
#include "cli/progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_note(struct rdl_error *error, enum rdl_status status, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        /* A message that is too long is cut. */
        (void)vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
}

int cli_report(const char *place, const struct rdl_error *error)
{
    const char *cause = error->message[0] != '\0' ? error->message : rdl_status_text(error->status);
    const size_t length = strlen(place);
    progress_clear();
    /* Messages of the library that name the file begin with it: "\"place\": cause", or "\"place\" is". */
    if (cause[0] == '"' && strncmp(cause + 1, place, length) == 0 && cause[1 + length] == '"') {
        cause += length + 2;
        cause += cause[0] == ':';
        cause += cause[0] == ' ';
    }
    (void)fprintf(stderr, "raddle: %s: %s\n", place, cause);
    return CLI_FAILED;
}

int cli_finish(int exit_status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_status;
    (void)fprintf(stderr, "raddle: standard output: %s\n", strerror(errno));
    return CLI_FAILED;
}

enum rdl_status cli_parse_number(const char *text, int64_t low, int64_t high, int64_t *out,
                                 struct rdl_error *error)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not a number", text);
    if (errno == ERANGE || number < low || number > high)
        return cli_fail(error, RDL_ERR_ARGUMENT, "%s is not in %lld..%lld", text, (long long)low,
                        (long long)high);
    *out = number;
    return RDL_OK;
}
