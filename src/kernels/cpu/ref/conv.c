/*
 * Reference convolution: one output row at a time, straight from the definition. No state; any
 * thread.
 */
#include "kernels/conv.h"

#include "kernels/cpu/ref/types.h"

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

size_t rdl__k_conv_ref_plan(struct rdl__k_conv *p)
{
    const struct rdl__k_window *w = &p->window;
    return (size_t)(p->batch * p->groups * p->out_channels * w->out[0] * w->out[1]);
}

/* The input place of output place o and kernel place k along dimension d; -1 if outside. */
static inline int64_t window_at(const struct rdl__k_window *w, int d, int64_t o, int64_t k)
{
    const int64_t i = o * w->stride[d] - w->pad[d] + k * w->dilation[d];
    return i < 0 || i >= w->in[d] ? -1 : i;
}

/* act.h on scalars is in the f32 vector kernels and rdl__k_unary; here it is applied by a step of its
 * own, so the reference takes none. */
#define CONV_ROW(dtype, type)                                                                      \
    static void row_##dtype(const struct rdl__k_conv *p, void *const *bind, int64_t channel,       \
                            int64_t image, int64_t oz, int64_t oy)                                 \
    {                                                                                              \
        const struct rdl__k_window *w = &p->window;                                                \
        const int64_t plane = w->in[0] * w->in[1] * w->in[2];                                      \
        const int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2];                           \
        const int64_t channels = p->groups * p->out_channels;                                      \
        const type *x = (const type *)bind[0] +                                                    \
                        (image * p->groups + channel / p->out_channels) * p->in_channels * plane;  \
        const type *weights = (const type *)bind[1] + channel * p->in_channels * taps;             \
        const type bias = bind[2] != NULL ? ((const type *)bind[2])[channel] : (type)0;            \
        type *y = (type *)bind[3] +                                                                \
                  (((image * channels + channel) * w->out[0] + oz) * w->out[1] + oy) * w->out[2];  \
        for (int64_t ox = 0; ox < w->out[2]; ox++) {                                               \
            type sum = bias;                                                                       \
            const type *weight = weights;                                                          \
            for (int64_t c = 0; c < p->in_channels; c++)                                           \
                for (int64_t kz = 0; kz < w->kernel[0]; kz++)                                      \
                    for (int64_t ky = 0; ky < w->kernel[1]; ky++)                                  \
                        for (int64_t kx = 0; kx < w->kernel[2]; kx++) {                            \
                            const int64_t iz = window_at(w, 0, oz, kz),                            \
                                          iy = window_at(w, 1, oy, ky),                            \
                                          ix = window_at(w, 2, ox, kx);                            \
                            const bool inside = iz >= 0 && iy >= 0 && ix >= 0;                     \
                            const int64_t at = c * plane + (iz * w->in[1] + iy) * w->in[2] + ix;   \
                            sum += *weight++ * (inside ? x[at] : (type)0);                         \
                        }                                                                          \
            y[ox] = sum;                                                                           \
        }                                                                                          \
    }
REF_FLOATS(CONV_ROW)

enum rdl_status rdl__k_conv_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_conv *p = call->params;
    const int64_t lines = p->window.out[0] * p->window.out[1];
    const int64_t channels = p->groups * p->out_channels;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t line = (int64_t)t % lines, plane = (int64_t)t / lines;
        const int64_t oz = line / p->window.out[1], oy = line % p->window.out[1];
        if (p->dtype == RDL_F64)
            row_F64(p, call->bind, plane % channels, plane / channels, oz, oy);
        else
            row_F32(p, call->bind, plane % channels, plane / channels, oz, oy);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
