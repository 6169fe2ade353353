/*
 * What the forms of the convolution without gathered columns share: the table of where each element of
 * a column is read, at the head of scratch.
 */
#ifndef RDL_KERNELS_CPU_TEMPLATE_CONV_READ_INC_H
#define RDL_KERNELS_CPU_TEMPLATE_CONV_READ_INC_H

#include "kernels/conv.h"
#include "kernels/cpu/template/block.inc.h"
#include "kernels/cpu/template/strips.inc.h"

/* The first `taps` offsets are those of one channel; the others' follow, `channel` floats further
 * each. */
static void conv_table_repeat(int32_t *table, int64_t taps, int64_t channels, int32_t channel)
{
    for (int64_t i = taps; i < taps * channels; i++)
        table[i] = table[i - taps] + channel;
}

#endif
