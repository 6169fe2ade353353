/*
 * Softmax and per-channel affine maps on vectors. Sums run in lanes a vector's length apart
 * and are joined in one fixed order, which depends on the length of the row alone.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_SOFTMAX_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_SOFTMAX_INC_H

#include "kernels/cpu/template/act.inc.h"
#include "kernels/cpu/template/exp.inc.h"
#include "kernels/softmax.h"

/* The lanes joined pairwise, halves first. */
static float vf_sum(vf v)
{
    float lanes[VF_LANES];
    vf_store(lanes, v);
    for (int n = VF_LANES / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            lanes[i] += lanes[i + n];
    return lanes[0];
}

static float vf_most(vf v)
{
    float lanes[VF_LANES];
    vf_store(lanes, v);
    for (int i = 1; i < VF_LANES; i++)
        lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    return lanes[0];
}

/* The first n lanes of v, the others of rest. */
static inline vf vf_first_of(vf v, vf rest, int64_t n)
{
    float lanes[VF_LANES];
    vf_store(lanes, rest);
    vf_store_first(lanes, v, n);
    return vf_load(lanes);
}

static void softmax_row(const float *x, float *y, int64_t n)
{
    const vf lowest = vf_set1(-__builtin_inff());
    vf most = lowest;
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        most = vf_max(most, vf_load(x + i));
    if (i < n)
        most = vf_max(most, vf_first_of(vf_load_first(x + i, n - i), lowest, n - i));
    const vf top = vf_set1(vf_most(most));
    vf sum = vf_set1(0.0f);
    for (i = 0; i + VF_LANES <= n; i += VF_LANES) {
        const vf e = vf_exp(vf_load(x + i) - top);
        sum = sum + e;
        vf_store(y + i, e);
    }
    if (i < n) {
        const vf e = vf_exp(vf_load_first(x + i, n - i) - top);
        sum = sum + vf_first_of(e, vf_set1(0.0f), n - i);
        vf_store_first(y + i, e, n - i);
    }
    const vf scale = vf_set1(1.0f / vf_sum(sum));
    for (i = 0; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i, vf_load(y + i) * scale);
    if (i < n)
        vf_store_first(y + i, vf_load_first(y + i, n - i) * scale, n - i);
}

enum rdl_status RDL_ISA(rdl__k_softmax_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_softmax *p = call->params;
    int64_t end = (int64_t)call->tile_end * p->tile_outer;
    end = end < p->outer ? end : p->outer;
    for (int64_t row = (int64_t)call->tile_begin * p->tile_outer; row < end; row++)
        softmax_row((const float *)call->bind[0] + row * p->size,
                    (float *)call->bind[1] + row * p->size, p->size);
    return RDL_OK;
}

enum rdl_status RDL_ISA(rdl__k_affine_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_affine *p = call->params;
    const int64_t planes = p->batch * p->channels;
    int64_t end = (int64_t)call->tile_end * p->tile_planes;
    end = end < planes ? end : planes;
    for (int64_t n = (int64_t)call->tile_begin * p->tile_planes; n < end; n++) {
        const float *x = (const float *)call->bind[0] + n * p->size;
        float *y = (float *)call->bind[3] + n * p->size;
        const vf factor = vf_set1(((const float *)call->bind[1])[n % p->channels]);
        const vf term = vf_set1(((const float *)call->bind[2])[n % p->channels]);
        vf v[1][ACT_ROW];
        for (int64_t i = 0; i < p->size; i += VF_LANES) {
            const int64_t lanes = p->size - i < VF_LANES ? p->size - i : VF_LANES;
            v[0][0] =
                (lanes == VF_LANES ? vf_load(x + i) : vf_load_first(x + i, lanes)) * factor + term;
            act_apply(&p->act, 1, 1, v);
            if (lanes == VF_LANES)
                vf_store(y + i, v[0][0]);
            else
                vf_store_first(y + i, v[0][0], lanes);
        }
    }
    return RDL_OK;
}

#endif
