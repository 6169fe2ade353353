/*
 * Functions on vectors beside the exponential: tanh, exp(x) - 1, erf, log and log(1 + x). Each is a
 * polynomial near zero, so that small results keep their relative accuracy, and exp elsewhere;
 * coefficients are least-maximum fits. NaN passes through all of them.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_MATH_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_MATH_INC_H

#include "kernels/cpu/template/exp.inc.h"

static inline vf vf_abs(vf x)
{
    return (vf)((vi)x & 0x7fffffff);
}

/** |a| with the sign of b. */
static inline vf vf_with_sign(vf a, vf b)
{
    return (vf)(((vi)a & 0x7fffffff) | ((vi)b & INT32_MIN));
}

/** Within 3 units in the last place. */
static inline vf vf_tanh(vf x)
{
    const vf z = x * x;
    vf p = vf_set1(-0.00571703655f);
    p = vf_fma(p, z, vf_set1(0.020650579f));
    p = vf_fma(p, z, vf_set1(-0.0537434953f));
    p = vf_fma(p, z, vf_set1(0.133314912f));
    p = vf_fma(p, z, vf_set1(-0.333332839f));
    const vf near = vf_fma(p * z, x, x);
    const vf a = vf_abs(x), one = vf_set1(1.0f);
    const vf far = one - vf_set1(2.0f) / (vf_exp(a + a) + one);
    return vf_select(a < vf_set1(0.625f), near, vf_with_sign(far, x));
}

/** exp(x) - 1 of x <= 0: with t = tanh(x / 2), 2 t / (1 - t). */
static inline vf vf_expm1_of_negative(vf x)
{
    const vf t = vf_tanh(vf_set1(0.5f) * x);
    return (t + t) / (vf_set1(1.0f) - t);
}

static inline vf vf_erf(vf x)
{
    const vf a = vf_min(vf_set1(4.0f), vf_abs(x)), z = x * x;
    vf p = vf_set1(8.382388e-05f);
    p = vf_fma(p, z, vf_set1(-0.00081455969f));
    p = vf_fma(p, z, vf_set1(0.00520128602f));
    p = vf_fma(p, z, vf_set1(-0.0268595001f));
    p = vf_fma(p, z, vf_set1(0.112836973f));
    p = vf_fma(p, z, vf_set1(-0.376126339f));
    p = vf_fma(p, z, vf_set1(0.128379167f));
    const vf near = vf_fma(p, x, x);
    /* The logarithm of 1 - erf, from 0.92 to 4, beyond which erf is 1. */
    vf q = vf_set1(-2.10950515e-05f);
    q = vf_fma(q, a, vf_set1(0.00043446263f));
    q = vf_fma(q, a, vf_set1(-0.00417106309f));
    q = vf_fma(q, a, vf_set1(0.0251194276f));
    q = vf_fma(q, a, vf_set1(-0.10828009f));
    q = vf_fma(q, a, vf_set1(-0.633346906f));
    q = vf_fma(q, a, vf_set1(-1.12951493f));
    q = vf_fma(q, a, vf_set1(0.000174684449f));
    const vf far = vf_set1(1.0f) - vf_exp(q);
    return vf_select(vf_abs(x) < vf_set1(0.92f), near, vf_with_sign(far, x));
}

/** log((1 + s) / (1 - s)) for 0 <= s * s <= 1 / 9. */
static inline vf vf_log_of_ratio(vf s)
{
    const vf z = s * s;
    vf p = vf_set1(0.243009382f);
    p = vf_fma(p, z, vf_set1(0.214276569f));
    p = vf_fma(p, z, vf_set1(0.286168849f));
    p = vf_fma(p, z, vf_set1(0.399988777f));
    p = vf_fma(p, z, vf_set1(0.666666756f));
    return vf_fma(p * z, s, s + s);
}

/** log(1 + u) for 0 <= u <= 1. */
static inline vf vf_log1p_of_part(vf u)
{
    return vf_log_of_ratio(u / (vf_set1(2.0f) + u));
}

/** Of a negative number NaN, of 0 minus infinity. */
static inline vf vf_log(vf x)
{
    /* Numbers below the smallest normal one are made larger by 2^23 first. */
    const vi tiny = x < vf_set1(0x1p-126f);
    /* Without the sign, or the subtraction below overflows; negative numbers are replaced at the end. */
    const vi bits = (vi)vf_select(tiny, x * vf_set1(0x1p23f), x) & 0x7fffffff;
    /* The mantissa in [sqrt(1/2), sqrt(2)), the rest a power of two. */
    const vi exponent = (bits - 0x3f3504f3) >> 23;
    const vf m = (vf)(bits - (exponent << 23)), one = vf_set1(1.0f);
    const vf e = __builtin_convertvector(exponent - (tiny & 23), vf);
    const vf r = vf_log_of_ratio((m - one) / (m + one));
    vf y = vf_fma(e, vf_set1(0.693359375f), vf_fma(e, vf_set1(-2.12194440e-4f), r));
    y = vf_select(x == vf_set1(__builtin_inff()), x, y);
    y = vf_select(x == vf_set1(0.0f), vf_set1(-__builtin_inff()), y);
    return vf_select(x >= vf_set1(0.0f), y, vf_set1(__builtin_nanf("")));
}

#endif
