/*
 * Decoding an ONNX file into the messages of onnx.proto.
 *
 * Nothing is interpreted here and no bytes are copied: names and weights are places in the file. What
 * is checked is the form: wire types, lengths, numbers, depth.
 */
#ifndef RDL_ONNX_READ_H
#define RDL_ONNX_READ_H

#include "base/arena.h"
#include "onnx/file.h"
#include "onnx/onnx.pb.h"

/** What decoding needs beside the bytes. */
struct rdl__onnx_reader {
    struct rdl__arena *arena; /* receives the messages */
    struct rdl__stop stop;    /* polled */
    struct rdl_error *error;  /* NULL allowed */

    /* The reader's own. */
    const uint8_t *base; /* first byte of the file */
    size_t n_fields;     /* read so far */
    int graph_depth;     /* graphs that lie around the current one */
};

/**
 * Decodes the file data [size_bytes], which must outlive the messages.
 *
 * @param out  receives the message, in reader->arena
 * @return RDL_ERR_MODEL naming the byte, message and field (cut off, a length that runs past the end
 *         of what holds it, a wrong wire type, a broken number, too deep); RDL_ERR_NO_MEMORY;
 *         RDL_ERR_CANCELLED (stop said so)
 */
enum rdl_status rdl__onnx_read(struct rdl__onnx_reader *reader, const void *data, size_t size_bytes,
                               rdl__onnx_ModelProto **out);

#endif
