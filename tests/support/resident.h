/*
 * How much memory the process holds, for tests that want it flat.
 */
#ifndef TESTS_SUPPORT_RESIDENT_H
#define TESTS_SUPPORT_RESIDENT_H

#include "support/cmocka.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/** Bytes of the process in memory, by /proc/self/statm. */
static inline size_t resident_bytes(void)
{
    char text[128] = {0};
    const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_true(read(file, text, sizeof text - 1) > 0);
    (void)close(file);
    char *rest = text;
    (void)strtol(rest, &rest, 10); /* all that is mapped */
    const long pages = strtol(rest, &rest, 10);
    assert_true(pages > 0);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
