/*
 * Single elements of tensors.
 */
#include "cli/elements.h"

#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- values ---------------------------------------------------------------------------------- */

static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double mantissa = bits & 1023;
    double value;
    if (exponent == 31)
        value = mantissa != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, -24);
    else
        value = ldexp(mantissa + 1024, exponent - 25);
    return bits >> 15 ? -value : value;
}

double element_value(enum rdl_dtype dtype, const void *at)
{
    union {
        float f32;
        double f64;
        uint16_t bits16;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint32_t u32;
        uint64_t u64;
    } element = {.u64 = 0};
    memcpy(&element, at, rdl_dtype_size(dtype));
    switch (dtype) {
    case RDL_F32:
        return (double)element.f32;
    case RDL_F64:
        return element.f64;
    case RDL_F16:
        return half_value(element.bits16);
    case RDL_BF16:
        element.u32 = (uint32_t)element.bits16 << 16;
        return (double)element.f32;
    case RDL_I8:
        return element.i8;
    case RDL_I16:
        return element.i16;
    case RDL_I32:
        return element.i32;
    case RDL_I64:
        return (double)element.i64;
    case RDL_U8:
    case RDL_BOOL:
        return element.u8;
    case RDL_U16:
        return element.bits16;
    case RDL_U32:
        return element.u32;
    case RDL_U64:
        return (double)element.u64;
    default:
        return NAN;
    }
}

/* ---- the small floating-point formats -------------------------------------------------------- */

uint16_t element_half(double value)
{
    const unsigned sign = signbit(value) ? 0x8000u : 0;
    const double size = fabs(value);
    if (isnan(value))
        return 0x7e00;
    if (size >= 65520) /* halfway from the largest number to the next power of two */
        return (uint16_t)(sign | 0x7c00u);
    if (size < 0x1p-14) /* a carry out of the subnormal numbers is the smallest normal one */
        return (uint16_t)(sign | (unsigned)rint(ldexp(size, 24)));
    const int exponent = ilogb(size);
    /* A carry out of the mantissa raises the exponent, as it should. */
    const unsigned mantissa = (unsigned)rint(ldexp(size, 10 - exponent));
    return (uint16_t)(sign | (((unsigned)(exponent + 14) << 10) + mantissa));
}

uint16_t element_bfloat(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value))
        return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* ---- text ------------------------------------------------------------------------------------ */

static bool is_float(enum rdl_dtype dtype)
{
    return dtype == RDL_F32 || dtype == RDL_F64 || dtype == RDL_F16 || dtype == RDL_BF16;
}

static enum rdl_status parse_float(enum rdl_dtype dtype, const char *text, unsigned char *out,
                                   struct rdl_error *error)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0')
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not a number", text);
    if (dtype == RDL_F64)
        memcpy(out, &value, sizeof value);
    else if (dtype == RDL_F32)
        memcpy(out, &(float){(float)value}, sizeof(float));
    else
        memcpy(out,
               &(uint16_t){dtype == RDL_F16 ? element_half(value) : element_bfloat((float)value)},
               sizeof(uint16_t));
    return RDL_OK;
}

static enum rdl_status parse_unsigned(const char *text, unsigned char *out, struct rdl_error *error)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || strchr(text, '-') != NULL)
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%s' is not a whole number from 0", text);
    if (errno == ERANGE)
        return cli_fail(error, RDL_ERR_ARGUMENT, "%s is too large", text);
    memcpy(out, &(uint64_t){value}, sizeof(uint64_t));
    return RDL_OK;
}

static enum rdl_status parse_integer(enum rdl_dtype dtype, const char *text, unsigned char *out,
                                     struct rdl_error *error)
{
    const unsigned bits = 8 * (unsigned)rdl_dtype_size(dtype);
    const bool has_sign =
        dtype == RDL_I8 || dtype == RDL_I16 || dtype == RDL_I32 || dtype == RDL_I64;
    int64_t low = 0, high = 1, value;
    if (dtype == RDL_U64)
        return parse_unsigned(text, out, error);
    if (dtype != RDL_BOOL) {
        high = bits == 64 ? INT64_MAX : (INT64_C(1) << (bits - has_sign)) - 1;
        low = has_sign ? -high - 1 : 0;
    } else if (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0) {
        text = strcasecmp(text, "true") == 0 ? "1" : "0";
    }
    CLI_TRY(cli_parse_number(text, low, high, &value, error));
    memcpy(out, &value, rdl_dtype_size(dtype)); /* the machine is little-endian */
    return RDL_OK;
}

enum rdl_status element_parse(enum rdl_dtype dtype, const char *text, size_t length,
                              unsigned char *out, struct rdl_error *error)
{
    char copy[64];
    if (length >= sizeof copy)
        return cli_fail(error, RDL_ERR_ARGUMENT, "'%.60s' is not a number", text);
    memcpy(copy, text, length);
    copy[length] = '\0';
    memset(out, 0, ELEMENT_BYTES);
    if (is_float(dtype))
        return parse_float(dtype, copy, out, error);
    switch (dtype) {
    case RDL_I8:
    case RDL_I16:
    case RDL_I32:
    case RDL_I64:
    case RDL_U8:
    case RDL_U16:
    case RDL_U32:
    case RDL_U64:
    case RDL_BOOL:
        return parse_integer(dtype, copy, out, error);
    default:
        return cli_fail(error, RDL_ERR_UNSUPPORTED, "dtype %s has no elements to be set",
                        rdl_dtype_name(dtype));
    }
}
