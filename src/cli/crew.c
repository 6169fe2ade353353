/*
 * A crew of threads under one clock.
 *
 * Threads: each worker writes its own struct only, on cache lines of its own; the caller reads them
 * after the join. The gate is all that they share.
 */
#include "cli/crew.h"

#include "cli/cli.h"
#include "cli/histogram.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define LINE_BYTES 128
#define LEAST_SLICES 5

/* All workers start at once, or none does. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    int state;       /* 0 shut, 1 open, -1 cancelled; under mutex */
    int64_t open_ns; /* when it opened; set before, and read after, under mutex */
};

struct worker {
    pthread_t thread;
    struct gate *gate;
    const struct crew_task *task;
    void *context;
    unsigned chunk, slices;

    uint64_t calls;
    int64_t end_ns;
    uint64_t slice_calls[CREW_SLICES];
    struct histogram latency_ns;
} __attribute__((aligned(LINE_BYTES)));

static bool pass_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (gate->state == 0)
        pthread_cond_wait(&gate->moved, &gate->mutex);
    bool open = gate->state > 0;
    pthread_mutex_unlock(&gate->mutex);
    return open;
}

static void move_gate(struct gate *gate, int state)
{
    pthread_mutex_lock(&gate->mutex);
    gate->state = state;
    gate->open_ns = rdl_now_ns();
    pthread_cond_broadcast(&gate->moved);
    pthread_mutex_unlock(&gate->mutex);
}

/* Each turn looks at one call by itself and then makes the rest of the chunk. */
static void work(struct worker *worker)
{
    const struct crew_task *task = worker->task;
    int64_t length = (int64_t)(task->seconds * 1e9);
    /* One clock for all: with more threads than cores some come to run late. */
    int64_t start = worker->gate->open_ns, before = rdl_now_ns(), now;
    bool going = true;
    do {
        going = task->call(worker->context);
        now = rdl_now_ns();
        histogram_add(&worker->latency_ns, (uint64_t)(now - before));
        unsigned done = 1;
        while (going && done < worker->chunk) {
            going = task->call(worker->context);
            done++;
        }
        worker->calls += done;
        if (done > 1)
            now = rdl_now_ns();
        size_t slice = (size_t)((now - start) * worker->slices / length);
        if (slice < worker->slices)
            worker->slice_calls[slice] += done;
        before = now;
    } while (going && (now - start < length || worker->calls < task->least_calls));
    worker->end_ns = now;
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    if (pass_gate(worker->gate))
        work(worker);
    return NULL;
}

static enum rdl_status run_all(struct worker *workers, unsigned threads, int64_t *out_open_ns,
                               struct rdl_error *error)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    unsigned started = 0;
    int fault = 0;
    while (started < threads) {
        workers[started].gate = &gate;
        fault = pthread_create(&workers[started].thread, NULL, run_worker, &workers[started]);
        if (fault != 0)
            break;
        started++;
    }
    move_gate(&gate, fault == 0 ? 1 : -1);
    *out_open_ns = gate.open_ns;
    for (unsigned i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    if (fault != 0)
        return cli_fail(error, RDL_ERR_THREAD, "thread %u could not be started: %s", started + 1,
                        strerror(fault));
    return RDL_OK;
}

/* A look at the clock costs some 25 ns: short calls are timed in chunks of about 20 us. */
static unsigned choose_chunk(int64_t call_ns)
{
    if (call_ns >= 2000)
        return 1;
    return call_ns <= 80 ? 256 : (unsigned)(20000 / call_ns);
}

/* At least twenty calls a slice, so that their being whole does not make the spread. */
static unsigned choose_slices(const struct crew_task *task)
{
    double slices = task->seconds * 1e9 / (double)(task->call_ns > 0 ? task->call_ns : 1) / 20;
    return slices >= CREW_SLICES ? CREW_SLICES : slices < 1 ? 1 : (unsigned)slices;
}

double crew_processor_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double spread_of(const struct worker *workers, unsigned threads, unsigned slices)
{
    double sums[CREW_SLICES] = {0};
    if (slices < LEAST_SLICES)
        return -1;
    for (unsigned slice = 0; slice < slices; slice++)
        for (unsigned i = 0; i < threads; i++)
            sums[slice] += (double)workers[i].slice_calls[slice];
    qsort(sums, slices, sizeof sums[0], compare_doubles);
    double median = sums[slices / 2];
    return median > 0 ? (sums[slices - 1 - slices / 10] - sums[slices / 10]) / median : -1;
}

static void summarise(struct worker *workers, unsigned threads, int64_t open_ns,
                      struct crew_result *out)
{
    /* The first worker's histogram becomes that of all. */
    struct histogram *latency = &workers[0].latency_ns;
    int64_t end = workers[0].end_ns;
    for (unsigned i = 0; i < threads; i++) {
        out->calls += workers[i].calls;
        end = workers[i].end_ns > end ? workers[i].end_ns : end;
        if (i > 0)
            histogram_merge(latency, &workers[i].latency_ns);
    }
    out->wall_s = (double)(end - open_ns) * 1e-9;
    out->ops_per_s = out->wall_s > 0 ? (double)out->calls / out->wall_s : 0;
    out->p50_us = (double)histogram_quantile(latency, 0.50) * 1e-3;
    out->p99_us = (double)histogram_quantile(latency, 0.99) * 1e-3;
    out->spread = spread_of(workers, threads, workers[0].slices);
}

enum rdl_status crew_work(const struct crew_task *task, struct crew_result *out,
                          struct rdl_error *error)
{
    *out = (struct crew_result){.spread = -1};
    size_t bytes = task->threads * sizeof(struct worker);
    struct worker *workers = aligned_alloc(LINE_BYTES, bytes);
    if (workers == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    memset(workers, 0, bytes);
    for (unsigned i = 0; i < task->threads; i++) {
        workers[i].task = task;
        workers[i].context = task->contexts[i];
        workers[i].chunk = choose_chunk(task->call_ns);
        workers[i].slices = choose_slices(task);
    }
    int64_t open_ns = 0;
    double before = crew_processor_seconds();
    enum rdl_status status = run_all(workers, task->threads, &open_ns, error);
    out->cpu_s = crew_processor_seconds() - before;
    if (status == RDL_OK)
        summarise(workers, task->threads, open_ns, out);
    free(workers);
    return status;
}
