/*
 * Normalising operators against plain loops in double, from node to numbers, on every instruction
 * set; and nodes that must be refused.
 */
#include "op_driver.h"

#include "kernels/kernels.h"

static float offset_number(uint64_t *seed)
{
    return 100.0f + test_unit(seed); /* a mean that dwarfs the deviation */
}

/* What the operator of a row of `size` at x makes, scale and bias by element / segment. */
static void expect_row(const float *x, int64_t size, bool centre, const float *scale,
                       const float *bias, int64_t segment, float *want)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; centre && i < size; i++)
        mean += (double)x[i] / (double)size;
    for (int64_t i = 0; i < size; i++)
        square += pow((double)x[i] - mean, 2) / (double)size;
    for (int64_t i = 0; i < size; i++)
        want[i] = (float)(((double)x[i] - mean) / sqrt(square + 1e-5) * (double)scale[i / segment] +
                          (bias != NULL ? (double)bias[i / segment] : 0.0));
}

static void layer_on(enum rdl__isa isa)
{
    static const int sizes[] = {1, 3, 8, 17, 64, 100, 4097, 9000};
    enum { ROWS = 5 };
    uint64_t seed = 77;
    for (size_t s = 0; s < 2 * sizeof sizes / sizeof *sizes; s++) {
        const int n = sizes[s / 2];
        const bool centre = s % 2 == 0;
        float *x = test_random(&seed, ROWS * n, centre ? offset_number : test_unit);
        float *scale = test_random(&seed, n, test_unit), *bias = test_random(&seed, n, test_unit);
        float *want = test_floats(ROWS * n);
        for (int r = 0; r < ROWS; r++)
            expect_row(x + r * n, n, centre, scale, centre ? bias : NULL, 1, want + r * n);
        struct op_case c;
        op_begin(&c, centre ? "LayerNormalization" : "RMSNormalization", 23);
        c.isa = isa;
        op_input(&c, RDL_F32, x, 2, ROWS, n);
        op_input(&c, RDL_F32, scale, 1, n);
        if (centre)
            op_input(&c, RDL_F32, bias, 1, n);
        op_run_both(&c);
        test_close(want, c.data[0], ROWS * n, 1e-5, 2e-4, rdl__isa_name(isa));
        op_end(&c);
        test_floats_release(x);
        test_floats_release(scale);
        test_floats_release(bias);
        test_floats_release(want);
    }
}

static void layers_are_normalised(void **state)
{
    (void)state;
    test_each_isa(layer_on);
}

static void layer_gives_mean_and_deviation(void **state)
{
    (void)state;
    const double x[4] = {1, 3, 10, 14}, scale[2] = {1, 1};
    struct op_case c;
    op_begin(&c, "LayerNormalization", 17);
    op_float(&c, "epsilon", 0);
    c.n_outputs = 3;
    op_input(&c, RDL_F64, x, 3, 2, 2, 1);
    op_int(&c, "axis", 1);
    op_input(&c, RDL_F64, scale, 2, 2, 1);
    op_run_both(&c);
    op_expect_dims(&c, 1, 3, 2, 1, 1);
    assert_memory_equal(((double[]){-1, 1, -1, 1}), c.data[0], 32);
    assert_memory_equal(((float[]){2, 12}), c.data[1], 8);
    assert_memory_equal(((float[]){1, 0.5f}), c.data[2], 8);
    op_end(&c);
    /* A scale and a bias that broadcast. */
    const float y[4] = {1, 3, 10, 14}, factor[2] = {2, 4}, term[1] = {0.5f};
    op_begin(&c, "LayerNormalization", 17);
    op_float(&c, "epsilon", 0);
    op_input(&c, RDL_F32, y, 2, 2, 2);
    op_input(&c, RDL_F32, factor, 2, 2, 1);
    op_input(&c, RDL_F32, term, 0);
    op_run_both(&c);
    assert_memory_equal(((float[]){-1.5f, 2.5f, -3.5f, 4.5f}), c.data[0], 16);
    op_end(&c);
}

/* Groups of channels; of one channel each it is InstanceNormalization. */
static void groups_on(enum rdl__isa isa)
{
    enum { N = 2, C = 6, SPATIAL = 35 };
    uint64_t seed = 78;
    float *x = test_random(&seed, N * C * SPATIAL, offset_number);
    float *scale = test_random(&seed, C, test_unit), *bias = test_random(&seed, C, test_unit);
    float *want = test_floats(N * C * SPATIAL);
    for (int form = 0; form < 6; form++) {
        const int groups = form == 5 ? C : form < 2 ? 1 : form < 4 ? 3 : 6;
        const bool each = form % 2 == 1; /* factors of channels, else of groups */
        const int channels = C / groups, size = channels * SPATIAL;
        for (int r = 0; r < N * groups; r++) {
            const int at = r % groups * (each ? channels : 1);
            expect_row(x + r * size, size, true, scale + at, bias + at, each ? SPATIAL : size,
                       want + r * size);
        }
        struct op_case c;
        op_begin(&c, form == 5 ? "InstanceNormalization" : "GroupNormalization", each ? 21 : 18);
        c.isa = isa;
        if (form != 5)
            op_int(&c, "num_groups", groups);
        op_input(&c, RDL_F32, x, 4, N, C, 5, SPATIAL / 5);
        op_input(&c, RDL_F32, scale, 1, each ? C : groups);
        op_input(&c, RDL_F32, bias, 1, each ? C : groups);
        op_run_both(&c);
        test_close(want, c.data[0], N * C * SPATIAL, 1e-5, 2e-4, rdl__isa_name(isa));
        op_end(&c);
    }
    test_floats_release(x);
    test_floats_release(scale);
    test_floats_release(bias);
    test_floats_release(want);
}

static void groups_are_normalised(void **state)
{
    (void)state;
    test_each_isa(groups_on);
}

static void lp_divides_and_knows_zero(void **state)
{
    (void)state;
    const float x[6] = {3, 0, -1, -4, 0, 3};
    struct op_case c;
    op_begin(&c, "LpNormalization", 22);
    op_int(&c, "axis", 0);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_run_both(&c);
    const float two[6] = {0.6f, 0, -0.31622777f, -0.8f, 0, 0.94868330f};
    test_close(two, c.data[0], 6, 1e-6, 0, "p 2");
    op_end(&c);
    op_begin(&c, "LpNormalization", 1);
    op_int(&c, "p", 1);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_run_both(&c);
    const float one[6] = {0.75f, 0, -0.25f, -4.0f / 7, 0, 3.0f / 7};
    test_close(one, c.data[0], 6, 1e-6, 0, "p 1");
    op_end(&c);
}

static void mean_and_variance_go(void **state)
{
    (void)state;
    const float x[4] = {1, 3, 10, 14};
    struct op_case c;
    op_begin(&c, "MeanVarianceNormalization", 13);
    op_ints(&c, "axes", 1, (int64_t)-1);
    op_input(&c, RDL_F32, x, 2, 2, 2);
    op_run_both(&c);
    const float want[4] = {-1, 1, -1, 1};
    test_close(want, c.data[0], 4, 1e-6, 0, "rows");
    op_end(&c);
    op_begin(&c, "MeanVarianceNormalization", 9);
    op_input(&c, RDL_F32, x, 4, 2, 1, 1, 2);
    op_run_both(&c);
    double square = 0;
    for (int i = 0; i < 4; i++)
        square += (x[i] - 7.0) * (x[i] - 7.0) / 4;
    float all[4];
    for (int i = 0; i < 4; i++)
        all[i] = (float)((x[i] - 7.0) / sqrt(square));
    test_close(all, c.data[0], 4, 1e-6, 0, "all");
    op_end(&c);
}

static void lrn_looks_at_channels_around(void **state)
{
    (void)state;
    enum { C = 5, INNER = 70 };
    uint64_t seed = 79;
    float x[2 * C * INNER], want[2 * C * INNER];
    for (int i = 0; i < 2 * C * INNER; i++)
        x[i] = test_unit(&seed);
    for (int form = 0; form < 6; form++) {
        const int size = form / 2 + 2; /* 4 looks one further ahead than back */
        const float beta = form % 2 ? 0.75f : 0.6f;
        for (int p = 0; p < 2 * C * INNER; p++) {
            const int c = p / INNER % C;
            double sum = 0;
            for (int k = c - (size - 1) / 2; k <= c + size / 2; k++)
                if (k >= 0 && k < C)
                    sum += pow((double)x[p + (k - c) * INNER], 2);
            want[p] = (float)((double)x[p] / pow(2 + 0.5 / size * sum, (double)beta));
        }
        struct op_case c;
        op_begin(&c, "LRN", 13);
        op_int(&c, "size", size);
        op_float(&c, "alpha", 0.5f);
        op_float(&c, "bias", 2);
        op_float(&c, "beta", beta);
        op_input(&c, RDL_F32, x, 3, 2, C, INNER);
        op_run_both(&c);
        test_close(want, c.data[0], 2 * C * INNER, 1e-6, 1e-7, "LRN");
        op_end(&c);
    }
}

static void hardmax_marks_the_first_largest(void **state)
{
    (void)state;
    const float x[8] = {1, 5, 5, 2, 0, -1, 7, 7};
    struct op_case c;
    op_begin(&c, "Hardmax", 13);
    op_input(&c, RDL_F32, x, 3, 2, 2, 2);
    op_run_both(&c);
    assert_memory_equal(((float[]){0, 1, 1, 0, 1, 0, 1, 0}), c.data[0], 32);
    op_end(&c);
    op_begin(&c, "Hardmax", 11); /* all behind axis 1 is one row */
    op_input(&c, RDL_F32, x, 3, 2, 2, 2);
    op_run_both(&c);
    assert_memory_equal(((float[]){0, 1, 0, 0, 0, 0, 1, 0}), c.data[0], 32);
    op_end(&c);
}

static void dropout_lets_everything_through(void **state)
{
    (void)state;
    const float x[3] = {1, 2, 3}, ratio = 0.5f;
    const uint8_t off = 0, on = 1;
    struct op_case c;
    op_begin(&c, "Dropout", 13);
    c.n_outputs = 2;
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, &ratio, 0);
    op_input(&c, RDL_BOOL, &off, 0);
    op_run_both(&c);
    assert_memory_equal(x, c.data[0], 12);
    assert_memory_equal(((uint8_t[]){1, 1, 1}), c.data[1], 3);
    op_end(&c);
    op_begin(&c, "Dropout", 7);
    c.n_outputs = 2;
    op_float(&c, "ratio", 0.1f);
    op_input(&c, RDL_F32, x, 1, 3);
    op_run_both(&c);
    assert_memory_equal(((float[]){1, 1, 1}), c.data[1], 12);
    op_end(&c);
    op_begin(&c, "Dropout", 13);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_BOOL, &on, 0);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "training_mode is not supported");
    op_begin(&c, "Dropout", 13);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_F32, x, 0);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 2: dtype f32");
    op_begin(&c, "Dropout", 13);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, NULL, 0);
    op_input(&c, RDL_BOOL, x, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "input 2 (training_mode) is no scalar");
}

static void bad_nodes_are_refused(void **state)
{
    (void)state;
    const float x[24] = {0};
    struct op_case c;
    op_begin(&c, "LayerNormalization", 17);
    op_input(&c, RDL_F16, x, 2, 2, 3);
    op_input(&c, RDL_F16, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f16");
    op_begin(&c, "LayerNormalization", 17);
    op_int(&c, "stash_type", 10);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "stash_type must be 1");
    op_begin(&c, "LayerNormalization", 17);
    op_input(&c, RDL_F32, x, 2, 1, 3);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_SHAPE, "input 1: [2, 3] does not broadcast to [1, 3]");
    op_begin(&c, "LayerNormalization", 17);
    op_int(&c, "axis", 2);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "axis 2 is outside rank 2");
    op_begin(&c, "InstanceNormalization", 6);
    op_input(&c, RDL_F32, x, 3, 2, 3, 4);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, x, 1, 4);
    op_fails(&c, RDL_ERR_SHAPE, "input 2: 4 elements, expected 3");
    op_begin(&c, "GroupNormalization", 21);
    op_int(&c, "num_groups", 2);
    op_input(&c, RDL_F32, x, 3, 2, 3, 4);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "3 channels are not a multiple of 2 groups");
    op_begin(&c, "GroupNormalization", 21);
    op_int(&c, "num_groups", 0);
    op_input(&c, RDL_F32, x, 3, 2, 3, 4);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_MODEL, "num_groups is 0");
    op_begin(&c, "LpNormalization", 1);
    op_int(&c, "p", 3);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_MODEL, "p is 3, expected 1 or 2");
    op_begin(&c, "MeanVarianceNormalization", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_SHAPE, "axis 2 is outside rank 2");
    op_begin(&c, "LRN", 13);
    op_int(&c, "size", 0);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_MODEL, "size is 0");
    op_begin(&c, "LRN", 13);
    op_int(&c, "size", 3);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "rank 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_normalised),
        cmocka_unit_test(layer_gives_mean_and_deviation),
        cmocka_unit_test(groups_are_normalised),
        cmocka_unit_test(lp_divides_and_knows_zero),
        cmocka_unit_test(mean_and_variance_go),
        cmocka_unit_test(lrn_looks_at_channels_around),
        cmocka_unit_test(hardmax_marks_the_first_largest),
        cmocka_unit_test(dropout_lets_everything_through),
        cmocka_unit_test(bad_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
