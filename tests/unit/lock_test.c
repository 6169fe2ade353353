/*
 * Locks: a debug build aborts on an inversion of ranks and on a lock held across a blocking call, and
 * names both; parking keeps a wake that comes first.
 */
#include "support/child.h"
#include "support/threads.h"

#include "os/clock.h"
#include "os/lock.h"
#include "os/park.h"
#include "raddle/config.h"

#include <signal.h>

#ifdef RDL_DEBUG
static struct rdl__lock outer = RDL__LOCK_INIT(RDL__RANK_LANES);
static struct rdl__lock inner = RDL__LOCK_INIT(RDL__RANK_MEMORY);

static void quietly(void)
{
    (void)freopen("/dev/null", "w", stderr);
}

static void take_in_order(void *unused)
{
    (void)unused;
    rdl__lock_acquire(&outer);
    rdl__lock_acquire(&inner);
    rdl__lock_release(&outer); /* may be given back in any order */
    rdl__lock_release(&inner);
    rdl__lock_acquire(&inner);
    rdl__lock_release(&inner);
    rdl__assert_no_lock();
}

static void take_against_order(void *unused) RDL_NO_ANALYSIS /* what it does is wrong */
{
    (void)unused;
    quietly();
    rdl__lock_acquire(&inner);
    rdl__lock_acquire(&outer);
}

static void take_twice(void *unused) RDL_NO_ANALYSIS /* what it does is wrong */
{
    (void)unused;
    quietly();
    rdl__lock_acquire(&inner);
    rdl__lock_acquire(&inner);
}

static void block_under_a_lock(void *unused) RDL_NO_ANALYSIS /* what it does is wrong */
{
    (void)unused;
    quietly();
    rdl__lock_acquire(&outer);
    rdl__assert_no_lock();
}

static void park_under_a_lock(void *unused) RDL_NO_ANALYSIS /* what it does is wrong */
{
    (void)unused;
    struct rdl__park park;
    quietly();
    rdl__park_init(&park);
    rdl__lock_acquire(&outer);
    (void)rdl__park_wait(&park, 1);
}

static void expect_abort(void (*fn)(void *))
{
    const int status = child_run(fn, NULL, 20);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void lock_ranks_are_kept(void **state)
{
    (void)state;
    child_expect_success(child_run(take_in_order, NULL, 20));
    expect_abort(take_against_order);
    expect_abort(take_twice);
    expect_abort(block_under_a_lock);
    expect_abort(park_under_a_lock);
}
#else
static void lock_ranks_are_kept(void **state)
{
    (void)state;
    (void)printf("SKIP: ranks are checked in builds with assertions\n");
    skip();
}
#endif

static void park_keeps_a_wake_that_came_first(void **state)
{
    (void)state;
    struct rdl__park park;
    rdl__park_init(&park);
    rdl__park_wake(&park);
    rdl__park_wake(&park); /* two wakes are one */
    assert_true(rdl__park_wait(&park, INT64_MAX));
    assert_false(rdl__park_wait(&park, RDL_NO_WAIT));
    const int64_t deadline = rdl_deadline_in_ns(5000000);
    assert_false(rdl__park_wait(&park, deadline));
    assert_true(rdl_now_ns() >= deadline);
    assert_false(rdl__park_wait(&park, INT64_MIN));
    rdl__park_fini(&park);
}

struct ping {
    struct rdl__park parks[2];
};

static void ping(unsigned index, void *shared)
{
    struct ping *both = shared;
    for (int i = 0; i < 2000; i++) {
        if (index == 1)
            CHECK(rdl__park_wait(&both->parks[1], INT64_MAX));
        rdl__park_wake(&both->parks[1 - index]);
        if (index == 0)
            CHECK(rdl__park_wait(&both->parks[0], INT64_MAX));
    }
}

static void park_loses_no_wake(void **state)
{
    (void)state;
    struct ping both;
    rdl__park_init(&both.parks[0]);
    rdl__park_init(&both.parks[1]);
    assert_int_equal(test_run_threads(2, ping, &both), 0);
    rdl__park_fini(&both.parks[0]);
    rdl__park_fini(&both.parks[1]);
}

static void deadlines_count_from_now(void **state)
{
    (void)state;
    const int64_t now = rdl_now_ns();
    assert_true(now > 0);
    assert_in_range(rdl_deadline_in_ns(1000), now + 1000, now + INT64_C(10000000000));
    assert_true(rdl_deadline_in_ns(-1) == RDL_FOREVER);
    assert_true(rdl_deadline_in_ns(INT64_MAX) == RDL_FOREVER);
    assert_true(rdl_deadline_in_ns(INT64_MAX - 1) == RDL_FOREVER); /* and does not wrap */
    assert_true(rdl_now_ns() >= now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lock_ranks_are_kept),
        cmocka_unit_test(park_keeps_a_wake_that_came_first),
        cmocka_unit_test(park_loses_no_wake),
        cmocka_unit_test(deadlines_count_from_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
