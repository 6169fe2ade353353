#include "os/fork.h"

#include <pthread.h>

_Atomic uint32_t rdl__fork_count;

static void (*child_handler)(void);

static void child(void)
{
    rdl__add_relaxed(&rdl__fork_count, 1); /* the child has one thread */
    child_handler();
}

bool rdl__fork_register(void (*prepare)(void), void (*parent)(void), void (*handler)(void))
{
    child_handler = handler;
    return pthread_atfork(prepare, parent, child) == 0;
}
