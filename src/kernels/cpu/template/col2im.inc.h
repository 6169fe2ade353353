/*
 * Adding columns up into an image. An output row is cut into one part for each remainder of the column
 * by the stride: what a kernel column adds to a part lies side by side. The parts are then laced
 * together.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_COL2IM_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_COL2IM_INC_H

#include "kernels/col2im.h"
#include "kernels/cpu/template/act.inc.h"

/* to[0, n) += from */
static inline void col2im_add(float *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(to + i, vf_load(to + i) + vf_load(from + i));
    if (i < n)
        vf_store_first(to + i, vf_load_first(to + i, n - i) + vf_load_first(from + i, n - i),
                       n - i);
}

/* What kernel column kx adds, from a row of columns, to its part: output column o = phase + j * stride
 * is part element j. */
static inline void col2im_column(const struct rdl__k_col2im *p, const float *from, int64_t kx,
                                 float *parts)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t stride = w->stride[2], shift = kx * w->dilation[2] - w->pad[2];
    /* Input column i goes to output column i * stride + shift. */
    const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    const int64_t o = first * stride + shift, left = w->out[2] - o;
    const int64_t room = left > 0 ? (left + stride - 1) / stride : 0;
    const int64_t n = w->in[2] - first < room ? w->in[2] - first : room;
    if (n > 0)
        col2im_add(parts + o % stride * p->part + o / stride, from + first, n);
}

static void col2im_lace(const float *parts, int64_t part, int64_t stride, int64_t n, float *y)
{
    if (stride == 1) {
        memcpy(y, parts, (size_t)n * sizeof *y);
    } else if (stride == 2) {
        const float *even = parts, *odd = parts + part;
        for (int64_t j = 0; j < n / 2; j++) {
            y[2 * j] = even[j];
            y[2 * j + 1] = odd[j];
        }
        if (n % 2 != 0)
            y[n - 1] = even[n / 2];
    } else {
        for (int64_t phase = 0; phase < stride; phase++, parts += part)
            for (int64_t o = phase, j = 0; o < n; o += stride, j++)
                y[o] = parts[j];
    }
}

static void col2im_row(const struct rdl__k_col2im *p, const float *columns, float bias, int64_t row,
                       float *parts, float *y)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t plane = w->in[0] * w->in[1] * w->in[2], size = p->part * w->stride[2];
    const int64_t oz = row / w->out[1], oy = row % w->out[1];
    for (int64_t i = 0; i < size; i++)
        parts[i] = bias;
    for (int64_t kz = 0; kz < w->kernel[0]; kz++)
        for (int64_t ky = 0; ky < w->kernel[1]; ky++, columns += w->kernel[2] * plane) {
            const int64_t iz = rdl__k_col2im_at(w, 0, oz, kz), iy = rdl__k_col2im_at(w, 1, oy, ky);
            if (iz < 0 || iy < 0)
                continue;
            const float *from = columns + (iz * w->in[1] + iy) * w->in[2];
            for (int64_t kx = 0; kx < w->kernel[2]; kx++)
                col2im_column(p, from + kx * plane, kx, parts);
        }
    if (p->act.kind != RDL__K_ACT_NONE) /* parts have room for whole vectors */
        for (int64_t i = 0; i < size; i += VF_LANES) {
            const int64_t lanes = size - i < VF_LANES ? size - i : VF_LANES;
            vf v[1][ACT_ROW] = {{vf_load_first(parts + i, lanes)}};
            act_apply(&p->act, 1, 1, v);
            vf_store_first(parts + i, v[0][0], lanes);
        }
    col2im_lace(parts, p->part, w->stride[2], w->out[2], y);
}

enum rdl_status RDL_ISA(rdl__k_col2im_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_col2im *p = call->params;
    const struct rdl__k_window *w = &p->window;
    const int64_t rows = w->out[0] * w->out[1], plane = w->in[0] * w->in[1] * w->in[2];
    const int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2];
    const float *bias = call->bind[1];
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t channel = (int64_t)t / p->row_tiles; /* of all images */
        const int64_t first = (int64_t)t % p->row_tiles * p->tile_rows;
        const float *columns = (const float *)call->bind[0] + channel * taps * plane;
        const float shift = bias != NULL ? bias[channel % p->channels] : 0.0f;
        for (int64_t row = first; row < first + p->tile_rows && row < rows; row++)
            col2im_row(p, columns, shift, row, call->scratch,
                       (float *)call->bind[2] + (channel * rows + row) * w->out[2]);
    }
    return RDL_OK;
}

#endif
