/*
 * Submitted runs.
 *
 * A request owns what its run uses: references to inputs and outputs, copies of the arrays, a cancel
 * token that follows the caller's. The thread that runs it holds a pin from the submit on, so the
 * request lives until the run has ended, whether or not its handle is closed. `lock` guards the end: who
 * waits lists a parker under it; the worker sets `done` under it and wakes them all. Results are written
 * before `done` and read after it.
 */
#include "model/model.h"

#include "base/mem.h"
#include "base/status.h"
#include "os/fork.h"
#include "runtime/lifecycle.h"
#include "runtime/workers.h"

#include <stddef.h>
#include <string.h>

struct waiter {
    struct waiter *next;
    struct rdl__park park;
};

struct request {
    struct rdl__task task; /* first: a task is cast back to its request */
    uint64_t id;
    uint32_t epoch;
    struct rdl__run run; /* over the arrays below */
    struct rdl_value **inputs, **outputs;
    uint32_t *indices;
    struct rdl_cancel *cancel;
    rdl_run_callback callback;
    void *user;
    struct rdl__lock lock;
    bool done RDL_GUARDED_BY(&lock);
    struct waiter *waiters RDL_GUARDED_BY(&lock);
    struct rdl_error error; /* status and message; read after done */
};
_Static_assert(offsetof(struct request, task) == 0, "a task is the first member of its request");

static void destroy_request(void *object)
{
    struct request *request = object;
    for (size_t i = 0; request->inputs != NULL && i < request->run.n_inputs; i++)
        rdl_value_release(request->inputs[i]);
    for (size_t i = 0; request->outputs != NULL && i < request->run.n_outputs; i++)
        rdl_value_release(request->outputs[i]);
    rdl_cancel_release(request->cancel);
    rdl__free(request->inputs);
    rdl__free(request->outputs);
    rdl__free(request->indices);
    if (request->epoch == rdl__fork_epoch())
        rdl__lock_fini(&request->lock);
    rdl__free(request);
}

static struct rdl__table requests = RDL__TABLE_INIT(destroy_request);

static struct request *pin(struct rdl_request handle, enum rdl_status *status,
                           struct rdl_error *error)
{
    struct request *request = rdl__handle_pin(&requests, handle.id);
    *status = request != NULL ? RDL_OK : RDL_ERR_CLOSED;
    if (request != NULL && request->epoch != rdl__fork_epoch()) {
        rdl__handle_unpin(&requests, handle.id);
        request = NULL;
        *status = RDL_ERR_FORKED;
    }
    if (request == NULL)
        (void)rdl__fail(error, *status, "request: %s", rdl_status_text(*status));
    return request;
}

static void unpin(struct request *request)
{
    rdl__handle_unpin(&requests, request->id);
}

/* ------------------------------------------------------------------------------------- the worker */

static enum rdl_status run_unless_over(struct request *request)
{
    const enum rdl_status over = rdl__task_over(&request->task);
    return over == RDL_OK ? rdl__run(&request->run, &request->error)
                          : rdl__fail(&request->error, over, "run: %s", rdl_status_text(over));
}

static void run_request(struct rdl__task *task)
{
    struct request *request = (struct request *)(void *)task;
    const enum rdl_status status = run_unless_over(request);
    if (rdl__fork_epoch() != request->epoch)
        return; /* forked in the output allocator: this is the child, where requests are forgotten */
    request->error.status = status;
    rdl__lock_acquire(&request->lock);
    request->done = true;
    for (struct waiter *waiter = request->waiters; waiter != NULL; waiter = waiter->next)
        rdl__park_wake(&waiter->park);
    rdl__lock_release(&request->lock);
    if (request->callback != NULL) {
        rdl__set_in_callback(true);
        request->callback((struct rdl_request){request->id}, status, request->user);
        if (rdl__fork_epoch() != request->epoch)
            return;
        rdl__set_in_callback(false);
    }
    unpin(request);
}

/* ---------------------------------------------------------------------------------------- submit */

/* Copies what the caller's arrays hold and takes references. */
static enum rdl_status take_over(struct request *request, struct rdl_value *const *inputs,
                                 struct rdl_value *const *outputs, struct rdl_error *error)
{
    struct rdl__run *run = &request->run;
    request->inputs = rdl__alloc_zeroed(run->n_inputs + 1, sizeof *request->inputs);
    request->outputs = rdl__alloc_zeroed(run->n_outputs + 1, sizeof *request->outputs);
    request->indices = rdl__alloc_zeroed(run->n_outputs + 1, sizeof *request->indices);
    if (request->inputs == NULL || request->outputs == NULL || request->indices == NULL)
        return rdl__fail_memory(error, "rdl_model_submit",
                                (run->n_inputs + run->n_outputs) * sizeof *inputs);
    for (size_t i = 0; i < run->n_inputs; i++) {
        if (inputs[i] == NULL)
            return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_model_submit: input %zu is NULL", i);
        request->inputs[i] = rdl_value_retain(inputs[i]);
    }
    for (size_t i = 0; i < run->n_outputs; i++) {
        request->indices[i] = run->output_indices != NULL ? run->output_indices[i] : (uint32_t)i;
        if (outputs != NULL && outputs[i] != NULL)
            request->outputs[i] = rdl_value_retain(outputs[i]);
    }
    run->inputs = request->inputs;
    run->outputs = request->outputs;
    run->output_indices = request->indices;
    RDL_TRY(rdl__cancel_new_following(run->cancel, &request->cancel, error));
    run->cancel = request->cancel;
    return RDL_OK;
}

/* Names the request, pins it for the worker, and queues it. */
static enum rdl_status enqueue(struct request *request, struct rdl__device *device,
                               struct rdl_request *out, struct rdl_error *error)
{
    request->task.run = run_request;
    request->task.deadline_ns = request->run.deadline_ns;
    request->task.cancel = request->cancel;
    /* The pin is the worker's: a closing device may close the handle at once. */
    enum rdl_status status = rdl__handle_open_pinned(&requests, request, device, &request->id);
    if (status != RDL_OK) {
        destroy_request(request);
        return rdl__fail_memory(error, "rdl_model_submit", sizeof *request);
    }
    const struct rdl_request handle = {request->id};
    if (out != NULL)
        *out = handle; /* before the callback can run */
    status = rdl__workers_submit(&request->task);
    if (status != RDL_OK) {
        rdl__handle_unpin(&requests, handle.id);
        (void)rdl__handle_close(&requests, handle.id);
        if (out != NULL)
            out->id = 0;
        return rdl__fail(error, status, "rdl_model_submit: %s", rdl_status_text(status));
    }
    if (out == NULL)
        (void)rdl__handle_close(&requests, handle.id);
    return RDL_OK;
}

enum rdl_status rdl_model_submit(struct rdl_model handle, struct rdl_value *const *inputs,
                                 size_t n_inputs, struct rdl_value *const *outputs,
                                 size_t n_outputs, const struct rdl_run_options *options,
                                 rdl_run_callback callback, void *user, struct rdl_request *out,
                                 struct rdl_error *error)
{
    if (out != NULL)
        out->id = 0;
    RDL_TRY(rdl__runtime_enter(error));
    rdl__table_register(&requests);
    enum rdl_status status;
    struct rdl__model *model = rdl__model_pin(handle, &status, error);
    if (model == NULL)
        return status;
    struct rdl__device *device = model->device;
    struct request *request = rdl__alloc_zeroed(1, sizeof *request);
    if (request == NULL) {
        rdl__model_unpin(handle);
        return rdl__fail_memory(error, "rdl_model_submit", sizeof *request);
    }
    request->epoch = rdl__fork_epoch();
    request->callback = callback;
    request->user = user;
    rdl__lock_init(&request->lock, RDL__RANK_REQUEST);
    struct rdl_value *none = NULL;
    status =
        rdl__run_init(&request->run, handle, inputs, n_inputs, &none, n_outputs, options, error);
    if (status == RDL_OK)
        status = take_over(request, inputs, outputs, error);
    if (status == RDL_OK)
        status = enqueue(request, device, out, error);
    else
        destroy_request(request);
    rdl__model_unpin(handle);
    return status;
}

/* ------------------------------------------------------------------------------------ the waiting */

static bool is_done(struct request *request)
{
    rdl__lock_acquire(&request->lock);
    const bool done = request->done;
    rdl__lock_release(&request->lock);
    return done;
}

/* Lists the waiter unless the request is done already: that. */
static bool list_or_done(struct request *request, struct waiter *waiter)
{
    rdl__lock_acquire(&request->lock);
    const bool done = request->done;
    if (!done) {
        waiter->next = request->waiters;
        request->waiters = waiter;
    }
    rdl__lock_release(&request->lock);
    return done;
}

static void unlist(struct request *request, struct waiter *waiter)
{
    rdl__lock_acquire(&request->lock);
    struct waiter **at = &request->waiters;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    rdl__lock_release(&request->lock);
}

static enum rdl_status wait_done(struct request *request, int64_t deadline_ns)
{
    if (is_done(request))
        return RDL_OK;
    if (rdl__in_callback())
        return RDL_ERR_STATE;
    struct waiter waiter = {0};
    rdl__park_init(&waiter.park);
    enum rdl_status status = RDL_OK;
    if (!list_or_done(request, &waiter)) {
        while (!is_done(request) && status == RDL_OK)
            if (!rdl__park_wait(&waiter.park, deadline_ns))
                status = RDL_ERR_DEADLINE;
        unlist(request, &waiter);
    }
    rdl__park_fini(&waiter.park);
    return is_done(request) ? RDL_OK : status;
}

enum rdl_status rdl_request_wait(struct rdl_request handle, int64_t deadline_ns,
                                 struct rdl_value **outputs, size_t n_outputs,
                                 struct rdl_error *error)
{
    enum rdl_status status;
    struct request *request = pin(handle, &status, error);
    if (request == NULL)
        return status;
    for (size_t i = 0; i < n_outputs; i++)
        outputs[i] = NULL;
    status = wait_done(request, deadline_ns);
    if (status != RDL_OK) {
        status = rdl__fail(error, status, "rdl_request_wait: %s", rdl_status_text(status));
    } else if (n_outputs > request->run.n_outputs) {
        status = rdl__fail(error, RDL_ERR_ARGUMENT,
                           "rdl_request_wait: %zu outputs asked for, the request has %zu",
                           n_outputs, request->run.n_outputs);
    } else {
        status = request->error.status;
        if (status != RDL_OK && error != NULL)
            *error = request->error;
        for (size_t i = 0; status == RDL_OK && i < n_outputs; i++)
            outputs[i] = rdl_value_retain(request->outputs[i]);
    }
    unpin(request);
    return status;
}

enum rdl_status rdl_request_done(struct rdl_request handle, bool *out)
{
    enum rdl_status status;
    if (out == NULL)
        return RDL_ERR_ARGUMENT;
    struct request *request = pin(handle, &status, NULL);
    if (request == NULL)
        return status;
    *out = is_done(request);
    unpin(request);
    return RDL_OK;
}

void rdl_request_cancel(struct rdl_request handle)
{
    enum rdl_status status;
    struct request *request = pin(handle, &status, NULL);
    if (request == NULL)
        return;
    rdl_cancel_request(request->cancel);
    unpin(request);
}

void rdl_request_close(struct rdl_request handle)
{
    (void)rdl__handle_close(&requests, handle.id);
}
