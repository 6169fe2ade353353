/*
 * Strips of padded input rows in scratch, for kernels that slide a window over a plane; see struct
 * rdl__k_strips.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_STRIPS_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_STRIPS_INC_H

#include "kernels/conv.h"
#include "kernels/cpu/template/act.inc.h"

/* Counts of elements for which moves of constant size are made: X(n) for each. */
#define STRIP_FEW 8
#define STRIP_FEW_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(STRIP_FEW)

/* dst[i] = row[i] for n elements. */
static inline void strip_copy(float *dst, const float *row, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(dst + i, vf_load(row + i));
    if (i < n)
        vf_store_first(dst + i, vf_load_first(row + i, n - i), n - i);
}

/* The same, at its best for a few elements: masked vectors cost more than all of them. */
static inline void strip_copy_few(float *dst, const float *row, int64_t n)
{
#define STRIP_CASE(n)                                                                              \
    case n:                                                                                        \
        memcpy(dst, row, (n) * sizeof *dst);                                                       \
        break;
    switch (n) {
        STRIP_FEW_LIST(STRIP_CASE)
    default:
        strip_copy(dst, row, n);
    }
#undef STRIP_CASE
}

/* dst[i] = row[i * stride] for n elements. */
static inline void strip_every(float *dst, const float *row, int64_t stride, int64_t n)
{
    int64_t i = 0;
    /* Whole vectors end in front of the last element, behind which nothing may be read. */
    for (; stride == 2 && i + VF_LANES < n; i += VF_LANES)
        vf_store(dst + i, vf_even(vf_load(row + 2 * i), vf_load(row + 2 * i + VF_LANES)));
    for (; i < n; i++)
        dst[i] = row[i * stride];
}

/* Fills dst [0, begin) and [end, n), and perhaps what is between; n is a vector at least. */
static inline void strip_fill(float *dst, float fill, int64_t begin, int64_t end, int64_t n)
{
    const vf value = vf_set1(fill);
    for (int64_t i = 0; i < begin; i += VF_LANES)
        vf_store(dst + (i < n - VF_LANES ? i : n - VF_LANES), value);
    for (int64_t i = n; i > end; i -= VF_LANES)
        vf_store(dst + (i > VF_LANES ? i - VF_LANES : 0), value);
}

/* One copied row, with `fill` outside the image; row is NULL if all of it is outside. */
static void strip_row(const struct rdl__k_window *w, int64_t part, const float *row, float fill,
                      float *dst)
{
    const int64_t stride = w->stride[2], pad = w->pad[2];
    for (int64_t phase = 0; phase < stride; phase++, dst += part) {
        /* Padded column phase + i * stride is input column that minus pad. */
        const int64_t shift = phase - pad;
        int64_t begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
        int64_t end = shift >= w->in[2] ? 0 : (w->in[2] - shift + stride - 1) / stride;
        end = row == NULL ? 0 : end < part ? end : part;
        begin = begin < end ? begin : end;
        strip_fill(dst, fill, begin, end, part);
        if (begin == end)
            continue;
        const float *from = row + begin * stride + shift;
        if (stride == 1)
            strip_copy(dst + begin, from, end - begin);
        else
            strip_every(dst + begin, from, stride, end - begin);
    }
}

/* The copied rows that output rows [first, first + rows) of the plane see. */
static void strip_load(const struct rdl__k_window *w, const struct rdl__k_strips *strips,
                       const float *plane, int64_t first, int64_t rows, float fill, float *dst)
{
    const int64_t top = first * w->stride[1] - w->pad[1];
    const int64_t span = (rows - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    for (int64_t i = 0; i < span; i++, dst += strips->part * w->stride[2]) {
        const bool inside = top + i >= 0 && top + i < w->in[1];
        strip_row(w, strips->part, inside ? plane + (top + i) * w->in[2] : NULL, fill, dst);
    }
}

/* The numbers of a window that a strip kernel loops over; constants where the caller's are. */
struct places {
    int64_t rows, cols;         /* kernel */
    int64_t row_step, col_step; /* dilation */
    int64_t stride;             /* of columns */
};

static inline struct places places_of(const struct rdl__k_window *w)
{
    return (struct places){w->kernel[1], w->kernel[2], w->dilation[1], w->dilation[2],
                           w->stride[2]};
}

/* Runs `step` for each place of the kernel in the order of the weights, with `in` the copied inputs
 * of output column 0 under that place; above: the copied row under the first kernel row. `in` is a
 * name, which takes no parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define STRIP_EACH_PLACE(w, part, above, in, step)                                                 \
    for (int64_t ky = 0; ky < (w).rows; ky++) {                                                    \
        const float *in_row = (above) + ky * (w).row_step * (part) * (w).stride;                   \
        int64_t phase = 0, place = 0;                                                              \
        for (int64_t kx = 0; kx < (w).cols; kx++) {                                                \
            const float *in = in_row + phase * (part) + place;                                     \
            step;                                                                                  \
            phase += (w).col_step;                                                                 \
            while (phase >= (w).stride) {                                                          \
                phase -= (w).stride;                                                               \
                place++;                                                                           \
            }                                                                                      \
        }                                                                                          \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

/* Stores nv vectors of a row of `cols` columns from column x on. */
static ALWAYS_INLINE void strip_store(const int nv, float *y, int64_t x, int64_t cols,
                                      const vf v[ACT_ROW])
{
    UNROLL for (int i = 0; i < nv; i++)
    {
        const int64_t n = cols - x - i * VF_LANES;
        if (n >= VF_LANES)
            vf_store(y + x + i * VF_LANES, v[i]);
        else
            vf_store_first(y + x + i * VF_LANES, v[i], n > 0 ? n : 0);
    }
}

#endif
