/*
 * Data types, tensors and values.
 *
 * A tensor is a typed, shaped, strided view of memory. A value is what a model takes and gives: a
 * tensor, a sequence of values, or an optional value. Both are counted objects: each holder owns a
 * reference and gives it back with the release function; the memory goes with the last one.
 *
 * @code
 * float data[2][3] = {{1, 2, 3}, {4, 5, 6}};
 * const int64_t dims[2] = {2, 3};
 * struct rdl_tensor *tensor = NULL;
 * struct rdl_value *value = NULL;
 * if (rdl_tensor_wrap(RDL_F32, 2, dims, NULL, data, sizeof data, NULL, NULL, &tensor, NULL) == 0 &&
 *     rdl_value_from_tensor(tensor, &value, NULL) == 0) { ... run a model ... }
 * rdl_value_release(value);
 * rdl_tensor_release(tensor);
 * @endcode
 */
#ifndef RADDLE_TENSOR_H
#define RADDLE_TENSOR_H

#include "raddle/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Largest rank (number of dimensions) of a tensor. */
#define RDL_MAX_RANK 8

/* X(NAME, value, "name", element size in bytes). Values are those of ONNX TensorProto.DataType. */
#define RDL_DTYPE_LIST(X)                                                                          \
    X(F32, 1, "f32", 4)                                                                            \
    X(U8, 2, "u8", 1)                                                                              \
    X(I8, 3, "i8", 1)                                                                              \
    X(U16, 4, "u16", 2)                                                                            \
    X(I16, 5, "i16", 2)                                                                            \
    X(I32, 6, "i32", 4)                                                                            \
    X(I64, 7, "i64", 8)                                                                            \
    X(STRING, 8, "string", 16)                                                                     \
    X(BOOL, 9, "bool", 1)                                                                          \
    X(F16, 10, "f16", 2)                                                                           \
    X(F64, 11, "f64", 8)                                                                           \
    X(U32, 12, "u32", 4)                                                                           \
    X(U64, 13, "u64", 8)                                                                           \
    X(BF16, 16, "bf16", 2)

/**
 * Element types. BOOL is one byte, 0 or 1. F16 is IEEE 754 binary16, BF16 the upper half of F32.
 * Elements of STRING tensors are read and written by functions only.
 */
enum rdl_dtype {
    RDL_DTYPE_NONE = 0, /* no type: an absent input, an unknown type */
#define RDL_DTYPE_ENUM(name, value, text, size) RDL_##name = (value),
    RDL_DTYPE_LIST(RDL_DTYPE_ENUM)
#undef RDL_DTYPE_ENUM
};

/** Name of a dtype, e.g. "f32"; "none" for RDL_DTYPE_NONE and unknown values. Static string. */
RDL_API const char *rdl_dtype_name(enum rdl_dtype dtype);

/** Size of one element in bytes; 0 for RDL_DTYPE_NONE and unknown values. */
RDL_API size_t rdl_dtype_size(enum rdl_dtype dtype);

struct rdl_tensor; /* counted; see rdl_tensor_retain */
struct rdl_value;  /* counted; see rdl_value_retain */
struct rdl_buffer; /* device memory; raddle/memory.h */

/** Frees memory that was lent to a tensor. @param user the pointer given beside the function.
 * Thread: called on whichever thread gives the last reference back, also after rdl_shutdown(). */
typedef void (*rdl_free_fn)(void *data, void *user);

/**
 * Makes a tensor with memory of its own: host memory, 64-byte aligned, zeroed, C order.
 *
 * @param dtype  element type; STRING elements begin as empty strings
 * @param rank   number of dimensions, 0 (a scalar) to RDL_MAX_RANK
 * @param dims   [rank], each >= 0; a zero makes an empty tensor; NULL allowed when rank is 0
 * @param out    receives the tensor, one reference owned by the caller; NULL on failure
 * @param error  NULL allowed
 * @return RDL_ERR_ARGUMENT (unknown dtype, out NULL), RDL_ERR_SHAPE (rank too large, negative
 *         dimension), RDL_ERR_OVERFLOW (size does not fit), RDL_ERR_NO_MEMORY
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_tensor_new(enum rdl_dtype dtype, int32_t rank,
                                                     const int64_t *dims, struct rdl_tensor **out,
                                                     struct rdl_error *error);

/**
 * Makes a tensor over memory of the caller's.
 *
 * @param dtype       element type, not STRING
 * @param rank, dims  as in rdl_tensor_new
 * @param strides     [rank] in elements, each >= 0; NULL means C order (contiguous)
 * @param data        first element, aligned to the element size; may be NULL if no element exists
 * @param size_bytes  bytes that are readable (writable, if used as an output) from data on
 * @param free_fn     called with data and user when the last reference goes; NULL: the caller keeps
 *                    the memory alive as long as the tensor
 * @param out         receives the tensor; NULL on failure
 * @param error       NULL allowed
 * @return as rdl_tensor_new, and RDL_ERR_BUFFER_SIZE (shape and strides reach beyond size_bytes),
 *         RDL_ERR_ARGUMENT (data NULL or misaligned, dtype STRING, negative stride)
 * Owns: on success the tensor owns data if free_fn is given; on failure free_fn is not called and
 *       the caller keeps data.
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_tensor_wrap(enum rdl_dtype dtype, int32_t rank, const int64_t *dims, const int64_t *strides,
                void *data, size_t size_bytes, rdl_free_fn free_fn, void *user,
                struct rdl_tensor **out, struct rdl_error *error);

/**
 * Makes a tensor that views a part of a buffer (device or host memory), C order.
 *
 * @param buffer        a reference is taken; released with the tensor
 * @param offset_bytes  where the first element lies, a multiple of the element size
 * @return as rdl_tensor_wrap
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_tensor_from_buffer(enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                       struct rdl_buffer *buffer, size_t offset_bytes, struct rdl_tensor **out,
                       struct rdl_error *error);

/**
 * Makes another view of a tensor's memory; the memory lives as long as either.
 *
 * @param rank, dims, strides  the view's, in elements; NULL strides mean C order
 * @param offset_elems         first element of the view, counted in elements from the first of src
 * @return RDL_ERR_BUFFER_SIZE if the view reaches beyond the memory of src; else as rdl_tensor_wrap
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_tensor_view(struct rdl_tensor *src, int32_t rank,
                                                      const int64_t *dims, const int64_t *strides,
                                                      size_t offset_elems, struct rdl_tensor **out,
                                                      struct rdl_error *error);

/**
 * Copies the elements of src to dst; the two have the same dtype and dims, any strides, both in host
 * memory (device memory is copied by rdl_buffer_read and rdl_buffer_write).
 *
 * @return RDL_ERR_SHAPE (dtype or dims differ), RDL_ERR_ARGUMENT (NULL, not host memory, dst
 *         read-only), RDL_ERR_NO_MEMORY (strings)
 * Thread: any; dst has one user at a time.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_tensor_copy(const struct rdl_tensor *src, struct rdl_tensor *dst, struct rdl_error *error);

/** Takes one more reference and returns tensor. Thread: any; never blocks. */
RDL_API struct rdl_tensor *rdl_tensor_retain(struct rdl_tensor *tensor);

/** Gives a reference back; the last one frees. NULL is allowed. Thread: any. */
RDL_API void rdl_tensor_release(struct rdl_tensor *tensor);

/** Element type. Thread: any, as all readers below; never blocks. */
RDL_API enum rdl_dtype rdl_tensor_dtype(const struct rdl_tensor *tensor);
/** Number of dimensions. */
RDL_API int32_t rdl_tensor_rank(const struct rdl_tensor *tensor);
/** Dimensions [rank]; valid while the tensor lives, and changed by a run that writes into it. */
RDL_API const int64_t *rdl_tensor_dims(const struct rdl_tensor *tensor);
/** Strides [rank], in elements. */
RDL_API const int64_t *rdl_tensor_strides(const struct rdl_tensor *tensor);
/** Number of elements. */
RDL_API size_t rdl_tensor_count(const struct rdl_tensor *tensor);
/** Address of the first element: of the host, or of the device if the tensor lies there. */
RDL_API void *rdl_tensor_data(const struct rdl_tensor *tensor);
/** Bytes of memory from the first element on; a run may grow the shape of an output up to this. */
RDL_API size_t rdl_tensor_capacity_bytes(const struct rdl_tensor *tensor);
/** Whether the host may read the memory at rdl_tensor_data(). */
RDL_API bool rdl_tensor_is_host(const struct rdl_tensor *tensor);

/**
 * Reads element `index` (C order) of a STRING tensor.
 *
 * @param out_bytes  receives the first byte; valid until the element or the tensor changes
 * @param out_size   receives the length in bytes; strings may hold zeros
 * @return RDL_ERR_ARGUMENT (not a STRING tensor, index out of range)
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_tensor_get_string(const struct rdl_tensor *tensor,
                                                            size_t index, const char **out_bytes,
                                                            size_t *out_size);

/**
 * Writes element `index` (C order) of a STRING tensor; the bytes are copied.
 *
 * @return RDL_ERR_ARGUMENT (not a STRING tensor, index out of range), RDL_ERR_NO_MEMORY
 * Thread: one writer at a time, and no reader beside it.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_tensor_set_string(struct rdl_tensor *tensor, size_t index,
                                                            const char *bytes, size_t size);

/** What a value holds. */
enum rdl_value_kind {
    RDL_VALUE_TENSOR = 1,   /* a tensor */
    RDL_VALUE_SEQUENCE = 2, /* any number of values, in order */
    RDL_VALUE_OPTIONAL = 3  /* a value or nothing */
};

/**
 * Makes a value that holds a tensor; it takes a reference of its own.
 *
 * @return RDL_ERR_ARGUMENT (NULL), RDL_ERR_NO_MEMORY
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_value_from_tensor(struct rdl_tensor *tensor, struct rdl_value **out, struct rdl_error *error);

/**
 * Makes a sequence of `count` values; it takes a reference to each.
 *
 * @param items [count]; NULL allowed when count is 0
 * @return RDL_ERR_ARGUMENT (a NULL among items), RDL_ERR_NO_MEMORY, RDL_ERR_OVERFLOW
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status rdl_value_sequence(struct rdl_value *const *items,
                                                         size_t count, struct rdl_value **out,
                                                         struct rdl_error *error);

/**
 * Makes an optional value; it takes a reference to item.
 *
 * @param item NULL makes an empty one
 * @return RDL_ERR_ARGUMENT (out NULL), RDL_ERR_NO_MEMORY
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_value_optional(struct rdl_value *item, struct rdl_value **out, struct rdl_error *error);

/** Takes one more reference and returns value. Thread: any; never blocks. */
RDL_API struct rdl_value *rdl_value_retain(struct rdl_value *value);
/** Gives a reference back; the last one frees. NULL is allowed. Thread: any. */
RDL_API void rdl_value_release(struct rdl_value *value);
/** What the value holds. Thread: any, as all readers below. */
RDL_API enum rdl_value_kind rdl_value_get_kind(const struct rdl_value *value);
/** The tensor, borrowed for as long as the value lives; NULL if the value is no tensor. */
RDL_API struct rdl_tensor *rdl_value_tensor(const struct rdl_value *value);
/** Number of items: of a sequence; of an optional 0 or 1; of a tensor 0. */
RDL_API size_t rdl_value_count(const struct rdl_value *value);
/** Item `index` of a sequence or optional, borrowed; NULL if there is none. */
RDL_API struct rdl_value *rdl_value_item(const struct rdl_value *value, size_t index);

#ifdef __cplusplus
}
#endif
#endif
