/*
 * What long work is at.
 *
 * Threads: the one that opened the command.
 */
#include "cli/progress.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static bool is_shown;

void progress_show(const char *format, ...)
{
    if (!isatty(STDERR_FILENO))
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("\r\033[K", stderr); /* to the line's start, and clear it */
    (void)vfprintf(stderr, format, arguments);
    (void)fflush(stderr);
    va_end(arguments);
    is_shown = true;
}

void progress_clear(void)
{
    if (is_shown)
        (void)fputs("\r\033[K", stderr);
    is_shown = false;
}
