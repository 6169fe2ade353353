/*
 * The memory planner: places that never clash, close to the least that lives at once.
 */
#include "base/mem.h"
#include "graph/memory_plan.h"
#include "support/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t padded(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

static bool live_together(const struct rdl__memory_buffer *a, const struct rdl__memory_buffer *b)
{
    return a->first_use <= b->last_use && b->first_use <= a->last_use;
}

static bool clash(const struct rdl__memory_buffer *a, const struct rdl__memory_buffer *b)
{
    return live_together(a, b) && a->size_bytes > 0 && b->size_bytes > 0 &&
           a->offset_bytes < b->offset_bytes + b->size_bytes &&
           b->offset_bytes < a->offset_bytes + a->size_bytes;
}

/* The most bytes that live in one step: no plan is smaller. */
static size_t largest_live(const struct rdl__memory_buffer *buffers, uint32_t n, uint32_t n_steps)
{
    size_t most = 0;
    for (uint32_t step = 0; step < n_steps; step++) {
        size_t live = 0;
        for (uint32_t i = 0; i < n; i++)
            if (buffers[i].first_use <= step && step <= buffers[i].last_use)
                live += padded(buffers[i].size_bytes);
        most = live > most ? live : most;
    }
    return most;
}

static void assert_plan(const struct rdl__memory_buffer *buffers, uint32_t n, size_t total)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(buffers[i].offset_bytes % RDL_ALIGN, 0);
        assert_true(buffers[i].offset_bytes + buffers[i].size_bytes <= total);
        for (uint32_t k = 0; k < i; k++)
            assert_false(clash(&buffers[i], &buffers[k]));
    }
}

static size_t plan(struct rdl__memory_buffer *buffers, uint32_t n)
{
    size_t total = 1;
    assert_int_equal(rdl__memory_plan(buffers, n, &total, NULL), RDL_OK);
    return total;
}

static void memory_plan_nothing_takes_nothing(void **state)
{
    (void)state;
    struct rdl__memory_buffer empty[2] = {{0, 0, 5, 77}, {0, 3, 3, 77}};
    assert_int_equal(plan(NULL, 0), 0);
    assert_int_equal(plan(empty, 2), 0);
    assert_int_equal(empty[0].offset_bytes, 0);
}

static void memory_plan_chain_alternates_between_two_places(void **state)
{
    (void)state;
    struct rdl__memory_buffer chain[10];
    for (uint32_t i = 0; i < 10; i++)
        chain[i] =
            (struct rdl__memory_buffer){.size_bytes = 100, .first_use = i, .last_use = i + 1};
    assert_int_equal(plan(chain, 10), 256);
    assert_plan(chain, 10, 256);
}

static void memory_plan_takes_the_smallest_gap(void **state)
{
    (void)state;
    /* Below the middle one of three that always live a gap of 640 opens in step 5, above it one of
     * 512: the last buffer belongs into the latter. */
    struct rdl__memory_buffer buffers[] = {
        {1024, 0, 9, 0}, {640, 0, 4, 0}, {600, 0, 9, 0},
        {512, 0, 4, 0},  {448, 0, 9, 0}, {320, 5, 9, 0},
    };
    const size_t total = plan(buffers, 6);
    assert_plan(buffers, 6, total);
    assert_int_equal(total, 1024 + 640 + 640 + 512 + 448);
    assert_int_equal(buffers[5].offset_bytes, buffers[3].offset_bytes);
}

static void memory_plan_uses_both_ends_of_a_life(void **state)
{
    (void)state;
    /* In use in the step that reads last and in the one that writes first: the same step clashes. */
    struct rdl__memory_buffer buffers[] = {{64, 0, 3, 0}, {64, 3, 5, 0}, {64, 4, 9, 0}};
    assert_int_equal(plan(buffers, 3), 128);
    assert_plan(buffers, 3, 128);
}

static void memory_plan_overflow_is_refused(void **state)
{
    (void)state;
    struct rdl_error error;
    size_t total;
    struct rdl__memory_buffer huge[] = {{SIZE_MAX - 200, 0, 1, 0}, {300, 1, 2, 0}};
    assert_int_equal(rdl__memory_plan(huge, 2, &total, &error), RDL_ERR_OVERFLOW);
    assert_string_equal(error.message,
                        "memory plan: a buffer of 300 bytes beside those that live with it does "
                        "not fit into the address space");
    struct rdl__memory_buffer padding[] = {{SIZE_MAX - 10, 0, 1, 0}};
    assert_int_equal(rdl__memory_plan(padding, 1, &total, &error), RDL_ERR_OVERFLOW);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void memory_plan_random_lives_never_clash(void **state)
{
    (void)state;
    enum { MOST = 120, STEPS = 60, CASES = 2000 };
    double worst = 1, sum = 0;
    for (uint64_t seed = 0; seed < CASES; seed++) {
        struct rdl__memory_buffer buffers[MOST], again[MOST];
        uint64_t random = seed;
        const uint32_t n = 1 + (uint32_t)(next_random(&random) % MOST);
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t first = (uint32_t)(next_random(&random) % STEPS);
            const uint32_t length = (uint32_t)(next_random(&random) % (seed % 3 == 0 ? STEPS : 4));
            const uint32_t last = first + length < STEPS ? first + length : STEPS - 1;
            const size_t size = next_random(&random) % (seed % 2 == 0 ? 200 : 100000);
            buffers[i] = (struct rdl__memory_buffer){size, first, last, 0};
        }
        memcpy(again, buffers, sizeof again);
        const size_t total = plan(buffers, n);
        assert_plan(buffers, n, total);
        const size_t least = largest_live(buffers, n, STEPS);
        assert_true(total >= least);
        if (least > 0) {
            const double ratio = (double)total / (double)least;
            worst = ratio > worst ? ratio : worst;
            sum += ratio;
        }
        assert_int_equal(plan(again, n), total);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(again[i].offset_bytes, buffers[i].offset_bytes);
    }
    printf("# total / largest live sum: mean %.3f, worst %.3f\n", sum / CASES, worst);
    assert_true(worst < 1.6);
    assert_true(sum / CASES < 1.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_plan_nothing_takes_nothing),
        cmocka_unit_test(memory_plan_chain_alternates_between_two_places),
        cmocka_unit_test(memory_plan_takes_the_smallest_gap),
        cmocka_unit_test(memory_plan_uses_both_ends_of_a_life),
        cmocka_unit_test(memory_plan_overflow_is_refused),
        cmocka_unit_test(memory_plan_random_lives_never_clash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
