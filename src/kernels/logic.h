/*
 * Comparisons, logic on truth values, and choosing by them; all broadcast by numpy's rules.
 *
 * All of them read an element before they write the same one, so the output may lie in the memory of
 * an operand of the same size and element type.
 *
 * Threading: pure functions; see device/kernel.h.
 */
#ifndef RDL_KERNELS_LOGIC_H
#define RDL_KERNELS_LOGIC_H

#include "device/kernel.h"
#include "kernels/walk.h"

/* X(NAME): what is asked of x and y; the answer is 0 or 1. AND, OR and XOR take bool; UNORDERED
 * (either is NaN) and INFINITE (x is; y does not count) take floats; EQUAL takes bool too. */
#define RDL__K_COMPARE_LIST(X)                                                                     \
    X(EQUAL)                                                                                       \
    X(GREATER)                                                                                     \
    X(LESS) X(GREATER_OR_EQUAL) X(LESS_OR_EQUAL) X(AND) X(OR) X(XOR) X(UNORDERED) X(INFINITE)

enum rdl__k_compare_op {
#define RDL__K_COMPARE_ENUM(name) RDL__K_COMPARE_##name,
    RDL__K_COMPARE_LIST(RDL__K_COMPARE_ENUM)
#undef RDL__K_COMPARE_ENUM
};

/** Parameters of rdl__k_compare. Bindings: a, b, out (bool). */
struct rdl__k_compare {
    enum rdl__k_compare_op op;
    enum rdl_dtype dtype;    /* of a and b */
    struct rdl__k_walk walk; /* operands a, b; out is in C order; inner strides are 0 or 1 */
    int64_t count;           /* elements of out */
    int64_t tile_elems;
};

/** Fills walk, count and tiles for shapes that broadcast to out; returns the number of tiles. */
size_t rdl__k_compare_plan(struct rdl__k_compare *params, const struct rdl__shape *a,
                           const struct rdl__shape *b, const struct rdl__shape *out);
/** Whether the kernel takes this operator at this dtype. */
bool rdl__k_compare_takes(enum rdl__k_compare_op op, enum rdl_dtype dtype);
/** Source: ONNX Equal@7..19, Greater@7..13, Less, GreaterOrEqual@12, LessOrEqual, And@7, Or, Xor,
 * IsNaN@9, IsInf@10. */
enum rdl_status rdl__k_compare(const struct rdl__kernel_call *call);

/** Parameters of rdl__k_where. Bindings: condition (bool), x, y, out. */
struct rdl__k_where {
    int32_t elem_bytes;      /* of x, y and out: 1, 2, 4 or 8 */
    struct rdl__k_walk walk; /* operands condition, x, y; out is in C order */
    int64_t count;
    int64_t tile_elems;
};
/** Fills walk, count and tiles for shapes that broadcast to out; returns the number of tiles. */
size_t rdl__k_where_plan(struct rdl__k_where *params, const struct rdl__shape *const in[3],
                         const struct rdl__shape *out);
/** condition ? x : y. Source: ONNX Where@9..16. */
enum rdl_status rdl__k_where(const struct rdl__kernel_call *call);

#endif
