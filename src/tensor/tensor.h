/*
 * Tensors and values from the inside.
 *
 * Everything in a tensor but its reference count is fixed while it is shared; a run writes dims and
 * strides of an output that it was given, which then has one user. A view keeps the tensor that owns the
 * memory alive.
 */
#ifndef RDL_TENSOR_TENSOR_H
#define RDL_TENSOR_TENSOR_H

#include "os/atomic.h"
#include "runtime/buffer.h"
#include "tensor/shape.h"

/** Who owns a tensor's memory, and so how it is freed. */
enum rdl__memory_kind {
    RDL__MEMORY_OWN,    /* the library's allocator */
    RDL__MEMORY_LENT,   /* the user's; free_fn, if any, gives it back */
    RDL__MEMORY_BUFFER, /* a buffer; a reference is held */
    RDL__MEMORY_VIEW,   /* another tensor; a reference is held */
    RDL__MEMORY_BLOCK   /* a block of a device, which also holds this structure */
};

struct rdl_tensor {
    _Atomic uint32_t references;
    enum rdl_dtype dtype;
    struct rdl__shape shape;
    int64_t strides[RDL_MAX_RANK];
    char *data;
    size_t capacity_bytes;
    bool is_host;
    bool is_read_only;
    bool is_contiguous; /* C order */
    enum rdl__memory_kind memory;
    union {
        struct {
            rdl_free_fn free_fn;
            void *data, *user;
        } lent;
        struct rdl_buffer *buffer;
        struct rdl_tensor *base;
        struct {
            struct rdl__device *device;
            struct rdl__block *block;
        } block;
    } owner;
};

struct rdl_value {
    _Atomic uint32_t references;
    enum rdl_value_kind kind;
    struct rdl_tensor *tensor; /* TENSOR; a reference is held */
    struct rdl_value **items;  /* SEQUENCE, OPTIONAL: [count], a reference to each is held */
    size_t count;
    bool is_embedded; /* lies in the memory of its tensor's block */
};

/** An output in one block: its value, its tensor, and behind them its data. */
struct rdl__output {
    struct rdl_value value;
    struct rdl_tensor tensor;
};
/** Bytes in front of an output's data; a multiple of the data's alignment. */
#define RDL__OUTPUT_HEADER 512
_Static_assert(sizeof(struct rdl__output) <= RDL__OUTPUT_HEADER, "header fits");

/** Makes an output in a block of host memory of at least RDL__OUTPUT_HEADER + size bytes. The block is
 * freed with the last reference. */
struct rdl_value *rdl__output_init(struct rdl__device *device, struct rdl__block *block,
                                   enum rdl_dtype dtype, const struct rdl__shape *shape);

/** Sets the shape of a tensor that has one user, C order; it fits the capacity. */
void rdl__tensor_reshape(struct rdl_tensor *tensor, const struct rdl__shape *shape);

/** Copies all elements of src, any strides, into C order at dst. Not STRING. */
void rdl__tensor_pack(const struct rdl_tensor *src, void *dst);

/** Bytes from the first element of a tensor to the end of its last. */
size_t rdl__tensor_span_bytes(const struct rdl_tensor *tensor);

/** Bytes of a dtype and shape: what C order takes. @return false on overflow */
bool rdl__tensor_bytes(enum rdl_dtype dtype, const struct rdl__shape *shape, size_t *out);

#endif
