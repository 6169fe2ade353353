/*
 * Reading images at given places. No state; any thread.
 */
#include "kernels/sample.h"

#include "kernels/cpu/ref/types.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* ------------------------------------------------------------------------------------ grid sample */

#define MOST_TAPS 4
#define MOST_POINTS (MOST_TAPS * MOST_TAPS * MOST_TAPS)
#define FAR 1e9

size_t rdl__k_grid_sample_plan(struct rdl__k_grid_sample *p)
{
    const int64_t work = p->channels * (int64_t)(p->n * p->taps * p->taps);
    p->tile_points = work < 4096 ? 4096 / (work + 1) + 1 : 1;
    const int64_t points = p->batch * p->points;
    return (size_t)((points + p->tile_points - 1) / p->tile_points);
}

static double bounded(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* value mirrored at the borders until it lies between them. */
static double mirrored(double value, double low, double high)
{
    const double range = high - low;
    if (!(range > 0))
        return low;
    const double beyond = value < low ? low - value : value - high;
    if (beyond <= 0)
        return value;
    const double turns = floor(beyond / range), rest = beyond - turns * range;
    const bool even = fmod(turns, 2) == 0;
    return (value < low) == even ? low + rest : high - rest;
}

/* The pixel that stands for pixel i of n; -1: zero. */
static int64_t pixel(const struct rdl__k_grid_sample *p, double i, int64_t n)
{
    const double last = (double)(n - 1), edge = p->align_corners ? 0 : 0.5;
    if (p->padding == RDL__K_SAMPLE_ZEROS && (i < 0 || i > last))
        return -1;
    if (p->padding == RDL__K_SAMPLE_REFLECTION)
        i = trunc(mirrored(i, -edge, last + edge));
    return (int64_t)bounded(i, 0, last);
}

/* Pixels and weights of one dimension for a coordinate in [-1, 1]. */
static void taps_of(const struct rdl__k_grid_sample *p, double at, int64_t n, int64_t *pixels,
                    double *weights)
{
    const double last = (double)(n - 1), edge = p->align_corners ? 0 : 0.5;
    double x = p->align_corners ? (at + 1) / 2 * last : ((at + 1) * (double)n - 1) / 2;
    x = x < FAR ? x > -FAR ? x : -FAR : x >= FAR ? FAR : -FAR; /* NaN is far before */
    x = p->dtype == RDL_F32 ? (double)(float)x : x;
    x = p->taps == 1 ? rint(x) : x;
    if (x < -edge || x > last + edge) {
        if (p->padding == RDL__K_SAMPLE_BORDER)
            x = bounded(x, 0, last);
        else if (p->padding == RDL__K_SAMPLE_REFLECTION)
            x = mirrored(x, -edge, last + edge);
    }
    const double low = p->taps == 1 ? trunc(x) : floor(x), a = -0.75, t = x - low, u = 1 - t;
    const double first = p->taps == 4 ? low - 1 : low;
    for (int32_t k = 0; k < p->taps; k++)
        pixels[k] = pixel(p, first + k, n);
    weights[0] = p->taps == 2 ? u : 1;
    weights[1] = t;
    if (p->taps != 4)
        return;
    weights[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    weights[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    weights[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
    weights[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

/* Elements of a plane and weights that make up one point; returns their number. coordinates [n]. */
static int combine(const struct rdl__k_grid_sample *p, const double *coordinates, int64_t *places,
                   double *weights)
{
    int count = 1;
    places[0] = 0;
    weights[0] = 1;
    for (int32_t d = 0; d < p->n; d++) {
        int64_t pixels[MOST_TAPS], old[MOST_POINTS];
        double own[MOST_TAPS], before[MOST_POINTS];
        int more = 0;
        taps_of(p, coordinates[p->n - 1 - d], p->in[d], pixels, own);
        for (int i = 0; i < count; i++) {
            old[i] = places[i];
            before[i] = weights[i];
        }
        for (int i = 0; i < count; i++)
            for (int32_t k = 0; k < p->taps; k++)
                if (pixels[k] >= 0) {
                    places[more] = old[i] * p->in[d] + pixels[k];
                    weights[more++] = before[i] * own[k];
                }
        count = more;
    }
    return count;
}

#define GRID_SAMPLE(dtype, type)                                                                   \
    static void points_##dtype(const struct rdl__k_grid_sample *p, const type *x,                  \
                               const type *grid, type *y, int64_t at, int64_t end)                 \
    {                                                                                              \
        int64_t plane = 1, places[MOST_POINTS];                                                    \
        double weights[MOST_POINTS], coordinates[RDL__K_SAMPLE_DIMS];                              \
        for (int32_t d = 0; d < p->n; d++)                                                         \
            plane *= p->in[d];                                                                     \
        for (int64_t i = at; i < end; i++) {                                                       \
            const int64_t b = i / p->points, point = i % p->points;                                \
            for (int32_t d = 0; d < p->n; d++)                                                     \
                coordinates[d] = (double)grid[i * p->n + d];                                       \
            const int count = combine(p, coordinates, places, weights);                            \
            for (int64_t c = 0; c < p->channels; c++) {                                            \
                const type *from = x + (b * p->channels + c) * plane;                              \
                double sum = 0;                                                                    \
                for (int k = 0; k < count; k++)                                                    \
                    sum += weights[k] * (double)from[places[k]];                                   \
                y[(b * p->channels + c) * p->points + point] = (type)sum;                          \
            }                                                                                      \
        }                                                                                          \
    }
GRID_SAMPLE(f32, float)
GRID_SAMPLE(f64, double)

enum rdl_status rdl__k_grid_sample(const struct rdl__kernel_call *call)
{
    const struct rdl__k_grid_sample *p = call->params;
    const int64_t at = (int64_t)call->tile_begin * p->tile_points, points = p->batch * p->points;
    int64_t end = (int64_t)call->tile_end * p->tile_points;
    end = end < points ? end : points;
    if (p->dtype == RDL_F32)
        points_f32(p, call->bind[0], call->bind[1], call->bind[2], at, end);
    else
        points_f64(p, call->bind[0], call->bind[1], call->bind[2], at, end);
    return RDL_OK;
}

/* -------------------------------------------------------------------------------------- roi align */

/* One side of a region: where its bins begin, how long one is, and samples a bin. */
struct side {
    double begin, bin;
    int64_t grid;
};

static bool side_of(const struct rdl__k_roi_align *p, double from, double to, int64_t bins,
                    struct side *side)
{
    const double offset = p->half_pixel ? 0.5 : 0;
    double length = (to - from) * p->scale;
    if (!p->half_pixel && length < 1)
        length = 1;
    side->begin = from * p->scale - offset;
    side->bin = length / (double)bins;
    const double grid = p->ratio > 0 ? (double)p->ratio : ceil(side->bin);
    if (!(side->begin > -FAR && side->begin < FAR && grid <= RDL__K_ROI_GRID_MOST))
        return false;
    side->grid = grid > 0 ? (int64_t)grid : 0;
    return true;
}

/* The two pixels that a coordinate lies between and the weight of the second; false if outside. */
static bool between(double at, int64_t n, int64_t pixels[2], double *weight)
{
    if (at < -1 || at > (double)n)
        return false;
    at = at > 0 ? at : 0;
    pixels[0] = (int64_t)at;
    pixels[1] = pixels[0] + 1;
    *weight = at - (double)pixels[0];
    if (pixels[0] >= n - 1) {
        pixels[0] = pixels[1] = n - 1;
        *weight = 0;
    }
    return true;
}

/* One sample of the plane; for max the largest of its four weighted pixels, as ONNX has it. */
#define ROI_SAMPLE(dtype, type)                                                                    \
    static double roi_sample_##dtype(const struct rdl__k_roi_align *p, const void *vplane,         \
                                     double y, double x)                                           \
    {                                                                                              \
        const type *plane = vplane;                                                                \
        int64_t ys[2] = {0, 0}, xs[2] = {0, 0};                                                    \
        double wy = 0, wx = 0, sum = 0, most = -HUGE_VAL;                                          \
        if (!between(y, p->height, ys, &wy) || !between(x, p->width, xs, &wx))                     \
            return 0;                                                                              \
        for (int i = 0; i < 4; i++) {                                                              \
            const double w = (i / 2 != 0 ? wy : 1 - wy) * (i % 2 != 0 ? wx : 1 - wx);              \
            const double part = w * (double)plane[ys[i / 2] * p->width + xs[i % 2]];               \
            sum += part;                                                                           \
            most = part > most ? part : most;                                                      \
        }                                                                                          \
        return p->max ? most : sum;                                                                \
    }
ROI_SAMPLE(f32, float)
ROI_SAMPLE(f64, double)

static double roi_bin(const struct rdl__k_roi_align *p, const void *plane, const struct side *h,
                      const struct side *w, int64_t row, int64_t col)
{
    double sum = 0, most = -HUGE_VAL;
    for (int64_t iy = 0; iy < h->grid; iy++) {
        const double y =
            h->begin + (double)row * h->bin + ((double)iy + 0.5) * h->bin / (double)h->grid;
        for (int64_t ix = 0; ix < w->grid; ix++) {
            const double x =
                w->begin + (double)col * w->bin + ((double)ix + 0.5) * w->bin / (double)w->grid;
            const double sample = p->dtype == RDL_F32 ? roi_sample_f32(p, plane, y, x)
                                                      : roi_sample_f64(p, plane, y, x);
            sum += sample;
            most = sample > most ? sample : most;
        }
    }
    const int64_t count = h->grid * w->grid;
    return count == 0 ? 0 : p->max ? most : sum / (double)count;
}

static double number_at(enum rdl_dtype dtype, const void *x, int64_t i)
{
    return dtype == RDL_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

enum rdl_status rdl__k_roi_align(const struct rdl__kernel_call *call)
{
    const struct rdl__k_roi_align *p = call->params;
    const int64_t size = (int64_t)rdl_dtype_size(p->dtype), area = p->height * p->width;
    for (int64_t t = (int64_t)call->tile_begin; t < (int64_t)call->tile_end; t++) {
        const int64_t r = t / p->channels, c = t % p->channels;
        const int64_t b = ((const int64_t *)call->bind[2])[r];
        double roi[4];
        struct side h, w;
        for (int i = 0; i < 4; i++)
            roi[i] = number_at(p->dtype, call->bind[1], r * 4 + i);
        if (b < 0 || b >= p->batch || !side_of(p, roi[0], roi[2], p->out_width, &w) ||
            !side_of(p, roi[1], roi[3], p->out_height, &h))
            return RDL_ERR_RUNTIME;
        const char *plane = (const char *)call->bind[0] + (b * p->channels + c) * area * size;
        for (int64_t i = 0; i < p->out_height * p->out_width; i++) {
            const double value = roi_bin(p, plane, &h, &w, i / p->out_width, i % p->out_width);
            const int64_t at = t * p->out_height * p->out_width + i;
            if (p->dtype == RDL_F32)
                ((float *)call->bind[3])[at] = (float)value;
            else
                ((double *)call->bind[3])[at] = value;
        }
    }
    return RDL_OK;
}

/* ----------------------------------------------------------------------------------- affine grid */

/* Places of a tile. */
#define TILE_POINTS 8192

size_t rdl__k_affine_grid_plan(struct rdl__k_affine_grid *params)
{
    params->points = 1;
    for (int32_t d = 0; d < params->n; d++)
        params->points *= params->sizes[d];
    params->tile_points = TILE_POINTS;
    params->tiles = (params->points + TILE_POINTS - 1) / TILE_POINTS;
    return (size_t)(params->batch * params->tiles);
}

/* The places of a point, the last dimension's first, and a 1 behind them. */
static void place_point(const struct rdl__k_affine_grid *p, int64_t point,
                        double at[RDL__K_SAMPLE_DIMS + 1])
{
    for (int32_t d = p->n - 1; d >= 0; d--) {
        const double i = (double)(point % p->sizes[d]), size = (double)p->sizes[d];
        point /= p->sizes[d];
        at[p->n - 1 - d] = !p->align_corners ? (2 * i + 1) / size - 1
                           : size > 1        ? 2 * i / (size - 1) - 1
                                             : -1;
    }
    at[p->n] = 1;
}

enum rdl_status rdl__k_affine_grid(const struct rdl__kernel_call *call)
{
    const struct rdl__k_affine_grid *p = call->params;
    for (int64_t t = (int64_t)call->tile_begin; t < (int64_t)call->tile_end; t++) {
        const int64_t image = t / p->tiles, first = t % p->tiles * p->tile_points;
        const int64_t end = first + p->tile_points < p->points ? first + p->tile_points : p->points;
        for (int64_t i = first; i < end; i++) {
            double at[RDL__K_SAMPLE_DIMS + 1];
            place_point(p, i, at);
            for (int64_t row = image * p->n; row < (image + 1) * p->n; row++) {
                const int64_t o = (image * p->points + i) * p->n + row % p->n;
                double sum = 0;
                for (int32_t k = 0; k <= p->n; k++)
                    sum += number_at(p->dtype, call->bind[0], row * (p->n + 1) + k) * at[k];
                if (p->dtype == RDL_F32)
                    ((float *)call->bind[1])[o] = (float)sum;
                else
                    ((double *)call->bind[1])[o] = sum;
            }
        }
    }
    return RDL_OK;
}

/* ---------------------------------------------------------------------------------- max roi pool */

/* The pixels of bin i of n along one side of a region, which spans [low, high] of `size` pixels. The
 * bins are cut in the numbers of the operator's own type. */
#define BIN_OF(dtype, type)                                                                        \
    static void bin_of_##dtype(double low, double high, int64_t size, int64_t i, int64_t n,        \
                               int64_t *begin, int64_t *end)                                       \
    {                                                                                              \
        const type span = (type)(high - low + 1 > 1 ? high - low + 1 : 1);                         \
        const type bin = span / (type)n;                                                           \
        const double from = low + floor((double)((type)i * bin));                                  \
        const double to = low + ceil((double)((type)(i + 1) * bin));                               \
        *begin = from<0 ? 0 : from>(double) size ? size : (int64_t)from;                           \
        *end = to<0 ? 0 : to>(double) size ? size : (int64_t)to;                                   \
    }
REF_FLOATS(BIN_OF)

#define MAX_ROI_BIN(dtype, type)                                                                   \
    static void max_roi_##dtype(const struct rdl__k_max_roi_pool *p, const void *image,            \
                                const double side[4], void *out)                                   \
    {                                                                                              \
        const type *x = image;                                                                     \
        type *y = out;                                                                             \
        for (int64_t i = 0; i < p->out_height * p->out_width; i++) {                               \
            int64_t top, bottom, left, right;                                                      \
            bin_of_##dtype(side[1], side[3], p->height, i / p->out_width, p->out_height, &top,     \
                           &bottom);                                                               \
            bin_of_##dtype(side[0], side[2], p->width, i % p->out_width, p->out_width, &left,      \
                           &right);                                                                \
            bool any = false;                                                                      \
            y[i] = 0;                                                                              \
            for (int64_t h = top; h < bottom; h++)                                                 \
                for (int64_t w = left; w < right; w++) {                                           \
                    const type pixel = x[h * p->width + w];                                        \
                    y[i] = !any || pixel > y[i] ? pixel : y[i];                                    \
                    any = true;                                                                    \
                }                                                                                  \
        }                                                                                          \
    }
REF_FLOATS(MAX_ROI_BIN)

enum rdl_status rdl__k_max_roi_pool(const struct rdl__kernel_call *call)
{
    const struct rdl__k_max_roi_pool *p = call->params;
    const int64_t size = (int64_t)rdl_dtype_size(p->dtype);
    for (int64_t t = (int64_t)call->tile_begin; t < (int64_t)call->tile_end; t++) {
        const int64_t r = t / p->channels, c = t % p->channels;
        const double batch = number_at(p->dtype, call->bind[1], r * 5);
        double side[4];
        if (!(batch >= 0 && batch < (double)p->batch))
            return RDL_ERR_RUNTIME;
        for (int i = 0; i < 4; i++) {
            const double at = number_at(p->dtype, call->bind[1], r * 5 + 1 + i) * p->scale;
            side[i] = round(p->dtype == RDL_F32 ? (double)(float)at : at);
            if (!(fabs(side[i]) < 0x1p40))
                return RDL_ERR_RUNTIME;
        }
        const int64_t plane = ((int64_t)batch * p->channels + c) * p->height * p->width;
        const char *x = (const char *)call->bind[0] + plane * size;
        char *y = (char *)call->bind[2] + t * p->out_height * p->out_width * size;
        if (p->dtype == RDL_F32)
            max_roi_F32(p, x, side, y);
        else
            max_roi_F64(p, x, side, y);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
