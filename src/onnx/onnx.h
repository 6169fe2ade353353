/*
 * Importing ONNX models: from the bytes of a file to a graph.
 *
 * Read are opsets 7 to 28 of the default domain and every IR version that has them. Constant nodes
 * become constants at once, and so does an initialiser that is also listed as an input (whatever the
 * IR version: such an input cannot be fed). A value that a subgraph takes from outside becomes a value
 * of the subgraph with `outer` set, in every graph on the way.
 *
 * Threading: any; one user a call.
 */
#ifndef RDL_ONNX_ONNX_H
#define RDL_ONNX_ONNX_H

#include "graph/graph.h"
#include "onnx/file.h"

/** Opsets of the default domain that are accepted. */
#define RDL__ONNX_MIN_OPSET 7
#define RDL__ONNX_MAX_OPSET 28

/** How to import. Zeroed fields mean the default. */
struct rdl__onnx_options {
    const char *folder;     /* where external data lies; NULL: refused. rdl__onnx_import_file takes
                                the file's own folder if this is NULL */
    bool reference_weights; /* weights that lie aligned in `data` are referenced, not copied: data
                                must then outlive the graph */
    rdl__op_find_fn find;  /* finishes the graph (rdl__graph_finish); NULL: it is left unfinished */
    struct rdl__stop stop; /* polled during the import; RDL_ERR_CANCELLED once it says so */
};

/**
 * Imports the model data [size_bytes].
 *
 * @param options  NULL: defaults
 * @param arena    receives the graph; its limit bounds the graph, and once more what is needed while
 *                 decoding. On failure it holds remains and is good only for rdl__arena_fini.
 * @param out      receives the graph; NULL on failure
 * @param error    NULL allowed; names node, tensor or byte, and the cause
 * @return RDL_ERR_MODEL (not a valid model), RDL_ERR_UNSUPPORTED (valid, but with something that is
 *         not supported: opset, dtype, attribute type, functions, sparse tensors; and what
 *         rdl__graph_finish says), RDL_ERR_IO (external data), RDL_ERR_NO_MEMORY, RDL_ERR_CANCELLED
 * Owns: data stays the caller's; nothing of it is referenced afterwards unless reference_weights.
 * Cost: linear in size_bytes.
 */
enum rdl_status rdl__onnx_import(const void *data, size_t size_bytes,
                                 const struct rdl__onnx_options *options, struct rdl__arena *arena,
                                 struct rdl__graph **out, struct rdl_error *error);

/**
 * As rdl__onnx_import from a file, which is read, not mapped. Weights are copied, reference_weights
 * or not; to keep them in a mapped file, map it (rdl__file_map_init) and import its bytes.
 * @return RDL_ERR_IO too if the file cannot be read
 */
enum rdl_status rdl__onnx_import_file(const char *path, const struct rdl__onnx_options *options,
                                      struct rdl__arena *arena, struct rdl__graph **out,
                                      struct rdl_error *error);

#endif
