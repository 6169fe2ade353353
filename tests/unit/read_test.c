/*
 * Decoding: what is broken in form is refused at its byte, and bytes stay where they are.
 */
#include "onnx/read.h"
#include "support/cmocka.h"
#include "support/onnx_writer.h"

struct decoded {
    struct rdl__arena arena;
    rdl__onnx_ModelProto *model;
    struct rdl_error error;
    enum rdl_status status;
};

/* The bytes lie in a block of exactly their size, so that reading past them is seen. */
static void *exact_copy(const void *bytes, size_t n)
{
    void *copy = malloc(n == 0 ? 1 : n);
    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, bytes, n);
    return copy;
}

static void decode(struct decoded *d, const void *data, size_t n)
{
    *d = (struct decoded){.status = RDL_OK};
    rdl__arena_init(&d->arena, SIZE_MAX);
    struct rdl__onnx_reader reader = {.arena = &d->arena, .error = &d->error};
    d->status = rdl__onnx_read(&reader, data, n, &d->model);
}

static void assert_broken(const void *bytes, size_t n, const char *message)
{
    struct decoded d;
    void *data = exact_copy(bytes, n);
    decode(&d, data, n);
    assert_int_equal(d.status, RDL_ERR_MODEL);
    assert_string_equal(d.error.message, message);
    rdl__arena_fini(&d.arena);
    free(data);
}

static void read_small_model_keeps_bytes_in_place(void **state)
{
    (void)state;
    struct writer w = {0};
    struct decoded d;
    static const float weights[3] = {1, 2, 3};
    writer_begin(&w, 8, 17);
    writer_plain(&w, "Add", "sum", "x w", "y");
    writer_raw(&w, "w", RDL_F32, 1, (int64_t[]){3}, weights, sizeof weights);
    writer_end(&w);
    decode(&d, w.data, w.n);
    assert_int_equal(d.status, RDL_OK);
    assert_int_equal(d.model->ir_version, 8);
    assert_int_equal(RDL__ITEMS(d.model->opset_import, rdl__onnx_OperatorSetIdProto)->version, 17);
    const rdl__onnx_GraphProto *graph = d.model->graph;
    assert_int_equal(graph->node.n, 1);
    const rdl__onnx_NodeProto *node = graph->node.items;
    assert_int_equal(node->input.n, 2);
    const struct rdl__span second = RDL__ITEMS(node->input, struct rdl__span)[1];
    assert_int_equal(second.size_bytes, 1);
    assert_int_equal(second.bytes[0], 'w');
    const rdl__onnx_TensorProto *tensor = graph->initializer.items;
    assert_int_equal(*RDL__ITEMS(tensor->dims, int64_t), 3);
    assert_true(tensor->raw_data.bytes > w.data && tensor->raw_data.bytes < w.data + w.n);
    assert_memory_equal(tensor->raw_data.bytes, weights, sizeof weights);
    rdl__arena_fini(&d.arena);
    writer_free(&w);
}

static void read_packed_and_single_numbers_are_the_same(void **state)
{
    (void)state;
    struct writer w = {0};
    struct decoded d;
    static const float more[2] = {2.5F, 3.5F};
    static const double doubles[2] = {1e300, -2};
    uint8_t packed[20];
    size_t n = writer_make_varint((uint64_t)-7, packed);
    n += writer_make_varint(300, packed + n);
    writer_begin(&w, 8, 17);
    writer_tensor(&w, GRAPH_INITIALISER, "w", RDL_F32, 1, (int64_t[]){5});
    writer_blob(&w, TENSOR_DIMS, packed, n);
    writer_int(&w, TENSOR_DIMS, 6);
    writer_float(&w, TENSOR_FLOATS, 1.5F);
    writer_blob(&w, TENSOR_FLOATS, more, sizeof more);
    writer_blob(&w, TENSOR_FLOATS, NULL, 0);
    writer_blob(&w, TENSOR_DOUBLES, doubles, sizeof doubles);
    writer_end(&w);
    decode(&d, w.data, w.n);
    assert_int_equal(d.status, RDL_OK);
    const rdl__onnx_TensorProto *tensor = d.model->graph->initializer.items;
    static const int64_t dims[4] = {5, -7, 300, 6};
    static const float floats[3] = {1.5F, 2.5F, 3.5F};
    assert_int_equal(tensor->dims.n, 4);
    assert_memory_equal(tensor->dims.items, dims, sizeof dims);
    assert_int_equal(tensor->float_data.n, 3);
    assert_memory_equal(tensor->float_data.items, floats, sizeof floats);
    assert_int_equal(tensor->double_data.n, 2);
    assert_memory_equal(tensor->double_data.items, doubles, sizeof doubles);
    rdl__arena_fini(&d.arena);
    writer_free(&w);
}

static void read_parts_of_one_message_are_merged(void **state)
{
    (void)state;
    struct writer w = {0};
    struct decoded d;
    for (int i = 0; i < 2; i++) {
        writer_open(&w, MODEL_GRAPH);
        writer_plain(&w, "Relu", i == 0 ? "a" : "b", "x", "y");
        writer_close(&w);
    }
    decode(&d, w.data, w.n);
    assert_int_equal(d.status, RDL_OK);
    assert_int_equal(d.model->graph->node.n, 2);
    rdl__arena_fini(&d.arena);
    writer_free(&w);
}

static void read_unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct writer w = {0};
    struct decoded d;
    writer_int(&w, 100, 5);
    writer_float(&w, 101, 1);
    writer_text(&w, 102, "future");
    writer_tag(&w, 103, 1);
    writer_bytes(&w, "12345678", 8);
    writer_int(&w, MODEL_IR, 9);
    decode(&d, w.data, w.n);
    assert_int_equal(d.status, RDL_OK);
    assert_int_equal(d.model->ir_version, 9);
    rdl__arena_fini(&d.arena);
    writer_free(&w);
}

static void read_cut_file_is_refused_at_every_byte(void **state)
{
    (void)state;
    struct writer w = {0};
    writer_open(&w, MODEL_GRAPH);
    writer_node(&w, "Conv", "c", "x w", "y");
    writer_attr(&w, "pads", 7);
    writer_int(&w, ATTR_INTS, 300);
    writer_end(&w);
    for (size_t n = 1; n < w.n; n++) {
        struct decoded d;
        void *data = exact_copy(w.data, n);
        decode(&d, data, n);
        assert_int_equal(d.status, RDL_ERR_MODEL);
        assert_non_null(strstr(d.error.message, n == 1 ? "runs past the end"
                                                       : "byte 0: field 7 of "
                                                         "ModelProto"));
        rdl__arena_fini(&d.arena);
        free(data);
    }
    writer_free(&w);
}

static void read_text_file_is_refused(void **state)
{
    (void)state;
    static const char text[] = "hello, this is no model\n";
    assert_broken(text, sizeof text - 1,
                  "byte 2: field 13 of ModelProto, which is not used, is broken or cut off");
    assert_broken("\0\0\0", 3, "byte 0: no field of ModelProto begins here");
    assert_broken("\xff\xff\xff\xff\xff\xff", 6, "byte 0: no field of ModelProto begins here");
}

static void read_oversized_length_is_refused(void **state)
{
    (void)state;
    static const char past_end[] =
        "byte 2: field 1 of GraphProto: runs past the end of its message (file cut off, or a wrong "
        "length)";
    /* graph { node { length 127 } }, the graph being four bytes long */
    assert_broken("\x3a\x04\x0a\x7f\x0a\x00", 6, past_end);
    /* the same with a length of 2^63 */
    struct writer w = {0};
    writer_open(&w, MODEL_GRAPH);
    writer_tag(&w, GRAPH_NODE, 2);
    writer_varint(&w, UINT64_MAX / 2);
    writer_close(&w);
    struct decoded d;
    decode(&d, w.data, w.n);
    assert_int_equal(d.status, RDL_ERR_MODEL);
    assert_memory_equal(d.error.message, past_end, 30);
    rdl__arena_fini(&d.arena);
    writer_free(&w);
}

static void read_wrong_wire_type_is_refused(void **state)
{
    (void)state;
    assert_broken("\x38\x01", 2, "byte 0: field 7 of ModelProto: wrong wire type for a message");
    assert_broken("\x10\x01", 2,
                  "byte 0: field 2 of ModelProto: wrong wire type for a string or bytes");
    assert_broken("\x0a\x00", 2, "byte 0: field 1 of ModelProto: wrong wire type for a number");
    assert_broken("\x0d\x01\x02\x03\x04", 5,
                  "byte 0: field 1 of ModelProto: wrong wire type for a number");
    /* graph { initializer { dims as fixed64 } } */
    assert_broken("\x3a\x0b\x2a\x09\x09\1\2\3\4\5\6\7\x08", 13,
                  "byte 4: field 1 of TensorProto: wrong wire type for a number");
}

static void read_broken_numbers_are_refused(void **state)
{
    (void)state;
    assert_broken("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12,
                  "byte 0: field 1 of ModelProto: number does not fit into 64 bits");
    /* graph { initializer { dims packed: 0x80 } }: a number without an end */
    assert_broken("\x3a\x05\x2a\x03\x0a\x01\x80", 7,
                  "byte 4: field 1 of TensorProto: last number has no end");
    /* graph { initializer { float_data packed: 3 bytes } } */
    assert_broken("\x3a\x07\x2a\x05\x22\x03\1\2\3", 9,
                  "byte 4: field 4 of TensorProto: runs past the end of its message (file cut off, "
                  "or a wrong length)");
}

static void read_graphs_too_deep_are_refused(void **state)
{
    (void)state;
    for (int depth = 16; depth <= 17; depth++) {
        struct writer w = {0};
        struct decoded d;
        writer_open(&w, MODEL_GRAPH);
        for (int i = 1; i < depth; i++) {
            writer_open(&w, GRAPH_NODE);
            writer_open(&w, NODE_ATTR);
            writer_open(&w, ATTR_G);
        }
        writer_end(&w);
        decode(&d, w.data, w.n);
        assert_int_equal(d.status, depth <= 16 ? RDL_OK : RDL_ERR_MODEL);
        if (depth > 16)
            assert_non_null(strstr(d.error.message,
                                   "field 6 of AttributeProto: subgraphs lie more than 16 deep"));
        rdl__arena_fini(&d.arena);
        writer_free(&w);
    }
}

static void read_types_too_deep_are_refused(void **state)
{
    (void)state;
    /* Ten thousand sequences of sequences: lengths are written from the inside out. */
    enum { DEPTH = 10000 };
    uint8_t *data = malloc(DEPTH * 10);
    assert_non_null(data);
    size_t at = DEPTH * 10, size = 0;
    static const uint8_t tags[2] = {0x0a, 0x22}; /* elem_type = 1, sequence_type = 4 */
    for (int i = 0; i < DEPTH + 2; i++) {
        uint8_t head[11] = {i < DEPTH ? tags[i & 1] : i == DEPTH ? 0x12 : 0x5a};
        const size_t n = 1 + writer_make_varint(size, head + 1);
        at -= n;
        size += n;
        memcpy(data + at, head, n);
    }
    struct writer w = {0};
    struct decoded d;
    writer_open(&w, MODEL_GRAPH);
    writer_bytes(&w, data + at, size);
    writer_close(&w);
    decode(&d, w.data, w.n);
    assert_int_equal(d.status, RDL_ERR_MODEL);
    assert_non_null(strstr(d.error.message, "messages lie too deep in one another"));
    rdl__arena_fini(&d.arena);
    writer_free(&w);
    free(data);
}

static void read_memory_limit_is_kept(void **state)
{
    (void)state;
    struct writer w = {0};
    writer_open(&w, MODEL_GRAPH);
    for (int i = 0; i < 100000; i++)
        writer_bytes(&w, "\x0a\x00", 2); /* an empty node */
    writer_end(&w);
    struct rdl__arena arena;
    struct rdl_error error;
    rdl__onnx_ModelProto *model;
    rdl__arena_init(&arena, 1 << 20);
    struct rdl__onnx_reader reader = {.arena = &arena, .error = &error};
    assert_int_equal(rdl__onnx_read(&reader, w.data, w.n, &model), RDL_ERR_NO_MEMORY);
    assert_memory_equal(error.message, "ONNX file: no memory for ", 25);
    assert_true(arena.reserved_bytes <= 1 << 20);
    rdl__arena_fini(&arena);
    writer_free(&w);
}

static bool count_down(void *user)
{
    int *left = user;
    return --*left == 0;
}

static void read_stops_when_told(void **state)
{
    (void)state;
    struct writer w = {0};
    for (int i = 0; i < 10000; i++)
        writer_int(&w, MODEL_IR, 8);
    struct rdl__arena arena;
    struct rdl_error error;
    rdl__onnx_ModelProto *model;
    int left = 3;
    rdl__arena_init(&arena, SIZE_MAX);
    struct rdl__onnx_reader reader = {
        .arena = &arena, .stop = {count_down, &left}, .error = &error};
    assert_int_equal(rdl__onnx_read(&reader, w.data, w.n, &model), RDL_ERR_CANCELLED);
    assert_string_equal(error.message, "stopped while reading the model");
    assert_int_equal(left, 0);
    rdl__arena_fini(&arena);
    writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_small_model_keeps_bytes_in_place),
        cmocka_unit_test(read_packed_and_single_numbers_are_the_same),
        cmocka_unit_test(read_parts_of_one_message_are_merged),
        cmocka_unit_test(read_unknown_fields_are_skipped),
        cmocka_unit_test(read_cut_file_is_refused_at_every_byte),
        cmocka_unit_test(read_text_file_is_refused),
        cmocka_unit_test(read_oversized_length_is_refused),
        cmocka_unit_test(read_wrong_wire_type_is_refused),
        cmocka_unit_test(read_broken_numbers_are_refused),
        cmocka_unit_test(read_graphs_too_deep_are_refused),
        cmocka_unit_test(read_types_too_deep_are_refused),
        cmocka_unit_test(read_memory_limit_is_kept),
        cmocka_unit_test(read_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
