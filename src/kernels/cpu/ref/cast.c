/*
 * Reference Cast. No state; any thread.
 *
 * Elements pass through one of three wide forms in a small buffer: doubles hold every floating type
 * and every integer of 32 bits or less; 64-bit integers pass as integers, and reach a floating type
 * through a rounding to odd, which makes the second rounding right.
 */
#include "kernels/elementwise.h"

#include <math.h>

/* Types are arguments of the macros here. NOLINTBEGIN(bugprone-macro-parentheses) */

#define TILE_ELEMS 16384
#define CHUNK_ELEMS 256

size_t rdl__k_cast_plan(struct rdl__k_cast *params, int64_t count)
{
    params->count = count;
    params->tile_elems = TILE_ELEMS;
    return (size_t)((count + TILE_ELEMS - 1) / TILE_ELEMS);
}

static uint32_t bits_of(float value)
{
    union {
        float f;
        uint32_t u;
    } pun = {.f = value};
    return pun.u;
}

static float float_of(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } pun = {.u = bits};
    return pun.f;
}

float rdl__k_f16_to_f32(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    const uint32_t exponent = bits >> 10 & 0x1fu, mantissa = bits & 0x3ffu;
    if (exponent == 0x1f)
        return float_of(sign | 0x7f800000u | mantissa << 13);
    if (exponent != 0)
        return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    const float value = (float)mantissa * 0x1p-24f;
    return sign != 0 ? -value : value;
}

uint16_t rdl__k_f32_to_f16(float value)
{
    const uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffffu;
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    if (magnitude > 0x7f800000u) /* NaN: quiet, with what fits of its payload */
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x1ffu));
    if (magnitude >= 0x477ff000u) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude <
        0x38800000u) { /* below 2^-14: a multiple of 2^-24, by the adder's own rounding */
        const float sum = float_of(magnitude) + 0.5f;
        return (uint16_t)(sign | (bits_of(sum) - bits_of(0.5f)));
    }
    const uint32_t even = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude + 0xfffu + even - 0x38000000u) >> 13));
}

float rdl__k_bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t rdl__k_f32_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* The float next to value towards zero, its last bit set if that is not value: rounding this to a
 * shorter type gives what rounding value would. */
static float odd_of_double(double value)
{
    const float near = (float)value;
    if ((double)near == value || isnan(value))
        return near;
    uint32_t bits = bits_of(near);
    if (fabs((double)near) > fabs(value))
        bits--; /* towards zero; from infinity to the largest float */
    return float_of(bits | 1);
}

/* As odd_of_double, from an integer. */
static float odd_of_integer(uint64_t magnitude, bool negative)
{
    int shift = 0;
    uint64_t kept = magnitude;
    while (kept >= (uint64_t)1 << 24) {
        kept >>= 1;
        shift++;
    }
    if (kept << shift != magnitude)
        kept |= 1;
    const float value = ldexpf((float)kept, shift);
    return negative ? -value : value;
}

/* How elements travel between load and store. */
enum form { FORM_DOUBLE, FORM_SIGNED, FORM_UNSIGNED };

union wide {
    double d;
    int64_t i;
    uint64_t u;
};

static enum form form_of(enum rdl_dtype dtype)
{
    return dtype == RDL_I64 ? FORM_SIGNED : dtype == RDL_U64 ? FORM_UNSIGNED : FORM_DOUBLE;
}

#define LOAD_AS(dtype, type, member, value)                                                        \
    case RDL_##dtype: {                                                                            \
        const type *src = from;                                                                    \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i].member = (value);                                                               \
    } break;

static void load(enum rdl_dtype dtype, const void *from, union wide *out, int64_t n)
{
    switch (dtype) {
        LOAD_AS(F32, float, d, (double)src[i])
        LOAD_AS(F64, double, d, src[i])
        LOAD_AS(F16, uint16_t, d, (double)rdl__k_f16_to_f32(src[i]))
        LOAD_AS(BF16, uint16_t, d, (double)rdl__k_bf16_to_f32(src[i]))
        LOAD_AS(I8, int8_t, d, src[i])
        LOAD_AS(I16, int16_t, d, src[i])
        LOAD_AS(I32, int32_t, d, src[i])
        LOAD_AS(U8, uint8_t, d, src[i])
        LOAD_AS(U16, uint16_t, d, src[i])
        LOAD_AS(U32, uint32_t, d, src[i])
        LOAD_AS(BOOL, uint8_t, d, src[i] != 0)
        LOAD_AS(I64, int64_t, i, src[i])
        LOAD_AS(U64, uint64_t, u, src[i])
    case RDL_DTYPE_NONE:
    case RDL_STRING:
        break;
    }
}

/* Whole numbers from -2^53 to 2^53 pass exactly, so a double stands for the integers of 32 bits; a
 * floating source saturates. */
static int64_t saturate(double value, double low, double high, int64_t lowest, int64_t highest)
{
    if (isnan(value))
        return 0;
    return value <= low ? lowest : value >= high ? highest : (int64_t)value;
}

static uint64_t saturate_u64(double value)
{
    if (isnan(value) || value <= 0)
        return 0;
    return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

static bool is_float(enum rdl_dtype dtype)
{
    return dtype == RDL_F32 || dtype == RDL_F64 || dtype == RDL_F16 || dtype == RDL_BF16;
}

/* Low bits of an integer in any form. */
static uint64_t low_bits(enum form form, union wide value)
{
    return form == FORM_DOUBLE ? (uint64_t)(int64_t)value.d : value.u;
}

static float to_float_odd(enum form form, union wide value)
{
    if (form == FORM_DOUBLE)
        return odd_of_double(value.d);
    if (form == FORM_UNSIGNED)
        return odd_of_integer(value.u, false);
    return odd_of_integer(value.i < 0 ? 0 - value.u : value.u, value.i < 0);
}

#define STORE_AS(dtype, type, value)                                                               \
    case RDL_##dtype: {                                                                            \
        type *dst = to;                                                                            \
        for (int64_t i = 0; i < n; i++)                                                            \
            dst[i] = (type)(value);                                                                \
    } break;
#define PICK(cast)                                                                                 \
    (form == FORM_DOUBLE ? (cast)in[i].d : form == FORM_SIGNED ? (cast)in[i].i : (cast)in[i].u)
#define STORE_INT(dtype, type, low, high)                                                          \
    STORE_AS(dtype, type,                                                                          \
             saturates ? (type)saturate(in[i].d, (double)(low), (double)(high), low, high)         \
                       : (type)low_bits(form, in[i]))

static void store(enum rdl_dtype dtype, void *to, const union wide *in, int64_t n, enum form form,
                  bool saturates)
{
    switch (dtype) {
        STORE_AS(F32, float, PICK(float))
        STORE_AS(F64, double, PICK(double))
        STORE_AS(F16, uint16_t, rdl__k_f32_to_f16(to_float_odd(form, in[i])))
        STORE_AS(BF16, uint16_t, rdl__k_f32_to_bf16(to_float_odd(form, in[i])))
        STORE_INT(I8, int8_t, INT8_MIN, INT8_MAX)
        STORE_INT(I16, int16_t, INT16_MIN, INT16_MAX)
        STORE_INT(I32, int32_t, INT32_MIN, INT32_MAX)
        STORE_INT(I64, int64_t, INT64_MIN, INT64_MAX)
        STORE_INT(U8, uint8_t, 0, UINT8_MAX)
        STORE_INT(U16, uint16_t, 0, UINT16_MAX)
        STORE_INT(U32, uint32_t, 0, UINT32_MAX)
        STORE_AS(U64, uint64_t, saturates ? saturate_u64(in[i].d) : low_bits(form, in[i]))
        STORE_AS(BOOL, uint8_t, form == FORM_DOUBLE ? in[i].d != 0 : in[i].u != 0)
    case RDL_DTYPE_NONE:
    case RDL_STRING:
        break;
    }
}

enum rdl_status rdl__k_cast_ref(const struct rdl__kernel_call *call)
{
    const struct rdl__k_cast *p = call->params;
    const size_t from_size = rdl_dtype_size(p->from), to_size = rdl_dtype_size(p->to);
    const enum form form = form_of(p->from);
    int64_t end = (int64_t)call->tile_end * p->tile_elems;
    end = end < p->count ? end : p->count;
    union wide chunk[CHUNK_ELEMS];
    for (int64_t at = (int64_t)call->tile_begin * p->tile_elems; at < end; at += CHUNK_ELEMS) {
        const int64_t n = end - at < CHUNK_ELEMS ? end - at : CHUNK_ELEMS;
        load(p->from, (const char *)call->bind[0] + (size_t)at * from_size, chunk, n);
        store(p->to, (char *)call->bind[1] + (size_t)at * to_size, chunk, n, form,
              is_float(p->from));
    }
    return RDL_OK;
}

/* NOLINTEND(bugprone-macro-parentheses) */
