/*
 * Percentiles stay within the width of a bucket, 1/64.
 */
#include "cli/histogram.h"
#include "support/cmocka.h"

#include <stdlib.h>
#include <string.h>

static struct histogram histogram;

static int setup(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    return 0;
}

static void assert_near(uint64_t value, uint64_t wanted)
{
    uint64_t slack = wanted / 64 + 1;
    assert_in_range(value, wanted > slack ? wanted - slack : 0, wanted + slack);
}

static void quantile_empty_zero(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
}

static void quantile_small_values_exact(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 50; i++)
        histogram_add(&histogram, i);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 24);
    assert_int_equal(histogram_quantile(&histogram, 1.0), 49);
    assert_int_equal(histogram.total, 50);
}

static void quantile_uniform_within_a_bucket(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_add(&histogram, i * 10);
    assert_near(histogram_quantile(&histogram, 0.50), 500000);
    assert_near(histogram_quantile(&histogram, 0.99), 990000);
}

static void add_every_power_within_a_bucket(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int step = -1; step <= 1; step++) {
            uint64_t value = (UINT64_C(1) << shift) + (uint64_t)(int64_t)step;
            memset(&histogram, 0, sizeof histogram);
            histogram_add(&histogram, value);
            uint64_t got = histogram_quantile(&histogram, 0.5);
            uint64_t distance = got > value ? got - value : value - got;
            assert_true(distance <= value / 64 + 1);
        }
    }
}

static void merge_two_adds_counts(void **state)
{
    (void)state;
    struct histogram *other = calloc(1, sizeof *other);
    assert_non_null(other);
    histogram_add(&histogram, 10);
    histogram_add(other, 20);
    histogram_add(other, 20);
    histogram_merge(&histogram, other);
    free(other);
    assert_int_equal(histogram.total, 3);
    assert_int_equal(histogram_quantile(&histogram, 0.3), 10);
    assert_int_equal(histogram_quantile(&histogram, 0.9), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(quantile_empty_zero, setup),
        cmocka_unit_test_setup(quantile_small_values_exact, setup),
        cmocka_unit_test_setup(quantile_uniform_within_a_bucket, setup),
        cmocka_unit_test_setup(add_every_power_within_a_bucket, setup),
        cmocka_unit_test_setup(merge_two_adds_counts, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
