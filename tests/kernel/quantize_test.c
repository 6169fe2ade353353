/*
 * Quantised operators, with values worked out by hand or by plain loops; and nodes that must be refused.
 */
#include "op_driver.h"

static void quantize_rounds_to_even_and_saturates(void **state)
{
    (void)state;
    const float x[9] = {0, 1, 3, 5, -1, 600, -600, NAN, INFINITY}, scale[1] = {2};
    const uint8_t zero[1] = {10};
    const int8_t low[1] = {-3};
    const int16_t wide[1] = {0};
    struct op_case c;
    op_begin(&c, "QuantizeLinear", 10);
    op_input(&c, RDL_F32, x, 1, 9);
    op_input(&c, RDL_F32, scale, 0);
    op_input(&c, RDL_U8, zero, 0);
    op_run_both(&c);
    assert_int_equal(RDL_U8, c.out[0].dtype);
    assert_memory_equal(c.data[0], ((uint8_t[]){10, 10, 12, 12, 10, 255, 0, 10, 255}), 9);
    op_end(&c);
    op_begin(&c, "QuantizeLinear", 19);
    op_input(&c, RDL_F32, x, 1, 9);
    op_input(&c, RDL_F32, scale, 1, 1);
    op_input(&c, RDL_I8, low, 1, 1);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int8_t[]){-3, -3, -1, -1, -3, 127, -128, -3, 127}), 9);
    op_end(&c);
    op_begin(&c, "QuantizeLinear", 21);
    op_input(&c, RDL_F32, x, 1, 7);
    op_input(&c, RDL_F32, scale, 0);
    op_input(&c, RDL_I16, wide, 0);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int16_t[]){0, 0, 2, 2, 0, 300, -300}), 14);
    op_end(&c);
    const int32_t whole[2] = {7, 140000};
    op_begin(&c, "QuantizeLinear", 21);
    op_int(&c, "output_dtype", RDL_U16);
    op_input(&c, RDL_I32, whole, 1, 2);
    op_input(&c, RDL_F32, scale, 0);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((uint16_t[]){4, 65535}), 4);
    op_end(&c);
}

static void quantize_takes_scales_by_axis_and_block(void **state)
{
    (void)state;
    const float x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, scale[6] = {1, 2, 4, 0.5f, 3, 1};
    const int8_t zero[3] = {0, 100, -100};
    struct op_case c;
    op_begin(&c, "QuantizeLinear", 13); /* [2, 3, 2], axis 1 */
    op_int(&c, "axis", -2);
    op_input(&c, RDL_F32, x, 3, 2, 3, 2);
    op_input(&c, RDL_F32, scale, 1, 3);
    op_input(&c, RDL_I8, zero, 1, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int8_t[]){1, 2, 102, 102, -99, -98, 7, 8, 104, 105, -97, -97}),
                        12);
    op_end(&c);
    const uint8_t q[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    op_begin(&c, "DequantizeLinear", 21); /* [3, 3], blocks of 2 along axis 0 */
    op_int(&c, "axis", 0);
    op_int(&c, "block_size", 2);
    op_input(&c, RDL_U8, q, 2, 3, 3);
    op_input(&c, RDL_F32, scale, 2, 2, 3);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){1, 4, 12, 4, 10, 24, 3.5f, 24, 9}), 36);
    op_end(&c);
    const int32_t big[2] = {INT32_MIN, 5}, far[1] = {1};
    op_begin(&c, "DequantizeLinear", 10);
    op_input(&c, RDL_I32, big, 1, 2);
    op_input(&c, RDL_F32, scale, 0);
    op_input(&c, RDL_I32, far, 0);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){-2147483649.0f, 4}), 8);
    op_end(&c);
}

static void dynamic_quantize_spans_zero(void **state)
{
    (void)state;
    const float x[4] = {-1, 0, 1.5f, 0.25f}, zeros[2] = {0, 0};
    struct op_case c;
    op_begin(&c, "DynamicQuantizeLinear", 11);
    c.n_outputs = 3;
    op_input(&c, RDL_F32, x, 1, 4);
    op_run_both(&c);
    assert_float_equal(((float *)c.data[1])[0], 2.5f / 255, 1e-9);
    assert_memory_equal(c.data[2], ((uint8_t[]){102}), 1);
    assert_memory_equal(c.data[0], ((uint8_t[]){0, 102, 255}), 3);
    op_end(&c);
    op_begin(&c, "DynamicQuantizeLinear", 11);
    c.n_outputs = 3;
    op_input(&c, RDL_F32, zeros, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((uint8_t[]){0, 0}), 2);
    op_end(&c);
}

static void integer_products_subtract_zero_points(void **state)
{
    (void)state;
    const uint8_t a[6] = {11, 7, 3, 10, 6, 2}, a_zero[1] = {12};
    const int8_t b[6] = {1, 4, -2, 5, 3, 6}, b_zero[2] = {0, 1};
    struct op_case c;
    op_begin(&c, "MatMulInteger", 10);
    op_input(&c, RDL_U8, a, 2, 2, 3);
    op_input(&c, RDL_I8, b, 2, 3, 2);
    op_input(&c, RDL_U8, a_zero, 1, 1);
    op_input(&c, RDL_I8, b_zero, 1, 2);
    op_run_both(&c);
    /* rows -1, -5, -9 and -2, -6, -10; columns 1, -2, 3 and 3, 4, 5 */
    assert_memory_equal(c.data[0], ((int32_t[]){-18, -68, -20, -80}), 16);
    op_end(&c);
    op_begin(&c, "MatMulInteger", 10); /* a batch; zero points absent, or by row */
    const uint8_t rows[2] = {1, 2}, rows_b[4] = {1, 2, 3, 4};
    op_input(&c, RDL_U8, a, 3, 3, 2, 1);
    op_input(&c, RDL_U8, rows_b, 2, 1, 2);
    op_input(&c, RDL_U8, rows, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int32_t[]){10, 20, 5, 10, 2, 4, 8, 16, 5, 10, 0, 0}), 48);
    op_end(&c);
}

static void linear_products_are_scaled(void **state)
{
    (void)state;
    const uint8_t a[4] = {3, 5, 2, 200}, zero[1] = {1}, y_zero[1] = {100};
    const int8_t b[4] = {1, -2, 3, 4}, b_zero[1] = {0};
    const float a_scale[1] = {0.5f}, b_scale[2] = {2, 1}, y_scale[1] = {4};
    struct op_case c;
    op_begin(&c, "QLinearMatMul", 21);
    op_input(&c, RDL_U8, a, 2, 2, 2);
    op_input(&c, RDL_F32, a_scale, 0);
    op_input(&c, RDL_U8, zero, 0);
    op_input(&c, RDL_I8, b, 2, 2, 2);
    op_input(&c, RDL_F32, b_scale, 1, 2);
    op_input(&c, RDL_I8, b_zero, 0);
    op_input(&c, RDL_F32, y_scale, 0);
    op_input(&c, RDL_U8, y_zero, 0);
    op_run_both(&c);
    /* sums 14, 12 and 598, 794; times 1/4 and 1/8 */
    assert_memory_equal(c.data[0], ((uint8_t[]){104, 102, 250, 199}), 4);
    op_end(&c);
}

static void integer_convolutions_pad_with_the_zero_point(void **state)
{
    (void)state;
    const uint8_t x[8] = {2, 3, 4, 5, 12, 13, 14, 15}, zero[1] = {1}, y_zero[1] = {128};
    const int8_t w[4] = {1, 2, -1, 3}, w_zero[2] = {0, 1};
    const float scale[1] = {1}, w_scale[2] = {0.5f, 2};
    const int32_t bias[2] = {10, -1};
    struct op_case c;
    op_begin(&c, "ConvInteger", 10); /* two groups of one channel, width 4, one place before */
    op_int(&c, "group", 2);
    op_ints(&c, "pads", 2, (int64_t)1, (int64_t)0);
    op_input(&c, RDL_U8, x, 3, 1, 2, 4);
    op_input(&c, RDL_I8, w, 3, 2, 1, 2);
    op_input(&c, RDL_U8, zero, 0);
    op_input(&c, RDL_I8, w_zero, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int32_t[]){2, 5, 8, 11, 22, 2, 2, 2}), 32);
    op_end(&c);
    op_begin(&c, "QLinearConv", 10);
    op_int(&c, "group", 2);
    op_ints(&c, "pads", 2, (int64_t)1, (int64_t)0);
    op_input(&c, RDL_U8, x, 3, 1, 2, 4);
    op_input(&c, RDL_F32, scale, 0);
    op_input(&c, RDL_U8, zero, 0);
    op_input(&c, RDL_I8, w, 3, 2, 1, 2);
    op_input(&c, RDL_F32, w_scale, 1, 2);
    op_input(&c, RDL_I8, w_zero, 1, 2);
    op_input(&c, RDL_F32, scale, 0);
    op_input(&c, RDL_U8, y_zero, 0);
    op_input(&c, RDL_I32, bias, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((uint8_t[]){134, 136, 137, 138, 170, 130, 130, 130}), 8);
    op_end(&c);
}

static void quantized_nothing_is_nothing(void **state)
{
    (void)state;
    const float none[1] = {0}, scale[1] = {1};
    const uint8_t bytes[4] = {0};
    struct op_case c;
    op_begin(&c, "DynamicQuantizeLinear", 11);
    c.n_outputs = 3;
    op_input(&c, RDL_F32, none, 1, 0);
    op_run_both(&c);
    assert_memory_equal(c.data[1], scale, 4);
    op_end(&c);
    op_begin(&c, "MatMulInteger", 10); /* no depth */
    op_input(&c, RDL_U8, bytes, 2, 1, 0);
    op_input(&c, RDL_U8, bytes, 2, 0, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((int32_t[]){0, 0}), 8);
    op_end(&c);
}

/* QuantizeLinear of [2, 3] with three scales. */
static void small_case(struct op_case *c, int64_t opset)
{
    static const float x[6] = {0}, scale[6] = {1, 1, 1, 1, 1, 1};
    op_begin(c, "QuantizeLinear", opset);
    op_input(c, RDL_F32, x, 2, 2, 3);
    op_input(c, RDL_F32, scale, 1, 3);
}

static void bad_quantized_nodes_are_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[16] = {0};
    struct op_case c;
    small_case(&c, 10);
    op_int(&c, "axis", 1);
    op_fails(&c, RDL_ERR_MODEL, "\"axis\" is not known");
    small_case(&c, 19);
    op_int(&c, "block_size", 1);
    op_fails(&c, RDL_ERR_MODEL, "\"block_size\" is not known");
    small_case(&c, 21);
    op_int(&c, "block_size", -1);
    op_fails(&c, RDL_ERR_MODEL, "block_size is -1");
    small_case(&c, 21);
    op_int(&c, "block_size", 2);
    op_fails(&c, RDL_ERR_SHAPE, "[3] does not fit [2, 3] along axis 1 in blocks of 2");
    small_case(&c, 21);
    op_int(&c, "axis", 0);
    op_fails(&c, RDL_ERR_SHAPE, "[3] does not fit [2, 3] along axis 0");
    small_case(&c, 21);
    op_int(&c, "axis", 2);
    op_fails(&c, RDL_ERR_SHAPE, "axis 2 is outside rank 2");
    small_case(&c, 21);
    op_int(&c, "output_dtype", 22);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "output_dtype = 22 is not supported");
    small_case(&c, 21);
    op_int(&c, "output_dtype", RDL_I8);
    op_input(&c, RDL_U8, bytes, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "output_dtype = 3");
    small_case(&c, 23);
    op_int(&c, "precision", RDL_F16);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "precision = 10");
    small_case(&c, 13);
    op_input(&c, RDL_U8, bytes, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "input 2 (zero point): another number");
    small_case(&c, 13);
    op_input(&c, RDL_F32, bytes, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 2: dtype f32");
    small_case(&c, 13);
    c.in[0].dtype = RDL_F16;
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype f16");
    small_case(&c, 13);
    c.in[1].dtype = RDL_F16;
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 1: dtype f16");
    small_case(&c, 13);
    c.type = "DequantizeLinear";
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype f32");
    op_begin(&c, "MatMulInteger", 10);
    op_input(&c, RDL_U8, bytes, 2, 2, 3);
    op_input(&c, RDL_U8, bytes, 2, 2, 3);
    op_fails(&c, RDL_ERR_SHAPE, "inner dimensions differ");
    op_begin(&c, "MatMulInteger", 10);
    op_input(&c, RDL_U8, bytes, 2, 2, 3);
    op_input(&c, RDL_I16, bytes, 2, 3, 2);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 1: dtype i16");
    op_begin(&c, "MatMulInteger", 10);
    op_input(&c, RDL_U8, bytes, 2, 2, 3);
    op_input(&c, RDL_U8, bytes, 2, 3, 2);
    op_input(&c, RDL_I8, bytes, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "input 2 (zero point) is i8, input 0 is u8");
    op_begin(&c, "MatMulInteger", 10);
    op_input(&c, RDL_U8, bytes, 2, 2, 3);
    op_input(&c, RDL_U8, bytes, 2, 3, 2);
    op_input(&c, RDL_U8, bytes, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "input 2: shape [3], expected one number or 2");
    op_begin(&c, "ConvInteger", 10);
    op_int(&c, "group", -1);
    op_input(&c, RDL_U8, bytes, 3, 1, 2, 3);
    op_input(&c, RDL_U8, bytes, 3, 1, 2, 1);
    op_fails(&c, RDL_ERR_MODEL, "group is -1");
    op_begin(&c, "ConvInteger", 10);
    op_input(&c, RDL_U8, bytes, 3, 1, 2, 3);
    op_input(&c, RDL_U8, bytes, 3, 1, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "do not fit an input of 2 channels");
}

/* The extremes lie in parts of their own, and neither in the first. */
static void dynamic_range_joins_its_parts(void **state)
{
    (void)state;
    enum { N = 200000 };
    static float x[N];
    struct op_case c;
    x[100000] = -1.0f;
    x[N - 1] = 1.55f;
    op_begin(&c, "DynamicQuantizeLinear", 11);
    op_input(&c, RDL_F32, x, 1, N);
    c.n_outputs = 3;
    op_run_both(&c);
    assert_true(fabsf(*(float *)c.data[1] - 0.01f) < 1e-8f);
    assert_int_equal(100, *(uint8_t *)c.data[2]);
    assert_int_equal(0, ((uint8_t *)c.data[0])[100000]);
    assert_int_equal(100, ((uint8_t *)c.data[0])[0]);
    assert_int_equal(255, ((uint8_t *)c.data[0])[N - 1]);
    op_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dynamic_range_joins_its_parts),
        cmocka_unit_test(quantize_rounds_to_even_and_saturates),
        cmocka_unit_test(quantize_takes_scales_by_axis_and_block),
        cmocka_unit_test(dynamic_quantize_spans_zero),
        cmocka_unit_test(integer_products_subtract_zero_points),
        cmocka_unit_test(linear_products_are_scaled),
        cmocka_unit_test(integer_convolutions_pad_with_the_zero_point),
        cmocka_unit_test(quantized_nothing_is_nothing),
        cmocka_unit_test(bad_quantized_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
