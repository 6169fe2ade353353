/*
 * Resampling along one axis: every element of the output is a weighted sum of a few of the input's.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_RESAMPLE_H
#define RDL_KERNELS_RESAMPLE_H

#include "device/kernel.h"
#include "raddle/tensor.h"

/**
 * Parameters of rdl__k_resample_*. Bindings: x [outer, in, inner], y [outer, out, inner]. The tables
 * follow the struct: weights [out, taps] of dtype, then places [out, taps] (int32_t) in [0, in).
 * Where an output's first place is negative, the output is `outside`.
 */
struct rdl__k_resample {
    enum rdl_dtype dtype; /* f32 or f64 */
    int32_t taps;
    int64_t outer, in, out, inner;
    double outside;
    /* Set by the plan function: rows of `length` elements, cut into `blocks`; a tile has tile_units
     * of them. */
    int64_t length, blocks, units, tile_units;
    double tables[];
};

/** Bytes of the struct with its tables; false on overflow. */
bool rdl__k_resample_bytes(enum rdl_dtype dtype, int64_t out, int32_t taps, size_t *bytes);
/** Sets what follows from the dims; returns the number of tiles. */
size_t rdl__k_resample_plan(struct rdl__k_resample *params);

/** Most elements of a block of a row. */
#define RDL__K_RESAMPLE_BLOCK 8192

static inline const int32_t *rdl__k_resample_places(const struct rdl__k_resample *p)
{
    const size_t size = p->dtype == RDL_F32 ? sizeof(float) : sizeof(double);
    return (const int32_t *)(const void *)((const char *)p->tables +
                                           size * (size_t)p->out * (size_t)p->taps);
}

/** f32 and f64. Source: ONNX Resize@10..19 (linear, cubic), Upsample@7..9. */
enum rdl_status rdl__k_resample_ref(const struct rdl__kernel_call *call);
/** f32 alone. */
enum rdl_status rdl__k_resample_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_resample_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_resample_f32_avx512(const struct rdl__kernel_call *call);

#endif
