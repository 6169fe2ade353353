/*
 * Streams, events and buffers on the simulated device, and what its checks find.
 */
#include "support/cmocka.h"
#include "support/devices.h"
#include "support/threads.h"

#include "device/sim/sim.h"
#include "raddle/raddle.h"
#include "runtime/stream.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 4096

static struct rdl_device open_sim(struct rdl_sim_options sim)
{
    return open_device("sim", (struct rdl_device_options){.lanes = 8, .sim = &sim});
}

static uint64_t violations(struct rdl_device handle)
{
    return rdl__sim_violations(inside(handle)->impl);
}

static struct rdl_stream stream(struct rdl_device device)
{
    struct rdl_stream out;
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &out, NULL), RDL_OK);
    return out;
}

static struct rdl_event event(struct rdl_device device)
{
    struct rdl_event out;
    assert_int_equal(rdl_event_open(device, &out, NULL), RDL_OK);
    return out;
}

static struct rdl_buffer *buffer(struct rdl_device device, struct rdl_stream owner)
{
    const struct rdl_buffer_options options = {.size = sizeof options, .stream = owner};
    struct rdl_buffer *out;
    assert_int_equal(rdl_buffer_new(device, SIZE, &options, &out, NULL), RDL_OK);
    return out;
}

static void fill(struct rdl_buffer *into, uint8_t value, struct rdl_stream on)
{
    assert_int_equal(rdl_buffer_fill(into, 0, value, SIZE, on, NULL), RDL_OK);
}

static void expect(const struct rdl_buffer *from, uint8_t value, struct rdl_stream on)
{
    unsigned char data[SIZE];
    assert_int_equal(rdl_buffer_read(from, 0, data, SIZE, on, RDL_FOREVER, NULL), RDL_OK);
    for (int i = 0; i < SIZE; i++)
        assert_int_equal(data[i], value);
}

static void stream_work_runs_in_order(void **state)
{
    (void)state;
    struct rdl_device device = open_sim((struct rdl_sim_options){.seed = 1, .max_delay_us = 200});
    struct rdl_stream s = stream(device);
    struct rdl_buffer *a = buffer(device, s), *b = buffer(device, s);
    for (int i = 0; i < 20; i++) {
        fill(a, (uint8_t)i, s);
        assert_int_equal(rdl_buffer_copy(b, 0, a, 0, SIZE, s, NULL), RDL_OK);
        fill(a, 200, s);
    }
    expect(b, 19, s);
    assert_int_equal(violations(device), 0);
    rdl_buffer_release(a);
    rdl_buffer_release(b);
    rdl_stream_close(s);
    close_device(device);
}

static void stream_waits_for_an_event_of_another(void **state)
{
    (void)state;
    struct rdl_device device =
        open_sim((struct rdl_sim_options){.seed = 2, .max_delay_us = 500, .workers = 4});
    struct rdl_stream s = stream(device), t = stream(device);
    struct rdl_buffer *a = buffer(device, s), *b = buffer(device, t);
    struct rdl_event written = event(device), read = event(device);
    for (int i = 0; i < 30; i++) {
        fill(a, (uint8_t)i, s);
        assert_int_equal(rdl_event_record(written, s, NULL), RDL_OK);
        assert_int_equal(rdl_stream_wait_event(t, written, NULL), RDL_OK);
        assert_int_equal(rdl_buffer_copy(b, 0, a, 0, SIZE, t, NULL), RDL_OK);
        assert_int_equal(rdl_event_record(read, t, NULL), RDL_OK);
        assert_int_equal(rdl_stream_wait_event(s, read, NULL), RDL_OK);
    }
    expect(b, 29, t);
    assert_int_equal(violations(device), 0);
    rdl_event_close(written);
    rdl_event_close(read);
    rdl_buffer_release(a);
    rdl_buffer_release(b);
    rdl_stream_close(s);
    rdl_stream_close(t);
    close_device(device);
}

static void sim_finds_a_missing_wait(void **state)
{
    (void)state;
    struct rdl_device device = open_sim((struct rdl_sim_options){.seed = 3});
    struct rdl_stream s = stream(device), t = stream(device);
    struct rdl_buffer *a = buffer(device, s), *b = buffer(device, t);
    fill(a, 1, s);
    assert_int_equal(rdl_buffer_copy(b, 0, a, 0, SIZE, t, NULL), RDL_OK); /* no wait for s */
    assert_int_equal(violations(device), 1);
    /* Once the host has seen the write pass, a read by the other stream is in order. */
    assert_int_equal(rdl_stream_synchronize(s, RDL_FOREVER, NULL, NULL), RDL_OK);
    assert_int_equal(rdl_stream_synchronize(t, RDL_FOREVER, NULL, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_copy(b, 0, a, 0, SIZE, t, NULL), RDL_OK);
    assert_int_equal(violations(device), 1);
    expect(b, 1, t);
    rdl_buffer_release(a);
    rdl_buffer_release(b);
    rdl_stream_close(s);
    rdl_stream_close(t);
    close_device(device);
}

/* Work that touches memory which was given back is refused, and counted. */
static void sim_finds_a_use_after_free(void **state)
{
    (void)state;
    struct rdl_device handle = open_sim((struct rdl_sim_options){.seed = 9});
    struct rdl_stream s = stream(handle);
    struct rdl_buffer *a = buffer(handle, s), *b = buffer(handle, s);
    void *gone = rdl_buffer_data(a);
    enum rdl_status status;
    struct rdl__stream *pinned = rdl__stream_pin(NULL, s, &status, NULL);
    assert_non_null(pinned);
    rdl_buffer_release(a);
    assert_int_equal(violations(handle), 0);
    assert_int_equal(
        pinned->device->backend->copy(pinned->lane->stream, rdl_buffer_data(b), gone, SIZE),
        RDL_OK); /* submitted; what it finds is counted */
    assert_int_equal(violations(handle), 1);
    rdl__stream_unpin(pinned);
    rdl_buffer_release(b);
    rdl_stream_close(s);
    close_device(handle);
}

static void event_never_recorded_is_complete(void **state)
{
    (void)state;
    struct rdl_device device = open_sim((struct rdl_sim_options){.seed = 4});
    struct rdl_stream s = stream(device);
    struct rdl_event e = event(device), f = event(device);
    bool done = false;
    int64_t elapsed;
    assert_int_equal(rdl_event_query(e, &done), RDL_OK);
    assert_true(done);
    assert_int_equal(rdl_event_synchronize(e, RDL_NO_WAIT, NULL, NULL), RDL_OK);
    assert_int_equal(rdl_stream_wait_event(s, e, NULL), RDL_OK);
    assert_int_equal(rdl_event_elapsed(e, f, &elapsed, NULL), RDL_ERR_STATE);
    rdl_event_close(e);
    assert_int_equal(rdl_event_query(e, &done), RDL_ERR_CLOSED);
    assert_int_equal(rdl_event_record(e, s, NULL), RDL_ERR_CLOSED);
    rdl_event_close(f);
    rdl_stream_close(s);
    close_device(device);
}

/* An event that was recorded, completed and recorded anew is not complete before its new point. */
static void event_recorded_again_is_incomplete_again(void **state)
{
    (void)state;
    struct rdl_device device =
        open_sim((struct rdl_sim_options){.seed = 5, .workers = 1, .max_delay_us = 20000});
    struct rdl_stream s = stream(device);
    struct rdl_buffer *a = buffer(device, s);
    struct rdl_event e = event(device), begin = event(device);
    int64_t elapsed;
    assert_int_equal(rdl_event_record(begin, s, NULL), RDL_OK);
    assert_int_equal(rdl_event_record(e, s, NULL), RDL_OK);
    assert_int_equal(rdl_event_synchronize(e, RDL_FOREVER, NULL, NULL), RDL_OK);
    for (int i = 0; i < 20; i++)
        fill(a, (uint8_t)i, s);
    assert_int_equal(rdl_event_record(e, s, NULL), RDL_OK);
    bool done = true;
    assert_int_equal(rdl_event_query(e, &done), RDL_OK);
    assert_false(done); /* twenty pieces of up to 20 ms are ahead of it */
    assert_int_equal(rdl_event_elapsed(begin, e, &elapsed, NULL), RDL_ERR_STATE);
    assert_int_equal(rdl_event_synchronize(e, rdl_deadline_in_ns(1000), NULL, NULL),
                     RDL_ERR_DEADLINE);
    assert_int_equal(rdl_event_synchronize(e, RDL_FOREVER, NULL, NULL), RDL_OK);
    assert_int_equal(rdl_event_elapsed(begin, e, &elapsed, NULL), RDL_OK);
    assert_true(elapsed > 0);
    rdl_event_close(e);
    rdl_event_close(begin);
    rdl_buffer_release(a);
    rdl_stream_close(s);
    close_device(device);
}

/* A buffer of one stream, used by another that is slow: recorded, its memory is not handed out again
 * before that stream is done; the sim device would find the missing wait. */
static void record_stream_delays_reuse(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rdl_device device =
            open_sim((struct rdl_sim_options){.seed = seed, .workers = 3, .max_delay_us = 2000});
        struct rdl_stream s = stream(device), t = stream(device);
        struct rdl_buffer *a = buffer(device, s), *result = buffer(device, t);
        struct rdl_event written = event(device);
        fill(a, 7, s);
        assert_int_equal(rdl_event_record(written, s, NULL), RDL_OK);
        assert_int_equal(rdl_stream_wait_event(t, written, NULL), RDL_OK);
        for (int i = 0; i < 5; i++) /* t reads a for a while */
            assert_int_equal(rdl_buffer_copy(result, 0, a, 0, SIZE, t, NULL), RDL_OK);
        void *place = rdl_buffer_data(a);
        assert_int_equal(rdl_buffer_record_stream(a, t, NULL), RDL_OK);
        /* Work that t gets after the call and before the release counts as well. */
        assert_int_equal(rdl_buffer_copy(result, 0, a, 0, SIZE, t, NULL), RDL_OK);
        rdl_buffer_release(a);
        struct rdl_buffer *next = buffer(device, s);
        assert_ptr_not_equal(rdl_buffer_data(next), place);
        fill(next, 9, s);
        expect(result, 7, t);
        assert_int_equal(violations(device), 0);
        /* Now that t is done, the memory can be had again. */
        rdl_buffer_release(next);
        assert_int_equal(rdl_memory_trim(device, NULL), RDL_OK);
        rdl_buffer_release(result);
        rdl_event_close(written);
        rdl_stream_close(s);
        rdl_stream_close(t);
        close_device(device);
    }
}

static void host_access_faults_on_the_sim_device(void **state)
{
    (void)state;
    struct rdl_device device = open_sim((struct rdl_sim_options){.seed = 6});
    struct rdl_buffer *a;
    assert_int_equal(rdl_buffer_new(device, SIZE, NULL, &a, NULL), RDL_OK);
    assert_false(rdl_buffer_is_host(a));
    const pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        volatile char *data = rdl_buffer_data(a);
        _exit(data[0] == 0); /* never comes to this */
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    rdl_buffer_release(a);
    close_device(device);
}

static void buffer_ranges_are_checked(void **state)
{
    (void)state;
    struct rdl_device device = open_sim((struct rdl_sim_options){.seed = 7});
    struct rdl_stream s = stream(device);
    struct rdl_buffer *a = buffer(device, s);
    unsigned char data[SIZE];
    struct rdl_error error;
    assert_int_equal(rdl_buffer_write(a, 1, data, SIZE, s, RDL_FOREVER, &error),
                     RDL_ERR_BUFFER_SIZE);
    assert_string_equal(error.message,
                        "rdl_buffer_write: 4096 bytes at offset 1 of a buffer of 4096");
    assert_int_equal(rdl_buffer_read(a, SIZE_MAX, data, 2, s, RDL_FOREVER, NULL),
                     RDL_ERR_BUFFER_SIZE);
    assert_int_equal(rdl_buffer_fill(a, SIZE, 0, 1, s, NULL), RDL_ERR_BUFFER_SIZE);
    rdl_buffer_release(a);
    rdl_stream_close(s);
    assert_int_equal(rdl_stream_synchronize(s, RDL_FOREVER, NULL, NULL), RDL_ERR_CLOSED);
    close_device(device);
}

static void device_loss_is_one_clear_error(void **state)
{
    (void)state;
    struct rdl_device device =
        open_sim((struct rdl_sim_options){.seed = 8, .lose_at = 12, .max_delay_us = 300});
    struct rdl_stream s = stream(device);
    struct rdl_buffer *a = buffer(device, s);
    enum rdl_status status = RDL_OK;
    for (int i = 0; i < 20 && status == RDL_OK; i++)
        status = rdl_buffer_fill(a, 0, 1, SIZE, s, NULL);
    assert_int_equal(status, RDL_ERR_DEVICE_LOST);
    unsigned char data[SIZE];
    struct rdl_error error;
    assert_int_equal(rdl_buffer_read(a, 0, data, SIZE, s, RDL_FOREVER, &error),
                     RDL_ERR_DEVICE_LOST);
    assert_string_equal(error.message, "device: device lost");
    assert_int_equal(rdl_stream_synchronize(s, RDL_FOREVER, NULL, NULL), RDL_ERR_DEVICE_LOST);
    struct rdl_device_info info = {.size = sizeof info};
    assert_int_equal(rdl_device_get_info(device, &info), RDL_OK);
    assert_true(info.lost);
    rdl_buffer_release(a);
    rdl_stream_close(s);
    close_device(device);
}

/* Threads share streams and hand buffers on by events; every value read is the one written for it. */
struct relay {
    struct rdl_device device;
    struct rdl_stream streams[3];
};

static void relay(unsigned index, void *shared)
{
    struct relay *all = shared;
    struct rdl_event e;
    CHECK(rdl_event_open(all->device, &e, NULL) == RDL_OK);
    for (unsigned i = 0; i < 40; i++) {
        struct rdl_stream from = all->streams[(index + i) % 3],
                          to = all->streams[(index + i + 1) % 3];
        const struct rdl_buffer_options options = {.size = sizeof options, .stream = from};
        struct rdl_buffer *a, *b;
        unsigned char data[SIZE];
        const uint8_t value = (uint8_t)(index * 40 + i);
        CHECK(rdl_buffer_new(all->device, SIZE, &options, &a, NULL) == RDL_OK);
        CHECK(rdl_buffer_new(all->device, SIZE, &options, &b, NULL) == RDL_OK);
        CHECK(rdl_buffer_fill(a, 0, value, SIZE, from, NULL) == RDL_OK);
        CHECK(rdl_event_record(e, from, NULL) == RDL_OK);
        CHECK(rdl_stream_wait_event(to, e, NULL) == RDL_OK);
        CHECK(rdl_buffer_record_stream(a, to, NULL) == RDL_OK);
        CHECK(rdl_buffer_record_stream(b, to, NULL) == RDL_OK);
        CHECK(rdl_buffer_copy(b, 0, a, 0, SIZE, to, NULL) == RDL_OK);
        rdl_buffer_release(a);
        CHECK(rdl_buffer_read(b, 0, data, SIZE, to, RDL_FOREVER, NULL) == RDL_OK);
        CHECK(data[0] == value && data[SIZE - 1] == value);
        rdl_buffer_release(b);
    }
    rdl_event_close(e);
}

static void buffers_pass_between_streams_and_threads(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct relay shared = {.device = open_sim((struct rdl_sim_options){
                                   .seed = seed, .workers = 3, .max_delay_us = 50})};
        for (int i = 0; i < 3; i++)
            shared.streams[i] = stream(shared.device);
        assert_int_equal(test_run_threads(6, relay, &shared), 0);
        assert_int_equal(violations(shared.device), 0);
        for (int i = 0; i < 3; i++)
            rdl_stream_close(shared.streams[i]);
        close_device(shared.device);
    }
}

/* On the CPU a stream that threads share is used in turns. */
struct turns {
    struct rdl_stream stream;
    struct rdl_buffer *buffer;
};

static void take_turns(unsigned index, void *shared)
{
    struct turns *turns = shared;
    for (unsigned i = 0; i < 500; i++)
        CHECK(rdl_buffer_fill(turns->buffer, 0, (uint8_t)index, SIZE, turns->stream, NULL) ==
              RDL_OK);
}

static void cpu_stream_is_used_in_turns(void **state)
{
    (void)state;
    struct rdl_device device;
    const struct rdl_device_options options = {.size = sizeof options};
    assert_int_equal(rdl_device_open("cpu", &options, &device, NULL), RDL_OK);
    struct turns shared = {.stream = stream(device)};
    shared.buffer = buffer(device, shared.stream);
    assert_int_equal(test_run_threads(6, take_turns, &shared), 0);
    const unsigned char *data = rdl_buffer_data(shared.buffer);
    for (int i = 1; i < SIZE; i++)
        assert_int_equal(data[i], data[0]); /* fills did not mix */
    rdl_buffer_release(shared.buffer);
    rdl_stream_close(shared.stream);
    close_device(device);
}

/* A kernel that runs until it is let go. */
struct gate {
    _Atomic bool begun, open;
};

static enum rdl_status wait_at_gate(const struct rdl__kernel_call *call)
{
    struct gate *gate = (struct gate *)(uintptr_t)call->params;
    atomic_store(&gate->begun, true);
    while (!atomic_load(&gate->open))
        test_pause_ms(1);
    return RDL_OK;
}

/* One worker, which another stream keeps busy: work that its caller stops before it has begun does not
 * wait for the worker, and is not run. */
static void sim_drops_stopped_work_that_waits_for_a_worker(void **state)
{
    (void)state;
    struct rdl_device handle = open_sim((struct rdl_sim_options){.workers = 1});
    const struct rdl__device *device = inside(handle);
    const struct rdl__backend *backend = device->backend;
    struct gate gates[2] = {{false, false}, {false, true}};
    struct rdl__progress progress[2] = {{.stop = 0}, {.stop = 0}};
    struct rdl__step steps[2];
    struct rdl__segment segments[2];
    void *streams[2], *bases[RDL__BASE_FIRST_PORT] = {NULL};
    for (int i = 0; i < 2; i++) {
        steps[i] = (struct rdl__step){.fn = wait_at_gate, .params = &gates[i], .tiles = 1};
        segments[i] = (struct rdl__segment){.steps = &steps[i], .n_steps = 1};
        assert_int_equal(backend->stream_new(device->impl, &streams[i]), RDL_OK);
        assert_int_equal(backend->submit(streams[i], &segments[i], bases, RDL__BASE_FIRST_PORT,
                                         &progress[i], RDL_FOREVER),
                         RDL_OK);
        while (!atomic_load(&gates[0].begun))
            test_pause_ms(1);
    }
    const struct rdl__point tail = backend->tail(streams[1]);
    rdl__store_relaxed(&progress[1].stop, (uint32_t)RDL_ERR_CANCELLED);
    assert_int_equal(rdl__device_wait(inside(handle), tail, rdl_deadline_in_ns(5000000000), NULL),
                     RDL_OK);
    assert_int_equal(rdl__load_acquire(&progress[1].failed) >> 32, RDL_ERR_CANCELLED);
    assert_false(atomic_load(&gates[1].begun));
    atomic_store(&gates[0].open, true);
    rdl__device_drain(inside(handle), backend->tail(streams[0]));
    assert_int_equal(rdl__load_acquire(&progress[0].failed), 0);
    for (int i = 0; i < 2; i++)
        backend->stream_free(device->impl, streams[i]);
    close_device(handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_work_runs_in_order),
        cmocka_unit_test(stream_waits_for_an_event_of_another),
        cmocka_unit_test(sim_finds_a_missing_wait),
        cmocka_unit_test(sim_finds_a_use_after_free),
        cmocka_unit_test(event_never_recorded_is_complete),
        cmocka_unit_test(event_recorded_again_is_incomplete_again),
        cmocka_unit_test(record_stream_delays_reuse),
        cmocka_unit_test(host_access_faults_on_the_sim_device),
        cmocka_unit_test(buffer_ranges_are_checked),
        cmocka_unit_test(device_loss_is_one_clear_error),
        cmocka_unit_test(buffers_pass_between_streams_and_threads),
        cmocka_unit_test(cpu_stream_is_used_in_turns),
        cmocka_unit_test(sim_drops_stopped_work_that_waits_for_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
