/*
 * Tests that need a process of their own: what they do happens in a forked child, whose exit is looked
 * at. A child that hangs is ended by a signal.
 */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/** In a child: prints and ends it if the condition does not hold. */
#define IN_CHILD(condition)                                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "child: %s:%d: %s\n", __FILE__, __LINE__, #condition);           \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/** Runs fn in a child, which ends with exit status 0 after it; its wait status. */
static inline int child_run(void (*fn)(void *argument), void *argument, unsigned seconds)
{
    (void)fflush(NULL); /* or the child writes it again */
    const pid_t child = fork();
    if (child == 0) {
        (void)alarm(seconds);
        fn(argument);
        _exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

/** The child must have ended by itself, with exit status 0. */
static inline void child_expect_success(int status)
{
    if (WIFSIGNALED(status))
        fail_msg("the child was ended by signal %d", WTERMSIG(status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
