/*
 * f32 kernels in AVX-512; compiled with that alone. See kernels/cpu/template.
 */
#include "kernels/cpu/x86/vector_avx512.h"

#include "kernels/cpu/template/f32.inc.h"
