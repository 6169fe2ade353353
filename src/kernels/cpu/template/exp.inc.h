/*
 * The exponential on vectors: the argument is reduced to |r| <= ln(2) / 2, a polynomial of degree 7
 * gives exp(r), and two halves of the power of two are multiplied in, so that results below the
 * smallest normal number and above the largest come out right. Within 2 units in the last place; NaN
 * passes, +inf gives +inf, -inf gives 0.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_EXP_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_EXP_INC_H

static inline vf vf_exp(vf x)
{
    /* Beyond these the result is 0 or infinite anyway. */
    x = vf_max(vf_set1(-105.0f), vf_min(vf_set1(90.0f), x));
    /* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
    const vf magic = vf_set1(12582912.0f);
    const vf shifted = vf_fma(x, vf_set1(1.44269504f), magic);
    const vf whole = shifted - magic;
    const vi n = (vi)shifted - (vi)magic;
    vf r = vf_fma(whole, vf_set1(-0.693359375f), x);
    r = vf_fma(whole, vf_set1(2.12194440e-4f), r);
    vf p = vf_set1(1.9875692e-4f);
    p = vf_fma(p, r, vf_set1(1.3981999e-3f));
    p = vf_fma(p, r, vf_set1(8.3334519e-3f));
    p = vf_fma(p, r, vf_set1(4.1665796e-2f));
    p = vf_fma(p, r, vf_set1(1.6666665e-1f));
    p = vf_fma(p, r, vf_set1(5.0e-1f));
    p = vf_fma(p, r * r, r) + vf_set1(1.0f);
    const vi half = n >> 1;
    return p * (vf)((half + 127) << 23) * (vf)((n - half + 127) << 23);
}

#endif
