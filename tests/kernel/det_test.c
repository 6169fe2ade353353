/*
 * Det from node to numbers.
 */
#include "op_driver.h"

/* By cofactors along the first row. */
static double cofactors(const double *a, int n)
{
    double sum = n == 0 ? 1 : 0, minor[16];
    for (int c = 0; c < n; c++) {
        for (int r = 1; r < n; r++)
            for (int k = 0, at = 0; k < n; k++)
                if (k != c)
                    minor[(r - 1) * (n - 1) + at++] = a[r * n + k];
        sum += (c % 2 == 0 ? 1 : -1) * a[c] * cofactors(minor, n - 1);
    }
    return sum;
}

static void det_is_the_sum_of_cofactors(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int n = 0; n <= 4; n++) {
        double a[5 * 16 + 1] = {0};
        float narrow[5 * 16 + 1];
        for (int i = 0; i < 5 * n * n; i++)
            a[i] = (double)test_between(&seed, -2, 2); /* zeros too: rows must be exchanged */
        for (int i = 0; i < 5 * n * n; i++)
            narrow[i] = (float)a[i];
        struct op_case c, d;
        op_begin(&c, "Det", 11);
        op_input(&c, RDL_F64, a, 3, 5, n, n);
        op_run_both(&c);
        op_expect_dims(&c, 0, 1, 5);
        op_begin(&d, "Det", 22);
        op_input(&d, RDL_F32, narrow, 4, 5, 1, n, n);
        op_run_both(&d);
        op_expect_dims(&d, 0, 2, 5, 1);
        for (int i = 0; i < 5; i++) {
            const double want = cofactors(a + (ptrdiff_t)i * n * n, n);
            assert_true(fabs(((double *)c.data[0])[i] - want) < 1e-12 * (1 + fabs(want)));
            assert_true(fabs((double)((float *)d.data[0])[i] - want) < 1e-5 * (1 + fabs(want)));
        }
        op_end(&c);
        op_end(&d);
    }
}

static void det_of_one_matrix_is_a_scalar(void **state)
{
    (void)state;
    const float a[4] = {0, 2, 3, 4};
    struct op_case c;
    op_begin(&c, "Det", 11);
    op_input(&c, RDL_F32, a, 2, 2, 2);
    op_run_both(&c);
    op_expect_dims(&c, 0, 0);
    assert_true(*(float *)c.data[0] == -6.0f);
    op_end(&c);
    op_begin(&c, "Det", 11);
    op_input(&c, RDL_F32, a, 2, 1, 2);
    op_fails(&c, RDL_ERR_SHAPE, "1 by 2 are not square");
    op_begin(&c, "Det", 11);
    op_input(&c, RDL_I32, a, 2, 2, 2);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype i32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(det_is_the_sum_of_cofactors),
        cmocka_unit_test(det_of_one_matrix_is_a_scalar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
