/*
 * Names and sizes of element types, out of the one list in the public header.
 */
#include "raddle/tensor.h"

const char *rdl_dtype_name(enum rdl_dtype dtype)
{
    switch (dtype) {
    case RDL_DTYPE_NONE:
        break;
#define RDL_DTYPE_CASE(name, value, text, size)                                                    \
    case RDL_##name:                                                                               \
        return text;
        RDL_DTYPE_LIST(RDL_DTYPE_CASE)
#undef RDL_DTYPE_CASE
    }
    return "none";
}

size_t rdl_dtype_size(enum rdl_dtype dtype)
{
    switch (dtype) {
    case RDL_DTYPE_NONE:
        break;
#define RDL_DTYPE_CASE(name, value, text, size)                                                    \
    case RDL_##name:                                                                               \
        return size;
        RDL_DTYPE_LIST(RDL_DTYPE_CASE)
#undef RDL_DTYPE_CASE
    }
    return 0;
}
