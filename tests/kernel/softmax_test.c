/*
 * Softmax and affine maps of channels: each instruction set against the reference in double, and rows
 * that must not depend on their neighbours.
 */
#include "kernel_test.h"

#include "kernels/kernels.h"

static const int64_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1000, 6625};
#define SIZES (sizeof sizes / sizeof *sizes)

static void softmax_check(uint64_t *seed, rdl__kernel_fn fn, int64_t rows, int64_t size,
                          float (*number)(uint64_t *), const char *what)
{
    struct rdl__k_softmax p = {.dtype = RDL_F32, .outer = rows, .size = size, .inner = 1};
    float *x = test_random(seed, rows * size, number), *y = test_floats(rows * size);
    float *want = test_floats(rows * size), *alone = test_floats(size);
    for (int64_t r = 0; r < rows; r++) {
        double most = -INFINITY, sum = 0.0;
        for (int64_t i = 0; i < size; i++)
            most = (double)x[r * size + i] > most ? (double)x[r * size + i] : most;
        for (int64_t i = 0; i < size; i++)
            sum += exp((double)x[r * size + i] - most);
        for (int64_t i = 0; i < size; i++)
            want[r * size + i] = (float)(exp((double)x[r * size + i] - most) / sum);
    }
    size_t tiles = rdl__k_softmax_plan(&p);
    void *bind[] = {x, y};
    assert_int_equal(RDL_OK, test_run_split(fn, &p, bind, tiles, 0));
    /* The difference to the largest is rounded to f32, up to 4e-6 of a number around 100. */
    test_close(want, y, rows * size, 1e-5, 1e-37, what);
    /* A row alone, and in place. */
    memcpy(alone, x + (rows - 1) * size, (size_t)size * sizeof *alone);
    p.outer = 1;
    tiles = rdl__k_softmax_plan(&p);
    bind[0] = bind[1] = alone;
    assert_int_equal(RDL_OK, test_run(fn, &p, bind, tiles, 0));
    test_same_bits(y + (rows - 1) * size, alone, size, what);
    test_floats_release(x);
    test_floats_release(y);
    test_floats_release(want);
    test_floats_release(alone);
}

static float wide_number(uint64_t *seed)
{
    return 50.0f * test_unit(seed);
}

static void softmax_each(rdl__kernel_fn fn, const char *what)
{
    uint64_t seed = 61;
    for (size_t i = 0; i < SIZES; i++) {
        softmax_check(&seed, fn, 5, sizes[i], wide_number, what);
        softmax_check(&seed, fn, 3, sizes[i], test_edgy, what);
    }
    softmax_check(&seed, fn, 3000, 17, test_unit, what); /* several tiles */
}

static void softmax_on(enum rdl__isa isa)
{
    softmax_each(rdl__k_f32_of(isa)->softmax, rdl__isa_name(isa));
}

static void softmax_agrees_with_double_precision(void **state)
{
    (void)state;
    softmax_each(rdl__k_softmax_ref, "reference");
    test_each_isa(softmax_on);
}

static void affine_each(rdl__kernel_fn fn, const char *what)
{
    uint64_t seed = 63;
    for (size_t s = 0; s < SIZES; s++) {
        const int64_t batch = 3, channels = 5, size = sizes[s], count = batch * channels * size;
        float *x = test_random(&seed, count, test_edgy), *want = test_floats(count);
        float *factor = test_random(&seed, channels, test_unit);
        float *term = test_random(&seed, channels, test_unit);
        for (int64_t i = 0; i < count; i++) {
            const float product = x[i] * factor[i / size % channels];
            want[i] = product + term[i / size % channels];
        }
        struct rdl__k_affine p = {
            .dtype = RDL_F32, .batch = batch, .channels = channels, .size = size};
        const size_t tiles = rdl__k_affine_plan(&p);
        void *bind[] = {x, factor, term, x}; /* in place */
        assert_int_equal(RDL_OK, test_run_split(fn, &p, bind, tiles, 0));
        test_same_bits(want, x, count, what);
        test_floats_release(x);
        test_floats_release(want);
        test_floats_release(factor);
        test_floats_release(term);
    }
}

static void affine_on(enum rdl__isa isa)
{
    affine_each(rdl__k_f32_of(isa)->affine, rdl__isa_name(isa));
}

static void affine_is_a_product_and_a_sum(void **state)
{
    (void)state;
    affine_each(rdl__k_affine_ref, "reference");
    test_each_isa(affine_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_agrees_with_double_precision),
        cmocka_unit_test(affine_is_a_product_and_a_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
