/*
 * The f32 kernels of one instruction set, so that an operator picks a set once and then names
 * kernels. The reference kernels, which know every dtype, are named directly.
 */
#ifndef RDL_KERNELS_KERNELS_H
#define RDL_KERNELS_KERNELS_H

#include "kernels/col2im.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/logic.h"
#include "kernels/matmul.h"
#include "kernels/move.h"
#include "kernels/normalize.h"
#include "kernels/pool.h"
#include "kernels/recurrent.h"
#include "kernels/reduce.h"
#include "kernels/resample.h"
#include "kernels/softmax.h"

/* X(name): the kernels that every instruction set has: rdl__k_NAME_f32_ISA. */
#define RDL__K_F32_LIST(X)                                                                         \
    X(gemm)                                                                                        \
    X(conv)                                                                                        \
    X(depthwise)                                                                                   \
    X(binary)                                                                                      \
    X(unary)                                                                                       \
    X(pool)                                                                                        \
    X(softmax)                                                                                     \
    X(affine)                                                                                      \
    X(recurrent)                                                                                   \
    X(col2im)                                                                                      \
    X(resample)                                                                                    \
    X(reduce)                                                                                      \
    X(normalize)

struct rdl__k_f32 {
#define RDL__K_F32_MEMBER(name) rdl__kernel_fn name;
    RDL__K_F32_LIST(RDL__K_F32_MEMBER)
#undef RDL__K_F32_MEMBER
};

/** The kernels of isa; of the portable set if the build has none for it. */
const struct rdl__k_f32 *rdl__k_f32_of(enum rdl__isa isa);

#endif
