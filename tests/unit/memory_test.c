/*
 * The allocator: reuse, joining, the ladder, waiting in order, limits, statistics.
 */
#include "support/cmocka.h"
#include "support/devices.h"
#include "support/threads.h"

#include "raddle/raddle.h"

#include <string.h>

#define MIB ((size_t)1 << 20)

static struct rdl_device open_limited(const char *name, size_t limit)
{
    return open_device(name, (struct rdl_device_options){.memory_limit_bytes = limit});
}

static int64_t stat(struct rdl_device device, enum rdl_memory_stat which)
{
    int64_t values[RDL_MEMORY_STAT_COUNT];
    assert_int_equal(rdl_memory_stats(device, values), RDL_OK);
    return values[which];
}

static struct rdl_buffer *buffer(struct rdl_device device, size_t size)
{
    struct rdl_buffer *out;
    struct rdl_error error;
    if (rdl_buffer_new(device, size, NULL, &out, &error) != RDL_OK)
        fail_msg("%s", error.message);
    return out;
}

static void memory_is_apart_aligned_and_reused(void **state)
{
    (void)state;
    struct rdl_device device = open_limited("cpu", 0);
    struct rdl_buffer *buffers[100];
    for (int i = 0; i < 100; i++) {
        buffers[i] = buffer(device, 1000 + 100 * (size_t)i);
        assert_int_equal((uintptr_t)rdl_buffer_data(buffers[i]) % 256, 0);
        memset(rdl_buffer_data(buffers[i]), i, rdl_buffer_size(buffers[i]));
    }
    for (int i = 0; i < 100; i++) {
        const unsigned char *data = rdl_buffer_data(buffers[i]);
        for (size_t k = 0; k < rdl_buffer_size(buffers[i]); k++)
            assert_int_equal(data[k], i);
    }
    assert_int_equal(stat(device, RDL_MEMORY_STAT_ALLOCATION_CURRENT), 100);
    const int64_t reserved = stat(device, RDL_MEMORY_STAT_RESERVED_BYTES_CURRENT);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++)
            rdl_buffer_release(buffers[i]);
        assert_int_equal(stat(device, RDL_MEMORY_STAT_ALLOCATED_BYTES_CURRENT), 0);
        for (int i = 0; i < 100; i++)
            buffers[i] = buffer(device, 1000 + 100 * (size_t)i);
    }
    assert_int_equal(stat(device, RDL_MEMORY_STAT_RESERVED_BYTES_CURRENT), reserved);
    for (int i = 0; i < 100; i++)
        rdl_buffer_release(buffers[i]);
    size_t freed;
    assert_int_equal(rdl_memory_trim(device, &freed), RDL_OK);
    assert_int_equal(freed, reserved);
    assert_int_equal(stat(device, RDL_MEMORY_STAT_RESERVED_BYTES_CURRENT), 0);
    assert_int_equal(stat(device, RDL_MEMORY_STAT_SEGMENT_CURRENT), 0);
    close_device(device);
}

static void memory_pieces_join_when_freed(void **state)
{
    (void)state;
    struct rdl_device device = open_limited("cpu", 2 * MIB);
    struct rdl_buffer *small[32];
    for (int i = 0; i < 32; i++)
        small[i] = buffer(device, 60000);
    for (int i = 0; i < 32; i += 2)
        rdl_buffer_release(small[i]);
    for (int i = 1; i < 32; i += 2)
        rdl_buffer_release(small[i]);
    /* Only joined together are they large enough. */
    struct rdl_buffer *large = buffer(device, 2 * MIB - 65536);
    rdl_buffer_release(large);
    close_device(device);
}

static void memory_over_the_limit_says_who_holds_it(void **state)
{
    (void)state;
    struct rdl_device device = open_limited("cpu", 8 * MIB);
    struct rdl_buffer *held = buffer(device, 6 * MIB), *more;
    struct rdl_error error;
    assert_int_equal(rdl_buffer_new(device, 4 * MIB, NULL, &more, &error), RDL_ERR_NO_MEMORY);
    assert_null(more);
    assert_non_null(strstr(error.message, "4194304 bytes wanted"));
    assert_non_null(strstr(error.message, "reserved 6291456 (limit 8388608)"));
    assert_non_null(strstr(error.message, "in use 6291456"));
    assert_int_equal(stat(device, RDL_MEMORY_STAT_NUM_OOMS), 1);
    rdl_buffer_release(held);
    more = buffer(device, 4 * MIB); /* the cache of the freed one is given up for it */
    rdl_buffer_release(more);
    close_device(device);
}

static void memory_never_to_be_had_fails_at_once(void **state)
{
    (void)state;
    struct rdl_device device = open_limited("cpu", 8 * MIB);
    const struct rdl_buffer_options wait = {.size = sizeof wait, .deadline_ns = RDL_FOREVER};
    struct rdl_buffer *more;
    assert_int_equal(rdl_buffer_new(device, 9 * MIB, &wait, &more, NULL), RDL_ERR_NO_MEMORY);
    assert_int_equal(rdl_buffer_new(device, SIZE_MAX - 5, &wait, &more, NULL), RDL_ERR_OVERFLOW);
    close_device(device);
}

struct waiting {
    struct rdl_device device;
    size_t size;
    _Atomic unsigned served;
    unsigned order[8];
};

struct waiter {
    struct waiting *waiting;
    unsigned ticket;
};

static void *wait_for_memory(void *object)
{
    struct waiter *waiter = object;
    const struct rdl_buffer_options wait = {.size = sizeof wait, .deadline_ns = RDL_FOREVER};
    struct rdl_buffer *mine;
    CHECK(rdl_buffer_new(waiter->waiting->device, waiter->waiting->size, &wait, &mine, NULL) ==
          RDL_OK);
    waiter->waiting->order[waiter->ticket] = atomic_fetch_add(&waiter->waiting->served, 1);
    rdl_buffer_release(mine);
    return NULL;
}

static uint32_t memory_waiters(struct rdl_device device)
{
    struct rdl_device_info info = {.size = sizeof info};
    assert_int_equal(rdl_device_get_info(device, &info), RDL_OK);
    return info.memory_waiters;
}

static void memory_waits_are_served_in_order(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct waiting waiting = {.device = open_limited("cpu", 8 * MIB), .size = 6 * MIB};
        struct rdl_buffer *held = buffer(waiting.device, 5 * MIB);
        struct waiter waiters[8];
        pthread_t threads[8];
        for (unsigned i = 0; i < 8; i++) {
            waiters[i] = (struct waiter){&waiting, i};
            assert_int_equal(pthread_create(&threads[i], NULL, wait_for_memory, &waiters[i]), 0);
            while (memory_waiters(waiting.device) != i + 1)
                test_pause_ms(1);
        }
        assert_int_equal(waiting.served, 0);
        rdl_buffer_release(held);
        for (unsigned i = 0; i < 8; i++)
            (void)pthread_join(threads[i], NULL);
        assert_int_equal(waiting.served, 8);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(waiting.order[i], i);
        close_device(waiting.device);
    }
}

static void memory_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct rdl_device device = open_limited("cpu", 8 * MIB);
    struct rdl_buffer *held = buffer(device, 5 * MIB), *more;
    const struct rdl_buffer_options wait = {.size = sizeof wait,
                                            .deadline_ns = rdl_deadline_in_ns(20000000)};
    assert_int_equal(rdl_buffer_new(device, 6 * MIB, &wait, &more, NULL), RDL_ERR_DEADLINE);
    rdl_buffer_release(held);
    more = buffer(device, 6 * MIB);
    rdl_buffer_release(more);
    close_device(device);
}

static void memory_raised_limit_serves_who_waits(void **state)
{
    (void)state;
    struct waiting waiting = {.device = open_limited("cpu", 8 * MIB), .size = 6 * MIB};
    struct rdl_buffer *held = buffer(waiting.device, 5 * MIB);
    struct waiter waiter = {&waiting, 0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_memory, &waiter), 0);
    while (memory_waiters(waiting.device) != 1)
        test_pause_ms(1);
    assert_int_equal(rdl_memory_set_limit(waiting.device, 16 * MIB), RDL_OK);
    (void)pthread_join(thread, NULL);
    assert_int_equal(waiting.served, 1);
    rdl_buffer_release(held);
    close_device(waiting.device);
}

static void memory_survives_its_device(void **state)
{
    (void)state;
    struct rdl_device device = open_limited("cpu", 0);
    struct rdl_buffer *held = buffer(device, 1000);
    close_device(device);
    memset(rdl_buffer_data(held), 5, 1000);
    rdl_buffer_release(held); /* and the device goes with it */
}

/* Threads that allocate, pass buffers to each other and free them, with trims in between. */
struct swap {
    struct rdl_device device;
    _Atomic(struct rdl_buffer *) slots[32];
};

static void swap(unsigned index, void *shared)
{
    struct swap *all = shared;
    uint64_t random = index + 1;
    for (unsigned i = 0; i < 3000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const size_t size = (size_t)1 << (random >> 40) % 18;
        struct rdl_buffer *mine;
        CHECK(rdl_buffer_new(all->device, size, NULL, &mine, NULL) == RDL_OK);
        if (mine == NULL)
            continue;
        memset(rdl_buffer_data(mine), (int)(size % 251), size);
        struct rdl_buffer *old = atomic_exchange(&all->slots[(random >> 20) % 32], mine);
        if (old != NULL) {
            const unsigned char *data = rdl_buffer_data(old);
            const size_t n = rdl_buffer_size(old);
            CHECK(data[0] == n % 251 && data[n - 1] == n % 251);
            rdl_buffer_release(old);
        }
        if (i % 500 == 499)
            CHECK(rdl_memory_trim(all->device, NULL) == RDL_OK);
    }
}

static void memory_passes_between_threads(void **state)
{
    (void)state;
    struct swap shared = {.device = open_limited("cpu", 0)};
    assert_int_equal(test_run_threads(6, swap, &shared), 0);
    for (int i = 0; i < 32; i++)
        rdl_buffer_release(shared.slots[i]);
    assert_int_equal(stat(shared.device, RDL_MEMORY_STAT_ALLOCATION_CURRENT), 0);
    assert_int_equal(rdl_memory_trim(shared.device, NULL), RDL_OK);
    assert_int_equal(stat(shared.device, RDL_MEMORY_STAT_RESERVED_BYTES_CURRENT), 0);
    close_device(shared.device);
}

static void memory_in_the_cache_of_a_held_stream_is_reached(void **state)
{
    (void)state;
    const size_t size = (size_t)1 << 20;
    struct rdl_device device = open_limited("cpu", 2 * size);
    struct rdl_buffer_options options = {.size = sizeof options};
    struct rdl_buffer *one, *two, *both;
    assert_int_equal(rdl_stream_default(device, &options.stream, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(device, size, &options, &one, NULL), RDL_OK);
    assert_int_equal(rdl_buffer_new(device, size, &options, &two, NULL), RDL_OK);
    rdl_buffer_release(one);
    rdl_buffer_release(two);
    assert_int_equal(rdl_buffer_new(device, size, &options, &one, NULL), RDL_OK);
    rdl_buffer_release(one); /* the other one lies where the stream's owner cached it */
    assert_int_equal(rdl_buffer_new(device, 2 * size, NULL, &both, NULL), RDL_OK);
    rdl_buffer_release(both);
    close_device(device);
}

struct last {
    struct rdl_buffer *buffers[6];
};

static void free_last(unsigned index, void *shared)
{
    rdl_buffer_release(((struct last *)shared)->buffers[index]);
}

/* The last blocks of a closed device come back at once; the device ends, once, behind all of them. */
static void memory_freed_by_many_ends_its_device_once(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct rdl_device device = open_limited(round % 2 == 0 ? "cpu" : "sim", 0);
        struct last last;
        for (int i = 0; i < 6; i++)
            assert_int_equal(rdl_buffer_new(device, 5000, NULL, &last.buffers[i], NULL), RDL_OK);
        close_device(device);
        assert_int_equal(test_run_threads(6, free_last, &last), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_apart_aligned_and_reused),
        cmocka_unit_test(memory_pieces_join_when_freed),
        cmocka_unit_test(memory_over_the_limit_says_who_holds_it),
        cmocka_unit_test(memory_never_to_be_had_fails_at_once),
        cmocka_unit_test(memory_waits_are_served_in_order),
        cmocka_unit_test(memory_wait_ends_at_its_deadline),
        cmocka_unit_test(memory_raised_limit_serves_who_waits),
        cmocka_unit_test(memory_survives_its_device),
        cmocka_unit_test(memory_passes_between_threads),
        cmocka_unit_test(memory_in_the_cache_of_a_held_stream_is_reached),
        cmocka_unit_test(memory_freed_by_many_ends_its_device_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
