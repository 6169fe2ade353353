/*
 * Elementwise kernels on vectors. The last vector of a run is masked, so every element takes the same
 * operations wherever it lies.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_ELEMENTWISE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_ELEMENTWISE_INC_H

#include "kernels/cpu/template/act.inc.h"
#include "kernels/cpu/template/math.inc.h"
#include "kernels/elementwise.h"

static ALWAYS_INLINE vf binary_one(const enum rdl__k_binary_op op, vf a, vf b)
{
    switch (op) {
    case RDL__K_BINARY_ADD:
        return a + b;
    case RDL__K_BINARY_SUB:
        return a - b;
    case RDL__K_BINARY_MUL:
        return a * b;
    case RDL__K_BINARY_DIV:
        return a / b;
    case RDL__K_BINARY_MAX: /* vf_max passes a NaN of its second operand only */
        return vf_select(a != a, a, vf_max(a, b));
    case RDL__K_BINARY_MIN:
        return vf_select(a != a, a, vf_min(a, b));
    case RDL__K_BINARY_PRELU:
        return vf_select(a < vf_set1(0.0f), a * b, a);
    case RDL__K_BINARY_DIV_OR_ZERO:
        return vf_select(b == vf_set1(0.0f), vf_set1(0.0f), a / b);
    default:
        return a;
    }
}

/* A run; op, splat_a and splat_b are constants of each caller. An operand that is one number is read
 * once, before the output is written. */
static ALWAYS_INLINE void binary_run(const enum rdl__k_binary_op op, const bool splat_a,
                                     const bool splat_b, const float *a, const float *b, float *out,
                                     int64_t n, const struct rdl__k_act *act)
{
    const vf a_one = vf_set1(a[0]), b_one = vf_set1(b[0]);
    vf v[1][ACT_ROW];
    int64_t i = 0;
    for (; i + 2 * VF_LANES <= n; i += 2 * VF_LANES) {
        UNROLL for (int j = 0; j < 2; j++) v[0][j] =
            binary_one(op, splat_a ? a_one : vf_load(a + i + j * VF_LANES),
                       splat_b ? b_one : vf_load(b + i + j * VF_LANES));
        act_apply(act, 1, 2, v);
        UNROLL for (int j = 0; j < 2; j++) vf_store(out + i + j * VF_LANES, v[0][j]);
    }
    for (; i < n; i += VF_LANES) {
        const int64_t lanes = n - i < VF_LANES ? n - i : VF_LANES;
        v[0][0] = binary_one(op, splat_a ? a_one : vf_load_first(a + i, lanes),
                             splat_b ? b_one : vf_load_first(b + i, lanes));
        act_apply(act, 1, 1, v);
        vf_store_first(out + i, v[0][0], lanes);
    }
}

typedef void (*binary_run_fn)(const float *a, const float *b, float *out, int64_t n,
                              const struct rdl__k_act *act);

#define BINARY_DEFINE(name)                                                                        \
    static void binary_##name##_vv(const float *a, const float *b, float *out, int64_t n,          \
                                   const struct rdl__k_act *act)                                   \
    {                                                                                              \
        binary_run(RDL__K_BINARY_##name, false, false, a, b, out, n, act);                         \
    }                                                                                              \
    static void binary_##name##_vs(const float *a, const float *b, float *out, int64_t n,          \
                                   const struct rdl__k_act *act)                                   \
    {                                                                                              \
        binary_run(RDL__K_BINARY_##name, false, true, a, b, out, n, act);                          \
    }                                                                                              \
    static void binary_##name##_sv(const float *a, const float *b, float *out, int64_t n,          \
                                   const struct rdl__k_act *act)                                   \
    {                                                                                              \
        binary_run(RDL__K_BINARY_##name, true, false, a, b, out, n, act);                          \
    }                                                                                              \
    static void binary_##name##_ss(const float *a, const float *b, float *out, int64_t n,          \
                                   const struct rdl__k_act *act)                                   \
    {                                                                                              \
        binary_run(RDL__K_BINARY_##name, true, true, a, b, out, n, act);                           \
    }
RDL__K_BINARY_F32_LIST(BINARY_DEFINE)
#undef BINARY_DEFINE

/* By operator, whether a moves, whether b moves. */
#define BINARY_ENTRY(name)                                                                         \
    [RDL__K_BINARY_##name] = {{binary_##name##_ss, binary_##name##_sv},                            \
                              {binary_##name##_vs, binary_##name##_vv}},
static const binary_run_fn binary_runs[][2][2] = {RDL__K_BINARY_F32_LIST(BINARY_ENTRY)};
#undef BINARY_ENTRY

enum rdl_status RDL_ISA(rdl__k_binary_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_binary *p = call->params;
    const float *a = call->bind[0], *b = call->bind[1];
    float *out = call->bind[2];
    const int32_t last = p->walk.rank - 1;
    const int64_t sa = p->walk.stride[0][last], sb = p->walk.stride[1][last];
    const binary_run_fn run = binary_runs[p->op][sa != 0][sb != 0];
    for (struct rdl__k_run at = rdl__k_run_first(&p->walk, call, p->tile_elems, p->count); at.n > 0;
         rdl__k_run_next(&p->walk, &at))
        run(a + at.offset[0], b + at.offset[1], out + at.at, at.n, &p->act);
    return RDL_OK;
}

/* The linear units that bend at 0 with an exponential below it. */
static ALWAYS_INLINE vf unary_exponential_unit(const enum rdl__k_unary_op op, vf x, vf a, vf b)
{
    const vf zero = vf_set1(0.0f);
    const vf below = vf_min(zero, x);
    if (op == RDL__K_UNARY_CELU) {
        const vf y = vf_min(zero, a * vf_expm1_of_negative(vf_min(zero, x / a)));
        return vf_select(x != x, x, vf_max(zero, x) + y);
    }
    const vf y = vf_select(x < zero, a * vf_expm1_of_negative(below), x);
    return op == RDL__K_UNARY_SELU ? b * y : y;
}

/* Those that grow as x on the right and vanish on the left. */
static ALWAYS_INLINE vf unary_soft(const enum rdl__k_unary_op op, vf x)
{
    const vf zero = vf_set1(0.0f), one = vf_set1(1.0f), two = vf_set1(2.0f);
    if (op == RDL__K_UNARY_SOFTPLUS)
        return vf_max(zero, x) + vf_log1p_of_part(vf_exp(-vf_abs(x)));
    if (op == RDL__K_UNARY_SOFTSIGN)
        return x / (one + vf_abs(x));
    /* MISH: with e = exp(x), tanh(log(1 + e)) = w / (w + 2), w = e * (e + 2); from 20 on it is 1. */
    const vf e = vf_exp(vf_min(vf_set1(20.0f), x)), w = e * (e + two);
    return x * (w / (w + two));
}

static ALWAYS_INLINE vf unary_gated(const enum rdl__k_unary_op op, vf x, vf a)
{
    const vf one = vf_set1(1.0f), half = vf_set1(0.5f);
    if (op == RDL__K_UNARY_GELU)
        return half * x * (one + vf_erf(x * vf_set1(0.707106781f)));
    vf gate = a * x;
    if (op == RDL__K_UNARY_GELU_TANH) /* (1 + tanh(t)) / 2 = 1 / (1 + exp(-2 t)) */
        gate = vf_set1(1.59576912f) * vf_fma(vf_set1(0.044715f) * x * x, x, x);
    return x / (one + vf_exp(-gate));
}

static ALWAYS_INLINE vf unary_one(const enum rdl__k_unary_op op, vf x, vf a, vf b)
{
    switch (op) {
    case RDL__K_UNARY_RELU:
        return vf_max(vf_set1(0.0f), x);
    case RDL__K_UNARY_CLIP:
        return vf_min(b, vf_max(a, x));
    case RDL__K_UNARY_HARD_SWISH:
        return act_hard_swish(x, a, b);
    case RDL__K_UNARY_HARD_SIGMOID:
        return act_hard_sigmoid(x, a, b);
    case RDL__K_UNARY_SIGMOID:
        return vf_set1(1.0f) / (vf_set1(1.0f) + vf_exp(-x));
    case RDL__K_UNARY_NEG:
        return -x;
    case RDL__K_UNARY_ABS:
        return vf_abs(x);
    case RDL__K_UNARY_RECIPROCAL:
        return vf_set1(1.0f) / x;
    case RDL__K_UNARY_SQRT:
        return vf_sqrt(x);
    case RDL__K_UNARY_EXP:
        return vf_exp(x);
    case RDL__K_UNARY_TANH:
        return vf_tanh(x);
    case RDL__K_UNARY_LOG:
        return vf_log(x);
    case RDL__K_UNARY_ERF:
        return vf_erf(x);
    case RDL__K_UNARY_LEAKY_RELU:
        return vf_select(x < vf_set1(0.0f), a * x, x);
    case RDL__K_UNARY_ELU:
    case RDL__K_UNARY_SELU:
    case RDL__K_UNARY_CELU:
        return unary_exponential_unit(op, x, a, b);
    case RDL__K_UNARY_THRESHOLDED_RELU:
        return vf_select(x <= a, vf_set1(0.0f), x);
    case RDL__K_UNARY_SOFTPLUS:
    case RDL__K_UNARY_SOFTSIGN:
    case RDL__K_UNARY_MISH:
        return unary_soft(op, x);
    case RDL__K_UNARY_GELU:
    case RDL__K_UNARY_GELU_TANH:
    case RDL__K_UNARY_SWISH:
        return unary_gated(op, x, a);
    default:
        return x;
    }
}

static ALWAYS_INLINE void unary_run(const enum rdl__k_unary_op op, const float *x, float *y,
                                    int64_t n, vf a, vf b)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, unary_one(op, vf_load(x + i), a, b));
    if (i < n)
        vf_store_first(y + i, unary_one(op, vf_load_first(x + i, n - i), a, b), n - i);
}

#define UNARY_CASE(name)                                                                           \
    case RDL__K_UNARY_##name:                                                                      \
        unary_run(RDL__K_UNARY_##name, x, y, n, a, b);                                             \
        break;

enum rdl_status RDL_ISA(rdl__k_unary_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_unary *p = call->params;
    const int64_t at = (int64_t)call->tile_begin * p->tile_elems;
    int64_t n = (int64_t)(call->tile_end - call->tile_begin) * p->tile_elems;
    n = n < p->count - at ? n : p->count - at;
    const float *x = (const float *)call->bind[0] + at;
    float *y = (float *)call->bind[1] + at;
    vf a = vf_set1(p->a), b = vf_set1(p->b);
    if (p->op == RDL__K_UNARY_CLIP && !p->has_bounds) {
        /* Absent bounds let everything through. */
        a = vf_set1(call->bind[2] != NULL ? *(const float *)call->bind[2] : -__builtin_inff());
        b = vf_set1(call->bind[3] != NULL ? *(const float *)call->bind[3] : __builtin_inff());
    }
    switch (p->op) {
        RDL__K_UNARY_F32_LIST(UNARY_CASE)
    default:
        return RDL_ERR_INTERNAL;
    }
    return RDL_OK;
}
#undef UNARY_CASE

#endif
