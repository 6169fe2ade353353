/*
 * The worker pool; see workers.h.
 *
 * `lock` guards everything. A worker ends when the pool stops and the queue is empty, or when it finds
 * that it lives in a forked child (it forked inside a callback): the pool there is a new one.
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
    bool ready RDL_GUARDED_BY(&lock);
    bool stopping RDL_GUARDED_BY(&lock);
    struct rdl__task *head RDL_GUARDED_BY(&lock), *tail RDL_GUARDED_BY(&lock);
    uint32_t queued RDL_GUARDED_BY(&lock);
    uint32_t threads RDL_GUARDED_BY(&lock); /* started, or being started, and not ended */
    uint32_t idle RDL_GUARDED_BY(&lock);
    uint32_t starting RDL_GUARDED_BY(&lock); /* whose handle is not noted yet */
    uint32_t started RDL_GUARDED_BY(&lock);  /* handles[0 .. started) are to be joined */
    uint32_t joining RDL_GUARDED_BY(&lock);  /* taken out of handles by who joins them */
    struct rdl__thread handles[MAX_WORKERS] RDL_GUARDED_BY(&lock);
} pool = {.lock = RDL__LOCK_INIT(RDL__RANK_WORKERS)};

static void prepare_locked(void) RDL_REQUIRES(pool.lock)
{
    if (pool.ready)
        return;
    rdl__cond_init(&pool.work);
    rdl__cond_init(&pool.ended);
    pool.ready = true;
}

static struct rdl__task *pop_locked(void) RDL_REQUIRES(pool.lock)
{
    struct rdl__task *task = pool.head;
    if (task != NULL) {
        pool.head = task->next;
        if (pool.head == NULL)
            pool.tail = NULL;
        pool.queued--;
    }
    return task;
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
    pool.threads--;
    rdl__cond_broadcast(&pool.ended);
    rdl__lock_release(&pool.lock);
}

/* Starts a worker, already counted in pool.threads; false, and uncounted, if the system refuses. */
static bool start_worker(void)
{
    struct rdl__thread thread;
    const bool started = rdl__thread_start(&thread, "rdl-worker", worker, NULL);
    rdl__lock_acquire(&pool.lock);
    pool.starting--;
    if (started)
        pool.handles[pool.started++] = thread;
    else
        pool.threads--;
    rdl__cond_broadcast(&pool.ended);
    rdl__lock_release(&pool.lock);
    return started;
}

/* Takes a task off the queue again; false if a worker has it. */
static bool withdraw(struct rdl__task *task)
{
    bool found = false;
    rdl__lock_acquire(&pool.lock);
    struct rdl__task *before = NULL;
    for (struct rdl__task **at = &pool.head; *at != NULL; at = &(*at)->next) {
        if (*at == task) {
            *at = task->next;
            if (pool.tail == task)
                pool.tail = before;
            pool.queued--;
            found = true;
            break;
        }
        before = *at;
    }
    rdl__lock_release(&pool.lock);
    return found;
}

enum rdl_status rdl__workers_submit(struct rdl__task *task)
{
    uint32_t limit = rdl__runtime_worker_threads();
    if (limit > MAX_WORKERS)
        limit = MAX_WORKERS;
    task->next = NULL;
    rdl__lock_acquire(&pool.lock);
    prepare_locked();
    /* Nobody queues behind a first thread that may fail to start: its caller would take its own task
     * back, and nobody would run the others. */
    while (!pool.stopping && pool.starting > 0 && pool.threads <= pool.starting)
        rdl__cond_wait(&pool.ended, &pool.lock);
    if (pool.stopping) {
        rdl__lock_release(&pool.lock);
        return RDL_ERR_SHUTDOWN;
    }
    if (pool.tail != NULL)
        pool.tail->next = task;
    else
        pool.head = task;
    pool.tail = task;
    pool.queued++;
    const bool start = pool.queued > pool.idle && pool.threads < limit;
    if (start) {
        pool.threads++;
        pool.starting++;
    } else {
        rdl__cond_signal(&pool.work);
    }
    const bool alone = start && pool.threads == 1;
    rdl__lock_release(&pool.lock);
    if (!start || start_worker())
        return RDL_OK;
    /* No thread: those that run take the task in time; with none at all it is given back. */
    return alone && withdraw(task) ? RDL_ERR_THREAD : RDL_OK;
}

enum rdl_status rdl__workers_stop(int64_t deadline_ns)
{
    bool in_time = true;
    rdl__lock_acquire(&pool.lock);
    prepare_locked();
    pool.stopping = true;
    rdl__cond_broadcast(&pool.work);
    while ((pool.threads > 0 || pool.starting > 0) && in_time)
        in_time = rdl__cond_wait_until(&pool.ended, &pool.lock, deadline_ns);
    const bool done = pool.threads == 0 && pool.starting == 0;
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
    pool.ready = false;
    pool.head = pool.tail = NULL;
    pool.queued = pool.threads = pool.idle = 0;
    pool.starting = pool.started = pool.joining = 0;
    rdl__lock_release_for_fork(&pool.lock);
}
