/*
 * Reference elementwise kernels: every operator for every dtype, one plain loop each. No state; any
 * thread.
 */
#include "kernels/elementwise.h"

#include "kernels/cpu/ref/types.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* Elements of a tile. */
#define TILE_ELEMS 16384

static size_t tiles_of(int64_t count)
{
    return (size_t)((count + TILE_ELEMS - 1) / TILE_ELEMS);
}

size_t rdl__k_binary_plan(struct rdl__k_binary *params, const struct rdl__shape *a,
                          const struct rdl__shape *b, const struct rdl__shape *out)
{
    const struct rdl__shape *const in[] = {a, b};
    return rdl__k_walk_plan(&params->walk, in, 2, out, &params->count, &params->tile_elems);
}

size_t rdl__k_unary_plan(struct rdl__k_unary *params, int64_t count)
{
    params->count = count;
    params->tile_elems = TILE_ELEMS;
    return tiles_of(count);
}

/* A run of n elements: strides of a and b are 0 or 1. False: division by zero. */
typedef bool (*binary_run_fn)(const void *a, int64_t sa, const void *b, int64_t sb, void *out,
                              int64_t n);

/* NAME_OP_TYPE: out[i] = value, with x and y the operands; stop is the condition of failure. */
#define BINARY_RUN(name, type, stop, value)                                                        \
    static bool name(const void *va, int64_t sa, const void *vb, int64_t sb, void *vout,           \
                     int64_t n)                                                                    \
    {                                                                                              \
        const type *a = va, *b = vb;                                                               \
        type *out = vout;                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type x = a[i * sa], y = b[i * sb];                                               \
            if (stop)                                                                              \
                return false;                                                                      \
            out[i] = (type)(value);                                                                \
        }                                                                                          \
        return true;                                                                               \
    }

#define FLOAT_RUNS(dtype, type)                                                                    \
    BINARY_RUN(add_##dtype, type, false, x + y)                                                    \
    BINARY_RUN(sub_##dtype, type, false, x - y)                                                    \
    BINARY_RUN(mul_##dtype, type, false, x *y)                                                     \
    BINARY_RUN(div_##dtype, type, false, x / y)                                                    \
    BINARY_RUN(max_##dtype, type, false, x != x || x > y ? x : y)                                  \
    BINARY_RUN(min_##dtype, type, false, x != x || x < y ? x : y)                                  \
    BINARY_RUN(prelu_##dtype, type, false, x < 0 ? x * y : x)                                      \
    BINARY_RUN(div_or_zero_##dtype, type, false, y == 0 ? 0 : x / y)                               \
    BINARY_RUN(pow_##dtype, type, false, pow((double)x, (double)y))                                \
    BINARY_RUN(mod_##dtype, type, false, floor_mod((double)x, (double)y))                          \
    BINARY_RUN(fmod_##dtype, type, false, fmod((double)x, (double)y))
#define WRAPPING_RUNS(dtype, type, wide)                                                           \
    BINARY_RUN(add_##dtype, type, false, (wide)x + (wide)y)                                        \
    BINARY_RUN(sub_##dtype, type, false, (wide)x - (wide)y)                                        \
    BINARY_RUN(mul_##dtype, type, false, (wide)x *(wide)y)                                         \
    BINARY_RUN(max_##dtype, type, false, x > y ? x : y)                                            \
    BINARY_RUN(min_##dtype, type, false, x < y ? x : y)                                            \
    BINARY_RUN(bit_and_##dtype, type, false, (wide)x &(wide)y)                                     \
    BINARY_RUN(bit_or_##dtype, type, false, (wide)x | (wide)y)                                     \
    BINARY_RUN(bit_xor_##dtype, type, false, (wide)x ^ (wide)y)                                    \
    BINARY_RUN(shift_left_##dtype, type, false, (uint64_t)y < 8 * sizeof(type) ? (wide)x << y : 0)
/* The smallest integer by -1 does not fit: negation that wraps. */
#define SIGNED_RUNS(dtype, type, wide)                                                             \
    WRAPPING_RUNS(dtype, type, wide)                                                               \
    BINARY_RUN(div_##dtype, type, y == 0, y == -1 ? (type)((wide)0 - (wide)x) : (type)(x / y))     \
    BINARY_RUN(prelu_##dtype, type, false, x < 0 ? (wide)x * (wide)y : (wide)x)                    \
    BINARY_RUN(pow_##dtype, type, x == 0 && y < 0, signed_power(x, y))                             \
    BINARY_RUN(shift_right_##dtype, type, false,                                                   \
               (uint64_t)y < 8 * sizeof(type) ? x >> y                                             \
               : x < 0                        ? -1                                                 \
                                              : 0)                                                 \
    BINARY_RUN(fmod_##dtype, type, y == 0, y == -1 ? 0 : x % y)                                    \
    BINARY_RUN(mod_##dtype, type, y == 0,                                                          \
               y == -1                                ? 0                                          \
               : x % y != 0 && (x % y < 0) != (y < 0) ? x % y + y                                  \
                                                      : x % y)
#define UNSIGNED_RUNS(dtype, type, wide)                                                           \
    WRAPPING_RUNS(dtype, type, wide)                                                               \
    BINARY_RUN(div_##dtype, type, y == 0, x / y)                                                   \
    BINARY_RUN(prelu_##dtype, type, false, ((void)y, x))                                           \
    BINARY_RUN(pow_##dtype, type, false, power(x, y))                                              \
    BINARY_RUN(shift_right_##dtype, type, false, y < 8 * sizeof(type) ? x >> y : 0)                \
    BINARY_RUN(fmod_##dtype, type, y == 0, x % y)                                                  \
    BINARY_RUN(mod_##dtype, type, y == 0, x % y)

/* The remainder of a quotient rounded down, with the sign of y. */
static double floor_mod(double x, double y)
{
    const double r = fmod(x, y);
    if (r == 0.0)
        return copysign(r, y);
    return (r < 0.0) != (y < 0.0) ? r + y : r;
}

/* x^y in numbers that wrap. */
static uint64_t power(uint64_t x, uint64_t y)
{
    uint64_t result = 1;
    for (; y != 0; y >>= 1, x *= x)
        if ((y & 1) != 0)
            result *= x;
    return result;
}

/* x is not 0 if y is negative. */
static int64_t signed_power(int64_t x, int64_t y)
{
    if (y < 0)
        return x == 1 || x == -1 ? (y % 2 == 0 ? 1 : x) : 0;
    return (int64_t)power((uint64_t)x, (uint64_t)y);
}

REF_FLOATS(FLOAT_RUNS)
REF_SIGNED(SIGNED_RUNS)
REF_UNSIGNED(UNSIGNED_RUNS)

#define BINARY_ENTRIES(dtype)                                                                      \
    [RDL__K_BINARY_ADD] = add_##dtype, [RDL__K_BINARY_SUB] = sub_##dtype,                          \
    [RDL__K_BINARY_MUL] = mul_##dtype, [RDL__K_BINARY_DIV] = div_##dtype,                          \
    [RDL__K_BINARY_MAX] = max_##dtype, [RDL__K_BINARY_MIN] = min_##dtype,                          \
    [RDL__K_BINARY_PRELU] = prelu_##dtype, [RDL__K_BINARY_POW] = pow_##dtype,                      \
    [RDL__K_BINARY_MOD] = mod_##dtype, [RDL__K_BINARY_FMOD] = fmod_##dtype
#define BINARY_ROW_FLOAT(dtype, type)                                                              \
    [RDL_##dtype] = {BINARY_ENTRIES(dtype), [RDL__K_BINARY_DIV_OR_ZERO] = div_or_zero_##dtype},
#define BINARY_ROW_INT(dtype, type, wide)                                                          \
    [RDL_##dtype] = {BINARY_ENTRIES(dtype),                                                        \
                     [RDL__K_BINARY_BIT_AND] = bit_and_##dtype,                                    \
                     [RDL__K_BINARY_BIT_OR] = bit_or_##dtype,                                      \
                     [RDL__K_BINARY_BIT_XOR] = bit_xor_##dtype,                                    \
                     [RDL__K_BINARY_SHIFT_LEFT] = shift_left_##dtype,                              \
                     [RDL__K_BINARY_SHIFT_RIGHT] = shift_right_##dtype},
static const binary_run_fn binary_runs[RDL_BF16 + 1][RDL__K_BINARY_OPS] = {
    REF_FLOATS(BINARY_ROW_FLOAT) REF_SIGNED(BINARY_ROW_INT) REF_UNSIGNED(BINARY_ROW_INT)};

bool rdl__k_binary_takes(enum rdl__k_binary_op op, enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && binary_runs[dtype][op] != NULL;
}

bool rdl__k_binary_f32_has(enum rdl__k_binary_op op)
{
    return op <= RDL__K_BINARY_DIV_OR_ZERO;
}

/* act.h on scalars. */
static float act_scalar(const struct rdl__k_act *act, float x)
{
    float t;
    switch (act->kind) {
    case RDL__K_ACT_NONE:
        break;
    case RDL__K_ACT_RELU:
        return 0.0f > x ? 0.0f : x;
    case RDL__K_ACT_CLIP:
        t = act->a > x ? act->a : x;
        return act->b < t ? act->b : t;
    case RDL__K_ACT_HARD_SWISH:
        t = 0.0f > x + 3.0f ? 0.0f : x + 3.0f;
        t = 6.0f < t ? 6.0f : t;
        return act->a * (x * (t * (1.0f / 6.0f))) + act->b;
    case RDL__K_ACT_HARD_SIGMOID:
        t = act->a * x + act->b;
        t = 0.0f > t ? 0.0f : t;
        return 1.0f < t ? 1.0f : t;
    }
    return x;
}

enum rdl_status rdl__k_binary_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_binary *p = call->params;
    const size_t size = rdl_dtype_size(p->dtype);
    const char *a = call->bind[0], *b = call->bind[1];
    char *out = call->bind[2];
    const binary_run_fn run = binary_runs[p->dtype][p->op];
    const int32_t last = p->walk.rank - 1;
    const int64_t sa = p->walk.stride[0][last], sb = p->walk.stride[1][last];
    for (struct rdl__k_run at = rdl__k_run_first(&p->walk, call, p->tile_elems, p->count); at.n > 0;
         rdl__k_run_next(&p->walk, &at)) {
        if (!run(a + (size_t)at.offset[0] * size, sa, b + (size_t)at.offset[1] * size, sb,
                 out + (size_t)at.at * size, at.n))
            return RDL_ERR_RUNTIME;
        float *stored = call->bind[2];
        if (p->act.kind != RDL__K_ACT_NONE) /* of f32 alone */
            for (int64_t i = at.at; i < at.at + at.n; i++)
                stored[i] = act_scalar(&p->act, stored[i]);
    }
    return RDL_OK;
}

/* A run of n elements; lo and hi are bounds of CLIP, a and b the other parameters. */
typedef void (*unary_run_fn)(const void *x, void *y, int64_t n, const void *lo, const void *hi,
                             double a, double b);

#define UNARY_RUN(name, type, value)                                                               \
    static void name(const void *vx, void *vy, int64_t n, const void *lo, const void *hi,          \
                     double pa, double pb)                                                         \
    {                                                                                              \
        const type a = (type)pa, b = (type)pb;                                                     \
        (void)a, (void)b, (void)lo, (void)hi;                                                      \
        const type *xs = vx;                                                                       \
        type *ys = vy;                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type x = xs[i];                                                                  \
            ys[i] = (type)(value);                                                                 \
        }                                                                                          \
    }
#define CLIP_RUN(name, type)                                                                       \
    static void name(const void *vx, void *vy, int64_t n, const void *lo, const void *hi,          \
                     double a, double b)                                                           \
    {                                                                                              \
        (void)a, (void)b;                                                                          \
        const type *xs = vx;                                                                       \
        type *ys = vy;                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            type x = xs[i];                                                                        \
            if (lo != NULL)                                                                        \
                x = *(const type *)lo > x ? *(const type *)lo : x;                                 \
            if (hi != NULL)                                                                        \
                x = *(const type *)hi < x ? *(const type *)hi : x;                                 \
            ys[i] = x;                                                                             \
        }                                                                                          \
    }

/* Cut towards zero; what is too large becomes the end of the range. */
static int64_t whole(double x)
{
    return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : x == x ? (int64_t)x : 0;
}

/* Integers are shrunk as real numbers. */
#define SHRINK_RUN(name, type)                                                                     \
    static void name(const void *vx, void *vy, int64_t n, const void *lo, const void *hi,          \
                     double a, double b)                                                           \
    {                                                                                              \
        (void)lo, (void)hi;                                                                        \
        const type *xs = vx;                                                                       \
        type *ys = vy;                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double x = (double)xs[i];                                                        \
            ys[i] = (type)whole(x < -b ? x + a : x > b ? x - a : 0.0);                             \
        }                                                                                          \
    }

#define LOW(type, x) ((type)0 > (x) ? (type)0 : (x))
#define HIGH(type, x, hi) ((type)(hi) < (x) ? (type)(hi) : (x))
#define FLOAT_UNARY(dtype, type)                                                                   \
    CLIP_RUN(clip_##dtype, type)                                                                   \
    UNARY_RUN(relu_##dtype, type, LOW(type, x))                                                    \
    UNARY_RUN(hard_swish_##dtype, type,                                                            \
              a *(x * (HIGH(type, LOW(type, x + (type)3), 6) * (type)(1.0 / 6.0))) + b)            \
    UNARY_RUN(hard_sigmoid_##dtype, type, HIGH(type, LOW(type, a *x + b), 1))                      \
    UNARY_RUN(sigmoid_##dtype, type, 1.0 / (1.0 + exp(-(double)x)))                                \
    UNARY_RUN(neg_##dtype, type, -x)                                                               \
    UNARY_RUN(abs_##dtype, type, fabs((double)x))                                                  \
    UNARY_RUN(reciprocal_##dtype, type, (type)1 / x)                                               \
    UNARY_RUN(sqrt_##dtype, type, sqrt((double)x))                                                 \
    UNARY_RUN(exp_##dtype, type, exp((double)x))                                                   \
    UNARY_RUN(tanh_##dtype, type, tanh((double)x))                                                 \
    UNARY_RUN(log_##dtype, type, log((double)x))                                                   \
    UNARY_RUN(floor_##dtype, type, floor((double)x))                                               \
    UNARY_RUN(ceil_##dtype, type, ceil((double)x))                                                 \
    UNARY_RUN(erf_##dtype, type, erf((double)x))                                                   \
    UNARY_RUN(round_##dtype, type, rint((double)x))                                                \
    UNARY_RUN(sign_##dtype, type, x > 0 ? 1 : x < 0 ? -1 : x)                                      \
    UNARY_RUN(leaky_relu_##dtype, type, x < 0 ? a * x : x)                                         \
    UNARY_RUN(elu_##dtype, type, x < 0 ? (double)a * expm1((double)x) : (double)x)                 \
    UNARY_RUN(selu_##dtype, type, (double)b *(x <= 0 ? (double)a * expm1((double)x) : (double)x))  \
    UNARY_RUN(celu_##dtype, type,                                                                  \
              x > 0    ? (double)x                                                                 \
              : x == x ? fmin(0.0, (double)a * expm1((double)x / (double)a))                       \
                       : (double)x)                                                                \
    UNARY_RUN(thresholded_relu_##dtype, type, x > a || x != x ? x : 0)                             \
    UNARY_RUN(softplus_##dtype, type, softplus((double)x))                                         \
    UNARY_RUN(softsign_##dtype, type, (double)x / (1.0 + fabs((double)x)))                         \
    UNARY_RUN(mish_##dtype, type, (double)x *tanh(softplus((double)x)))                            \
    UNARY_RUN(gelu_##dtype, type, 0.5 * (double)x * erfc(-(double)x * 0.70710678118654752))        \
    UNARY_RUN(gelu_tanh_##dtype, type, gelu_tanh((double)x))                                       \
    UNARY_RUN(swish_##dtype, type, (double)x / (1.0 + exp(-(double)a * (double)x)))                \
    UNARY_RUN(shrink_##dtype, type, x<-b ? x + a : x> b ? x - a : x == x ? 0 : x)                  \
    UNARY_RUN(sin_##dtype, type, sin((double)x))                                                   \
    UNARY_RUN(cos_##dtype, type, cos((double)x))                                                   \
    UNARY_RUN(tan_##dtype, type, tan((double)x))                                                   \
    UNARY_RUN(asin_##dtype, type, asin((double)x))                                                 \
    UNARY_RUN(acos_##dtype, type, acos((double)x))                                                 \
    UNARY_RUN(atan_##dtype, type, atan((double)x))                                                 \
    UNARY_RUN(sinh_##dtype, type, sinh((double)x))                                                 \
    UNARY_RUN(cosh_##dtype, type, cosh((double)x))                                                 \
    UNARY_RUN(asinh_##dtype, type, asinh((double)x))                                               \
    UNARY_RUN(acosh_##dtype, type, acosh((double)x))                                               \
    UNARY_RUN(atanh_##dtype, type, atanh((double)x))
#define SIGNED_UNARY(dtype, type, wide)                                                            \
    CLIP_RUN(clip_##dtype, type)                                                                   \
    UNARY_RUN(relu_##dtype, type, x < 0 ? 0 : x)                                                   \
    UNARY_RUN(neg_##dtype, type, (wide)0 - (wide)x)                                                \
    UNARY_RUN(abs_##dtype, type, x < 0 ? (wide)0 - (wide)x : (wide)x)                              \
    UNARY_RUN(sign_##dtype, type, x > 0 ? 1 : x < 0 ? -1 : 0)                                      \
    UNARY_RUN(bit_not_##dtype, type, ~(wide)x)                                                     \
    SHRINK_RUN(shrink_##dtype, type)
#define UNSIGNED_UNARY(dtype, type, wide)                                                          \
    CLIP_RUN(clip_##dtype, type)                                                                   \
    UNARY_RUN(same_##dtype, type, x)                                                               \
    UNARY_RUN(sign_##dtype, type, x > 0)                                                           \
    UNARY_RUN(bit_not_##dtype, type, ~(wide)x)                                                     \
    SHRINK_RUN(shrink_##dtype, type)

/* log(1 + exp(x)) without overflow. */
static double softplus(double x)
{
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double gelu_tanh(double x)
{
    const double t = 0.79788456080286536 * (x + 0.044715 * x * x * x);
    /* 1 + tanh(t) as a quotient: it does not cancel. */
    return x / (1.0 + exp(-2.0 * t));
}

REF_FLOATS(FLOAT_UNARY)
REF_SIGNED(SIGNED_UNARY)
REF_UNSIGNED(UNSIGNED_UNARY)
UNARY_RUN(not_BOOL, uint8_t, x == 0)

#define UNARY_ROW_FLOAT(dtype, type)                                                               \
    [RDL_##dtype] = {                                                                              \
        [RDL__K_UNARY_RELU] = relu_##dtype,                                                        \
        [RDL__K_UNARY_CLIP] = clip_##dtype,                                                        \
        [RDL__K_UNARY_HARD_SWISH] = hard_swish_##dtype,                                            \
        [RDL__K_UNARY_HARD_SIGMOID] = hard_sigmoid_##dtype,                                        \
        [RDL__K_UNARY_SIGMOID] = sigmoid_##dtype,                                                  \
        [RDL__K_UNARY_NEG] = neg_##dtype,                                                          \
        [RDL__K_UNARY_ABS] = abs_##dtype,                                                          \
        [RDL__K_UNARY_RECIPROCAL] = reciprocal_##dtype,                                            \
        [RDL__K_UNARY_SQRT] = sqrt_##dtype,                                                        \
        [RDL__K_UNARY_EXP] = exp_##dtype,                                                          \
        [RDL__K_UNARY_TANH] = tanh_##dtype,                                                        \
        [RDL__K_UNARY_LOG] = log_##dtype,                                                          \
        [RDL__K_UNARY_FLOOR] = floor_##dtype,                                                      \
        [RDL__K_UNARY_CEIL] = ceil_##dtype,                                                        \
        [RDL__K_UNARY_ERF] = erf_##dtype,                                                          \
        [RDL__K_UNARY_ROUND] = round_##dtype,                                                      \
        [RDL__K_UNARY_SIGN] = sign_##dtype,                                                        \
        [RDL__K_UNARY_LEAKY_RELU] = leaky_relu_##dtype,                                            \
        [RDL__K_UNARY_ELU] = elu_##dtype,                                                          \
        [RDL__K_UNARY_SELU] = selu_##dtype,                                                        \
        [RDL__K_UNARY_CELU] = celu_##dtype,                                                        \
        [RDL__K_UNARY_THRESHOLDED_RELU] = thresholded_relu_##dtype,                                \
        [RDL__K_UNARY_SOFTPLUS] = softplus_##dtype,                                                \
        [RDL__K_UNARY_SOFTSIGN] = softsign_##dtype,                                                \
        [RDL__K_UNARY_MISH] = mish_##dtype,                                                        \
        [RDL__K_UNARY_GELU] = gelu_##dtype,                                                        \
        [RDL__K_UNARY_GELU_TANH] = gelu_tanh_##dtype,                                              \
        [RDL__K_UNARY_SWISH] = swish_##dtype,                                                      \
        [RDL__K_UNARY_SHRINK] = shrink_##dtype,                                                    \
        [RDL__K_UNARY_SIN] = sin_##dtype,                                                          \
        [RDL__K_UNARY_COS] = cos_##dtype,                                                          \
        [RDL__K_UNARY_TAN] = tan_##dtype,                                                          \
        [RDL__K_UNARY_ASIN] = asin_##dtype,                                                        \
        [RDL__K_UNARY_ACOS] = acos_##dtype,                                                        \
        [RDL__K_UNARY_ATAN] = atan_##dtype,                                                        \
        [RDL__K_UNARY_SINH] = sinh_##dtype,                                                        \
        [RDL__K_UNARY_COSH] = cosh_##dtype,                                                        \
        [RDL__K_UNARY_ASINH] = asinh_##dtype,                                                      \
        [RDL__K_UNARY_ACOSH] = acosh_##dtype,                                                      \
        [RDL__K_UNARY_ATANH] = atanh_##dtype,                                                      \
    },
#define UNARY_ROW_SIGNED(dtype, type, wide)                                                        \
    [RDL_##dtype] = {                                                                              \
        [RDL__K_UNARY_RELU] = relu_##dtype,       [RDL__K_UNARY_CLIP] = clip_##dtype,              \
        [RDL__K_UNARY_NEG] = neg_##dtype,         [RDL__K_UNARY_ABS] = abs_##dtype,                \
        [RDL__K_UNARY_SIGN] = sign_##dtype,       [RDL__K_UNARY_SHRINK] = shrink_##dtype,          \
        [RDL__K_UNARY_BIT_NOT] = bit_not_##dtype,                                                  \
    },
#define UNARY_ROW_UNSIGNED(dtype, type, wide)                                                      \
    [RDL_##dtype] = {                                                                              \
        [RDL__K_UNARY_RELU] = same_##dtype,     [RDL__K_UNARY_CLIP] = clip_##dtype,                \
        [RDL__K_UNARY_ABS] = same_##dtype,      [RDL__K_UNARY_SIGN] = sign_##dtype,                \
        [RDL__K_UNARY_SHRINK] = shrink_##dtype, [RDL__K_UNARY_BIT_NOT] = bit_not_##dtype,          \
    },
static const unary_run_fn unary_runs[RDL_BF16 + 1][RDL__K_UNARY_OPS] = {
    REF_FLOATS(UNARY_ROW_FLOAT) REF_SIGNED(UNARY_ROW_SIGNED)
        REF_UNSIGNED(UNARY_ROW_UNSIGNED)[RDL_BOOL] = {[RDL__K_UNARY_NOT] = not_BOOL},
};

bool rdl__k_unary_takes(enum rdl__k_unary_op op, enum rdl_dtype dtype)
{
    return (unsigned)dtype <= RDL_BF16 && unary_runs[dtype][op] != NULL;
}

bool rdl__k_unary_f32_has(enum rdl__k_unary_op op)
{
    return op <= RDL__K_UNARY_SWISH;
}

enum rdl_status rdl__k_unary_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_unary *p = call->params;
    const size_t size = rdl_dtype_size(p->dtype);
    const int64_t at = (int64_t)call->tile_begin * p->tile_elems;
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    const void *lo = NULL, *hi = NULL;
    const double a64 = (double)p->a, b64 = (double)p->b;
    if (p->op == RDL__K_UNARY_CLIP) {
        lo = p->has_bounds ? p->dtype == RDL_F64 ? (const void *)&a64 : &p->a : call->bind[2];
        hi = p->has_bounds ? p->dtype == RDL_F64 ? (const void *)&b64 : &p->b : call->bind[3];
    }
    unary_runs[p->dtype][p->op]((const char *)call->bind[0] + (size_t)at * size,
                                (char *)call->bind[1] + (size_t)at * size, end - at, lo, hi, a64,
                                b64);
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
