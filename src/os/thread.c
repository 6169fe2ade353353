/*
 * Threads over pthread. A start passes its function by a heap cell that the new thread frees.
 */
#include "os/thread.h"

#include "base/mem.h"
#include "os/atomic.h"

#include <signal.h>

struct start {
    void (*fn)(void *);
    void *argument;
    char name[16];
};

/* Fault injection: starts left until one fails; written by tests only, while no start is under way. */
static _Atomic uint64_t fail_countdown;
static _Atomic bool fail_sticky;

void rdl__thread_fail_at(uint64_t n, bool sticky)
{
    rdl__store_seq_cst(&fail_sticky, sticky);
    rdl__store_seq_cst(&fail_countdown, n);
}

static bool start_is_to_fail(void)
{
    uint64_t left = rdl__load_seq_cst(&fail_countdown);
    while (left > 0) {
        const uint64_t next = left == 1 && rdl__load_seq_cst(&fail_sticky) ? 1 : left - 1;
        if (rdl__cas_seq_cst(&fail_countdown, &left, next))
            return left == 1;
    }
    return false;
}

static void *run(void *cell)
{
    struct start start = *(struct start *)cell;
    rdl__free(cell);
    (void)pthread_setname_np(pthread_self(), start.name);
    start.fn(start.argument);
    return NULL;
}

bool rdl__thread_start(struct rdl__thread *thread, const char *name, void (*fn)(void *),
                       void *argument)
{
    if (start_is_to_fail())
        return false;
    struct start *start = rdl__alloc(sizeof *start);
    if (start == NULL)
        return false;
    *start = (struct start){.fn = fn, .argument = argument};
    for (unsigned i = 0; i + 1 < sizeof start->name && name[i] != '\0'; i++)
        start->name[i] = name[i];
    /* The program's signals are for the program's threads. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&thread->thread, NULL, run, start);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        rdl__free(start);
    return code == 0;
}

void rdl__thread_join(struct rdl__thread *thread)
{
    (void)pthread_join(thread->thread, NULL);
}

uintptr_t rdl__thread_token(void)
{
    static _Thread_local char token __attribute__((tls_model("initial-exec")));
    return (uintptr_t)&token;
}
