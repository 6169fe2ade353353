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

/* X(NAME): binary operators that the f32 kernels have. Signed integers wrap; Div of integers cuts
 * towards zero, the smallest integer by -1 gives itself, and by 0 the kernel returns
 * RDL_ERR_RUNTIME. Max and Min give NaN if either is one. PRELU is x < 0 ? x * y : x; of a quotient
 * by 0, DIV_OR_ZERO (floats) makes 0. */
#define RDL__K_BINARY_F32_LIST(X) X(ADD) X(SUB) X(MUL) X(DIV) X(MAX) X(MIN) X(PRELU) X(DIV_OR_ZERO)
/* X(NAME): all. POW of integers wraps, cuts 1 / x^n towards zero, and fails for 0 to a negative power.
 * MOD has the sign of y, FMOD that of x; integers by 0 fail. SHIFT_ is for integers: a count that is
 * negative or not below their width leaves nothing but the sign. */
#define RDL__K_BINARY_LIST(X)                                                                      \
    RDL__K_BINARY_F32_LIST(X)                                                                      \
    X(POW) X(MOD) X(FMOD) X(BIT_AND) X(BIT_OR) X(BIT_XOR) X(SHIFT_LEFT) X(SHIFT_RIGHT)

enum rdl__k_binary_op {
#define RDL__K_BINARY_ENUM(name) RDL__K_BINARY_##name,
    RDL__K_BINARY_LIST(RDL__K_BINARY_ENUM)
#undef RDL__K_BINARY_ENUM
};
#define RDL__K_BINARY_OPS (RDL__K_BINARY_SHIFT_RIGHT + 1)

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

/** Whether the reference kernel takes this operator at this dtype. */
bool rdl__k_binary_takes(enum rdl__k_binary_op op, enum rdl_dtype dtype);
/** Whether the f32 kernels of the instruction sets have this operator. */
bool rdl__k_binary_f32_has(enum rdl__k_binary_op op);

/** All that rdl__k_binary_takes. Source: ONNX Add@7..14, Sub, Mul, Div, Max@8, Min@8, PRelu@7..16,
 * Pow@7..15, Mod@10..28, BitwiseAnd@18, BitwiseOr, BitwiseXor, BitShift@11..28. */
enum rdl_status rdl__k_binary_ref(const struct rdl__kernel_call *call);
/** f32 and the operators of RDL__K_BINARY_F32_LIST alone. */
enum rdl_status rdl__k_binary_f32_portable(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_binary_f32_avx2(const struct rdl__kernel_call *call);
enum rdl_status rdl__k_binary_f32_avx512(const struct rdl__kernel_call *call);

/* X(NAME): unary operators that the f32 kernels have; a NaN passes through all of them. The first four
 * are the words of act.h. With parameters a and b:
 *
 *   LEAKY_RELU        x < 0 ? a * x : x
 *   ELU               x < 0 ? a * (exp(x) - 1) : x
 *   SELU              b * (x <= 0 ? a * (exp(x) - 1) : x)
 *   CELU              max(0, x) + min(0, a * (exp(x / a) - 1))
 *   THRESHOLDED_RELU  x > a ? x : 0
 *   SOFTPLUS          log(1 + exp(x))
 *   SOFTSIGN          x / (1 + |x|)
 *   MISH              x * tanh(log(1 + exp(x)))
 *   GELU              x / 2 * (1 + erf(x / sqrt(2)))
 *   GELU_TANH         x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))
 *   SWISH             x / (1 + exp(-a * x))
 */
#define RDL__K_UNARY_F32_LIST(X)                                                                   \
    X(RELU)                                                                                        \
    X(CLIP)                                                                                        \
    X(HARD_SWISH)                                                                                  \
    X(HARD_SIGMOID)                                                                                \
    X(SIGMOID)                                                                                     \
    X(NEG)                                                                                         \
    X(ABS)                                                                                         \
    X(RECIPROCAL)                                                                                  \
    X(SQRT)                                                                                        \
    X(EXP)                                                                                         \
    X(TANH)                                                                                        \
    X(LOG)                                                                                         \
    X(ERF)                                                                                         \
    X(LEAKY_RELU)                                                                                  \
    X(ELU)                                                                                         \
    X(SELU)                                                                                        \
    X(CELU)                                                                                        \
    X(THRESHOLDED_RELU) X(SOFTPLUS) X(SOFTSIGN) X(MISH) X(GELU) X(GELU_TANH) X(SWISH)
/* X(NAME): all. Integers know RELU, CLIP, NEG, ABS, SIGN, SHRINK and BIT_NOT, bool knows NOT. ROUND
 * takes halves to the even number. SHRINK: x < -b ? x + a : x > b ? x - a : 0. */
#define RDL__K_UNARY_LIST(X)                                                                       \
    RDL__K_UNARY_F32_LIST(X)                                                                       \
    X(FLOOR)                                                                                       \
    X(CEIL)                                                                                        \
    X(ROUND)                                                                                       \
    X(SIGN)                                                                                        \
    X(SIN)                                                                                         \
    X(COS)                                                                                         \
    X(TAN)                                                                                         \
    X(ASIN)                                                                                        \
    X(ACOS)                                                                                        \
    X(ATAN)                                                                                        \
    X(SINH) X(COSH) X(ASINH) X(ACOSH) X(ATANH) X(SHRINK) X(BIT_NOT) X(NOT)

enum rdl__k_unary_op {
#define RDL__K_UNARY_ENUM(name) RDL__K_UNARY_##name,
    RDL__K_UNARY_LIST(RDL__K_UNARY_ENUM)
#undef RDL__K_UNARY_ENUM
};
#define RDL__K_UNARY_OPS (RDL__K_UNARY_NOT + 1)

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

/** Source: ONNX Relu@6..14, Clip@6..13, HardSigmoid@6, Elu@6, Gelu@20, Sin@7 and their kin. */
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
