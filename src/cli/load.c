/*
 * Load on a model.
 *
 * Threads: load_make and load_measure are called by the main thread. Each worker writes its own
 * struct worker only; the main thread reads it after the join. The gate is what they share.
 */
#include "cli/load.h"

#include "cli/cli.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CHECKED_CALLS 50
#define MAX_ERRORS 100

/* ---- values ---------------------------------------------------------------------------------- */

static bool same_strings(const struct rdl_tensor *a, const struct rdl_tensor *b)
{
    for (size_t i = 0; i < rdl_tensor_count(a); i++) {
        const char *left = NULL, *right = NULL;
        size_t left_size = 0, right_size = 0;
        if (rdl_tensor_get_string(a, i, &left, &left_size) != RDL_OK ||
            rdl_tensor_get_string(b, i, &right, &right_size) != RDL_OK || left_size != right_size ||
            memcmp(left, right, left_size) != 0)
            return false;
    }
    return true;
}

/* Bit for bit; both in C order in host memory, as runs give them. */
static bool same_tensor(const struct rdl_tensor *a, const struct rdl_tensor *b)
{
    int32_t rank = rdl_tensor_rank(a);
    enum rdl_dtype dtype = rdl_tensor_dtype(a);
    if (dtype != rdl_tensor_dtype(b) || rank != rdl_tensor_rank(b))
        return false;
    for (int32_t i = 0; i < rank; i++)
        if (rdl_tensor_dims(a)[i] != rdl_tensor_dims(b)[i])
            return false;
    if (dtype == RDL_STRING)
        return same_strings(a, b);
    size_t bytes = rdl_tensor_count(a) * rdl_dtype_size(dtype);
    return bytes == 0 || memcmp(rdl_tensor_data(a), rdl_tensor_data(b), bytes) == 0;
}

static bool same_value(const struct rdl_value *a, const struct rdl_value *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (rdl_value_get_kind(a) != rdl_value_get_kind(b))
        return false;
    if (rdl_value_get_kind(a) == RDL_VALUE_TENSOR)
        return same_tensor(rdl_value_tensor(a), rdl_value_tensor(b));
    if (rdl_value_count(a) != rdl_value_count(b))
        return false;
    for (size_t i = 0; i < rdl_value_count(a); i++)
        if (!same_value(rdl_value_item(a, i), rdl_value_item(b, i)))
            return false;
    return true;
}

static bool same_values(struct rdl_value *const *a, struct rdl_value *const *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!same_value(a[i], b[i]))
            return false;
    return true;
}

/* A tensor of the same kind for the run to write into; NULL if the run must make the value itself. */
static enum rdl_status bind_output(const struct rdl_value *expected, struct rdl_value **out,
                                   struct rdl_error *error)
{
    const struct rdl_tensor *model = rdl_value_tensor(expected);
    struct rdl_tensor *tensor = NULL;
    *out = NULL;
    if (model == NULL || rdl_tensor_dtype(model) == RDL_STRING)
        return RDL_OK;
    CLI_TRY(rdl_tensor_new(rdl_tensor_dtype(model), rdl_tensor_rank(model), rdl_tensor_dims(model),
                           &tensor, error));
    enum rdl_status status = rdl_value_from_tensor(tensor, out, error);
    rdl_tensor_release(tensor);
    return status;
}

/* ---- data ------------------------------------------------------------------------------------ */

static enum rdl_status make_data(const struct session *session, const struct named_shapes *shapes,
                                 uint64_t seed, struct load_data *out, struct rdl_error *error)
{
    size_t n_inputs = session->n_inputs, n_outputs = session->n_outputs;
    out->inputs = calloc(n_inputs + 1, sizeof(struct rdl_value *));
    out->outputs = calloc(n_outputs + 1, sizeof(struct rdl_value *));
    out->expected = calloc(n_outputs + 1, sizeof(struct rdl_value *));
    if (out->inputs == NULL || out->outputs == NULL || out->expected == NULL)
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    CLI_TRY(inputs_make(session->info, NULL, shapes, seed, out->inputs, error));
    CLI_TRY(rdl_model_run(session->model, out->inputs, n_inputs, out->expected, n_outputs, NULL,
                          error));
    for (size_t i = 0; i < n_outputs; i++)
        CLI_TRY(bind_output(out->expected[i], &out->outputs[i], error));
    return RDL_OK;
}

static enum rdl_status run_data(const struct session *session, const struct load_data *data,
                                struct rdl_error *error)
{
    return rdl_model_run(session->model, data->inputs, session->n_inputs, data->outputs,
                         session->n_outputs, NULL, error);
}

/* Values that the run itself made are given back before the next run. */
static void drop_unbound(const struct session *session, const struct load_data *data)
{
    for (size_t i = 0; i < session->n_outputs; i++) {
        const struct rdl_tensor *tensor =
            data->outputs[i] != NULL ? rdl_value_tensor(data->outputs[i]) : NULL;
        if (tensor == NULL || rdl_tensor_dtype(tensor) == RDL_STRING)
            values_release(&data->outputs[i], 1);
    }
}

static unsigned count_distinct(const struct load *load)
{
    unsigned distinct = 0;
    for (unsigned i = 0; i < load->threads; i++) {
        bool seen = false;
        for (unsigned j = 0; j < i && !seen; j++)
            seen = same_values(load->data[i].expected, load->data[j].expected,
                               load->session->n_outputs);
        distinct += !seen;
    }
    return distinct;
}

/* The length of a call, from at least 20 ms or 3 calls. */
static enum rdl_status calibrate(struct load *load, struct rdl_error *error)
{
    int64_t calls = 0, start = rdl_now_ns(), now = start;
    while (calls < 3 || now - start < 20000000) {
        CLI_TRY(run_data(load->session, &load->data[0], error));
        drop_unbound(load->session, &load->data[0]);
        calls++;
        now = rdl_now_ns();
    }
    load->call_ns = (now - start) / calls;
    return RDL_OK;
}

enum rdl_status load_make(const struct session *session, const struct named_shapes *shapes,
                          uint64_t seed, unsigned threads, struct load *out,
                          struct rdl_error *error)
{
    *out = (struct load){.session = session, .threads = threads};
    out->data = calloc(threads, sizeof *out->data);
    enum rdl_status status =
        out->data == NULL ? cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory") : RDL_OK;
    for (unsigned i = 0; i < threads && status == RDL_OK; i++)
        status = make_data(session, shapes, seed + i, &out->data[i], error);
    if (status == RDL_OK)
        status = calibrate(out, error);
    if (status == RDL_OK)
        out->distinct = count_distinct(out);
    else
        load_fini(out);
    return status;
}

void load_fini(struct load *load)
{
    for (unsigned i = 0; load->data != NULL && i < load->threads; i++) {
        struct load_data *data = &load->data[i];
        if (data->inputs != NULL)
            values_release(data->inputs, load->session->n_inputs);
        if (data->outputs != NULL)
            values_release(data->outputs, load->session->n_outputs);
        if (data->expected != NULL)
            values_release(data->expected, load->session->n_outputs);
        free(data->inputs);
        free(data->outputs);
        free(data->expected);
    }
    free(load->data);
    *load = (struct load){0};
}

/* ---- workers --------------------------------------------------------------------------------- */

/* All workers start at once, or none does. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    int state; /* 0 shut, 1 open, -1 cancelled; under mutex */
};

struct worker {
    pthread_t thread;
    const struct load *load;
    const struct load_data *data;
    struct gate *gate;
    int64_t length_ns; /* of the phase */
    unsigned slices;   /* 0: compare every answer; else time, in so many slices */
    unsigned chunk;    /* calls between two looks at the clock */

    uint64_t calls, checked, mismatches, errors;
    int64_t elapsed_ns;
    uint64_t slice_calls[LOAD_SLICES];
    struct histogram latency_ns;
    struct rdl_error first_error;
} __attribute__((aligned(128)));

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
    pthread_cond_broadcast(&gate->moved);
    pthread_mutex_unlock(&gate->mutex);
}

/* One call; false once the worker has seen too many errors. */
static bool call(struct worker *worker)
{
    struct rdl_error error;
    if (run_data(worker->load->session, worker->data, &error) == RDL_OK)
        return true;
    if (worker->errors++ == 0)
        worker->first_error = error;
    return worker->errors < MAX_ERRORS;
}

static void compare(struct worker *worker)
{
    worker->checked++;
    if (!same_values(worker->data->outputs, worker->data->expected,
                     worker->load->session->n_outputs))
        worker->mismatches++;
}

/* Spoils what the last call wrote, so that an answer that is never written cannot pass. */
static void spoil(const struct worker *worker)
{
    for (size_t i = 0; i < worker->load->session->n_outputs; i++) {
        const struct rdl_value *output = worker->data->outputs[i];
        const struct rdl_tensor *tensor = output != NULL ? rdl_value_tensor(output) : NULL;
        if (tensor != NULL && rdl_tensor_dtype(tensor) != RDL_STRING &&
            rdl_tensor_count(tensor) > 0)
            memset(rdl_tensor_data(tensor), 0xa5,
                   rdl_tensor_count(tensor) * rdl_dtype_size(rdl_tensor_dtype(tensor)));
    }
}

static void run_checked(struct worker *worker)
{
    int64_t end = rdl_now_ns() + worker->length_ns;
    do {
        uint64_t errors = worker->errors;
        spoil(worker);
        if (!call(worker))
            return;
        if (worker->errors == errors)
            compare(worker);
        drop_unbound(worker->load->session, worker->data);
        worker->calls++;
    } while (worker->calls < CHECKED_CALLS || rdl_now_ns() < end);
}

static void run_timed(struct worker *worker)
{
    int64_t start = rdl_now_ns(), before = start, now = start;
    do {
        if (!call(worker))
            break;
        now = rdl_now_ns();
        histogram_add(&worker->latency_ns, (uint64_t)(now - before));
        unsigned done = 1;
        while (done < worker->chunk && call(worker))
            done++;
        worker->calls += done;
        if (worker->chunk > 1)
            now = rdl_now_ns();
        size_t slice = (size_t)((now - start) * worker->slices / worker->length_ns);
        if (slice < worker->slices)
            worker->slice_calls[slice] += done;
        before = now;
    } while (now - start < worker->length_ns);
    worker->elapsed_ns = now - start;
    if (worker->errors == 0)
        compare(worker);
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    if (!pass_gate(worker->gate))
        return NULL;
    if (worker->slices == 0)
        run_checked(worker);
    else
        run_timed(worker);
    drop_unbound(worker->load->session, worker->data);
    return NULL;
}

/* Starts the workers, opens the gate and joins them. */
static enum rdl_status run_phase(struct worker *workers, unsigned threads, struct rdl_error *error)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    unsigned started = 0;
    int fault = 0;
    for (; started < threads && fault == 0; started += fault == 0) {
        workers[started].gate = &gate;
        fault = pthread_create(&workers[started].thread, NULL, run_worker, &workers[started]);
    }
    move_gate(&gate, fault == 0 ? 1 : -1);
    for (unsigned i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    if (fault != 0)
        return cli_fail(error, RDL_ERR_THREAD, "thread %u could not be started: %s", started + 1,
                        strerror(fault));
    return RDL_OK;
}

/* ---- measurement ----------------------------------------------------------------------------- */

static double processor_seconds(void)
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
    double sums[LOAD_SLICES] = {0};
    if (slices < 5)
        return -1;
    for (unsigned slice = 0; slice < slices; slice++)
        for (unsigned i = 0; i < threads; i++)
            sums[slice] += (double)workers[i].slice_calls[slice];
    qsort(sums, slices, sizeof sums[0], compare_doubles);
    double median = sums[slices / 2];
    return median > 0 ? (sums[slices - 1 - slices / 10] - sums[slices / 10]) / median : -1;
}

static void add_counts(const struct worker *worker, struct load_result *out)
{
    if (out->errors == 0 && worker->errors > 0)
        out->first_error = worker->first_error;
    out->checked += worker->checked;
    out->mismatches += worker->mismatches;
    out->errors += worker->errors;
}

static void summarise(const struct worker *workers, unsigned threads, struct histogram *latency,
                      struct load_result *out)
{
    for (unsigned i = 0; i < threads; i++) {
        const struct worker *worker = &workers[i];
        add_counts(worker, out);
        out->calls += worker->calls;
        if (worker->elapsed_ns > 0)
            out->ops_per_s += (double)worker->calls * 1e9 / (double)worker->elapsed_ns;
        histogram_merge(latency, &worker->latency_ns);
    }
    out->p50_us = (double)histogram_quantile(latency, 0.50) * 1e-3;
    out->p99_us = (double)histogram_quantile(latency, 0.99) * 1e-3;
    out->spread = spread_of(workers, threads, workers[0].slices);
}

/* A look at the clock costs some 25 ns: short calls are timed in chunks of about 20 us. */
static unsigned chunk_for(int64_t call_ns)
{
    if (call_ns >= 2000)
        return 1;
    return call_ns <= 80 ? 256 : (unsigned)(20000 / call_ns);
}

/* At least twenty calls a slice, so that their whole number does not make the spread. */
static unsigned slices_for(const struct load *load, double seconds)
{
    double calls = seconds * 1e9 / (double)(load->call_ns > 0 ? load->call_ns : 1);
    double slices = calls / 20;
    return slices >= LOAD_SLICES ? LOAD_SLICES : slices < 1 ? 1 : (unsigned)slices;
}

enum rdl_status load_measure(const struct load *load, unsigned threads, double seconds,
                             struct load_result *out, struct rdl_error *error)
{
    *out = (struct load_result){.spread = -1};
    struct worker *workers = NULL;
    struct histogram *latency = calloc(1, sizeof *latency);
    size_t bytes = threads * sizeof *workers;
    enum rdl_status status = RDL_OK;
    workers = latency != NULL ? aligned_alloc(128, bytes) : NULL;
    if (workers == NULL) {
        free(latency);
        return cli_fail(error, RDL_ERR_NO_MEMORY, "out of memory");
    }
    for (int timed = 0; timed < 2 && status == RDL_OK; timed++) {
        memset(workers, 0, bytes);
        for (unsigned i = 0; i < threads; i++) {
            workers[i].load = load;
            workers[i].data = &load->data[i];
            workers[i].length_ns = (int64_t)(seconds * (timed ? 1e9 : 0.25e9));
            workers[i].slices = timed ? slices_for(load, seconds) : 0;
            workers[i].chunk = chunk_for(load->call_ns);
        }
        double before = processor_seconds();
        status = run_phase(workers, threads, error);
        if (status != RDL_OK)
            break;
        if (timed) {
            summarise(workers, threads, latency, out);
            out->cpu_s_per_op =
                out->calls > 0 ? (processor_seconds() - before) / (double)out->calls : 0;
        } else {
            for (unsigned i = 0; i < threads; i++)
                add_counts(&workers[i], out);
        }
    }
    free(workers);
    free(latency);
    return status;
}
