/*
 * The end: explicit shutdown with work in flight, and processes that exit without it. Each in a process
 * of its own.
 */
#include "support/child.h"
#include "support/models.h"
#include "support/threads.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define REPETITIONS 10
#else
#define REPETITIONS 50
#endif

struct flight {
    const char *name; /* device */
    struct rdl_device device;
    struct rdl_model model;
    struct rdl_value *input;
    _Atomic unsigned running, ended, wrong;
};

static bool is_the_end(enum rdl_status status)
{
    return status == RDL_ERR_SHUTDOWN || status == RDL_ERR_CLOSED;
}

static void *run_to_the_end(void *object)
{
    struct flight *flight = object;
    enum rdl_status status = RDL_OK;
    while (status == RDL_OK) {
        struct rdl_value *output = NULL;
        atomic_fetch_add(&flight->running, 1);
        status = rdl_model_run(flight->model, &flight->input, 1, &output, 1, NULL, NULL);
        rdl_value_release(output);
    }
    atomic_fetch_add(&flight->wrong, !is_the_end(status));
    atomic_fetch_add(&flight->ended, 1);
    return NULL;
}

static void count_end(struct rdl_request request, enum rdl_status status, void *user)
{
    struct flight *flight = user;
    (void)request;
    atomic_fetch_add(&flight->wrong, status != RDL_OK && !is_the_end(status));
    atomic_fetch_add(&flight->ended, 1);
}

#define THREADS 4
#define SUBMITTED 4

/* Threads that run, and submitted runs, on the device. */
static void take_off(struct flight *flight, const char *name)
{
    const struct rdl_sim_options sim = {.seed = 5, .max_delay_us = 500};
    const struct rdl_device_options options = {
        .size = sizeof options, .lanes = 4, .sim = strcmp(name, "sim") == 0 ? &sim : NULL};
    *flight = (struct flight){.name = name};
    IN_CHILD(rdl_device_open(name, &options, &flight->device, NULL) == RDL_OK);
    flight->model = models_load("ppocr_cls", flight->device);
    flight->input = models_input(1, 4, (const int64_t[]){8, 3, 48, 192});
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        IN_CHILD(pthread_create(&thread, NULL, run_to_the_end, flight) == 0);
        (void)pthread_detach(thread);
    }
    for (int i = 0; i < SUBMITTED; i++)
        IN_CHILD(rdl_model_submit(flight->model, &flight->input, 1, NULL, 1, NULL, count_end,
                                  flight, NULL, NULL) == RDL_OK);
    while (atomic_load(&flight->running) < THREADS)
        test_pause_ms(1);
}

static void expect_the_end(const struct flight *flight)
{
    struct rdl_device device;
    struct rdl_model model;
    struct rdl_stream stream;
    struct rdl_event event;
    struct rdl_buffer *buffer;
    struct rdl_request request;
    struct rdl_value *output = NULL;
    struct rdl_error error;
    IN_CHILD(rdl_device_open("cpu", NULL, &device, &error) == RDL_ERR_SHUTDOWN);
    IN_CHILD(strcmp(error.message, "runtime is shut down") == 0);
    IN_CHILD(rdl_model_load(models_path("linear_8x8"), NULL, &model, NULL) == RDL_ERR_SHUTDOWN);
    IN_CHILD(is_the_end(rdl_model_run(flight->model, &flight->input, 1, &output, 1, NULL, NULL)));
    IN_CHILD(is_the_end(rdl_model_submit(flight->model, &flight->input, 1, NULL, 1, NULL, NULL,
                                         NULL, &request, NULL)));
    IN_CHILD(is_the_end(rdl_stream_open(flight->device, RDL_NO_WAIT, NULL, &stream, NULL)));
    IN_CHILD(is_the_end(rdl_event_open(flight->device, &event, NULL)));
    IN_CHILD(is_the_end(rdl_buffer_new(flight->device, 10, NULL, &buffer, NULL)));
    IN_CHILD(is_the_end(rdl_device_close(flight->device, RDL_FOREVER, NULL)));
}

/* ------------------------------------------------------------------------------- with work in flight */

static void shut_down_in_flight(void *name)
{
    static const int64_t bound_ns = 20000000000;
    static struct flight flight; /* its threads may outlive this function */
    take_off(&flight, name);
    struct rdl_tensor *kept;
    struct rdl_value *answer = NULL;
    const int64_t dims[1] = {1000};
    IN_CHILD(rdl_tensor_new(RDL_F32, 1, dims, &kept, NULL) == RDL_OK);
    IN_CHILD(rdl_model_run(flight.model, &flight.input, 1, &answer, 1, NULL, NULL) == RDL_OK);
    const int64_t began = rdl_now_ns();
    IN_CHILD(rdl_shutdown(began + bound_ns, NULL) == RDL_OK);
    IN_CHILD(rdl_now_ns() < began + bound_ns);
    while (atomic_load(&flight.ended) < THREADS + SUBMITTED)
        test_pause_ms(1);
    IN_CHILD(flight.wrong == 0);
    expect_the_end(&flight);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK); /* again: harmless */
    IN_CHILD(rdl_shutdown(RDL_NO_WAIT, NULL) == RDL_OK);
    /* What users hold stays. */
    memset(rdl_tensor_data(kept), 1, 4000);
    IN_CHILD(models_data(answer)[0] >= 0 && models_data(answer)[0] <= 1);
    struct rdl_value *value;
    IN_CHILD(rdl_value_from_tensor(kept, &value, NULL) == RDL_OK);
    rdl_value_release(value);
    rdl_tensor_release(kept);
    rdl_value_release(answer);
    rdl_value_release(flight.input);
}

static void shutdown_ends_work_in_flight_on_cpu(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        child_expect_success(child_run(shut_down_in_flight, (char[]){"cpu"}, 100));
}

static void shutdown_ends_work_in_flight_on_sim(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        child_expect_success(child_run(shut_down_in_flight, (char[]){"sim"}, 100));
}

/* A callback that does not come back keeps the runtime from ending, not the call. */
static _Atomic bool let_go;

static void stay(struct rdl_request request, enum rdl_status status, void *user)
{
    count_end(request, status, user);
    while (!atomic_load(&let_go))
        test_pause_ms(1);
}

static void shut_down_with_patience(void *name)
{
    static struct flight flight;
    struct rdl_error error;
    take_off(&flight, name);
    IN_CHILD(rdl_model_submit(flight.model, &flight.input, 1, NULL, 1, NULL, stay, &flight, NULL,
                              NULL) == RDL_OK);
    while (atomic_load(&flight.ended) < SUBMITTED + 1)
        test_pause_ms(1);
    for (int i = 0; i < 3; i++) {
        const int64_t deadline = rdl_deadline_in_ns(30000000);
        IN_CHILD(rdl_shutdown(deadline, &error) == RDL_ERR_DEADLINE);
        IN_CHILD(strcmp(error.message, "rdl_shutdown: work is still in flight") == 0);
        IN_CHILD(rdl_now_ns() < deadline + 5000000000);
    }
    while (atomic_load(&flight.ended) < THREADS + SUBMITTED + 1)
        test_pause_ms(1);
    expect_the_end(&flight); /* closed for new work all the same */
    atomic_store(&let_go, true);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
    IN_CHILD(flight.wrong == 0);
}

static void shutdown_that_runs_into_its_deadline_may_be_repeated(void **state)
{
    (void)state;
    child_expect_success(child_run(shut_down_with_patience, (char[]){"cpu"}, 100));
    child_expect_success(child_run(shut_down_with_patience, (char[]){"sim"}, 100));
}

static void shut_down_at_first(void *unused)
{
    (void)unused;
    struct rdl_device device;
    const struct rdl_config config = {.size = sizeof config};
    const int64_t dims[1] = {2};
    struct rdl_tensor *tensor;
    IN_CHILD(rdl_shutdown(RDL_NO_WAIT, NULL) == RDL_OK);
    IN_CHILD(rdl_device_open("cpu", NULL, &device, NULL) == RDL_ERR_SHUTDOWN);
    IN_CHILD(rdl_configure(&config, NULL) == RDL_ERR_STATE);
    IN_CHILD(rdl_tensor_new(RDL_F32, 1, dims, &tensor, NULL) == RDL_OK);
    rdl_tensor_release(tensor);
}

static void shutdown_of_a_runtime_never_used(void **state)
{
    (void)state;
    child_expect_success(child_run(shut_down_at_first, NULL, 20));
}

static void shut_down_too(unsigned index, void *shared)
{
    (void)index;
    (void)shared;
    CHECK(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
}

static void shut_down_by_many(void *unused)
{
    (void)unused;
    static struct flight flight;
    take_off(&flight, "cpu");
    IN_CHILD(test_run_threads(4, shut_down_too, NULL) == 0);
    expect_the_end(&flight);
}

static void shutdown_by_many_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        child_expect_success(child_run(shut_down_by_many, NULL, 100));
}

/* --------------------------------------------------------------------------------- exit without it */

/* Threads in the middle of runs, workers alive, handles open: exit runs and ends. */
static void exit_in_flight(void *name)
{
    static struct flight flight;
    take_off(&flight, name);
    exit(7);
}

static void exit_of_idle_workers(void *name)
{
    static struct flight flight;
    take_off(&flight, name);
    while (atomic_load(&flight.ended) < SUBMITTED)
        test_pause_ms(1);
    exit(7);
}

static void *exit_from_here(void *unused)
{
    (void)unused;
    exit(7);
}

static void exit_from_another_thread(void *name)
{
    static struct flight flight;
    pthread_t thread;
    take_off(&flight, name);
    (void)pthread_create(&thread, NULL, exit_from_here, NULL);
    for (;;)
        test_pause_ms(1000);
}

static void exit_after_shutdown_ran_into_its_deadline(void *name)
{
    static struct flight flight;
    take_off(&flight, name);
    (void)rdl_shutdown(RDL_NO_WAIT, NULL);
    exit(7);
}

static void expect_exits(void (*fn)(void *))
{
    for (int i = 0; i < REPETITIONS; i++) {
        const int status = child_run(fn, i % 2 == 0 ? (char[]){"cpu"} : (char[]){"sim"}, 60);
        if (WIFSIGNALED(status))
            fail_msg("exit %d: ended by signal %d", i, WTERMSIG(status));
        assert_int_equal(WEXITSTATUS(status), 7);
    }
}

static void exit_with_threads_in_runs(void **state)
{
    (void)state;
    expect_exits(exit_in_flight);
}

static void exit_with_workers_alive(void **state)
{
    (void)state;
    expect_exits(exit_of_idle_workers);
}

static void exit_on_a_thread_that_is_not_the_first(void **state)
{
    (void)state;
    expect_exits(exit_from_another_thread);
}

static void exit_in_the_middle_of_shutdown(void **state)
{
    (void)state;
    expect_exits(exit_after_shutdown_ran_into_its_deadline);
}

/* A thread may end at any point between calls. */
static void *run_once_and_end(void *object)
{
    struct flight *flight = object;
    struct rdl_value *output = NULL;
    if (rdl_model_run(flight->model, &flight->input, 1, &output, 1, NULL, NULL) != RDL_OK)
        atomic_fetch_add(&flight->wrong, 1);
    rdl_value_release(output);
    pthread_exit(NULL);
}

static void threads_come_and_go(void *unused)
{
    (void)unused;
    struct flight flight = {.name = "cpu"};
    const struct rdl_device_options options = {.size = sizeof options, .lanes = 3};
    IN_CHILD(rdl_device_open("cpu", &options, &flight.device, NULL) == RDL_OK);
    flight.model = models_load("linear_8x8", flight.device);
    flight.input = models_input(1, 2, (const int64_t[]){1, 8});
    for (int i = 0; i < 300; i++) {
        pthread_t threads[4];
        for (int k = 0; k < 4; k++)
            IN_CHILD(pthread_create(&threads[k], NULL, run_once_and_end, &flight) == 0);
        for (int k = 0; k < 4; k++)
            IN_CHILD(pthread_join(threads[k], NULL) == 0);
    }
    struct rdl_device_info info = {.size = sizeof info};
    IN_CHILD(rdl_device_get_info(flight.device, &info) == RDL_OK);
    IN_CHILD(info.lanes_leased == 0 && info.lane_waiters == 0);
    IN_CHILD(flight.wrong == 0);
    rdl_value_release(flight.input);
    IN_CHILD(rdl_shutdown(RDL_FOREVER, NULL) == RDL_OK);
}

static void threads_may_end_between_calls(void **state)
{
    (void)state;
    child_expect_success(child_run(threads_come_and_go, NULL, 100));
}

int main(void)
{
    (void)models_path("ppocr_cls");
    (void)models_path("linear_8x8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shutdown_of_a_runtime_never_used),
        cmocka_unit_test(shutdown_ends_work_in_flight_on_cpu),
        cmocka_unit_test(shutdown_ends_work_in_flight_on_sim),
        cmocka_unit_test(shutdown_that_runs_into_its_deadline_may_be_repeated),
        cmocka_unit_test(shutdown_by_many_at_once),
        cmocka_unit_test(exit_with_threads_in_runs),
        cmocka_unit_test(exit_with_workers_alive),
        cmocka_unit_test(exit_on_a_thread_that_is_not_the_first),
        cmocka_unit_test(exit_in_the_middle_of_shutdown),
        cmocka_unit_test(threads_may_end_between_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
