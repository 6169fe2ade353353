/*
 * Shape arithmetic: checks, products, strides, broadcasting, text.
 */
#include "support/cmocka.h"

#include "tensor/shape.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static struct rdl__shape shape(int32_t rank, const int64_t *dims)
{
    struct rdl__shape out;
    rdl__shape_set(&out, rank, dims);
    return out;
}

static void shape_check_bounds(void **state)
{
    (void)state;
    struct rdl_error error;
    assert_int_equal(rdl__shape_check(0, NULL, NULL), RDL_OK);
    assert_int_equal(rdl__shape_check(8, DIMS(1, 2, 3, 4, 5, 6, 7, 8), NULL), RDL_OK);
    assert_int_equal(rdl__shape_check(9, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), NULL), RDL_ERR_SHAPE);
    /* Elements times 16 is what must fit. */
    assert_int_equal(rdl__shape_check(1, DIMS(INT64_MAX / 16), NULL), RDL_OK);
    assert_int_equal(rdl__shape_check(1, DIMS(INT64_MAX / 16 + 1), &error), RDL_ERR_OVERFLOW);
    assert_string_equal(error.message,
                        "size of dimension 0 (576460752303423488) overflows the size");
    assert_int_equal(rdl__shape_check(3, DIMS(INT64_MAX / 16, 1, 1), NULL), RDL_OK);
    assert_int_equal(rdl__shape_check(2, DIMS(INT64_C(1) << 32, INT64_C(1) << 31), NULL),
                     RDL_ERR_OVERFLOW);
    /* Negative comes before overflow: it is the plainer fault. */
    assert_int_equal(rdl__shape_check(2, DIMS(INT64_MAX, -1), NULL), RDL_ERR_SHAPE);
}

static void shape_set_zeroes_the_rest(void **state)
{
    (void)state;
    struct rdl__shape a = shape(2, DIMS(3, 4)), b = shape(2, DIMS(3, 4));
    assert_memory_equal(&a, &b, sizeof a);
    for (int i = 2; i < RDL_MAX_RANK; i++)
        assert_int_equal(a.dims[i], 0);
    b = shape(3, DIMS(3, 4, 0));
    assert_true(rdl__shape_equal(&a, &a));
    assert_false(rdl__shape_equal(&a, &b)); /* the rank counts */
    b = shape(2, DIMS(3, 5));
    assert_false(rdl__shape_equal(&a, &b));
}

static void shape_products_and_strides(void **state)
{
    (void)state;
    const struct rdl__shape a = shape(4, DIMS(2, 3, 4, 5)), scalar = shape(0, NULL),
                            empty = shape(3, DIMS(2, 0, 4));
    int64_t strides[RDL_MAX_RANK];
    assert_int_equal(rdl__shape_count(&a), 120);
    assert_int_equal(rdl__shape_count(&scalar), 1);
    assert_int_equal(rdl__shape_count(&empty), 0);
    assert_int_equal(rdl__shape_product(&a, 1, 3), 12);
    assert_int_equal(rdl__shape_product(&a, 2, 2), 1);
    rdl__shape_strides(&a, strides);
    assert_memory_equal(strides, DIMS(60, 20, 5, 1), 4 * sizeof(int64_t));
}

static void expect_broadcast(struct rdl__shape a, struct rdl__shape b, struct rdl__shape expected)
{
    struct rdl__shape out;
    assert_int_equal(rdl__shape_broadcast(&a, &b, &out, NULL), RDL_OK);
    assert_true(rdl__shape_equal(&out, &expected));
    assert_int_equal(rdl__shape_broadcast(&b, &a, &out, NULL), RDL_OK);
    assert_true(rdl__shape_equal(&out, &expected));
}

static void shape_broadcast_follows_numpy(void **state)
{
    (void)state;
    expect_broadcast(shape(0, NULL), shape(2, DIMS(2, 3)), shape(2, DIMS(2, 3)));
    expect_broadcast(shape(1, DIMS(3)), shape(2, DIMS(2, 3)), shape(2, DIMS(2, 3)));
    expect_broadcast(shape(3, DIMS(4, 1, 3)), shape(2, DIMS(2, 1)), shape(3, DIMS(4, 2, 3)));
    expect_broadcast(shape(2, DIMS(1, 3)), shape(2, DIMS(0, 3)), shape(2, DIMS(0, 3)));
    const struct rdl__shape a = shape(2, DIMS(2, 3)), b = shape(1, DIMS(2));
    struct rdl__shape out;
    struct rdl_error error;
    assert_int_equal(rdl__shape_broadcast(&a, &b, &out, &error), RDL_ERR_SHAPE);
    assert_string_equal(error.message, "shapes [2, 3] and [2] do not broadcast");
    const struct rdl__shape wide = shape(2, DIMS(1, INT64_C(1) << 50)),
                            high = shape(2, DIMS(INT64_C(1) << 50, 1));
    assert_int_equal(rdl__shape_broadcast(&wide, &high, &out, NULL), RDL_ERR_OVERFLOW);
}

static void shape_text_is_cut_and_never_overflows(void **state)
{
    (void)state;
    const struct rdl__shape a = shape(3, DIMS(2, 30, 400)), scalar = shape(0, NULL);
    char text[RDL__SHAPE_TEXT_BYTES];
    assert_string_equal(rdl__shape_text(&a, text, sizeof text), "[2, 30, 400]");
    assert_string_equal(rdl__shape_text(&scalar, text, sizeof text), "[]");
    for (size_t size = 1; size < 14; size++) {
        char cut[16] = {0};
        (void)rdl__shape_text(&a, cut, size);
        assert_memory_equal(cut, "[2, 30, 400]", size - 1);
        assert_int_equal(cut[size - 1], 0);
    }
    const int64_t most = INT64_MIN;
    const struct rdl__shape longest =
        shape(8, DIMS(most, most, most, most, most, most, most, most));
    (void)rdl__shape_text(&longest, text, sizeof text);
    assert_int_equal(text[8 * 22 - 1], ']'); /* whole */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_check_bounds),
        cmocka_unit_test(shape_set_zeroes_the_rest),
        cmocka_unit_test(shape_products_and_strides),
        cmocka_unit_test(shape_broadcast_follows_numpy),
        cmocka_unit_test(shape_text_is_cut_and_never_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
