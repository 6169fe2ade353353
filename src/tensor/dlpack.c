/*
 * DLPack in and out. An exported structure holds a reference to its tensor; an imported one is held by
 * the tensor that was made of it and given back by its deleter.
 */
#include "raddle/dlpack.h"

#include "base/mem.h"
#include "base/status.h"
#include "tensor/tensor.h"

#include <inttypes.h>

#define DEVICE_CPU 1
#define MAJOR 1
#define MINOR 0

enum code { CODE_INT = 0, CODE_UINT = 1, CODE_FLOAT = 2, CODE_BFLOAT = 4, CODE_BOOL = 6 };

static const struct {
    enum rdl_dtype dtype;
    uint8_t code, bits;
} codes[] = {
    {RDL_F32, CODE_FLOAT, 32},   {RDL_F64, CODE_FLOAT, 64}, {RDL_F16, CODE_FLOAT, 16},
    {RDL_BF16, CODE_BFLOAT, 16}, {RDL_I8, CODE_INT, 8},     {RDL_I16, CODE_INT, 16},
    {RDL_I32, CODE_INT, 32},     {RDL_I64, CODE_INT, 64},   {RDL_U8, CODE_UINT, 8},
    {RDL_U16, CODE_UINT, 16},    {RDL_U32, CODE_UINT, 32},  {RDL_U64, CODE_UINT, 64},
    {RDL_BOOL, CODE_BOOL, 8},
};

static enum rdl_dtype find_dtype(const struct rdl_dlpack_tensor *tensor)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == tensor->dtype_code && codes[i].bits == tensor->dtype_bits &&
            tensor->dtype_lanes == 1)
            return codes[i].dtype;
    return RDL_DTYPE_NONE;
}

static void give_back(void *data, void *user)
{
    struct rdl_dlpack *dlpack = user;
    (void)data;
    if (dlpack->deleter != NULL)
        dlpack->deleter(dlpack);
}

enum rdl_status rdl_tensor_from_dlpack(struct rdl_dlpack *dlpack, struct rdl_tensor **out,
                                       struct rdl_error *error)
{
    if (dlpack == NULL || out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_tensor_from_dlpack: %s is NULL",
                         dlpack == NULL ? "dlpack" : "out");
    *out = NULL;
    const struct rdl_dlpack_tensor *from = &dlpack->tensor;
    if (dlpack->version.major != MAJOR)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                         "rdl_tensor_from_dlpack: version %" PRIu32 ".%" PRIu32 ", expected %d.x",
                         dlpack->version.major, dlpack->version.minor, MAJOR);
    if (from->device_type != DEVICE_CPU)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                         "rdl_tensor_from_dlpack: device type %" PRId32
                         ", expected host memory (1)",
                         from->device_type);
    const enum rdl_dtype dtype = find_dtype(from);
    if (dtype == RDL_DTYPE_NONE)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                         "rdl_tensor_from_dlpack: dtype code %u, %u bits, %u lanes",
                         from->dtype_code, from->dtype_bits, from->dtype_lanes);
    enum rdl_status status = rdl__shape_check(from->ndim, from->shape, error);
    if (status != RDL_OK)
        return rdl__fail_within(error, status, "rdl_tensor_from_dlpack");
    for (int32_t i = 0; from->strides != NULL && i < from->ndim; i++)
        if (from->strides[i] < 0)
            return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                             "rdl_tensor_from_dlpack: stride %" PRId32 " is negative", i);
    /* DLPack does not say how much memory there is: what its shape and strides span is all. */
    char *data = from->data != NULL ? (char *)from->data + from->byte_offset : NULL;
    status = rdl_tensor_wrap(dtype, from->ndim, from->shape, from->strides, data, PTRDIFF_MAX,
                             give_back, dlpack, out, error);
    if (status == RDL_ERR_BUFFER_SIZE)
        return rdl__fail(error, RDL_ERR_OVERFLOW, "rdl_tensor_from_dlpack: size overflows");
    if (status != RDL_OK)
        return rdl__fail_within(error, status, "rdl_tensor_from_dlpack");
    (*out)->capacity_bytes = rdl__tensor_span_bytes(*out);
    (*out)->is_read_only = (dlpack->flags & RDL_DLPACK_READ_ONLY) != 0;
    return RDL_OK;
}

/* What an exported tensor needs to live on: shape and strides are the copy's own. */
struct export {
    struct rdl_dlpack dlpack;
    struct rdl_tensor *tensor;
    int64_t shape[RDL_MAX_RANK], strides[RDL_MAX_RANK];
};

static void delete_export(struct rdl_dlpack *self)
{
    struct export *export = self->manager_ctx;
    rdl_tensor_release(export->tensor);
    rdl__free(export);
}

enum rdl_status rdl_tensor_to_dlpack(struct rdl_tensor *tensor, struct rdl_dlpack **out,
                                     struct rdl_error *error)
{
    if (tensor == NULL || out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_tensor_to_dlpack: %s is NULL",
                         tensor == NULL ? "tensor" : "out");
    *out = NULL;
    size_t i = 0;
    while (i < sizeof codes / sizeof *codes && codes[i].dtype != tensor->dtype)
        i++;
    if (i == sizeof codes / sizeof *codes || !tensor->is_host)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "rdl_tensor_to_dlpack: %s",
                         tensor->is_host ? "string elements" : "device memory");
    struct export *export = rdl__alloc_zeroed(1, sizeof *export);
    if (export == NULL)
        return rdl__fail_memory(error, "rdl_tensor_to_dlpack", sizeof *export);
    for (int32_t d = 0; d < tensor->shape.rank; d++) {
        export->shape[d] = tensor->shape.dims[d];
        export->strides[d] = tensor->strides[d];
    }
    export->tensor = rdl_tensor_retain(tensor);
    export->dlpack = (struct rdl_dlpack){
        .version = {MAJOR, MINOR},
        .manager_ctx = export,
        .deleter = delete_export,
        .flags = tensor->is_read_only ? RDL_DLPACK_READ_ONLY : 0,
        .tensor = {.data = tensor->data,
                   .device_type = DEVICE_CPU,
                   .ndim = tensor->shape.rank,
                   .dtype_code = codes[i].code,
                   .dtype_bits = codes[i].bits,
                   .dtype_lanes = 1,
                   .shape = export->shape,
                   .strides = export->strides},
    };
    *out = &export->dlpack;
    return RDL_OK;
}
