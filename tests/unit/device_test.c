/*
 * Devices: opening with good and bad options, what they say of themselves, closing in every order.
 */
#include "support/devices.h"
#include "support/models.h"
#include "support/resident.h"
#include "support/threads.h"

static struct rdl_device open_lanes(const char *name, uint32_t lanes)
{
    return open_device(name, (struct rdl_device_options){.lanes = lanes});
}

#define REFUSED(name, change, expected, text)                                                      \
    do {                                                                                           \
        struct rdl_device_options options = {.size = sizeof options};                              \
        device.id = 77;                                                                            \
        change;                                                                                    \
        assert_int_equal(rdl_device_open((name), &options, &device, &error), (expected));          \
        assert_string_equal(error.message, (text));                                                \
        assert_int_equal(device.id, 0);                                                            \
    } while (0)

static void device_open_refuses(void **state)
{
    (void)state;
    static const struct rdl_sim_options sim = {.seed = 1};
    struct rdl_device device;
    struct rdl_error error;
    REFUSED("gpu", (void)0, RDL_ERR_NOT_FOUND,
            "rdl_device_open: no device \"gpu\"; there are \"cpu\" and \"sim\"");
    REFUSED("cpu", options.size = 3, RDL_ERR_ARGUMENT,
            "rdl_device_open: options have an unknown size");
    REFUSED("cpu", options.lanes = 1, RDL_ERR_ARGUMENT,
            "rdl_device_open: 1 lanes, expected 2..1024");
    REFUSED("cpu", options.lanes = 1025, RDL_ERR_ARGUMENT,
            "rdl_device_open: 1025 lanes, expected 2..1024");
    REFUSED("sim", options.plan_cache = 65537, RDL_ERR_ARGUMENT,
            "rdl_device_open: 65537 plans, expected 1..65536");
    REFUSED("cpu", options.intra_op_threads = 2, RDL_ERR_UNSUPPORTED,
            "rdl_device_open: intra_op_threads 2: only 1 is supported");
    REFUSED("cpu", options.sim = &sim, RDL_ERR_ARGUMENT,
            "rdl_device_open: sim options for device \"cpu\"");
    assert_int_equal(rdl_device_open(NULL, NULL, &device, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_device_open: name is NULL");
    assert_int_equal(rdl_device_open("cpu", NULL, NULL, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_device_open: out is NULL");
    assert_int_equal(rdl_device_close((struct rdl_device){0}, RDL_FOREVER, &error), RDL_ERR_CLOSED);
    assert_string_equal(error.message, "rdl_device_close: device is closed");
}

static void device_info_tells_what_is_in_effect(void **state)
{
    (void)state;
    const struct rdl_device_options options = {
        .size = sizeof options, .lanes = 5, .memory_limit_bytes = 1 << 20, .plan_cache = 3};
    struct rdl_device_info info = {.size = sizeof info};
    struct rdl_device cpu, sim = open_lanes("sim", 0);
    struct rdl_stream stream;
    char isa[32];
    assert_int_equal(rdl_device_open("cpu", &options, &cpu, NULL), RDL_OK);
    assert_int_equal(rdl_stream_open(cpu, RDL_NO_WAIT, NULL, &stream, NULL), RDL_OK);
    assert_int_equal(rdl_device_get_info(cpu, &info), RDL_OK);
    assert_string_equal(info.name, "cpu");
    assert_int_equal(rdl_knob("isa", isa, sizeof isa), RDL_OK);
    assert_string_equal(info.isa, isa);
    assert_int_equal(info.lanes, 5);
    assert_int_equal(info.lanes_leased, 1);
    assert_int_equal(info.lane_waiters, 0);
    assert_int_equal(info.memory_waiters, 0);
    assert_int_equal(info.intra_op_threads, 1);
    assert_int_equal(info.plan_cache, 3);
    assert_int_equal(info.memory_limit_bytes, 1 << 20);
    assert_true(info.host_memory);
    assert_false(info.asynchronous);
    assert_false(info.lost);
    assert_int_equal(rdl_device_get_info(sim, &info), RDL_OK);
    assert_string_equal(info.name, "sim");
    assert_int_equal(info.lanes, 32);
    assert_int_equal(info.plan_cache, 64);
    assert_int_equal(info.memory_limit_bytes, 0);
    assert_false(info.host_memory);
    assert_true(info.asynchronous);
    info.size--;
    assert_int_equal(rdl_device_get_info(sim, &info), RDL_ERR_ARGUMENT);
    assert_int_equal(rdl_device_get_info(sim, NULL), RDL_ERR_ARGUMENT);
    close_device(sim);
    info.size = sizeof info;
    assert_int_equal(rdl_device_get_info(sim, &info), RDL_ERR_CLOSED);
    rdl_stream_close(stream);
    close_device(cpu);
}

static void device_shared_is_one_and_comes_back(void **state)
{
    (void)state;
    struct rdl_device a, b, own = open_lanes("cpu", 4);
    assert_int_equal(rdl_device_open("cpu", NULL, &a, NULL), RDL_OK);
    assert_int_equal(rdl_device_open("cpu", NULL, &b, NULL), RDL_OK);
    assert_true(a.id == b.id);
    assert_true(a.id != own.id);
    close_device(a);
    assert_int_equal(rdl_device_open("cpu", NULL, &b, NULL), RDL_OK);
    assert_true(a.id != b.id);
    assert_int_equal(rdl_device_close(a, RDL_FOREVER, NULL), RDL_ERR_CLOSED);
    struct rdl_model model = models_load("linear_8x8", (struct rdl_device){0}); /* the shared one */
    rdl_model_close(model);
    close_device(b);
    close_device(own);
}

static _Atomic uint64_t first_seen;

static void open_shared(unsigned index, void *name)
{
    struct rdl_device device;
    (void)index;
    CHECK(rdl_device_open(name, NULL, &device, NULL) == RDL_OK);
    uint64_t none = 0;
    if (!atomic_compare_exchange_strong(&first_seen, &none, device.id))
        CHECK(none == device.id);
}

static void device_shared_is_one_for_racing_callers(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        char name[] = "cpu";
        if (round % 2 == 1)
            memcpy(name, "sim", 3);
        first_seen = 0;
        assert_int_equal(test_run_threads(8, open_shared, name), 0);
        close_device((struct rdl_device){first_seen});
    }
}

/* ----------------------------------------------------------------------------------- closing order */

static void close_with_everything_open(const char *name)
{
    struct rdl_device device = open_lanes(name, 4);
    struct rdl_model model = models_load("linear_8x8", device);
    struct rdl_value *input = models_input(1, 2, (const int64_t[]){2, 8}), *output, *more = NULL;
    struct rdl_stream stream, usual;
    struct rdl_event event;
    struct rdl_buffer *buffer;
    struct rdl_request request;
    struct rdl_model_info *info;
    struct rdl_model_stats stats = {.size = sizeof stats};
    int64_t values[RDL_MEMORY_STAT_COUNT];
    uint32_t lane;
    bool flag;
    output = models_run(model, input);
    assert_non_null(output);
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &stream, NULL), RDL_OK);
    assert_int_equal(rdl_stream_default(device, &usual, NULL), RDL_OK);
    assert_int_equal(rdl_event_open(device, &event, NULL), RDL_OK);
    assert_int_equal(rdl_event_record(event, stream, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(device, 100, NULL, &buffer, NULL), RDL_OK);
    assert_int_equal(rdl_model_submit(model, &input, 1, NULL, 1, NULL, NULL, NULL, &request, NULL),
                     RDL_OK);
    close_device(device);
    /* Each handle says so; nothing else happens. */
    assert_int_equal(rdl_model_run(model, &input, 1, &more, 1, NULL, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_model_get_info(model, &info, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_model_get_stats(model, &stats), RDL_ERR_CLOSED);
    assert_int_equal(rdl_stream_lane(stream, &lane), RDL_ERR_CLOSED);
    assert_int_equal(rdl_stream_query(usual, &flag), RDL_ERR_CLOSED);
    assert_int_equal(rdl_event_query(event, &flag), RDL_ERR_CLOSED);
    assert_int_equal(rdl_request_done(request, &flag), RDL_ERR_CLOSED);
    assert_int_equal(rdl_request_wait(request, RDL_FOREVER, NULL, 0, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_memory_stats(device, values), RDL_ERR_CLOSED);
    assert_int_equal(rdl_memory_trim(device, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_memory_set_limit(device, 1), RDL_ERR_CLOSED);
    assert_int_equal(rdl_device_synchronize(device, RDL_FOREVER, NULL, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &stream, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_buffer_record_stream(buffer, usual, NULL), RDL_ERR_CLOSED);
    rdl_model_close(model);
    rdl_stream_close(stream);
    rdl_event_close(event);
    rdl_request_close(request);
    rdl_request_cancel(request);
    /* What is held stays readable, and goes with its last reference. */
    assert_int_equal(rdl_buffer_size(buffer), 100);
    if (rdl_buffer_is_host(buffer))
        memset(rdl_buffer_data(buffer), 1, 100);
    assert_int_equal(models_bytes(output), 2 * 8 * sizeof(float));
    assert_true(models_data(output)[15] == models_data(output)[15]);
    rdl_buffer_release(buffer);
    rdl_value_release(output);
    rdl_value_release(input);
}

static void device_closed_first_makes_all_handles_stale(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        close_with_everything_open("cpu");
        close_with_everything_open("sim");
    }
}

static void device_closed_last_after_all_was_given_back(void **state)
{
    (void)state;
    static const char *const names[] = {"cpu", "sim"};
    for (int i = 0; i < 2; i++) {
        struct rdl_device device = open_lanes(names[i], 3);
        struct rdl_model model = models_load("linear_8x8", device);
        struct rdl_value *input = models_input(1, 2, (const int64_t[]){2, 8});
        struct rdl_value *output = models_run(model, input);
        int64_t values[RDL_MEMORY_STAT_COUNT];
        rdl_value_release(output);
        rdl_value_release(input);
        rdl_model_close(model);
        assert_int_equal(rdl_memory_trim(device, NULL), RDL_OK);
        assert_int_equal(rdl_memory_stats(device, values), RDL_OK);
        assert_int_equal(values[RDL_MEMORY_STAT_ALLOCATED_BYTES_CURRENT], 0);
        assert_int_equal(values[RDL_MEMORY_STAT_RESERVED_BYTES_CURRENT], 0);
        close_device(device);
    }
}

static void device_reopened_hundreds_of_times_stays_flat(void **state)
{
    (void)state;
    size_t before = 0;
    struct rdl_value *input = models_input(1, 2, (const int64_t[]){2, 8});
    for (unsigned i = 0; i < 400; i++) {
        struct rdl_device device = open_lanes(i % 2 == 0 ? "cpu" : "sim", 2 + i % 7);
        struct rdl_model model = models_load("linear_8x8", device);
        struct rdl_value *output = models_run(model, input);
        assert_non_null(output);
        close_device(device);
        rdl_value_release(output); /* the device's memory goes after the device */
        if (i == 100)
            before = resident_bytes();
    }
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    assert_true(resident_bytes() < before + (512 << 10)); /* 300 rounds of 2 KiB would show */
#else
    (void)before; /* sanitizers keep freed memory */
#endif
    rdl_value_release(input);
}

/* ------------------------------------------------------------------------------ closing in flight */

struct in_flight {
    struct rdl_model model;
    _Atomic bool running;
    _Atomic unsigned wrong;
};

static void *run_until_closed(void *object)
{
    struct in_flight *flight = object;
    struct rdl_value *input = models_input(1, 4, (const int64_t[]){32, 3, 48, 192});
    enum rdl_status status = RDL_OK;
    while (status == RDL_OK) {
        struct rdl_value *output = NULL;
        atomic_store(&flight->running, true);
        status = rdl_model_run(flight->model, &input, 1, &output, 1, NULL, NULL);
        rdl_value_release(output);
    }
    atomic_fetch_add(&flight->wrong, status != RDL_ERR_CLOSED);
    rdl_value_release(input);
    return NULL;
}

static void close_with_runs_in_flight(const char *name, int64_t patience_ns)
{
    static const int64_t generous_ns = 2000000000;
    struct rdl_device device = open_lanes(name, 4);
    struct in_flight flight = {.model = models_load("ppocr_cls", device)};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_until_closed, &flight), 0);
    while (!atomic_load(&flight.running))
        test_pause_ms(1);
    test_pause_ms(5);
    const int64_t began = rdl_now_ns();
    struct rdl_error error;
    const enum rdl_status status =
        rdl_device_close(device, rdl_deadline_in_ns(patience_ns), &error);
    assert_true(rdl_now_ns() - began < patience_ns + generous_ns);
    if (status == RDL_ERR_DEADLINE)
        assert_string_equal(error.message, "rdl_device_close: work is still in flight");
    else
        assert_int_equal(status, RDL_OK);
    /* Whatever the first said: the device is closed for new work, and a second call ends it. */
    struct rdl_stream stream;
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &stream, NULL), RDL_ERR_CLOSED);
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL),
                     status == RDL_OK ? RDL_ERR_CLOSED : RDL_OK);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(flight.wrong, 0);
}

static void device_close_stops_runs_in_flight_within_its_bound(void **state)
{
    (void)state;
    static const int64_t patience_ns[] = {0, 1000, 1000000, 50000000, 5000000000};
    for (size_t i = 0; i < sizeof patience_ns / sizeof *patience_ns; i++) {
        close_with_runs_in_flight("cpu", patience_ns[i]);
        close_with_runs_in_flight("sim", patience_ns[i]);
    }
}

struct refused {
    struct rdl_device device;
    struct rdl_error error;
    _Atomic int closed;
};

static void close_in_callback(struct rdl_request request, enum rdl_status status, void *user)
{
    struct refused *refused = user;
    (void)request;
    (void)status;
    atomic_store(&refused->closed,
                 (int)rdl_device_close(refused->device, RDL_FOREVER, &refused->error));
}

static void device_close_from_a_callback_is_refused(void **state)
{
    (void)state;
    struct refused refused = {.device = open_lanes("cpu", 4), .closed = -1};
    struct rdl_model model = models_load("linear_8x8", refused.device);
    struct rdl_value *input = models_input(1, 2, (const int64_t[]){2, 8});
    assert_int_equal(
        rdl_model_submit(model, &input, 1, NULL, 1, NULL, close_in_callback, &refused, NULL, NULL),
        RDL_OK);
    while (atomic_load(&refused.closed) < 0)
        test_pause_ms(1);
    assert_int_equal(refused.closed, RDL_ERR_STATE);
    assert_string_equal(refused.error.message, "rdl_device_close: called from a callback");
    struct rdl_value *output = models_run(model, input); /* it is open still */
    assert_non_null(output);
    rdl_value_release(output);
    rdl_value_release(input);
    close_device(refused.device);
}

/* Several threads close one device: one does it, the others wait with it or come late. */
static void close_too(unsigned index, void *shared)
{
    (void)index;
    const enum rdl_status status =
        rdl_device_close(*(struct rdl_device *)shared, RDL_FOREVER, NULL);
    CHECK(status == RDL_OK || status == RDL_ERR_CLOSED);
}

static void device_closed_by_many_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct rdl_device device = open_lanes(i % 2 == 0 ? "cpu" : "sim", 4);
        assert_int_equal(test_run_threads(4, close_too, &device), 0);
        assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_ERR_CLOSED);
    }
}

int main(void)
{
    (void)models_path("ppocr_cls");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_open_refuses),
        cmocka_unit_test(device_info_tells_what_is_in_effect),
        cmocka_unit_test(device_shared_is_one_and_comes_back),
        cmocka_unit_test(device_shared_is_one_for_racing_callers),
        cmocka_unit_test(device_closed_first_makes_all_handles_stale),
        cmocka_unit_test(device_closed_last_after_all_was_given_back),
        cmocka_unit_test(device_reopened_hundreds_of_times_stays_flat),
        cmocka_unit_test(device_close_stops_runs_in_flight_within_its_bound),
        cmocka_unit_test(device_close_from_a_callback_is_refused),
        cmocka_unit_test(device_closed_by_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
