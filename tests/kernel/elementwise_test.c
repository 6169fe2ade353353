/*
 * Elementwise kernels: each instruction set against the reference, and the reference against what C
 * says; Cast against exact values.
 */
#include "kernel_test.h"

#include "kernels/kernels.h"

/* ---------------------------------------------------------------------------------------- binary */

/* Shapes of a, b: same, scalars, rows, channels, both broadcast, odd sizes, several tiles. */
static const struct rdl__shape pairs[][2] = {
    {{.rank = 1, .dims = {37}}, {.rank = 1, .dims = {37}}},
    {{.rank = 0}, {.rank = 0}},
    {{.rank = 2, .dims = {3, 50}}, {.rank = 0}},
    {{.rank = 0}, {.rank = 3, .dims = {2, 3, 19}}},
    {{.rank = 2, .dims = {5, 33}}, {.rank = 1, .dims = {33}}},
    {{.rank = 4, .dims = {2, 3, 5, 7}}, {.rank = 4, .dims = {1, 3, 1, 1}}},
    {{.rank = 4, .dims = {2, 3, 1, 7}}, {.rank = 4, .dims = {1, 3, 5, 1}}},
    {{.rank = 2, .dims = {1, 17}}, {.rank = 2, .dims = {9, 1}}},
    {{.rank = 3, .dims = {40, 40, 33}}, {.rank = 3, .dims = {40, 1, 33}}},
    {{.rank = 2, .dims = {300, 1}}, {.rank = 2, .dims = {1, 257}}},
    {{.rank = 1, .dims = {40000}}, {.rank = 0}},
    {{.rank = 0}, {.rank = 2, .dims = {400, 100}}},
};

static float binary_expect(enum rdl__k_binary_op op, float x, float y)
{
    switch (op) {
    case RDL__K_BINARY_ADD:
        return x + y;
    case RDL__K_BINARY_SUB:
        return x - y;
    case RDL__K_BINARY_MUL:
        return x * y;
    case RDL__K_BINARY_DIV:
        return x / y;
    case RDL__K_BINARY_MAX:
        return isnan(x) || isnan(y) ? NAN : x > y ? x : y;
    case RDL__K_BINARY_MIN:
        return isnan(x) || isnan(y) ? NAN : x < y ? x : y;
    case RDL__K_BINARY_PRELU:
        return x < 0 ? x * y : x;
    case RDL__K_BINARY_DIV_OR_ZERO:
        return y == 0 ? 0 : x / y;
    default:
        return 0.0f; /* not among the f32 kernels */
    }
}

/* Offset of output element i in an operand that is broadcast to out. */
static int64_t offset_of(const struct rdl__shape *out, const struct rdl__shape *shape, int64_t i)
{
    int64_t offset = 0, unit = 1;
    for (int32_t d = out->rank - 1; d >= 0; d--) {
        const int64_t at = i % out->dims[d];
        i /= out->dims[d];
        const int32_t own = d - (out->rank - shape->rank);
        if (own >= 0) {
            offset += shape->dims[own] == 1 ? 0 : at * unit;
            unit *= shape->dims[own];
        }
    }
    return offset;
}

static void binary_check(uint64_t *seed, enum rdl__k_binary_op op, const struct rdl__shape pair[2],
                         rdl__kernel_fn fn, const char *what)
{
    struct rdl__shape out;
    assert_int_equal(RDL_OK, rdl__shape_broadcast(&pair[0], &pair[1], &out, NULL));
    const int64_t count = (int64_t)rdl__shape_count(&out);
    float *a = test_random(seed, (int64_t)rdl__shape_count(&pair[0]), test_edgy);
    float *b = test_random(seed, (int64_t)rdl__shape_count(&pair[1]), test_edgy);
    float *want = test_floats(count), *got = test_floats(count);
    struct rdl__k_binary p = {.op = op, .dtype = RDL_F32, .act = test_acts[op % TEST_ACTS]};
    for (int64_t i = 0; i < count; i++)
        want[i] = test_act(&p.act, binary_expect(op, a[offset_of(&out, &pair[0], i)],
                                                 b[offset_of(&out, &pair[1], i)]));
    const size_t tiles = rdl__k_binary_plan(&p, &pair[0], &pair[1], &out);
    void *bind[] = {a, b, got};
    assert_int_equal(RDL_OK, test_run_split(fn, &p, bind, tiles, 0));
    test_same_bits(want, got, count, what);
    if (rdl__shape_count(&pair[0]) == (size_t)count) { /* in place of a */
        bind[2] = a;
        assert_int_equal(RDL_OK, test_run(fn, &p, bind, tiles, 0));
        test_same_bits(want, a, count, what);
    }
    test_floats_release(a);
    test_floats_release(b);
    test_floats_release(want);
    test_floats_release(got);
}

static void binary_each(rdl__kernel_fn fn, const char *what)
{
    uint64_t seed = 21;
    for (int op = 0; rdl__k_binary_f32_has((enum rdl__k_binary_op)op); op++)
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
            binary_check(&seed, (enum rdl__k_binary_op)op, pairs[i], fn, what);
}

static void binary_on(enum rdl__isa isa)
{
    binary_each(rdl__k_f32_of(isa)->binary, rdl__isa_name(isa));
}

static void binary_broadcasts_as_defined(void **state)
{
    (void)state;
    binary_each(rdl__k_binary_ref, "reference");
    test_each_isa(binary_on);
}

static enum rdl_status binary_ints(enum rdl__k_binary_op op, enum rdl_dtype dtype, const void *a,
                                   const void *b, void *out, int64_t n)
{
    struct rdl__shape shape;
    rdl__shape_set(&shape, 1, &n);
    struct rdl__k_binary p = {.op = op, .dtype = dtype};
    const size_t tiles = rdl__k_binary_plan(&p, &shape, &shape, &shape);
    void *bind[] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, out};
    return test_run(rdl__k_binary_ref, &p, bind, tiles, 0);
}

static void binary_integers_wrap_and_divide(void **state)
{
    (void)state;
    const int64_t a[4] = {INT64_MIN, 7, -7, INT64_MAX}, b[4] = {-1, 2, 2, 1};
    int64_t c[4];
    assert_int_equal(RDL_OK, binary_ints(RDL__K_BINARY_DIV, RDL_I64, a, b, c, 4));
    assert_true(c[0] == INT64_MIN && c[1] == 3 && c[2] == -3 && c[3] == INT64_MAX);
    assert_int_equal(RDL_OK, binary_ints(RDL__K_BINARY_ADD, RDL_I64, a, b, c, 4));
    assert_true(c[0] == INT64_MAX && c[3] == INT64_MIN);
    const int8_t p[3] = {-128, 100, 5}, q[3] = {-1, 100, 3};
    int8_t r[3];
    assert_int_equal(RDL_OK, binary_ints(RDL__K_BINARY_DIV, RDL_I8, p, q, r, 3));
    assert_true(r[0] == -128 && r[1] == 1 && r[2] == 1);
    assert_int_equal(RDL_OK, binary_ints(RDL__K_BINARY_MUL, RDL_I8, p, q, r, 3));
    assert_true(r[0] == -128 && r[1] == 16 && r[2] == 15);
    const uint16_t u[2] = {65535, 1}, v[2] = {65535, 2};
    uint16_t w[2];
    assert_int_equal(RDL_OK, binary_ints(RDL__K_BINARY_MUL, RDL_U16, u, v, w, 2));
    assert_true(w[0] == 1 && w[1] == 2);
    assert_int_equal(RDL_OK, binary_ints(RDL__K_BINARY_SUB, RDL_U16, v, u, w, 2));
    assert_true(w[0] == 0 && w[1] == 1);
}

static void binary_integer_by_zero_fails(void **state)
{
    (void)state;
    const int32_t a[2] = {1, 2}, b[2] = {1, 0};
    const uint8_t p[1] = {0}, q[1] = {0};
    int32_t c[2];
    uint8_t r[1];
    assert_int_equal(RDL_ERR_RUNTIME, binary_ints(RDL__K_BINARY_DIV, RDL_I32, a, b, c, 2));
    assert_int_equal(RDL_ERR_RUNTIME, binary_ints(RDL__K_BINARY_DIV, RDL_U8, p, q, r, 1));
}

/* ----------------------------------------------------------------------------------------- unary */

static double unary_expect(enum rdl__k_unary_op op, double x, float a, float b)
{
    switch (op) {
    case RDL__K_UNARY_RELU:
        return x < 0 ? 0 : x;
    case RDL__K_UNARY_CLIP:
        return isnan(x) ? x : fmin(fmax(x, (double)a), (double)b);
    case RDL__K_UNARY_HARD_SWISH:
        return isnan(x) ? x : (double)a * x * fmin(fmax(x + 3, 0), 6) / 6 + (double)b;
    case RDL__K_UNARY_HARD_SIGMOID:
        return isnan(x) ? x : fmin(fmax((double)a * x + (double)b, 0), 1);
    case RDL__K_UNARY_SIGMOID:
        return 1 / (1 + exp(-x));
    case RDL__K_UNARY_NEG:
        return -x;
    case RDL__K_UNARY_ABS:
        return fabs(x);
    case RDL__K_UNARY_RECIPROCAL:
        return 1 / x;
    case RDL__K_UNARY_SQRT:
        return sqrt(x);
    case RDL__K_UNARY_EXP:
        return exp(x);
    case RDL__K_UNARY_TANH:
        return tanh(x);
    case RDL__K_UNARY_LOG:
        return log(x);
    case RDL__K_UNARY_FLOOR:
        return floor(x);
    case RDL__K_UNARY_CEIL:
        return ceil(x);
    case RDL__K_UNARY_ERF:
        return erf(x);
    case RDL__K_UNARY_LEAKY_RELU:
        return x < 0 ? (double)a * x : x;
    case RDL__K_UNARY_ELU:
        return x < 0 ? (double)a * expm1(x) : x;
    case RDL__K_UNARY_SELU:
        return (double)b * (x < 0 ? (double)a * expm1(x) : x);
    case RDL__K_UNARY_CELU:
        return isnan(x) ? x : fmax(0, x) + fmin(0, (double)a * expm1(x / (double)a));
    case RDL__K_UNARY_THRESHOLDED_RELU:
        return isnan(x) || x > (double)a ? x : 0;
    case RDL__K_UNARY_SOFTPLUS:
        return x > 40 ? x : log1p(exp(x));
    case RDL__K_UNARY_SOFTSIGN:
        return x / (1 + fabs(x));
    case RDL__K_UNARY_MISH:
        return x * tanh(x > 40 ? x : log1p(exp(x)));
    case RDL__K_UNARY_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case RDL__K_UNARY_GELU_TANH:
        return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case RDL__K_UNARY_SWISH:
        return x / (1 + exp(-(double)a * x));
    case RDL__K_UNARY_ROUND:
        return nearbyint(x);
    case RDL__K_UNARY_SIGN:
        return isnan(x) ? x : (x > 0) - (x < 0);
    case RDL__K_UNARY_SIN:
        return sin(x);
    case RDL__K_UNARY_COS:
        return cos(x);
    case RDL__K_UNARY_TAN:
        return tan(x);
    case RDL__K_UNARY_ASIN:
        return asin(x);
    case RDL__K_UNARY_ACOS:
        return acos(x);
    case RDL__K_UNARY_ATAN:
        return atan(x);
    case RDL__K_UNARY_SINH:
        return sinh(x);
    case RDL__K_UNARY_COSH:
        return cosh(x);
    case RDL__K_UNARY_ASINH:
        return asinh(x);
    case RDL__K_UNARY_ACOSH:
        return acosh(x);
    case RDL__K_UNARY_ATANH:
        return atanh(x);
    case RDL__K_UNARY_SHRINK:
        return isnan(x) ? x : x<-(double)b ? x + (double)a : x>(double) b ? x - (double)a : 0;
    case RDL__K_UNARY_BIT_NOT:
    case RDL__K_UNARY_NOT:
        break; /* not of floats */
    }
    return 0;
}

static void unary_check(enum rdl__k_unary_op op, rdl__kernel_fn fn, int64_t count, const char *isa)
{
    uint64_t seed = 31 + (uint64_t)op;
    char what[64];
    (void)snprintf(what, sizeof what, "%s unary %d of %d", isa, (int)op, (int)count);
    float *x = test_random(&seed, count, test_edgy);
    float *want = test_floats(count), *y = test_floats(count);
    struct rdl__k_unary p = {.op = op, .dtype = RDL_F32, .has_bounds = true, .a = -0.3f, .b = 0.5f};
    if (op == RDL__K_UNARY_HARD_SIGMOID || op == RDL__K_UNARY_CELU)
        p.a = 0.2f;
    for (int64_t i = 0; i < count; i++)
        want[i] = (float)unary_expect(op, (double)x[i], p.a, p.b);
    const size_t tiles = rdl__k_unary_plan(&p, count);
    void *bind[] = {x, y, NULL, NULL};
    assert_int_equal(RDL_OK, test_run_split(fn, &p, bind, tiles, 0));
    /* The hard ones cancel near their bends, Gelu where erf nears -1; the others err relatively. The
     * exponent of an exponential is rounded, by 4e-6 of one around 88. */
    const bool hard = op == RDL__K_UNARY_HARD_SWISH || op == RDL__K_UNARY_HARD_SIGMOID ||
                      op == RDL__K_UNARY_GELU || op == RDL__K_UNARY_SHRINK;
    const bool gated = op == RDL__K_UNARY_GELU_TANH || op == RDL__K_UNARY_SWISH;
    test_close(want, y, count, gated ? 2e-5 : 5e-7, hard ? 1e-6 : 1e-37, what);
    bind[1] = x; /* in place */
    assert_int_equal(RDL_OK, test_run(fn, &p, bind, tiles, 0));
    test_same_bits(y, x, count, what);
    test_floats_release(x);
    test_floats_release(want);
    test_floats_release(y);
}

static void unary_on(enum rdl__isa isa)
{
    for (int op = 0; op < RDL__K_UNARY_OPS; op++)
        if (rdl__k_unary_f32_has((enum rdl__k_unary_op)op)) {
            unary_check((enum rdl__k_unary_op)op, rdl__k_f32_of(isa)->unary, 1, rdl__isa_name(isa));
            unary_check((enum rdl__k_unary_op)op, rdl__k_f32_of(isa)->unary, 40021,
                        rdl__isa_name(isa));
        }
}

static void unary_agrees_with_double_precision(void **state)
{
    (void)state;
    for (int op = 0; op < RDL__K_UNARY_OPS; op++)
        if (rdl__k_unary_takes((enum rdl__k_unary_op)op, RDL_F32))
            unary_check((enum rdl__k_unary_op)op, rdl__k_unary_ref, 20011, "reference");
    test_each_isa(unary_on);
}

static void clip_bounds_on(enum rdl__isa isa)
{
    float x[5] = {-2, -1, 0, 1, NAN}, y[5], low = -1.0f, high = 0.5f;
    struct rdl__k_unary p = {.op = RDL__K_UNARY_CLIP, .dtype = RDL_F32};
    const size_t tiles = rdl__k_unary_plan(&p, 5);
    void *bind[] = {x, y, &low, NULL};
    assert_int_equal(RDL_OK, test_run(rdl__k_f32_of(isa)->unary, &p, bind, tiles, 0));
    assert_true(y[0] == -1 && y[1] == -1 && y[2] == 0 && y[3] == 1 && isnan(y[4]));
    bind[2] = NULL;
    bind[3] = &high;
    assert_int_equal(RDL_OK, test_run(rdl__k_f32_of(isa)->unary, &p, bind, tiles, 0));
    assert_true(y[0] == -2 && y[2] == 0 && y[3] == 0.5f && isnan(y[4]));
}

static void clip_bounds_are_optional_inputs(void **state)
{
    (void)state;
    test_each_isa(clip_bounds_on);
    int8_t x[3] = {-100, 0, 100}, y[3], low = -5, high = 7;
    struct rdl__k_unary p = {.op = RDL__K_UNARY_CLIP, .dtype = RDL_I8};
    const size_t tiles = rdl__k_unary_plan(&p, 3);
    void *bind[] = {x, y, &low, &high};
    assert_int_equal(RDL_OK, test_run(rdl__k_unary_ref, &p, bind, tiles, 0));
    assert_true(y[0] == -5 && y[1] == 0 && y[2] == 7);
}

/* ------------------------------------------------------------------------------------------ Cast */

static void cast(enum rdl_dtype from, enum rdl_dtype to, const void *x, void *y, int64_t n)
{
    struct rdl__k_cast p = {.from = from, .to = to};
    const size_t tiles = rdl__k_cast_plan(&p, n);
    void *bind[] = {(void *)(uintptr_t)x, y};
    assert_int_equal(RDL_OK, test_run_split(rdl__k_cast_ref, &p, bind, tiles, 0));
}

static void cast_every_f16_returns(void **state)
{
    (void)state;
    static uint16_t all[65536], back[65536];
    static float wide[65536];
    for (int i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    cast(RDL_F16, RDL_F32, all, wide, 65536);
    cast(RDL_F32, RDL_F16, wide, back, 65536);
    for (int i = 0; i < 65536; i++)
        assert_true(back[i] == all[i] ||
                    (isnan(wide[i]) && back[i] == (all[i] | 0x200))); /* made quiet */
    cast(RDL_BF16, RDL_F32, all, wide, 65536);
    cast(RDL_F32, RDL_BF16, wide, back, 65536);
    for (int i = 0; i < 65536; i++)
        assert_true(back[i] == all[i] || (isnan(wide[i]) && back[i] == (all[i] | 0x40)));
}

/* The nearest of all finite values of a 16-bit type, ties to the even one. */
static uint16_t nearest(double value, float (*widen)(uint16_t), uint16_t infinity)
{
    uint16_t low = 0, high = infinity; /* magnitudes rise with their bits */
    const double magnitude = fabs(value);
    while (high - low > 1) {
        const uint16_t middle = (uint16_t)((low + high) / 2);
        if ((double)widen(middle) <= magnitude)
            low = middle;
        else
            high = middle;
    }
    const double step = low > 0 ? (double)widen(low) - (double)widen((uint16_t)(low - 1)) : 0;
    const double above = high == infinity ? (double)widen(low) + step : (double)widen(high);
    const double down = magnitude - (double)widen(low), up = above - magnitude;
    const uint16_t pick = down < up || (down == up && low % 2 == 0) ? low : high;
    return (uint16_t)(pick | (signbit(value) ? 0x8000 : 0));
}

static void cast_double_to_16_bits_rounds_once(void **state)
{
    (void)state;
    uint64_t seed = 55;
    for (int i = 0; i < 200000; i++) {
        /* Half of them a hair beside the middle of two neighbours, where a second rounding errs. */
        const uint16_t bits = (uint16_t)(test_next(&seed) & 0x7fff);
        const bool brain = i % 2 == 0;
        const uint16_t infinity = brain ? 0x7f80 : 0x7c00;
        float (*widen)(uint16_t) = brain ? rdl__k_bf16_to_f32 : rdl__k_f16_to_f32;
        if (bits + 1 >= infinity)
            continue;
        const double low = (double)widen(bits), high = (double)widen((uint16_t)(bits + 1));
        double value = low + (high - low) / 2;
        value *= i % 3 == 0 ? 1 : i % 3 == 1 ? 1 + 0x1p-50 : 1 - 0x1p-50;
        value = i % 5 == 0 ? -value : value;
        uint16_t got;
        cast(RDL_F64, brain ? RDL_BF16 : RDL_F16, &value, &got, 1);
        if (got != nearest(value, widen, infinity))
            fail_msg("%a became %04x", value, got);
    }
    const double edges[4] = {65519.999, 65520.0, -1e300, 0x1p-25};
    uint16_t got[4];
    cast(RDL_F64, RDL_F16, edges, got, 4);
    assert_true(got[0] == 0x7bff && got[1] == 0x7c00 && got[2] == 0xfc00 && got[3] == 0);
}

static void cast_wide_integers_round_once(void **state)
{
    (void)state;
    /* A hair above the middle of two bf16: rounding to double or float first would lose the hair. */
    const int64_t x[3] = {((int64_t)1 << 62) + ((int64_t)1 << 54) + 1,
                          -(((int64_t)1 << 40) + ((int64_t)1 << 32) + 1), INT64_MIN};
    uint16_t y[3];
    cast(RDL_I64, RDL_BF16, x, y, 3);
    assert_true(rdl__k_bf16_to_f32(y[0]) == 0x1.02p62f);
    assert_true(rdl__k_bf16_to_f32(y[1]) == -0x1.02p40f);
    assert_true(rdl__k_bf16_to_f32(y[2]) == -0x1p63f);
    const uint64_t u[2] = {UINT64_MAX, ((uint64_t)1 << 63) + 1};
    float f[2];
    cast(RDL_U64, RDL_F32, u, f, 2);
    assert_true(f[0] == 0x1p64f && f[1] == 0x1p63f);
}

static void cast_floats_saturate(void **state)
{
    (void)state;
    const float x[8] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, -1.9f, 255.9f, 2147483648.0f};
    int8_t a[8] = {0};
    uint8_t b[8] = {0};
    int32_t c[8] = {0};
    int64_t d[8] = {0};
    uint64_t e[8] = {0};
    uint8_t t[8] = {0};
    cast(RDL_F32, RDL_I8, x, a, 8);
    assert_true(a[0] == 0 && a[1] == 127 && a[2] == -128 && a[4] == -128 && a[5] == -1 &&
                a[6] == 127);
    cast(RDL_F32, RDL_U8, x, b, 8);
    assert_true(b[0] == 0 && b[1] == 255 && b[2] == 0 && b[5] == 0 && b[6] == 255);
    cast(RDL_F32, RDL_I32, x, c, 8);
    assert_true(c[1] == INT32_MAX && c[3] == INT32_MAX && c[4] == INT32_MIN && c[7] == INT32_MAX);
    cast(RDL_F32, RDL_I64, x, d, 8);
    assert_true(d[1] == INT64_MAX && d[2] == INT64_MIN && d[7] == 2147483648);
    cast(RDL_F32, RDL_U64, x, e, 8);
    assert_true(e[1] == UINT64_MAX && e[2] == 0 && e[5] == 0);
    cast(RDL_F32, RDL_BOOL, x, t, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(1, t[i]);
}

static void cast_integers_keep_low_bits(void **state)
{
    (void)state;
    const int64_t x[4] = {300, -1, 0, (int64_t)1 << 40};
    uint8_t a[4] = {0};
    int16_t b[4] = {0};
    uint64_t c[4] = {0};
    uint8_t t[4] = {0};
    double d[4] = {0};
    cast(RDL_I64, RDL_U8, x, a, 4);
    assert_true(a[0] == 44 && a[1] == 255 && a[2] == 0 && a[3] == 0);
    cast(RDL_I64, RDL_I16, x, b, 4);
    assert_true(b[0] == 300 && b[1] == -1);
    cast(RDL_I64, RDL_U64, x, c, 4);
    assert_true(c[1] == UINT64_MAX);
    cast(RDL_I64, RDL_BOOL, x, t, 4);
    assert_true(t[0] == 1 && t[1] == 1 && t[2] == 0 && t[3] == 1);
    cast(RDL_I64, RDL_F64, x, d, 4);
    assert_true(d[0] == 300.0 && d[3] == 0x1p40);
    const int8_t small[2] = {-128, 5};
    uint32_t wide[2] = {0};
    cast(RDL_I8, RDL_U32, small, wide, 2);
    assert_true(wide[0] == 0xffffff80u && wide[1] == 5);
    const uint8_t truth[3] = {0, 1, 7};
    float f[3] = {0};
    cast(RDL_BOOL, RDL_F32, truth, f, 3);
    assert_true(f[0] == 0.0f && f[1] == 1.0f && f[2] == 1.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_broadcasts_as_defined),
        cmocka_unit_test(binary_integers_wrap_and_divide),
        cmocka_unit_test(binary_integer_by_zero_fails),
        cmocka_unit_test(unary_agrees_with_double_precision),
        cmocka_unit_test(clip_bounds_are_optional_inputs),
        cmocka_unit_test(cast_every_f16_returns),
        cmocka_unit_test(cast_double_to_16_bits_rounds_once),
        cmocka_unit_test(cast_wide_integers_round_once),
        cmocka_unit_test(cast_floats_saturate),
        cmocka_unit_test(cast_integers_keep_low_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
