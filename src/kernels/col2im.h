/*
 * The second half of a transposed convolution: adding columns up into an image.
 *
 * A transposed convolution is a product, of every input place with the weights of every output
 * channel and kernel place (a convolution of one place, kernels/conv.h), and then the sum, for each
 * output place, of the products that fall on it. An output element is the chain bias, then the kernel's
 * places in the order of the weights, each of which is the chain of the input channels; so a result
 * depends neither on the batch nor on the tiles.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_COL2IM_H
#define RDL_KERNELS_COL2IM_H

#include "kernels/conv.h"

/**
 * Parameters of rdl__k_col2im_*. Bindings: columns [batch * channels, kernel..., in...], bias
 * [channels] or NULL, y [batch * channels, out...].
 *
 * The window's `in` is the small image (of the columns) and `out` the large one: input place i meets
 * kernel place k at output place i * stride - pad + k * dilation.
 */
struct rdl__k_col2im {
    struct rdl__k_window window;
    int64_t batch, channels;
    enum rdl_dtype dtype;  /* reference kernel: f32 or f64 */
    struct rdl__k_act act; /* f32 kernels only */
    int64_t tile_rows;     /* set by the plan: rows [out[0] * out[1]] of a tile */
    int64_t row_tiles;     /* set by the plan: tiles of a plane */
    int64_t part;          /* set by the plan: floats of a phase in scratch */
};
/** @return number of tiles, or 0 if a size overflows */
size_t rdl__k_col2im_plan(struct rdl__k_col2im *p, size_t *scratch_bytes);
/** Source: ONNX ConvTranspose@1..22, Col2Im@18. */
enum rdl_status rdl__k_col2im_ref(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_col2im_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_col2im_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_col2im_f32_avx512(const struct rdl__kernel_call *call);

/** The input index that output place o meets under kernel place k along d; -1: none. */
static inline int64_t rdl__k_col2im_at(const struct rdl__k_window *w, int d, int64_t o, int64_t k)
{
    const int64_t at = o + w->pad[d] - k * w->dilation[d], i = at / w->stride[d];
    return at < 0 || i * w->stride[d] != at || i >= w->in[d] ? -1 : i;
}

#endif
