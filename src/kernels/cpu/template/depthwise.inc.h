/*
 * Depthwise convolution: each output plane from one input plane, in strips.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_DEPTHWISE_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_DEPTHWISE_INC_H

#include "kernels/cpu/template/block.inc.h"
#include "kernels/cpu/template/strips.inc.h"

/* Most output rows and vectors of each that are summed side by side: eight sums hide the latency. */
#define DEPTHWISE_ROWS 2
#define DEPTHWISE_NV 4

/* What the rows of a strip share. */
struct depthwise {
    const struct rdl__k_conv *p;
    const float *weights;
    float bias;
    int64_t step; /* floats of the copied rows between two output rows */
};

/* rows and nv, and for the usual windows `w`, are constants of the caller. */
static ALWAYS_INLINE void depthwise_vectors(const int rows, const int nv, const struct places w,
                                            const struct depthwise *k, const float *above,
                                            int64_t x, float *y)
{
    const int64_t cols = k->p->window.out[2];
    const float *weights = k->weights;
    vf acc[DEPTHWISE_ROWS][ACT_ROW];
    BLOCK_EACH(rows, nv) acc[r][v] = vf_set1(k->bias);
    STRIP_EACH_PLACE(w, k->p->strips.part, above + x, in, {
        const vf weight = vf_set1(*weights++);
        BLOCK_EACH(rows, nv)
        acc[r][v] = vf_fma(weight, vf_load(in + r * k->step + v * VF_LANES), acc[r][v]);
    })
    act_apply(&k->p->act, rows, nv, acc);
    UNROLL for (int r = 0; r < rows; r++) strip_store(nv, y + r * cols, x, cols, acc[r]);
}

/* `rows` output rows, 1 or DEPTHWISE_ROWS. */
static ALWAYS_INLINE void depthwise_row(const int rows, const struct places w,
                                        const struct depthwise *k, const float *above, float *y)
{
    const int64_t vectors = (k->p->window.out[2] + VF_LANES - 1) / VF_LANES;
    int64_t nv = DEPTHWISE_NV;
    for (int64_t v = 0; v < vectors; v += nv) {
        const int64_t left = vectors - v, x = v * VF_LANES;
        nv = left <= nv ? left : left < 2 * nv ? (left + 1) / 2 : nv;
        if (nv == 4)
            depthwise_vectors(rows, 4, w, k, above, x, y);
        else if (nv == 3)
            depthwise_vectors(rows, 3, w, k, above, x, y);
        else if (nv == 2)
            depthwise_vectors(rows, 2, w, k, above, x, y);
        else
            depthwise_vectors(rows, 1, w, k, above, x, y);
    }
}

/* A plane's strip of `rows` output rows. */
static ALWAYS_INLINE void depthwise_strip(const struct places w, const struct depthwise *k,
                                          const float *above, int64_t rows, float *y)
{
    const int64_t cols = k->p->window.out[2];
    for (; rows >= DEPTHWISE_ROWS; rows -= DEPTHWISE_ROWS) {
        depthwise_row(DEPTHWISE_ROWS, w, k, above, y);
        above += DEPTHWISE_ROWS * k->step;
        y += DEPTHWISE_ROWS * cols;
    }
    if (rows > 0)
        depthwise_row(1, w, k, above, y);
}

typedef void (*depthwise_fn)(const struct depthwise *k, const float *above, int64_t rows, float *y);

/* X(kernel, stride): the usual windows, each unrolled. */
#define DEPTHWISE_LIST(X) X(3, 1) X(3, 2) X(5, 1) X(5, 2)

#define DEPTHWISE_DEFINE(kernel, stride)                                                           \
    static void depthwise_##kernel##_by_##stride(const struct depthwise *k, const float *above,    \
                                                 int64_t rows, float *y)                           \
    {                                                                                              \
        const struct places w = {kernel, kernel, 1, 1, stride};                                    \
        depthwise_strip(w, k, above, rows, y);                                                     \
    }
DEPTHWISE_LIST(DEPTHWISE_DEFINE)
#undef DEPTHWISE_DEFINE

static void depthwise_any(const struct depthwise *k, const float *above, int64_t rows, float *y)
{
    depthwise_strip(places_of(&k->p->window), k, above, rows, y);
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
    const float *bias = call->bind[2];
    const depthwise_fn strip = depthwise_choose(w);
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t first = (int64_t)t % p->strips.count * p->strips.rows;
        const int64_t plane = (int64_t)t / p->strips.count; /* image and group */
        const int64_t rows =
            w->out[1] - first < p->strips.rows ? w->out[1] - first : p->strips.rows;
        const float *x = (const float *)call->bind[0] + plane * w->in[1] * w->in[2];
        strip_load(w, &p->strips, x, first, rows, 0.0f, call->scratch);
        for (int64_t c = 0; c < p->out_channels; c++) {
            const int64_t channel = plane % p->groups * p->out_channels + c;
            const struct depthwise k = {
                .p = p,
                .weights = (const float *)call->bind[1] + channel * taps,
                .bias = bias != NULL ? bias[channel] : 0.0f,
                .step = p->strips.part * w->stride[2] * w->stride[1],
            };
            float *y = (float *)call->bind[3] +
                       ((plane * p->out_channels + c) * w->out[1] + first) * w->out[2];
            strip(&k, call->scratch, rows, y);
        }
    }
    return RDL_OK;
}

#endif
