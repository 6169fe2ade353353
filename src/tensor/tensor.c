/*
 * Tensors: making, freeing, copying. See tensor.h for who owns what.
 */
#include "tensor/tensor.h"

#include "base/mem.h"
#include "base/size.h"
#include "runtime/lifecycle.h"

#include <inttypes.h>
#include <string.h>

/* Element of a STRING tensor that owns its memory. */
struct string {
    char *bytes; /* NULL: empty */
    size_t size;
};
_Static_assert(sizeof(struct string) == 16, "as in RDL_DTYPE_LIST");

bool rdl__tensor_bytes(enum rdl_dtype dtype, const struct rdl__shape *shape, size_t *out)
{
    return rdl__mul_size(rdl__shape_count(shape), rdl_dtype_size(dtype), out);
}

/* ------------------------------------------------------------------------------------- checking */

static enum rdl_status check(enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                             struct rdl_tensor **out, struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "tensor: out is NULL");
    *out = NULL;
    if (rdl_dtype_size(dtype) == 0)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "tensor: unknown dtype %d", (int)dtype);
    const enum rdl_status status = rdl__shape_check(rank, dims, error);
    return status == RDL_OK ? RDL_OK : rdl__fail_within(error, status, "tensor");
}

/* Elements that a strided shape spans, from the first to one past the last; false on overflow or a
 * negative stride. */
static bool span(const struct rdl__shape *shape, const int64_t *strides, size_t *out)
{
    size_t last = 0;
    for (int32_t i = 0; i < shape->rank; i++) {
        size_t step;
        if (shape->dims[i] == 0) {
            *out = 0;
            return true;
        }
        if (strides[i] < 0 ||
            !rdl__mul_size((size_t)(shape->dims[i] - 1), (size_t)strides[i], &step) ||
            !rdl__add_size(last, step, &last))
            return false;
    }
    return rdl__add_size(last, 1, out);
}

size_t rdl__tensor_span_bytes(const struct rdl_tensor *tensor)
{
    size_t elems = 0;
    (void)span(&tensor->shape, tensor->strides, &elems); /* fits: lay_out has checked */
    return elems * rdl_dtype_size(tensor->dtype);
}

static bool is_c_order(const struct rdl_tensor *tensor)
{
    int64_t expected[RDL_MAX_RANK];
    rdl__shape_strides(&tensor->shape, expected);
    for (int32_t i = 0; i < tensor->shape.rank; i++)
        if (tensor->shape.dims[i] > 1 && tensor->strides[i] != expected[i])
            return false;
    return true;
}

/* Sets dtype, shape and strides (NULL: C order) and checks that they stay within capacity_bytes. */
static enum rdl_status lay_out(struct rdl_tensor *tensor, enum rdl_dtype dtype, int32_t rank,
                               const int64_t *dims, const int64_t *strides, struct rdl_error *error)
{
    tensor->dtype = dtype;
    rdl__shape_set(&tensor->shape, rank, dims);
    rdl__shape_strides(&tensor->shape, tensor->strides);
    for (int32_t i = 0; i < rank && strides != NULL; i++) {
        if (strides[i] < 0)
            return rdl__fail(error, RDL_ERR_ARGUMENT,
                             "tensor: stride %" PRId32 " is negative (%" PRId64 ")", i, strides[i]);
        tensor->strides[i] = strides[i];
    }
    tensor->is_contiguous = is_c_order(tensor);
    size_t elems, bytes;
    if (!span(&tensor->shape, tensor->strides, &elems) ||
        !rdl__mul_size(elems, rdl_dtype_size(dtype), &bytes))
        return rdl__fail(error, RDL_ERR_OVERFLOW, "tensor: size overflows");
    if (bytes > tensor->capacity_bytes)
        return rdl__fail(error, RDL_ERR_BUFFER_SIZE,
                         "tensor: shape and strides reach over %zu bytes of %zu", bytes,
                         tensor->capacity_bytes);
    return RDL_OK;
}

static struct rdl_tensor *new_tensor(struct rdl_error *error)
{
    rdl__runtime_settle_config();
    struct rdl_tensor *tensor = rdl__alloc_zeroed(1, sizeof *tensor);
    if (tensor == NULL)
        (void)rdl__fail_memory(error, "tensor", sizeof *tensor);
    else
        rdl__store_relaxed(&tensor->references, 1); /* nobody else knows it yet */
    return tensor;
}

/* --------------------------------------------------------------------------------------- making */

enum rdl_status rdl_tensor_new(enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                               struct rdl_tensor **out, struct rdl_error *error)
{
    RDL_TRY(check(dtype, rank, dims, out, error));
    struct rdl_tensor *tensor = new_tensor(error);
    if (tensor == NULL)
        return RDL_ERR_NO_MEMORY;
    tensor->capacity_bytes = SIZE_MAX;
    enum rdl_status status = lay_out(tensor, dtype, rank, dims, NULL, error);
    size_t bytes = 0;
    if (status == RDL_OK)
        (void)rdl__tensor_bytes(dtype, &tensor->shape, &bytes); /* fits: lay_out has checked */
    if (status == RDL_OK && (tensor->data = rdl__alloc_aligned(RDL_ALIGN, bytes)) == NULL)
        status = rdl__fail_memory(error, "tensor", bytes);
    if (status != RDL_OK) {
        rdl__free(tensor);
        return status;
    }
    memset(tensor->data, 0, bytes);
    tensor->capacity_bytes = bytes;
    tensor->is_host = true;
    tensor->memory = RDL__MEMORY_OWN;
    *out = tensor;
    return RDL_OK;
}

static enum rdl_status check_data(enum rdl_dtype dtype, const void *data, const int64_t *dims,
                                  int32_t rank, struct rdl_error *error)
{
    bool empty = false;
    for (int32_t i = 0; i < rank; i++)
        empty = empty || dims[i] == 0;
    if (dtype == RDL_STRING)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "tensor: string elements cannot be lent");
    if (data == NULL && !empty)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "tensor: data is NULL");
    if ((uintptr_t)data % rdl_dtype_size(dtype) != 0)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "tensor: data is not aligned to %zu bytes",
                         rdl_dtype_size(dtype));
    return RDL_OK;
}

enum rdl_status rdl_tensor_wrap(enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                                const int64_t *strides, void *data, size_t size_bytes,
                                rdl_free_fn free_fn, void *user, struct rdl_tensor **out,
                                struct rdl_error *error)
{
    RDL_TRY(check(dtype, rank, dims, out, error));
    RDL_TRY(check_data(dtype, data, dims, rank, error));
    struct rdl_tensor *tensor = new_tensor(error);
    if (tensor == NULL)
        return RDL_ERR_NO_MEMORY;
    tensor->capacity_bytes = size_bytes;
    const enum rdl_status status = lay_out(tensor, dtype, rank, dims, strides, error);
    if (status != RDL_OK) {
        rdl__free(tensor);
        return status;
    }
    tensor->data = data;
    tensor->is_host = true;
    tensor->memory = RDL__MEMORY_LENT;
    tensor->owner.lent.free_fn = free_fn;
    tensor->owner.lent.data = data;
    tensor->owner.lent.user = user;
    *out = tensor;
    return RDL_OK;
}

enum rdl_status rdl_tensor_from_buffer(enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                                       struct rdl_buffer *buffer, size_t offset_bytes,
                                       struct rdl_tensor **out, struct rdl_error *error)
{
    RDL_TRY(check(dtype, rank, dims, out, error));
    if (buffer == NULL || offset_bytes > rdl_buffer_size(buffer))
        return rdl__fail(error, buffer == NULL ? RDL_ERR_ARGUMENT : RDL_ERR_BUFFER_SIZE,
                         "tensor: %s",
                         buffer == NULL ? "buffer is NULL" : "offset lies behind the buffer");
    char *data = (char *)rdl_buffer_data(buffer) + offset_bytes;
    RDL_TRY(check_data(dtype, data, dims, rank, error));
    struct rdl_tensor *tensor = new_tensor(error);
    if (tensor == NULL)
        return RDL_ERR_NO_MEMORY;
    tensor->capacity_bytes = rdl_buffer_size(buffer) - offset_bytes;
    const enum rdl_status status = lay_out(tensor, dtype, rank, dims, NULL, error);
    if (status != RDL_OK) {
        rdl__free(tensor);
        return status;
    }
    tensor->data = data;
    tensor->is_host = rdl_buffer_is_host(buffer);
    tensor->memory = RDL__MEMORY_BUFFER;
    tensor->owner.buffer = rdl_buffer_retain(buffer);
    *out = tensor;
    return RDL_OK;
}

enum rdl_status rdl_tensor_view(struct rdl_tensor *src, int32_t rank, const int64_t *dims,
                                const int64_t *strides, size_t offset_elems,
                                struct rdl_tensor **out, struct rdl_error *error)
{
    if (src == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "tensor: src is NULL");
    RDL_TRY(check(src->dtype, rank, dims, out, error));
    size_t offset_bytes;
    if (!rdl__mul_size(offset_elems, rdl_dtype_size(src->dtype), &offset_bytes) ||
        offset_bytes > src->capacity_bytes)
        return rdl__fail(error, RDL_ERR_BUFFER_SIZE, "tensor: offset lies behind the memory");
    struct rdl_tensor *tensor = new_tensor(error);
    if (tensor == NULL)
        return RDL_ERR_NO_MEMORY;
    tensor->capacity_bytes = src->capacity_bytes - offset_bytes;
    const enum rdl_status status = lay_out(tensor, src->dtype, rank, dims, strides, error);
    if (status != RDL_OK) {
        rdl__free(tensor);
        return status;
    }
    tensor->data = src->data == NULL ? NULL : src->data + offset_bytes;
    tensor->is_host = src->is_host;
    tensor->is_read_only = src->is_read_only;
    tensor->memory = RDL__MEMORY_VIEW;
    /* Views of views hold the owner, so chains stay short. */
    tensor->owner.base = rdl_tensor_retain(src->memory == RDL__MEMORY_VIEW ? src->owner.base : src);
    *out = tensor;
    return RDL_OK;
}

struct rdl_value *rdl__output_init(struct rdl__device *device, struct rdl__block *block,
                                   enum rdl_dtype dtype, const struct rdl__shape *shape)
{
    struct rdl__output *output = (struct rdl__output *)(void *)block->address;
    struct rdl_tensor *tensor = &output->tensor;
    tensor->dtype = dtype;
    tensor->data = block->address + RDL__OUTPUT_HEADER;
    tensor->capacity_bytes = block->size_bytes - RDL__OUTPUT_HEADER;
    tensor->is_host = true;
    tensor->is_read_only = false;
    tensor->memory = RDL__MEMORY_BLOCK;
    tensor->owner.block.device = device;
    tensor->owner.block.block = block;
    rdl__tensor_reshape(tensor, shape);
    rdl__store_relaxed(&tensor->references, 1); /* the value's; nobody else knows it yet */
    output->value.kind = RDL_VALUE_TENSOR;
    output->value.tensor = tensor;
    output->value.items = NULL;
    output->value.count = 0;
    output->value.is_embedded = true;
    rdl__store_relaxed(&output->value.references, 1); /* the caller's */
    return &output->value;
}

void rdl__tensor_reshape(struct rdl_tensor *tensor, const struct rdl__shape *shape)
{
    tensor->shape = *shape;
    rdl__shape_strides(shape, tensor->strides);
    tensor->is_contiguous = true;
}

/* --------------------------------------------------------------------------------------- freeing */

struct rdl_tensor *rdl_tensor_retain(struct rdl_tensor *tensor)
{
    rdl__add_relaxed(&tensor->references, 1); /* from a reference that the caller holds */
    return tensor;
}

static void free_own(struct rdl_tensor *tensor)
{
    struct string *strings = (struct string *)(void *)tensor->data;
    for (size_t i = 0; tensor->dtype == RDL_STRING && i < rdl_tensor_count(tensor); i++)
        rdl__free(strings[i].bytes);
    rdl__free(tensor->data);
}

void rdl_tensor_release(struct rdl_tensor *tensor)
{
    if (tensor == NULL || rdl__sub_acq_rel(&tensor->references, 1) != 1)
        return;
    switch (tensor->memory) {
    case RDL__MEMORY_OWN:
        free_own(tensor);
        break;
    case RDL__MEMORY_LENT:
        if (tensor->owner.lent.free_fn != NULL)
            tensor->owner.lent.free_fn(tensor->owner.lent.data, tensor->owner.lent.user);
        break;
    case RDL__MEMORY_BUFFER:
        rdl_buffer_release(tensor->owner.buffer);
        break;
    case RDL__MEMORY_VIEW:
        rdl_tensor_release(tensor->owner.base);
        break;
    case RDL__MEMORY_BLOCK: /* the structure goes with the block */
        rdl__memory_free(tensor->owner.block.device, tensor->owner.block.block, NULL, 0);
        return;
    }
    rdl__free(tensor);
}

/* --------------------------------------------------------------------------------------- readers */

enum rdl_dtype rdl_tensor_dtype(const struct rdl_tensor *tensor)
{
    return tensor->dtype;
}

int32_t rdl_tensor_rank(const struct rdl_tensor *tensor)
{
    return tensor->shape.rank;
}

const int64_t *rdl_tensor_dims(const struct rdl_tensor *tensor)
{
    return tensor->shape.dims;
}

const int64_t *rdl_tensor_strides(const struct rdl_tensor *tensor)
{
    return tensor->strides;
}

size_t rdl_tensor_count(const struct rdl_tensor *tensor)
{
    return rdl__shape_count(&tensor->shape);
}

void *rdl_tensor_data(const struct rdl_tensor *tensor)
{
    return tensor->data;
}

size_t rdl_tensor_capacity_bytes(const struct rdl_tensor *tensor)
{
    return tensor->capacity_bytes;
}

bool rdl_tensor_is_host(const struct rdl_tensor *tensor)
{
    return tensor->is_host;
}

/* --------------------------------------------------------------------------------------- strings */

/* Address of element `index` in C order. */
static char *element(const struct rdl_tensor *tensor, size_t index)
{
    size_t offset = 0;
    RDL_ASSERT(tensor->shape.rank >= 0 && tensor->shape.rank <= RDL_MAX_RANK);
    for (int32_t i = tensor->shape.rank - 1; i >= 0; i--) {
        const size_t dim = (size_t)tensor->shape.dims[i];
        offset += index % dim * (size_t)tensor->strides[i];
        index /= dim;
    }
    return tensor->data + offset * rdl_dtype_size(tensor->dtype);
}

enum rdl_status rdl_tensor_get_string(const struct rdl_tensor *tensor, size_t index,
                                      const char **out_bytes, size_t *out_size)
{
    if (tensor->dtype != RDL_STRING || index >= rdl_tensor_count(tensor))
        return RDL_ERR_ARGUMENT;
    const struct string *string = (const struct string *)(void *)element(tensor, index);
    *out_bytes = string->bytes != NULL ? string->bytes : "";
    *out_size = string->size;
    return RDL_OK;
}

static enum rdl_status set_string(struct string *string, const char *bytes, size_t size)
{
    char *copy = NULL;
    if (size > 0) {
        copy = rdl__alloc(size);
        if (copy == NULL)
            return RDL_ERR_NO_MEMORY;
        memcpy(copy, bytes, size);
    }
    rdl__free(string->bytes);
    *string = (struct string){copy, size};
    return RDL_OK;
}

enum rdl_status rdl_tensor_set_string(struct rdl_tensor *tensor, size_t index, const char *bytes,
                                      size_t size)
{
    if (tensor->dtype != RDL_STRING || index >= rdl_tensor_count(tensor))
        return RDL_ERR_ARGUMENT;
    return set_string((struct string *)(void *)element(tensor, index), bytes, size);
}

/* --------------------------------------------------------------------------------------- copying */

/* Copies runs of the innermost dimension; the outer ones are counted like an odometer. */
static void copy_elements(const struct rdl_tensor *src, char *dst, const int64_t *dst_strides)
{
    const struct rdl__shape *shape = &src->shape;
    RDL_ASSERT(shape->rank >= 0 && shape->rank <= RDL_MAX_RANK);
    const size_t size = rdl_dtype_size(src->dtype), count = rdl__shape_count(shape);
    const int32_t inner = shape->rank - 1;
    const size_t run = shape->rank > 0 ? (size_t)shape->dims[inner] : 1;
    const int64_t from_step = shape->rank > 0 ? src->strides[inner] : 1;
    const int64_t to_step = shape->rank > 0 ? dst_strides[inner] : 1;
    int64_t at[RDL_MAX_RANK] = {0};
    for (size_t done = 0; done < count; done += run) {
        int64_t from = 0, to = 0;
        for (int32_t i = 0; i < inner; i++) {
            from += at[i] * src->strides[i];
            to += at[i] * dst_strides[i];
        }
        const char *source = src->data + from * (int64_t)size;
        char *target = dst + to * (int64_t)size;
        if (from_step == 1 && to_step == 1)
            memcpy(target, source, run * size);
        else
            for (size_t k = 0; k < run; k++)
                memcpy(target + (int64_t)k * to_step * (int64_t)size,
                       source + (int64_t)k * from_step * (int64_t)size, size);
        for (int32_t i = inner - 1; i >= 0 && ++at[i] == shape->dims[i]; i--)
            at[i] = 0;
    }
}

void rdl__tensor_pack(const struct rdl_tensor *src, void *dst)
{
    int64_t strides[RDL_MAX_RANK];
    rdl__shape_strides(&src->shape, strides);
    if (src->is_contiguous) {
        size_t bytes = 0;
        (void)rdl__tensor_bytes(src->dtype, &src->shape, &bytes);
        if (bytes > 0)
            memcpy(dst, src->data, bytes);
    } else {
        copy_elements(src, dst, strides);
    }
}

static enum rdl_status copy_strings(const struct rdl_tensor *src, struct rdl_tensor *dst)
{
    const size_t count = rdl_tensor_count(src);
    for (size_t i = 0; i < count; i++) {
        const struct string *from = (const struct string *)(void *)element(src, i);
        RDL_TRY(set_string((struct string *)(void *)element(dst, i), from->bytes, from->size));
    }
    return RDL_OK;
}

enum rdl_status rdl_tensor_copy(const struct rdl_tensor *src, struct rdl_tensor *dst,
                                struct rdl_error *error)
{
    if (src == NULL || dst == NULL || !src->is_host || !dst->is_host || dst->is_read_only)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_tensor_copy: %s",
                         src == NULL || dst == NULL       ? "a tensor is NULL"
                         : !src->is_host || !dst->is_host ? "a tensor is not in host memory"
                                                          : "dst is read-only");
    if (src->dtype != dst->dtype || !rdl__shape_equal(&src->shape, &dst->shape)) {
        char from[RDL__SHAPE_TEXT_BYTES], to[RDL__SHAPE_TEXT_BYTES];
        return rdl__fail(error, RDL_ERR_SHAPE, "rdl_tensor_copy: %s %s into %s %s",
                         rdl_dtype_name(src->dtype),
                         rdl__shape_text(&src->shape, from, sizeof from),
                         rdl_dtype_name(dst->dtype), rdl__shape_text(&dst->shape, to, sizeof to));
    }
    if (rdl_tensor_count(src) == 0)
        return RDL_OK;
    if (src->dtype != RDL_STRING) {
        copy_elements(src, dst->data, dst->strides);
        return RDL_OK;
    }
    if (copy_strings(src, dst) != RDL_OK)
        return rdl__fail(error, RDL_ERR_NO_MEMORY, "rdl_tensor_copy: no memory for strings");
    return RDL_OK;
}
