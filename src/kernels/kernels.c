/*
 * Tables of kernels by instruction set. Constant; any thread.
 */
#include "kernels/kernels.h"

#define PORTABLE(name) .name = rdl__k_##name##_f32_portable,
#define AVX2(name) .name = rdl__k_##name##_f32_avx2,
#define AVX512(name) .name = rdl__k_##name##_f32_avx512,

static const struct rdl__k_f32 sets[] = {
    [RDL__ISA_PORTABLE] = {RDL__K_F32_LIST(PORTABLE)},
#if defined(__x86_64__)
    [RDL__ISA_AVX2] = {RDL__K_F32_LIST(AVX2)},
    [RDL__ISA_AVX512] = {RDL__K_F32_LIST(AVX512)},
#endif
};

const struct rdl__k_f32 *rdl__k_f32_of(enum rdl__isa isa)
{
    return &sets[(size_t)isa < sizeof sets / sizeof *sets ? isa : RDL__ISA_PORTABLE];
}
