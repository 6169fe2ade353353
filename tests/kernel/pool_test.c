/*
 * LpPool, GlobalLpPool and MaxUnpool, with values worked out by hand; and nodes that must be refused.
 */
#include "op_driver.h"

static void lp_pool_is_the_norm_of_its_window(void **state)
{
    (void)state;
    const float x[6] = {3, -4, 0, 12, 5, 1}, cubes[4] = {1, -1, 1, 1};
    const double wide[3] = {3, -4, 12};
    struct op_case c;
    op_begin(&c, "LpPool", 18);
    op_ints(&c, "kernel_shape", 2, (int64_t)2, (int64_t)2);
    op_input(&c, RDL_F32, x, 4, 1, 1, 2, 3);
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 1, 1, 1, 2);
    test_close((float[]){sqrtf(9 + 16 + 144 + 25), sqrtf(16 + 25 + 1)}, c.data[0], 2, 1e-6, 0, "");
    op_end(&c);
    op_begin(&c, "LpPool", 11); /* what is outside adds nothing */
    op_int(&c, "p", 1);
    op_ints(&c, "kernel_shape", 1, (int64_t)2);
    op_ints(&c, "pads", 2, (int64_t)1, (int64_t)1);
    op_input(&c, RDL_F64, wide, 3, 1, 1, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((double[]){3, 7, 16, 12}), 32);
    op_end(&c);
    op_begin(&c, "LpPool", 22);
    op_int(&c, "p", 3);
    op_ints(&c, "kernel_shape", 3, (int64_t)1, (int64_t)2, (int64_t)2);
    op_input(&c, RDL_F32, cubes, 5, 1, 1, 1, 2, 2);
    op_run_both(&c);
    test_close((float[]){cbrtf(4)}, c.data[0], 1, 1e-6, 0, "p of 3");
    op_end(&c);
    op_begin(&c, "GlobalLpPool", 2);
    op_input(&c, RDL_F32, x, 3, 1, 2, 3);
    op_run_both(&c);
    op_expect_dims(&c, 0, 3, 1, 2, 1);
    test_close((float[]){5, sqrtf(170)}, c.data[0], 2, 1e-6, 0, "global");
    op_end(&c);
}

static void unpool_case(struct op_case *c, const int64_t *indices)
{
    static const float x[2] = {7, 8};
    op_begin(c, "MaxUnpool", 11);
    op_ints(c, "kernel_shape", 2, (int64_t)2, (int64_t)2);
    op_ints(c, "strides", 2, (int64_t)2, (int64_t)2);
    op_input(c, RDL_F32, x, 4, 1, 1, 1, 2);
    op_input(c, RDL_I64, indices, 4, 1, 1, 1, 2);
}

static void max_unpool_puts_elements_back(void **state)
{
    (void)state;
    static const int64_t indices[2] = {5, 2}, larger[4] = {1, 1, 3, 5}, smaller[4] = {1, 1, 1, 4};
    struct op_case c;
    unpool_case(&c, indices);
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 1, 1, 2, 4);
    assert_memory_equal(c.data[0], ((float[]){0, 0, 8, 0, 0, 7, 0, 0}), 32);
    op_end(&c);
    unpool_case(&c, indices); /* indices still count through [2, 4] */
    op_input(&c, RDL_I64, larger, 1, 4);
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 1, 1, 3, 5);
    assert_memory_equal(c.data[0], ((float[]){0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0}), 60);
    op_end(&c);
    unpool_case(&c, indices);
    op_input(&c, RDL_I64, smaller, 1, 4);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){0, 0, 8, 0}), 16);
    op_end(&c);
}

static void max_unpool_undoes_max_pool_in_three_dimensions(void **state)
{
    (void)state;
    const double x[16] = {1, 2, 3, 4, 5, 6, 7, 8, 1, 9, 1, 1, 1, 1, 1, 1};
    struct op_case c, d;
    op_begin(&c, "MaxPool", 11);
    c.n_outputs = 2;
    op_ints(&c, "kernel_shape", 3, (int64_t)2, (int64_t)2, (int64_t)2);
    op_input(&c, RDL_F64, x, 5, 1, 2, 2, 2, 2);
    op_run_both(&c);
    op_begin(&d, "MaxUnpool", 9);
    op_ints(&d, "kernel_shape", 3, (int64_t)2, (int64_t)2, (int64_t)2);
    op_input(&d, RDL_F64, c.data[0], 5, 1, 2, 1, 1, 1);
    op_input(&d, RDL_I64, c.data[1], 5, 1, 2, 1, 1, 1);
    op_run_both(&d);
    assert_memory_equal(d.data[0], ((double[16]){[7] = 8, [9] = 9}), sizeof x);
    op_end(&c);
    op_end(&d);
}

static void bad_pools_are_refused(void **state)
{
    (void)state;
    static const int64_t good[2] = {0, 1}, beyond[2] = {0, 8}, negative[2] = {-1, 0};
    const float x[4] = {0};
    struct op_case c;
    op_begin(&c, "LpPool", 11);
    op_int(&c, "p", 0);
    op_ints(&c, "kernel_shape", 1, (int64_t)2);
    op_input(&c, RDL_F32, x, 3, 1, 1, 4);
    op_fails(&c, RDL_ERR_MODEL, "p is 0");
    op_begin(&c, "GlobalLpPool", 2);
    op_int(&c, "p", -1);
    op_input(&c, RDL_F32, x, 3, 1, 1, 4);
    op_fails(&c, RDL_ERR_MODEL, "p is -1");
    unpool_case(&c, beyond);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    unpool_case(&c, negative);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    unpool_case(&c, good);
    c.in[1].shape.dims[3] = 1;
    op_fails(&c, RDL_ERR_SHAPE, "another shape");
    unpool_case(&c, good);
    c.in[1].dtype = RDL_I32;
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 1: dtype i32");
    unpool_case(&c, good);
    c.in[0].dtype = RDL_I8;
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype i8");
    unpool_case(&c, good);
    op_input(&c, RDL_I64, good, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "2 elements, expected 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lp_pool_is_the_norm_of_its_window),
        cmocka_unit_test(max_unpool_puts_elements_back),
        cmocka_unit_test(max_unpool_undoes_max_pool_in_three_dimensions),
        cmocka_unit_test(bad_pools_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
