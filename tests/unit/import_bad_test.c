/*
 * Importing: the message of every bad model.
 */
#include "support/import_maker.h"

static void bad_empty(struct writer *w)
{
    (void)w;
}

static void bad_no_graph(struct writer *w)
{
    writer_int(w, MODEL_IR, 8);
}

static void bad_no_ir_version(struct writer *w)
{
    writer_opset(w, "", 17);
    writer_open(w, MODEL_GRAPH);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void bad_no_opset(struct writer *w)
{
    writer_int(w, MODEL_IR, 8);
    writer_opset(w, "ai.onnx.ml", 3);
    writer_open(w, MODEL_GRAPH);
    writer_plain(w, "Relu", "r", "x", "y");
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 0, NULL);
}

static void opset(struct writer *w, int64_t version)
{
    writer_begin(w, 8, version);
    writer_plain(w, "Relu", "r", "x", "y");
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 0, NULL);
}

static void bad_old_opset(struct writer *w)
{
    opset(w, 6);
}

static void bad_new_opset(struct writer *w)
{
    opset(w, 29);
}

static void bad_opset_twice(struct writer *w)
{
    writer_opset(w, "ai.onnx", 16);
    opset(w, 17);
}

static void bad_functions(struct writer *w)
{
    opset(w, 17);
    writer_close(w);
    writer_open(w, MODEL_FUNCTIONS);
    writer_text(w, 1, "Gelu");
    writer_text(w, 10, "local");
}

static void bad_no_nodes(struct writer *w)
{
    begin_xy(w);
}

static void bad_no_outputs(struct writer *w)
{
    writer_begin(w, 8, 17);
    writer_value(w, GRAPH_INPUT, "x", RDL_F32, 0, NULL);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void bad_output_never_made(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Relu", "r", "x", "z");
}

static void bad_output_twice(struct writer *w)
{
    begin_xy(w);
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 0, NULL);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void bad_output_without_name(struct writer *w)
{
    begin_xy(w);
    writer_open(w, GRAPH_OUTPUT);
    writer_close(w);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void bad_input_twice(struct writer *w)
{
    begin_xy(w);
    writer_value(w, GRAPH_INPUT, "x", RDL_F32, 0, NULL);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void bad_input_without_type(struct writer *w)
{
    begin_xy(w);
    writer_open(w, GRAPH_INPUT);
    writer_text(w, VALUE_NAME, "bare");
    writer_close(w);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void bad_input_without_name(struct writer *w)
{
    begin_xy(w);
    writer_open(w, GRAPH_INPUT);
    writer_close(w);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void input_of(struct writer *w, int64_t dtype, int32_t rank, const int64_t *dims)
{
    begin_xy(w);
    writer_value(w, GRAPH_INPUT, "z", dtype, rank, dims);
    writer_plain(w, "Relu", "r", "x", "y");
}

static void bad_input_dtype(struct writer *w)
{
    input_of(w, 99, 0, NULL);
}

static void bad_input_float8(struct writer *w)
{
    input_of(w, 17, 0, NULL);
}

static void bad_input_rank(struct writer *w)
{
    input_of(w, RDL_F32, 9, (int64_t[9]){1, 1, 1, 1, 1, 1, 1, 1, 1});
}

static void bad_input_dim(struct writer *w)
{
    input_of(w, RDL_F32, 1, (int64_t[]){-2});
}

static void bad_input_size(struct writer *w)
{
    input_of(w, RDL_F32, 2, (int64_t[]){INT64_MAX / 2, 4});
}

static void bad_input_map(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Relu", "r", "x", "y");
    writer_open(w, GRAPH_INPUT);
    writer_text(w, VALUE_NAME, "z");
    writer_open(w, VALUE_TYPE);
    writer_open(w, TYPE_MAP);
}

static void bad_value_never_made(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Add", "sum", "x ghost", "y");
}

static void bad_inner_value_never_made(struct writer *w)
{
    begin_xy(w);
    writer_node(w, "If", "choice", "x", "y");
    open_branch(w, "else_branch");
    writer_plain(w, "Relu", "inner", "ghost", "z");
}

static void bad_inner_value_used_outside(struct writer *w)
{
    begin_xy(w);
    writer_node(w, "If", "choice", "x", "y");
    open_branch(w, "else_branch");
    writer_plain(w, "Relu", "inner", "x", "z");
    writer_value(w, GRAPH_OUTPUT, "z", RDL_F32, -1, NULL);
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_plain(w, "Relu", "outside", "z", "q");
}

static void bad_made_twice(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Relu", "a", "x", "y");
    writer_plain(w, "Relu", "b", "x", "y");
}

static void bad_initialiser_made_by_node(struct writer *w)
{
    static const float one = 1;
    begin_xy(w);
    writer_plain(w, "Relu", "a", "x", "y");
    writer_raw(w, "y", RDL_F32, 0, NULL, &one, sizeof one);
}

static void bad_cycle(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Add", "a", "x c", "b");
    writer_plain(w, "Relu", "c", "b", "c");
    writer_plain(w, "Relu", "out", "b", "y");
}

static void bad_unknown_operators(struct writer *w)
{
    begin_xy(w);
    writer_node(w, "Mystery", "", "x", "a");
    writer_text(w, NODE_DOMAIN, "com.example");
    writer_close(w);
    writer_plain(w, "Tangle", "t", "a", "y");
}

static void bad_no_operator(struct writer *w)
{
    begin_xy(w);
    writer_open(w, GRAPH_NODE);
}

static void bad_count_of_inputs(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Add", "sum", "x", "y");
}

static void bad_name_utf8(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Add", "s\xff\xc3\n", "x gh\x80st", "y");
}

static void bad_name_zero(struct writer *w)
{
    begin_xy(w);
    writer_node(w, "Relu", "r", "x", "y");
    writer_blob(w, NODE_OUTPUT, "a\0b", 3);
}

static void bad_initialiser_twice(struct writer *w)
{
    static const float data[2] = {0};
    begin_xyw(w);
    writer_raw(w, "w", RDL_F32, 1, (int64_t[]){2}, data, sizeof data);
    writer_raw(w, "w", RDL_F32, 1, (int64_t[]){2}, data, sizeof data);
}

static void bad_initialiser_without_name(struct writer *w)
{
    begin_xyw(w);
    writer_raw(w, "", RDL_U8, 0, NULL, "\1", 1);
}

static void raw_of(struct writer *w, int64_t dtype, int32_t rank, const int64_t *dims, size_t size)
{
    static const char zeros[64];
    begin_xyw(w);
    writer_raw(w, "w", dtype, rank, dims, zeros, size);
}

static void bad_raw_size(struct writer *w)
{
    raw_of(w, RDL_F32, 2, (int64_t[]){2, 2}, 12);
}

static void bad_no_data(struct writer *w)
{
    raw_of(w, RDL_F32, 1, (int64_t[]){2}, 0);
}

static void bad_negative_dim(struct writer *w)
{
    raw_of(w, RDL_F32, 2, (int64_t[]){2, -1}, 8);
}

static void bad_overflowing_dims(struct writer *w)
{
    raw_of(w, RDL_F32, 3, (int64_t[]){1 << 20, 1 << 20, 1 << 20}, 8);
}

static void bad_overflow_beside_zero(struct writer *w)
{
    raw_of(w, RDL_F32, 3, (int64_t[]){0, INT64_MAX, 3}, 0);
}

static void bad_rank(struct writer *w)
{
    raw_of(w, RDL_F32, 9, (int64_t[9]){1, 1, 1, 1, 1, 1, 1, 1, 1}, 4);
}

static void bad_dtype(struct writer *w)
{
    raw_of(w, 0, 1, (int64_t[]){2}, 8);
}

static void bad_huge_dtype(struct writer *w)
{
    raw_of(w, (INT64_C(1) << 32) + 1, 1, (int64_t[]){2}, 8); /* 1 if it were cut to 32 bits */
}

static void bad_complex(struct writer *w)
{
    raw_of(w, 14, 1, (int64_t[]){1}, 8);
}

static void bad_raw_strings(struct writer *w)
{
    raw_of(w, RDL_STRING, 1, (int64_t[]){1}, 16);
}

static void bad_typed_count(struct writer *w)
{
    begin_xyw(w);
    writer_tensor(w, GRAPH_INITIALISER, "w", RDL_I64, 1, (int64_t[]){2});
    writer_int(w, TENSOR_INT64S, 1);
}

static void bad_typed_range(struct writer *w)
{
    begin_xyw(w);
    writer_tensor(w, GRAPH_INITIALISER, "w", RDL_U8, 1, (int64_t[]){2});
    writer_int(w, TENSOR_INT32S, 255);
    writer_int(w, TENSOR_INT32S, 256);
}

static void bad_unsigned_range(struct writer *w)
{
    begin_xyw(w);
    writer_tensor(w, GRAPH_INITIALISER, "w", RDL_U32, 1, (int64_t[]){1});
    writer_int(w, TENSOR_UINT64S, INT64_C(1) << 32);
}

static void bad_segment(struct writer *w)
{
    begin_xyw(w);
    writer_tensor(w, GRAPH_INITIALISER, "w", RDL_F32, 0, NULL);
    writer_open(w, TENSOR_SEGMENT);
}

static void bad_location(struct writer *w)
{
    begin_xyw(w);
    writer_tensor(w, GRAPH_INITIALISER, "w", RDL_F32, 0, NULL);
    writer_int(w, TENSOR_LOCATION, 7);
}

static void bad_sparse(struct writer *w)
{
    begin_xyw(w);
    writer_open(w, GRAPH_SPARSE);
    writer_tensor(w, 1, "thin", RDL_F32, 0, NULL);
}

static void begin_constant(struct writer *w, const char *attr, int64_t type)
{
    begin_xy(w);
    writer_plain(w, "Add", "sum", "x k", "y");
    writer_node(w, "Constant", "c", "", "k");
    writer_attr(w, attr, type);
}

static void bad_sparse_constant(struct writer *w)
{
    begin_constant(w, "sparse_value", 11);
}

static void bad_constant_attr(struct writer *w)
{
    begin_constant(w, "values", 7);
}

static void bad_constant_without_tensor(struct writer *w)
{
    begin_constant(w, "value", 4);
}

static void bad_constant_data(struct writer *w)
{
    begin_constant(w, "value", 4);
    writer_tensor(w, ATTR_T, "", RDL_F32, 1, (int64_t[]){3});
    writer_blob(w, TENSOR_RAW, "1234", 4);
}

static void bad_constant_outputs(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Constant", "c", "", "k l");
}

static void begin_attr(struct writer *w, const char *name, int64_t type)
{
    begin_xy(w);
    writer_node(w, "Relu", "r", "x", "y");
    writer_attr(w, name, type);
}

static void bad_attr_type(struct writer *w)
{
    begin_attr(w, "odd", 42);
}

static void bad_attr_no_type(struct writer *w)
{
    begin_attr(w, "odd", 0);
}

static void bad_attr_foreign(struct writer *w)
{
    begin_attr(w, "shape", 13);
}

static void bad_attr_without_graph(struct writer *w)
{
    begin_attr(w, "body", RDL__ATTR_GRAPH);
}

static void bad_attr_without_name(struct writer *w)
{
    begin_attr(w, "", RDL__ATTR_INT);
}

static void bad_attr_twice(struct writer *w)
{
    begin_attr(w, "axis", RDL__ATTR_INT);
    writer_close(w);
    writer_attr(w, "axis", RDL__ATTR_INT);
}

static void bad_attr_reference(struct writer *w)
{
    begin_attr(w, "axis", RDL__ATTR_INT);
    writer_text(w, ATTR_REF, "axis");
}

static void bad_attr_tensor(struct writer *w)
{
    begin_attr(w, "value", RDL__ATTR_TENSOR);
    writer_tensor(w, ATTR_T, "", RDL_F32, 1, (int64_t[]){3});
}

static void bad_attr_number(struct writer *w)
{
    begin_xy(w);
    writer_node(w, "Relu", "r", "x", "y");
    for (int i = 0; i < 257; i++) {
        writer_attr(w, "a", RDL__ATTR_INT);
        writer_close(w);
    }
}

#define MODEL RDL_ERR_MODEL
#define UNSUPPORTED RDL_ERR_UNSUPPORTED

static const struct {
    model_fn fill;
    enum rdl_status status;
    const char *message;
} bad_models[] = {
    {bad_empty, MODEL, "not an ONNX model: it is empty"},
    {bad_no_graph, MODEL, "not an ONNX model: it has no graph"},
    {bad_no_ir_version, MODEL, "not an ONNX model: it has no IR version"},
    {bad_no_opset, MODEL, "the model does not say its opset of domain ai.onnx"},
    {bad_old_opset, UNSUPPORTED, "opset 6 of domain ai.onnx is outside 7..28"},
    {bad_new_opset, UNSUPPORTED, "opset 29 of domain ai.onnx is outside 7..28"},
    {bad_opset_twice, MODEL, "opset of domain \"\" is there twice"},
    {bad_functions, UNSUPPORTED,
     "the model defines 1 functions of its own (the first is \"Gelu\" of domain \"local\"), which "
     "are not supported: export it with functions inlined"},
    {bad_no_nodes, MODEL, "the graph has no nodes"},
    {bad_no_outputs, MODEL, "the graph has no outputs"},
    {bad_output_never_made, MODEL, "nothing makes graph output \"y\""},
    {bad_output_twice, MODEL, "graph output \"y\" is there twice"},
    {bad_output_without_name, MODEL, "graph output #1 has no name"},
    {bad_input_twice, MODEL, "graph input \"x\" is there twice"},
    {bad_input_without_type, MODEL, "graph input \"bare\" has no type"},
    {bad_input_without_name, MODEL, "graph input #1 has no name"},
    {bad_input_dtype, MODEL, "graph input \"z\": data type 99 is not known"},
    {bad_input_float8, UNSUPPORTED, "graph input \"z\": data type FLOAT8E4M3FN is not supported"},
    {bad_input_rank, UNSUPPORTED, "graph input \"z\": rank 9 is above 8"},
    {bad_input_dim, MODEL, "graph input \"z\": dimension 0 is negative (-2)"},
    {bad_input_size, MODEL,
     "graph input \"z\": size of dimension 0 (4611686018427387903) overflows the size"},
    {bad_input_map, UNSUPPORTED,
     "graph input \"z\": maps, opaque types and sparse tensors are not supported"},
    {bad_value_never_made, MODEL, "node \"sum\" (Add): input 1: nothing makes value \"ghost\""},
    {bad_inner_value_never_made, MODEL,
     "node \"choice\" (If): attribute \"else_branch\": node \"inner\" (Relu): input 0: nothing "
     "makes value \"ghost\""},
    {bad_inner_value_used_outside, MODEL,
     "node \"outside\" (Relu): input 0: nothing makes value \"z\""},
    {bad_made_twice, MODEL,
     "value \"y\" is made twice: by node \"a\" (Relu) and by node \"b\" (Relu)"},
    {bad_initialiser_made_by_node, MODEL,
     "value \"y\" is made twice: by an initialiser or constant and by node \"a\" (Relu)"},
    {bad_cycle, MODEL,
     "cycle: node \"c\" (Relu) uses value \"b\", which depends on the node's own result"},
    {bad_unknown_operators, UNSUPPORTED,
     "2 operators are not supported: Mystery (com.example version 1, 1 node, first node #0 "
     "(Mystery)); Tangle (ai.onnx version 17, 1 node, first node \"t\" (Tangle))"},
    {bad_no_operator, MODEL, "node #0 has no operator"},
    {bad_count_of_inputs, MODEL, "node \"sum\" (Add) has 1 inputs, the operator takes 2"},
    {bad_name_utf8, MODEL,
     "node \"s\\xff\\xc3\\x0a\" (Add): input 1: nothing makes value \"gh\\x80st\""},
    {bad_name_zero, MODEL, "node \"r\" (Relu): name \"a\" holds a zero byte"},
    {bad_initialiser_twice, MODEL, "initialiser \"w\" is there twice"},
    {bad_initialiser_without_name, MODEL, "initialiser #0 has no name"},
    {bad_raw_size, MODEL, "initialiser \"w\": raw_data has 12 bytes, shape [2, 2] of f32 needs 16"},
    {bad_no_data, MODEL, "initialiser \"w\": float_data has 0 elements, shape [2] of f32 needs 2"},
    {bad_negative_dim, MODEL, "initialiser \"w\": dimension 1 is negative (-1)"},
    {bad_overflowing_dims, MODEL,
     "initialiser \"w\": size of dimension 2 (1048576) overflows the size"},
    {bad_overflow_beside_zero, MODEL,
     "initialiser \"w\": product of dimension 1 (9223372036854775807) overflows the size"},
    {bad_rank, UNSUPPORTED, "initialiser \"w\": rank 9 is above 8"},
    {bad_dtype, MODEL, "initialiser \"w\": data type 0 is not known"},
    {bad_huge_dtype, MODEL, "initialiser \"w\": data type 4294967297 is not known"},
    {bad_complex, UNSUPPORTED, "initialiser \"w\": data type COMPLEX64 is not supported"},
    {bad_raw_strings, MODEL, "initialiser \"w\": strings cannot be raw or external data"},
    {bad_typed_count, MODEL,
     "initialiser \"w\": int64_data has 1 elements, shape [2] of i64 needs 2"},
    {bad_typed_range, MODEL, "initialiser \"w\": element 1 (256) does not fit into u8"},
    {bad_unsigned_range, MODEL, "initialiser \"w\": element 0 (4294967296) does not fit into u32"},
    {bad_segment, UNSUPPORTED, "initialiser \"w\": tensors in segments are not supported"},
    {bad_location, MODEL, "initialiser \"w\": data location 7 is not known"},
    {bad_sparse, UNSUPPORTED, "initialiser \"thin\": sparse tensors are not supported"},
    {bad_sparse_constant, UNSUPPORTED, "node \"c\" (Constant): sparse tensors are not supported"},
    {bad_constant_attr, MODEL, "node \"c\" (Constant): attribute \"values\" is not known"},
    {bad_constant_without_tensor, MODEL,
     "node \"c\" (Constant): attribute \"value\" has no tensor"},
    {bad_constant_data, MODEL,
     "node \"c\" (Constant): raw_data has 4 bytes, shape [3] of f32 needs 12"},
    {bad_constant_outputs, MODEL,
     "node \"c\" (Constant): 0 inputs, 2 outputs and 0 attributes; a constant has 0, 1 and 1"},
    {bad_attr_type, MODEL, "node \"r\" (Relu): attribute \"odd\": has no known type (42)"},
    {bad_attr_no_type, MODEL, "node \"r\" (Relu): attribute \"odd\": has no known type (0)"},
    {bad_attr_foreign, UNSUPPORTED,
     "node \"r\" (Relu): attribute \"shape\": is a type, which is not supported"},
    {bad_attr_without_graph, MODEL, "node \"r\" (Relu): attribute \"body\": has no graph"},
    {bad_attr_without_name, MODEL, "node \"r\" (Relu): attribute #0 has no name"},
    {bad_attr_twice, MODEL, "node \"r\" (Relu): attribute \"axis\" is there twice"},
    {bad_attr_reference, MODEL,
     "node \"r\" (Relu): attribute \"axis\" refers to a function's, but is in none"},
    {bad_attr_tensor, MODEL,
     "node \"r\" (Relu): attribute \"value\": float_data has 0 elements, shape [3] of f32 needs 3"},
    {bad_attr_number, MODEL,
     "node \"r\" (Relu): 1 inputs, 1 outputs and 257 attributes are too many"},
};

static void import_bad_models_are_refused_by_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_models / sizeof bad_models[0]; i++) {
        struct imported m;
        import_model(&m, bad_models[i].fill);
        assert_string_equal(m.error.message, bad_models[i].message);
        assert_int_equal(m.status, bad_models[i].status);
        assert_int_equal(m.error.status, bad_models[i].status);
        assert_null(m.graph);
        imported_fini(&m);
    }
}

static void import_bad_models_need_no_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_models / sizeof bad_models[0]; i++) {
        struct writer w = {0};
        struct rdl__arena arena;
        struct rdl__graph *graph;
        const struct rdl__onnx_options options = {.find = maker_find};
        bad_models[i].fill(&w);
        writer_end(&w);
        rdl__arena_init(&arena, SIZE_MAX);
        assert_int_equal(rdl__onnx_import(w.data, w.n, &options, &arena, &graph, NULL),
                         bad_models[i].status);
        rdl__arena_fini(&arena);
        writer_free(&w);
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(import_bad_models_are_refused_by_message),
        cmocka_unit_test(import_bad_models_need_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
