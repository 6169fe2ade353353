/*
 * Depthwise convolution: each output plane from one input plane. A strip of input rows is copied into
 * scratch with its padding, each row cut by remainder of the column by the stride, so that whatever
 * the stride the inputs of a vector of outputs lie side by side. Included after act.inc.h.
 */
#include "kernels/conv.h"

/* Vectors of one output row that are summed side by side. */
#define DEPTHWISE_NV 4

/* One padded row; row is NULL outside the image. */
static void depthwise_row(const struct rdl__k_conv *p, const float *row, float *dst)
{
    const int64_t stride = p->window.stride[2], pad = p->window.pad[2];
    const int64_t part = p->scratch_row / stride;
    for (int64_t phase = 0; phase < stride; phase++, dst += part) {
        /* Padded column phase + i * stride is input column that minus pad. */
        const int64_t shift = phase - pad;
        int64_t begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
        int64_t end = (p->window.in[2] - shift + stride - 1) / stride;
        end = row == NULL || end < 0 ? 0 : end < part ? end : part;
        begin = begin < end ? begin : end;
        for (int64_t i = 0; i < begin; i++)
            dst[i] = 0.0f;
        if (stride == 1) {
            if (end > begin)
                memcpy(dst + begin, row + begin + shift, (size_t)(end - begin) * sizeof *dst);
        } else {
            for (int64_t i = begin; i < end; i++)
                dst[i] = row[i * stride + shift];
        }
        for (int64_t i = end; i < part; i++)
            dst[i] = 0.0f;
    }
}

/* nv vectors of an output row from column x on; rows: the padded row under the first kernel row. */
static ALWAYS_INLINE void depthwise_vectors(const int nv, const struct rdl__k_conv *p,
                                            const float *rows, const float *weights, float bias,
                                            int64_t x, float *y)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t part = p->scratch_row / w->stride[2];
    vf acc[1][ACT_ROW];
    UNROLL for (int v = 0; v < nv; v++) acc[0][v] = vf_set1(bias);
    for (int64_t ky = 0; ky < w->kernel[1]; ky++) {
        const float *row = rows + ky * w->dilation[1] * p->scratch_row + x;
        int64_t phase = 0, place = 0;
        for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
            const float *in = row + phase * part + place;
            const vf weight = vf_set1(*weights++);
            UNROLL for (int v = 0; v < nv; v++) acc[0][v] =
                vf_fma(weight, vf_load(in + v * VF_LANES), acc[0][v]);
            phase += w->dilation[2];
            while (phase >= w->stride[2]) {
                phase -= w->stride[2];
                place++;
            }
        }
    }
    act_apply(&p->act, 1, nv, acc);
    const int64_t cols = w->out[2] - x;
    UNROLL for (int v = 0; v < nv; v++)
    {
        const int64_t n = cols - v * VF_LANES;
        if (n >= VF_LANES)
            vf_store(y + x + v * VF_LANES, acc[0][v]);
        else
            vf_store_first(y + x + v * VF_LANES, acc[0][v], n);
    }
}

enum rdl_status RDL_ISA(rdl__k_depthwise_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_conv *p = call->params;
    const struct rdl__k_window *w = &p->window;
    const int64_t taps = w->kernel[1] * w->kernel[2];
    const float *bias = call->bind[2];
    float *padded = call->scratch;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t first = (int64_t)t % p->col_tiles * p->tile_cols;
        const int64_t plane = (int64_t)t / p->col_tiles; /* image and group */
        const int64_t rows = w->out[1] - first < p->tile_cols ? w->out[1] - first : p->tile_cols;
        const int64_t top = first * w->stride[1] - w->pad[1];
        const int64_t span = (rows - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
        const float *x = (const float *)call->bind[0] + plane * w->in[1] * w->in[2];
        for (int64_t i = 0; i < span; i++) {
            const bool inside = top + i >= 0 && top + i < w->in[1];
            depthwise_row(p, inside ? x + (top + i) * w->in[2] : NULL, padded + i * p->scratch_row);
        }
        for (int64_t c = 0; c < p->out_channels; c++) {
            const int64_t channel = plane % p->groups * p->out_channels + c;
            const float *weights = (const float *)call->bind[1] + channel * taps;
            const float start = bias != NULL ? bias[channel] : 0.0f;
            float *y = (float *)call->bind[3] +
                       ((plane * p->out_channels + c) * w->out[1] + first) * w->out[2];
            for (int64_t o = 0; o < rows; o++, y += w->out[2]) {
                const float *in = padded + o * w->stride[1] * p->scratch_row;
                int64_t at = 0;
                for (; at + (DEPTHWISE_NV - 1) * VF_LANES < w->out[2];
                     at += DEPTHWISE_NV * VF_LANES)
                    depthwise_vectors(DEPTHWISE_NV, p, in, weights, start, at, y);
                for (; at < w->out[2]; at += VF_LANES)
                    depthwise_vectors(1, p, in, weights, start, at, y);
            }
        }
    }
    return RDL_OK;
}
