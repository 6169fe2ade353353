/*
 * Writes ONNX files, right ones and wrong ones: protobuf by hand, so that a test controls every byte.
 *
 * Field numbers are those of src/onnx/onnx.proto. A message is opened, filled and closed:
 * @code
 * struct writer w = {0};
 * writer_begin(&w, 8, 17);                       model and graph are open
 * writer_value(&w, GRAPH_INPUT, "x", RDL_F32, 1, (int64_t[]){2});
 * writer_node(&w, "Relu", "r", "x", "y");        add attributes, then writer_close
 * writer_close(&w);
 * writer_value(&w, GRAPH_OUTPUT, "y", RDL_F32, 1, (int64_t[]){2});
 * writer_end(&w);                                w.data [w.n] is the file
 * writer_free(&w);
 * @endcode
 */
#ifndef TESTS_SUPPORT_ONNX_WRITER_H
#define TESTS_SUPPORT_ONNX_WRITER_H

#include "raddle/tensor.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODEL_IR = 1,
    MODEL_PRODUCER = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_METADATA = 14,
    MODEL_FUNCTIONS = 25,
    OPSET_DOMAIN = 1,
    OPSET_VERSION = 2,
    PAIR_KEY = 1,
    PAIR_VALUE = 2,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALISER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    GRAPH_SPARSE = 15,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTR = 5,
    NODE_DOMAIN = 7,
    ATTR_NAME = 1,
    ATTR_F = 2,
    ATTR_I = 3,
    ATTR_S = 4,
    ATTR_T = 5,
    ATTR_G = 6,
    ATTR_FLOATS = 7,
    ATTR_INTS = 8,
    ATTR_STRINGS = 9,
    ATTR_TYPE = 20,
    ATTR_REF = 21,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_SEGMENT = 3,
    TENSOR_FLOATS = 4,
    TENSOR_INT32S = 5,
    TENSOR_STRINGS = 6,
    TENSOR_INT64S = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_DOUBLES = 10,
    TENSOR_UINT64S = 11,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TYPE_SEQUENCE = 4,
    TYPE_MAP = 5,
    TYPE_OPTIONAL = 9,
    TENSOR_TYPE_ELEM = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_PARAM = 2
};

struct writer {
    uint8_t *data;
    size_t n, cap;
    size_t open[64]; /* where the content of each open message begins */
    size_t depth;
};

static inline void writer_bytes(struct writer *w, const void *bytes, size_t n)
{
    if (w->cap - w->n < n) {
        w->cap = (w->n + n) * 2 + 64;
        uint8_t *wider = realloc(w->data, w->cap);
        assert(wider != NULL);
        w->data = wider;
    }
    if (n > 0)
        memcpy(w->data + w->n, bytes, n);
    w->n += n;
}

static inline size_t writer_make_varint(uint64_t value, uint8_t out[10])
{
    size_t n = 0;
    do {
        out[n] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        n++;
    } while (value > 0);
    return n;
}

static inline void writer_varint(struct writer *w, uint64_t value)
{
    uint8_t bytes[10];
    writer_bytes(w, bytes, writer_make_varint(value, bytes));
}

static inline void writer_tag(struct writer *w, uint32_t field, uint32_t wire)
{
    writer_varint(w, field << 3 | wire);
}

static inline void writer_int(struct writer *w, uint32_t field, int64_t value)
{
    writer_tag(w, field, 0);
    writer_varint(w, (uint64_t)value);
}

static inline void writer_float(struct writer *w, uint32_t field, float value)
{
    writer_tag(w, field, 5);
    writer_bytes(w, &value, sizeof value);
}

static inline void writer_blob(struct writer *w, uint32_t field, const void *bytes, size_t n)
{
    writer_tag(w, field, 2);
    writer_varint(w, n);
    writer_bytes(w, bytes, n);
}

static inline void writer_text(struct writer *w, uint32_t field, const char *text)
{
    writer_blob(w, field, text, strlen(text));
}

static inline void writer_open(struct writer *w, uint32_t field)
{
    assert(w->depth < sizeof w->open / sizeof w->open[0]);
    writer_tag(w, field, 2);
    w->open[w->depth++] = w->n;
}

/* Closes the message opened last: its length goes before its content. */
static inline void writer_close(struct writer *w)
{
    assert(w->depth > 0);
    const size_t at = w->open[--w->depth], size = w->n - at;
    uint8_t length[10];
    const size_t n = writer_make_varint(size, length);
    writer_bytes(w, length, n);
    assert(w->data != NULL);
    memmove(w->data + at + n, w->data + at, size);
    memcpy(w->data + at, length, n);
}

static inline void writer_free(struct writer *w)
{
    free(w->data);
    *w = (struct writer){0};
}

static inline void writer_opset(struct writer *w, const char *domain, int64_t version)
{
    writer_open(w, MODEL_OPSET);
    if (domain[0] != '\0')
        writer_text(w, OPSET_DOMAIN, domain);
    writer_int(w, OPSET_VERSION, version);
    writer_close(w);
}

/** Begins a model and its graph. */
static inline void writer_begin(struct writer *w, int64_t ir_version, int64_t opset)
{
    writer_int(w, MODEL_IR, ir_version);
    writer_opset(w, "", opset);
    writer_open(w, MODEL_GRAPH);
    writer_text(w, GRAPH_NAME, "g");
}

/** Ends what is open. */
static inline void writer_end(struct writer *w)
{
    while (w->depth > 0)
        writer_close(w);
}

/** A tensor type; rank -1 leaves the shape out, a dimension of -1 is named "N". */
static inline void writer_tensor_type(struct writer *w, int64_t dtype, int32_t rank,
                                      const int64_t *dims)
{
    writer_open(w, TYPE_TENSOR);
    writer_int(w, TENSOR_TYPE_ELEM, dtype);
    if (rank >= 0) {
        writer_open(w, TENSOR_TYPE_SHAPE);
        for (int32_t i = 0; i < rank; i++) {
            writer_open(w, SHAPE_DIM);
            if (dims[i] == -1)
                writer_text(w, DIM_PARAM, "N");
            else
                writer_int(w, DIM_VALUE, dims[i]);
            writer_close(w);
        }
        writer_close(w);
    }
    writer_close(w);
}

/** A ValueInfoProto in field (GRAPH_INPUT, ...). */
static inline void writer_value(struct writer *w, uint32_t field, const char *name, int64_t dtype,
                                int32_t rank, const int64_t *dims)
{
    writer_open(w, field);
    writer_text(w, VALUE_NAME, name);
    writer_open(w, VALUE_TYPE);
    writer_tensor_type(w, dtype, rank, dims);
    writer_close(w);
    writer_close(w);
}

/** A list of names with spaces between them; "-" is an empty name. */
static inline void writer_names(struct writer *w, uint32_t field, const char *names)
{
    for (const char *end = names; *names != '\0'; names = *end == ' ' ? end + 1 : end) {
        end = strchr(names, ' ');
        if (end == NULL)
            end = names + strlen(names);
        const size_t n = (size_t)(end - names);
        writer_blob(w, field, names, n == 1 && names[0] == '-' ? 0 : n);
    }
}

/** Opens a node; names of inputs and outputs as writer_names. */
static inline void writer_node(struct writer *w, const char *op, const char *name,
                               const char *inputs, const char *outputs)
{
    writer_open(w, GRAPH_NODE);
    writer_names(w, NODE_INPUT, inputs);
    writer_names(w, NODE_OUTPUT, outputs);
    if (name[0] != '\0')
        writer_text(w, NODE_NAME, name);
    writer_text(w, NODE_OP, op);
}

/** A whole node without attributes. */
static inline void writer_plain(struct writer *w, const char *op, const char *name,
                                const char *inputs, const char *outputs)
{
    writer_node(w, op, name, inputs, outputs);
    writer_close(w);
}

/** Opens an attribute. */
static inline void writer_attr(struct writer *w, const char *name, int64_t type)
{
    writer_open(w, NODE_ATTR);
    writer_text(w, ATTR_NAME, name);
    writer_int(w, ATTR_TYPE, type);
}

/** Opens a tensor in field (GRAPH_INITIALISER, ATTR_T). */
static inline void writer_tensor(struct writer *w, uint32_t field, const char *name, int64_t dtype,
                                 int32_t rank, const int64_t *dims)
{
    writer_open(w, field);
    for (int32_t i = 0; i < rank; i++)
        writer_int(w, TENSOR_DIMS, dims[i]);
    writer_int(w, TENSOR_TYPE, dtype);
    if (name[0] != '\0')
        writer_text(w, TENSOR_NAME, name);
}

/** A whole initialiser with raw data. */
static inline void writer_raw(struct writer *w, const char *name, int64_t dtype, int32_t rank,
                              const int64_t *dims, const void *data, size_t size)
{
    writer_tensor(w, GRAPH_INITIALISER, name, dtype, rank, dims);
    writer_blob(w, TENSOR_RAW, data, size);
    writer_close(w);
}

#endif
