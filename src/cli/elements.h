/*
 * Single elements of tensors, between memory, numbers and the text of the command line.
 */
#ifndef RADDLE_CLI_ELEMENTS_H
#define RADDLE_CLI_ELEMENTS_H

#include "raddle/tensor.h"

/** Most bytes of an element. */
#define ELEMENT_BYTES 8

/** An element's value; NaN for dtypes that are no numbers. */
double element_value(enum rdl_dtype dtype, const void *at);

/** The nearest half-precision number, and the nearest bfloat16. */
uint16_t element_half(double value);
uint16_t element_bfloat(float value);

/**
 * Reads an element from text [length]: a number of the dtype's range, or true and false.
 * @param out  [ELEMENT_BYTES] receives its bytes
 * @return RDL_ERR_ARGUMENT, RDL_ERR_UNSUPPORTED (the dtype is none of numbers)
 */
enum rdl_status element_parse(enum rdl_dtype dtype, const char *text, size_t length,
                              unsigned char *out, struct rdl_error *error);

#endif
