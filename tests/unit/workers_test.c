/*
 * The worker pool, seen through submitted runs: every task runs once, threads start only when needed and
 * up to the limit, a thread that cannot be started is said or done without, and shutdown ends them.
 */
#include "support/child.h"
#include "support/models.h"
#include "support/threads.h"

#include "os/thread.h"

#include <dirent.h>

static unsigned worker_threads(void)
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
            count += strncmp(name, "rdl-worker", 10) == 0;
        (void)fclose(file);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
    return count;
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
        cmocka_unit_test(callbacks_may_submit_but_not_wait),
        cmocka_unit_test(shutdown_calls_every_callback_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
