/*
 * Convolution, f32 and f64, one to three spatial dimensions in NCHW order.
 *
 * Every output element is the chain bias, then weight times input for the group's channels, then the
 * kernel's places, in the order of the weights; a place outside the image counts as an input of 0.
 * So a result depends neither on the image's size nor on the batch or the tiles.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_CONV_H
#define RDL_KERNELS_CONV_H

#include "device/kernel.h"
#include "kernels/act.h"
#include "os/cpu.h"
#include "tensor/shape.h"

/** Spatial geometry of a convolution or a pooling. With fewer than three dimensions the first ones
 * have sizes, kernel, stride and dilation 1 and no padding. */
struct rdl__k_window {
    int64_t in[3], out[3];
    int64_t kernel[3], stride[3], dilation[3];
    int64_t pad[3]; /* before the first element */
};

/** How a plane is cut into strips of output rows, each computed from a padded copy of its input rows.
 * A copied row is cut into one part for each remainder of the column by the stride, so that the places
 * that one kernel column meets lie side by side; each part has room for whole vectors. */
struct rdl__k_strips {
    int64_t rows;  /* output rows of a strip */
    int64_t count; /* strips of a plane */
    int64_t part;  /* floats of a part of a copied row */
};

/** How a convolution reads its images. All forms give the same bits. */
enum rdl__k_conv_form {
    RDL__K_CONV_COLUMNS, /* as a matrix of columns: gathered, or where they lie */
    RDL__K_CONV_SLIDE,   /* as padded copies of some rows, output places in the lanes */
    RDL__K_CONV_FEW,     /* few places an image: output channels in the lanes */
    RDL__K_CONV_MANY     /* few places an image, many images: as columns of all of them, gathered */
};

/** Parameters of the convolutions. Bindings: x [batch, groups * in_channels, in...], weights, bias
 * [groups * out_channels] or NULL, y. */
struct rdl__k_conv {
    struct rdl__k_window window;
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of one group */
    enum rdl_dtype dtype;              /* reference kernel: f32 or f64 */
    struct rdl__k_act act;
    /* Set by the plan functions. */
    enum rdl__k_conv_form form;
    int64_t tile_rows; /* output channels of a tile */
    int64_t tile_cols; /* output places of a tile; slide: of each of its rows */
    int64_t row_tiles, col_tiles;
    struct rdl__k_strips strips;      /* slide and depthwise */
    int64_t tile_images, image_tiles; /* few and many */
    int64_t read[3];                  /* few and many: size of a plane that is read */
    bool copied;                      /* few and many: which is a padded copy */
};

/** Floats that the table at the head of the scratch of slide, few and many takes: an offset for each of
 * `depth` elements of a column, rounded up to whole cache lines. */
static inline int64_t rdl__k_conv_table_floats(int64_t depth)
{
    return (depth + 15) / 16 * 16;
}

/** Input rows that `rows` output rows see, padding included. */
static inline int64_t rdl__k_conv_slab_rows(const struct rdl__k_window *w, int64_t rows)
{
    return (rows - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
}

/** Reference; weights as in the model, [groups * out_channels, in_channels, kernel...]. */
enum rdl_status rdl__k_conv_ref(const struct rdl__kernel_call *call);
/** Returns the number of tiles. No scratch. */
size_t rdl__k_conv_ref_plan(struct rdl__k_conv *p);

/** Packs a model's weights for rdl__k_conv_f32_*: as many floats, in the order of its row blocks. */
void rdl__k_conv_pack(enum rdl__isa isa, float *dst, const float *weights, int64_t groups,
                      int64_t out_channels, int64_t depth);
/** Parameters of rdl__k_conv_pack_f32: rdl__k_conv_pack at run time, for weights that are no constant.
 * Bindings: weights, packed. A tile a group. */
struct rdl__k_conv_pack_params {
    enum rdl__isa isa;
    int64_t groups, out_channels, depth;
};
enum rdl_status rdl__k_conv_pack_f32(const struct rdl__kernel_call *call);

/** Chooses the tiles; *scratch_bytes is what a tile range needs. @return number of tiles, or 0 if a
 * size overflows */
size_t rdl__k_conv_plan(enum rdl__isa isa, struct rdl__k_conv *p, size_t *scratch_bytes);
/** As a matrix product, packed weights, in the form that the plan chose. Source: ONNX Conv@1..22. */
enum rdl_status rdl__k_conv_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_conv_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_conv_f32_avx512(const struct rdl__kernel_call *call);

/** Cuts planes of a window of at most two dimensions into strips; *scratch_bytes holds the copied rows
 * of one. False if a size overflows. */
bool rdl__k_strips_plan(const struct rdl__k_window *w, struct rdl__k_strips *strips,
                        size_t *scratch_bytes);

/** Whether the depthwise kernels take it: one input channel a group, at most two dimensions. */
bool rdl__k_depthwise_takes(const struct rdl__k_conv *p);
/** As rdl__k_conv_plan. */
size_t rdl__k_depthwise_plan(struct rdl__k_conv *p, size_t *scratch_bytes);
/** Directly, weights as in the model. */
enum rdl_status rdl__k_depthwise_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_depthwise_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_depthwise_f32_avx512(const struct rdl__kernel_call *call);

#endif
