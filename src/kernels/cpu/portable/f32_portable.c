/*
 * f32 kernels for every machine. See kernels/cpu/template.
 */
#include "kernels/cpu/portable/vector.h"

#include "kernels/cpu/template/f32.inc.h"
