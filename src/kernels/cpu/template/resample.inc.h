/*
 * Resampling on vectors. Across an axis that is not the last, the rows of the input are summed whole;
 * along the last, elements are picked one by one.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_RESAMPLE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_RESAMPLE_INC_H

#include "kernels/resample.h"

static ALWAYS_INLINE void resample_line(const struct rdl__k_resample *p, const int taps,
                                        const float *x, float *y, int64_t at, int64_t end)
{
    const float *w = (const float *)p->tables + at * taps;
    const int32_t *place = rdl__k_resample_places(p) + at * taps;
    for (int64_t j = at; j < end; j++, w += taps, place += taps) {
        if (place[0] < 0) {
            y[j] = (float)p->outside;
            continue;
        }
        float sum = w[0] * x[place[0]];
        for (int t = 1; t < taps; t++)
            sum += w[t] * x[place[t]];
        y[j] = sum;
    }
}

static ALWAYS_INLINE void resample_inner(const struct rdl__k_resample *p, const int taps, int64_t j,
                                         const float *x, float *y, int64_t at, int64_t end)
{
    const float *w = (const float *)p->tables + j * taps;
    const int32_t *place = rdl__k_resample_places(p) + j * taps;
    if (place[0] < 0) {
        for (int64_t i = at; i < end; i++)
            y[i] = (float)p->outside;
        return;
    }
    for (int64_t i = at; i < end; i += VF_LANES) {
        const int64_t lanes = end - i < VF_LANES ? end - i : VF_LANES;
        const bool whole = lanes == VF_LANES;
        vf sum = vf_set1(0.0f);
        for (int t = 0; t < taps; t++) {
            const float *from = x + place[t] * p->inner + i;
            sum = vf_fma(vf_set1(w[t]), whole ? vf_load(from) : vf_load_first(from, lanes), sum);
        }
        if (whole)
            vf_store(y + i, sum);
        else
            vf_store_first(y + i, sum, lanes);
    }
}

static ALWAYS_INLINE void resample_unit(const struct rdl__k_resample *p, const int taps, int64_t u,
                                        const float *x, float *y)
{
    const int64_t row = u / p->blocks, from = u % p->blocks * RDL__K_RESAMPLE_BLOCK;
    const int64_t left = p->length - from;
    const int64_t to = from + (left < RDL__K_RESAMPLE_BLOCK ? left : RDL__K_RESAMPLE_BLOCK);
    if (p->inner == 1)
        resample_line(p, taps, x + row * p->in, y + row * p->out, from, to);
    else
        resample_inner(p, taps, row % p->out, x + row / p->out * p->in * p->inner,
                       y + row * p->inner, from, to);
}

enum rdl_status RDL_ISA(rdl__k_resample_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_resample *p = call->params;
    const float *x = call->bind[0];
    float *y = call->bind[1];
    int64_t end = (int64_t)call->tile_end * p->tile_units;
    end = end < p->units ? end : p->units;
    for (int64_t u = (int64_t)call->tile_begin * p->tile_units; u < end; u++) {
        if (p->taps == 2)
            resample_unit(p, 2, u, x, y);
        else if (p->taps == 4)
            resample_unit(p, 4, u, x, y);
        else
            resample_unit(p, p->taps, u, x, y);
    }
    return RDL_OK;
}

#endif
