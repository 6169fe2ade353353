/*
 * Convolution on the matrix product: rows are output channels, columns output places. The columns of
 * a tile are gathered into panels in scratch, or read where they lie if the kernel has one place. The
 * other forms are in conv_slide.inc.h, conv_few.inc.h and conv_many.inc.h.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_CONV_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_CONV_INC_H

#include "kernels/conv.h"
#include "kernels/cpu/template/block.inc.h"
#include "kernels/cpu/template/conv_few.inc.h"
#include "kernels/cpu/template/conv_many.inc.h"
#include "kernels/cpu/template/conv_slide.inc.h"

/* Where a panel's columns lie: pieces of output rows. */
struct piece {
    int64_t cols; /* of this piece */
    int64_t o[3]; /* output place of the first */
};

/* Cuts the panel's `cols` output places from `first` on into pieces; returns their number. */
static int conv_pieces(const struct rdl__k_window *w, int64_t first, int64_t cols,
                       struct piece pieces[PANEL_COLS])
{
    int n = 0;
    while (cols > 0) {
        struct piece *p = &pieces[n++];
        p->o[2] = first % w->out[2];
        p->o[1] = first / w->out[2] % w->out[1];
        p->o[0] = first / w->out[2] / w->out[1];
        p->cols = w->out[2] - p->o[2] < cols ? w->out[2] - p->o[2] : cols;
        first += p->cols;
        cols -= p->cols;
    }
    return n;
}

/* Input index along d of output place o under kernel place k. */
static inline int64_t conv_at(const struct rdl__k_window *w, int d, int64_t o, int64_t k)
{
    return o * w->stride[d] - w->pad[d] + k * w->dilation[d];
}

/* dst[j] = row[x + j * stride], 0 outside [0, width). */
static inline void conv_gather(float *dst, const float *row, int64_t x, int64_t stride,
                               int64_t width, int64_t cols)
{
    const bool inside = x >= 0 && x + (cols - 1) * stride < width;
    if (stride == 1 && inside) {
        strip_copy(dst, row + x, cols);
    } else if (stride == 1) {
        const int64_t begin = x >= 0 ? 0 : -x < cols ? -x : cols;
        const int64_t end = x >= width ? begin : width - x < cols ? width - x : cols;
        for (int64_t j = 0; j < begin; j++)
            dst[j] = 0.0f;
        if (begin < end)
            strip_copy(dst + begin, row + x + begin, end - begin);
        for (int64_t j = end > begin ? end : begin; j < cols; j++)
            dst[j] = 0.0f;
    } else if (stride == 2 && cols == PANEL_COLS && x >= 0 && x + 2 * cols <= width) {
        const float *from = row + x;
        vf_store(dst, vf_even(vf_load(from), vf_load(from + VF_LANES)));
        from += 2 * VF_LANES;
        vf_store(dst + VF_LANES, vf_even(vf_load(from), vf_load(from + VF_LANES)));
    } else if (inside) {
        for (int64_t j = 0; j < cols; j++)
            dst[j] = row[x + j * stride];
    } else {
        for (int64_t j = 0; j < cols; j++, x += stride)
            dst[j] = x >= 0 && x < width ? row[x] : 0.0f;
    }
}

/* The columns of one piece, in all rows of the panel; `stride` is that of columns. */
static ALWAYS_INLINE void conv_piece(const struct rdl__k_conv *p, const int64_t stride,
                                     const float *x, const struct piece *s, float *dst)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t width = w->in[2], plane = w->in[0] * w->in[1] * width;
    const int64_t first = conv_at(w, 2, s->o[2], 0);
    for (int64_t c = 0; c < p->in_channels; c++, x += plane)
        for (int64_t kz = 0; kz < w->kernel[0]; kz++)
            for (int64_t ky = 0; ky < w->kernel[1]; ky++) {
                const int64_t iz = conv_at(w, 0, s->o[0], kz), iy = conv_at(w, 1, s->o[1], ky);
                const bool inside = iz >= 0 && iz < w->in[0] && iy >= 0 && iy < w->in[1];
                /* Outside, a row of width 0: all zeros, and no address is made of it. */
                const float *row = inside ? x + (iz * w->in[1] + iy) * width : x;
                for (int64_t kx = 0; kx < w->kernel[2]; kx++, dst += PANEL_COLS)
                    conv_gather(dst, row, first + kx * w->dilation[2], stride, inside ? width : 0,
                                s->cols);
            }
}

/* One panel: [in_channels * kernel places][PANEL_COLS], columns past the image zero. */
static void conv_panel(const struct rdl__k_conv *p, const float *x, int64_t first, int64_t cols,
                       float *dst)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t rows = p->in_channels * w->kernel[0] * w->kernel[1] * w->kernel[2];
    struct piece pieces[PANEL_COLS];
    const int n = conv_pieces(w, first, cols, pieces);
    int64_t at = 0;
    for (int i = 0; i < n; at += pieces[i++].cols) {
        if (w->stride[2] == 1)
            conv_piece(p, 1, x, &pieces[i], dst + at);
        else if (w->stride[2] == 2)
            conv_piece(p, 2, x, &pieces[i], dst + at);
        else
            conv_piece(p, w->stride[2], x, &pieces[i], dst + at);
    }
    for (int64_t i = 0; i < rows && at < PANEL_COLS; i++)
        for (int64_t j = at; j < PANEL_COLS; j++)
            dst[i * PANEL_COLS + j] = 0.0f;
}

/* Whether the input plane is the matrix of columns as it lies. */
static bool conv_in_place(const struct rdl__k_window *w)
{
    for (int d = 0; d < 3; d++)
        if (w->kernel[d] != 1 || w->stride[d] != 1 || w->pad[d] != 0 || w->out[d] != w->in[d])
            return false;
    return true;
}

static void conv_columns(const struct rdl__kernel_call *call, const struct rdl__k_conv *p)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t plane = w->in[0] * w->in[1] * w->in[2];
    const int64_t places = w->out[0] * w->out[1] * w->out[2];
    const int64_t depth = p->in_channels * w->kernel[0] * w->kernel[1] * w->kernel[2];
    const bool in_place = conv_in_place(w);
    const float *bias = call->bind[2];
    float *scratch = call->scratch;
    int64_t gathered = -1; /* the column tile that scratch holds */
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        /* Row tiles run inside, so that gathered columns serve them all. */
        const int64_t row = (int64_t)t % p->row_tiles * p->tile_rows;
        const int64_t columns = (int64_t)t / p->row_tiles;
        const int64_t col = columns % p->col_tiles * p->tile_cols;
        const int64_t matrix = columns / p->col_tiles; /* image and group */
        const int64_t cols = places - col < p->tile_cols ? places - col : p->tile_cols;
        const float *x = (const float *)call->bind[0] + matrix * p->in_channels * plane;
        const int64_t channel = matrix % p->groups * p->out_channels + row;
        /* Columns of whole panels that are read in place. */
        const int64_t direct = in_place ? cols / PANEL_COLS * PANEL_COLS : 0;
        if (gathered != columns) {
            for (int64_t j = direct; j < cols; j += PANEL_COLS)
                conv_panel(p, x, col + j, cols - j < PANEL_COLS ? cols - j : PANEL_COLS,
                           scratch + (j - direct) * depth);
            gathered = columns;
        }
        struct product product = {
            .a = (const float *)call->bind[1] + channel * depth,
            .packed = true,
            .b = x + col,
            .b_row = plane,
            .b_panel = PANEL_COLS,
            .c = (float *)call->bind[3] + (matrix * p->out_channels + row) * places + col,
            .c_row = places,
            .init = bias != NULL ? bias + channel : NULL,
            .init_row = 1,
            .init_splat = true,
            .act = &p->act,
            .rows = p->out_channels - row < p->tile_rows ? p->out_channels - row : p->tile_rows,
            .cols = direct,
            .depth = depth,
        };
        if (direct > 0)
            product_run(&product);
        if (direct < cols) {
            product.b = scratch;
            product.b_row = PANEL_COLS;
            product.b_panel = depth * PANEL_COLS;
            product.c += direct;
            product.cols = cols - direct;
            product_run(&product);
        }
    }
}

enum rdl_status RDL_ISA(rdl__k_conv_f32)(const struct rdl__kernel_call *call)
{
    const struct rdl__k_conv *p = call->params;
    if (p->form == RDL__K_CONV_SLIDE)
        conv_slide(call, p);
    else if (p->form == RDL__K_CONV_FEW)
        conv_few(call, p);
    else if (p->form == RDL__K_CONV_MANY)
        conv_many(call, p);
    else
        conv_columns(call, p);
    return RDL_OK;
}

#endif
