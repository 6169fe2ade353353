/*
 * DLPack: tensors in and out without a copy, by the exchange format of DLPack 1.0.
 *
 * The structures are declared here by their published ABI (dmlc/dlpack, version 1.0), under names of
 * our own; a `DLManagedTensorVersioned *` of any other library may be cast to and from
 * `struct rdl_dlpack *`.
 */
#ifndef RADDLE_DLPACK_H
#define RADDLE_DLPACK_H

#include "raddle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** DLPackVersion. */
struct rdl_dlpack_version {
    uint32_t major, minor;
};

/** DLTensor. device_type: 1 CPU, 2 CUDA; dtype_code: 0 int, 1 uint, 2 float, 4 bfloat, 6 bool. */
struct rdl_dlpack_tensor {
    void *data;
    int32_t device_type, device_id;
    int32_t ndim;
    uint8_t dtype_code, dtype_bits;
    uint16_t dtype_lanes;
    int64_t *shape;       /* [ndim] */
    int64_t *strides;     /* [ndim] in elements; NULL: C order */
    uint64_t byte_offset; /* from data to the first element */
};

/** DLManagedTensorVersioned. */
struct rdl_dlpack {
    struct rdl_dlpack_version version;
    void *manager_ctx;
    void (*deleter)(struct rdl_dlpack *self); /* any thread, once; also after shutdown or fork */
    uint64_t flags;                           /* RDL_DLPACK_* */
    struct rdl_dlpack_tensor tensor;
};

#define RDL_DLPACK_READ_ONLY UINT64_C(1)
#define RDL_DLPACK_COPIED UINT64_C(2)

/**
 * Makes a tensor over the memory of a DLPack tensor in host memory.
 *
 * @param dlpack  on success owned by the tensor, whose end calls the deleter; on failure untouched
 * @return RDL_ERR_UNSUPPORTED (version, device, dtype, lanes, negative strides), RDL_ERR_SHAPE,
 *         RDL_ERR_OVERFLOW, RDL_ERR_ARGUMENT (NULL, misaligned), RDL_ERR_NO_MEMORY
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_tensor_from_dlpack(struct rdl_dlpack *dlpack, struct rdl_tensor **out, struct rdl_error *error);

/**
 * Gives a tensor out as DLPack. The result holds a reference to the tensor until its deleter runs.
 *
 * @param out  receives a structure to be given back by out->deleter(out)
 * @return RDL_ERR_UNSUPPORTED (STRING, device memory), RDL_ERR_NO_MEMORY, RDL_ERR_ARGUMENT
 * Thread: any.
 */
RDL_API RDL_NODISCARD enum rdl_status
rdl_tensor_to_dlpack(struct rdl_tensor *tensor, struct rdl_dlpack **out, struct rdl_error *error);

#ifdef __cplusplus
}
#endif
#endif
