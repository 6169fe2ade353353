/*
 * Tensors of a model: dtype, shape and elements of a TensorProto, brought into C order in memory.
 */
#ifndef RDL_ONNX_TENSOR_H
#define RDL_ONNX_TENSOR_H

#include "graph/graph.h"
#include "onnx/onnx.h"
#include "onnx/onnx.pb.h"

/** The dtype of an ONNX data type. @return RDL_ERR_UNSUPPORTED, RDL_ERR_MODEL naming the type */
enum rdl_status rdl__onnx_dtype(int64_t data_type, enum rdl_dtype *out, struct rdl_error *error);

/**
 * The tensor's description. Elements are copied into arena at a multiple of RDL_ALIGN, or referenced
 * as options say; desc->data is never NULL, also of an empty tensor.
 *
 * @return RDL_ERR_MODEL (dims, counts or values that do not fit), RDL_ERR_UNSUPPORTED, RDL_ERR_IO,
 *         RDL_ERR_NO_MEMORY, RDL_ERR_CANCELLED; the caller puts the tensor's name before the message
 */
enum rdl_status rdl__onnx_tensor(const rdl__onnx_TensorProto *tensor,
                                 const struct rdl__onnx_options *options, struct rdl__arena *arena,
                                 struct rdl__desc *desc, struct rdl_error *error);

#endif
