/*
 * The words of portable/vector.h in AVX2 and FMA: eight floats.
 */
#ifndef RDL_KERNELS_CPU_X86_VECTOR_AVX2_H
#define RDL_KERNELS_CPU_X86_VECTOR_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define RDL_ISA(name) name##_avx2

#define VF_LANES 8
typedef float vf __attribute__((vector_size(32)));
typedef int32_t vi __attribute__((vector_size(32)));

/* Matrix product: most rows of a block, which blocks prefetch, and vectors of a cache line. */
#define GEMM_MR 6
#define GEMM_PREFETCH(mr, nv) ((mr) > 1 && (nv) > 2)
#define VF_LINE 2

static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline vf vf_register(vf v)
{
    __asm__("" : "+x"(v));
    return v;
}

static inline void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}

static inline vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}

static inline __m256i vf_first_mask(int64_t n)
{
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i_u *)(const void *)(ones_then_zeros + 8 - n));
}

static inline vf vf_load_first(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, vf_first_mask(n));
}

static inline void vf_store_first(float *p, vf v, int64_t n)
{
    if (n >= VF_LANES) {
        _mm256_storeu_ps(p, v);
        return;
    }
    /* By halves: a masked store takes tens of operations on some processors (Zen 2). */
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, part);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf vf_select(vi mask, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, (__m256)mask);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

static inline vf vf_sqrt(vf v)
{
    return _mm256_sqrt_ps(v);
}

static inline vf vf_even(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}

#endif
