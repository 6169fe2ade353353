/*
 * All f32 kernels, written once in the words of a vector.h. Each instruction set has a file that
 * includes its vector.h and then this one, and is compiled with flags of its own. Nothing here is
 * visible outside that file but the kernels, whose names end in the instruction set.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Before a loop with a constant number of turns whose arrays are to become registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

#include "kernels/cpu/template/col2im.inc.h"
#include "kernels/cpu/template/conv.inc.h"
#include "kernels/cpu/template/depthwise.inc.h"
#include "kernels/cpu/template/elementwise.inc.h"
#include "kernels/cpu/template/gemm.inc.h"
#include "kernels/cpu/template/normalize.inc.h"
#include "kernels/cpu/template/pool.inc.h"
#include "kernels/cpu/template/recurrent.inc.h"
#include "kernels/cpu/template/reduce.inc.h"
#include "kernels/cpu/template/resample.inc.h"
#include "kernels/cpu/template/softmax.inc.h"
