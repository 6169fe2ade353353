/*
 * Einsum against a plain loop over all labels, in every order of strides that the equations give.
 */
#include "op_driver.h"

#define MOST 4096
static float data[3][MOST];

/* One operand: its labels, and its dims beside them. */
struct operand {
    const char *labels;
    int dims[RDL_MAX_RANK];
};

static void fill_data(void)
{
    uint64_t seed = 7;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < MOST; k++)
            data[i][k] = (float)test_between(&seed, -3, 3);
}

/* Elements of an operand at the place that `index` gives each label. */
static int place_of(const struct operand *operand, const int index[128])
{
    int at = 0;
    for (int d = 0; operand->labels[d] != '\0'; d++)
        at = at * operand->dims[d] + index[(int)operand->labels[d]];
    return at;
}

/* Sums the products over all labels into want, whose labels are `out`. All numbers are small integers, so
 * that every order of the sums gives the same bits. */
static int64_t plain_sum(const struct operand *in, int n, const struct operand *out, double *want)
{
    int index[128] = {0}, size[128] = {0};
    char labels[32] = "";
    int64_t count = 1;
    for (int i = 0; i < n; i++)
        for (int d = 0; in[i].labels[d] != '\0'; d++) {
            if (strchr(labels, in[i].labels[d]) == NULL)
                labels[strlen(labels)] = in[i].labels[d];
            size[(int)in[i].labels[d]] = in[i].dims[d];
        }
    for (int d = 0; out->labels[d] != '\0'; d++)
        count *= out->dims[d];
    memset(want, 0, (size_t)count * sizeof *want);
    for (;;) {
        double product = 1;
        for (int i = 0; i < n; i++)
            product *= (double)data[i][place_of(&in[i], index)];
        want[place_of(out, index)] += product;
        int d = 0;
        for (; labels[d] != '\0' && ++index[(int)labels[d]] == size[(int)labels[d]]; d++)
            index[(int)labels[d]] = 0;
        if (labels[d] == '\0')
            return count;
    }
}

/* What an operand's elements are in a dtype. */
static const void *as_dtype(enum rdl_dtype dtype, int i)
{
    static double wide[3][MOST];
    static int32_t whole[3][MOST];
    for (int k = 0; k < MOST; k++) {
        wide[i][k] = (double)data[i][k];
        whole[i][k] = (int32_t)data[i][k];
    }
    return dtype == RDL_F32   ? (const void *)data[i]
           : dtype == RDL_F64 ? (const void *)wide[i]
                              : (const void *)whole[i];
}

static double result_at(const struct op_case *c, int64_t i)
{
    switch (c->out[0].dtype) {
    case RDL_F32:
        return (double)((const float *)c->data[0])[i];
    case RDL_F64:
        return ((const double *)c->data[0])[i];
    default:
        return ((const int32_t *)c->data[0])[i];
    }
}

static void einsum_case(const char *equation, const struct operand *in, int n,
                        const struct operand *out)
{
    static double want[MOST];
    static const enum rdl_dtype dtypes[] = {RDL_F32, RDL_F64, RDL_I32};
    const int64_t count = plain_sum(in, n, out, want);
    for (int t = 0; t < 3; t++) {
        struct op_case c;
        op_begin(&c, "Einsum", 12);
        op_text(&c, "equation", equation);
        for (int i = 0; i < n; i++) {
            op_input(&c, dtypes[t], as_dtype(dtypes[t], i), 0);
            c.in[i].shape.rank = (int32_t)strlen(in[i].labels);
            for (int32_t d = 0; d < c.in[i].shape.rank; d++)
                c.in[i].shape.dims[d] = in[i].dims[d];
        }
        op_run_both(&c);
        assert_int_equal(strlen(out->labels), c.out[0].shape.rank);
        for (int32_t d = 0; d < c.out[0].shape.rank; d++)
            assert_int_equal(out->dims[d], c.out[0].shape.dims[d]);
        for (int64_t i = 0; i < count; i++)
            if (want[i] != result_at(&c, i))
                fail_msg("%s of %s: element %d is %g, expected %g", equation,
                         rdl_dtype_name(dtypes[t]), (int)i, result_at(&c, i), want[i]);
        op_end(&c);
    }
}

#define OPERAND(labels, ...)                                                                       \
    {                                                                                              \
        labels,                                                                                    \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define CASE(equation, out, ...)                                                                   \
    do {                                                                                           \
        const struct operand operands[] = {__VA_ARGS__}, result = out;                             \
        einsum_case(equation, operands, (int)(sizeof operands / sizeof *operands), &result);       \
    } while (0)

static void one_operand_is_moved_or_summed(void **state)
{
    (void)state;
    CASE("ij->ji", OPERAND("ji", 4, 3), OPERAND("ij", 3, 4));
    CASE("ij -> i", OPERAND("i", 3), OPERAND("ij", 3, 4));
    CASE("iij->ij", OPERAND("ij", 3, 2), OPERAND("iij", 3, 3, 2));
    CASE("ii", OPERAND("", 0), OPERAND("ii", 5, 5));
    CASE("ba", OPERAND("ab", 2, 3), OPERAND("ba", 3, 2)); /* labels are sorted */
    CASE("aB", OPERAND("Ba", 2, 3), OPERAND("aB", 3, 2)); /* capitals first */
    CASE("->", OPERAND("", 0), OPERAND("", 0));
}

static void two_operands_are_products_of_matrices(void **state)
{
    (void)state;
    CASE("ij,jk->ik", OPERAND("ik", 5, 33), OPERAND("ij", 5, 7), OPERAND("jk", 7, 33));
    CASE("ij,kj->ki", OPERAND("ki", 6, 5), OPERAND("ij", 5, 7), OPERAND("kj", 6, 7));
    CASE("ji,jk->ik", OPERAND("ik", 7, 4), OPERAND("ji", 3, 7), OPERAND("jk", 3, 4));
    CASE("i,j->ij", OPERAND("ij", 5, 3), OPERAND("i", 5), OPERAND("j", 3));
    CASE("i,i", OPERAND("", 0), OPERAND("i", 9), OPERAND("i", 9));
    CASE("bij,bjk->bik", OPERAND("bik", 3, 2, 5), OPERAND("bij", 3, 2, 4), OPERAND("bjk", 3, 4, 5));
    CASE("bqhd,bkhd->bhqk", OPERAND("bhqk", 2, 3, 4, 5), OPERAND("bqhd", 2, 4, 3, 6),
         OPERAND("bkhd", 2, 5, 3, 6));
    CASE("bhqk,bkhd->bqhd", OPERAND("bqhd", 2, 4, 3, 6), OPERAND("bhqk", 2, 3, 4, 5),
         OPERAND("bkhd", 2, 5, 3, 6));
    CASE("nhwc,hwco->no", OPERAND("no", 3, 4), OPERAND("nhwc", 3, 2, 3, 2),
         OPERAND("hwco", 2, 3, 2, 4));
    CASE("nchw,hwco->no", OPERAND("no", 3, 4), OPERAND("nchw", 3, 2, 2, 3),
         OPERAND("hwco", 2, 3, 2, 4));
    CASE("abcdefgi,gi->abcdefg", OPERAND("abcdefg", 2, 2, 2, 2, 2, 2, 2),
         OPERAND("abcdefgi", 2, 2, 2, 2, 2, 2, 2, 3), OPERAND("gi", 2, 3));
    CASE("abcdefgi,abcdefgi->abcdefg", OPERAND("abcdefg", 2, 2, 2, 2, 2, 2, 2),
         OPERAND("abcdefgi", 2, 2, 2, 2, 2, 2, 2, 3), OPERAND("abcdefgi", 2, 2, 2, 2, 2, 2, 2, 3));
}

static void labels_of_one_operand_alone_are_summed(void **state)
{
    (void)state;
    CASE("ijx,jky->ik", OPERAND("ik", 3, 5), OPERAND("ijx", 3, 4, 2), OPERAND("jky", 4, 5, 3));
    CASE("ix,jy->", OPERAND("", 0), OPERAND("ix", 3, 4), OPERAND("jy", 4, 5));
    CASE("iij,jk->ik", OPERAND("ik", 3, 2), OPERAND("iij", 3, 3, 4), OPERAND("jk", 4, 2));
}

static void more_operands_are_joined_in_turn(void **state)
{
    (void)state;
    CASE("ij,jk,kl->il", OPERAND("il", 2, 5), OPERAND("ij", 2, 3), OPERAND("jk", 3, 4),
         OPERAND("kl", 4, 5));
    CASE("i,j,ij->ji", OPERAND("ji", 4, 3), OPERAND("i", 3), OPERAND("j", 4), OPERAND("ij", 3, 4));
    CASE("bi,oij,bj->bo", OPERAND("bo", 2, 3), OPERAND("bi", 2, 4), OPERAND("oij", 3, 4, 5),
         OPERAND("bj", 2, 5));
}

/* Runs an equation on f32 and compares with numbers worked out by hand. */
static void expect_numbers(struct op_case *c, int count, const float *want)
{
    op_run_both(c);
    assert_int_equal(count, rdl__shape_count(&c->out[0].shape));
    assert_memory_equal(want, c->data[0], (size_t)count * sizeof *want);
    op_end(c);
}

static void ellipses_broadcast(void **state)
{
    (void)state;
    const float a[6] = {1, 2, 3, 4, 5, 6}, b[2] = {10, 100};
    struct op_case c;
    op_begin(&c, "Einsum", 12);
    op_text(&c, "equation", "...ij,...j->...i");
    op_input(&c, RDL_F32, a, 4, 3, 1, 1, 2);
    op_input(&c, RDL_F32, b, 2, 1, 2);
    expect_numbers(&c, 3, (const float[]){210, 430, 650});
    op_begin(&c, "Einsum", 12);
    op_text(&c, "equation", "i...,...");
    op_input(&c, RDL_F32, a, 2, 3, 2);
    op_input(&c, RDL_F32, b, 2, 2, 1);
    op_run_both(&c); /* [i, 2] by [2, 1]: the ellipsis is [2, 2] */
    op_expect_dims(&c, 0, 3, 2, 2, 3);
    assert_true(((float *)c.data[0])[1 * 6 + 1 * 3 + 2] == 600.0f);
    op_end(&c);
    op_begin(&c, "Einsum", 12);
    op_text(&c, "equation", "...ii ->...i");
    op_input(&c, RDL_F32, a, 3, 1, 2, 2);
    expect_numbers(&c, 2, (const float[]){1, 4});
}

static void sums_of_nothing_are_zero(void **state)
{
    (void)state;
    struct op_case c;
    op_begin(&c, "Einsum", 12);
    op_text(&c, "equation", "ij,jk->ik");
    op_input(&c, RDL_F32, data[0], 2, 2, 0);
    op_input(&c, RDL_F32, data[1], 2, 0, 1);
    expect_numbers(&c, 2, (const float[]){0, 0});
}

static void bad_equations_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *equation;
        enum rdl_status status;
        const char *part;
    } cases[] = {
        {"ij,jk->iz", RDL_ERR_MODEL, "one that no operand has"},
        {"ij,jk->ii", RDL_ERR_MODEL, "has a label twice"},
        {"ij", RDL_ERR_MODEL, "has 1 operands, the node has 2"},
        {"ij,j?->i", RDL_ERR_MODEL, "cannot be read"},
        {"ij,jk-i", RDL_ERR_MODEL, "cannot be read"},
        {"......,ij", RDL_ERR_MODEL, "cannot be read"},
        {"ij,jk->ik,", RDL_ERR_MODEL, "cannot be read"},
        {"ijk,jk->i", RDL_ERR_SHAPE, "input 0: rank 2, the equation has 3 labels"},
        {"...ijk,jk->i", RDL_ERR_SHAPE, "input 0: rank 2, the equation has 3 labels"},
        {"ij,ik->jk", RDL_ERR_SHAPE, "input 1: a dimension is 3, another of its label is 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct op_case c;
        op_begin(&c, "Einsum", 12);
        op_text(&c, "equation", cases[i].equation);
        op_input(&c, RDL_F32, data[0], 2, 2, 3);
        op_input(&c, RDL_F32, data[1], 2, 3, 2);
        op_fails(&c, cases[i].status, cases[i].part);
    }
    struct op_case c;
    op_begin(&c, "Einsum", 12);
    op_text(&c, "equation", "abcde,fghij->abcdefghij");
    op_input(&c, RDL_F32, data[0], 5, 1, 1, 1, 1, 1);
    op_input(&c, RDL_F32, data[1], 5, 1, 1, 1, 1, 1);
    op_fails(&c, RDL_ERR_MODEL, "cannot be read"); /* more labels than a tensor has dimensions */
    op_begin(&c, "Einsum", 12);
    op_text(&c, "equation", "i->i");
    op_input(&c, RDL_BOOL, data[0], 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype bool");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_operand_is_moved_or_summed),
        cmocka_unit_test(two_operands_are_products_of_matrices),
        cmocka_unit_test(labels_of_one_operand_alone_are_summed),
        cmocka_unit_test(more_operands_are_joined_in_turn),
        cmocka_unit_test(ellipses_broadcast),
        cmocka_unit_test(sums_of_nothing_are_zero),
        cmocka_unit_test(bad_equations_are_refused),
    };
    fill_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
