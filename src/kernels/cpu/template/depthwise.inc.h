/*
 * Depthwise convolution: each output plane from one input plane, in strips.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_DEPTHWISE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_DEPTHWISE_INC_H

#include "kernels/cpu/template/strips.inc.h"

/* Vectors of one output row that are summed side by side. */
#define DEPTHWISE_NV 4

/* nv, and for the usual windows `w`, are constants of the caller. */
static ALWAYS_INLINE void depthwise_vectors(const int nv, const struct places w,
                                            const struct rdl__k_conv *p, const float *above,
                                            const float *weights, float bias, int64_t x, float *y)
{
    vf acc[1][ACT_ROW];
    UNROLL for (int v = 0; v < nv; v++) acc[0][v] = vf_set1(bias);
    STRIP_EACH_PLACE(w, p->strips.part, above + x, in, {
        const vf weight = vf_set1(*weights++);
        UNROLL for (int v = 0; v < nv; v++) acc[0][v] =
            vf_fma(weight, vf_load(in + v * VF_LANES), acc[0][v]);
    })
    act_apply(&p->act, 1, nv, acc);
    strip_store(nv, y, x, p->window.out[2], acc[0]);
}

/* One output row. */
static ALWAYS_INLINE void depthwise_row(const struct places w, const struct rdl__k_conv *p,
                                        const float *above, const float *weights, float bias,
                                        float *y)
{
    const int64_t cols = p->window.out[2];
    int64_t x = 0;
    for (; x + (DEPTHWISE_NV - 1) * VF_LANES < cols; x += DEPTHWISE_NV * VF_LANES)
        depthwise_vectors(DEPTHWISE_NV, w, p, above, weights, bias, x, y);
    if (x + 2 * VF_LANES < cols)
        depthwise_vectors(3, w, p, above, weights, bias, x, y);
    else if (x + VF_LANES < cols)
        depthwise_vectors(2, w, p, above, weights, bias, x, y);
    else if (x < cols)
        depthwise_vectors(1, w, p, above, weights, bias, x, y);
}

typedef void (*depthwise_fn)(const struct rdl__k_conv *p, const float *above, const float *weights,
                             float bias, float *y);

/* X(kernel, stride): the usual windows, each unrolled. */
#define DEPTHWISE_LIST(X) X(3, 1) X(3, 2) X(5, 1) X(5, 2)

#define DEPTHWISE_DEFINE(kernel, stride)                                                           \
    static void depthwise_##kernel##_by_##stride(const struct rdl__k_conv *p, const float *above,  \
                                                 const float *weights, float bias, float *y)       \
    {                                                                                              \
        const struct places w = {kernel, kernel, 1, 1, stride};                                    \
        depthwise_row(w, p, above, weights, bias, y);                                              \
    }
DEPTHWISE_LIST(DEPTHWISE_DEFINE)
#undef DEPTHWISE_DEFINE

static void depthwise_any(const struct rdl__k_conv *p, const float *above, const float *weights,
                          float bias, float *y)
{
    depthwise_row(places_of(&p->window), p, above, weights, bias, y);
}

static depthwise_fn depthwise_choose(const struct rdl__k_window *w)
{
    const struct places is = places_of(w);
#define DEPTHWISE_CHOOSE(kernel, by)                                                               \
    if (is.rows == (kernel) && is.cols == (kernel) && is.stride == (by) && is.row_step == 1 &&     \
        is.col_step == 1)                                                                          \
        return depthwise_##kernel##_by_##by;
    DEPTHWISE_LIST(DEPTHWISE_CHOOSE)
#undef DEPTHWISE_CHOOSE
    return depthwise_any;
}

enum rdl_status RDL_ISA(rdl__k_depthwise_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_conv *p = call->params;
    const struct rdl__k_window *w = &p->window;
    const int64_t taps = w->kernel[1] * w->kernel[2];
    const int64_t step = p->strips.part * w->stride[2] * w->stride[1];
    const float *bias = call->bind[2];
    const depthwise_fn row = depthwise_choose(w);
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
                row(p, (const float *)call->scratch + o * step, weights,
                    bias != NULL ? bias[channel] : 0.0f, y + o * w->out[2]);
        }
    }
    return RDL_OK;
}

#endif
