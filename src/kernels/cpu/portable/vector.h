/*
 * Vectors for compilers without a named instruction set: four floats in the compiler's own vector
 * type, which becomes SSE2, NEON or plain scalars. A multiply-add rounds twice here.
 *
 * The templates of kernels/cpu/template are written in these words; x86/vector_avx2.h and
 * x86/vector_avx512.h define the same ones.
 */
#ifndef RDL_KERNELS_CPU_PORTABLE_VECTOR_H
#define RDL_KERNELS_CPU_PORTABLE_VECTOR_H

#include <stdint.h>
#include <string.h>

/** Appends the instruction set to a kernel's name. */
#define RDL_ISA(name) name##_portable

#define VF_LANES 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

/* Matrix product: most rows of a block, which blocks prefetch, and vectors of a cache line. */
#define GEMM_MR 4
#define GEMM_PREFETCH(mr, nv) false
#define VF_LINE 4

static inline vf vf_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

/** The same; where it matters, loaded into a register once and not by each of its users. */
static inline vf vf_register(vf v)
{
    return v;
}

static inline void vf_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

static inline vf vf_set1(float x)
{
    return (vf){x, x, x, x};
}

/** The first n lanes, 0 <= n <= VF_LANES; the others are zero and their memory is not touched. */
static inline vf vf_load_first(const float *p, int64_t n)
{
    vf v = {0};
    for (int i = 0; i < VF_LANES; i++)
        if (i < n)
            v[i] = p[i];
    return v;
}

static inline void vf_store_first(float *p, vf v, int64_t n)
{
    for (int i = 0; i < VF_LANES; i++)
        if (i < n)
            p[i] = v[i];
}

/** a * b + c */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return a * b + c;
}

/** Lanes of a where mask is all ones, of b where it is zero. */
static inline vf vf_select(vi mask, vf a, vf b)
{
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
}

/** a > b ? a : b, so a NaN in b passes. */
static inline vf vf_max(vf a, vf b)
{
    return vf_select(a > b, a, b);
}

/** a < b ? a : b, so a NaN in b passes. */
static inline vf vf_min(vf a, vf b)
{
    return vf_select(a < b, a, b);
}

/** The square root, rounded to nearest. */
static inline vf vf_sqrt(vf v)
{
    for (int i = 0; i < VF_LANES; i++)
        v[i] = __builtin_sqrtf(v[i]);
    return v;
}

/** Every second element of a followed by b, from the first on. */
static inline vf vf_even(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6);
}

#endif
