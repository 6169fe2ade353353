/*
 * Reference kernels of quantised tensors: one element after another. No state; any thread.
 */
#include "kernels/quantize.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

/* Elements of a tile. */
#define TILE_ELEMS 16384

/* X(DTYPE, C type, smallest, largest) */
#define INTEGERS(X)                                                                                \
    X(I8, int8_t, -128, 127)                                                                       \
    X(U8, uint8_t, 0, 255) X(I16, int16_t, -32768, 32767) X(U16, uint16_t, 0, 65535)

bool rdl__k_quantize_takes(enum rdl_dtype dtype)
{
    return dtype == RDL_I8 || dtype == RDL_U8 || dtype == RDL_I16 || dtype == RDL_U16;
}

/* Element i of integers of any dtype here; 0 if there are none. */
static int32_t load(enum rdl_dtype dtype, const void *from, int64_t i)
{
    if (from == NULL)
        return 0;
    switch (dtype) {
#define LOAD(name, type, low, high)                                                                \
    case RDL_##name:                                                                               \
        return ((const type *)from)[i];
        INTEGERS(LOAD)
#undef LOAD
    default:
        return ((const int32_t *)from)[i];
    }
}

/* Stores value, rounded, plus zero. */
static void store(enum rdl_dtype dtype, void *to, int64_t i, double value, int32_t zero)
{
    double q = nearbyint(value) + (double)zero;
    q = q == q ? q : (double)zero;
    switch (dtype) {
#define STORE(name, type, low, high)                                                               \
    case RDL_##name:                                                                               \
        ((type *)to)[i] = (type)(q<(low) ? (low) : q>(high) ? (high) : q);                         \
        return;
        INTEGERS(STORE)
#undef STORE
    default:
        return;
    }
}

size_t rdl__k_quantize_plan(struct rdl__k_quantize *p)
{
    p->tile_elems = TILE_ELEMS;
    return (size_t)((p->outer * p->axis * p->inner + TILE_ELEMS - 1) / TILE_ELEMS);
}

static int64_t scale_of(const struct rdl__k_quantize *p, int64_t element)
{
    const int64_t i = element % p->inner, a = element / p->inner % p->axis;
    const int64_t o = element / p->inner / p->axis;
    return o * p->scale_outer + a / p->block * p->scale_axis + i * p->scale_inner;
}

/* The elements of a tile range. */
static int64_t range_end(const struct rdl__k_quantize *p, const struct rdl__kernel_call *call)
{
    const int64_t end = (int64_t)call->tile_end * p->tile_elems;
    const int64_t count = p->outer * p->axis * p->inner;
    return end < count ? end : count;
}

enum rdl_status rdl__k_quantize(const struct rdl__kernel_call *call)
{
    const struct rdl__k_quantize *p = call->params;
    const float *scale = call->bind[1];
    const int64_t end = range_end(p, call);
    for (int64_t i = (int64_t)call->tile_begin * p->tile_elems; i < end; i++) {
        const int64_t s = scale_of(p, i);
        const float x = p->from_integer ? (float)((const int32_t *)call->bind[0])[i]
                                        : ((const float *)call->bind[0])[i];
        store(p->integer, call->bind[3], i, (double)(x / scale[s]),
              load(p->integer, call->bind[2], s));
    }
    return RDL_OK;
}

enum rdl_status rdl__k_dequantize(const struct rdl__kernel_call *call)
{
    const struct rdl__k_quantize *p = call->params;
    const float *scale = call->bind[1];
    const int64_t end = range_end(p, call);
    for (int64_t i = (int64_t)call->tile_begin * p->tile_elems; i < end; i++) {
        const int64_t s = scale_of(p, i);
        const int64_t q = (int64_t)load(p->integer, call->bind[0], i) -
                          (int64_t)load(p->integer, call->bind[2], s);
        ((float *)call->bind[3])[i] = (float)q * scale[s];
    }
    return RDL_OK;
}

/* Elements of a part of a range. */
#define RANGE_ELEMS 65536

size_t rdl__k_quantize_range_plan(struct rdl__k_quantize_range *params, int64_t count)
{
    params->count = count;
    params->tile_elems = RANGE_ELEMS;
    params->parts = (count + RANGE_ELEMS - 1) / RANGE_ELEMS;
    return (size_t)params->parts;
}

enum rdl_status rdl__k_quantize_range(const struct rdl__kernel_call *call)
{
    const struct rdl__k_quantize_range *p = call->params;
    for (int64_t t = (int64_t)call->tile_begin; t < (int64_t)call->tile_end; t++) {
        const float *x = (const float *)call->bind[0] + t * p->tile_elems;
        const int64_t left = p->count - t * p->tile_elems;
        const int64_t n = left < p->tile_elems ? left : p->tile_elems;
        float low = 0.0f, high = 0.0f;
        for (int64_t i = 0; i < n; i++) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
        ((float *)call->bind[1])[2 * t] = low;
        ((float *)call->bind[1])[2 * t + 1] = high;
    }
    return RDL_OK;
}

enum rdl_status rdl__k_quantize_scale(const struct rdl__kernel_call *call)
{
    const struct rdl__k_quantize_range *p = call->params;
    const float *ranges = call->bind[0];
    float low = 0.0f, high = 0.0f;
    for (int64_t i = 0; i < p->parts; i++) {
        low = ranges[2 * i] < low ? ranges[2 * i] : low;
        high = ranges[2 * i + 1] > high ? ranges[2 * i + 1] : high;
    }
    const float scale = high > low ? (high - low) / 255.0f : 1.0f;
    *(float *)call->bind[1] = scale;
    store(RDL_U8, call->bind[2], 0, (double)(-low / scale), 0);
    return RDL_OK;
}

/* Element i of y from a sum, with numbers `row` of A's and `col` of B's scales. */
static void finish(const struct rdl__k_quantized *q, void *const *bind, int64_t i, uint32_t sum,
                   int64_t row, int64_t col)
{
    if (!q->scaled) {
        ((uint32_t *)bind[RDL__K_QUANTIZED_Y])[i] = sum;
        return;
    }
    const float *a = bind[RDL__K_QUANTIZED_A_SCALE], *b = bind[RDL__K_QUANTIZED_B_SCALE];
    const float *y = bind[RDL__K_QUANTIZED_Y_SCALE];
    const float scale = a[row * q->a_scale_step] * b[col * q->b_scale_step] / *y;
    const float value = (float)(int32_t)sum * scale;
    store(q->y, bind[RDL__K_QUANTIZED_Y], i, (double)value,
          load(q->y, bind[RDL__K_QUANTIZED_Y_ZERO], 0));
}

size_t rdl__k_matmul_quantized_tiles(const struct rdl__k_matmul_quantized *p)
{
    return (size_t)((p->batch.rank > 0 ? p->batch.count : 1) * p->m);
}

static void matmul_row(const struct rdl__k_matmul_quantized *p, void *const *bind, int64_t tile)
{
    const struct rdl__k_quantized *q = &p->q;
    const int64_t row = tile % p->m;
    int64_t matrix = tile / p->m, a = row * p->k, b = 0;
    for (int32_t i = p->batch.rank - 1; i >= 0; i--) {
        const int64_t index = matrix % p->batch.dims[i];
        matrix /= p->batch.dims[i];
        a += index * p->batch.a_stride[i];
        b += index * p->batch.b_stride[i];
    }
    const int32_t a_zero = load(q->a, bind[RDL__K_QUANTIZED_A_ZERO], row * q->a_zero_step);
    for (int64_t j = 0; j < p->n; j++) {
        const int32_t b_zero = load(q->b, bind[RDL__K_QUANTIZED_B_ZERO], j * q->b_zero_step);
        uint32_t sum = 0;
        for (int64_t i = 0; i < p->k; i++)
            sum += (uint32_t)((load(q->a, bind[RDL__K_QUANTIZED_A], a + i) - a_zero) *
                              (load(q->b, bind[RDL__K_QUANTIZED_B], b + i * p->n + j) - b_zero));
        finish(q, bind, tile * p->n + j, sum, row, j);
    }
}

enum rdl_status rdl__k_matmul_quantized(const struct rdl__kernel_call *call)
{
    for (size_t t = call->tile_begin; t < call->tile_end; t++)
        matmul_row(call->params, call->bind, (int64_t)t);
    return RDL_OK;
}

/* The input place of output place o and kernel place k along dimension d; -1 if outside. */
static int64_t place_of(const struct rdl__k_window *w, int d, int64_t o, int64_t k)
{
    const int64_t i = o * w->stride[d] - w->pad[d] + k * w->dilation[d];
    return i < 0 || i >= w->in[d] ? -1 : i;
}

/* The sum of output place o; places outside the image count as the zero point. */
static uint32_t conv_sum(const struct rdl__k_conv_quantized *p, void *const *bind, int64_t channel,
                         int64_t image, const int64_t o[3])
{
    const struct rdl__k_conv *c = &p->conv;
    const struct rdl__k_window *w = &c->window;
    const int64_t plane = w->in[0] * w->in[1] * w->in[2];
    const int64_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2];
    const int64_t first = (image * c->groups + channel / c->out_channels) * c->in_channels;
    const int32_t a_zero = load(p->q.a, bind[RDL__K_QUANTIZED_A_ZERO], 0);
    const int32_t b_zero = load(p->q.b, bind[RDL__K_QUANTIZED_B_ZERO], channel * p->q.b_zero_step);
    uint32_t sum = (uint32_t)load(RDL_I32, bind[RDL__K_QUANTIZED_BIAS], channel);
    for (int64_t i = 0; i < c->in_channels * taps; i++) {
        const int64_t tap = i % taps, kx = tap % w->kernel[2];
        const int64_t ky = tap / w->kernel[2] % w->kernel[1];
        const int64_t kz = tap / w->kernel[2] / w->kernel[1];
        const int64_t z = place_of(w, 0, o[0], kz), y = place_of(w, 1, o[1], ky),
                      x = place_of(w, 2, o[2], kx);
        if (z < 0 || y < 0 || x < 0)
            continue;
        const int64_t at = (first + i / taps) * plane + (z * w->in[1] + y) * w->in[2] + x;
        const int64_t weight = channel * c->in_channels * taps + i;
        sum += (uint32_t)((load(p->q.a, bind[RDL__K_QUANTIZED_A], at) - a_zero) *
                          (load(p->q.b, bind[RDL__K_QUANTIZED_B], weight) - b_zero));
    }
    return sum;
}

enum rdl_status rdl__k_conv_quantized(const struct rdl__kernel_call *call)
{
    const struct rdl__k_conv_quantized *p = call->params;
    const struct rdl__k_window *w = &p->conv.window;
    const int64_t channels = p->conv.groups * p->conv.out_channels;
    for (size_t t = call->tile_begin; t < call->tile_end; t++) {
        const int64_t line = (int64_t)t % (w->out[0] * w->out[1]);
        const int64_t plane = (int64_t)t / (w->out[0] * w->out[1]), channel = plane % channels;
        int64_t o[3] = {line / w->out[1], line % w->out[1], 0};
        for (; o[2] < w->out[2]; o[2]++)
            finish(&p->q, call->bind, (int64_t)t * w->out[2] + o[2],
                   conv_sum(p, call->bind, channel, plane / channels, o), 0, channel);
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
