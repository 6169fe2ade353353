/*
 * The parts of the convolution that every instruction set shares: packing and tiles. No state; any
 * thread.
 */
#include "kernels/conv.h"

#include "base/size.h"
#include "kernels/cpu/template/split.h"
#include "kernels/gemm.h"
#include "kernels/pool.h"

/* Multiply-adds of a tile, and the most output channels it takes. */
#define TILE_WORK (1 << 23)
#define TILE_ROWS 96
/* Bytes of gathered columns or padded rows that a tile likes to hold: a part of the second-level
 * cache, and of the first. */
#define GATHER_BYTES (384 << 10)
#define PADDED_BYTES (16 << 10)
/* Bytes of copied rows that a sliding tile likes to hold: half of a small second-level cache. */
#define SLAB_BYTES (256 << 10)
/* Copies that are larger than so many times what a tile likes are not made: columns are gathered. */
#define MOST_COPIES 4
/* Rows of a product that cost as much as gathering a row of its columns. */
#define GATHER_ROWS 8
/* Offsets into scratch or an image are 32 bits wide; most floats that one may reach over, and most
 * rows and columns that a sliding window does. */
#define MOST_OFFSET (1 << 30)
#define MOST_REACH (1 << 12)
/* A vector's worth of floats, of any instruction set. */
#define LANES_MAX 16

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Output channels of a tile: a matter of the weights alone, since they are packed by tile. */
static int64_t tile_rows(const struct rdl__k_gemm_blocks *blocks, int64_t channels)
{
    const int64_t rows = ceil_div(channels, ceil_div(channels, TILE_ROWS));
    return least(channels, ceil_div(rows, blocks->most) * blocks->most);
}

/* Packs one block of mr rows: [depth][mr]. */
static float *pack_block(float *dst, const float *weights, int64_t mr, int64_t depth)
{
    for (int64_t i = 0; i < depth; i++)
        for (int64_t r = 0; r < mr; r++)
            *dst++ = weights[r * depth + i];
    return dst;
}

static float *pack_rows(const struct rdl__k_gemm_blocks *blocks, float *dst, const float *weights,
                        int64_t rows, int64_t depth)
{
    const struct gemm_split s = gemm_split(rows, blocks->most);
    for (int64_t i = 0; i < s.more; i++, weights += (s.base + 1) * depth)
        dst = pack_block(dst, weights, s.base + 1, depth);
    for (int64_t i = 0; i < s.even; i++, weights += s.base * depth)
        dst = pack_block(dst, weights, s.base, depth);
    return dst;
}

void rdl__k_conv_pack(enum rdl__isa isa, float *dst, const float *weights, int64_t groups,
                      int64_t out_channels, int64_t depth)
{
    const struct rdl__k_gemm_blocks blocks = rdl__k_gemm_blocks(isa);
    const int64_t rows = tile_rows(&blocks, out_channels);
    for (int64_t g = 0; g < groups; g++)
        for (int64_t r = 0; r < out_channels; r += rows)
            dst = pack_rows(&blocks, dst, weights + (g * out_channels + r) * depth,
                            least(rows, out_channels - r), depth);
}

enum rdl_status rdl__k_conv_pack_f32(const struct rdl__kernel_call *call)
{
    const struct rdl__k_conv_pack_params *p = call->params;
    for (size_t g = call->tile_begin; g < call->tile_end; g++) {
        const int64_t at = (int64_t)g * p->out_channels * p->depth;
        rdl__k_conv_pack(p->isa, (float *)call->bind[1] + at, (const float *)call->bind[0] + at, 1,
                         p->out_channels, p->depth);
    }
    return RDL_OK;
}

static int64_t volume(const int64_t d[3])
{
    return d[0] * d[1] * d[2];
}

/* Whether a dimension is one place wide, in and out. */
static bool is_thin(const struct rdl__k_window *w, int d)
{
    return w->in[d] == 1 && w->out[d] == 1 && w->kernel[d] == 1 && w->pad[d] == 0;
}

/* Moves thin dimensions to the front: an image of one column is a row. Neither the elements' order nor
 * that of a sum changes, and the kernels run along the last dimension. */
static void turn_thin(struct rdl__k_window *w)
{
    for (int turns = 0; turns < 2 && is_thin(w, 2) && !(is_thin(w, 1) && is_thin(w, 0)); turns++) {
        int64_t *const lists[] = {w->in, w->out, w->kernel, w->stride, w->dilation, w->pad};
        for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
            const int64_t last = lists[i][2];
            lists[i][2] = lists[i][1];
            lists[i][1] = lists[i][0];
            lists[i][0] = last;
        }
    }
}

/* At most two dimensions. */
static bool is_flat(const struct rdl__k_window *w)
{
    return w->in[0] == 1 && w->out[0] == 1 && w->kernel[0] == 1 && w->pad[0] == 0;
}

/* Floats of scratch to bytes, with the table of `depth` offsets before them. */
static size_t table_and(int64_t depth, int64_t floats)
{
    return (size_t)(rdl__k_conv_table_floats(depth) + floats) * sizeof(float);
}

/* Whether a vector of output channels is fuller than one of output places: the blocks of channels
 * are not much lower than a vector is wide, and the image has few places. */
static bool wants_few(const struct rdl__k_gemm_blocks *blocks, const struct rdl__k_conv *p)
{
    const int64_t lanes = blocks->cols / 2, places = volume(p->window.out);
    return places < blocks->cols && p->out_channels * ceil_div(places, lanes) >=
                                        places * ceil_div(p->out_channels, blocks->most);
}

/* The padded size of an image where windows reach out of it, else its own. */
static void few_read(const struct rdl__k_window *w, struct rdl__k_conv *p)
{
    p->copied = false;
    for (int d = 0; d < 3; d++) {
        p->read[d] = (w->out[d] - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] + 1;
        p->copied = p->copied || w->pad[d] > 0 || p->read[d] > w->in[d];
    }
    for (int d = 0; d < 3 && !p->copied; d++)
        p->read[d] = w->in[d];
}

/* Floats of a padded copy of an image's planes of a group, after few_read; false if they are too many. */
static bool copy_floats(const struct rdl__k_conv *p, int64_t *floats)
{
    *floats = p->in_channels;
    for (int d = 0; d < 3; d++)
        if (!rdl__mul_dim(*floats, p->read[d], floats))
            return false;
    return *floats <= MOST_OFFSET;
}

/* Tiles of at most `most` images, or of one; all alike but the last. */
static void set_images(struct rdl__k_conv *p, int64_t most)
{
    p->image_tiles = ceil_div(p->batch, least(most < 1 ? 1 : most, p->batch));
    p->tile_images = ceil_div(p->batch, p->image_tiles);
    p->image_tiles = ceil_div(p->batch, p->tile_images);
}

/* Whether the columns of all images make fuller vectors than channels do, and than places do. */
static bool wants_many(const struct rdl__k_gemm_blocks *blocks, const struct rdl__k_conv *p)
{
    const int64_t lanes = blocks->cols / 2, places = volume(p->window.out);
    const int64_t columns = p->batch * places;
    const int64_t many = ceil_div(columns, lanes) * (p->tile_rows + GATHER_ROWS);
    return places < blocks->cols && many < columns * ceil_div(p->tile_rows, blocks->most) &&
           many < p->batch * ceil_div(places, lanes) * p->tile_rows;
}

/* As many images a tile as its work and its panels allow. */
static bool plan_many(const struct rdl__k_gemm_blocks *blocks, struct rdl__k_conv *p,
                      size_t *scratch_bytes)
{
    const int64_t places = volume(p->window.out);
    const int64_t depth = p->in_channels * volume(p->window.kernel);
    int64_t copy;
    if (!wants_many(blocks, p) || depth > MOST_OFFSET / blocks->cols)
        return false;
    few_read(&p->window, p);
    const int64_t panel = depth * blocks->cols, likes = GATHER_BYTES / (int64_t)sizeof(float);
    if (!copy_floats(p, &copy) || panel > MOST_COPIES * likes)
        return false;
    copy = p->copied ? copy : 0;
    int64_t columns = least(likes / panel * blocks->cols, TILE_WORK / (depth * p->tile_rows));
    columns = columns < blocks->cols ? blocks->cols : columns;
    set_images(p, columns / places);
    if (copy * p->tile_images > MOST_COPIES * likes)
        return false;
    const int64_t panels = ceil_div(p->tile_images * places, blocks->cols);
    p->form = RDL__K_CONV_MANY;
    *scratch_bytes =
        table_and(depth, p->tile_images * (copy + p->tile_rows * places) + panels * panel);
    return true;
}

/* As many images a tile as its work and its copies allow. */
static bool plan_few(const struct rdl__k_gemm_blocks *blocks, struct rdl__k_conv *p,
                     size_t *scratch_bytes)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t depth = p->in_channels * volume(w->kernel);
    if (!wants_few(blocks, p))
        return false;
    few_read(w, p);
    int64_t floats;
    if (!copy_floats(p, &floats) || depth > MOST_OFFSET)
        return false;
    const int64_t bytes = p->copied ? floats * (int64_t)sizeof(float) : 1;
    if (bytes > MOST_COPIES * GATHER_BYTES)
        return false;
    set_images(p, least(GATHER_BYTES / bytes, TILE_WORK / (depth * p->tile_rows * volume(w->out))));
    p->form = RDL__K_CONV_FEW;
    *scratch_bytes = table_and(depth, p->copied ? p->tile_images * floats : 0);
    return true;
}

/* Floats of the copied rows that `rows` output rows of `cols` columns see. */
static int64_t slab_floats(const struct rdl__k_conv *p, int64_t part, int64_t rows)
{
    return p->in_channels * rdl__k_conv_slab_rows(&p->window, rows) * part * p->window.stride[2];
}

static int64_t slab_part(const struct rdl__k_window *w, int64_t lanes, int64_t cols)
{
    return ceil_div(cols, lanes) * lanes + (w->kernel[2] - 1) * w->dilation[2] / w->stride[2] + 1;
}

/* Whether rows of whole vectors cost less than gathering does: a row of a gathered panel takes as long
 * as GATHER_ROWS rows of the product with it. */
static bool wants_slide(const struct rdl__k_gemm_blocks *blocks, const struct rdl__k_conv *p)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t lanes = blocks->cols / 2;
    const int64_t own = w->out[1] * ceil_div(w->out[2], lanes);
    const int64_t gathered = ceil_div(w->out[1] * w->out[2], lanes);
    const int64_t reach = (w->kernel[2] - 1) * w->dilation[2] + 1;
    return is_flat(w) && volume(w->kernel) * w->stride[1] * w->stride[2] > 1 &&
           reach < MOST_REACH && (w->kernel[1] - 1) * w->dilation[1] < MOST_REACH &&
           w->stride[1] < MOST_REACH && w->stride[2] <= w->kernel[2] &&
           own * p->tile_rows <= gathered * (p->tile_rows + GATHER_ROWS);
}

/* Rows of the whole width if a few fit, else pieces of one row. */
static bool plan_slide(const struct rdl__k_gemm_blocks *blocks, struct rdl__k_conv *p,
                       size_t *scratch_bytes)
{
    const struct rdl__k_window *w = &p->window;
    const int64_t lanes = blocks->cols / 2, depth = p->in_channels * volume(w->kernel);
    if (!wants_slide(blocks, p) || p->in_channels > MOST_OFFSET / MOST_REACH)
        return false;
    const int64_t column = depth * p->tile_rows; /* multiply-adds of an output place */
    const int64_t room = SLAB_BYTES / (int64_t)sizeof(float);
    const int64_t row = slab_floats(p, 1, 1);
    int64_t cols = least(TILE_WORK / column, room / row);
    cols = least(cols, w->out[2]);
    if (cols < w->out[2])
        cols = ceil_div(w->out[2], ceil_div(w->out[2], cols < 1 ? 1 : cols));
    cols = least(ceil_div(cols, blocks->cols) * blocks->cols, w->out[2]);
    const int64_t part = slab_part(w, lanes, cols);
    if (slab_floats(p, part, 1) > MOST_COPIES * room)
        return false;
    int64_t rows = 1;
    while (rows < w->out[1] && cols == w->out[2] && (rows + 1) * cols * column <= TILE_WORK &&
           slab_floats(p, part, rows + 1) <= room)
        rows++;
    rows = ceil_div(w->out[1], ceil_div(w->out[1], rows));
    p->form = RDL__K_CONV_SLIDE;
    p->tile_cols = cols;
    p->col_tiles = ceil_div(w->out[2], cols);
    p->strips = (struct rdl__k_strips){rows, ceil_div(w->out[1], rows), part};
    *scratch_bytes = table_and(depth, slab_floats(p, part, rows));
    return true;
}

static bool plan_columns(const struct rdl__k_gemm_blocks *blocks, struct rdl__k_conv *p,
                         size_t *scratch_bytes)
{
    const int64_t depth = p->in_channels * volume(p->window.kernel);
    const int64_t places = volume(p->window.out);
    const int64_t panel = (depth > 0 ? depth : 1) * blocks->cols; /* floats of a gathered panel */
    int64_t panels = TILE_WORK / (panel * p->tile_rows);
    panels = least(panels, GATHER_BYTES / (panel * (int64_t)sizeof(float)));
    panels = least(panels < 1 ? 1 : panels, ceil_div(places, blocks->cols));
    p->form = RDL__K_CONV_COLUMNS;
    p->tile_cols = panels * blocks->cols;
    p->col_tiles = ceil_div(places, p->tile_cols);
    size_t floats;
    return rdl__mul_size((size_t)panel, (size_t)panels, &floats) &&
           rdl__mul_size(floats, sizeof(float), scratch_bytes);
}

size_t rdl__k_conv_plan(enum rdl__isa isa, struct rdl__k_conv *p, size_t *scratch_bytes)
{
    turn_thin(&p->window);
    const struct rdl__k_gemm_blocks blocks = rdl__k_gemm_blocks(isa);
    p->tile_rows = tile_rows(&blocks, p->out_channels);
    p->row_tiles = ceil_div(p->out_channels, p->tile_rows);
    size_t tiles, matrices;
    const bool some = p->in_channels > 0 && p->out_channels > 0;
    if (some && (plan_many(&blocks, p, scratch_bytes) || plan_few(&blocks, p, scratch_bytes)))
        return (size_t)(p->image_tiles * p->groups * p->row_tiles);
    if ((!some || !plan_slide(&blocks, p, scratch_bytes)) &&
        !plan_columns(&blocks, p, scratch_bytes))
        return 0;
    const int64_t strips = p->form == RDL__K_CONV_SLIDE ? p->strips.count : 1;
    if (!rdl__mul_size((size_t)(p->batch * p->groups), (size_t)strips, &matrices) ||
        !rdl__mul_size(matrices, (size_t)(p->row_tiles * p->col_tiles), &tiles))
        return 0;
    return tiles;
}

bool rdl__k_strips_plan(const struct rdl__k_window *w, struct rdl__k_strips *strips,
                        size_t *scratch_bytes)
{
    strips->part = ceil_div(w->out[2], LANES_MAX) * LANES_MAX +
                   (w->kernel[2] - 1) * w->dilation[2] / w->stride[2] + 1;
    const int64_t span = (w->kernel[1] - 1) * w->dilation[1] + 1; /* rows of one output row */
    size_t row, floats, rows;
    if (!rdl__mul_size((size_t)strips->part, (size_t)w->stride[2], &row) ||
        !rdl__mul_size(row, sizeof(float), &row))
        return false;
    const int64_t room = PADDED_BYTES / (int64_t)row;
    strips->rows = least(room <= span ? 1 : 1 + (room - span) / w->stride[1], w->out[1]);
    strips->count = ceil_div(w->out[1], strips->rows);
    if (!rdl__mul_size((size_t)(strips->rows - 1), (size_t)w->stride[1], &rows) ||
        !rdl__add_size(rows, (size_t)span, &rows) || !rdl__mul_size(rows, row, &floats))
        return false;
    *scratch_bytes = floats;
    return true;
}

bool rdl__k_depthwise_takes(const struct rdl__k_conv *p)
{
    return p->in_channels == 1 && is_flat(&p->window);
}

size_t rdl__k_depthwise_plan(struct rdl__k_conv *p, size_t *scratch_bytes)
{
    size_t tiles;
    turn_thin(&p->window);
    if (!rdl__k_strips_plan(&p->window, &p->strips, scratch_bytes) ||
        !rdl__mul_size((size_t)(p->batch * p->groups), (size_t)p->strips.count, &tiles))
        return 0;
    return tiles;
}

bool rdl__k_pool_f32_takes(const struct rdl__k_pool *p)
{
    return p->kind == RDL__K_POOL_MAX && is_flat(&p->window);
}

size_t rdl__k_pool_f32_plan(struct rdl__k_pool *p, size_t *scratch_bytes)
{
    size_t tiles;
    if (!rdl__k_strips_plan(&p->window, &p->strips, scratch_bytes) ||
        !rdl__mul_size((size_t)p->planes, (size_t)p->strips.count, &tiles))
        return 0;
    return tiles;
}
