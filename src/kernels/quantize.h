/*
 * Quantised tensors: conversion to and from integers, and products and convolutions of 8-bit integers.
 * Reference kernels alone.
 *
 * A quantised value q of scale s and zero point z stands for (q - z) * s. Rounding is to the nearest,
 * ties to even; what does not fit becomes the nearest end, NaN becomes the zero point.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_QUANTIZE_H
#define RDL_KERNELS_QUANTIZE_H

#include "kernels/conv.h"
#include "kernels/gemm.h"

/** Whether values can be quantised to this dtype: i8, u8, i16, u16. */
bool rdl__k_quantize_takes(enum rdl_dtype dtype);

/**
 * Parameters of rdl__k_quantize and rdl__k_dequantize. Bindings: x, scale f32, zero point (of the
 * integer's dtype) or NULL, y. The tensor is [outer, axis, inner]; element (o, a, i) has scale number
 * o * scale_outer + a / block * scale_axis + i * scale_inner.
 */
struct rdl__k_quantize {
    enum rdl_dtype integer; /* of y, or of x of dequantize, which also takes i32 */
    bool from_integer;      /* quantize: x is i32 and no f32 */
    int64_t outer, axis, inner;
    int64_t block;
    int64_t scale_outer, scale_axis, scale_inner;
    int64_t tile_elems; /* set by the plan */
};
size_t rdl__k_quantize_plan(struct rdl__k_quantize *p);
/** Source: ONNX QuantizeLinear@10..23. */
enum rdl_status rdl__k_quantize(const struct rdl__kernel_call *call);
/** Source: ONNX DequantizeLinear@10..23. */
enum rdl_status rdl__k_dequantize(const struct rdl__kernel_call *call);

/** Parameters of the two kernels below. */
struct rdl__k_quantize_range {
    int64_t count, tile_elems, parts; /* set by the plan function; a tile makes a part */
};
size_t rdl__k_quantize_range_plan(struct rdl__k_quantize_range *params, int64_t count);
/** Bindings: x f32, ranges f32 [parts, 2] (out). The least and the largest element of each part of x, 0
 * included. */
enum rdl_status rdl__k_quantize_range(const struct rdl__kernel_call *call);
/** Bindings: ranges, scale f32, zero point u8 (both out). Scale and zero point for u8 of all parts'
 * range; 1 and 0 if x holds nothing but zeros. One tile. Source: ONNX DynamicQuantizeLinear@11. */
enum rdl_status rdl__k_quantize_scale(const struct rdl__kernel_call *call);

/** Bindings of the integer products. All but a, b, bias and y are as rdl__k_quantized says. */
enum rdl__k_quantized_bind {
    RDL__K_QUANTIZED_A,
    RDL__K_QUANTIZED_B,
    RDL__K_QUANTIZED_A_ZERO,
    RDL__K_QUANTIZED_B_ZERO,
    RDL__K_QUANTIZED_BIAS, /* i32, convolution only */
    RDL__K_QUANTIZED_A_SCALE,
    RDL__K_QUANTIZED_B_SCALE,
    RDL__K_QUANTIZED_Y_SCALE,
    RDL__K_QUANTIZED_Y_ZERO,
    RDL__K_QUANTIZED_Y,
    RDL__K_QUANTIZED_BINDINGS
};

/**
 * What is quantised how. A sum is that of (a - a_zero) * (b - b_zero), in 32 bits that wrap; y is the sum
 * if scaled is false, else the sum times a_scale * b_scale / y_scale, rounded, plus y_zero. Zero points
 * may be NULL: zero. Steps are 0 for one number, 1 for one a row of A, a column of B or a channel.
 */
struct rdl__k_quantized {
    enum rdl_dtype a, b, y; /* i8, u8; y of unscaled sums i32 */
    bool scaled;
    int64_t a_zero_step, b_zero_step, a_scale_step, b_scale_step;
};

/** Parameters of rdl__k_matmul_quantized: y [m, n] = a [m, k] b [k, n], batched. A tile a row. */
struct rdl__k_matmul_quantized {
    struct rdl__k_quantized q;
    int64_t m, n, k;
    struct rdl__k_gemm_batch batch;
};
size_t rdl__k_matmul_quantized_tiles(const struct rdl__k_matmul_quantized *p);
/** Source: ONNX MatMulInteger@10, QLinearMatMul@10..21. */
enum rdl_status rdl__k_matmul_quantized(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_conv_quantized; a is the image, b the weights, whose numbers go by output
 * channel. Tiles as rdl__k_conv_ref_plan. */
struct rdl__k_conv_quantized {
    struct rdl__k_quantized q;
    struct rdl__k_conv conv;
};
/** Source: ONNX ConvInteger@10, QLinearConv@10. */
enum rdl_status rdl__k_conv_quantized(const struct rdl__kernel_call *call);

#endif
