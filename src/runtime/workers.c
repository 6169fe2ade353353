/*
 * The worker pool; see workers.h.
 *
 * `lock` guards everything. A worker ends when the pool stops and the queue is empty, the reaper when
 * the last worker has ended; each also when it finds that it lives in a forked child (it forked inside
 * a callback): the pool there is a new one.
 *
 * The reaper sleeps in its parker until the earliest deadline of the queue (`reap_at`, which it sets
 * when it has looked through the queue). Every queued task's token lists that parker, so a cancel wakes
 * it; submit wakes it for a deadline before reap_at, and for a token that was set before it was listed.
 * A cancel comes before the listing, and submit sees it, or after it, and the wake makes the reaper look
 * again, which it can only when submit has queued the task and let go of the lock.
 */
#include "runtime/workers.h"

#include "os/clock.h"
#include "os/fork.h"
#include "os/lock.h"
#include "os/thread.h"
#include "runtime/lifecycle.h"

#define MAX_WORKERS 256

static struct {
    struct rdl__lock lock;
    struct rdl__cond work;  /* a task is queued, or the pool stops; both initialised at first use */
    struct rdl__cond ended; /* a thread was started, failed to start, ended or was joined */
    struct rdl__park reap;  /* the reaper's; initialised with the conditions */
    bool ready RDL_GUARDED_BY(&lock);
    bool stopping RDL_GUARDED_BY(&lock);
    struct rdl__task *head RDL_GUARDED_BY(&lock), *tail RDL_GUARDED_BY(&lock);
    uint32_t queued RDL_GUARDED_BY(&lock);
    uint32_t threads RDL_GUARDED_BY(&lock); /* started, or being started, and not ended */
    uint32_t idle RDL_GUARDED_BY(&lock);
    bool first RDL_GUARDED_BY(&lock);        /* the first worker is being started */
    bool reaper RDL_GUARDED_BY(&lock);       /* started, or being started, and not ended */
    int64_t reap_at RDL_GUARDED_BY(&lock);   /* when the reaper looks of itself */
    uint32_t starting RDL_GUARDED_BY(&lock); /* threads whose handle is not noted yet */
    uint32_t started RDL_GUARDED_BY(&lock);  /* handles[0 .. started) are to be joined */
    uint32_t joining RDL_GUARDED_BY(&lock);  /* taken out of handles by who joins them */
    struct rdl__thread handles[MAX_WORKERS + 1] RDL_GUARDED_BY(&lock);
} pool = {.lock = RDL__LOCK_INIT(RDL__RANK_WORKERS)};

static void prepare_locked(void) RDL_REQUIRES(pool.lock)
{
    if (pool.ready)
        return;
    rdl__cond_init(&pool.work);
    rdl__cond_init(&pool.ended);
    rdl__park_init(&pool.reap);
    pool.ready = true;
}

enum rdl_status rdl__task_over(const struct rdl__task *task)
{
    if (rdl__cancelled(task->cancel))
        return RDL_ERR_CANCELLED;
    return rdl__deadline_passed(task->deadline_ns) ? RDL_ERR_DEADLINE : RDL_OK;
}

/* -------------------------------------------------------------------------------------- the queue */

static void push_locked(struct rdl__task *task) RDL_REQUIRES(pool.lock)
{
    task->next = NULL;
    rdl__cancel_link(task->cancel, &task->link, &pool.reap);
    if (pool.tail != NULL)
        pool.tail->next = task;
    else
        pool.head = task;
    pool.tail = task;
    pool.queued++;
}

/* Takes the task at *at, which is queued behind `before` (NULL: at the head), off the queue. */
static struct rdl__task *unqueue_locked(struct rdl__task **at, struct rdl__task *before)
    RDL_REQUIRES(pool.lock)
{
    struct rdl__task *task = *at;
    *at = task->next;
    if (pool.tail == task)
        pool.tail = before;
    pool.queued--;
    rdl__cancel_unlink(task->cancel, &task->link);
    return task;
}

static struct rdl__task *pop_locked(void) RDL_REQUIRES(pool.lock)
{
    return pool.head != NULL ? unqueue_locked(&pool.head, NULL) : NULL;
}

/* Takes a task off the queue again; false if a thread of the pool has it. */
static bool withdraw(const struct rdl__task *task)
{
    rdl__lock_acquire(&pool.lock);
    struct rdl__task **at = &pool.head, *before = NULL;
    for (; *at != NULL && *at != task; at = &before->next)
        before = *at;
    const bool found = *at != NULL;
    if (found)
        (void)unqueue_locked(at, before);
    rdl__lock_release(&pool.lock);
    return found;
}

/* Takes all tasks that are over, as a list in their order, and notes when to look again. */
static struct rdl__task *take_over_locked(void) RDL_REQUIRES(pool.lock)
{
    struct rdl__task *over = NULL, **end = &over, *before = NULL;
    pool.reap_at = RDL_FOREVER;
    for (struct rdl__task **at = &pool.head; *at != NULL;) {
        if (rdl__task_over(*at) != RDL_OK) {
            *end = unqueue_locked(at, before);
            end = &(*end)->next;
            continue;
        }
        if ((*at)->deadline_ns < pool.reap_at)
            pool.reap_at = (*at)->deadline_ns;
        before = *at;
        at = &before->next;
    }
    *end = NULL;
    return over;
}

/* ------------------------------------------------------------------------------------ the threads */

static void worker_is_gone_locked(void) RDL_REQUIRES(pool.lock)
{
    if (--pool.threads == 0)
        rdl__park_wake(&pool.reap); /* it may be the last */
}

static void worker(void *unused)
{
    (void)unused;
    const uint32_t epoch = rdl__fork_epoch();
    rdl__lock_acquire(&pool.lock);
    for (;;) {
        struct rdl__task *task = pop_locked();
        if (task != NULL) {
            rdl__lock_release(&pool.lock);
            task->run(task);
            if (rdl__fork_epoch() != epoch)
                return;
            rdl__lock_acquire(&pool.lock);
        } else if (pool.stopping) {
            break;
        } else {
            pool.idle++;
            rdl__cond_wait(&pool.work, &pool.lock);
            pool.idle--;
        }
    }
    worker_is_gone_locked();
    rdl__cond_broadcast(&pool.ended);
    rdl__lock_release(&pool.lock);
}

/* Calls the tasks of a list; false in a forked child. */
static bool run_list(struct rdl__task *task, uint32_t epoch)
{
    for (struct rdl__task *next; task != NULL; task = next) {
        next = task->next; /* the task is gone when it has run */
        task->run(task);
        if (rdl__fork_epoch() != epoch)
            return false;
    }
    return true;
}

static void reaper(void *unused)
{
    (void)unused;
    const uint32_t epoch = rdl__fork_epoch();
    rdl__lock_acquire(&pool.lock);
    for (;;) {
        struct rdl__task *over = take_over_locked();
        const int64_t until = pool.reap_at;
        if (over == NULL && pool.stopping && pool.threads == 0)
            break;
        rdl__lock_release(&pool.lock);
        if (over == NULL)
            (void)rdl__park_wait(&pool.reap, until);
        else if (!run_list(over, epoch))
            return;
        rdl__lock_acquire(&pool.lock);
    }
    pool.reaper = false;
    rdl__cond_broadcast(&pool.ended);
    rdl__lock_release(&pool.lock);
}

/* Starts a thread that is counted already; uncounts it if the system refuses. */
static bool start_thread(bool is_reaper)
{
    struct rdl__thread thread;
    const bool started = is_reaper ? rdl__thread_start(&thread, "rdl-reaper", reaper, NULL)
                                   : rdl__thread_start(&thread, "rdl-worker", worker, NULL);
    rdl__lock_acquire(&pool.lock);
    pool.starting--;
    if (started)
        pool.handles[pool.started++] = thread;
    else if (is_reaper)
        pool.reaper = false;
    else
        worker_is_gone_locked();
    if (!is_reaper)
        pool.first = false;
    rdl__cond_broadcast(&pool.ended);
    rdl__lock_release(&pool.lock);
    return started;
}

/* ---------------------------------------------------------------------------------------- the pool */

/* Counts the thread that a task just queued calls for: a worker while there may be more of them, else
 * the reaper. False: none. */
static bool wants_thread_locked(uint32_t limit, bool *is_reaper) RDL_REQUIRES(pool.lock)
{
    *is_reaper = pool.threads >= limit;
    if (pool.queued <= pool.idle || (*is_reaper && pool.reaper))
        return false;
    if (*is_reaper)
        pool.reaper = true;
    else
        pool.first = ++pool.threads == 1;
    pool.starting++;
    return true;
}

enum rdl_status rdl__workers_submit(struct rdl__task *task)
{
    uint32_t limit = rdl__runtime_worker_threads();
    if (limit > MAX_WORKERS)
        limit = MAX_WORKERS;
    rdl__lock_acquire(&pool.lock);
    prepare_locked();
    /* Nobody queues behind a first thread that may fail to start: its caller would take its own task
     * back, and nobody would run the others. */
    while (!pool.stopping && pool.first)
        rdl__cond_wait(&pool.ended, &pool.lock);
    if (pool.stopping) {
        rdl__lock_release(&pool.lock);
        return RDL_ERR_SHUTDOWN;
    }
    push_locked(task);
    if (task->deadline_ns < pool.reap_at || rdl__task_over(task) != RDL_OK)
        rdl__park_wake(&pool.reap);
    rdl__cond_signal(&pool.work);
    bool is_reaper;
    const bool start = wants_thread_locked(limit, &is_reaper), alone = start && pool.first;
    rdl__lock_release(&pool.lock);
    if (!start || start_thread(is_reaper))
        return RDL_OK;
    /* No thread: those that run take the task in time; with none at all it is given back. */
    return alone && withdraw(task) ? RDL_ERR_THREAD : RDL_OK;
}

static bool has_ended_locked(void) RDL_REQUIRES(pool.lock)
{
    return pool.threads == 0 && pool.starting == 0 && !pool.reaper;
}

enum rdl_status rdl__workers_stop(int64_t deadline_ns)
{
    bool in_time = true;
    rdl__lock_acquire(&pool.lock);
    prepare_locked();
    pool.stopping = true;
    rdl__cond_broadcast(&pool.work);
    rdl__park_wake(&pool.reap);
    while (!has_ended_locked() && in_time)
        in_time = rdl__cond_wait_until(&pool.ended, &pool.lock, deadline_ns);
    const bool done = has_ended_locked();
    /* Several calls may stop the pool: each thread is joined by one of them, which all wait for. */
    while (done && pool.started > 0) {
        struct rdl__thread thread = pool.handles[--pool.started];
        pool.joining++;
        rdl__lock_release(&pool.lock);
        rdl__thread_join(&thread);
        rdl__lock_acquire(&pool.lock);
        pool.joining--;
        rdl__cond_broadcast(&pool.ended);
    }
    while (done && pool.joining > 0)
        rdl__cond_wait(&pool.ended, &pool.lock);
    rdl__lock_release(&pool.lock);
    return done ? RDL_OK : RDL_ERR_DEADLINE;
}

void rdl__workers_fork_prepare(void) RDL_NO_ANALYSIS /* held until the handler after the fork */
{
    rdl__lock_acquire_for_fork(&pool.lock);
}

void rdl__workers_fork_parent(void) RDL_NO_ANALYSIS /* taken by prepare */
{
    rdl__lock_release_for_fork(&pool.lock);
}

void rdl__workers_fork_child(void) RDL_NO_ANALYSIS /* taken by prepare */
{
    /* Threads, their tasks and those who waited on the conditions are gone. */
    pool.ready = pool.first = pool.reaper = false;
    pool.head = pool.tail = NULL;
    pool.queued = pool.threads = pool.idle = 0;
    pool.starting = pool.started = pool.joining = 0;
    rdl__lock_release_for_fork(&pool.lock);
}
