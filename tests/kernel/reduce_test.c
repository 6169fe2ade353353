/*
 * Foldings along every set of axes against plain loops in double; places of extremes, running sums,
 * and nodes that must be refused.
 */
#include "op_driver.h"

#include "kernels/kernels.h"

#define L(...) ((const int64_t[]){__VA_ARGS__})
#define I(...) ((const int32_t[]){__VA_ARGS__})
#define B(...) ((const uint8_t[]){__VA_ARGS__})

/* ---------------------------------------------------------------------------------------- kernels */

static double expect_term(enum rdl__k_reduce_op op, double x)
{
    switch (op) {
    case RDL__K_REDUCE_L1:
        return fabs(x);
    case RDL__K_REDUCE_L2:
    case RDL__K_REDUCE_SUM_SQUARE:
    case RDL__K_REDUCE_DEVIATION:
        return x * x;
    case RDL__K_REDUCE_LOG_SUM_EXP:
        return exp(x);
    default:
        return x;
    }
}

static double expect_end(enum rdl__k_reduce_op op, double sum, double size)
{
    switch (op) {
    case RDL__K_REDUCE_MEAN:
        return sum / size;
    case RDL__K_REDUCE_L2:
        return sqrt(sum);
    case RDL__K_REDUCE_DEVIATION:
        return sqrt(sum / size) + 1e-9;
    case RDL__K_REDUCE_LOG_SUM:
    case RDL__K_REDUCE_LOG_SUM_EXP:
        return log(sum);
    default:
        return sum;
    }
}

/* Fills want [count of outputs] by walking over x once. */
static void expect(enum rdl__k_reduce_op op, const float *x, const struct rdl__shape *shape,
                   unsigned set, double *want, int64_t count)
{
    const int64_t all = (int64_t)rdl__shape_count(shape);
    const bool product = op == RDL__K_REDUCE_PROD;
    const bool most = op == RDL__K_REDUCE_MAX, least = op == RDL__K_REDUCE_MIN;
    for (int64_t o = 0; o < count; o++)
        want[o] = product ? 1 : most ? -INFINITY : least ? INFINITY : 0;
    for (int64_t i = 0; i < all; i++) {
        int64_t left = i, o = 0, unit = 1;
        for (int32_t d = shape->rank - 1; d >= 0; d--) {
            if ((set >> d & 1) == 0) {
                o += left % shape->dims[d] * unit;
                unit *= shape->dims[d];
            }
            left /= shape->dims[d];
        }
        const double t = expect_term(op, (double)x[i]);
        if (product)
            want[o] *= t;
        else if (most || least)
            want[o] = isnan(want[o]) || isnan(t)           ? (double)NAN
                      : (most ? t > want[o] : t < want[o]) ? t
                                                           : want[o];
        else
            want[o] += t;
    }
    for (int64_t o = 0; o < count; o++)
        want[o] = expect_end(op, want[o], (double)all / (double)count);
}

static float positive(uint64_t *seed)
{
    return 1.0f + 0.3f * test_unit(seed);
}

static void fold_check(enum rdl__k_reduce_op op, const struct rdl__shape *shape, unsigned set,
                       rdl__kernel_fn fn, const char *isa)
{
    uint64_t seed = 3 + (uint64_t)op;
    bool fold[RDL_MAX_RANK] = {false};
    for (int32_t d = 0; d < shape->rank; d++)
        fold[d] = set >> d & 1;
    struct rdl__k_reduce p = {.op = op, .dtype = RDL_F32};
    const size_t tiles = rdl__k_reduce_plan(&p, shape, fold);
    const bool order = op == RDL__K_REDUCE_MAX || op == RDL__K_REDUCE_MIN;
    float *x = test_random(&seed, (int64_t)rdl__shape_count(shape), order ? test_edgy : positive);
    float *want = test_floats(p.count), *y = test_floats(p.count), *z = test_floats(p.count);
    double *wide = test_memory((size_t)p.count * sizeof(double), 8);
    expect(op, x, shape, set, wide, p.count);
    for (int64_t o = 0; o < p.count; o++)
        want[o] = (float)wide[o];
    void *bind[] = {x, y};
    char what[64];
    (void)snprintf(what, sizeof what, "%s folding %d of axes %x", isa, (int)op, set);
    assert_int_equal(RDL_OK, test_run_split(fn, &p, bind, tiles, 0));
    test_close(want, y, p.count, order ? 0 : op == RDL__K_REDUCE_PROD ? 2e-4 : 1e-6, 1e-6, what);
    bind[1] = z;
    assert_int_equal(RDL_OK, test_run(fn, &p, bind, tiles, 0));
    test_same_bits(y, z, p.count, what);
    test_floats_release(x);
    test_floats_release(want);
    test_floats_release(y);
    test_floats_release(z);
    test_release(wide, 8);
}

static const struct rdl__shape shapes[] = {
    {.rank = 0},
    {.rank = 1, .dims = {9000}},
    {.rank = 2, .dims = {7, 33}},
    {.rank = 2, .dims = {700, 130}},
    {.rank = 3, .dims = {5, 1, 19}},
    {.rank = 4, .dims = {3, 5, 4, 21}},
    {.rank = 4, .dims = {2, 70, 6, 9}},
};

static void fold_each(rdl__kernel_fn fn, const char *isa, bool all)
{
    for (int op = 0; op <= RDL__K_REDUCE_LOG_SUM_EXP; op++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (unsigned set = 0; set < 1u << shapes[s].rank; set++)
                if (all || rdl__k_reduce_f32_has((enum rdl__k_reduce_op)op))
                    fold_check((enum rdl__k_reduce_op)op, &shapes[s], set, fn, isa);
}

static void fold_on(enum rdl__isa isa)
{
    fold_each(rdl__k_f32_of(isa)->reduce, rdl__isa_name(isa), false);
}

static void folding_agrees_along_all_axes(void **state)
{
    (void)state;
    fold_each(rdl__k_reduce_ref, "reference", true);
    test_each_isa(fold_on);
}

/* The sum of one output has the same bits whatever the kept dimensions are. */
static void alone_on(enum rdl__isa isa)
{
    uint64_t seed = 12;
    enum { A = 3, B_ = 37, C = 50, D_ = 21 };
    float *x = test_random(&seed, A * B_ * C * D_, test_unit), *part = test_floats(B_ * C);
    const struct rdl__shape shape = {.rank = 4, .dims = {A, B_, C, D_}};
    const struct rdl__shape one = {.rank = 4, .dims = {1, B_, C, 1}};
    const bool fold[RDL_MAX_RANK] = {false, true, true, false};
    float y[A * D_], z;
    struct rdl__k_reduce p = {.op = RDL__K_REDUCE_SUM, .dtype = RDL_F32};
    size_t tiles = rdl__k_reduce_plan(&p, &shape, fold);
    assert_int_equal(RDL_OK, test_run(rdl__k_f32_of(isa)->reduce, &p, (void *[]){x, y}, tiles, 0));
    tiles = rdl__k_reduce_plan(&p, &one, fold);
    for (int o = 0; o < A * D_; o++) {
        for (int i = 0; i < B_ * C; i++)
            part[i] = x[(o / D_ * B_ * C + i) * D_ + o % D_];
        assert_int_equal(RDL_OK,
                         test_run(rdl__k_f32_of(isa)->reduce, &p, (void *[]){part, &z}, tiles, 0));
        test_same_bits(&y[o], &z, 1, "an output alone");
    }
    test_floats_release(x);
    test_floats_release(part);
}

static void folding_knows_no_neighbour(void **state)
{
    (void)state;
    test_each_isa(alone_on);
}

/* -------------------------------------------------------------------------------------- operators */

static void int_case(const char *type, enum rdl_dtype dtype, const void *x, const void *want)
{
    struct op_case c;
    op_begin(&c, type, 20);
    op_input(&c, dtype, x, 2, 2, 3);
    op_input(&c, RDL_I64, L(-1), 1, 1);
    op_run_both(&c);
    op_expect_dims(&c, 0, 2, 2, 1);
    if (memcmp(want, c.data[0], 2 * rdl_dtype_size(dtype)) != 0)
        fail_msg("%s of %s differs", type, rdl_dtype_name(dtype));
    op_end(&c);
}

static void integers_fold_in_their_dtype(void **state)
{
    (void)state;
    const int32_t *x = I(1, 2, -6, 3, 4, 0);
    int_case("ReduceSum", RDL_I32, x, I(-3, 7));
    int_case("ReduceMean", RDL_I32, x, I(-1, 2));
    int_case("ReduceProd", RDL_I32, x, I(-12, 0));
    int_case("ReduceMax", RDL_I32, x, I(2, 4));
    int_case("ReduceMin", RDL_I32, x, I(-6, 0));
    int_case("ReduceL1", RDL_I32, x, I(9, 7));
    int_case("ReduceL2", RDL_I32, x, I(6, 5));
    int_case("ReduceSumSquare", RDL_I32, x, I(41, 25));
    int_case("ReduceLogSumExp", RDL_I32, x, I(2, 4));
    int_case("ReduceSum", RDL_I64, L(INT64_MAX, 1, 0, 1, 2, 3), L(INT64_MIN, 6));
    int_case("ReduceMax", RDL_U8, B(200, 1, 3, 0, 0, 0), B(200, 0));
    int_case("ReduceMin", RDL_BOOL, B(1, 1, 0, 1, 1, 1), B(0, 1));
    int_case("ReduceMax", RDL_BOOL, B(1, 1, 0, 0, 0, 0), B(1, 0));
    int_case("ReduceMax", RDL_I8, (const int8_t[]){-5, -3, -9, 0, 7, -8}, (const int8_t[]){-3, 7});
}

/* Axes of every version; dims kept or not; nothing to fold. */
static void axes_are_read_as_the_version_says(void **state)
{
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    struct op_case c;
    for (int keep = 0; keep < 2; keep++) {
        op_begin(&c, "ReduceSum", 11);
        op_ints(&c, "axes", 1, (int64_t)-2);
        op_int(&c, "keepdims", keep);
        op_input(&c, RDL_F32, x, 2, 2, 3);
        op_run_both(&c);
        op_expect_dims(&c, 0, 1 + keep, keep ? 1 : 3, 3);
        assert_memory_equal(((float[]){5, 7, 9}), c.data[0], 12);
        op_end(&c);
    }
    op_begin(&c, "ReduceMean", 13);
    op_int(&c, "keepdims", 0);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_run_both(&c);
    op_expect_dims(&c, 0, 0);
    assert_true(*(float *)c.data[0] == 3.5f);
    op_end(&c);
    for (int noop = 0; noop < 2; noop++) {
        op_begin(&c, "ReduceSumSquare", 18);
        op_int(&c, "noop_with_empty_axes", noop);
        op_input(&c, RDL_F32, x, 2, 2, 3);
        op_run_both(&c);
        if (noop) /* the square is taken all the same */
            assert_memory_equal(((float[]){1, 4, 9, 16, 25, 36}), c.data[0], 24);
        else
            assert_true(*(float *)c.data[0] == 91);
        op_end(&c);
    }
}

static void folding_nothing_gives_the_neutral_element(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        float want;
    } cases[] = {{"ReduceSum", 0},
                 {"ReduceProd", 1},
                 {"ReduceMax", -INFINITY},
                 {"ReduceMin", INFINITY},
                 {"ReduceL2", 0},
                 {"ReduceLogSum", -INFINITY},
                 {"ReduceLogSumExp", -INFINITY},
                 {"ReduceMean", NAN}};
    const float x[1] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int64_t axis = 0; axis < 2; axis++) {
            struct op_case c;
            op_begin(&c, cases[i].type, 18);
            op_input(&c, RDL_F32, x, 2, axis ? 2 : 0, axis ? 0 : 2);
            op_input(&c, RDL_I64, &axis, 1, 1);
            op_run_both(&c);
            const float want[2] = {cases[i].want, cases[i].want};
            test_same_bits(want, c.data[0], 2, cases[i].type);
            op_end(&c);
        }
    struct op_case c;
    op_begin(&c, "ReduceMax", 18);
    op_input(&c, RDL_I8, x, 1, 0);
    op_run_both(&c);
    assert_int_equal(-128, *(int8_t *)c.data[0]);
    op_end(&c);
}

static void log_sum_exp_does_not_overflow(void **state)
{
    (void)state;
    const float x[3] = {1000, 1000, -INFINITY};
    struct op_case c;
    op_begin(&c, "ReduceLogSumExp", 18);
    op_input(&c, RDL_F32, x, 1, 3);
    op_run_both(&c);
    assert_true(fabsf(*(float *)c.data[0] - 1000.6931f) < 1e-3f);
    op_end(&c);
    op_begin(&c, "ReduceLogSumExp", 18);
    op_input(&c, RDL_F32, x + 2, 1, 1);
    op_run_both(&c);
    assert_true(*(float *)c.data[0] == -INFINITY);
    op_end(&c);
}

static void arg_case(const char *type, int axis, int last, int keep, const int64_t *want, int count)
{
    static const int16_t x[12] = {3, 9, 2, 9, 9, 1, 2, 2, 3, 1, 0, 1};
    struct op_case c;
    op_begin(&c, type, 13);
    op_int(&c, "axis", axis);
    op_int(&c, "select_last_index", last);
    op_int(&c, "keepdims", keep);
    op_input(&c, RDL_I16, x, 2, 3, 4);
    op_run_both(&c);
    assert_int_equal(keep ? 2 : 1, c.out[0].shape.rank);
    assert_int_equal(count, rdl__shape_count(&c.out[0].shape));
    assert_memory_equal(want, c.data[0], (size_t)count * 8);
    op_end(&c);
}

static void arg_finds_first_or_last(void **state)
{
    (void)state;
    arg_case("ArgMax", 1, 0, 0, L(1, 0, 0), 3);
    arg_case("ArgMax", -1, 1, 1, L(3, 0, 0), 3);
    arg_case("ArgMin", 1, 1, 1, L(2, 1, 2), 3);
    arg_case("ArgMax", 0, 0, 1, L(1, 0, 0, 0), 4);
    arg_case("ArgMin", 0, 1, 0, L(2, 2, 2, 2), 4);
}

/* Columns side by side give what each gives alone; not a number is passed over, but not at the front. */
static void arg_columns_are_independent(void **state)
{
    (void)state;
    enum { OUTER = 3, SIZE = 37, INNER = 150 };
    static float x[OUTER * SIZE * INNER];
    static int64_t want[OUTER * INNER];
    uint64_t seed = 9;
    for (int form = 0; form < 4; form++) {
        const bool least = form & 1, last = form & 2;
        for (int i = 0; i < OUTER * SIZE * INNER; i++)
            x[i] = test_next(&seed) % 50 == 0 ? NAN : (float)test_between(&seed, -4, 4);
        for (int o = 0; o < OUTER * INNER; o++) {
            const float *column = x + o / INNER * SIZE * INNER + o % INNER;
            want[o] = 0;
            for (int i = 1; i < SIZE; i++) {
                const float value = column[i * INNER], best = column[want[o] * INNER];
                if (least ? value < best || (last && value == best)
                          : value > best || (last && value == best))
                    want[o] = i;
            }
        }
        struct op_case c;
        op_begin(&c, least ? "ArgMin" : "ArgMax", 13);
        op_int(&c, "axis", 1);
        op_int(&c, "select_last_index", last);
        op_input(&c, RDL_F32, x, 3, OUTER, SIZE, INNER);
        op_run_both(&c);
        assert_memory_equal(want, c.data[0], sizeof want);
        op_end(&c);
    }
}

static void hardmax_marks_columns(void **state)
{
    (void)state;
    enum { SIZE = 5, INNER = 70 };
    static float x[SIZE * INNER];
    uint64_t seed = 11;
    for (int i = 0; i < SIZE * INNER; i++)
        x[i] = test_unit(&seed);
    struct op_case c;
    op_begin(&c, "Hardmax", 13);
    op_int(&c, "axis", 0);
    op_input(&c, RDL_F32, x, 2, SIZE, INNER);
    op_run_both(&c);
    for (int e = 0; e < INNER; e++) {
        int best = 0;
        for (int i = 1; i < SIZE; i++)
            best = x[i * INNER + e] > x[best * INNER + e] ? i : best;
        for (int i = 0; i < SIZE; i++)
            assert_true(((float *)c.data[0])[i * INNER + e] == (i == best ? 1.0f : 0.0f));
    }
    op_end(&c);
}

static void cumsum_case(int axis, int exclusive, int reverse, const float *want)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    const int32_t at = axis;
    struct op_case c;
    op_begin(&c, "CumSum", 14);
    op_int(&c, "exclusive", exclusive);
    op_int(&c, "reverse", reverse);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I32, &at, 0);
    op_run_both(&c);
    assert_memory_equal(want, c.data[0], sizeof x);
    op_end(&c);
}

static void cumprod_case(int exclusive, int reverse, const int32_t *want)
{
    static const int32_t x[4] = {2, 3, -4, 65536};
    const int64_t axis = 0;
    struct op_case c;
    op_begin(&c, "CumProd", 26);
    op_int(&c, "exclusive", exclusive);
    op_int(&c, "reverse", reverse);
    op_input(&c, RDL_I32, x, 1, 4);
    op_input(&c, RDL_I64, &axis, 0);
    op_run_both(&c);
    assert_memory_equal(want, c.data[0], sizeof x);
    op_end(&c);
}

static void cumprod_runs_both_ways(void **state)
{
    (void)state;
    cumprod_case(0, 0, (const int32_t[]){2, 6, -24, -1572864});
    cumprod_case(1, 0, (const int32_t[]){1, 2, 6, -24});
    cumprod_case(0, 1, (const int32_t[]){-1572864, -786432, -262144, 65536});
    cumprod_case(1, 1, (const int32_t[]){-786432, -262144, 65536, 1});
}

static void cumsum_runs_both_ways(void **state)
{
    (void)state;
    cumsum_case(1, 0, 0, (const float[]){1, 3, 6, 4, 9, 15});
    cumsum_case(-1, 1, 0, (const float[]){0, 1, 3, 0, 4, 9});
    cumsum_case(1, 0, 1, (const float[]){6, 5, 3, 15, 11, 6});
    cumsum_case(0, 1, 1, (const float[]){4, 5, 6, 0, 0, 0});
    const int64_t axis = 0;
    struct op_case c;
    op_begin(&c, "CumSum", 14);
    op_input(&c, RDL_I64, L(INT64_MAX, 1), 1, 2);
    op_input(&c, RDL_I64, &axis, 1, 1);
    op_run_both(&c);
    assert_memory_equal(L(INT64_MAX, INT64_MIN), c.data[0], 16);
    op_end(&c);
}

static void bad_nodes_are_refused(void **state)
{
    (void)state;
    const float x[8] = {0};
    struct op_case c;
    op_begin(&c, "ReduceSum", 13);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_input(&c, RDL_I64, L(2), 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "axis 2 is outside rank 2");
    op_begin(&c, "ReduceMax", 13);
    op_ints(&c, "axes", 2, (int64_t)0, (int64_t)-2);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_SHAPE, "axis 0 is named twice");
    op_begin(&c, "ReduceMax", 18);
    op_ints(&c, "axes", 1, (int64_t)0);
    op_input(&c, RDL_F32, x, 2, 2, 3);
    op_fails(&c, RDL_ERR_MODEL, "\"axes\" is not known");
    op_begin(&c, "ReduceSum", 13);
    op_input(&c, RDL_F16, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f16");
    op_begin(&c, "ReduceSum", 13);
    op_input(&c, RDL_BOOL, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype bool");
    op_begin(&c, "ReduceSum", 13);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_F32, x, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "expected i64 or i32");
    op_begin(&c, "ArgMax", 13);
    op_input(&c, RDL_F32, x, 2, 0, 3);
    op_fails(&c, RDL_ERR_SHAPE, "axis 0 has no elements");
    op_begin(&c, "ArgMax", 11);
    op_int(&c, "select_last_index", 1);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_MODEL, "\"select_last_index\" is not known");
    op_begin(&c, "ArgMin", 13);
    op_input(&c, RDL_BOOL, x, 1, 3);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype bool");
    op_begin(&c, "CumSum", 11);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_I64, L(0), 1, 0);
    op_fails(&c, RDL_ERR_SHAPE, "input 1 (axis) has no element");
    op_begin(&c, "CumSum", 11);
    op_input(&c, RDL_F32, x, 1, 3);
    op_input(&c, RDL_I64, L(-2), 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "axis -2 is outside rank 1");
    op_begin(&c, "CumSum", 11);
    op_input(&c, RDL_I8, x, 1, 3);
    op_input(&c, RDL_I64, L(0), 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype i8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_agrees_along_all_axes),
        cmocka_unit_test(folding_knows_no_neighbour),
        cmocka_unit_test(integers_fold_in_their_dtype),
        cmocka_unit_test(axes_are_read_as_the_version_says),
        cmocka_unit_test(folding_nothing_gives_the_neutral_element),
        cmocka_unit_test(log_sum_exp_does_not_overflow),
        cmocka_unit_test(arg_finds_first_or_last),
        cmocka_unit_test(arg_columns_are_independent),
        cmocka_unit_test(hardmax_marks_columns),
        cmocka_unit_test(cumsum_runs_both_ways),
        cmocka_unit_test(cumprod_runs_both_ways),
        cmocka_unit_test(bad_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
