/*
 * Elementwise kernels: binary ones with numpy broadcasting, unary ones, and Cast.
 *
 * All of them read an element before they write the same one, so the output may lie in the memory of
 * an operand of the same size and element type.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_ELEMENTWISE_H
#define RDL_KERNELS_ELEMENTWISE_H

#include "device/kernel.h"
#include "kernels/act.h"
#include "kernels/walk.h"

/* X(NAME): binary operators. Signed integers wrap; Div of integers cuts towards zero, the smallest
 * integer by -1 gives itself, and by 0 the kernel returns RDL_ERR_RUNTIME. Max and Min give NaN if
 * either is one. */
#define RDL__K_BINARY_LIST(X) X(ADD) X(SUB) X(MUL) X(DIV) X(MAX) X(MIN)

enum rdl__k_binary_op {
#define RDL__K_BINARY_ENUM(name) RDL__K_BINARY_##name,
    RDL__K_BINARY_LIST(RDL__K_BINARY_ENUM)
#undef RDL__K_BINARY_ENUM
};

/** Parameters of rdl__k_binary_*. Bindings: a, b, out. */
struct rdl__k_binary {
    enum rdl__k_binary_op op;
    enum rdl_dtype dtype;    /* of all three: f32, f64 or an integer */
    struct rdl__k_act act;   /* f32 only */
    struct rdl__k_walk walk; /* operands a, b; out is in C order; inner strides are 0 or 1 */
    int64_t count;           /* elements of out */
    int64_t tile_elems;
};

/** Fills walk, count and tiles for shapes that broadcast to out; returns the number of tiles. */
size_t rdl__k_binary_plan(struct rdl__k_binary *params, const struct rdl__shape *a,
                          const struct rdl__shape *b, const struct rdl__shape *out);

/** Whether the reference kernel takes this dtype. */
bool rdl__k_binary_takes(enum rdl_dtype dtype);

/** Every dtype that rdl__k_binary_takes. Source: ONNX Add@7..14, Sub, Mul, Div, Max@8, Min@8. */
enum rdl_status rdl__k_binary_ref(const struct rdl__kernel_call *call);
/** f32 alone. */
enum rdl_status rdl__k_binary_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_binary_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_binary_f32_avx512(const struct rdl__kernel_call *call);

/* X(NAME): unary operators; a NaN passes through all of them. The first four are the words of act.h.
 * Integers know RELU, CLIP, NEG and ABS. */
#define RDL__K_UNARY_LIST(X)                                                                       \
    X(RELU)                                                                                        \
    X(CLIP)                                                                                        \
    X(HARD_SWISH)                                                                                  \
    X(HARD_SIGMOID)                                                                                \
    X(SIGMOID) X(NEG) X(ABS) X(RECIPROCAL) X(SQRT) X(EXP) X(TANH) X(LOG) X(FLOOR) X(CEIL) X(ERF)

enum rdl__k_unary_op {
#define RDL__K_UNARY_ENUM(name) RDL__K_UNARY_##name,
    RDL__K_UNARY_LIST(RDL__K_UNARY_ENUM)
#undef RDL__K_UNARY_ENUM
};

/** Parameters of rdl__k_unary_*. Bindings: x, y, and for CLIP the bounds as scalars of x's dtype,
 * each NULL if there is none; without them a and b are the bounds if has_bounds. */
struct rdl__k_unary {
    enum rdl__k_unary_op op;
    enum rdl_dtype dtype;
    bool has_bounds; /* CLIP: a and b are bounds, and the bindings are absent */
    float a, b;
    int64_t count;
    int64_t tile_elems;
};

/** Sets count and tiles; returns the number of tiles. */
size_t rdl__k_unary_plan(struct rdl__k_unary *params, int64_t count);

/** Whether the reference kernel takes this operator at this dtype. */
bool rdl__k_unary_takes(enum rdl__k_unary_op op, enum rdl_dtype dtype);
/** Whether the f32 kernels of the instruction sets have this operator. */
bool rdl__k_unary_f32_has(enum rdl__k_unary_op op);

/** Source: ONNX Relu@6..14, Clip@6..13, HardSigmoid@6, HardSwish@14, Sigmoid@6 and their kin. */
enum rdl_status rdl__k_unary_ref(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_unary_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_unary_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_unary_f32_avx512(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_cast_ref. Bindings: x, y. */
struct rdl__k_cast {
    enum rdl_dtype from, to; /* any but STRING */
    int64_t count;
    int64_t tile_elems;
};
size_t rdl__k_cast_plan(struct rdl__k_cast *params, int64_t count);

/**
 * Converts elements. To a smaller floating type: to the nearest, ties to even, too large becomes
 * infinite. Floating to integer: cut towards zero, values outside the range become its nearest end,
 * NaN becomes 0. Integer to integer: the low bits. To bool: whether it is not zero (NaN is not).
 * Source: ONNX Cast@6..26; where ONNX leaves the result open, the rules above.
 */
enum rdl_status rdl__k_cast_ref(const struct rdl__kernel_call *call);

/** Values of the 16-bit floating types. */
float rdl__k_f16_to_f32(uint16_t bits);
uint16_t rdl__k_f32_to_f16(float value);
float rdl__k_bf16_to_f32(uint16_t bits);
uint16_t rdl__k_f32_to_bf16(float value);

#endif
