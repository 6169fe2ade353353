/*
 * The reader of ONNX files: walks the fields of a message by nanopb's descriptors and reads each by
 * nanopb's wire functions.
 *
 * pb_decode would do the walk too, but it hands a callback a number without its wire type, and a
 * string that is really a number as bytes on its own stack; a pointer into the file needs better. The
 * walk also knows the place of every fault.
 *
 * Recursion is bounded by the depth of messages. Threading: one user a reader.
 */
#include "onnx/read.h"

#include "base/size.h"
#include "graph/graph.h"

#include <pb_common.h>
#include <pb_decode.h>
#include <string.h>

/* Messages within messages: a subgraph takes three (graph, node, attribute), types and tensors at its
 * bottom take the rest. */
#define MAX_DEPTH (RDL__MAX_GRAPH_DEPTH * 3 + 16)

/* Fields between two looks at stop. */
#define FIELDS_PER_POLL 1024

/* Named by the generated tables because a field has a type of ours; only pb_decode would call it. */
bool rdl__onnx_no_callback(pb_istream_t *istream, pb_ostream_t *ostream, const pb_field_t *field)
{
    (void)istream;
    (void)ostream;
    (void)field;
    return false;
}

/* ---- messages by descriptor -------------------------------------------------------------------- */

#define MESSAGE_LIST(X)                                                                            \
    X(ModelProto)                                                                                  \
    X(OperatorSetIdProto)                                                                          \
    X(StringStringEntryProto)                                                                      \
    X(FunctionProto)                                                                               \
    X(GraphProto)                                                                                  \
    X(NodeProto)                                                                                   \
    X(AttributeProto)                                                                              \
    X(TensorProto)                                                                                 \
    X(SegmentProto)                                                                                \
    X(SparseTensorProto)                                                                           \
    X(ValueInfoProto)                                                                              \
    X(TypeProto)                                                                                   \
    X(TensorTypeProto)                                                                             \
    X(ElementTypeProto)                                                                            \
    X(OtherTypeProto)                                                                              \
    X(TensorShapeProto)                                                                            \
    X(DimensionProto)

struct message {
    const pb_msgdesc_t *desc;
    const char *name;
    size_t size_bytes;
};

static const struct message messages[] = {
#define MESSAGE_ROW(name) {&rdl__onnx_##name##_msg, #name, sizeof(rdl__onnx_##name)},
    MESSAGE_LIST(MESSAGE_ROW)
#undef MESSAGE_ROW
};

static const struct message *find_message(const pb_msgdesc_t *desc)
{
    const struct message *message = messages;
    while (message->desc != desc)
        message++;
    return message;
}

/* ---- one field --------------------------------------------------------------------------------- */

/* The field being read: for values, and for messages. */
struct field {
    pb_istream_t *stream;
    pb_field_iter_t *iter;
    pb_wire_type_t wire;
    size_t at; /* offset of its tag in the file */
    int depth; /* messages that lie around it */
};

static size_t offset(const struct rdl__onnx_reader *reader, const pb_istream_t *stream)
{
    return (size_t)((const uint8_t *)stream->state - reader->base);
}

static enum rdl_status fail_field(struct rdl__onnx_reader *reader, const struct field *field,
                                  const char *cause)
{
    return rdl__fail(reader->error, RDL_ERR_MODEL, "byte %zu: field %u of %s: %s", field->at,
                     (unsigned)field->iter->tag, find_message(field->iter->descriptor)->name,
                     cause);
}

static enum rdl_status fail_stream(struct rdl__onnx_reader *reader, const struct field *field,
                                   const pb_istream_t *stream)
{
    const char *cause = stream->errmsg == NULL ? "broken" : stream->errmsg;
    if (strcmp(cause, "parent stream too short") == 0 || strcmp(cause, "end-of-stream") == 0)
        cause = "runs past the end of its message (file cut off, or a wrong length)";
    else if (strcmp(cause, "varint overflow") == 0)
        cause = "number does not fit into 64 bits";
    return fail_field(reader, field, cause);
}

/* Room for `more` items of size bytes at the end of list; NULL, with the error set, if there is none. */
static void *extend(struct rdl__onnx_reader *reader, struct rdl__list *list, size_t more,
                    size_t size)
{
    size_t need, bytes;
    if (!rdl__add_size(list->n, more, &need) || !rdl__mul_size(need, size, &bytes)) {
        (void)rdl__fail_memory(reader->error, "ONNX file", SIZE_MAX);
        return NULL;
    }
    if (need > list->cap) {
        size_t cap = list->cap == 0 && more == 1 ? 4 : list->cap * 2;
        if (cap < need)
            cap = need; /* a packed field comes at once: exactly */
        void *items = rdl__arena_zeroed(reader->arena, cap, size);
        if (items == NULL) {
            (void)rdl__fail_memory(reader->error, "ONNX file", bytes);
            return NULL;
        }
        if (list->n > 0)
            memcpy(items, list->items, list->n * size);
        list->items = items;
        list->cap = cap;
    }
    return (char *)list->items + list->n * size;
}

/* The wire type of one number of a field's type, and its size in memory. */
static pb_wire_type_t number_wire(const pb_field_iter_t *iter, size_t *size)
{
    switch (PB_LTYPE(iter->type)) {
    case PB_LTYPE_FIXED32:
        *size = 4;
        return PB_WT_32BIT;
    case PB_LTYPE_FIXED64:
        *size = 8;
        return PB_WT_64BIT;
    default:
        *size = 8;
        return PB_WT_VARINT;
    }
}

static bool read_number(pb_istream_t *stream, pb_wire_type_t wire, void *out)
{
    switch (wire) {
    case PB_WT_32BIT:
        return pb_decode_fixed32(stream, out);
    case PB_WT_64BIT:
        return pb_decode_fixed64(stream, out);
    default: {
        uint64_t value;
        if (!pb_decode_varint(stream, &value))
            return false;
        memcpy(out, &value, sizeof value);
        return true;
    }
    }
}

/* Numbers in a packed field; a varint ends at a byte below 0x80. */
static size_t count_packed(const pb_istream_t *stream, pb_wire_type_t wire, size_t size)
{
    if (wire != PB_WT_VARINT)
        return (stream->bytes_left + size - 1) / size;
    const uint8_t *bytes = stream->state;
    size_t n = 0;
    for (size_t i = 0; i < stream->bytes_left; i++)
        n += bytes[i] < 0x80;
    return n;
}

static enum rdl_status read_packed(struct rdl__onnx_reader *reader, const struct field *field,
                                   pb_wire_type_t wire, size_t size)
{
    struct rdl__list *list = field->iter->pData;
    pb_istream_t packed;
    if (!pb_make_string_substream(field->stream, &packed))
        return fail_stream(reader, field, field->stream);
    const size_t n = count_packed(&packed, wire, size);
    char *out = n == 0 ? NULL : extend(reader, list, n, size);
    if (out == NULL && n > 0)
        return RDL_ERR_NO_MEMORY;
    for (size_t i = 0; packed.bytes_left > 0; i++) {
        /* A last number without an end is counted by none, so i < n must be asked. */
        if (i == n || !read_number(&packed, wire, out + i * size))
            return i == n ? fail_field(reader, field, "last number has no end")
                          : fail_stream(reader, field, &packed);
        list->n++;
    }
    if (!pb_close_string_substream(field->stream, &packed))
        return fail_stream(reader, field, field->stream);
    return RDL_OK;
}

static enum rdl_status read_numbers(struct rdl__onnx_reader *reader, const struct field *field)
{
    size_t size;
    const pb_wire_type_t wire = number_wire(field->iter, &size);
    const bool repeated = PB_HTYPE(field->iter->type) == PB_HTYPE_REPEATED;
    if (repeated && field->wire == PB_WT_STRING)
        return read_packed(reader, field, wire, size);
    if (field->wire != wire)
        return fail_field(reader, field, "wrong wire type for a number");
    void *out = field->iter->pData;
    if (repeated) {
        out = extend(reader, field->iter->pData, 1, size);
        if (out == NULL)
            return RDL_ERR_NO_MEMORY;
    }
    if (!read_number(field->stream, wire, out))
        return fail_stream(reader, field, field->stream);
    if (repeated)
        ((struct rdl__list *)field->iter->pData)->n++;
    else
        *(bool *)field->iter->pSize = true;
    return RDL_OK;
}

static enum rdl_status read_span(struct rdl__onnx_reader *reader, const struct field *field)
{
    if (field->wire != PB_WT_STRING)
        return fail_field(reader, field, "wrong wire type for a string or bytes");
    pb_istream_t part;
    if (!pb_make_string_substream(field->stream, &part))
        return fail_stream(reader, field, field->stream);
    const struct rdl__span span = {part.state, part.bytes_left};
    if (!pb_close_string_substream(field->stream, &part))
        return fail_stream(reader, field, field->stream);
    if (PB_HTYPE(field->iter->type) != PB_HTYPE_REPEATED) {
        *(struct rdl__span *)field->iter->pData = span;
        return RDL_OK;
    }
    struct rdl__list *list = field->iter->pData;
    struct rdl__span *out = extend(reader, list, 1, sizeof span);
    if (out == NULL)
        return RDL_ERR_NO_MEMORY;
    *out = span;
    list->n++;
    return RDL_OK;
}

static enum rdl_status read_message(struct rdl__onnx_reader *reader, pb_istream_t *stream,
                                    const struct message *message, void *out, int depth);

/* Where a submessage goes: a new item of a list; or the one that is there already, for parts of a
 * message that is not repeated are one message. */
static void *message_place(struct rdl__onnx_reader *reader, const struct field *field,
                           const struct message *message)
{
    if (PB_HTYPE(field->iter->type) == PB_HTYPE_REPEATED)
        return extend(reader, field->iter->pData, 1, message->size_bytes);
    void **place = field->iter->pData;
    if (*place == NULL)
        *place = rdl__arena_zeroed(reader->arena, 1, message->size_bytes);
    if (*place == NULL)
        (void)rdl__fail_memory(reader->error, "ONNX file", message->size_bytes);
    return *place;
}

static enum rdl_status read_submessage(struct rdl__onnx_reader *reader, const struct field *field)
{
    if (field->wire != PB_WT_STRING)
        return fail_field(reader, field, "wrong wire type for a message");
    const struct message *message = find_message(field->iter->submsg_desc);
    const bool is_graph = message->desc == &rdl__onnx_GraphProto_msg;
    if (is_graph && reader->graph_depth == RDL__MAX_GRAPH_DEPTH)
        return fail_field(reader, field, "subgraphs lie more than 16 deep");
    if (field->depth == MAX_DEPTH)
        return fail_field(reader, field, "messages lie too deep in one another");
    pb_istream_t part;
    if (!pb_make_string_substream(field->stream, &part))
        return fail_stream(reader, field, field->stream);
    void *out = message_place(reader, field, message);
    if (out == NULL)
        return RDL_ERR_NO_MEMORY;
    reader->graph_depth += is_graph;
    RDL_TRY(read_message(reader, &part, message, out, field->depth + 1));
    reader->graph_depth -= is_graph;
    if (PB_HTYPE(field->iter->type) == PB_HTYPE_REPEATED)
        ((struct rdl__list *)field->iter->pData)->n++;
    if (!pb_close_string_substream(field->stream, &part))
        return fail_stream(reader, field, field->stream);
    return RDL_OK;
}

static enum rdl_status read_field(struct rdl__onnx_reader *reader, const struct field *field)
{
    switch (PB_LTYPE(field->iter->type)) {
    case PB_LTYPE_STRING:
    case PB_LTYPE_BYTES:
        return read_span(reader, field);
    case PB_LTYPE_SUBMESSAGE:
        return read_submessage(reader, field);
    default:
        return read_numbers(reader, field);
    }
}

/* ---- a message --------------------------------------------------------------------------------- */

/* Reads the fields of a message until stream ends; fields that the descriptor lacks are skipped. */
static enum rdl_status read_message(struct rdl__onnx_reader *reader, pb_istream_t *stream,
                                    const struct message *message, void *out, int depth)
{
    pb_field_iter_t iter;
    (void)pb_field_iter_begin(&iter, message->desc, out); /* false: the message has no fields */
    while (stream->bytes_left > 0) {
        struct field field = {
            .stream = stream, .iter = &iter, .at = offset(reader, stream), .depth = depth};
        if (++reader->n_fields % FIELDS_PER_POLL == 0 && reader->stop.poll != NULL &&
            reader->stop.poll(reader->stop.user))
            return rdl__fail(reader->error, RDL_ERR_CANCELLED, "stopped while reading the model");
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(stream, &field.wire, &tag, &eof) || tag == 0)
            return rdl__fail(reader->error, RDL_ERR_MODEL, "byte %zu: no field of %s begins here",
                             field.at, message->name);
        if (pb_field_iter_find(&iter, tag))
            RDL_TRY(read_field(reader, &field));
        else if (!pb_skip_field(stream, field.wire))
            return rdl__fail(reader->error, RDL_ERR_MODEL,
                             "byte %zu: field %u of %s, which is not used, is broken or cut off",
                             field.at, (unsigned)tag, message->name);
    }
    return RDL_OK;
}

enum rdl_status rdl__onnx_read(struct rdl__onnx_reader *reader, const void *data, size_t size_bytes,
                               rdl__onnx_ModelProto **out)
{
    const struct message *message = find_message(&rdl__onnx_ModelProto_msg);
    rdl__onnx_ModelProto *model = RDL__ARENA_NEW(reader->arena, rdl__onnx_ModelProto);
    if (model == NULL)
        return rdl__fail_memory(reader->error, "ONNX file", sizeof *model);
    reader->base = data;
    reader->n_fields = 0;
    reader->graph_depth = 0;
    pb_istream_t stream = pb_istream_from_buffer(data, size_bytes);
    RDL_TRY(read_message(reader, &stream, message, model, 1));
    *out = model;
    return RDL_OK;
}
