/*
 * The worker pool: threads of the library that run submitted work.
 *
 * Threads are started when there is more work than idle threads, up to a limit, and sleep when there is
 * none. A task belongs to the pool from submit until its function is called, once. Tasks are run in
 * order, but for those that are over (cancelled, or past their deadline) while all workers are busy:
 * the reaper, a thread that is started when a task first has to queue, calls them at once.
 */
#ifndef RDL_RUNTIME_WORKERS_H
#define RDL_RUNTIME_WORKERS_H

#include "runtime/cancel.h"

struct rdl__task {
    void (*run)(struct rdl__task *task); /* on a worker thread or the reaper, under no lock */
    int64_t deadline_ns;                 /* RDL_FOREVER: none */
    struct rdl_cancel *cancel;           /* NULL: none; lives until run is called */
    /* the pool's own */
    struct rdl__task *next;
    struct rdl__cancel_link link;
};

/** Whether a task need not begin any more: RDL_ERR_CANCELLED, RDL_ERR_DEADLINE; RDL_OK: it may.
 * Once over, always over. Thread: any. */
enum rdl_status rdl__task_over(const struct rdl__task *task);

/** Queues a task. @return RDL_ERR_THREAD (no worker is there and none could be started: the task was
 * not taken), RDL_ERR_SHUTDOWN. Thread: any; waits for nothing but another caller that is about to start
 * the pool's first thread. */
enum rdl_status rdl__workers_submit(struct rdl__task *task);

/** Refuses new tasks and waits until all queued ones have run and the threads have ended.
 * @return RDL_ERR_DEADLINE: the rest goes on, call again */
enum rdl_status rdl__workers_stop(int64_t deadline_ns);

/** For fork handlers. */
void rdl__workers_fork_prepare(void);
void rdl__workers_fork_parent(void);
void rdl__workers_fork_child(void);

#endif
