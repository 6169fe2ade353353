/*
 * Lists of element types for the reference kernels, and what the C type of each needs to be computed
 * with. Included by the reference kernels alone.
 */
#ifndef RDL_KERNELS_CPU_REF_TYPES_H
#define RDL_KERNELS_CPU_REF_TYPES_H

#include <stdint.h>

/* X(DTYPE, C type) */
#define REF_FLOATS(X) X(F32, float) X(F64, double)

/* X(DTYPE, C type, unsigned type in which its arithmetic wraps) */
#define REF_SIGNED(X)                                                                              \
    X(I8, int8_t, uint32_t)                                                                        \
    X(I16, int16_t, uint32_t) X(I32, int32_t, uint32_t) X(I64, int64_t, uint64_t)
#define REF_UNSIGNED(X)                                                                            \
    X(U8, uint8_t, uint32_t)                                                                       \
    X(U16, uint16_t, uint32_t) X(U32, uint32_t, uint32_t) X(U64, uint64_t, uint64_t)

#endif
