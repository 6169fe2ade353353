/*
 * The life of models: loading, running and closing in every order, flat memory, one compilation a
 * shape, cancel, deadlines, submitted runs.
 */
#include "support/devices.h"
#include "support/models.h"
#include "support/resident.h"
#include "support/threads.h"

#include "os/atomic.h"

static struct rdl_device open_cpu(uint32_t lanes, uint32_t plans)
{
    return open_device("cpu", (struct rdl_device_options){.lanes = lanes, .plan_cache = plans});
}

static unsigned scale(unsigned plain, unsigned sanitized)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    (void)plain;
    return sanitized;
#else
    (void)sanitized;
    return plain;
#endif
}

/* --------------------------------------------------------------------------------------- staleness */

static void closed_model_is_stale_everywhere(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(4, 0);
    struct rdl_model model = models_load("linear_8x8", device);
    struct rdl_value *input = models_input(1, 2, (const int64_t[]){1, 8}), *output = NULL;
    struct rdl_model_info *info;
    struct rdl_model_stats stats = {.size = sizeof stats};
    struct rdl_request request;
    struct rdl_error error;
    assert_int_equal(rdl_model_get_info(model, &info, NULL), RDL_OK);
    rdl_model_close(model);
    rdl_model_close(model);
    assert_int_equal(rdl_model_run(model, &input, 1, &output, 1, NULL, &error), RDL_ERR_CLOSED);
    assert_string_equal(error.message, "run: the model is closed");
    assert_null(output);
    struct rdl_model_info *other;
    assert_int_equal(rdl_model_get_info(model, &other, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_model_get_stats(model, &stats), RDL_ERR_CLOSED);
    assert_int_equal(rdl_model_submit(model, &input, 1, NULL, 1, NULL, NULL, NULL, &request, NULL),
                     RDL_ERR_CLOSED);
    assert_string_equal(rdl_model_info_input(info, 0)->name, "x"); /* facts outlive the model */
    rdl_model_info_release(info);
    rdl_value_release(input);
    close_device(device);
}

/* Threads load, run and close models through shared handles, in every order. */
struct races {
    struct rdl_device device;
    _Atomic uint64_t models[4];
    struct rdl_value *inputs[8], *expected[8];
    unsigned rounds;
    _Atomic unsigned ran, stale;
};

static void race(unsigned index, void *shared)
{
    struct races *races = shared;
    uint64_t random = index + 1;
    for (unsigned i = 0; i < races->rounds; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        _Atomic uint64_t *slot = &races->models[(random >> 33) % 4];
        const unsigned action = (unsigned)(random >> 40) % 16;
        if (action == 0) {
            const uint64_t old = atomic_exchange(slot, models_load("linear_8x8", races->device).id);
            rdl_model_close((struct rdl_model){old});
        } else if (action == 1) {
            rdl_model_close((struct rdl_model){atomic_load(slot)});
        } else {
            struct rdl_value *output = NULL;
            const enum rdl_status status =
                rdl_model_run((struct rdl_model){atomic_load(slot)}, &races->inputs[index], 1,
                              &output, 1, NULL, NULL);
            CHECK(status == RDL_OK || status == RDL_ERR_CLOSED);
            CHECK((status == RDL_OK) == (output != NULL));
            if (status == RDL_OK)
                CHECK(models_same(output, races->expected[index]));
            atomic_fetch_add(status == RDL_OK ? &races->ran : &races->stale, 1);
            rdl_value_release(output);
        }
    }
}

static void load_run_and_close_race_in_every_order(void **state)
{
    (void)state;
    (void)models_path("linear_8x8");
    struct races races = {.device = open_cpu(5, 0), .rounds = scale(3000, 300)};
    struct rdl_model model = models_load("linear_8x8", races.device);
    for (unsigned i = 0; i < 8; i++) {
        races.inputs[i] = models_input(i + 1, 2, (const int64_t[]){1, 8});
        races.expected[i] = models_run(model, races.inputs[i]);
    }
    rdl_model_close(model);
    assert_int_equal(test_run_threads(8, race, &races), 0);
    assert_true(races.ran > 0);
    assert_true(races.stale > 0);
    for (unsigned i = 0; i < 8; i++) {
        rdl_value_release(races.inputs[i]);
        rdl_value_release(races.expected[i]);
    }
    close_device(races.device); /* with whatever is still open */
}

/* ------------------------------------------------------------------------------------- flat memory */

static void cycle(struct rdl_device device, struct rdl_value *input)
{
    struct rdl_model model = models_load("linear_8x8", device);
    struct rdl_value *output = models_run(model, input);
    assert_non_null(output);
    rdl_value_release(output);
    rdl_model_close(model);
}

static void load_run_close_cycles_leave_memory_flat(void **state)
{
    (void)state;
    const unsigned cycles = getenv("RADDLE_TEST_LONG") != NULL ? 10000 : scale(1000, 100);
    struct rdl_device device = open_cpu(4, 0);
    struct rdl_value *input = models_input(1, 2, (const int64_t[]){1, 8});
    for (unsigned i = 0; i < 50; i++)
        cycle(device, input);
    const size_t before = resident_bytes();
    for (unsigned i = 0; i < cycles; i++)
        cycle(device, input);
    const size_t after = resident_bytes();
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    assert_true(after < before + (1 << 20)); /* 10,000 cycles that lost 100 bytes each would show */
#else
    (void)before;
    (void)after; /* sanitizers keep freed memory */
#endif
    rdl_value_release(input);
    close_device(device);
}

static void a_stream_of_new_shapes_leaves_memory_flat(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(4, 16);
    struct rdl_model model = models_load("mlp_784_512_512_10", device);
    struct rdl_model_stats stats = {.size = sizeof stats};
    size_t before = 0;
    for (int64_t batch = 1; batch <= 600; batch++) {
        struct rdl_value *input =
            models_input((uint64_t)batch, 2, (const int64_t[]){1 + batch % 500, 784});
        struct rdl_value *output = models_run(model, input);
        assert_non_null(output);
        rdl_value_release(output);
        rdl_value_release(input);
        if (batch == 500)
            before = resident_bytes(); /* the largest arena has been made */
    }
    assert_int_equal(rdl_model_get_stats(model, &stats), RDL_OK);
    assert_in_range(stats.plans, 1, 16);
    assert_true(stats.plans_compiled >= 500);
    assert_int_equal(stats.plans_compiled - stats.plans_evicted, stats.plans);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    assert_true(resident_bytes() < before + (1 << 20));
#else
    (void)before;
#endif
    rdl_model_close(model);
    close_device(device);
}

/* ------------------------------------------------------------------------------------ single flight */

struct flight {
    struct rdl_model model;
    int64_t batch;
};

static void run_new_shape(unsigned index, void *shared)
{
    struct flight *flight = shared;
    struct rdl_value *input = models_input(index + 1, 2, (const int64_t[]){flight->batch, 784});
    struct rdl_value *output = models_run(flight->model, input);
    CHECK(output != NULL);
    rdl_value_release(output);
    rdl_value_release(input);
}

static void eight_threads_compile_a_new_shape_once(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(16, 0);
    struct flight flight = {.model = models_load("mlp_784_512_512_10", device)};
    struct rdl_model_stats stats = {.size = sizeof stats};
    for (int64_t batch = 1; batch <= 30; batch++) {
        flight.batch = batch;
        assert_int_equal(test_run_threads(8, run_new_shape, &flight), 0);
        assert_int_equal(rdl_model_get_stats(flight.model, &stats), RDL_OK);
        assert_int_equal(stats.plans_compiled, batch);
    }
    rdl_model_close(flight.model);
    close_device(device);
}

/* A cache of one plan, threads that want different ones: plans are evicted under their users. */
static void thrash(unsigned index, void *shared)
{
    struct flight *flight = shared;
    for (unsigned i = 0; i < 40; i++) {
        const int64_t batch = 1 + (index + i) % 5;
        struct rdl_value *input = models_input(index * 100 + i, 2, (const int64_t[]){batch, 784});
        struct rdl_value *first = models_run(flight->model, input);
        struct rdl_value *second = models_run(flight->model, input);
        CHECK(first != NULL && second != NULL && models_same(first, second));
        rdl_value_release(first);
        rdl_value_release(second);
        rdl_value_release(input);
    }
}

static void plans_are_evicted_under_their_users(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(8, 1);
    struct flight flight = {.model = models_load("mlp_784_512_512_10", device)};
    struct rdl_model_stats stats = {.size = sizeof stats};
    assert_int_equal(test_run_threads(6, thrash, &flight), 0);
    assert_int_equal(rdl_model_get_stats(flight.model, &stats), RDL_OK);
    assert_int_equal(stats.plans, 1);
    assert_true(stats.plans_evicted > 10);
    rdl_model_close(flight.model);
    close_device(device);
}

/* -------------------------------------------------------------------------- deadlines and cancelling */

struct long_run {
    struct rdl_model model;
    struct rdl_value *input;
    struct rdl_cancel *cancel;
    int64_t deadline_ns;
    enum rdl_status status;
    int64_t ended_ns;
};

static void *run_long(void *object)
{
    struct long_run *run = object;
    const struct rdl_run_options options = {
        .size = sizeof options, .deadline_ns = run->deadline_ns, .cancel = run->cancel};
    struct rdl_value *output = NULL;
    do {
        run->status = rdl_model_run(run->model, &run->input, 1, &output, 1, &options, NULL);
        rdl_value_release(output);
        output = NULL;
    } while (run->status == RDL_OK);
    run->ended_ns = rdl_now_ns();
    return NULL;
}

/* The stated bound is a tile, about a millisecond; the test allows what a loaded machine may take. */
static void cancel_and_deadline_are_seen_between_tiles(void **state)
{
    (void)state;
    static const int64_t generous_ns = 500000000;
    struct rdl_device device = open_cpu(4, 0);
    struct long_run run = {.model = models_load("ppocr_cls", device),
                           .input = models_input(1, 4, (const int64_t[]){64, 3, 48, 192})};
    pthread_t thread;
    assert_int_equal(rdl_cancel_new(&run.cancel, NULL), RDL_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_long, &run), 0);
    test_pause_ms(30);
    const int64_t asked = rdl_now_ns();
    rdl_cancel_request(run.cancel);
    (void)pthread_join(thread, NULL);
    assert_int_equal(run.status, RDL_ERR_CANCELLED);
    assert_true(run.ended_ns - asked < generous_ns);
    rdl_cancel_release(run.cancel);
    run.cancel = NULL;
    run.deadline_ns = rdl_deadline_in_ns(20000000);
    assert_int_equal(pthread_create(&thread, NULL, run_long, &run), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(run.status, RDL_ERR_DEADLINE);
    assert_true(run.ended_ns >= run.deadline_ns);
    assert_true(run.ended_ns - run.deadline_ns < generous_ns);
    /* Neither left a mark: the next run on the same lane is right. */
    struct rdl_value *small = models_input(2, 4, (const int64_t[]){1, 3, 48, 192});
    struct rdl_value *output = models_run(run.model, small);
    assert_non_null(output);
    rdl_value_release(output);
    rdl_value_release(small);
    rdl_value_release(run.input);
    rdl_model_close(run.model);
    close_device(device);
}

/* ---------------------------------------------------------------------------------- submitted runs */

struct submitted {
    _Atomic unsigned called;
    _Atomic int wait_in_callback;
};

static void on_end(struct rdl_request request, enum rdl_status status, void *user)
{
    struct submitted *submitted = user;
    CHECK(status == RDL_OK);
    bool done = false; /* done before its callback; the waiter may have closed it since */
    const enum rdl_status asked = rdl_request_done(request, &done);
    CHECK(asked == RDL_ERR_CLOSED || (asked == RDL_OK && done));
    /* It may not wait for other work. */
    atomic_store(&submitted->wait_in_callback,
                 (int)rdl_model_run((struct rdl_model){0}, NULL, 0, NULL, 0, NULL, NULL));
    atomic_fetch_add(&submitted->called, 1);
}

static void submitted_runs_end_with_the_right_answers(void **state)
{
    (void)state;
    enum { N = 60 };
    struct rdl_device device = open_cpu(4, 0);
    struct rdl_model model = models_load("mlp_784_512_512_10", device);
    struct rdl_value *inputs[N], *expected[N], *outputs[N];
    struct rdl_request requests[N];
    struct submitted submitted = {0};
    atomic_store(&test_failures, 0);
    for (unsigned i = 0; i < N; i++) {
        inputs[i] = models_input(i + 1, 2, (const int64_t[]){4, 784});
        expected[i] = models_run(model, inputs[i]);
    }
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(rdl_model_submit(model, &inputs[i], 1, NULL, 1, NULL, on_end, &submitted,
                                          &requests[i], NULL),
                         RDL_OK);
    for (unsigned i = 0; i < N; i++) {
        rdl_value_release(inputs[i]); /* the request holds its own reference */
        assert_int_equal(rdl_request_wait(requests[i], RDL_FOREVER, &outputs[i], 1, NULL), RDL_OK);
        assert_true(models_same(outputs[i], expected[i]));
        rdl_value_release(outputs[i]);
        rdl_value_release(expected[i]);
        rdl_request_close(requests[i]);
        assert_int_equal(rdl_request_wait(requests[i], RDL_FOREVER, NULL, 0, NULL), RDL_ERR_CLOSED);
    }
    while (atomic_load(&submitted.called) < N)
        test_pause_ms(1);
    assert_int_equal(submitted.wait_in_callback, RDL_ERR_STATE);
    assert_int_equal(test_failures, 0);
    rdl_model_close(model);
    close_device(device);
}

static void submitted_runs_can_be_cancelled_and_have_deadlines(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(2, 0); /* one lane */
    struct rdl_model model = models_load("linear_8x8", device);
    struct rdl_value *input = models_input(1, 2, (const int64_t[]){1, 8});
    struct rdl_stream held;
    struct rdl_request cancelled, late, waited;
    struct rdl_error error;
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &held, NULL), RDL_OK);
    assert_int_equal(
        rdl_model_submit(model, &input, 1, NULL, 1, NULL, NULL, NULL, &cancelled, NULL), RDL_OK);
    const struct rdl_run_options soon = {.size = sizeof soon,
                                         .deadline_ns = rdl_deadline_in_ns(10000000)};
    assert_int_equal(rdl_model_submit(model, &input, 1, NULL, 1, &soon, NULL, NULL, &late, NULL),
                     RDL_OK);
    assert_int_equal(rdl_model_submit(model, &input, 1, NULL, 1, NULL, NULL, NULL, &waited, NULL),
                     RDL_OK);
    assert_int_equal(rdl_request_wait(waited, rdl_deadline_in_ns(1000000), NULL, 0, NULL),
                     RDL_ERR_DEADLINE);
    rdl_request_cancel(cancelled);
    assert_int_equal(rdl_request_wait(cancelled, RDL_FOREVER, NULL, 0, &error), RDL_ERR_CANCELLED);
    assert_string_equal(error.message, "run: no lane: cancelled");
    assert_int_equal(rdl_request_wait(late, RDL_FOREVER, NULL, 0, NULL), RDL_ERR_DEADLINE);
    rdl_stream_close(held);
    assert_int_equal(rdl_request_wait(waited, RDL_FOREVER, NULL, 0, NULL), RDL_OK);
    rdl_request_close(cancelled);
    rdl_request_close(late);
    rdl_request_close(waited);
    rdl_value_release(input);
    rdl_model_close(model);
    close_device(device);
}

/* ------------------------------------------------------------------------------------ held streams */

struct held {
    struct rdl_model model;
    struct rdl_stream stream;
    struct rdl_value *inputs[6], *expected[6];
};

static void run_in_held_stream(unsigned index, void *shared)
{
    struct held *held = shared;
    const struct rdl_run_options options = {.size = sizeof options, .stream = held->stream};
    for (unsigned i = 0; i < 30; i++) {
        struct rdl_value *output = NULL;
        CHECK(rdl_model_run(held->model, &held->inputs[index], 1, &output, 1, &options, NULL) ==
              RDL_OK);
        CHECK(output != NULL && models_same(output, held->expected[index]));
        rdl_value_release(output);
    }
}

static void runs_share_a_held_stream_in_turns(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(2, 0);
    struct held held = {.model = models_load("mlp_784_512_512_10", device)};
    for (unsigned i = 0; i < 6; i++) {
        held.inputs[i] = models_input(i + 1, 2, (const int64_t[]){3, 784});
        held.expected[i] = models_run(held.model, held.inputs[i]);
    }
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &held.stream, NULL), RDL_OK);
    assert_int_equal(test_run_threads(6, run_in_held_stream, &held), 0);
    rdl_stream_close(held.stream);
    for (unsigned i = 0; i < 6; i++) {
        rdl_value_release(held.inputs[i]);
        rdl_value_release(held.expected[i]);
    }
    rdl_model_close(held.model);
    close_device(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_model_is_stale_everywhere),
        cmocka_unit_test(load_run_and_close_race_in_every_order),
        cmocka_unit_test(load_run_close_cycles_leave_memory_flat),
        cmocka_unit_test(a_stream_of_new_shapes_leaves_memory_flat),
        cmocka_unit_test(eight_threads_compile_a_new_shape_once),
        cmocka_unit_test(plans_are_evicted_under_their_users),
        cmocka_unit_test(cancel_and_deadline_are_seen_between_tiles),
        cmocka_unit_test(submitted_runs_end_with_the_right_answers),
        cmocka_unit_test(submitted_runs_can_be_cancelled_and_have_deadlines),
        cmocka_unit_test(runs_share_a_held_stream_in_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
