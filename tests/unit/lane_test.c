/*
 * Leasing lanes: policies, order of service, deadlines, cancel, closing.
 */
#include "support/cmocka.h"
#include "support/devices.h"
#include "support/threads.h"

#include "raddle/stream.h"
#include "runtime/lane.h"

static struct rdl_device open_cpu(uint32_t lanes)
{
    return open_device("cpu", (struct rdl_device_options){.lanes = lanes});
}

static void lane_exactly_all_can_be_leased(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(32);
    struct rdl_stream streams[31], more;
    bool seen[32] = {false};
    for (int i = 0; i < 31; i++) {
        uint32_t lane;
        assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &streams[i], NULL), RDL_OK);
        assert_int_equal(rdl_stream_lane(streams[i], &lane), RDL_OK);
        assert_in_range(lane, 1, 31);
        assert_false(seen[lane]);
        seen[lane] = true;
    }
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &more, NULL), RDL_ERR_BUSY);
    assert_int_equal(more.id, 0);
    rdl_stream_close(streams[7]);
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &more, NULL), RDL_OK);
    rdl_stream_close(more);
    for (int i = 0; i < 31; i++)
        rdl_stream_close(streams[i]);
    close_device(device);
}

struct takers {
    struct rdl_device device;
    pthread_barrier_t taken;
    _Atomic unsigned succeeded, busy;
};

static void take_at_once(unsigned index, void *shared)
{
    struct takers *takers = shared;
    struct rdl_stream stream;
    (void)index;
    const enum rdl_status status =
        rdl_stream_open(takers->device, RDL_NO_WAIT, NULL, &stream, NULL);
    CHECK(status == RDL_OK || status == RDL_ERR_BUSY);
    atomic_fetch_add(status == RDL_OK ? &takers->succeeded : &takers->busy, 1);
    (void)pthread_barrier_wait(&takers->taken); /* nobody gives back before all have tried */
    if (status == RDL_OK)
        rdl_stream_close(stream);
}

static void lane_of_40_takers_at_once_exactly_31_succeed(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct takers takers = {.device = open_cpu(32)};
        (void)pthread_barrier_init(&takers.taken, NULL, 40);
        assert_int_equal(test_run_threads(40, take_at_once, &takers), 0);
        assert_int_equal(takers.succeeded, 31);
        assert_int_equal(takers.busy, 9);
        (void)pthread_barrier_destroy(&takers.taken);
        close_device(takers.device);
    }
}

struct queue {
    struct rdl_device device;
    _Atomic unsigned served;
    unsigned order[9];
};

static void *wait_for_lane(void *object)
{
    struct {
        struct queue *queue;
        unsigned ticket;
    } *waiter = object;
    struct rdl_stream stream;
    CHECK(rdl_stream_open(waiter->queue->device, RDL_FOREVER, NULL, &stream, NULL) == RDL_OK);
    waiter->queue->order[waiter->ticket] = atomic_fetch_add(&waiter->queue->served, 1);
    rdl_stream_close(stream);
    return NULL;
}

static uint32_t waiting(struct rdl_device device)
{
    struct rdl_device_info info = {.size = sizeof info};
    assert_int_equal(rdl_device_get_info(device, &info), RDL_OK);
    return info.lane_waiters;
}

/* 31 hold, 9 wait, made one at a time; all 40 are served, in the order in which they came. */
static void lane_waiters_are_served_by_ticket(void **state)
{
    (void)state;
    struct queue queue = {.device = open_cpu(32)};
    struct rdl_stream held[31];
    struct {
        struct queue *queue;
        unsigned ticket;
    } waiters[9];
    pthread_t threads[9];
    for (int i = 0; i < 31; i++)
        assert_int_equal(rdl_stream_open(queue.device, RDL_FOREVER, NULL, &held[i], NULL), RDL_OK);
    for (unsigned i = 0; i < 9; i++) {
        waiters[i].queue = &queue;
        waiters[i].ticket = i;
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_lane, &waiters[i]), 0);
        while (waiting(queue.device) != i + 1)
            test_pause_ms(1);
    }
    /* While they wait, a newcomer that does not want to wait must not overtake them. */
    rdl_stream_close(held[0]); /* goes to the first, and from it to the others, one by one */
    for (unsigned i = 0; i < 9; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(queue.served, 9);
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(queue.order[i], i);
    for (int i = 1; i < 31; i++)
        rdl_stream_close(held[i]);
    close_device(queue.device);
}

static void lane_newcomers_do_not_overtake(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(2);
    struct rdl_stream held, other;
    struct queue queue = {.device = device};
    struct {
        struct queue *queue;
        unsigned ticket;
    } waiter = {&queue, 0};
    pthread_t thread;
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &held, NULL), RDL_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_lane, &waiter), 0);
    while (waiting(device) != 1)
        test_pause_ms(1);
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &other, NULL), RDL_ERR_BUSY);
    rdl_stream_close(held);
    (void)pthread_join(thread, NULL);
    assert_int_equal(queue.served, 1);
    close_device(device);
}

static void lane_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(2);
    struct rdl_stream held, other;
    struct rdl_error error;
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &held, NULL), RDL_OK);
    const int64_t before = rdl_now_ns();
    assert_int_equal(rdl_stream_open(device, rdl_deadline_in_ns(20000000), NULL, &other, &error),
                     RDL_ERR_DEADLINE);
    assert_true(rdl_now_ns() - before >= 20000000);
    assert_string_equal(error.message, "rdl_stream_open: deadline passed");
    assert_int_equal(waiting(device), 0);
    rdl_stream_close(held);
    assert_int_equal(rdl_stream_open(device, RDL_NO_WAIT, NULL, &other, NULL), RDL_OK);
    rdl_stream_close(other);
    close_device(device);
}

struct cancelling {
    struct rdl_device device;
    struct rdl_cancel *cancel;
    enum rdl_status status;
};

static void *wait_cancelled(void *object)
{
    struct cancelling *cancelling = object;
    struct rdl_stream stream;
    cancelling->status =
        rdl_stream_open(cancelling->device, RDL_FOREVER, cancelling->cancel, &stream, NULL);
    return NULL;
}

static void lane_wait_ends_when_cancelled(void **state)
{
    (void)state;
    struct cancelling cancelling = {.device = open_cpu(2)};
    struct rdl_stream held;
    pthread_t thread;
    assert_int_equal(rdl_cancel_new(&cancelling.cancel, NULL), RDL_OK);
    assert_int_equal(rdl_stream_open(cancelling.device, RDL_NO_WAIT, NULL, &held, NULL), RDL_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_cancelled, &cancelling), 0);
    while (waiting(cancelling.device) != 1)
        test_pause_ms(1);
    rdl_cancel_request(cancelling.cancel);
    (void)pthread_join(thread, NULL);
    assert_int_equal(cancelling.status, RDL_ERR_CANCELLED);
    assert_int_equal(waiting(cancelling.device), 0);
    rdl_cancel_release(cancelling.cancel);
    rdl_stream_close(held);
    close_device(cancelling.device);
}

static void lane_waiters_are_refused_by_a_closing_device(void **state)
{
    (void)state;
    struct cancelling cancelling = {.device = open_cpu(2)};
    struct rdl_stream held, stale;
    pthread_t thread;
    assert_int_equal(rdl_stream_open(cancelling.device, RDL_NO_WAIT, NULL, &held, NULL), RDL_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_cancelled, &cancelling), 0);
    while (waiting(cancelling.device) != 1)
        test_pause_ms(1);
    close_device(cancelling.device); /* the held stream goes with its device */
    (void)pthread_join(thread, NULL);
    assert_int_equal(cancelling.status, RDL_ERR_CLOSED);
    rdl_stream_close(held);
    assert_int_equal(rdl_stream_open(cancelling.device, RDL_NO_WAIT, NULL, &stale, NULL),
                     RDL_ERR_CLOSED);
}

/* More takers than lanes, all policies at once, for a while: every lease is exclusive. */
struct storm {
    struct rdl_device device;
    _Atomic int holders[8];
    _Atomic unsigned leases;
};

static void storm(unsigned index, void *shared)
{
    struct storm *storm = shared;
    for (unsigned i = 0; i < 2000; i++) {
        struct rdl_stream stream;
        const unsigned policy = (i + index) % 3;
        const int64_t deadline = policy == 0   ? RDL_NO_WAIT
                                 : policy == 1 ? rdl_deadline_in_ns(50000)
                                               : RDL_FOREVER;
        const enum rdl_status status =
            rdl_stream_open(storm->device, deadline, NULL, &stream, NULL);
        if (status != RDL_OK) {
            CHECK(policy != 2);
            CHECK(status == (policy == 0 ? RDL_ERR_BUSY : RDL_ERR_DEADLINE));
            continue;
        }
        uint32_t lane = 0;
        CHECK(rdl_stream_lane(stream, &lane) == RDL_OK);
        CHECK(atomic_fetch_add(&storm->holders[lane], 1) == 0);
        atomic_fetch_add(&storm->leases, 1);
        CHECK(atomic_fetch_sub(&storm->holders[lane], 1) == 1);
        rdl_stream_close(stream);
    }
}

static void lane_leases_are_exclusive_under_a_storm(void **state)
{
    (void)state;
    struct storm shared = {.device = open_cpu(4)};
    assert_int_equal(test_run_threads(8, storm, &shared), 0);
    assert_true(shared.leases >= 8 * 2000 / 3);
    close_device(shared.device);
}

/* Some threads open streams, and leave every other one open; some close the device. All come back. */
static void use_or_close(unsigned index, void *shared)
{
    const struct rdl_device device = *(struct rdl_device *)shared;
    if (index < 3) {
        const enum rdl_status status = rdl_device_close(device, RDL_FOREVER, NULL);
        CHECK(status == RDL_OK || status == RDL_ERR_CLOSED);
        return;
    }
    struct rdl_stream stream;
    struct rdl_event event;
    enum rdl_status status = RDL_OK;
    for (unsigned i = 0; status == RDL_OK; i++) {
        status = rdl_stream_open(device, RDL_FOREVER, NULL, &stream, NULL);
        if (status == RDL_OK && i % 2 == 0)
            rdl_stream_close(stream);
        if (status == RDL_OK && rdl_event_open(device, &event, NULL) == RDL_OK) {
            bool passed;
            const enum rdl_status queried = rdl_event_query(event, &passed);
            CHECK(queried == RDL_OK || queried == RDL_ERR_CLOSED);
            rdl_event_close(event);
        }
    }
    CHECK(status == RDL_ERR_CLOSED);
}

static void lane_many_may_close_one_device_in_use(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct rdl_device device = open_cpu(8);
        assert_int_equal(test_run_threads(6, use_or_close, &device), 0);
    }
}

/* The instant between a releaser's freeing of the word and its hand-over, held still: the lane looks
 * free, and is the waiter's all the same. */
static void lane_freed_for_a_waiter_is_not_a_newcomers(void **state)
{
    (void)state;
    struct queue queue = {.device = open_cpu(2)};
    struct {
        struct queue *queue;
        unsigned ticket;
    } waiter = {&queue, 0};
    struct rdl_stream other;
    pthread_t thread;
    struct rdl__lane *lane = &inside(queue.device)->lanes[1];
    assert_true(rdl__lane_try(lane));
    assert_int_equal(pthread_create(&thread, NULL, wait_for_lane, &waiter), 0);
    while (waiting(queue.device) != 1)
        test_pause_ms(1);
    const uintptr_t owner = rdl__exchange_seq_cst(&lane->owner, (uintptr_t)0);
    assert_int_equal(rdl_stream_open(queue.device, RDL_NO_WAIT, NULL, &other, NULL), RDL_ERR_BUSY);
    rdl__store_seq_cst(&lane->owner, owner);
    rdl__lane_release(lane);
    (void)pthread_join(thread, NULL);
    assert_int_equal(queue.served, 1);
    close_device(queue.device);
}

/* A lane that was freed after a waiter's scan and before its queueing, whose releaser saw no waiter. */
static void lane_freed_before_the_bit_was_set_is_found(void **state)
{
    (void)state;
    struct rdl_device handle = open_cpu(2);
    struct rdl__device *device = inside(handle);
    struct rdl_stream stream;
    rdl__lock_acquire(&device->wait.lock);
    rdl__device_attend(device, RDL__ATTENTION_LANES, true); /* so the first scan is left out */
    rdl__lock_release(&device->wait.lock);
    assert_int_equal(rdl_stream_open(handle, rdl_deadline_in_ns(5000000000), NULL, &stream, NULL),
                     RDL_OK);
    rdl_stream_close(stream);
    close_device(handle);
}

/* Two callers of one lane: one hand-over missed, and both sleep for ever. */
static void take_and_give(unsigned index, void *shared)
{
    struct rdl__device *device = shared;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    const unsigned rounds = 5000;
#else
    const unsigned rounds = 100000;
#endif
    (void)index;
    for (unsigned i = 0; i < rounds; i++) {
        struct rdl__lane *lane;
        CHECK(rdl__lane_acquire(device, RDL_FOREVER, NULL, &lane) == RDL_OK);
        rdl__lane_release(lane);
    }
}

static void lane_hand_overs_are_never_missed(void **state)
{
    (void)state;
    struct rdl_device device = open_cpu(2);
    assert_int_equal(test_run_threads(2, take_and_give, inside(device)), 0);
    close_device(device);
}

/* Runs that end one after the other, the one on the last lane first: as where work queues for the device. */
#define STOPPED 3
struct stopped {
    struct rdl_device handle;
    struct rdl__device *device;
    _Atomic unsigned held, gone;
    _Atomic bool over;
};

static void hold_until_stopped_or_close(unsigned index, void *shared)
{
    struct stopped *s = shared;
    if (index == STOPPED) {
        while (atomic_load(&s->held) < STOPPED)
            test_pause_ms(1);
        CHECK(rdl_device_close(s->handle, rdl_deadline_in_ns(5000000000), NULL) == RDL_OK);
        atomic_store(&s->over, true);
        return;
    }
    struct rdl__lane *lane = &s->device->lanes[1 + index];
    const unsigned before = STOPPED - 1 - index; /* so many are gone first */
    CHECK(rdl__lane_try(lane));
    atomic_fetch_add(&s->held, 1);
    while (!atomic_load(&s->over) && (atomic_load(&s->gone) < before ||
                                      rdl__progress_stop(&lane->progress) != RDL_ERR_CLOSED))
        test_pause_ms(1);
    rdl__lane_release(lane);
    atomic_fetch_add(&s->gone, 1);
}

static void lane_close_stops_all_runs_before_it_waits_for_one(void **state)
{
    (void)state;
    struct stopped s = {.handle = open_cpu(1 + STOPPED)};
    s.device = inside(s.handle);
    assert_int_equal(test_run_threads(STOPPED + 1, hold_until_stopped_or_close, &s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lane_exactly_all_can_be_leased),
        cmocka_unit_test(lane_of_40_takers_at_once_exactly_31_succeed),
        cmocka_unit_test(lane_waiters_are_served_by_ticket),
        cmocka_unit_test(lane_newcomers_do_not_overtake),
        cmocka_unit_test(lane_wait_ends_at_its_deadline),
        cmocka_unit_test(lane_wait_ends_when_cancelled),
        cmocka_unit_test(lane_waiters_are_refused_by_a_closing_device),
        cmocka_unit_test(lane_leases_are_exclusive_under_a_storm),
        cmocka_unit_test(lane_freed_for_a_waiter_is_not_a_newcomers),
        cmocka_unit_test(lane_freed_before_the_bit_was_set_is_found),
        cmocka_unit_test(lane_hand_overs_are_never_missed),
        cmocka_unit_test(lane_many_may_close_one_device_in_use),
        cmocka_unit_test(lane_close_stops_all_runs_before_it_waits_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
