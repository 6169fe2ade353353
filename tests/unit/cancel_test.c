/*
 * Cancel tokens: every wait that carries one ends, whether the request comes before, during or after.
 */
#include "support/child.h"
#include "support/cmocka.h"
#include "support/threads.h"

#include "raddle/raddle.h"
#include "runtime/cancel.h"

#include <string.h>

static struct rdl_cancel *token(void)
{
    struct rdl_cancel *cancel;
    assert_int_equal(rdl_cancel_new(&cancel, NULL), RDL_OK);
    assert_false(rdl_cancel_requested(cancel));
    return cancel;
}

static void cancel_is_seen_and_stays(void **state)
{
    (void)state;
    struct rdl_cancel *cancel = token();
    struct rdl_error error;
    assert_ptr_equal(rdl_cancel_retain(cancel), cancel);
    rdl_cancel_request(cancel);
    rdl_cancel_request(cancel);
    rdl_cancel_release(cancel);
    assert_true(rdl_cancel_requested(cancel));
    rdl_cancel_release(cancel);
    rdl_cancel_release(NULL);
    assert_int_equal(rdl_cancel_new(NULL, &error), RDL_ERR_ARGUMENT);
    assert_string_equal(error.message, "rdl_cancel_new: out is NULL");
}

static void cancel_of_the_followed_cancels_the_follower_only(void **state)
{
    (void)state;
    struct rdl_cancel *leader = token(), *follower, *other;
    assert_int_equal(rdl__cancel_new_following(leader, &follower, NULL), RDL_OK);
    assert_int_equal(rdl__cancel_new_following(leader, &other, NULL), RDL_OK);
    rdl_cancel_request(follower);
    assert_false(rdl_cancel_requested(leader));
    assert_false(rdl_cancel_requested(other));
    rdl_cancel_request(leader);
    rdl_cancel_release(leader); /* followers hold it */
    assert_true(rdl_cancel_requested(other));
    rdl_cancel_release(follower);
    rdl_cancel_release(other);
}

/* A waiter of the parent's, in memory that the child uses for something else. */
struct parents {
    struct rdl_cancel *cancel;
    struct rdl__cancel_link link;
    struct rdl__park park;
};

static void cancel_in_child(void *object)
{
    struct parents *parents = object;
    struct rdl__cancel_link link;
    struct rdl__park park;
    memset(&parents->link, 0xff, sizeof parents->link);
    rdl__park_init(&park);
    rdl__cancel_link(parents->cancel, &link, &park);
    rdl_cancel_request(parents->cancel);
    IN_CHILD(rdl__park_wait(&park, RDL_NO_WAIT)); /* its own waiter was woken */
    rdl__cancel_unlink(parents->cancel, &link);
    rdl__park_fini(&park);
}

static void child_forgets_who_waited_in_the_parent(void **state)
{
    (void)state;
    struct parents parents = {.cancel = token()};
    struct rdl_device device;
    assert_int_equal(rdl_device_open("cpu", NULL, &device, NULL), RDL_OK); /* forks are handled */
    rdl__park_init(&parents.park);
    rdl__cancel_link(parents.cancel, &parents.link, &parents.park);
    child_expect_success(child_run(cancel_in_child, &parents, 60));
    assert_false(rdl_cancel_requested(parents.cancel));
    rdl_cancel_request(parents.cancel);
    assert_true(rdl__park_wait(&parents.park, RDL_NO_WAIT));
    rdl__cancel_unlink(parents.cancel, &parents.link);
    rdl__park_fini(&parents.park);
    rdl_cancel_release(parents.cancel);
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
}

/* A device of one lane that is held: whoever asks for one waits. */
struct busy {
    struct rdl_device device;
    struct rdl_stream held;
    struct rdl_cancel *cancels[8];
    enum rdl_status statuses[8];
    _Atomic unsigned ended;
};

static void begin(struct busy *busy)
{
    const struct rdl_device_options options = {.size = sizeof options, .lanes = 2};
    *busy = (struct busy){.ended = 0};
    assert_int_equal(rdl_device_open("cpu", &options, &busy->device, NULL), RDL_OK);
    assert_int_equal(rdl_stream_open(busy->device, RDL_NO_WAIT, NULL, &busy->held, NULL), RDL_OK);
}

static void end(struct busy *busy)
{
    rdl_stream_close(busy->held);
    assert_int_equal(rdl_device_close(busy->device, RDL_FOREVER, NULL), RDL_OK);
}

static uint32_t waiting(const struct busy *busy)
{
    struct rdl_device_info info = {.size = sizeof info};
    assert_int_equal(rdl_device_get_info(busy->device, &info), RDL_OK);
    return info.lane_waiters;
}

static void cancelled_before_the_wait_ends_it_at_once(void **state)
{
    (void)state;
    struct busy busy;
    struct rdl_stream stream;
    struct rdl_error error;
    begin(&busy);
    struct rdl_cancel *cancel = token();
    rdl_cancel_request(cancel);
    assert_int_equal(rdl_stream_open(busy.device, RDL_FOREVER, cancel, &stream, &error),
                     RDL_ERR_CANCELLED);
    assert_string_equal(error.message, "rdl_stream_open: cancelled");
    assert_int_equal(waiting(&busy), 0);
    rdl_cancel_release(cancel);
    end(&busy);
}

struct one_wait {
    struct busy *busy;
    unsigned index;
};

static void *wait_with_token(void *object)
{
    const struct one_wait *wait = object;
    struct busy *busy = wait->busy;
    struct rdl_stream stream;
    busy->statuses[wait->index] =
        rdl_stream_open(busy->device, RDL_FOREVER, busy->cancels[wait->index], &stream, NULL);
    atomic_fetch_add(&busy->ended, 1);
    return NULL;
}

static void cancel_ends_all_its_waits_and_no_other(void **state)
{
    (void)state;
    struct busy busy;
    struct one_wait waits[8];
    pthread_t threads[8];
    begin(&busy);
    struct rdl_cancel *first = token(), *second = token();
    for (unsigned i = 0; i < 8; i++) {
        busy.cancels[i] = i % 2 == 0 ? first : second;
        waits[i] = (struct one_wait){&busy, i};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_with_token, &waits[i]), 0);
    }
    while (waiting(&busy) != 8)
        test_pause_ms(1);
    rdl_cancel_request(first);
    for (unsigned i = 0; i < 8; i += 2)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(busy.ended, 4);
    assert_int_equal(waiting(&busy), 4);
    rdl_cancel_request(second);
    for (unsigned i = 1; i < 8; i += 2)
        (void)pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(busy.statuses[i], RDL_ERR_CANCELLED);
    rdl_cancel_release(first);
    rdl_cancel_release(second);
    end(&busy);
}

/* Requests that race with the beginning and the end of waits: none is missed, none touches a wait that
 * has ended. */
static void cancel_races_with_the_wait(void **state)
{
    (void)state;
    struct busy busy;
    begin(&busy);
    for (unsigned i = 0; i < 500; i++) {
        pthread_t thread;
        struct one_wait wait = {&busy, 0};
        busy.cancels[0] = token();
        assert_int_equal(pthread_create(&thread, NULL, wait_with_token, &wait), 0);
        for (volatile unsigned k = 0; k < i * 40; k++) {
        }
        rdl_cancel_request(busy.cancels[0]);
        (void)pthread_join(thread, NULL);
        assert_int_equal(busy.statuses[0], RDL_ERR_CANCELLED);
        rdl_cancel_release(busy.cancels[0]);
    }
    assert_int_equal(waiting(&busy), 0);
    end(&busy);
}

static void cancel_ends_waits_for_memory_and_devices(void **state)
{
    (void)state;
    struct rdl_device device;
    struct rdl_buffer *held, *more;
    struct rdl_error error;
    struct rdl_stream stream;
    struct rdl_event event;
    const struct rdl_sim_options sim = {.max_delay_us = 1};
    const struct rdl_device_options options = {
        .size = sizeof options, .memory_limit_bytes = 8 << 20, .sim = &sim};
    assert_int_equal(rdl_device_open("sim", &options, &device, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(device, 6 << 20, NULL, &held, NULL), RDL_OK);
    struct rdl_cancel *cancel = token();
    rdl_cancel_request(cancel);
    const struct rdl_buffer_options wait = {
        .size = sizeof wait, .deadline_ns = RDL_FOREVER, .cancel = cancel};
    assert_int_equal(rdl_buffer_new(device, 6 << 20, &wait, &more, &error), RDL_ERR_CANCELLED);
    assert_string_equal(error.message, "memory of device \"sim\": cancelled");
    assert_null(more);
    /* A wait with nothing to wait for is no wait. */
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &stream, NULL), RDL_OK);
    assert_int_equal(rdl_event_open(device, &event, NULL), RDL_OK);
    assert_int_equal(rdl_event_synchronize(event, RDL_FOREVER, cancel, NULL), RDL_OK);
    rdl_cancel_release(cancel);
    rdl_event_close(event);
    rdl_stream_close(stream);
    rdl_buffer_release(held);
    assert_int_equal(rdl_device_close(device, RDL_FOREVER, NULL), RDL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_is_seen_and_stays),
        cmocka_unit_test(cancel_of_the_followed_cancels_the_follower_only),
        cmocka_unit_test(child_forgets_who_waited_in_the_parent),
        cmocka_unit_test(cancelled_before_the_wait_ends_it_at_once),
        cmocka_unit_test(cancel_ends_all_its_waits_and_no_other),
        cmocka_unit_test(cancel_races_with_the_wait),
        cmocka_unit_test(cancel_ends_waits_for_memory_and_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
