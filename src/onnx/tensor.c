/*
 * Elements of a tensor come as raw bytes, in one of six typed lists, or in a file beside the model.
 * In each case the size is compared with the shape before memory is asked for.
 *
 * Threading: no state.
 */
#include "onnx/tensor.h"

#include "base/mem.h"
#include "base/size.h"

#include <inttypes.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw_data is little-endian and is taken as it lies"
#endif

/* TensorProto.DataLocation */
#define LOCATION_EXTERNAL 1

/* Longest path of external data. */
#define MAX_LOCATION 4096

/* Names of data types that exist and are not supported, for the message. */
static const char *foreign_type(int64_t data_type)
{
    switch (data_type) {
    case 14:
        return "COMPLEX64";
    case 15:
        return "COMPLEX128";
    case 17:
        return "FLOAT8E4M3FN";
    case 18:
        return "FLOAT8E4M3FNUZ";
    case 19:
        return "FLOAT8E5M2";
    case 20:
        return "FLOAT8E5M2FNUZ";
    case 21:
        return "UINT4";
    case 22:
        return "INT4";
    case 23:
        return "FLOAT4E2M1";
    case 24:
        return "FLOAT8E8M0";
    case 25:
        return "UINT2";
    case 26:
        return "INT2";
    default:
        return NULL;
    }
}

enum rdl_status rdl__onnx_dtype(int64_t data_type, enum rdl_dtype *out, struct rdl_error *error)
{
    if (data_type > 0 && data_type < 64 && rdl_dtype_size((enum rdl_dtype)data_type) > 0) {
        *out = (enum rdl_dtype)data_type;
        return RDL_OK;
    }
    if (foreign_type(data_type) != NULL)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "data type %s is not supported",
                         foreign_type(data_type));
    return rdl__fail(error, RDL_ERR_MODEL, "data type %" PRId64 " is not known", data_type);
}

/* ---- typed lists ------------------------------------------------------------------------------- */

static enum rdl_status fail_element(struct rdl_error *error, size_t index, int64_t value,
                                    enum rdl_dtype dtype)
{
    return rdl__fail(error, RDL_ERR_MODEL, "element %zu (%" PRId64 ") does not fit into %s", index,
                     value, rdl_dtype_name(dtype));
}

/* int32_data holds every type of at most 32 bits that is no float; halves by their bits. */
static enum rdl_status narrow(const int64_t *in, size_t n, enum rdl_dtype dtype, void *out,
                              struct rdl_error *error)
{
    static const struct {
        int64_t min, max;
    } range[] = {
        [RDL_U8] = {0, UINT8_MAX},          [RDL_I8] = {INT8_MIN, INT8_MAX},
        [RDL_U16] = {0, UINT16_MAX},        [RDL_I16] = {INT16_MIN, INT16_MAX},
        [RDL_I32] = {INT32_MIN, INT32_MAX}, [RDL_BOOL] = {0, 1},
        [RDL_F16] = {0, UINT16_MAX},        [RDL_BF16] = {0, UINT16_MAX},
    };
    const size_t size = rdl_dtype_size(dtype);
    for (size_t i = 0; i < n; i++) {
        if (in[i] < range[dtype].min || in[i] > range[dtype].max)
            return fail_element(error, i, in[i], dtype);
        memcpy((char *)out + i * size, &in[i], size); /* little-endian: the low bytes */
    }
    return RDL_OK;
}

static enum rdl_status copy_unsigned(const uint64_t *in, size_t n, enum rdl_dtype dtype, void *out,
                                     struct rdl_error *error)
{
    const size_t size = rdl_dtype_size(dtype);
    for (size_t i = 0; i < n; i++) {
        if (dtype == RDL_U32 && in[i] > UINT32_MAX)
            return rdl__fail(error, RDL_ERR_MODEL,
                             "element %zu (%" PRIu64 ") does not fit into u32", i, in[i]);
        memcpy((char *)out + i * size, &in[i], size);
    }
    return RDL_OK;
}

static enum rdl_status copy_strings(const struct rdl__span *in, size_t n, struct rdl__arena *arena,
                                    struct rdl__string *out, struct rdl_error *error)
{
    for (size_t i = 0; i < n; i++) {
        out[i].bytes = rdl__arena_text(arena, (const char *)in[i].bytes, in[i].size_bytes);
        out[i].size = in[i].size_bytes;
        if (out[i].bytes == NULL)
            return rdl__fail_memory(error, "string", in[i].size_bytes);
    }
    return RDL_OK;
}

/* The list that holds elements of dtype. */
static const struct rdl__list *typed_list(const rdl__onnx_TensorProto *tensor, enum rdl_dtype dtype,
                                          const char **name)
{
    switch (dtype) {
    case RDL_F32:
        *name = "float_data";
        return &tensor->float_data;
    case RDL_F64:
        *name = "double_data";
        return &tensor->double_data;
    case RDL_I64:
        *name = "int64_data";
        return &tensor->int64_data;
    case RDL_U32:
    case RDL_U64:
        *name = "uint64_data";
        return &tensor->uint64_data;
    case RDL_STRING:
        *name = "string_data";
        return &tensor->string_data;
    default:
        *name = "int32_data";
        return &tensor->int32_data;
    }
}

static enum rdl_status copy_typed(const struct rdl__list *list, struct rdl__arena *arena,
                                  enum rdl_dtype dtype, void *out, struct rdl_error *error)
{
    const size_t n = list->n;
    switch (dtype) {
    case RDL_F32:
    case RDL_F64:
    case RDL_I64:
        if (n > 0)
            memcpy(out, list->items, n * rdl_dtype_size(dtype));
        return RDL_OK;
    case RDL_U32:
    case RDL_U64:
        return copy_unsigned(list->items, n, dtype, out, error);
    case RDL_STRING:
        return copy_strings(list->items, n, arena, out, error);
    default:
        return narrow(list->items, n, dtype, out, error);
    }
}

/* ---- external data ----------------------------------------------------------------------------- */

static bool key_is(struct rdl__span span, const char *key)
{
    return span.bytes != NULL && span.size_bytes == strlen(key) &&
           memcmp(span.bytes, key, span.size_bytes) == 0;
}

/* A decimal number without sign or space. */
static bool parse_size(struct rdl__span span, size_t *out)
{
    size_t value = 0;
    for (size_t i = 0; i < span.size_bytes; i++) {
        const unsigned digit = (unsigned)span.bytes[i] - '0';
        if (digit > 9 || !rdl__mul_size(value, 10, &value) || !rdl__add_size(value, digit, &value))
            return false;
    }
    *out = value;
    return span.size_bytes > 0;
}

/* Fills external from the tensor's keys; location [MAX_LOCATION] receives the path. */
static enum rdl_status read_keys(const rdl__onnx_TensorProto *tensor, char *location,
                                 struct rdl__external *external, struct rdl_error *error)
{
    const size_t expected = external->size_bytes;
    for (size_t i = 0; i < tensor->external_data.n; i++) {
        const rdl__onnx_StringStringEntryProto *entry =
            &RDL__ITEMS(tensor->external_data, rdl__onnx_StringStringEntryProto)[i];
        const struct rdl__span value = entry->value;
        size_t length = expected;
        if (key_is(entry->key, "location")) {
            if (value.size_bytes >= MAX_LOCATION || value.size_bytes == 0 ||
                memchr(value.bytes, '\0', value.size_bytes) != NULL)
                return rdl__fail(error, RDL_ERR_MODEL,
                                 "the location of external data is not a path");
            memcpy(location, value.bytes, value.size_bytes);
            location[value.size_bytes] = '\0';
            external->location = location;
        } else if (key_is(entry->key, "offset") && !parse_size(value, &external->offset_bytes)) {
            return rdl__fail(error, RDL_ERR_MODEL, "the offset of external data is not a number");
        } else if (key_is(entry->key, "length") && !parse_size(value, &length)) {
            return rdl__fail(error, RDL_ERR_MODEL, "the length of external data is not a number");
        }
        if (length != expected)
            return rdl__fail(error, RDL_ERR_MODEL,
                             "external data of %zu bytes, dtype and shape need %zu", length,
                             expected);
    }
    if (external->location == NULL)
        return rdl__fail(error, RDL_ERR_MODEL, "external data without a location");
    return RDL_OK;
}

/* ---- the tensor -------------------------------------------------------------------------------- */

/* Memory for elements; at least one byte, for NULL would mean that they are not known. */
static void *new_elements(struct rdl__arena *arena, size_t size_bytes, struct rdl_error *error)
{
    void *data = rdl__arena_alloc_aligned(arena, RDL_ALIGN, size_bytes == 0 ? 1 : size_bytes);
    if (data == NULL)
        (void)rdl__fail_memory(error, "elements", size_bytes);
    return data;
}

static enum rdl_status take_external(const rdl__onnx_TensorProto *tensor,
                                     const struct rdl__onnx_options *options,
                                     struct rdl__arena *arena, size_t size_bytes,
                                     struct rdl__desc *desc, struct rdl_error *error)
{
    char location[MAX_LOCATION];
    struct rdl__external external = {.folder = options->folder, .size_bytes = size_bytes};
    RDL_TRY(read_keys(tensor, location, &external, error));
    int fd;
    RDL_TRY(rdl__external_open(&external, &fd, error));
    void *out = new_elements(arena, size_bytes, error);
    external.size_bytes = out == NULL ? 0 : size_bytes; /* the descriptor is closed in any case */
    const enum rdl_status status = rdl__external_read(&external, fd, options->stop, out, error);
    desc->data = out;
    return out == NULL ? RDL_ERR_NO_MEMORY : status;
}

/* Booleans of any other byte than 0 and 1 become 1. */
static bool has_odd_bools(const uint8_t *bytes, size_t n)
{
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= bytes[i];
    return all > 1;
}

static void make_bools(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = bytes[i] != 0;
}

static enum rdl_status take_raw(struct rdl__span raw, const struct rdl__onnx_options *options,
                                struct rdl__arena *arena, size_t size_bytes, struct rdl__desc *desc,
                                struct rdl_error *error)
{
    char text[RDL__SHAPE_TEXT_BYTES];
    if (raw.size_bytes != size_bytes)
        return rdl__fail(error, RDL_ERR_MODEL, "raw_data has %zu bytes, shape %s of %s needs %zu",
                         raw.size_bytes, rdl__shape_text(&desc->shape, text, sizeof text),
                         rdl_dtype_name(desc->dtype), size_bytes);
    const bool aligned = (uintptr_t)raw.bytes % rdl_dtype_size(desc->dtype) == 0;
    if (options->reference_weights && aligned && size_bytes > 0 &&
        !(desc->dtype == RDL_BOOL && has_odd_bools(raw.bytes, size_bytes))) {
        desc->data = raw.bytes;
        return RDL_OK;
    }
    void *out = new_elements(arena, size_bytes, error);
    if (out == NULL)
        return RDL_ERR_NO_MEMORY;
    if (size_bytes > 0)
        memcpy(out, raw.bytes, size_bytes);
    desc->data = out;
    return RDL_OK;
}

static enum rdl_status take_typed(const rdl__onnx_TensorProto *tensor, struct rdl__arena *arena,
                                  size_t size_bytes, struct rdl__desc *desc,
                                  struct rdl_error *error)
{
    const char *name;
    char text[RDL__SHAPE_TEXT_BYTES];
    const struct rdl__list *list = typed_list(tensor, desc->dtype, &name);
    if (list->n != rdl__shape_count(&desc->shape))
        return rdl__fail(error, RDL_ERR_MODEL, "%s has %zu elements, shape %s of %s needs %zu",
                         name, list->n, rdl__shape_text(&desc->shape, text, sizeof text),
                         rdl_dtype_name(desc->dtype), rdl__shape_count(&desc->shape));
    void *out = new_elements(arena, size_bytes, error);
    if (out == NULL)
        return RDL_ERR_NO_MEMORY;
    desc->data = out;
    return copy_typed(list, arena, desc->dtype, out, error);
}

static enum rdl_status take_shape(const rdl__onnx_TensorProto *tensor, struct rdl__shape *shape,
                                  struct rdl_error *error)
{
    if (tensor->dims.n > RDL_MAX_RANK)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "rank %zu is above %d", tensor->dims.n,
                         RDL_MAX_RANK);
    const int32_t rank = (int32_t)tensor->dims.n;
    const enum rdl_status status = rdl__shape_check(rank, tensor->dims.items, error);
    if (status != RDL_OK) {
        if (error != NULL)
            error->status = RDL_ERR_MODEL; /* no shape of the caller's */
        return RDL_ERR_MODEL;
    }
    rdl__shape_set(shape, rank, tensor->dims.items);
    return RDL_OK;
}

enum rdl_status rdl__onnx_tensor(const rdl__onnx_TensorProto *tensor,
                                 const struct rdl__onnx_options *options, struct rdl__arena *arena,
                                 struct rdl__desc *desc, struct rdl_error *error)
{
    *desc = (struct rdl__desc){.dtype = RDL_DTYPE_NONE};
    if (tensor->segment != NULL)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "tensors in segments are not supported");
    RDL_TRY(rdl__onnx_dtype(tensor->data_type, &desc->dtype, error));
    RDL_TRY(take_shape(tensor, &desc->shape, error));
    const size_t size = rdl__shape_count(&desc->shape) * rdl_dtype_size(desc->dtype);
    const bool external = tensor->data_location == LOCATION_EXTERNAL;
    if (tensor->data_location != 0 && !external)
        return rdl__fail(error, RDL_ERR_MODEL, "data location %" PRId64 " is not known",
                         tensor->data_location);
    if (desc->dtype == RDL_STRING && (external || tensor->raw_data.size_bytes > 0))
        return rdl__fail(error, RDL_ERR_MODEL, "strings cannot be raw or external data");
    if (external) {
        RDL_TRY(take_external(tensor, options, arena, size, desc, error));
    } else if (tensor->raw_data.size_bytes > 0) {
        RDL_TRY(take_raw(tensor->raw_data, options, arena, size, desc, error));
    } else {
        return take_typed(tensor, arena, size, desc, error);
    }
    if (desc->dtype == RDL_BOOL && desc->data != tensor->raw_data.bytes)
        make_bools((uint8_t *)(uintptr_t)desc->data, size);
    return RDL_OK;
}
