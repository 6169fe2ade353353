/*
 * The words of portable/vector.h in AVX-512 F: sixteen floats.
 */
#ifndef RDL_KERNELS_CPU_X86_VECTOR_AVX512_H
#define RDL_KERNELS_CPU_X86_VECTOR_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#define RDL_ISA(name) name##_avx512

#define VF_LANES 16
typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));

/* Matrix product: most rows of a block, which blocks prefetch, and vectors of a cache line. */
#define GEMM_MR 12
#define GEMM_PREFETCH(mr, nv) true
#define VF_LINE 1

static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline vf vf_register(vf v)
{
    __asm__("" : "+v"(v));
    return v;
}

static inline void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

static inline vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

static inline __mmask16 vf_first_mask(int64_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vf vf_load_first(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(vf_first_mask(n), p);
}

static inline void vf_store_first(float *p, vf v, int64_t n)
{
    _mm512_mask_storeu_ps(p, vf_first_mask(n), v);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf vf_select(vi mask, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), b, a);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

static inline vf vf_sqrt(vf v)
{
    return _mm512_sqrt_ps(v);
}

static inline vf vf_even(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

#endif
