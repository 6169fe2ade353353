/*
 * Depthwise convolution: each output plane from one input plane, in strips.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_DEPTHWISE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_DEPTHWISE_INC_H

#include "kernels/cpu/template/strips.inc.h"

/* Vectors of one output row that are summed side by side. */
#define DEPTHWISE_NV 4

static ALWAYS_INLINE void depthwise_vectors(const int nv, const struct rdl__k_conv *p,
                                            const float *rows, const float *weights, float bias,
                                            int64_t x, float *y)
{
    vf acc[1][ACT_ROW];
    UNROLL for (int v = 0; v < nv; v++) acc[0][v] = vf_set1(bias);
    STRIP_EACH_PLACE(&p->window, p->strips.part, rows + x, in, {
        const vf weight = vf_set1(*weights++);
        UNROLL for (int v = 0; v < nv; v++) acc[0][v] =
            vf_fma(weight, vf_load(in + v * VF_LANES), acc[0][v]);
    })
    act_apply(&p->act, 1, nv, acc);
    strip_store(nv, y, x, p->window.out[2], acc[0]);
}

/* One output row. */
static void depthwise_row(const struct rdl__k_conv *p, const float *rows, const float *weights,
                          float bias, float *y)
{
    const int64_t cols = p->window.out[2];
    int64_t x = 0;
    for (; x + (DEPTHWISE_NV - 1) * VF_LANES < cols; x += DEPTHWISE_NV * VF_LANES)
        depthwise_vectors(DEPTHWISE_NV, p, rows, weights, bias, x, y);
    for (; x < cols; x += VF_LANES)
        depthwise_vectors(1, p, rows, weights, bias, x, y);
}

enum rdl_status RDL_ISA(rdl__k_depthwise_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_conv *p = call->params;
    const struct rdl__k_window *w = &p->window;
    const int64_t taps = w->kernel[1] * w->kernel[2];
    const int64_t step = p->strips.part * w->stride[2] * w->stride[1];
    const float *bias = call->bind[2];
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t first = (int64_t)t % p->strips.count * p->strips.rows;
        const int64_t plane = (int64_t)t / p->strips.count; /* image and group */
        const int64_t rows =
            w->out[1] - first < p->strips.rows ? w->out[1] - first : p->strips.rows;
        const float *x = (const float *)call->bind[0] + plane * w->in[1] * w->in[2];
        strip_load(w, &p->strips, x, first, rows, 0.0f, call->scratch);
        for (int64_t c = 0; c < p->out_channels; c++) {
            const int64_t channel = plane % p->groups * p->out_channels + c;
            const float *weights = (const float *)call->bind[1] + channel * taps;
            float *y = (float *)call->bind[3] +
                       ((plane * p->out_channels + c) * w->out[1] + first) * w->out[2];
            for (int64_t o = 0; o < rows; o++)
                depthwise_row(p, (const float *)call->scratch + o * step, weights,
                              bias != NULL ? bias[channel] : 0.0f, y + o * w->out[2]);
        }
    }
    return RDL_OK;
}

#endif
