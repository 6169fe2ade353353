/*
 * The n-th failure of every allocation, device call and thread start, for n = 1 until none is hit.
 *
 * A scenario does a bit of everything. With a fault injected each call succeeds or says so by a status
 * that fits the fault; every answer that comes is right; afterwards nothing is leaked (as many blocks of
 * host memory are alive as after a run without faults), and the same scenario passes. A scenario that
 * hangs ends the program by its alarm.
 */
#include "support/models.h"
#include "support/threads.h"

#include "device/sim/sim.h"
#include "os/thread.h"
#include "runtime/device.h"

#include <unistd.h>

/* ------------------------------------------------------------------------------ the test allocator */

static _Atomic int64_t live_blocks;
static _Atomic int64_t fail_countdown; /* <= 0: none */
static _Atomic bool fail_sticky, fail_hit;

static bool is_to_fail(void)
{
    int64_t left = atomic_load(&fail_countdown);
    while (left > 0) {
        const int64_t next = left == 1 && atomic_load(&fail_sticky) ? 1 : left - 1;
        if (atomic_compare_exchange_weak(&fail_countdown, &left, next)) {
            if (left == 1)
                atomic_store(&fail_hit, true);
            return left == 1;
        }
    }
    return false;
}

static void *counted_allocate(size_t size, size_t align, void *user)
{
    (void)user;
    if (is_to_fail())
        return NULL;
    atomic_fetch_add(&live_blocks, 1);
    if (align < sizeof(void *))
        align = sizeof(void *);
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void counted_free(void *memory, void *user)
{
    (void)user;
    atomic_fetch_sub(&live_blocks, 1);
    free(memory);
}

/* ------------------------------------------------------------------------------------- the scenario */

static struct rdl_value *input, *other_input, *expected, *other_expected;
static const char *model_name = "linear_8x8", *model_path;
static int64_t stride = 1;
static bool bad_answer;

/* Whether a status fits a scenario with faults. */
static bool fits(enum rdl_status status)
{
    switch (status) {
    case RDL_OK:
    case RDL_ERR_NO_MEMORY:
    case RDL_ERR_DEVICE:
    case RDL_ERR_DEVICE_LOST:
    case RDL_ERR_THREAD:
        return true;
    default:
        (void)fprintf(stderr, "status %s\n", rdl_status_name(status));
        return false;
    }
}

#define STEP(call)                                                                                 \
    do {                                                                                           \
        const enum rdl_status step_status_ = (call);                                               \
        if (!fits(step_status_)) {                                                                 \
            (void)fprintf(stderr, "line %d: %s: %s\n", __LINE__, #call, error.message);            \
            bad_answer = true;                                                                     \
        }                                                                                          \
        if (step_status_ != RDL_OK)                                                                \
            all_good = false;                                                                      \
        status = step_status_;                                                                     \
    } while (0)

static void check_answer(struct rdl_value *output, const struct rdl_value *right)
{
    if (!models_same(output, right)) {
        (void)fprintf(stderr, "a wrong answer\n");
        bad_answer = true;
    }
}

static bool use_model(struct rdl_device device, struct rdl_model model)
{
    bool all_good = true;
    enum rdl_status status;
    struct rdl_error error = {.message = ""};
    struct rdl_value *output = NULL;
    struct rdl_request request;
    struct rdl_stream stream;
    for (int i = 0; i < 2; i++) {
        STEP(rdl_model_run(model, &input, 1, &output, 1, NULL, &error));
        if (status == RDL_OK)
            check_answer(output, expected);
        rdl_value_release(output);
        output = NULL;
        STEP(rdl_model_run(model, &other_input, 1, &output, 1, NULL, &error));
        if (status == RDL_OK)
            check_answer(output, other_expected);
        rdl_value_release(output);
        output = NULL;
    }
    STEP(rdl_model_submit(model, &input, 1, NULL, 1, NULL, NULL, NULL, &request, &error));
    if (status == RDL_OK) {
        STEP(rdl_request_wait(request, RDL_FOREVER, &output, 1, &error));
        if (status == RDL_OK)
            check_answer(output, expected);
        rdl_value_release(output);
        output = NULL;
        rdl_request_close(request);
    }
    struct rdl_plan_info *plan;
    STEP(rdl_model_profile(model, &input, 1, 2, &plan, &error));
    rdl_plan_info_release(plan);
    STEP(rdl_stream_open(device, RDL_FOREVER, NULL, &stream, &error));
    if (status == RDL_OK) {
        const struct rdl_run_options held = {.size = sizeof held, .stream = stream};
        STEP(rdl_model_run(model, &input, 1, &output, 1, &held, &error));
        if (status == RDL_OK)
            check_answer(output, expected);
        rdl_value_release(output);
        rdl_stream_close(stream);
    }
    return all_good;
}

static bool use_streams(struct rdl_device device)
{
    bool all_good = true;
    enum rdl_status status;
    struct rdl_error error = {.message = ""};
    struct rdl_stream s = {0}, t = {0};
    struct rdl_event e = {0};
    struct rdl_buffer *a = NULL, *b = NULL;
    unsigned char data[256], back[256] = {0};
    memset(data, 42, sizeof data);
    STEP(rdl_stream_open(device, RDL_FOREVER, NULL, &s, &error));
    if (status == RDL_OK)
        STEP(rdl_stream_open(device, RDL_FOREVER, NULL, &t, &error));
    if (status == RDL_OK)
        STEP(rdl_event_open(device, &e, &error));
    const struct rdl_buffer_options in_s = {.size = sizeof in_s, .stream = s};
    if (status == RDL_OK)
        STEP(rdl_buffer_new(device, sizeof data, &in_s, &a, &error));
    if (status == RDL_OK)
        STEP(rdl_buffer_new(device, sizeof data, &in_s, &b, &error));
    if (status == RDL_OK)
        STEP(rdl_buffer_write(a, 0, data, sizeof data, s, RDL_FOREVER, &error));
    if (status == RDL_OK)
        STEP(rdl_event_record(e, s, &error));
    if (status == RDL_OK)
        STEP(rdl_stream_wait_event(t, e, &error));
    if (status == RDL_OK)
        STEP(rdl_buffer_record_stream(a, t, &error));
    if (status == RDL_OK)
        STEP(rdl_buffer_copy(b, 0, a, 0, sizeof data, s, &error));
    if (status == RDL_OK)
        STEP(rdl_buffer_read(b, 0, back, sizeof back, s, RDL_FOREVER, &error));
    if (status == RDL_OK && memcmp(data, back, sizeof data) != 0)
        bad_answer = true;
    rdl_buffer_release(a);
    rdl_buffer_release(b);
    rdl_event_close(e);
    rdl_stream_close(s);
    rdl_stream_close(t);
    return all_good;
}

/* Everything, on a fresh device; whether no call failed. */
static bool scenario(const char *name, const struct rdl_sim_options *sim)
{
    (void)alarm(120); /* of this scenario: a hang is a failure too */
    bool all_good = true;
    enum rdl_status status;
    struct rdl_error error = {.message = ""};
    struct rdl_device device;
    struct rdl_model model;
    const struct rdl_device_options options = {.size = sizeof options, .lanes = 5, .sim = sim};
    STEP(rdl_device_open(name, &options, &device, &error));
    if (status != RDL_OK)
        return false;
    const struct rdl_load_options load = {.size = sizeof load, .device = device};
    STEP(rdl_model_load(model_path, &load, &model, &error));
    if (status == RDL_OK) {
        all_good = use_model(device, model) && all_good;
        rdl_model_close(model);
    }
    all_good = use_streams(device) && all_good;
    enum rdl_status ignored;
    struct rdl__device *inside = rdl__device_pin(device, &ignored, NULL);
    if (sim != NULL && inside != NULL && rdl__sim_violations(inside->impl) != 0) {
        (void)fprintf(stderr, "the device found unordered work\n");
        bad_answer = true;
    }
    if (inside != NULL)
        rdl__device_unpin(inside);
    if (rdl_device_close(device, RDL_FOREVER, &error) != RDL_OK) {
        (void)fprintf(stderr, "close: %s\n", error.message);
        bad_answer = true;
    }
    return all_good;
}

/* Blocks of host memory alive, but for device objects: those are kept for the next device, and one more
 * is made when a worker still holds the last device for a moment. */
static int64_t counted_blocks(void)
{
    int64_t devices = 0;
    rdl__lock_acquire(&rdl__lifecycle_lock);
    for (const struct rdl__device *d = rdl__devices_made_locked(); d != NULL; d = d->next_made)
        devices++;
    rdl__lock_release(&rdl__lifecycle_lock);
    return atomic_load(&live_blocks) - 2 * devices; /* the object and its lanes */
}

static int64_t settled_blocks(const char *name, const struct rdl_sim_options *sim)
{
    bad_answer = false;
    assert_true(scenario(name, sim));
    assert_false(bad_answer);
    return counted_blocks();
}

static void expect_no_leak(int64_t before, uint64_t n, const char *what)
{
    /* A worker frees its request a moment after it told the waiter. */
    for (int i = 0; i < 1000 && counted_blocks() > before; i++)
        test_pause_ms(1);
    const int64_t after = counted_blocks();
    if (after > before)
        fail_msg("%s %" PRIu64 ": %" PRId64 " blocks leaked", what, n, after - before);
    if (bad_answer)
        fail_msg("%s %" PRIu64 ": a wrong status or answer", what, n);
}

/* ---------------------------------------------------------------------------------------- the tests */

static void every_host_allocation_fails(const char *name, const struct rdl_sim_options *sim,
                                        bool sticky)
{
    const int64_t before = settled_blocks(name, sim);
    for (int64_t n = 1;; n += stride) {
        atomic_store(&fail_hit, false);
        atomic_store(&fail_sticky, sticky);
        atomic_store(&fail_countdown, n);
        (void)scenario(name, sim);
        atomic_store(&fail_countdown, 0);
        const bool hit = atomic_load(&fail_hit);
        /* Tables and workers that live as long as the process may have been made meanwhile. */
        if (!hit)
            break;
        expect_no_leak(before, (uint64_t)n, "allocation");
    }
    assert_true(scenario(name, sim));
    expect_no_leak(before, 0, "at the end");
}

static void allocations_fail_one_by_one_on_cpu(void **state)
{
    (void)state;
    every_host_allocation_fails("cpu", NULL, false);
}

static void allocations_fail_from_the_nth_on_cpu(void **state)
{
    (void)state;
    every_host_allocation_fails("cpu", NULL, true);
}

static void allocations_fail_one_by_one_on_sim(void **state)
{
    (void)state;
    const struct rdl_sim_options sim = {.seed = 5};
    every_host_allocation_fails("sim", &sim, false);
}

static void allocations_fail_from_the_nth_on_sim(void **state)
{
    (void)state;
    const struct rdl_sim_options sim = {.seed = 6};
    every_host_allocation_fails("sim", &sim, true);
}

/* Each device fault, at n = 1, 2, .. until a scenario gets by without meeting it. */
static void device_fault(size_t field, const char *what, bool sticky)
{
    const struct rdl_sim_options none = {.seed = 7};
    const int64_t before = settled_blocks("sim", &none);
    for (uint64_t n = 1;; n += (uint64_t)stride) {
        struct rdl_sim_options sim = {.seed = n, .sticky = sticky, .max_delay_us = n % 3 * 10};
        *(uint64_t *)(void *)((char *)&sim + field) = n;
        const bool all_good = scenario("sim", &sim);
        expect_no_leak(before, n, what);
        if (all_good && n > 3)
            break;
        assert_true(n < 2000);
    }
}

static void device_calls_fail_one_by_one(void **state)
{
    (void)state;
    device_fault(offsetof(struct rdl_sim_options, fail_alloc), "device allocation", false);
    device_fault(offsetof(struct rdl_sim_options, fail_submit), "submit", false);
    device_fault(offsetof(struct rdl_sim_options, fail_wait), "wait", false);
    device_fault(offsetof(struct rdl_sim_options, fail_stream), "stream", false);
    device_fault(offsetof(struct rdl_sim_options, fail_thread), "device thread", false);
}

static void device_calls_fail_from_the_nth(void **state)
{
    (void)state;
    device_fault(offsetof(struct rdl_sim_options, fail_submit), "submits", true);
    device_fault(offsetof(struct rdl_sim_options, fail_stream), "streams", true);
}

static void the_device_is_lost_at_every_piece_of_work(void **state)
{
    (void)state;
    device_fault(offsetof(struct rdl_sim_options, lose_at), "loss", false);
}

static void worker_threads_fail_to_start(void **state)
{
    (void)state;
    const int64_t before = settled_blocks("cpu", NULL);
    for (uint64_t n = 1; n <= 4; n++) {
        rdl__thread_fail_at(n, n % 2 == 0);
        (void)scenario("cpu", NULL);
        rdl__thread_fail_at(0, false);
        expect_no_leak(before, n, "thread start");
    }
    assert_true(scenario("cpu", NULL));
}

static int prepare(void **state)
{
    (void)state;
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s", models_path(model_name));
    model_path = path;
    input = models_input(1, 2, (const int64_t[]){1, 8});
    other_input = models_input(2, 2, (const int64_t[]){9, 8});
    struct rdl_model model = models_load(model_name, (struct rdl_device){0});
    expected = models_run(model, input);
    other_expected = models_run(model, other_input);
    rdl_model_close(model);
    return expected == NULL || other_expected == NULL;
}

/* fault_test [MODEL [STRIDE]]: a model of x [n, 8]; of all n only each STRIDE-th. */
int main(int argc, char **argv)
{
    if (argc > 1)
        model_name = argv[1];
    if (argc > 2)
        stride = strtol(argv[2], NULL, 10);
    if (stride < 1)
        return 2;
    static const struct rdl_allocator allocator = {counted_allocate, counted_free, NULL};
    const struct rdl_config config = {.size = sizeof config, .allocator = &allocator};
    if (rdl_configure(&config, NULL) != RDL_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_fail_one_by_one_on_cpu),
        cmocka_unit_test(allocations_fail_from_the_nth_on_cpu),
        cmocka_unit_test(allocations_fail_one_by_one_on_sim),
        cmocka_unit_test(allocations_fail_from_the_nth_on_sim),
        cmocka_unit_test(device_calls_fail_one_by_one),
        cmocka_unit_test(device_calls_fail_from_the_nth),
        cmocka_unit_test(the_device_is_lost_at_every_piece_of_work),
        cmocka_unit_test(worker_threads_fail_to_start),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
