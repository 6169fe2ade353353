/*
 * Activations on vectors; the words of act.h.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_ACT_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_ACT_INC_H

#include "kernels/act.h"

static inline vf act_hard_swish(vf x, vf a, vf b)
{
    const vf gate = vf_min(vf_set1(6.0f), vf_max(vf_set1(0.0f), x + vf_set1(3.0f)));
    return a * (x * (gate * vf_set1(1.0f / 6.0f))) + b;
}

static inline vf act_hard_sigmoid(vf x, vf a, vf b)
{
    return vf_min(vf_set1(1.0f), vf_max(vf_set1(0.0f), a * x + b));
}

/* Applies act to v[rows][n], rows of ACT_ROW vectors. The kind is looked at once for all. */
#define ACT_EACH(expression)                                                                       \
    UNROLL for (int r = 0; r < rows; r++)                                                          \
    {                                                                                              \
        UNROLL for (int i = 0; i < n; i++)                                                         \
        {                                                                                          \
            const vf x = v[r][i];                                                                  \
            v[r][i] = (expression);                                                                \
        }                                                                                          \
    }
#define ACT_ROW 8

static ALWAYS_INLINE void act_apply(const struct rdl__k_act *act, const int rows, const int n,
                                    vf v[][ACT_ROW])
{
    if (act->kind == RDL__K_ACT_NONE)
        return;
    const vf a = vf_set1(act->a), b = vf_set1(act->b), zero = vf_set1(0.0f);
    if (act->kind == RDL__K_ACT_RELU) {
        ACT_EACH(vf_max(zero, x))
    } else if (act->kind == RDL__K_ACT_CLIP) {
        ACT_EACH(vf_min(b, vf_max(a, x)))
    } else if (act->kind == RDL__K_ACT_HARD_SWISH) {
        ACT_EACH(act_hard_swish(x, a, b))
    } else {
        ACT_EACH(act_hard_sigmoid(x, a, b))
    }
}

#endif
