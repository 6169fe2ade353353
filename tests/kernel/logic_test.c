/*
 * Comparisons, logic, choices, and the arithmetic operators beside Add and its kin, from node to
 * numbers worked out by hand; and nodes that must be refused.
 */
#include "op_driver.h"

#define F(...) ((const float[]){__VA_ARGS__})
#define D(...) ((const double[]){__VA_ARGS__})
#define L(...) ((const int64_t[]){__VA_ARGS__})
#define I(...) ((const int32_t[]){__VA_ARGS__})
#define B(...) ((const uint8_t[]){__VA_ARGS__})

/* Runs type on vectors of three: expects these bytes. */
static void pair_case(const char *type, enum rdl_dtype dtype, const void *a, const void *b,
                      const void *want)
{
    struct op_case c;
    op_begin(&c, type, 28);
    op_input(&c, dtype, a, 1, 3);
    op_input(&c, dtype, b, 1, 3);
    op_run_both(&c);
    op_expect_dims(&c, 0, 1, 3);
    if (memcmp(c.data[0], want, 3 * rdl_dtype_size(c.out[0].dtype)) != 0)
        fail_msg("%s of %s differs", type, rdl_dtype_name(dtype));
    op_end(&c);
}

static void comparisons_answer_bool(void **state)
{
    (void)state;
    pair_case("Equal", RDL_F32, F(1, NAN, 0), F(2, NAN, -0.0f), B(0, 0, 1));
    pair_case("Greater", RDL_F32, F(1, NAN, 3), F(2, 0, 2), B(0, 0, 1));
    pair_case("Less", RDL_F64, D(1, NAN, 3), D(2, 0, 3), B(1, 0, 0));
    pair_case("GreaterOrEqual", RDL_I64, L(1, 2, INT64_MIN), L(2, 2, INT64_MAX), B(0, 1, 0));
    pair_case("LessOrEqual", RDL_U8, B(1, 2, 255), B(2, 2, 0), B(1, 1, 0));
    pair_case("Equal", RDL_BOOL, B(0, 1, 1), B(0, 0, 1), B(1, 0, 1));
    pair_case("And", RDL_BOOL, B(0, 1, 1), B(0, 0, 1), B(0, 0, 1));
    pair_case("Or", RDL_BOOL, B(0, 1, 1), B(0, 0, 1), B(0, 1, 1));
    pair_case("Xor", RDL_BOOL, B(0, 1, 1), B(0, 0, 1), B(0, 1, 0));
}

/* Every way in which operands run along the last dimension, over several tiles. */
static void comparisons_broadcast(void **state)
{
    (void)state;
    enum { ROWS = 300, COLS = 70 };
    static float a[ROWS * COLS], row[COLS], column[ROWS];
    uint64_t seed = 5;
    for (int i = 0; i < ROWS * COLS; i++)
        a[i] = test_unit(&seed);
    memcpy(row, a + COLS, sizeof row);
    memcpy(column, a, sizeof column);
    for (int form = 0; form < 5; form++) {
        struct op_case c;
        op_begin(&c, "Less", 13);
        if (form == 0 || form == 1)
            op_input(&c, RDL_F32, a, 2, ROWS, COLS);
        else if (form == 2)
            op_input(&c, RDL_F32, column, 2, ROWS, 1);
        else
            op_input(&c, RDL_F32, row, 1, COLS);
        if (form == 0 || form == 2)
            op_input(&c, RDL_F32, row, 1, COLS);
        else if (form == 4)
            op_input(&c, RDL_F32, a, 2, ROWS, COLS);
        else
            op_input(&c, RDL_F32, column, 2, ROWS, 1);
        op_run_both(&c);
        op_expect_dims(&c, 0, 2, ROWS, COLS);
        for (int i = 0; i < ROWS * COLS; i++) {
            const float x = form < 2 ? a[i] : form == 2 ? column[i / COLS] : row[i % COLS];
            const float y = form == 0 || form == 2 ? row[i % COLS]
                            : form == 4            ? a[i]
                                                   : column[i / COLS];
            assert_int_equal(x < y, ((const uint8_t *)c.data[0])[i]);
        }
        op_end(&c);
    }
}

static void questions_of_floats_answer_bool(void **state)
{
    (void)state;
    const float x[4] = {NAN, INFINITY, -INFINITY, 1};
    static const uint8_t want[4][4] = {{0, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 1, 1, 0}};
    struct op_case c;
    for (int form = 0; form < 4; form++) {
        op_begin(&c, "IsInf", 10);
        op_int(&c, "detect_positive", form & 1);
        op_int(&c, "detect_negative", form >> 1);
        op_input(&c, RDL_F32, x, 1, 4);
        op_run_both(&c);
        assert_memory_equal(want[form], c.data[0], 4);
        op_end(&c);
    }
    op_begin(&c, "IsInf", 20);
    op_int(&c, "detect_positive", 0);
    op_input(&c, RDL_F64, D(-INFINITY, 3), 1, 2);
    op_run_both(&c);
    assert_memory_equal(B(1, 0), c.data[0], 2);
    op_end(&c);
    op_begin(&c, "IsNaN", 9);
    op_input(&c, RDL_F32, x, 1, 4);
    op_run_both(&c);
    assert_memory_equal(B(1, 0, 0, 0), c.data[0], 4);
    op_end(&c);
    op_begin(&c, "Not", 1);
    op_input(&c, RDL_BOOL, B(0, 1), 1, 2);
    op_run_both(&c);
    assert_memory_equal(B(1, 0), c.data[0], 2);
    op_end(&c);
}

/* Where of every element size and every way to run. */
static void where_chooses_and_broadcasts(void **state)
{
    (void)state;
    static const enum rdl_dtype dtypes[] = {RDL_BOOL, RDL_F16, RDL_F32, RDL_I64};
    enum { ROWS = 40, COLS = 500 };
    static uint8_t condition[ROWS * COLS], x[ROWS * COLS * 8], y[ROWS * COLS * 8];
    uint64_t seed = 9;
    for (int i = 0; i < ROWS * COLS * 8; i++) {
        x[i] = (uint8_t)test_next(&seed);
        y[i] = (uint8_t)test_next(&seed);
    }
    for (int i = 0; i < ROWS * COLS; i++)
        condition[i] = test_next(&seed) >> 40 & 1;
    for (int form = 0; form < 4 * 27; form++) {
        const int size = 1 << form % 4;
        const int rows[3] = {form / 4 % 3 != 1 ? ROWS : 1, form / 12 % 3 != 1 ? ROWS : 1,
                             form / 36 % 3 != 1 ? ROWS : 1};
        const int cols[3] = {form / 4 % 3 != 2 ? COLS : 1, form / 12 % 3 != 2 ? COLS : 1,
                             form / 36 % 3 != 2 ? COLS : 1};
        struct op_case c;
        op_begin(&c, "Where", 16);
        op_input(&c, RDL_BOOL, condition, 2, rows[0], cols[0]);
        op_input(&c, dtypes[form % 4], x, 2, rows[1], cols[1]);
        op_input(&c, dtypes[form % 4], y, 2, rows[2], cols[2]);
        op_run_both(&c);
        const struct rdl__shape *out = &c.out[0].shape;
        for (int r = 0; r < out->dims[0]; r++)
            for (int k = 0; k < out->dims[1]; k++) {
                int at[3];
                for (int i = 0; i < 3; i++)
                    at[i] = (rows[i] == 1 ? 0 : r * cols[i]) + (cols[i] == 1 ? 0 : k);
                assert_memory_equal((condition[at[0]] ? x + at[1] * size : y + at[2] * size),
                                    (char *)c.data[0] + (r * out->dims[1] + k) * size,
                                    (size_t)size);
            }
        op_end(&c);
    }
}

static void pow_case(enum rdl_dtype base, const void *x, enum rdl_dtype exponent, const void *y,
                     int32_t count, const void *want)
{
    struct op_case c;
    op_begin(&c, "Pow", 15);
    op_input(&c, base, x, 1, 3);
    op_input(&c, exponent, y, 1, count);
    assert_int_equal(RDL_OK, op_run(&c));
    op_expect_dims(&c, 0, 1, 3);
    assert_memory_equal(want, c.data[0], 3 * rdl_dtype_size(base));
    op_end(&c);
}

static void pow_takes_exponents_of_any_kind(void **state)
{
    (void)state;
    pow_case(RDL_F32, F(1, 2, -3), RDL_F32, F(4, -1, 3), 3, F(1, 0.5f, -27));
    pow_case(RDL_F32, F(1, 2, -3), RDL_I64, L(2), 1, F(1, 4, 9));
    pow_case(RDL_F32, F(1, 2, -3), RDL_F32, F(3), 1, F(1, 8, -27));
    pow_case(RDL_F32, F(1, 4, 9), RDL_F64, D(0.5), 1, F(1, 2, 3));
    pow_case(RDL_F32, F(1, 4, -8), RDL_I32, I(-1), 1, F(1, 0.25f, -0.125f));
    pow_case(RDL_F32, F(1, 4, -8), RDL_F32, F(1), 1, F(1, 4, -8));
    pow_case(RDL_F64, D(1, 4, -8), RDL_U8, B(2), 1, D(1, 16, 64));
    pow_case(RDL_I32, I(2, -3, 10), RDL_I32, I(10, 3, 0), 3, I(1024, -27, 1));
    pow_case(RDL_I64, L(2, -1, 1), RDL_I32, I(-1, -3, -4), 3, L(0, -1, 1));
    pow_case(RDL_I64, L(3, 4, 9), RDL_F32, F(2, 0.5f, 1.5f), 3, L(9, 2, 27));
    struct op_case c;
    op_begin(&c, "Pow", 15);
    op_input(&c, RDL_I32, I(0), 1, 1);
    op_input(&c, RDL_I32, I(-1), 1, 1);
    assert_int_equal(RDL_ERR_RUNTIME, op_run(&c));
    op_end(&c);
}

static void mod_case(int fmod, enum rdl_dtype dtype, const void *x, const void *y, const void *want)
{
    struct op_case c;
    op_begin(&c, "Mod", 13);
    op_int(&c, "fmod", fmod);
    op_input(&c, dtype, x, 1, 4);
    op_input(&c, dtype, y, 1, 4);
    op_run_both(&c);
    assert_memory_equal(want, c.data[0], 4 * rdl_dtype_size(dtype));
    op_end(&c);
}

static void mod_has_the_sign_of_its_rule(void **state)
{
    (void)state;
    mod_case(0, RDL_I32, I(5, -5, 5, -5), I(3, 3, -3, -3), I(2, 1, -1, -2));
    mod_case(1, RDL_I32, I(5, -5, 5, -5), I(3, 3, -3, -3), I(2, -2, 2, -2));
    mod_case(0, RDL_I64, L(INT64_MIN, 4, 0, 7), L(-1, -2, 5, -7), L(0, 0, 0, 0));
    mod_case(0, RDL_U8, B(200, 7, 0, 255), B(7, 200, 1, 16), B(4, 7, 0, 15));
    mod_case(1, RDL_F32, F(5.5f, -5.5f, 5.5f, 1), F(3, 3, -3, INFINITY), F(2.5f, -2.5f, 2.5f, 1));
    mod_case(0, RDL_F32, F(5.5f, -5.5f, 5.5f, -1), F(3, 3, -3, INFINITY),
             F(2.5f, 0.5f, -0.5f, INFINITY));
    struct op_case c;
    op_begin(&c, "Mod", 13);
    op_input(&c, RDL_U16, B(1, 0), 0);
    op_input(&c, RDL_U16, B(0, 0), 0);
    assert_int_equal(RDL_ERR_RUNTIME, op_run(&c));
    op_end(&c);
}

static void bits_are_taken_one_by_one(void **state)
{
    (void)state;
    pair_case("BitwiseAnd", RDL_U8, B(12, 255, 0), B(10, 129, 7), B(8, 129, 0));
    pair_case("BitwiseOr", RDL_I32, I(12, -1, 0), I(10, 5, 7), I(14, -1, 7));
    pair_case("BitwiseXor", RDL_I64, L(12, -1, 0), L(10, 5, 7), L(6, -6, 7));
    struct op_case c;
    op_begin(&c, "BitwiseNot", 18);
    op_input(&c, RDL_U8, B(0, 250), 1, 2);
    op_run_both(&c);
    assert_memory_equal(B(255, 5), c.data[0], 2);
    op_end(&c);
    static const struct {
        const char *direction;
        uint8_t want[3];
    } shifts[] = {{"LEFT", {2, 0, 0}}, {"RIGHT", {64, 0, 0}}};
    for (int i = 0; i < 2; i++) {
        op_begin(&c, "BitShift", 11);
        op_text(&c, "direction", shifts[i].direction);
        op_input(&c, RDL_U8, B(129, 255, 1), 1, 3);
        op_input(&c, RDL_U8, B(1, 8, 255), 1, 3);
        op_run_both(&c);
        assert_memory_equal(shifts[i].want, c.data[0], 3);
        op_end(&c);
    }
    op_begin(&c, "BitShift", 28);
    op_text(&c, "direction", "RIGHT");
    op_input(&c, RDL_I32, I(-8, -8, 8), 1, 3);
    op_input(&c, RDL_I32, I(1, -1, 40), 1, 3);
    op_run_both(&c);
    assert_memory_equal(I(-4, -1, 0), c.data[0], 12);
    op_end(&c);
}

static void sums_and_means_take_any_number(void **state)
{
    (void)state;
    const float scalar = 5, column[2] = {0, 8};
    struct op_case c;
    for (int n = 1; n <= 3; n++) {
        op_begin(&c, "Mean", 13);
        op_input(&c, RDL_F32, F(1, 2, 3), 1, 3);
        if (n > 1)
            op_input(&c, RDL_F32, &scalar, 0);
        if (n > 2)
            op_input(&c, RDL_F32, column, 2, 2, 1);
        op_run_both(&c);
        if (n == 3)
            assert_memory_equal(F(2, 7.0f / 3, 8.0f / 3, 14.0f / 3, 5, 16.0f / 3), c.data[0], 24);
        else
            assert_memory_equal(n == 1 ? F(1, 2, 3) : F(3, 3.5f, 4), c.data[0], 12);
        op_end(&c);
    }
    op_begin(&c, "Sum", 7);
    op_input(&c, RDL_F64, D(1, 2), 1, 2);
    op_input(&c, RDL_F64, D(5, 6), 1, 2);
    op_input(&c, RDL_F64, D(7, 8), 1, 2);
    op_run_both(&c);
    assert_memory_equal(D(13, 16), c.data[0], 16);
    op_end(&c);
}

/* Functions of one input: f64 and integers through the operator, with attributes. */
static void units_read_their_attributes(void **state)
{
    (void)state;
    static const struct {
        const char *type, *name;
        float value;
        double x, want;
    } cases[] = {
        {"LeakyRelu", "alpha", 0.5f, -4, -2},
        {"Elu", "alpha", 2, -1, 2 * -0.63212055882855768},
        {"Selu", "gamma", 2, 3, 6},
        {"Celu", "alpha", 2, -2, 2 * -0.63212055882855768},
        {"ThresholdedRelu", "alpha", 2, 2, 0},
        {"Swish", "alpha", 0, 3, 1.5},
        {"Shrink", "lambd", 1, 0.75, 0},
        {"Shrink", "bias", 1, 3, 2},
        {"Sin", NULL, 0, 1, 0.8414709848078965},
        {"Round", NULL, 0, 2.5, 2},
        {"Softplus", NULL, 0, 0, 0.6931471805599453},
        {"Mish", NULL, 0, 1, 0.86509838826731},
        {"Gelu", NULL, 0, 1, 0.8413447460685429},
        {"Softsign", NULL, 0, -3, -0.75},
        {"Acosh", NULL, 0, 1, 0},
        {"Sign", NULL, 0, -3, -1},
        {"Erf", NULL, 0, 1, 0.8427007929497149},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct op_case c;
        op_begin(&c, cases[i].type, 28);
        if (cases[i].name != NULL)
            op_float(&c, cases[i].name, cases[i].value);
        op_input(&c, RDL_F64, &cases[i].x, 0);
        op_run_both(&c);
        if (fabs(*(const double *)c.data[0] - cases[i].want) > 1e-9)
            fail_msg("%s gives %.17g", cases[i].type, *(const double *)c.data[0]);
        op_end(&c);
    }
    struct op_case c;
    op_begin(&c, "Gelu", 20);
    op_text(&c, "approximate", "tanh");
    op_input(&c, RDL_F32, F(1), 0);
    op_run_both(&c);
    assert_true(fabsf(*(const float *)c.data[0] - 0.841192f) < 1e-6f);
    op_end(&c);
    op_begin(&c, "Shrink", 9);
    op_input(&c, RDL_I32, I(-2, 0, 3), 1, 3);
    op_float(&c, "bias", 1);
    op_run_both(&c);
    assert_memory_equal(I(-1, 0, 2), c.data[0], 12);
    op_end(&c);
    op_begin(&c, "PRelu", 16);
    op_input(&c, RDL_F32, F(-1, 2, -3, -4), 2, 2, 2);
    op_input(&c, RDL_F32, F(0.5f, 2), 2, 2, 1);
    op_run_both(&c);
    assert_memory_equal(F(-0.5f, 2, -6, -8), c.data[0], 16);
    op_end(&c);
}

static void empty_inputs_give_empty_outputs(void **state)
{
    (void)state;
    static const char *const types[] = {"Equal", "Pow", "Sum", "Mean", "Mod", "BitwiseAnd"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct op_case c;
        op_begin(&c, types[i], 18);
        const enum rdl_dtype dtype = i < 4 ? RDL_F32 : RDL_I32;
        op_input(&c, dtype, F(0), 2, 0, 3);
        op_input(&c, dtype, F(0), 2, 1, 3);
        op_run_both(&c);
        op_expect_dims(&c, 0, 2, 0, 3);
        op_end(&c);
    }
}

static void bad_nodes_are_refused(void **state)
{
    (void)state;
    const float x[8] = {0};
    struct op_case c;
    op_begin(&c, "Equal", 19);
    op_input(&c, RDL_STRING, x, 1, 0);
    op_input(&c, RDL_STRING, x, 1, 0);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype string is not supported");
    op_begin(&c, "And", 7);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_F32, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f32 is not supported");
    op_begin(&c, "Less", 9);
    op_input(&c, RDL_BOOL, x, 1, 1);
    op_input(&c, RDL_BOOL, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype bool is not supported");
    op_begin(&c, "Less", 9);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_F64, x, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "input 1 is f64, input 0 is f32");
    op_begin(&c, "Less", 9);
    op_input(&c, RDL_F32, x, 1, 2);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "[2]");
    op_begin(&c, "Where", 9);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_F32, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype f32");
    op_begin(&c, "Where", 9);
    op_input(&c, RDL_BOOL, x, 1, 1);
    op_input(&c, RDL_STRING, x, 1, 0);
    op_input(&c, RDL_STRING, x, 1, 0);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 1: dtype string");
    op_begin(&c, "Where", 9);
    op_input(&c, RDL_BOOL, x, 1, 1);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_I32, x, 1, 1);
    op_fails(&c, RDL_ERR_SHAPE, "input 2 is i32, input 1 is f32");
    op_begin(&c, "Pow", 13);
    op_input(&c, RDL_BOOL, x, 1, 1);
    op_input(&c, RDL_F32, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 0: dtype bool");
    op_begin(&c, "Pow", 13);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_F16, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "input 1: dtype f16");
    op_begin(&c, "Sum", 13);
    op_input(&c, RDL_I32, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype i32");
    op_begin(&c, "BitwiseAnd", 18);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_F32, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f32");
    op_begin(&c, "BitShift", 11);
    op_text(&c, "direction", "UP");
    op_input(&c, RDL_U8, x, 1, 1);
    op_input(&c, RDL_U8, x, 1, 1);
    op_fails(&c, RDL_ERR_MODEL, "direction \"UP\"");
    op_begin(&c, "PRelu", 16);
    op_input(&c, RDL_F32, x, 1, 1);
    op_input(&c, RDL_F32, x, 1, 3);
    op_fails(&c, RDL_ERR_SHAPE, "input 1 (slope): [3] does not broadcast to [1]");
    op_begin(&c, "Celu", 12);
    op_float(&c, "alpha", 0);
    op_input(&c, RDL_F32, x, 1, 1);
    op_fails(&c, RDL_ERR_MODEL, "alpha is 0");
    op_begin(&c, "Gelu", 20);
    op_text(&c, "approximate", "sigmoid");
    op_input(&c, RDL_F32, x, 1, 1);
    op_fails(&c, RDL_ERR_MODEL, "approximate \"sigmoid\"");
    op_begin(&c, "IsNaN", 13);
    op_input(&c, RDL_F16, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype f16");
    op_begin(&c, "Not", 1);
    op_input(&c, RDL_U8, x, 1, 1);
    op_fails(&c, RDL_ERR_UNSUPPORTED, "dtype u8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_answer_bool),
        cmocka_unit_test(comparisons_broadcast),
        cmocka_unit_test(questions_of_floats_answer_bool),
        cmocka_unit_test(where_chooses_and_broadcasts),
        cmocka_unit_test(pow_takes_exponents_of_any_kind),
        cmocka_unit_test(mod_has_the_sign_of_its_rule),
        cmocka_unit_test(bits_are_taken_one_by_one),
        cmocka_unit_test(sums_and_means_take_any_number),
        cmocka_unit_test(units_read_their_attributes),
        cmocka_unit_test(empty_inputs_give_empty_outputs),
        cmocka_unit_test(bad_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
