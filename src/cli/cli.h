/*
 * What the parts of the command `raddle` share. The command uses the public API alone.
 *
 * Every fault ends as one line on stderr, "raddle: place: cause", and an exit status of 1; wrong
 * use of the command line ends with 2.
 */
#ifndef RADDLE_CLI_CLI_H
#define RADDLE_CLI_CLI_H

#include "raddle/raddle.h"

/** Exit statuses. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/** Fills *error (NULL allowed) with status and the formatted message. */
void cli_note(struct rdl_error *error, enum rdl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Notes the fault and has its status as value. A macro, so that compilers and checkers of one file
 * see that the value is a failure. */
#define cli_fail(error, status, ...) (cli_note((error), (status), __VA_ARGS__), (status))

/** Prints "raddle: place: message" on stderr and returns CLI_FAILED. */
int cli_report(const char *place, const struct rdl_error *error);

/** Flushes stdout; a full disk or closed pipe is an error like any other. */
int cli_finish(int exit_status);

/** Returns from the function with the status of expression if that is not RDL_OK. */
#define CLI_TRY(expression)                                                                        \
    do {                                                                                           \
        enum rdl_status status_of_try = (expression);                                              \
        if (status_of_try != RDL_OK)                                                               \
            return status_of_try;                                                                  \
    } while (0)

/** Parses a whole decimal number in low..high. @return RDL_ERR_ARGUMENT */
enum rdl_status cli_parse_number(const char *text, int64_t low, int64_t high, int64_t *out,
                                 struct rdl_error *error);

/** The commands; argv[0] is the command's own name. They return the exit status. */
int cli_run(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_doctor(int argc, char **argv);

#endif
