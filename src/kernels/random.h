/*
 * Kernels that draw numbers.
 *
 * The numbers come from a counter: number i of a stream is a function of the stream's key and of i, so
 * that every split of the tiles draws the same. The generator is Philox4x32-10 (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4).
 *
 * Threading: pure functions, see device/kernel.h; but rdl__k_random_key asks the system.
 */
#ifndef RDL_KERNELS_RANDOM_H
#define RDL_KERNELS_RANDOM_H

#include "device/kernel.h"
#include "raddle/tensor.h"

#include <stdbool.h>

/** Four words of a stream: Philox4x32-10 of a counter (upper half zero) under a key. */
void rdl__k_philox(uint64_t key, uint64_t counter, uint32_t words[4]);

/** Binding: key (u64 [1]). Takes no parameters. Writes a key that the operating system draws: another
 * one each time. One tile. @return RDL_ERR_RUNTIME: the system gave none. */
enum rdl_status rdl__k_random_key(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_random_fill. Bindings: key (u64 [1]), out. */
struct rdl__k_random_fill {
    bool normal;          /* mean a, standard deviation b; else uniform in [a, b) */
    enum rdl_dtype dtype; /* f32 or f64 */
    double a, b;
    int64_t count, tile_elems; /* set by the plan function */
};
/** Sets count and tiles; returns the number of tiles. */
size_t rdl__k_random_fill_plan(struct rdl__k_random_fill *params, int64_t count);
/** Normal numbers are made by Box and Muller's transform, in double.
 * Source: ONNX RandomNormal@1..22, RandomUniform@1..22. */
enum rdl_status rdl__k_random_fill(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_bernoulli. Bindings: key (u64 [1]), probabilities, out (u8). */
struct rdl__k_bernoulli {
    enum rdl_dtype dtype;      /* of the probabilities: f32 or f64 */
    int64_t count, tile_elems; /* set by the plan function */
};
size_t rdl__k_bernoulli_plan(struct rdl__k_bernoulli *params, int64_t count);
/** Writes 1 with each element's probability, else 0. @return RDL_ERR_RUNTIME: a probability outside
 * [0, 1]. Source: ONNX Bernoulli@15. */
enum rdl_status rdl__k_bernoulli(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_multinomial. Bindings: key (u64 [1]), logarithms of weights [batch, classes],
 * out [batch, samples]. Scratch: `classes` doubles. */
struct rdl__k_multinomial {
    enum rdl_dtype dtype;         /* of the logarithms: f32 or f64 */
    bool wide;                    /* out is i64, else i32 */
    int64_t batch, classes;       /* classes >= 1 */
    int64_t samples;              /* of a row, >= 1 */
    int64_t tile_samples, pieces; /* set by the plan function: samples of a tile, tiles of a row */
};
size_t rdl__k_multinomial_plan(struct rdl__k_multinomial *params);
/** Draws class c with a probability in proportion to exp(its logarithm).
 * @return RDL_ERR_RUNTIME: a row without a finite sum of weights, or with none above zero.
 * Source: ONNX Multinomial@7. */
enum rdl_status rdl__k_multinomial(const struct rdl__kernel_call *call);

#endif
