/*
 * The worker pool, seen through submitted runs: every task runs once, threads start only when needed and
 * up to the limit, a thread that cannot be started is said or done without, who is cancelled or past its
 * deadline while the workers are busy ends at once, and shutdown ends the threads.
 */
#include "support/child.h"
#include "support/models.h"
#include "support/threads.h"

#include "os/thread.h"

#include <dirent.h>

static unsigned threads_named(const char *prefix)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL)
            count += strncmp(name, prefix, strlen(prefix)) == 0;
        (void)fclose(file);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
    return count;
}

static unsigned worker_threads(void)
{
    return threads_named("rdl-worker");
}

struct calls {
    struct rdl_model model;
    struct rdl_value *input;
    _Atomic unsigned ended, succeeded;
};

static void count_call(struct rdl_request request, enum rdl_status status, void *user)
{
    struct calls *calls = user;
    (void)request;
    atomic_fetch_add(&calls->succeeded, status == RDL_OK);
    atomic_fetch_add(&calls->ended, 1);
}

static enum rdl_status submit(struct calls *calls, struct rdl_request *out, struct rdl_error *error)
{
    return rdl_model_submit(calls->model, &calls->input, 1, NULL, 1, NULL, count_call, calls, out,
                            error);
}

static void open_calls(struct calls *calls)
{
    struct rdl_device device;
    IN_CHILD(rdl_device_open("cpu", NULL, &device, NULL) == RDL_OK);
    *calls = (struct calls){.model = models_load("linear_8x8", device),
                            .input = models_input(1, 2, (const int64_t[]){1, 8})};
}

static void wait_ended(struct calls *calls, unsigned n)
{
    while (atomic_load(&calls->ended) < n)
        test_pause_ms(1);
}

/* ---------------------------------------------------------------------------------------- cases */

static void threads_fail_to_start(void *unused)
{
    (void)unused;
    struct calls calls;
    struct rdl_request request = {7};
    struct rdl_error error;
    open_calls(&calls);
    rdl__thread_fail_at(1, true);
    IN_CHILD(submit(&calls, &request, &error) == RDL_ERR_THREAD);
    IN_CHILD(strcmp(error.message, "rdl_model_submit: thread could not be started") == 0);
    IN_CHILD(request.id == 0);
    IN_CHILD(calls.ended == 0); /* refused: the callback is not called */
    rdl__thread_fail_at(0, false);
    IN_CHILD(submit(&calls, &request, NULL) == RDL_OK);
    IN_CHILD(rdl_request_wait(request, RDL_FOREVER, NULL, 0, NULL) == RDL_OK);
    rdl_request_close(request);
    /* With one thread there, others that do not start are done without. */
    rdl__thread_fail_at(1, true);
    for (unsigned i = 0; i < 50; i++)
        IN_CHILD(submit(&calls, NULL, NULL) == RDL_OK);
    wait_ended(&calls, 51);
    IN_CHILD(calls.succeeded == 51);
    IN_CHILD(worker_threads() == 1);
    rdl__thread_fail_at(0, false);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
}

static void workers_that_do_not_start_are_told_or_done_without(void **state)
{
    (void)state;
    (void)models_path("linear_8x8");
    child_expect_success(child_run(threads_fail_to_start, NULL, 60));
}

static void submit_in_vain(unsigned index, void *shared)
{
    (void)index;
    for (unsigned i = 0; i < 200; i++)
        CHECK(submit(shared, NULL, NULL) == RDL_ERR_THREAD);
}

/* No thread ever starts, so a task that is taken would never run. */
static void refuse_all(void *limit)
{
    const struct rdl_config config = {.size = sizeof config,
                                      .worker_threads = *(const uint32_t *)limit};
    struct calls calls;
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    open_calls(&calls);
    rdl__thread_fail_at(1, true);
    IN_CHILD(test_run_threads(4, submit_in_vain, &calls) == 0);
    rdl__thread_fail_at(0, false);
    IN_CHILD(calls.ended == 0);
}

static void tasks_are_not_taken_for_threads_that_others_fail_to_start(void **state)
{
    (void)state;
    (void)models_path("linear_8x8");
    for (uint32_t limit = 1; limit <= 3; limit++)
        child_expect_success(child_run(refuse_all, &limit, 60));
}

static void submit_many(unsigned index, void *shared)
{
    (void)index;
    for (unsigned i = 0; i < 100; i++)
        CHECK(submit(shared, NULL, NULL) == RDL_OK);
}

static void stay_within_the_limit(void *unused)
{
    (void)unused;
    const struct rdl_config config = {.size = sizeof config, .worker_threads = 2};
    struct calls calls;
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    open_calls(&calls);
    IN_CHILD(worker_threads() == 0); /* none before there is work */
    IN_CHILD(test_run_threads(4, submit_many, &calls) == 0);
    wait_ended(&calls, 400);
    IN_CHILD(calls.succeeded == 400);
    IN_CHILD(worker_threads() >= 1 && worker_threads() <= 2);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
    IN_CHILD(worker_threads() == 0);
}

static void workers_stay_within_their_limit_and_end(void **state)
{
    (void)state;
    child_expect_success(child_run(stay_within_the_limit, NULL, 60));
}

/* A pool of one worker, which a callback keeps busy until it is let go. */
struct busy {
    struct calls calls;
    _Atomic bool is_held, let_go;
};

static void hold_worker(struct rdl_request request, enum rdl_status status, void *user)
{
    struct busy *busy = user;
    (void)request;
    (void)status;
    atomic_store(&busy->is_held, true);
    while (!atomic_load(&busy->let_go))
        test_pause_ms(1);
}

static void open_busy(struct busy *busy)
{
    const struct rdl_config config = {.size = sizeof config, .worker_threads = 1};
    IN_CHILD(rdl_configure(&config, NULL) == RDL_OK);
    open_calls(&busy->calls);
    IN_CHILD(rdl_model_submit(busy->calls.model, &busy->calls.input, 1, NULL, 1, NULL, hold_worker,
                              busy, NULL, NULL) == RDL_OK);
    while (!atomic_load(&busy->is_held))
        test_pause_ms(1);
}

static struct rdl_request submit_with(struct busy *busy, int64_t deadline_ns,
                                      struct rdl_cancel *cancel)
{
    const struct rdl_run_options options = {
        .size = sizeof options, .deadline_ns = deadline_ns, .cancel = cancel};
    struct rdl_request request;
    IN_CHILD(rdl_model_submit(busy->calls.model, &busy->calls.input, 1, NULL, 1, &options,
                              count_call, &busy->calls, &request, NULL) == RDL_OK);
    return request;
}

/* The request ends with `expected` although no worker is free. */
static void expect_end(struct rdl_request request, enum rdl_status expected, const char *message)
{
    struct rdl_error error = {0};
    bool done = false;
    IN_CHILD(rdl_request_wait(request, rdl_deadline_in_ns(INT64_C(20000000000)), NULL, 0, &error) ==
             expected);
    IN_CHILD(rdl_request_done(request, &done) == RDL_OK && done);
    IN_CHILD(strcmp(error.message, message) == 0);
    rdl_request_close(request);
}

static void end_behind_a_busy_worker(void *unused)
{
    (void)unused;
    struct busy busy = {0};
    struct rdl_cancel *cancel;
    open_busy(&busy);
    IN_CHILD(rdl_cancel_new(&cancel, NULL) == RDL_OK);
    IN_CHILD(threads_named("rdl-reaper") == 0); /* none before a task queues */
    const struct rdl_request patient = submit_with(&busy, 0, NULL);
    const struct rdl_request late = submit_with(&busy, rdl_deadline_in_ns(60000000000), NULL);
    while (threads_named("rdl-reaper") == 0)
        test_pause_ms(1);
    test_pause_ms(50); /* it sleeps for the late one */
    const struct rdl_request soon = submit_with(&busy, rdl_deadline_in_ns(20000000), NULL);
    const struct rdl_request own = submit_with(&busy, 0, NULL);
    const struct rdl_request users = submit_with(&busy, 0, cancel);
    const struct rdl_request last = submit_with(&busy, 0, NULL);
    expect_end(soon, RDL_ERR_DEADLINE, "run: deadline passed");
    rdl_request_cancel(late);
    expect_end(late, RDL_ERR_CANCELLED, "run: cancelled");
    rdl_request_cancel(own);
    expect_end(own, RDL_ERR_CANCELLED, "run: cancelled");
    rdl_cancel_request(cancel);
    expect_end(users, RDL_ERR_CANCELLED, "run: cancelled");
    expect_end(submit_with(&busy, 0, cancel), RDL_ERR_CANCELLED, "run: cancelled");
    rdl_request_cancel(last); /* the tail of the queue: what comes next is queued behind patient */
    expect_end(last, RDL_ERR_CANCELLED, "run: cancelled");
    const struct rdl_request next = submit_with(&busy, 0, NULL);
    wait_ended(&busy.calls, 6);
    IN_CHILD(busy.calls.ended == 6 && busy.calls.succeeded == 0);
    IN_CHILD(threads_named("rdl-reaper") == 1);
    atomic_store(&busy.let_go, true);
    expect_end(patient, RDL_OK, "");
    expect_end(next, RDL_OK, "");
    rdl_cancel_release(cancel);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
    IN_CHILD(busy.calls.ended == 8 && busy.calls.succeeded == 2);
    IN_CHILD(threads_named("rdl-") == 0);
}

static void queued_runs_end_though_no_worker_is_free(void **state)
{
    (void)state;
    (void)models_path("linear_8x8");
    child_expect_success(child_run(end_behind_a_busy_worker, NULL, 60));
}

enum { STORM_CALLS = 300 };

struct storm {
    struct busy busy; /* its worker is let go halfway */
    struct rdl_cancel *shared;
};

/* Calls of all kinds: cancelled by itself or by others, with a deadline now, soon, or never. */
static void storm_caller(unsigned index, void *shared)
{
    struct storm *storm = shared;
    for (unsigned i = 0; i < STORM_CALLS; i++) {
        const unsigned kind = (i + index) % 5;
        const int64_t deadline_ns = kind == 1 ? 1 : kind == 2 ? rdl_deadline_in_ns(200000) : 0;
        const struct rdl_request request =
            submit_with(&storm->busy, deadline_ns, kind == 3 ? storm->shared : NULL);
        if (kind == 4)
            rdl_request_cancel(request);
        rdl_request_close(request);
        if (i == STORM_CALLS / 2)
            atomic_store(&storm->busy.let_go, true);
        if (index == 0 && i == STORM_CALLS / 3)
            rdl_cancel_request(storm->shared);
    }
}

static void storm(void *unused)
{
    (void)unused;
    struct storm storm = {0};
    open_busy(&storm.busy);
    IN_CHILD(rdl_cancel_new(&storm.shared, NULL) == RDL_OK);
    IN_CHILD(test_run_threads(4, storm_caller, &storm) == 0);
    wait_ended(&storm.busy.calls, 4 * STORM_CALLS);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
    IN_CHILD(storm.busy.calls.ended == 4 * STORM_CALLS);
    IN_CHILD(storm.busy.calls.succeeded >= 4 * STORM_CALLS / 5); /* nobody ended those of kind 0 */
    rdl_cancel_release(storm.shared);
}

static void every_run_ends_once_in_a_storm_of_cancels(void **state)
{
    (void)state;
    (void)models_path("linear_8x8");
    child_expect_success(child_run(storm, NULL, 60));
}

/* From a callback: submitting, cancelling and closing are allowed, waiting is not. */
struct chain {
    struct calls calls;
    _Atomic unsigned left, wrong, done;
    struct rdl_request first;
};

static void chain_on(struct rdl_request request, enum rdl_status status, void *user)
{
    struct chain *chain = user;
    struct rdl_value *output = NULL;
    struct rdl_request next = {0};
    bool done = false;
    unsigned wrong = status != RDL_OK;
    wrong += rdl_request_done(request, &done) != RDL_OK || !done;
    wrong += rdl_request_wait(request, RDL_FOREVER, &output, 1, NULL) != RDL_OK; /* it has ended */
    rdl_value_release(output);
    output = NULL;
    wrong += rdl_model_run(chain->calls.model, &chain->calls.input, 1, &output, 1, NULL, NULL) !=
             RDL_ERR_STATE;
    wrong += rdl_shutdown(RDL_NO_WAIT, NULL) != RDL_ERR_STATE;
    if (chain->left > 0) {
        atomic_fetch_sub(&chain->left, 1);
        wrong += rdl_model_submit(chain->calls.model, &chain->calls.input, 1, NULL, 1, NULL,
                                  chain_on, chain, &next, NULL) != RDL_OK;
    }
    rdl_request_close(request);
    atomic_fetch_add(&chain->wrong, wrong);
    atomic_fetch_add(&chain->done, 1);
}

static void chain_submits(void *unused)
{
    (void)unused;
    struct chain chain = {.left = 20};
    open_calls(&chain.calls);
    IN_CHILD(rdl_model_submit(chain.calls.model, &chain.calls.input, 1, NULL, 1, NULL, chain_on,
                              &chain, &chain.first, NULL) == RDL_OK);
    while (atomic_load(&chain.done) < 21)
        test_pause_ms(1);
    IN_CHILD(chain.wrong == 0);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
}

static void callbacks_may_submit_but_not_wait(void **state)
{
    (void)state;
    child_expect_success(child_run(chain_submits, NULL, 60));
}

static void shut_down_with_tasks(void *unused)
{
    (void)unused;
    struct calls calls;
    struct rdl_request request = {7};
    unsigned taken = 0;
    open_calls(&calls);
    for (unsigned i = 0; i < 500; i++)
        taken += submit(&calls, NULL, NULL) == RDL_OK;
    IN_CHILD(taken == 500);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
    IN_CHILD(calls.ended == 500); /* each was called, whether it ran or was refused */
    const enum rdl_status status = submit(&calls, &request, NULL);
    IN_CHILD(status == RDL_ERR_SHUTDOWN);
    IN_CHILD(request.id == 0);
    IN_CHILD(calls.ended == 500);
    IN_CHILD(worker_threads() == 0);
}

static void shutdown_calls_every_callback_once(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        child_expect_success(child_run(shut_down_with_tasks, NULL, 60));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_that_do_not_start_are_told_or_done_without),
        cmocka_unit_test(tasks_are_not_taken_for_threads_that_others_fail_to_start),
        cmocka_unit_test(workers_stay_within_their_limit_and_end),
        cmocka_unit_test(queued_runs_end_though_no_worker_is_free),
        cmocka_unit_test(every_run_ends_once_in_a_storm_of_cancels),
        cmocka_unit_test(callbacks_may_submit_but_not_wait),
        cmocka_unit_test(shutdown_calls_every_callback_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
