/*
 * ConvTranspose against scattering by the definition, on every instruction set; and nodes that must be
 * refused.
 */
#include "op_driver.h"

/* One geometry, of two dimensions. */
struct geometry {
    int batch, groups, in_channels, out_channels; /* channels of one group */
    int in[2], kernel[2], stride[2], dilation[2], pads[4], more[2];
};

static int out_size(const struct geometry *g, int d)
{
    return (g->in[d] - 1) * g->stride[d] + (g->kernel[d] - 1) * g->dilation[d] + 1 + g->more[d] -
           g->pads[d] - g->pads[d + 2];
}

/* y[N, groups * M, OH, OW], computed in double. */
static void expect(const struct geometry *g, const float *x, const float *w, const float *bias,
                   double *y)
{
    const int oh = out_size(g, 0), ow = out_size(g, 1), channels = g->groups * g->out_channels;
    for (int i = 0; i < g->batch * channels * oh * ow; i++)
        y[i] = (double)bias[i / (oh * ow) % channels];
    for (int n = 0; n < g->batch; n++)
        for (int c = 0; c < g->groups * g->in_channels; c++)
            for (int m = 0; m < g->out_channels; m++)
                for (int p = 0; p < g->in[0] * g->in[1]; p++)
                    for (int k = 0; k < g->kernel[0] * g->kernel[1]; k++) {
                        const int oy = p / g->in[1] * g->stride[0] - g->pads[0] +
                                       k / g->kernel[1] * g->dilation[0];
                        const int ox = p % g->in[1] * g->stride[1] - g->pads[1] +
                                       k % g->kernel[1] * g->dilation[1];
                        const int channel = c / g->in_channels * g->out_channels + m;
                        if (oy < 0 || oy >= oh || ox < 0 || ox >= ow)
                            continue;
                        const int taps = g->kernel[0] * g->kernel[1];
                        const int places = g->in[0] * g->in[1];
                        y[((n * channels + channel) * oh + oy) * ow + ox] +=
                            (double)x[(n * g->groups * g->in_channels + c) * places + p] *
                            (double)w[(c * g->out_channels + m) * taps + k];
                    }
}

static void build(struct op_case *c, const struct geometry *g)
{
    op_begin(c, "ConvTranspose", 11);
    op_int(c, "group", g->groups);
    op_ints(c, "strides", 2, (int64_t)g->stride[0], (int64_t)g->stride[1]);
    op_ints(c, "dilations", 2, (int64_t)g->dilation[0], (int64_t)g->dilation[1]);
    op_ints(c, "pads", 4, (int64_t)g->pads[0], (int64_t)g->pads[1], (int64_t)g->pads[2],
            (int64_t)g->pads[3]);
    op_ints(c, "output_padding", 2, (int64_t)g->more[0], (int64_t)g->more[1]);
    c->activation.kind = RDL__ACT_RELU;
}

static void *widened(struct op_case *c, const float *from, int count)
{
    double *to = rdl__arena_zeroed(&c->arena, (size_t)count + 1, sizeof *to);
    assert_non_null(to);
    for (int i = 0; i < count; i++)
        to[i] = (double)from[i];
    return to;
}

static void run(const struct geometry *g, uint64_t *seed)
{
    const int nx = g->batch * g->groups * g->in_channels * g->in[0] * g->in[1];
    const int nw = g->groups * g->in_channels * g->out_channels * g->kernel[0] * g->kernel[1];
    const int nb = g->groups * g->out_channels;
    const int ny = g->batch * nb * out_size(g, 0) * out_size(g, 1);
    float *x = test_random(seed, nx, test_unit), *w = test_random(seed, nw, test_unit);
    float *bias = test_random(seed, nb, test_unit);
    double *y = calloc((size_t)ny + 1, sizeof *y);
    assert_non_null(y);
    expect(g, x, w, bias, y);
    for (int isa = RDL__ISA_PORTABLE; isa <= (int)rdl__isa_best() + 1; isa++) {
        const bool wide = isa > (int)rdl__isa_best();
        const enum rdl_dtype dtype = wide ? RDL_F64 : RDL_F32;
        struct op_case c;
        build(&c, g);
        c.isa = wide ? rdl__isa_best() : (enum rdl__isa)isa;
        op_input(&c, dtype, wide ? widened(&c, x, nx) : x, 4, g->batch, g->groups * g->in_channels,
                 g->in[0], g->in[1]);
        op_input(&c, dtype, wide ? widened(&c, w, nw) : w, 4, g->groups * g->in_channels,
                 g->out_channels, g->kernel[0], g->kernel[1]);
        op_input(&c, dtype, wide ? widened(&c, bias, nb) : bias, 1, nb);
        op_run_both(&c);
        op_expect_dims(&c, 0, 4, g->batch, nb, out_size(g, 0), out_size(g, 1));
        for (int i = 0; i < ny; i++) {
            const double want = y[i] > 0 ? y[i] : 0;
            const double got = wide ? ((double *)c.data[0])[i] : (double)((float *)c.data[0])[i];
            if (!(fabs(want - got) <= 1e-4))
                fail_msg("element %d is %.9g, expected %.9g", i, got, want);
        }
        op_end(&c);
    }
    test_floats_release(x);
    test_floats_release(w);
    test_floats_release(bias);
    free(y);
}

static void conv_transpose_is_the_scatter(void **state)
{
    (void)state;
    static const struct geometry geometries[] = {
        {2, 1, 5, 7, {6, 19}, {2, 2}, {2, 2}, {1, 1}, {0}, {0}},
        {1, 1, 24, 3, {5, 40}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
        {1, 3, 2, 4, {4, 5}, {3, 2}, {1, 1}, {2, 3}, {1, 0, 0, 2}, {0}},
        {2, 2, 1, 1, {3, 7}, {1, 4}, {3, 3}, {1, 1}, {0, 3, 0, 2}, {2, 1}},
        {1, 1, 3, 2, {1, 1}, {5, 5}, {4, 5}, {1, 1}, {2, 1, 2, 0}, {0}},
        {1, 4, 4, 1, {9, 33}, {2, 3}, {1, 4}, {1, 2}, {0}, {0, 3}},
    };
    uint64_t seed = 11;
    for (size_t i = 0; i < sizeof geometries / sizeof *geometries; i++)
        run(&geometries[i], &seed);
}

static void conv_transpose_one_and_three_dimensions(void **state)
{
    (void)state;
    const float x[3] = {1, 2, 3}, w[2] = {1, 10}, cube[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct op_case c;
    op_begin(&c, "ConvTranspose", 1);
    op_input(&c, RDL_F32, x, 3, 1, 1, 3);
    op_input(&c, RDL_F32, w, 3, 1, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){1, 12, 23, 30}), 16);
    op_end(&c);
    op_begin(&c, "ConvTranspose", 22);
    op_input(&c, RDL_F32, x, 5, 1, 1, 1, 1, 1);
    op_input(&c, RDL_F32, cube, 5, 1, 1, 2, 2, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], cube, sizeof cube);
    op_end(&c);
}

/* Sizes that the node asks for; the kernel covers 7 elements of itself. */
static void conv_transpose_pads_to_the_asked_size(void **state)
{
    (void)state;
    static const struct {
        const char *auto_pad;
        int64_t size; /* 0: not given */
        int out;
        float first;
    } cases[] = {{"SAME_UPPER", 0, 6, 1},  {"SAME_LOWER", 0, 6, 10}, {"VALID", 0, 7, 1},
                 {"NOTSET", 5, 5, 10},     {"SAME_UPPER", 4, 4, 10}, {"NOTSET", 9, 9, 1},
                 {"SAME_LOWER", 4, 4, 102}};
    const float x[3] = {1, 2, 3}, w[3] = {1, 10, 100};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct op_case c;
        op_begin(&c, "ConvTranspose", 11);
        op_ints(&c, "strides", 1, (int64_t)2);
        op_text(&c, "auto_pad", cases[i].auto_pad);
        if (cases[i].size > 0)
            op_ints(&c, "output_shape", 1, cases[i].size);
        op_input(&c, RDL_F32, x, 3, 1, 1, 3);
        op_input(&c, RDL_F32, w, 3, 1, 1, 3);
        op_run_both(&c);
        op_expect_dims(&c, 0, 3, 1, 1, cases[i].out);
        assert_float_equal(((float *)c.data[0])[0], cases[i].first, 0);
        op_end(&c);
    }
}

static void conv_transpose_of_nothing_is_the_bias(void **state)
{
    (void)state;
    const float none[1] = {NAN}, bias[2] = {1, 2};
    struct op_case c;
    op_begin(&c, "ConvTranspose", 11); /* no channel */
    op_input(&c, RDL_F32, none, 3, 1, 0, 2);
    op_input(&c, RDL_F32, none, 3, 0, 2, 1);
    op_input(&c, RDL_F32, bias, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){1, 1, 2, 2}), 16);
    op_end(&c);
    op_begin(&c, "ConvTranspose", 11); /* no place */
    op_ints(&c, "output_shape", 1, (int64_t)2);
    op_input(&c, RDL_F32, none, 3, 1, 1, 0);
    op_input(&c, RDL_F32, bias, 3, 1, 2, 1);
    op_input(&c, RDL_F32, bias, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){1, 1, 2, 2}), 16);
    op_end(&c);
    op_begin(&c, "Conv", 11); /* the convolution beneath */
    op_input(&c, RDL_F32, none, 3, 1, 0, 2);
    op_input(&c, RDL_F32, none, 3, 2, 0, 1);
    op_input(&c, RDL_F32, bias, 1, 2);
    op_run_both(&c);
    assert_memory_equal(c.data[0], ((float[]){1, 1, 2, 2}), 16);
    op_end(&c);
}

static void small_case(struct op_case *c)
{
    static const float zeros[64];
    op_begin(c, "ConvTranspose", 11);
    op_input(c, RDL_F32, zeros, 4, 1, 2, 3, 3);
    op_input(c, RDL_F32, zeros, 4, 2, 2, 2, 2);
}

static void bad_conv_transpose_nodes_are_refused(void **state)
{
    (void)state;
    static const float zeros[4];
    struct op_case c;
    small_case(&c);
    op_int(&c, "group", 0);
    op_fails(&c, RDL_ERR_MODEL, "group is 0");
    small_case(&c);
    op_ints(&c, "output_padding", 2, (int64_t)0, (int64_t)-1);
    op_fails(&c, RDL_ERR_MODEL, "output_padding[1] is -1");
    small_case(&c);
    op_ints(&c, "output_shape", 1, (int64_t)4);
    op_fails(&c, RDL_ERR_SHAPE, "output_shape has 1 values, expected 2");
    small_case(&c);
    op_ints(&c, "pads", 4, (int64_t)3, (int64_t)0, (int64_t)3, (int64_t)0);
    op_fails(&c, RDL_ERR_SHAPE, "leaves nothing of 4 elements");
    small_case(&c);
    op_ints(&c, "strides", 2, (int64_t)1 << 40, (int64_t)1);
    op_fails(&c, RDL_ERR_OVERFLOW, "are too many");
    small_case(&c);
    op_int(&c, "group", 4);
    op_fails(&c, RDL_ERR_SHAPE, "in 4 groups do not fit an input of 2 channels");
    small_case(&c);
    c.in[1].dtype = RDL_F64;
    op_fails(&c, RDL_ERR_SHAPE, "input 1 is f64");
    small_case(&c);
    c.in[0].dtype = RDL_I32;
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype i32 is not supported");
    small_case(&c);
    op_input(&c, RDL_F32, zeros, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "input 2 (bias): 3 elements, expected 2");
}

/* Columns [2, 3 * block, windows] are added up where their windows lie. */
static void col2im_case(enum rdl_dtype dtype, const int64_t image[2], const int64_t block[2],
                        int64_t stride, int64_t pad, int64_t dilation)
{
    enum { MOST = 8192 };
    static float x[MOST], want[MOST];
    static double wide[MOST];
    int64_t places[2];
    for (int d = 0; d < 2; d++)
        places[d] = (image[d] + 2 * pad - dilation * (block[d] - 1) - 1) / stride + 1;
    const int64_t taps = block[0] * block[1], windows = places[0] * places[1];
    uint64_t seed = 5;
    memset(want, 0, sizeof want);
    for (int64_t i = 0; i < 2 * 3 * taps * windows; i++) {
        x[i] = (float)test_between(&seed, -9, 9);
        wide[i] = (double)x[i];
        const int64_t place = i % windows, tap = i / windows % taps, plane = i / windows / taps;
        const int64_t h = place / places[1] * stride - pad + tap / block[1] * dilation;
        const int64_t w = place % places[1] * stride - pad + tap % block[1] * dilation;
        if (h >= 0 && h < image[0] && w >= 0 && w < image[1])
            want[(plane * image[0] + h) * image[1] + w] += x[i];
    }
    struct op_case c;
    op_begin(&c, "Col2Im", 18);
    op_ints(&c, "strides", 2, stride, stride);
    op_ints(&c, "pads", 4, pad, pad, pad, pad);
    op_ints(&c, "dilations", 2, dilation, dilation);
    op_input(&c, dtype, dtype == RDL_F32 ? (const void *)x : wide, 3, 2, (int)(3 * taps),
             (int)windows);
    op_input(&c, RDL_I64, image, 1, 2);
    op_input(&c, RDL_I64, block, 1, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 4, 2, 3, (int)image[0], (int)image[1]);
    for (int64_t i = 0; i < 6 * image[0] * image[1]; i++)
        assert_true((double)want[i] == (dtype == RDL_F32 ? (double)((float *)c.data[0])[i]
                                                         : ((double *)c.data[0])[i]));
    op_end(&c);
}

static void col2im_adds_windows_up(void **state)
{
    (void)state;
    const int64_t image[2] = {7, 9}, block[2] = {3, 2};
    for (int64_t stride = 1; stride <= 3; stride++)
        for (int64_t pad = 0; pad <= 1; pad++)
            for (int64_t dilation = 1; dilation <= 2; dilation++) {
                col2im_case(RDL_F32, image, block, stride, pad, dilation);
                col2im_case(RDL_F64, image, block, stride, pad, dilation);
            }
}

static void bad_col2im_nodes_are_refused(void **state)
{
    (void)state;
    static const struct {
        int rows, cols, n_block;
        const char *part;
    } cases[] = {{12, 9, 1, "image of 2 dimensions, block of 1"},
                 {13, 9, 2, "13 rows of 9, expected a multiple of 4 rows of 9"},
                 {12, 8, 2, "12 rows of 8, expected a multiple of 4 rows of 9"}};
    const int64_t image[2] = {4, 4}, block[2] = {2, 2};
    static const float zeros[13 * 9];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct op_case c;
        op_begin(&c, "Col2Im", 18);
        op_input(&c, RDL_F32, zeros, 3, 1, cases[i].rows, cases[i].cols);
        op_input(&c, RDL_I64, image, 1, 2);
        op_input(&c, RDL_I64, block, 1, cases[i].n_block);
        op_fails(&c, RDL_ERR_SHAPE, cases[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_transpose_is_the_scatter),
        cmocka_unit_test(conv_transpose_one_and_three_dimensions),
        cmocka_unit_test(conv_transpose_pads_to_the_asked_size),
        cmocka_unit_test(conv_transpose_of_nothing_is_the_bias),
        cmocka_unit_test(bad_conv_transpose_nodes_are_refused),
        cmocka_unit_test(col2im_adds_windows_up),
        cmocka_unit_test(bad_col2im_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
