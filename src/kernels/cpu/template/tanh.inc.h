/*
 * The hyperbolic tangent on vectors: an odd polynomial up to 0.625, beyond it 1 - 2 / (exp(2|x|) + 1)
 * with the sign put back. Within 3 units in the last place; NaN passes, infinities give -1 and 1.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_TANH_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_TANH_INC_H

#include "kernels/cpu/template/exp.inc.h"

static inline vf vf_tanh(vf x)
{
    const vi sign = (vi)x & (vi)vf_set1(-0.0f);
    const vf size = (vf)((vi)x & 0x7fffffff), z = x * x;
    vf p = vf_set1(-5.70498873e-3f);
    p = vf_fma(p, z, vf_set1(2.06390888e-2f));
    p = vf_fma(p, z, vf_set1(-5.37397155e-2f));
    p = vf_fma(p, z, vf_set1(1.33314422e-1f));
    p = vf_fma(p, z, vf_set1(-3.33332819e-1f));
    p = vf_fma(p * z, x, x);
    const vf far = vf_set1(1.0f) - vf_set1(2.0f) / (vf_exp(size + size) + vf_set1(1.0f));
    return vf_select(size < vf_set1(0.625f), p, (vf)((vi)far | sign));
}

#endif
