/*
 * Checked size arithmetic. Every size that comes from a file or a caller goes through these.
 */
#ifndef RDL_BASE_SIZE_H
#define RDL_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** *out = a * b; false, with *out untouched, if it does not fit. */
static inline bool rdl__mul_size(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/** *out = a + b; false, with *out untouched, if it does not fit. */
static inline bool rdl__add_size(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

/** *out = size rounded up to a multiple of align, a power of two; false if it does not fit. */
static inline bool rdl__align_size(size_t size, size_t align, size_t *out)
{
    size_t padded;
    if (!rdl__add_size(size, align - 1, &padded))
        return false;
    *out = padded & ~(align - 1);
    return true;
}

/** *out = a * b for non-negative dimensions; false if either is negative or it does not fit. */
static inline bool rdl__mul_dim(int64_t a, int64_t b, int64_t *out)
{
    int64_t product;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

#endif
