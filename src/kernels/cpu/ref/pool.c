/*
 * Reference pooling. No state; any thread.
 */
#include "kernels/pool.h"

#include <math.h>

/* Multiply-add like steps of a tile. */
#define TILE_WORK 65536

static int64_t planes_of(int64_t planes, int64_t work)
{
    const int64_t n = TILE_WORK / (work > 0 ? work : 1);
    return n < 1 ? 1 : n < planes ? n : planes;
}

static int64_t volume(const int64_t d[3])
{
    return d[0] * d[1] * d[2];
}

size_t rdl__k_pool_ref_plan(struct rdl__k_pool *p)
{
    const double work = (double)volume(p->window.out) * (double)volume(p->window.kernel);
    p->tile_planes = planes_of(p->planes, work > TILE_WORK ? TILE_WORK : (int64_t)work);
    return (size_t)((p->planes + p->tile_planes - 1) / p->tile_planes);
}

/* The kernel places [begin, end) of output place o along d that lie in [low, high) of the input. */
static void places(const struct rdl__k_window *w, int d, int64_t o, int64_t low, int64_t high,
                   int64_t *begin, int64_t *end)
{
    const int64_t first = o * w->stride[d] - w->pad[d], step = w->dilation[d];
    *begin = first >= low ? 0 : (low - first + step - 1) / step;
    *end = first >= high ? 0 : (high - first + step - 1) / step;
    *end = *end < w->kernel[d] ? *end : w->kernel[d];
    *begin = *begin < *end ? *begin : *end;
}

struct box {
    int64_t begin[3], end[3];
};

static int64_t box_count(const struct box *b)
{
    int64_t n = 1;
    for (int d = 0; d < 3; d++)
        n *= b->end[d] - b->begin[d];
    return n;
}

static int64_t at(const struct rdl__k_window *w, int d, int64_t o, int64_t k)
{
    return o * w->stride[d] - w->pad[d] + k * w->dilation[d];
}

/* The place of (z, y, x) in the plane, counted as the indices are. */
static int64_t index_of(const struct rdl__k_pool *p, int64_t z, int64_t y, int64_t x)
{
    const int64_t *in = p->window.in;
    if (!p->column_major)
        return (z * in[1] + y) * in[2] + x;
    if (p->n_spatial == 2)
        return x * in[1] + y;
    return p->n_spatial == 3 ? (x * in[1] + y) * in[0] + z : x;
}

#define FOR_BOX(b)                                                                                 \
    for (int64_t kz = (b)->begin[0]; kz < (b)->end[0]; kz++)                                       \
        for (int64_t ky = (b)->begin[1]; ky < (b)->end[1]; ky++)                                   \
            for (int64_t kx = (b)->begin[2]; kx < (b)->end[2]; kx++)

#define MAX_OF(dtype, type, lowest)                                                                \
    static void max_##dtype(const struct rdl__k_pool *p, const void *plane, const struct box *b,   \
                            const int64_t o[3], void *y, int64_t out, int64_t *index)              \
    {                                                                                              \
        const struct rdl__k_window *w = &p->window;                                                \
        const type *x = plane;                                                                     \
        type most = lowest;                                                                        \
        int64_t best = -1;                                                                         \
        FOR_BOX(b)                                                                                 \
        {                                                                                          \
            const int64_t iz = at(w, 0, o[0], kz), iy = at(w, 1, o[1], ky),                        \
                          ix = at(w, 2, o[2], kx);                                                 \
            const type value = x[(iz * w->in[1] + iy) * w->in[2] + ix];                            \
            if (value > most || best < 0) {                                                        \
                most = value > most ? value : most;                                                \
                best = index_of(p, iz, iy, ix);                                                    \
            }                                                                                      \
        }                                                                                          \
        ((type *)y)[out] = most;                                                                   \
        if (index != NULL)                                                                         \
            *index = best < 0 ? 0 : best;                                                          \
    }
MAX_OF(F32, float, -INFINITY)
MAX_OF(F64, double, -(double)INFINITY)
MAX_OF(I8, int8_t, INT8_MIN)
MAX_OF(U8, uint8_t, 0)

#define AVERAGE_OF(dtype, type)                                                                    \
    static void average_##dtype(const struct rdl__k_pool *p, const void *plane,                    \
                                const struct box *b, const int64_t o[3], int64_t divisor, void *y, \
                                int64_t out)                                                       \
    {                                                                                              \
        const struct rdl__k_window *w = &p->window;                                                \
        const type *x = plane;                                                                     \
        double sum = 0.0;                                                                          \
        FOR_BOX(b)                                                                                 \
        {                                                                                          \
            const int64_t iz = at(w, 0, o[0], kz), iy = at(w, 1, o[1], ky),                        \
                          ix = at(w, 2, o[2], kx);                                                 \
            sum += (double)x[(iz * w->in[1] + iy) * w->in[2] + ix];                                \
        }                                                                                          \
        ((type *)y)[out] = (type)(divisor > 0 ? sum / (double)divisor : 0.0);                      \
    }
AVERAGE_OF(F32, float)
AVERAGE_OF(F64, double)

/* |x| to the power p; the usual ones without pow. */
static double power(double x, int64_t p)
{
    return p == 1 ? fabs(x) : p == 2 ? x * x : pow(fabs(x), (double)p);
}

#define LP_OF(dtype, type)                                                                         \
    static void lp_##dtype(const struct rdl__k_pool *p, const void *plane, const struct box *b,    \
                           const int64_t o[3], void *y, int64_t out)                               \
    {                                                                                              \
        const struct rdl__k_window *w = &p->window;                                                \
        const type *x = plane;                                                                     \
        double sum = 0.0;                                                                          \
        FOR_BOX(b)                                                                                 \
        {                                                                                          \
            const int64_t iz = at(w, 0, o[0], kz), iy = at(w, 1, o[1], ky),                        \
                          ix = at(w, 2, o[2], kx);                                                 \
            sum += power((double)x[(iz * w->in[1] + iy) * w->in[2] + ix], p->p);                   \
        }                                                                                          \
        ((type *)y)[out] = (type)(p->p == 2 ? sqrt(sum) : pow(sum, 1.0 / (double)p->p));           \
    }
LP_OF(F32, float)
LP_OF(F64, double)

static void pool_one(const struct rdl__k_pool *p, const void *x, const int64_t o[3], void *y,
                     int64_t out, int64_t *index)
{
    struct box inside, padded;
    for (int d = 0; d < 3; d++) {
        places(&p->window, d, o[d], 0, p->window.in[d], &inside.begin[d], &inside.end[d]);
        places(&p->window, d, o[d], -p->window.pad[d], p->window.in[d] + p->pad_end[d],
               &padded.begin[d], &padded.end[d]);
    }
    if (p->kind == RDL__K_POOL_AVERAGE) {
        const int64_t divisor = box_count(p->count_include_pad ? &padded : &inside);
        if (p->dtype == RDL_F64)
            average_F64(p, x, &inside, o, divisor, y, out);
        else
            average_F32(p, x, &inside, o, divisor, y, out);
    } else if (p->kind == RDL__K_POOL_LP) {
        if (p->dtype == RDL_F64)
            lp_F64(p, x, &inside, o, y, out);
        else
            lp_F32(p, x, &inside, o, y, out);
    } else if (p->dtype == RDL_F32) {
        max_F32(p, x, &inside, o, y, out, index);
    } else if (p->dtype == RDL_F64) {
        max_F64(p, x, &inside, o, y, out, index);
    } else if (p->dtype == RDL_I8) {
        max_I8(p, x, &inside, o, y, out, index);
    } else {
        max_U8(p, x, &inside, o, y, out, index);
    }
}

enum rdl_status rdl__k_pool_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_pool *p = call->params;
    const size_t size = rdl_dtype_size(p->dtype);
    const int64_t in = volume(p->window.in), out = volume(p->window.out);
    int64_t *indices = p->kind == RDL__K_POOL_MAX ? call->bind[2] : NULL;
    int64_t end = (int64_t)call->tile_end * p->tile_planes;
    end = end < p->planes ? end : p->planes;
    for (int64_t n = (int64_t)call->tile_begin * p->tile_planes; n < end; n++) {
        const char *x = (const char *)call->bind[0] + (size_t)(n * in) * size;
        int64_t to = n * out, o[3];
        for (o[0] = 0; o[0] < p->window.out[0]; o[0]++)
            for (o[1] = 0; o[1] < p->window.out[1]; o[1]++)
                for (o[2] = 0; o[2] < p->window.out[2]; o[2]++, to++) {
                    pool_one(p, x, o, call->bind[1], to, indices != NULL ? indices + to : NULL);
                    if (indices != NULL)
                        indices[to] += n * in;
                }
    }
    return RDL_OK;
}
