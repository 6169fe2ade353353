/*
 * Operators that move, index and generate, from node to numbers. Values are worked out by hand or by
 * plain loops over the definition.
 */
#include "op_driver.h"

#define I64S(...) ((const int64_t[]){__VA_ARGS__})
#define COUNT_OF(a) ((int)(sizeof(a) / sizeof *(a)))
/* The next input: 1-D i64 values. */
#define INTS(c, ...) op_input((c), RDL_I64, I64S(__VA_ARGS__), 1, COUNT_OF(I64S(__VA_ARGS__)))
/* Runs the case both ways; output 0 has these elements. */
#define EXPECT(c, type, ...)                                                                       \
    do {                                                                                           \
        const type want_[] = {__VA_ARGS__};                                                        \
        op_run_both(c);                                                                            \
        assert_int_equal(COUNT_OF(want_), rdl__shape_count(&(c)->out[0].shape));                   \
        assert_memory_equal(want_, (c)->data[0], sizeof want_);                                    \
        op_end(c);                                                                                 \
    } while (0)

static const float numbers[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                  12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};

static void begin(struct op_case *c, const char *type, int64_t opset, int rows, int cols)
{
    op_begin(c, type, opset);
    op_input(c, RDL_F32, numbers, 2, rows, cols);
}

/* ------------------------------------------------------------------------------------------- pads */

static void pad_every_mode_is_its_definition(void **state)
{
    (void)state;
    struct op_case c;
    const float seven = 7;
    begin(&c, "Pad", 13, 2, 2);
    INTS(&c, 0, 1, 1, 2);
    op_input(&c, RDL_F32, &seven, 0);
    EXPECT(&c, float, 7, 0, 1, 7, 7, 7, 2, 3, 7, 7, 7, 7, 7, 7, 7);
    begin(&c, "Pad", 18, 1, 3);
    op_text(&c, "mode", "reflect");
    INTS(&c, 3, 4);
    op_input(&c, RDL_F32, NULL, 0);
    INTS(&c, -1);
    EXPECT(&c, float, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2);
    begin(&c, "Pad", 11, 3, 2);
    op_text(&c, "mode", "reflect");
    INTS(&c, 2, 0, 1, 0);
    EXPECT(&c, float, 4, 5, 2, 3, 0, 1, 2, 3, 4, 5, 2, 3);
    begin(&c, "Pad", 11, 2, 2);
    op_text(&c, "mode", "edge");
    INTS(&c, 1, 2, 0, 1);
    EXPECT(&c, float, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3);
    begin(&c, "Pad", 19, 1, 3);
    op_text(&c, "mode", "wrap");
    INTS(&c, 0, 2, 0, 4);
    EXPECT(&c, float, 1, 2, 0, 1, 2, 0, 1, 2, 0);
    begin(&c, "Pad", 2, 2, 3);
    op_ints(&c, "pads", 4, (int64_t)0, (int64_t)-1, (int64_t)1, (int64_t)-1);
    op_float(&c, "value", 5.0f);
    EXPECT(&c, float, 1, 4, 5);
}

static void pad_takes_other_dtypes_and_empty_inputs(void **state)
{
    (void)state;
    struct op_case c;
    const int8_t bytes[2] = {1, 2}, fill = -1;
    op_begin(&c, "Pad", 13);
    op_input(&c, RDL_I8, bytes, 1, 2);
    INTS(&c, 1, 2);
    op_input(&c, RDL_I8, &fill, 0);
    EXPECT(&c, int8_t, -1, 1, 2, -1, -1);
    const double none[1] = {NAN};
    op_begin(&c, "Pad", 13);
    op_input(&c, RDL_F64, none, 2, 0, 2);
    INTS(&c, 1, 0, 0, 0);
    EXPECT(&c, double, 0, 0);
    op_begin(&c, "Pad", 13);
    op_input(&c, RDL_U16, ((const uint16_t[]){9}), 0);
    op_input(&c, RDL_I64, none, 1, 0);
    EXPECT(&c, uint16_t, 9);
}

static void pad_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct op_case c;
    begin(&c, "Pad", 13, 2, 2);
    op_text(&c, "mode", "wrap"); /* since 19 */
    INTS(&c, 0, 0, 0, 0);
    op_fails(&c, RDL_ERR_MODEL, "mode \"wrap\"");
    begin(&c, "Pad", 13, 2, 2);
    INTS(&c, 0, 0, 0);
    op_fails(&c, RDL_ERR_SHAPE, "3 pads for 2 axes");
    begin(&c, "Pad", 13, 2, 2);
    INTS(&c, -2, 0, -1, 0);
    op_fails(&c, RDL_ERR_SHAPE, "do not fit axis 0");
    begin(&c, "Pad", 13, 2, 2);
    INTS(&c, INT64_MAX, 0, INT64_MAX, 0);
    op_fails(&c, RDL_ERR_SHAPE, "do not fit axis 0");
    begin(&c, "Pad", 13, 0, 2);
    op_text(&c, "mode", "edge");
    INTS(&c, 1, 0, 0, 0);
    op_fails(&c, RDL_ERR_SHAPE, "no element to pad with");
    begin(&c, "Pad", 18, 2, 2);
    INTS(&c, 1, 1, 1, 1);
    op_input(&c, RDL_F32, NULL, 0);
    INTS(&c, 1, -1);
    op_fails(&c, RDL_ERR_SHAPE, "axis 1 is named twice");
    begin(&c, "Pad", 13, 2, 2);
    INTS(&c, 0, 0, 0, 0);
    op_input(&c, RDL_F32, numbers, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "no scalar");
    op_begin(&c, "Pad", 2);
    op_input(&c, RDL_I32, numbers, 1, 2);
    op_ints(&c, "pads", 2, (int64_t)0, (int64_t)0);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype i32");
}

static void center_crop_pad_cuts_and_fills(void **state)
{
    (void)state;
    struct op_case c;
    begin(&c, "CenterCropPad", 18, 1, 5);
    INTS(&c, 2, 2);
    EXPECT(&c, float, 1, 2, 0, 0);
    begin(&c, "CenterCropPad", 18, 2, 2);
    op_ints(&c, "axes", 1, (int64_t)-1);
    INTS(&c, 5);
    EXPECT(&c, float, 0, 0, 1, 0, 0, 0, 2, 3, 0, 0);
    begin(&c, "CenterCropPad", 18, 2, 2);
    INTS(&c, 5);
    op_fails(&c, RDL_ERR_SHAPE, "1 sizes for 2 axes");
    begin(&c, "CenterCropPad", 18, 2, 2);
    INTS(&c, 5, -1);
    op_fails(&c, RDL_ERR_SHAPE, "negative");
}

/* ---------------------------------------------------------------------------- expand, tile, split */

static void expand_and_tile_repeat(void **state)
{
    (void)state;
    struct op_case c;
    begin(&c, "Expand", 13, 2, 1);
    INTS(&c, 2, 1, 3);
    EXPECT(&c, float, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1);
    begin(&c, "Expand", 8, 1, 2);
    INTS(&c, 3, 1);
    EXPECT(&c, float, 0, 1, 0, 1, 0, 1);
    begin(&c, "Expand", 8, 2, 2);
    INTS(&c, 3, 1);
    op_fails(&c, RDL_ERR_SHAPE, "do not broadcast");
    begin(&c, "Tile", 6, 2, 2);
    INTS(&c, 2, 3);
    EXPECT(&c, float, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3);
    begin(&c, "Tile", 13, 2, 2);
    INTS(&c, 0, 3);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 0, 6);
    op_end(&c);
    begin(&c, "Tile", 13, 2, 2);
    INTS(&c, 2);
    op_fails(&c, RDL_ERR_SHAPE, "1 repeats");
    begin(&c, "Tile", 13, 2, 2);
    INTS(&c, -1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "repeats -1");
    begin(&c, "Tile", 13, 2, 2);
    INTS(&c, INT64_MAX, 1);
    op_fails(&c, RDL_ERR_OVERFLOW, "too long");
}

static void split_cuts_by_every_version(void **state)
{
    (void)state;
    struct op_case c;
    begin(&c, "Split", 11, 2, 4);
    op_int(&c, "axis", -1);
    op_ints(&c, "split", 2, (int64_t)1, (int64_t)3);
    c.n_outputs = 2;
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){0, 4}), 8);
    assert_memory_equal(c.data[1], ((float[]){1, 2, 3, 5, 6, 7}), 24);
    op_end(&c);
    begin(&c, "Split", 18, 5, 1);
    op_int(&c, "num_outputs", 3);
    c.n_outputs = 3;
    op_run_both(&c);
    op_expect_dims(&c, 2, 2, 1, 1);
    assert_memory_equal(c.data[1], ((float[]){2, 3}), 8);
    assert_memory_equal(c.data[2], ((float[]){4}), 4);
    op_end(&c);
    begin(&c, "Split", 13, 5, 1);
    c.n_outputs = 2;
    op_fails(&c, RDL_ERR_SHAPE, "equal parts");
    begin(&c, "Split", 13, 5, 1);
    INTS(&c, 2, 2);
    c.n_outputs = 2;
    op_fails(&c, RDL_ERR_SHAPE, "the parts make 4");
    begin(&c, "Split", 13, 5, 1);
    INTS(&c, 6, -1);
    c.n_outputs = 2;
    op_fails(&c, RDL_ERR_SHAPE, "longer than axis 0");
    begin(&c, "Split", 13, 5, 1);
    INTS(&c, 5);
    c.n_outputs = 2;
    op_fails(&c, RDL_ERR_SHAPE, "1 lengths for 2");
    begin(&c, "Split", 18, 5, 1);
    op_int(&c, "num_outputs", 3);
    c.n_outputs = 2;
    op_fails(&c, RDL_ERR_MODEL, "num_outputs is 3");
}

/* --------------------------------------------------------------------------------------- generate */

static void generators_make_what_they_say(void **state)
{
    (void)state;
    struct op_case c;
    op_begin(&c, "ConstantOfShape", 9);
    INTS(&c, 2, 1);
    EXPECT(&c, float, 0, 0);
    op_begin(&c, "Range", 11);
    op_input(&c, RDL_F32, ((const float[]){1}), 0);
    op_input(&c, RDL_F32, ((const float[]){2.1f}), 0);
    op_input(&c, RDL_F32, ((const float[]){0.5f}), 0);
    EXPECT(&c, float, 1, 1.5f, 2);
    op_begin(&c, "Range", 11);
    op_input(&c, RDL_I32, ((const int32_t[]){5}), 0);
    op_input(&c, RDL_I32, ((const int32_t[]){-2}), 0);
    op_input(&c, RDL_I32, ((const int32_t[]){-3}), 0);
    EXPECT(&c, int32_t, 5, 2, -1);
    op_begin(&c, "Range", 11);
    op_input(&c, RDL_I64, I64S(INT64_MIN), 0);
    op_input(&c, RDL_I64, I64S(INT64_MAX), 0);
    op_input(&c, RDL_I64, I64S(INT64_MAX), 0);
    EXPECT(&c, int64_t, INT64_MIN, -1, INT64_MAX - 1);
    op_begin(&c, "Range", 11);
    op_input(&c, RDL_I64, I64S(0), 0);
    op_input(&c, RDL_I64, I64S(1), 0);
    op_input(&c, RDL_I64, I64S(0), 0);
    op_fails(&c, RDL_ERR_SHAPE, "delta");
    op_begin(&c, "Range", 11);
    op_input(&c, RDL_U8, numbers, 0);
    op_input(&c, RDL_U8, numbers, 0);
    op_input(&c, RDL_U8, numbers, 0);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype u8");
    begin(&c, "EyeLike", 9, 2, 3);
    op_int(&c, "k", 1);
    op_int(&c, "dtype", RDL_I16);
    EXPECT(&c, int16_t, 0, 1, 0, 0, 0, 1);
    begin(&c, "EyeLike", 9, 2, 2);
    op_int(&c, "k", INT64_MIN);
    EXPECT(&c, float, 0, 0, 0, 0);
    begin(&c, "EyeLike", 9, 2, 2);
    op_int(&c, "dtype", 99);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype = 99");
    op_begin(&c, "HannWindow", 17);
    op_input(&c, RDL_I64, I64S(4), 0);
    op_int(&c, "output_datatype", RDL_I32);
    EXPECT(&c, int32_t, 0, 0, 1, 0);
    op_begin(&c, "HannWindow", 17);
    op_input(&c, RDL_I64, I64S(-4), 0);
    op_fails(&c, RDL_ERR_SHAPE, "size) is -4");
    op_begin(&c, "CastLike", 15);
    op_input(&c, RDL_F32, numbers, 1, 3);
    op_input(&c, RDL_U8, numbers, 0);
    EXPECT(&c, uint8_t, 0, 1, 2);
}

/* ----------------------------------------------------------------------------------------- resize */

static void resize_nearest_repeats_pixels(void **state)
{
    (void)state;
    static const int by[] = {2, 3, 4, 8};
    for (int k = 0; k < COUNT_OF(by); k++) {
        const float scales[4] = {1, 1, (float)by[k], (float)by[k]};
        struct op_case c;
        op_begin(&c, "Resize", 13);
        op_text(&c, "coordinate_transformation_mode", "asymmetric");
        op_text(&c, "nearest_mode", "floor");
        op_input(&c, RDL_F32, numbers, 4, 2, 1, 3, 4);
        op_input(&c, RDL_F32, NULL, 0);
        op_input(&c, RDL_F32, scales, 1, 4);
        op_run_both(&c);
        op_expect_dims(&c, 0, 4, 2, 1, 3 * by[k], 4 * by[k]);
        const float *y = c.data[0];
        for (int n = 0; n < 2; n++)
            for (int i = 0; i < 3 * by[k]; i++)
                for (int j = 0; j < 4 * by[k]; j++)
                    assert_true(*y++ == numbers[n * 12 + i / by[k] * 4 + j / by[k]]);
        op_end(&c);
    }
}

/* Linear, half_pixel, twice as large: weights are a quarter and three quarters. */
static void resize_linear_case(enum rdl__isa isa)
{
    enum { H = 5, W = 37 };
    uint64_t seed = 5;
    float *x = test_random(&seed, H * W, test_unit), want[4 * H * W];
    double tall[2 * H * W];
    for (int i = 0; i < 2 * H; i++)
        for (int j = 0; j < W; j++) {
            const int at = (i - 1) >> 1, low = at < 0 ? 0 : at, high = at + 1 < H ? at + 1 : H - 1;
            const double w = i % 2 == 1 ? 0.25 : 0.75;
            tall[i * W + j] = (1 - w) * (double)x[low * W + j] + w * (double)x[high * W + j];
        }
    for (int i = 0; i < 2 * H; i++)
        for (int j = 0; j < 2 * W; j++) {
            const int at = (j - 1) >> 1, low = at < 0 ? 0 : at, high = at + 1 < W ? at + 1 : W - 1;
            const double w = j % 2 == 1 ? 0.25 : 0.75;
            want[i * 2 * W + j] = (float)((1 - w) * tall[i * W + low] + w * tall[i * W + high]);
        }
    struct op_case c;
    op_begin(&c, "Resize", 19);
    c.isa = isa;
    op_text(&c, "mode", "linear");
    op_ints(&c, "axes", 2, (int64_t)-2, (int64_t)-1);
    op_input(&c, RDL_F32, x, 4, 1, 1, H, W);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, NULL, 0);
    INTS(&c, 2 * H, 2 * W);
    op_run_both(&c);
    test_close(want, c.data[0], 4 * H * W, 1e-5, 1e-6, "linear");
    op_end(&c);
    test_floats_release(x);
}

static void resize_linear_weighs_neighbours(void **state)
{
    (void)state;
    test_each_isa(resize_linear_case);
    struct op_case c;
    const uint8_t bytes[2] = {0, 200};
    op_begin(&c, "Resize", 11);
    op_text(&c, "mode", "linear");
    op_text(&c, "coordinate_transformation_mode", "align_corners");
    op_input(&c, RDL_U8, bytes, 1, 2);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, NULL, 0);
    INTS(&c, 5);
    EXPECT(&c, uint8_t, 0, 50, 100, 150, 200);
    /* Integers are rounded, halves to even, and stay in range: -0.75, 0.5, 1.5 before. */
    const int8_t few[2] = {-1, 2};
    const float twice = 2.0f;
    op_begin(&c, "Resize", 11);
    op_text(&c, "mode", "linear");
    op_input(&c, RDL_I8, few, 1, 2);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, &twice, 1, 1);
    EXPECT(&c, int8_t, -1, 0, 1, 2);
    const uint8_t edge[4] = {0, 0, 255, 255};
    op_begin(&c, "Resize", 11);
    op_text(&c, "mode", "cubic");
    op_input(&c, RDL_U8, edge, 1, 4);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, &twice, 1, 1);
    EXPECT(&c, uint8_t, 0, 0, 0, 58, 197, 255, 255, 255);
    const double wide[4] = {1, 2, 3, 4};
    const float half = 0.5f;
    op_begin(&c, "Resize", 10);
    op_text(&c, "mode", "linear");
    op_input(&c, RDL_F64, wide, 1, 4);
    op_input(&c, RDL_F32, &half, 1, 1);
    EXPECT(&c, double, 1, 3);
    op_begin(&c, "Upsample", 9);
    op_input(&c, RDL_F64, wide, 1, 2);
    op_input(&c, RDL_F32, ((const float[]){1.5f}), 1, 1);
    EXPECT(&c, double, 1, 1, 2);
}

static void resize_crops_and_extrapolates(void **state)
{
    (void)state;
    struct op_case c;
    for (int nearest = 0; nearest < 2; nearest++) {
        const float roi[2] = {0.5f, 1.5f};
        op_begin(&c, "Resize", 13);
        op_text(&c, "mode", nearest ? "nearest" : "linear");
        op_text(&c, "coordinate_transformation_mode", "tf_crop_and_resize");
        op_float(&c, "extrapolation_value", -1.0f);
        op_input(&c, RDL_F32, numbers, 1, 5);
        op_input(&c, RDL_F32, roi, 1, 2);
        op_input(&c, RDL_F32, NULL, 0);
        INTS(&c, 5);
        EXPECT(&c, float, 2, 3, 4, -1, -1);
    }
}

static void resize_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct op_case c;
    const float scales[2] = {1, NAN};
    begin(&c, "Resize", 13, 2, 2);
    op_fails(&c, RDL_ERR_SHAPE, "neither scales nor sizes");
    begin(&c, "Resize", 13, 2, 2);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, scales, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "scale nan of axis 1");
    begin(&c, "Resize", 13, 2, 2);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, scales, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "1 values, expected 2");
    begin(&c, "Resize", 13, 0, 2);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, NULL, 0);
    INTS(&c, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "size 1 of axis 0");
    begin(&c, "Resize", 13, 2, 2);
    op_text(&c, "coordinate_transformation_mode", "tf_crop_and_resize");
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, NULL, 0);
    INTS(&c, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "roi) is missing");
    begin(&c, "Resize", 13, 2, 2);
    op_text(&c, "mode", "fancy");
    op_fails(&c, RDL_ERR_MODEL, "mode \"fancy\"");
    begin(&c, "Resize", 18, 2, 2);
    op_int(&c, "antialias", 1);
    op_fails(&c, RDL_ERR_MODEL, "antialias");
}

/* ------------------------------------------------------------------------------------------ index */

static void gathers_read_where_indices_say(void **state)
{
    (void)state;
    struct op_case c;
    begin(&c, "GatherElements", 13, 2, 3);
    op_int(&c, "axis", 1);
    op_input(&c, RDL_I64, I64S(2, 0, -3, -1), 2, 2, 2);
    EXPECT(&c, float, 2, 0, 3, 5);
    begin(&c, "GatherElements", 11, 2, 3);
    op_input(&c, RDL_I32, ((const int32_t[]){1, -1, 0}), 2, 1, 3);
    EXPECT(&c, float, 3, 4, 2);
    begin(&c, "GatherElements", 11, 2, 3);
    op_input(&c, RDL_I32, ((const int32_t[]){2}), 2, 1, 1);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    begin(&c, "GatherElements", 11, 2, 3);
    op_input(&c, RDL_I64, I64S(0, 0, 0, 0), 2, 1, 4);
    op_fails(&c, RDL_ERR_SHAPE, "dimension 1 is 4");
    begin(&c, "GatherND", 13, 2, 3);
    op_input(&c, RDL_I64, I64S(-1, 0, 0, -1), 2, 2, 2);
    EXPECT(&c, float, 3, 2);
    begin(&c, "GatherND", 13, 2, 3);
    op_int(&c, "batch_dims", 1);
    op_input(&c, RDL_I64, I64S(2, 1), 2, 2, 1);
    EXPECT(&c, float, 2, 4);
    begin(&c, "GatherND", 13, 2, 3);
    op_input(&c, RDL_I64, I64S(0, 3), 1, 2);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    begin(&c, "GatherND", 13, 2, 3);
    op_input(&c, RDL_I64, I64S(0, 0, 0), 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "tuples of 3 indices");
    begin(&c, "Gather", 13, 3, 2);
    op_int(&c, "axis", 1);
    op_input(&c, RDL_I64, I64S(-1), 0);
    EXPECT(&c, float, 1, 3, 5);
}

static void scatters_write_where_indices_say(void **state)
{
    (void)state;
    struct op_case c;
    const float more[4] = {10, 20, 30, 40};
    begin(&c, "ScatterElements", 11, 2, 3);
    op_int(&c, "axis", 1);
    op_input(&c, RDL_I64, I64S(1, -1), 2, 1, 2);
    op_input(&c, RDL_F32, more, 2, 1, 2);
    EXPECT(&c, float, 0, 10, 20, 3, 4, 5);
    begin(&c, "ScatterElements", 18, 2, 3);
    op_text(&c, "reduction", "max");
    op_input(&c, RDL_I32, ((const int32_t[]){1, 1, 0, 1}), 2, 2, 2);
    op_input(&c, RDL_F32, ((const float[]){2, 9, -1, 7}), 2, 2, 2);
    EXPECT(&c, float, 0, 1, 2, 3, 9, 5);
    begin(&c, "ScatterElements", 16, 2, 3);
    op_text(&c, "reduction", "add");
    op_input(&c, RDL_I64, I64S(2, 0, 0, 0), 2, 2, 2);
    op_input(&c, RDL_F32, more, 2, 2, 2);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    begin(&c, "ScatterElements", 16, 2, 3);
    op_text(&c, "reduction", "max");
    op_input(&c, RDL_I64, I64S(0), 2, 1, 1);
    op_input(&c, RDL_F32, more, 2, 1, 1);
    op_fails(&c, RDL_ERR_MODEL, "reduction \"max\"");
    begin(&c, "ScatterElements", 18, 2, 3);
    op_input(&c, RDL_I64, I64S(0), 2, 1, 1);
    op_input(&c, RDL_F32, more, 2, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "updates are [1, 2], indices [1, 1]");
    begin(&c, "ScatterND", 18, 3, 2);
    op_text(&c, "reduction", "add");
    op_input(&c, RDL_I64, I64S(2, -1), 2, 2, 1);
    op_input(&c, RDL_F32, more, 2, 2, 2);
    EXPECT(&c, float, 0, 1, 2, 3, 44, 65);
    begin(&c, "ScatterND", 11, 3, 2);
    op_input(&c, RDL_I64, I64S(0, 1), 2, 1, 2);
    op_input(&c, RDL_F32, more, 1, 1);
    EXPECT(&c, float, 0, 10, 2, 3, 4, 5);
    begin(&c, "ScatterND", 11, 3, 2);
    op_input(&c, RDL_I64, I64S(3), 2, 1, 1);
    op_input(&c, RDL_F32, more, 2, 1, 2);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    const uint16_t halves[2] = {0x3c00, 0};
    op_begin(&c, "ScatterND", 16);
    op_text(&c, "reduction", "mul");
    op_input(&c, RDL_F16, halves, 1, 2);
    op_input(&c, RDL_I64, I64S(0), 2, 1, 1);
    op_input(&c, RDL_F16, halves, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f16");
}

/* Two batches of three rows of one; updates are two rows each. */
static void tensor_scatter(struct op_case *c, const char *mode, const int64_t *starts)
{
    static const float updates[4] = {10, 11, 12, 13};
    op_begin(c, "TensorScatter", 24);
    op_text(c, "mode", mode);
    op_input(c, RDL_F32, numbers, 3, 2, 3, 1);
    op_input(c, RDL_F32, updates, 3, 2, 2, 1);
    op_input(c, RDL_I64, starts, 1, 2);
}

static void tensor_scatter_writes_rows(void **state)
{
    (void)state;
    struct op_case c;
    tensor_scatter(&c, "linear", I64S(0, 1));
    EXPECT(&c, float, 10, 11, 2, 3, 12, 13);
    tensor_scatter(&c, "linear", NULL);
    EXPECT(&c, float, 10, 11, 2, 12, 13, 5);
    tensor_scatter(&c, "circular", I64S(2, 4));
    EXPECT(&c, float, 11, 1, 10, 3, 12, 13);
    tensor_scatter(&c, "linear", I64S(0, 2));
    op_fails(&c, RDL_ERR_RUNTIME, "");
    tensor_scatter(&c, "circular", I64S(0, -1));
    op_fails(&c, RDL_ERR_RUNTIME, "");
    tensor_scatter(&c, "ring", I64S(0, 0));
    op_fails(&c, RDL_ERR_MODEL, "mode \"ring\"");
    tensor_scatter(&c, "linear", I64S(0, 0));
    op_int(&c, "axis", 0);
    op_fails(&c, RDL_ERR_SHAPE, "axis 0 is the dimension of the batch");
    tensor_scatter(&c, "linear", I64S(0, 0));
    c.in[1].shape.dims[1] = 4;
    op_fails(&c, RDL_ERR_SHAPE, "updates [2, 4, 1] do not fit data [2, 3, 1]");
    tensor_scatter(&c, "linear", I64S(0, 0));
    c.in[2].shape.dims[0] = 1;
    op_fails(&c, RDL_ERR_SHAPE, "1 write indices for a batch of 2");
}

static void bit_cast_keeps_the_bits(void **state)
{
    (void)state;
    const float ones[2] = {1.0f, -1.0f};
    struct op_case c;
    op_begin(&c, "BitCast", 26);
    op_int(&c, "to", RDL_I32);
    op_input(&c, RDL_F32, ones, 1, 2);
    EXPECT(&c, uint32_t, 0x3f800000u, 0xbf800000u);
    op_begin(&c, "BitCast", 26);
    op_int(&c, "to", RDL_I64);
    op_input(&c, RDL_F32, ones, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "input 0 is f32, which has not the size of i64");
}

/* --------------------------------------------------------------------------------------- select */

static void nonzero_and_compress_find_elements(void **state)
{
    (void)state;
    struct op_case c;
    const float x[4] = {-0.0f, NAN, 0, 2};
    op_begin(&c, "NonZero", 13);
    op_input(&c, RDL_F32, x, 2, 2, 2);
    EXPECT(&c, int64_t, 0, 1, 1, 1);
    const uint8_t condition[3] = {1, 0, 1};
    begin(&c, "Compress", 11, 2, 3);
    op_int(&c, "axis", -1);
    op_input(&c, RDL_BOOL, condition, 1, 3);
    EXPECT(&c, float, 0, 2, 3, 5);
    begin(&c, "Compress", 9, 2, 3);
    op_input(&c, RDL_BOOL, condition, 1, 3);
    EXPECT(&c, float, 0, 2);
    begin(&c, "Compress", 9, 2, 3);
    op_int(&c, "axis", 0);
    op_input(&c, RDL_BOOL, condition, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "3 conditions for 2");
}

static void unique_finds_what_differs(void **state)
{
    (void)state;
    struct op_case c;
    const float x[6] = {3, NAN, 1, 3, NAN, 2};
    for (int sorted = 0; sorted < 2; sorted++) {
        op_begin(&c, "Unique", 11);
        op_int(&c, "sorted", sorted);
        op_input(&c, RDL_F32, x, 2, 2, 3);
        c.n_outputs = 4;
        op_run_both(&c);
        const int64_t rising[] = {2, 5, 0, 1}, placed[] = {0, 1, 2, 5};
        const int64_t rising_groups[] = {2, 3, 0, 2, 3, 1}, placed_groups[] = {0, 1, 2, 0, 1, 3};
        const int64_t rising_counts[] = {1, 1, 2, 2}, placed_counts[] = {2, 2, 1, 1};
        assert_memory_equal(sorted ? rising : placed, c.data[1], sizeof rising);
        assert_memory_equal(sorted ? rising_groups : placed_groups, c.data[2],
                            sizeof rising_groups);
        assert_memory_equal(sorted ? rising_counts : placed_counts, c.data[3],
                            sizeof rising_counts);
        op_end(&c);
    }
    const int16_t columns[6] = {2, 1, 2, 5, 0, 5};
    op_begin(&c, "Unique", 11);
    op_int(&c, "axis", -1);
    op_input(&c, RDL_I16, columns, 2, 2, 3);
    EXPECT(&c, int16_t, 1, 2, 0, 5);
    op_begin(&c, "Unique", 11);
    op_input(&c, RDL_F16, columns, 1, 2);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f16");
}

static void topk_orders_and_breaks_ties_by_index(void **state)
{
    (void)state;
    struct op_case c;
    const float x[8] = {3, 1, 3, 2, NAN, 5, 5, -1};
    for (int smallest = 0; smallest < 2; smallest++) {
        op_begin(&c, "TopK", 11);
        op_int(&c, "largest", !smallest);
        op_input(&c, RDL_F32, x, 2, 2, 4);
        INTS(&c, 3);
        c.n_outputs = 2;
        op_run_both(&c);
        const int64_t large[6] = {0, 2, 3, 0, 1, 2}, small[6] = {1, 3, 0, 3, 1, 2};
        assert_memory_equal(smallest ? small : large, c.data[1], sizeof large);
        for (int i = 0; i < 6; i++)
            assert_int_equal(test_bits(x[i / 3 * 4 + (smallest ? small : large)[i]]),
                             test_bits(((float *)c.data[0])[i]));
        op_end(&c);
    }
    const int8_t column[6] = {1, -5, 7, 0, 7, 3};
    op_begin(&c, "TopK", 11);
    op_int(&c, "axis", 0);
    op_input(&c, RDL_I8, column, 2, 3, 2);
    INTS(&c, 2);
    EXPECT(&c, int8_t, 7, 3, 7, 0);
    begin(&c, "TopK", 1, 1, 4);
    op_int(&c, "k", 5);
    op_fails(&c, RDL_ERR_SHAPE, "k is 5");
}

static void one_hot_trilu_and_reverse_follow_onnx(void **state)
{
    (void)state;
    struct op_case c;
    const int32_t at[3] = {1, -1, 3};
    op_begin(&c, "OneHot", 11);
    op_input(&c, RDL_I32, at, 1, 3);
    op_input(&c, RDL_F32, ((const float[]){3}), 0);
    op_input(&c, RDL_F32, ((const float[]){-1, 1}), 1, 2);
    EXPECT(&c, float, -1, 1, -1, -1, -1, 1, -1, -1, -1);
    begin(&c, "Trilu", 14, 2, 3);
    op_input(&c, RDL_I64, I64S(1), 0);
    EXPECT(&c, float, 0, 1, 2, 0, 0, 5);
    begin(&c, "Trilu", 14, 2, 3);
    op_int(&c, "upper", 0);
    op_input(&c, RDL_I64, I64S(INT64_MIN), 0);
    EXPECT(&c, float, 0, 0, 0, 0, 0, 0);
    begin(&c, "ReverseSequence", 10, 3, 2);
    INTS(&c, 2, 3);
    EXPECT(&c, float, 2, 5, 0, 3, 4, 1);
    begin(&c, "ReverseSequence", 10, 3, 2);
    INTS(&c, 4, 3);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    begin(&c, "ReverseSequence", 10, 3, 2);
    op_int(&c, "batch_axis", 0);
    INTS(&c, 2, 3);
    op_fails(&c, RDL_ERR_MODEL, "in some order");
}

static void blocks_move_into_channels_and_back(void **state)
{
    (void)state;
    struct op_case c;
    op_begin(&c, "SpaceToDepth", 13);
    op_int(&c, "blocksize", 2);
    op_input(&c, RDL_F32, numbers, 4, 1, 1, 2, 4);
    EXPECT(&c, float, 0, 2, 1, 3, 4, 6, 5, 7);
    op_begin(&c, "DepthToSpace", 13);
    op_int(&c, "blocksize", 2);
    op_input(&c, RDL_F32, numbers, 4, 1, 8, 1, 1);
    EXPECT(&c, float, 0, 2, 4, 6, 1, 3, 5, 7);
    op_begin(&c, "DepthToSpace", 13);
    op_int(&c, "blocksize", 2);
    op_text(&c, "mode", "CRD");
    op_input(&c, RDL_F32, numbers, 4, 1, 8, 1, 1);
    EXPECT(&c, float, 0, 1, 2, 3, 4, 5, 6, 7);
    op_begin(&c, "SpaceToDepth", 13);
    op_int(&c, "blocksize", 3);
    op_input(&c, RDL_F32, numbers, 4, 1, 1, 2, 4);
    op_fails(&c, RDL_ERR_SHAPE, "blocks of 3");
    op_begin(&c, "SpaceToDepth", 13);
    op_int(&c, "blocksize", 0);
    op_input(&c, RDL_F32, numbers, 4, 1, 1, 2, 4);
    op_fails(&c, RDL_ERR_MODEL, "blocksize is 0");
}

/* ------------------------------------------------------------------------------------- transpose */

/* A permutation of three dimensions against the definition. */
static void transpose_case(enum rdl_dtype dtype, const int dims[3], const int perm[3])
{
    const size_t size = rdl_dtype_size(dtype),
                 count = (size_t)dims[0] * (size_t)dims[1] * (size_t)dims[2];
    uint64_t seed = 7;
    unsigned char *x = test_memory(count * size, size);
    for (size_t i = 0; i < count * size; i++)
        x[i] = (unsigned char)test_next(&seed);
    struct op_case c;
    op_begin(&c, "Transpose", 13);
    op_ints(&c, "perm", 3, (int64_t)perm[0], (int64_t)perm[1], (int64_t)perm[2]);
    op_input(&c, dtype, x, 3, dims[0], dims[1], dims[2]);
    op_run_both(&c);
    const unsigned char *y = c.data[0];
    int at[3];
    for (at[perm[0]] = 0; at[perm[0]] < dims[perm[0]]; at[perm[0]]++)
        for (at[perm[1]] = 0; at[perm[1]] < dims[perm[1]]; at[perm[1]]++)
            for (at[perm[2]] = 0; at[perm[2]] < dims[perm[2]]; at[perm[2]]++, y += size)
                assert_memory_equal(
                    x + (size_t)((at[0] * dims[1] + at[1]) * dims[2] + at[2]) * size, y, size);
    op_end(&c);
    test_release(x, size);
}

static void transpose_every_permutation_moves_all(void **state)
{
    (void)state;
    static const int perms[][3] = {{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const int dims[][3] = {{2, 3, 70}, {3, 65, 33}, {40, 64, 5}, {1, 7, 32}, {100, 2, 1}};
    static const enum rdl_dtype dtypes[] = {RDL_BOOL, RDL_BF16, RDL_F32, RDL_I64};
    for (int d = 0; d < COUNT_OF(dims); d++)
        for (int p = 0; p < COUNT_OF(perms); p++)
            for (int t = 0; t < COUNT_OF(dtypes); t++)
                transpose_case(dtypes[t], dims[d], perms[p]);
}

/* More elements than a tile has: each part knows how many places are before its own. */
static void nonzero_joins_its_parts(void **state)
{
    (void)state;
    enum { ROWS = 300, COLS = 333 };
    static int16_t x[ROWS * COLS];
    static int64_t want[2][ROWS * COLS];
    uint64_t seed = 13;
    int found = 0;
    for (int i = 0; i < ROWS * COLS; i++) {
        x[i] = (int16_t)(test_next(&seed) % 3 == 0 ? test_between(&seed, -5, 5) : 0);
        want[0][found] = i / COLS;
        want[1][found] = i % COLS;
        found += x[i] != 0;
    }
    struct op_case c;
    op_begin(&c, "NonZero", 13);
    op_input(&c, RDL_I16, x, 2, ROWS, COLS);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 2, found);
    for (int d = 0; d < 2; d++)
        assert_memory_equal(want[d], (int64_t *)c.data[0] + (ptrdiff_t)d * found,
                            (size_t)found * 8);
    op_end(&c);
}

/* Many elements of few values, against a table of the values. */
static void unique_agrees_with_a_table(void **state)
{
    (void)state;
    enum { N = 90000, VALUES = 1000 };
    static uint16_t x[N];
    static int64_t first[VALUES], count[VALUES];
    uint64_t seed = 17;
    for (int i = 0; i < N; i++)
        x[i] = (uint16_t)test_between(&seed, 0, VALUES - 1);
    for (int i = N - 1; i >= 0; i--) {
        first[x[i]] = i;
        count[x[i]]++;
    }
    for (int stop_at = 0; stop_at < 4; stop_at += 3) {
        struct op_case c;
        op_begin(&c, "Unique", 11);
        op_input(&c, RDL_U16, x, 1, N);
        c.n_outputs = 4;
        c.stop_at = stop_at;
        if (stop_at > 0) {
            op_fails(&c, RDL_ERR_CANCELLED, "stopped");
            break;
        }
        op_run_both(&c);
        op_expect_dims(&c, 0, 1, VALUES);
        for (int v = 0; v < VALUES; v++) {
            assert_int_equal(v, ((uint16_t *)c.data[0])[v]);
            assert_int_equal(first[v], ((int64_t *)c.data[1])[v]);
            assert_int_equal(count[v], ((int64_t *)c.data[3])[v]);
        }
        for (int i = 0; i < N; i++)
            assert_int_equal(x[i], ((int64_t *)c.data[2])[i]);
        op_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pad_every_mode_is_its_definition),
        cmocka_unit_test(pad_takes_other_dtypes_and_empty_inputs),
        cmocka_unit_test(pad_refuses_what_does_not_fit),
        cmocka_unit_test(center_crop_pad_cuts_and_fills),
        cmocka_unit_test(expand_and_tile_repeat),
        cmocka_unit_test(split_cuts_by_every_version),
        cmocka_unit_test(generators_make_what_they_say),
        cmocka_unit_test(resize_nearest_repeats_pixels),
        cmocka_unit_test(resize_linear_weighs_neighbours),
        cmocka_unit_test(resize_crops_and_extrapolates),
        cmocka_unit_test(resize_refuses_what_does_not_fit),
        cmocka_unit_test(gathers_read_where_indices_say),
        cmocka_unit_test(scatters_write_where_indices_say),
        cmocka_unit_test(tensor_scatter_writes_rows),
        cmocka_unit_test(bit_cast_keeps_the_bits),
        cmocka_unit_test(nonzero_and_compress_find_elements),
        cmocka_unit_test(nonzero_joins_its_parts),
        cmocka_unit_test(unique_finds_what_differs),
        cmocka_unit_test(unique_agrees_with_a_table),
        cmocka_unit_test(topk_orders_and_breaks_ties_by_index),
        cmocka_unit_test(one_hot_trilu_and_reverse_follow_onnx),
        cmocka_unit_test(blocks_move_into_channels_and_back),
        cmocka_unit_test(transpose_every_permutation_moves_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
