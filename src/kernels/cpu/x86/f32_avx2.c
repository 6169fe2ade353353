/*
 * f32 kernels in AVX2 and FMA; compiled with these alone. See kernels/cpu/template.
 */
#include "kernels/cpu/x86/vector_avx2.h"

#include "kernels/cpu/template/f32.inc.h"
