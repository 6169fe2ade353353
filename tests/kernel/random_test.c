/*
 * Operators that draw numbers: what they draw, that a seed repeats it, and what is refused.
 */
#include "kernels/random.h"
#include "op_driver.h"

#define COUNT 40000
static float numbers[COUNT];

static void philox_gives_the_published_words(void **state)
{
    (void)state;
    /* The first known answer of Random123 1.09, tests/kat_vectors; its others fill the counter's upper
     * half, which a stream leaves zero. */
    uint32_t words[4];
    rdl__k_philox(0, 0, words);
    assert_int_equal(0x6627e8d5u, words[0]);
    assert_int_equal(0xe169c58du, words[1]);
    assert_int_equal(0xbc57ac4cu, words[2]);
    assert_int_equal(0x9b00dbd8u, words[3]);
}

static void begin(struct op_case *c, const char *type, float seed)
{
    op_begin(c, type, 15);
    if (seed >= 0)
        op_float(c, "seed", seed);
}

/* Mean and deviation. */
static void moments(const float *x, int count, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    *mean = sum / count;
    *deviation = sqrt(squares / count - *mean * *mean);
}

static void numbers_have_the_asked_distribution(void **state)
{
    (void)state;
    double mean, deviation;
    struct op_case c;
    begin(&c, "RandomUniform", 1);
    op_float(&c, "low", -1.0f);
    op_float(&c, "high", 3.0f);
    op_ints(&c, "shape", 2, (int64_t)200, (int64_t)200);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 200, 200);
    const float *x = c.data[0];
    for (int i = 0; i < COUNT; i++)
        assert_true(x[i] >= -1.0f && x[i] < 3.0f);
    moments(x, COUNT, &mean, &deviation); /* of 1 and 2 / sqrt(3), within five standard errors */
    assert_true(fabs(mean - 1) < 0.03 && fabs(deviation - 1.1547) < 0.02);
    op_end(&c);
    begin(&c, "RandomNormal", 1);
    op_float(&c, "mean", 2.0f);
    op_float(&c, "scale", 0.5f);
    op_ints(&c, "shape", 1, (int64_t)COUNT);
    op_run_both(&c);
    moments(c.data[0], COUNT, &mean, &deviation);
    assert_true(fabs(mean - 2) < 0.0125 && fabs(deviation - 0.5) < 0.01);
    op_end(&c);
}

static void uniform_numbers_stay_below_the_end(void **state)
{
    (void)state;
    struct op_case c; /* floats between 1 and the end: none; rounding must not give the end */
    begin(&c, "RandomUniformLike", 3);
    op_float(&c, "low", 1.0f);
    op_float(&c, "high", 1.0000001192092896f);
    op_input(&c, RDL_F32, numbers, 1, 1000);
    op_run_both(&c);
    for (int i = 0; i < 1000; i++)
        assert_true(((float *)c.data[0])[i] == 1.0f);
    op_end(&c);
}

/* The bytes of one run, kept in `out`. */
static void draw(const char *type, float seed, enum rdl_dtype dtype, double out[64])
{
    struct op_case c;
    begin(&c, type, seed);
    if (dtype != RDL_DTYPE_NONE)
        op_int(&c, "dtype", dtype);
    for (int i = 0; i < 64; i++)
        numbers[i] = 0.5f;
    op_input(&c, RDL_F32, numbers, 2, 1, 64);
    if (strcmp(type, "Multinomial") == 0)
        op_int(&c, "sample_size", 64);
    assert_int_equal(RDL_OK, op_run(&c));
    for (int i = 0; i < 64; i++)
        out[i] = c.out[0].dtype == RDL_F32   ? (double)((float *)c.data[0])[i]
                 : c.out[0].dtype == RDL_I32 ? ((int32_t *)c.data[0])[i]
                 : c.out[0].dtype == RDL_I64 ? (double)((int64_t *)c.data[0])[i]
                                             : ((double *)c.data[0])[i];
    op_end(&c);
}

static void a_seed_repeats_and_no_seed_does_not(void **state)
{
    (void)state;
    static const char *const types[] = {"RandomNormalLike", "RandomUniformLike", "Bernoulli",
                                        "Multinomial"};
    for (int i = 0; i < 4; i++) {
        double a[64], b[64];
        draw(types[i], 5, RDL_DTYPE_NONE, a);
        draw(types[i], 5, RDL_DTYPE_NONE, b);
        assert_memory_equal(a, b, sizeof a);
        draw(types[i], 6, RDL_DTYPE_NONE, b);
        assert_memory_not_equal(a, b, sizeof a);
        draw(types[i], -1, RDL_DTYPE_NONE, a);
        draw(types[i], -1, RDL_DTYPE_NONE, b);
        assert_memory_not_equal(a, b, sizeof a);
    }
}

static void the_dtype_does_not_change_what_is_drawn(void **state)
{
    (void)state;
    double a[64], b[64];
    draw("RandomNormalLike", 5, RDL_DTYPE_NONE, a);
    draw("RandomNormalLike", 5, RDL_F64, b);
    for (int i = 0; i < 64; i++)
        assert_true(a[i] == (double)(float)b[i]);
    draw("Multinomial", 5, RDL_DTYPE_NONE, a);
    draw("Multinomial", 5, RDL_I64, b);
    assert_memory_equal(a, b, sizeof a);
    draw("Bernoulli", 5, RDL_DTYPE_NONE, a);
    draw("Bernoulli", 5, RDL_I32, b);
    assert_memory_equal(a, b, sizeof a);
}

static void bernoulli_is_one_as_often_as_asked(void **state)
{
    (void)state;
    struct op_case c;
    for (int i = 0; i < COUNT; i++)
        numbers[i] = i < 2 ? (float)i : 0.25f;
    begin(&c, "Bernoulli", 2);
    op_input(&c, RDL_F32, numbers, 1, COUNT);
    op_run_both(&c);
    const float *x = c.data[0];
    double mean, deviation;
    moments(x, COUNT, &mean, &deviation);
    assert_true(x[0] == 0.0f && x[1] == 1.0f);
    assert_true(fabs(mean - 0.25) < 0.011);
    op_end(&c);
    numbers[7] = 1.5f;
    begin(&c, "Bernoulli", 2);
    op_input(&c, RDL_F32, numbers, 1, COUNT);
    op_fails(&c, RDL_ERR_RUNTIME, "");
}

static void multinomial_draws_in_proportion(void **state)
{
    (void)state;
    /* Weights 1 : 3 : 0, and a row with one class alone. */
    const float logs[6] = {1000.0f, 1001.0986f, -INFINITY, -INFINITY, -INFINITY, -5.0f};
    int count[2][3] = {{0}};
    struct op_case c;
    begin(&c, "Multinomial", 4);
    op_int(&c, "sample_size", COUNT);
    op_input(&c, RDL_F32, logs, 2, 2, 3);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 2, COUNT);
    for (int i = 0; i < 2 * COUNT; i++)
        count[i / COUNT][((int32_t *)c.data[0])[i]]++;
    op_end(&c);
    assert_true(abs(count[0][0] - COUNT / 4) < 450);
    assert_int_equal(0, count[0][2]);
    assert_int_equal(COUNT, count[1][2]);
    const float none[2] = {-INFINITY, -INFINITY}, bad[2] = {0, NAN};
    begin(&c, "Multinomial", 4);
    op_input(&c, RDL_F32, none, 2, 1, 2);
    op_fails(&c, RDL_ERR_RUNTIME, "");
    begin(&c, "Multinomial", 4);
    op_input(&c, RDL_F32, bad, 2, 1, 2);
    op_fails(&c, RDL_ERR_RUNTIME, "");
}

static void bad_nodes_are_refused(void **state)
{
    (void)state;
    struct op_case c;
    begin(&c, "RandomNormal", 1);
    op_fails(&c, RDL_ERR_MODEL, "shape");
    begin(&c, "RandomUniform", 1);
    op_ints(&c, "shape", 1, (int64_t)-1);
    op_fails(&c, RDL_ERR_SHAPE, "negative");
    begin(&c, "RandomUniform", 1);
    op_ints(&c, "shape", 1, (int64_t)1);
    op_int(&c, "dtype", RDL_F16);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f16 is not supported");
    begin(&c, "RandomNormalLike", 1);
    op_input(&c, RDL_I32, numbers, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype i32 is not supported");
    begin(&c, "Multinomial", 1);
    op_input(&c, RDL_F32, numbers, 2, 1, 0);
    op_fails(&c, RDL_ERR_SHAPE, "no classes");
    begin(&c, "Multinomial", 1);
    op_int(&c, "dtype", RDL_F32);
    op_input(&c, RDL_F32, numbers, 2, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f32 is not supported");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_words),
        cmocka_unit_test(numbers_have_the_asked_distribution),
        cmocka_unit_test(uniform_numbers_stay_below_the_end),
        cmocka_unit_test(a_seed_repeats_and_no_seed_does_not),
        cmocka_unit_test(the_dtype_does_not_change_what_is_drawn),
        cmocka_unit_test(bernoulli_is_one_as_often_as_asked),
        cmocka_unit_test(multinomial_draws_in_proportion),
        cmocka_unit_test(bad_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
