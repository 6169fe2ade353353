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

/* Two fused multiply-adds a cycle of latency 4 or 5 need 10 chains: 5 rows of 2 vectors. */
#define GEMM_MR 6
#define GEMM_FULL_MR 5
#define GEMM_NP_1 4
#define GEMM_NP_2 3
#define GEMM_NP_3 2

static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
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
    _mm256_maskstore_ps(p, vf_first_mask(n), v);
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

static inline vf vf_even(vf a, vf b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}

#endif
