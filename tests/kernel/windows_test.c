/*
 * Operators that slide a window, and norms, from node to numbers: against the same in float64, plain
 * loops, or values worked out by hand.
 */
#include "op_driver.h"

enum { COLUMN_PLACES = 37, COLUMN_KERNEL = 5 };

static void conv_lowers_every_kind(void **state)
{
    (void)state;
    enum { N = 2, H = 9, W = 11 };
    static const int kinds[][5] = {/* group, channels in, out, kernel, stride */
                                   {1, 4, 10, 3, 2}, {1, 5, 7, 1, 1}, {2, 4, 6, 3, 1},
                                   {4, 4, 4, 3, 1},  {4, 4, 8, 5, 2}, {1, 3, 8, 2, 1}};
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const int *s = kinds[i], in = s[1], out = s[2], k = s[3], depth = in / s[0] * k * k;
        float *x = test_random(&seed, N * in * H * W, test_unit);
        float *w = test_random(&seed, out * depth, test_unit);
        float *bias = test_random(&seed, out, test_unit);
        double *x64 = calloc(N * 8 * H * W, sizeof(double)), *w64 = calloc(4096, sizeof(double));
        double b64[16];
        assert_true(x64 != NULL && w64 != NULL);
        for (int e = 0; e < N * in * H * W; e++)
            x64[e] = (double)x[e];
        for (int e = 0; e < out * depth; e++)
            w64[e] = (double)w[e];
        for (int e = 0; e < out; e++)
            b64[e] = (double)bias[e];
        struct op_case c, d;
        op_begin(&c, "Conv", 11);
        op_int(&c, "group", s[0]);
        op_text(&c, "auto_pad", "SAME_UPPER");
        op_ints(&c, "strides", 2, (int64_t)s[4], (int64_t)s[4]);
        c.activation = (struct rdl__activation){RDL__ACT_HARD_SIGMOID, 0.2f, 0.5f};
        d = c;
        rdl__arena_init(&d.arena, SIZE_MAX);
        op_input(&c, RDL_F32, x, 4, N, in, H, W);
        op_input(&c, RDL_F32, w, 4, out, in / s[0], k, k);
        op_input(&c, RDL_F32, bias, 1, out);
        op_input(&d, RDL_F64, x64, 4, N, in, H, W);
        op_input(&d, RDL_F64, w64, 4, out, in / s[0], k, k);
        op_input(&d, RDL_F64, b64, 1, out);
        op_run_both(&c);
        op_run_both(&d);
        op_expect_dims(&c, 0, 4, N, out, (H + s[4] - 1) / s[4], (W + s[4] - 1) / s[4]);
        const int64_t count = (int64_t)rdl__shape_count(&c.out[0].shape);
        for (int64_t e = 0; e < count; e++)
            assert_true(fabs(((double *)d.data[0])[e] - (double)((float *)c.data[0])[e]) < 1e-5);
        op_end(&c);
        op_end(&d);
        free(x64);
        free(w64);
        test_floats_release(x);
        test_floats_release(w);
        test_floats_release(bias);
    }
}

static void conv_one_and_three_dimensions(void **state)
{
    (void)state;
    const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[2] = {1, 10}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct op_case c;
    op_begin(&c, "Conv", 22);
    op_ints(&c, "pads", 2, (int64_t)1, (int64_t)0);
    op_input(&c, RDL_F32, x, 3, 1, 1, 4);
    op_input(&c, RDL_F32, w, 3, 1, 1, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 3, 1, 1, 4);
    assert_memory_equal(c.data[0], ((float[]){10, 21, 32, 43}), 16);
    op_end(&c);
    op_begin(&c, "Conv", 1);
    op_input(&c, RDL_F32, x, 5, 1, 1, 2, 2, 2);
    op_input(&c, RDL_F32, ones, 5, 1, 1, 2, 2, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 5, 1, 1, 1, 1, 1);
    assert_true(((float *)c.data[0])[0] == 36.0f);
    op_end(&c);
}

/* Of a row: element (n, m, o) of a convolution padded by 2 in front. */
static double conv_row(const float *x, const float *w, const int *kind, int n, int m, int o)
{
    enum { H = COLUMN_PLACES, K = COLUMN_KERNEL };
    const int depth = kind[1] / kind[0], group = m / (kind[2] / kind[0]);
    double sum = 0;
    for (int c = 0; c < depth; c++)
        for (int k = 0; k < K; k++) {
            const int h = o * kind[3] - 2 + k;
            if (h >= 0 && h < H)
                sum += (double)x[(n * kind[1] + group * depth + c) * H + h] *
                       (double)w[(m * depth + c) * K + k];
        }
    return sum;
}

/* An image of one column, plain or deep, against the row that it is in memory. */
static void conv_of_a_column_is_that_of_a_row(void **state)
{
    (void)state;
    enum { N = 2, H = COLUMN_PLACES, K = COLUMN_KERNEL };
    static const int kinds[][4] = {/* group, channels in, out, stride */
                                   {1, 4, 10, 1},
                                   {1, 3, 8, 2},
                                   {2, 4, 6, 3},
                                   {4, 4, 4, 1}};
    uint64_t seed = 5;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const int *s = kinds[i], in = s[1], out = s[2], depth = in / s[0],
                  places = (H + 3 - K) / s[3] + 1;
        float *x = test_random(&seed, N * in * H, test_unit);
        float *w = test_random(&seed, out * depth * K, test_unit);
        struct op_case row, column, deep;
        op_begin(&row, "Conv", 11);
        op_int(&row, "group", s[0]);
        column = deep = row;
        rdl__arena_init(&column.arena, SIZE_MAX);
        rdl__arena_init(&deep.arena, SIZE_MAX);
        op_ints(&row, "strides", 1, (int64_t)s[3]);
        op_ints(&row, "dilations", 1, (int64_t)1);
        op_ints(&row, "pads", 2, (int64_t)2, (int64_t)1);
        op_input(&row, RDL_F32, x, 3, N, in, H);
        op_input(&row, RDL_F32, w, 3, out, depth, K);
        op_ints(&column, "strides", 2, (int64_t)s[3], (int64_t)2);
        op_ints(&column, "dilations", 2, (int64_t)1, (int64_t)3);
        op_ints(&column, "pads", 4, (int64_t)2, (int64_t)0, (int64_t)1, (int64_t)0);
        op_input(&column, RDL_F32, x, 4, N, in, H, 1);
        op_input(&column, RDL_F32, w, 4, out, depth, K, 1);
        op_ints(&deep, "strides", 3, (int64_t)2, (int64_t)s[3], (int64_t)1);
        op_ints(&deep, "pads", 6, (int64_t)0, (int64_t)2, (int64_t)0, (int64_t)0, (int64_t)1,
                (int64_t)0);
        op_input(&deep, RDL_F32, x, 5, N, in, 1, H, 1);
        op_input(&deep, RDL_F32, w, 5, out, depth, 1, K, 1);
        op_run_both(&row);
        op_run_both(&column);
        op_run_both(&deep);
        op_expect_dims(&row, 0, 3, N, out, places);
        op_expect_dims(&column, 0, 4, N, out, places, 1);
        op_expect_dims(&deep, 0, 5, N, out, 1, places, 1);
        const size_t bytes = rdl__shape_count(&row.out[0].shape) * sizeof(float);
        for (int e = 0; e < N * out * places; e++)
            assert_true(fabs((double)((float *)row.data[0])[e] -
                             conv_row(x, w, s, e / places / out, e / places % out, e % places)) <
                        1e-5);
        assert_memory_equal(column.data[0], row.data[0], bytes);
        assert_memory_equal(deep.data[0], row.data[0], bytes);
        op_end(&row);
        op_end(&column);
        op_end(&deep);
        test_floats_release(x);
        test_floats_release(w);
    }
}

static void pools_follow_onnx(void **state)
{
    (void)state;
    float x[16];
    for (int i = 0; i < 16; i++)
        x[i] = (float)i;
    struct op_case c;
    op_begin(&c, "MaxPool", 12);
    op_ints(&c, "kernel_shape", 2, (int64_t)3, (int64_t)3);
    op_ints(&c, "strides", 2, (int64_t)2, (int64_t)2);
    op_int(&c, "ceil_mode", 1);
    op_input(&c, RDL_F32, x, 4, 1, 1, 4, 4);
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 1, 1, 2, 2);
    assert_memory_equal(c.data[0], ((float[]){10, 11, 14, 15}), 16);
    c.n_outputs = 2;
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){10, 11, 14, 15}), 16);
    assert_memory_equal(c.data[1], ((int64_t[]){10, 11, 14, 15}), 32);
    op_end(&c);

    /* A window that would begin in the padding behind is left out. */
    op_begin(&c, "MaxPool", 10);
    op_ints(&c, "kernel_shape", 1, (int64_t)1);
    op_ints(&c, "strides", 1, (int64_t)3);
    op_ints(&c, "pads", 2, (int64_t)0, (int64_t)2);
    op_int(&c, "ceil_mode", 1);
    op_input(&c, RDL_F32, x, 3, 1, 1, 4);
    op_run_both(&c);
    op_expect_dims(&c, 0, 3, 1, 1, 2);
    op_end(&c);

    op_begin(&c, "AveragePool", 19);
    op_ints(&c, "kernel_shape", 2, (int64_t)2, (int64_t)2);
    op_ints(&c, "pads", 4, (int64_t)1, (int64_t)1, (int64_t)0, (int64_t)0);
    op_int(&c, "count_include_pad", 1);
    op_input(&c, RDL_F32, x, 4, 1, 1, 2, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){0, 0.25f, 0.5f, 1.5f}), 16);
    c.attrs[2].i = 0;
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){0, 0.5f, 1, 1.5f}), 16);
    op_end(&c);

    op_begin(&c, "GlobalAveragePool", 1);
    op_input(&c, RDL_F32, x, 4, 1, 2, 2, 4);
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 1, 2, 1, 1);
    assert_memory_equal(c.data[0], ((float[]){3.5f, 11.5f}), 8);
    op_end(&c);
    op_begin(&c, "GlobalMaxPool", 1);
    op_input(&c, RDL_F32, x, 3, 1, 2, 8);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){7, 15}), 8);
    op_end(&c);
}

static void batch_normalization_folds_constants(void **state)
{
    (void)state;
    const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, scale[2] = {2, 1}, bias[2] = {0.5f, -6},
                mean[2] = {1, 3}, variance[2] = {4, 1};
    const int64_t opsets[] = {7, 9, 15};
    for (int i = 0; i < 3; i++) {
        struct op_case c;
        op_begin(&c, "BatchNormalization", opsets[i]);
        op_float(&c, "epsilon", 0.0f);
        op_input(&c, RDL_F32, x, 3, 2, 2, 2);
        op_input(&c, RDL_F32, scale, 1, 2);
        op_input(&c, RDL_F32, bias, 1, 2);
        op_input(&c, RDL_F32, mean, 1, 2);
        op_input(&c, RDL_F32, variance, 1, 2);
        c.activation.kind = RDL__ACT_RELU;
        op_run_both(&c);
        assert_int_equal(1, c.steps);
        assert_memory_equal(c.data[0], ((float[]){0.5f, 1.5f, 0, 0, 4.5f, 5.5f, 0, 0}), 32);
        op_end(&c);
    }
}

static void softmax_flattens_before_13(void **state)
{
    (void)state;
    float x[12];
    for (int i = 0; i < 12; i++)
        x[i] = (float)(i % 5) - 2.0f;
    for (int opset = 12; opset <= 13; opset++)
        for (int axis = -3; axis < 3; axis++) {
            struct op_case c;
            op_begin(&c, "Softmax", opset);
            op_int(&c, "axis", axis);
            op_input(&c, RDL_F32, x, 3, 2, 3, 2);
            op_run_both(&c);
            const int at = axis < 0 ? axis + 3 : axis;
            const int dims[3] = {2, 3, 2};
            int outer = 1, size = 1, inner = 1;
            for (int d = 0; d < 3; d++)
                *(d < at ? &outer : d == at || opset < 13 ? &size : &inner) *= dims[d];
            for (int o = 0; o < outer; o++)
                for (int i = 0; i < inner; i++) {
                    double sum = 0;
                    for (int s = 0; s < size; s++)
                        sum += exp((double)x[(o * size + s) * inner + i]);
                    for (int s = 0; s < size; s++) {
                        const int e = (o * size + s) * inner + i;
                        assert_true(
                            fabs(exp((double)x[e]) / sum - (double)((float *)c.data[0])[e]) < 1e-6);
                    }
                }
            op_end(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_lowers_every_kind),
        cmocka_unit_test(conv_one_and_three_dimensions),
        cmocka_unit_test(conv_of_a_column_is_that_of_a_row),
        cmocka_unit_test(pools_follow_onnx),
        cmocka_unit_test(batch_normalization_folds_constants),
        cmocka_unit_test(softmax_flattens_before_13),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
