/*
 * Convolution of images of few output places: the channels of a packed block of weights lie in the
 * lanes, and the sums side by side are places, of one image or of several. Each sum is the same chain
 * as in the other forms.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_CONV_FEW_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_CONV_FEW_INC_H

#include "kernels/cpu/template/conv_read.inc.h"

/* Most places side by side. */
#define FEW_PLACES 5

/* Floats of a block of weights that are asked for ahead of their use: they pass once or a few times,
 * and the processor's own prefetch starts anew with each block. */
#define FEW_AHEAD 256

/* A tile: output channels by the places of some images. */
struct few {
    const int32_t *table;
    const float *a, *bias;    /* of its channels; bias may be NULL */
    const float *x;           /* planes of the first image, or their padded copies */
    float *c;                 /* its first output */
    int64_t x_image, c_image; /* floats between two images */
    int64_t depth, images, places;
    const struct rdl__k_conv *p;
};

/* Places side by side: where each is read and written. */
struct few_at {
    const float *in[FEW_PLACES];
    float *out[FEW_PLACES];
};

/* Stores a vector of mr channels, `step` floats from each to the next. */
static inline void few_store(float *c, int64_t step, vf v, int64_t mr)
{
    if (step == 1) {
        vf_store_first(c, v, mr);
        return;
    }
    float lanes[VF_LANES];
    vf_store(lanes, v);
    for (int64_t r = 0; r < mr; r++)
        c[r * step] = lanes[r];
}

/* n blocks of mr channels from channel r on, by np places; n and np are constants of each caller. */
static ALWAYS_INLINE void few_run(const int n, const int np, const struct few *f,
                                  const struct few_at *at, int64_t r, int64_t mr)
{
    vf acc[4][ACT_ROW];
    const float *a = f->a + r * f->depth, *in[FEW_PLACES];
    const int64_t block = mr * f->depth;
    UNROLL for (int p = 0; p < np; p++) in[p] = at->in[p];
    UNROLL for (int i = 0; i < n; i++)
    {
        const vf first = f->bias != NULL ? vf_load_first(f->bias + r + i * mr, mr) : vf_set1(0.0f);
        UNROLL for (int p = 0; p < np; p++) acc[i][p] = first;
    }
    for (int64_t k = 0; k < f->depth; k++, a += mr) {
        const int64_t offset = f->table[k];
        vf av[4];
        UNROLL for (int i = 0; i < n; i++)
        {
            __builtin_prefetch(a + i * block + FEW_AHEAD);
            av[i] = vf_load_first(a + i * block, mr);
        }
        UNROLL for (int p = 0; p < np; p++)
        {
            const vf b = vf_set1(in[p][offset]);
            UNROLL for (int i = 0; i < n; i++) acc[i][p] = vf_fma(av[i], b, acc[i][p]);
        }
    }
    act_apply(&f->p->act, n, np, acc);
    UNROLL for (int i = 0; i < n; i++)
    {
        UNROLL for (int p = 0; p < np; p++)
            few_store(at->out[p] + (r + i * mr) * f->places, f->places, acc[i][p], mr);
    }
}

typedef void (*few_fn)(const struct few *f, const struct few_at *at, int64_t r, int64_t mr);

/* X(places, blocks): blocks side by side for so many places; four sums or more hide the latency. */
#define FEW_LIST(X) X(1, 4) X(2, 4) X(3, 3) X(4, 2) X(5, 2)

#define FEW_DEFINE(np, n)                                                                          \
    static void few_##np(const struct few *f, const struct few_at *at, int64_t r, int64_t mr)      \
    {                                                                                              \
        few_run(n, np, f, at, r, mr);                                                              \
    }                                                                                              \
    static void few_##np##_single(const struct few *f, const struct few_at *at, int64_t r,         \
                                  int64_t mr)                                                      \
    {                                                                                              \
        few_run(1, np, f, at, r, mr);                                                              \
    }
FEW_LIST(FEW_DEFINE)
#undef FEW_DEFINE

static const struct {
    few_fn side, single; /* `blocks` blocks side by side; one */
    int64_t blocks;
} fews[FEW_PLACES + 1] = {
#define FEW_ENTRY(np, n) [np] = {few_##np, few_##np##_single, n},
    FEW_LIST(FEW_ENTRY)
#undef FEW_ENTRY
};

/* np places from place `first` on, counted through the images of the tile. */
static void few_at_set(const struct few *f, int64_t first, int64_t np, struct few_at *at)
{
    const struct rdl__k_window *w = &f->p->window;
    const int64_t *read = f->p->read;
    for (int64_t i = 0; i < np; i++) {
        const int64_t image = (first + i) / f->places, place = (first + i) % f->places;
        const int64_t x = place % w->out[2] * w->stride[2];
        const int64_t y = place / w->out[2] % w->out[1] * w->stride[1];
        const int64_t z = place / w->out[2] / w->out[1] * w->stride[0];
        at->in[i] = f->x + image * f->x_image + (z * read[1] + y) * read[2] + x;
        at->out[i] = f->c + image * f->c_image + place;
    }
}

/* `count` blocks of mr channels from channel r on: the weights of a few blocks stay near the units
 * while all places pass. */
static void few_blocks(const struct few *f, int64_t r, int64_t mr, int64_t count)
{
    const int64_t all = f->images * f->places;
    const int64_t most = all < FEW_PLACES ? all : FEW_PLACES;
    const int64_t side = fews[most].blocks;
    for (int64_t done = 0; done < count; done += side, r += side * mr) {
        const int64_t left = count - done < side ? count - done : side;
        for (int64_t first = 0; first < all; first += FEW_PLACES) {
            const int64_t np = all - first < FEW_PLACES ? all - first : FEW_PLACES;
            struct few_at at;
            few_at_set(f, first, np, &at);
            int64_t i = 0;
            for (; i + fews[np].blocks <= left; i += fews[np].blocks)
                fews[np].side(f, &at, r + i * mr, mr);
            for (; i < left; i++)
                fews[np].single(f, &at, r + i * mr, mr);
        }
    }
}

/* Where a column of output place 0 lies. */
static void few_table(const struct rdl__k_conv *p, int32_t *table)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t *read = p->read;
    int32_t *next = table;
    for (int64_t kz = 0; kz < w->kernel[0]; kz++)
        for (int64_t ky = 0; ky < w->kernel[1]; ky++)
            for (int64_t kx = 0; kx < w->kernel[2]; kx++)
                *next++ =
                    (int32_t)((kz * w->dilation[0] * read[1] + ky * w->dilation[1]) * read[2] +
                              kx * w->dilation[2]);
    conv_table_repeat(table, next - table, p->in_channels, (int32_t)(read[0] * read[1] * read[2]));
}

/* Padded copies of an image's planes. */
static void few_load(const struct rdl__k_conv *p, const float *x, float *dst)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t *read = p->read, plane = read[0] * read[1] * read[2];
    const int64_t reach = read[2] - w->pad[2]; /* columns past the padding that are seen */
    const int64_t cols = reach < w->in[2] ? reach : w->in[2];
    memset(dst, 0, (size_t)(p->in_channels * plane) * sizeof *dst);
    for (int64_t c = 0; c < p->in_channels; c++, dst += plane)
        for (int64_t z = 0; z < w->in[0]; z++)
            for (int64_t y = 0; y < w->in[1]; y++, x += w->in[2]) {
                const int64_t to_z = z + w->pad[0], to_y = y + w->pad[1];
                if (to_z < read[0] && to_y < read[1] && cols > 0)
                    strip_copy_few(dst + (to_z * read[1] + to_y) * read[2] + w->pad[2], x, cols);
            }
}

/* What all tiles of a convolution of few places share, in floats but for places and depth. */
struct few_sizes {
    int64_t places, depth;
    int64_t copy; /* a padded copy of one image's planes of a group */
    int64_t x_image, c_image;
    int64_t plane;
};

static struct few_sizes few_sizes(const struct rdl__k_conv *p)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t plane = w->in[0] * w->in[1] * w->in[2];
    const int64_t places = w->out[0] * w->out[1] * w->out[2];
    return (struct few_sizes){
        .places = places,
        .depth = p->in_channels * w->kernel[0] * w->kernel[1] * w->kernel[2],
        .copy = p->in_channels * p->read[0] * p->read[1] * p->read[2],
        .x_image = p->groups * p->in_channels * plane,
        .c_image = p->groups * p->out_channels * places,
        .plane = plane,
    };
}

/* Tile t of a call whose table is at the head of scratch: *rows output channels of some images, which are
 * read where they lie. Tiles of other channels of the same images follow one another. */
static struct few few_of(const struct rdl__kernel_call *call, const struct rdl__k_conv *p,
                         const struct few_sizes *s, int64_t t, int64_t *rows)
{
    const int64_t row = t % p->row_tiles * p->tile_rows;
    const int64_t group = t / p->row_tiles % p->groups;
    const int64_t image = t / p->row_tiles / p->groups * p->tile_images;
    const int64_t channel = group * p->out_channels + row;
    const float *bias = call->bind[2];
    *rows = p->out_channels - row < p->tile_rows ? p->out_channels - row : p->tile_rows;
    return (struct few){
        .table = call->scratch,
        .a = (const float *)call->bind[1] + channel * s->depth,
        .bias = bias != NULL ? bias + channel : NULL,
        .x = (const float *)call->bind[0] + image * s->x_image + group * p->in_channels * s->plane,
        .c = (float *)call->bind[3] + image * s->c_image + channel * s->places,
        .x_image = s->x_image,
        .c_image = s->c_image,
        .depth = s->depth,
        .images = p->batch - image < p->tile_images ? p->batch - image : p->tile_images,
        .places = s->places,
        .p = p,
    };
}

/* Has a tile read padded copies of its images, if windows reach out of them. */
static void few_copy(struct few *f, const struct few_sizes *s, float *copies)
{
    if (!f->p->copied)
        return;
    for (int64_t i = 0; i < f->images; i++)
        few_load(f->p, f->x + i * s->x_image, copies + i * s->copy);
    f->x = copies;
    f->x_image = s->copy;
}

static void conv_few(const struct rdl__kernel_call *call, const struct rdl__k_conv *p)
{
    const struct few_sizes sizes = few_sizes(p);
    float *copies = (float *)call->scratch + rdl__k_conv_table_floats(sizes.depth);
    few_table(p, call->scratch);
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        int64_t rows;
        struct few few = few_of(call, p, &sizes, (int64_t)t, &rows);
        few_copy(&few, &sizes, copies);
        const struct gemm_split s = gemm_split(rows, GEMM_MR);
        few_blocks(&few, 0, s.base + 1, s.more);
        few_blocks(&few, s.more * (s.base + 1), s.base, s.even);
    }
}

#endif
