/*
 * Convolution of many images of few output places: the columns of all places of a tile's images are
 * gathered side by side into panels, and the rows of their product with the packed weights are dealt
 * out to the images. Each sum is the same chain as in the other forms.
 *
 * Scratch: the table of offsets, padded copies of a tile's images where windows reach out of them, the
 * panels, and the product.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_CONV_MANY_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_CONV_MANY_INC_H

#include "kernels/cpu/template/conv_few.inc.h"

/* Rows of a panel that are gathered at a time: they stay in the first-level cache while all images add
 * their columns. */
#define MANY_ROWS 64

/* Neighbouring columns of a panel that come from one output row of one image. */
struct many_piece {
    const float *from; /* what the first sees first */
    int64_t n;
    int64_t at; /* column of the panel */
};

/* Writes n columns, a constant, of `rows` rows of a panel; they are read `stride` apart. */
static ALWAYS_INLINE void many_rows_of(const int64_t n, const int64_t stride, const float *from,
                                       const int32_t *table, int64_t rows, float *to)
{
    for (int64_t k = 0; k < rows; k++, to += PANEL_COLS) {
        const float *at = from + table[k];
        if (stride == 1) {
            memcpy(to, at, (size_t)n * sizeof *to);
        } else {
            UNROLL for (int64_t i = 0; i < n; i++) to[i] = at[i * stride];
        }
    }
}

/* The same for all columns of a piece, a constant number at a time. */
static ALWAYS_INLINE void many_rows_strided(const struct many_piece *piece, const int64_t stride,
                                            const int32_t *table, int64_t rows, float *to)
{
    const float *from = piece->from;
    int64_t n = piece->n;
    for (; n > STRIP_FEW; n -= STRIP_FEW, from += STRIP_FEW * stride, to += STRIP_FEW)
        many_rows_of(STRIP_FEW, stride, from, table, rows, to);
#define MANY_CASE(n)                                                                               \
    case n:                                                                                        \
        many_rows_of(n, stride, from, table, rows, to);                                            \
        break;
    switch (n) {
        STRIP_FEW_LIST(MANY_CASE)
    default:
        break; /* no other count is left */
    }
#undef MANY_CASE
}

/* Neighbours are moved as vectors. */
static void many_rows(const struct many_piece *piece, int64_t stride, const int32_t *table,
                      int64_t rows, float *to)
{
    if (stride == 1)
        many_rows_strided(piece, 1, table, rows, to);
    else
        many_rows_strided(piece, stride, table, rows, to);
}

/* Cuts `cols` columns of the tile from `column` on into pieces; returns their number. */
static int many_pieces(const struct few *f, int64_t column, int64_t cols,
                       struct many_piece pieces[PANEL_COLS])
{
    const struct rdl__k_window *w = &f->p->window;
    const int64_t *read = f->p->read;
    int n = 0;
    for (int64_t left = cols; left > 0; n++) {
        const int64_t image = column / f->places, place = column % f->places;
        const int64_t z = place / w->out[2] / w->out[1] * w->stride[0];
        const int64_t y = place / w->out[2] % w->out[1] * w->stride[1];
        const int64_t x = place % w->out[2], most = w->out[2] - x;
        pieces[n] = (struct many_piece){.from = f->x + image * f->x_image +
                                                (z * read[1] + y) * read[2] + x * w->stride[2],
                                        .n = most < left ? most : left,
                                        .at = cols - left};
        column += pieces[n].n;
        left -= pieces[n].n;
    }
    return n;
}

/* One panel: [depth][PANEL_COLS], columns past the tile's zero. */
static void many_panel(const struct few *f, int64_t column, int64_t cols, float *panel)
{
    struct many_piece pieces[PANEL_COLS];
    const int n = many_pieces(f, column, cols, pieces);
    for (int64_t k = 0; k < f->depth; k += MANY_ROWS) {
        const int64_t rows = f->depth - k < MANY_ROWS ? f->depth - k : MANY_ROWS;
        for (int i = 0; i < n; i++)
            many_rows(&pieces[i], f->p->window.stride[2], f->table + k, rows,
                      panel + k * PANEL_COLS + pieces[i].at);
        for (int64_t i = k; i < k + rows; i++)
            for (int64_t j = cols; j < PANEL_COLS; j++)
                panel[i * PANEL_COLS + j] = 0.0f;
    }
}

/* Row r of the product goes to channel r of every image. */
static void many_deal(const struct few *f, int64_t rows, const float *product)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < f->images; i++, product += f->places)
            strip_copy_few(f->c + i * f->c_image + r * f->places, product, f->places);
}

static void conv_many(const struct rdl__kernel_call *call, const struct rdl__k_conv *p)
{
    const struct few_sizes sizes = few_sizes(p);
    float *copies = (float *)call->scratch + rdl__k_conv_table_floats(sizes.depth);
    float *panels = copies + (p->copied ? p->tile_images * sizes.copy : 0);
    float *sums = panels + (p->tile_images * sizes.places + PANEL_COLS - 1) / PANEL_COLS *
                               PANEL_COLS * sizes.depth;
    int64_t gathered = -1; /* the images and the group that panels hold */
    few_table(p, call->scratch);
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        int64_t rows;
        struct few few = few_of(call, p, &sizes, (int64_t)t, &rows);
        const int64_t cols = few.images * few.places;
        if (gathered != (int64_t)t / p->row_tiles) {
            few_copy(&few, &sizes, copies);
            for (int64_t j = 0; j < cols; j += PANEL_COLS)
                many_panel(&few, j, cols - j < PANEL_COLS ? cols - j : PANEL_COLS,
                           panels + j * sizes.depth);
        }
        gathered = (int64_t)t / p->row_tiles;
        const struct product product = {
            .a = few.a,
            .packed = true,
            .b = panels,
            .b_row = PANEL_COLS,
            .b_panel = sizes.depth * PANEL_COLS,
            .c = sums,
            .c_row = cols,
            .init = few.bias,
            .init_row = 1,
            .init_splat = true,
            .act = &p->act,
            .rows = rows,
            .cols = cols,
            .depth = sizes.depth,
        };
        product_run(&product);
        many_deal(&few, rows, sums);
    }
}

#endif
