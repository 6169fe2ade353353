/*
 * Importing: what a good model becomes; models cut short, out of memory, stopped, with data in other files.
 * import_bad_test.c has the message of every bad model.
 */
#include "support/import_maker.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- good models ------------------------------------------------------------------------------- */

static void fill_good(struct writer *w)
{
    static const float bias[2] = {0.5F, -1};
    writer_begin(w, 8, 17);
    writer_value(w, GRAPH_INPUT, "x", RDL_F32, 2, (int64_t[]){-1, 2});
    writer_value(w, GRAPH_INPUT, "w", RDL_F32, 1, (int64_t[]){2});
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 2, (int64_t[]){-1, 2});
    writer_value(w, GRAPH_VALUE_INFO, "sum", RDL_F32, 2, (int64_t[]){-1, 2});
    writer_value(w, GRAPH_VALUE_INFO, "nobody", RDL_F32, 0, NULL);
    /* out of order, with an absent input in the middle and absent ones at the end */
    writer_plain(w, "Clip", "clip", "sum - top - -", "y");
    writer_plain(w, "Add", "add", "x w", "sum");
    writer_node(w, "Constant", "", "", "top");
    writer_attr(w, "value_float", RDL__ATTR_FLOAT);
    writer_float(w, ATTR_F, 6);
    writer_close(w);
    writer_close(w);
    writer_raw(w, "w", RDL_F32, 1, (int64_t[]){2}, bias, sizeof bias);
    writer_close(w); /* the graph */
    writer_text(w, MODEL_PRODUCER, "maker");
    writer_text(w, MODEL_PRODUCER_VERSION, "1.2");
    writer_opset(w, "com.example", 3);
    writer_open(w, MODEL_METADATA);
    writer_text(w, PAIR_KEY, "labels");
    writer_text(w, PAIR_VALUE, "a\nb");
    writer_close(w);
}

static void import_good_model_is_whole(void **state)
{
    (void)state;
    struct imported m;
    import_model(&m, fill_good);
    assert_int_equal(m.status, RDL_OK);
    const struct rdl__graph *graph = m.graph;
    assert_string_equal(graph->name, "g");
    assert_int_equal(graph->opset, 17);
    assert_int_equal(graph->ir_version, 8);
    assert_string_equal(graph->producer, "maker");
    assert_string_equal(graph->producer_version, "1.2");
    assert_int_equal(graph->n_opsets, 1);
    assert_string_equal(graph->opsets[0].domain, "com.example");
    assert_int_equal(graph->opsets[0].version, 3);
    assert_int_equal(graph->n_metadata, 1);
    assert_string_equal(graph->metadata[0].key, "labels");
    assert_string_equal(graph->metadata[0].value, "a\nb");
    /* w is an initialiser: no input, also at IR 8 */
    assert_int_equal(graph->n_inputs, 1);
    const struct rdl__value_info *x = &graph->values[graph->inputs[0]];
    assert_string_equal(x->name, "x");
    assert_int_equal(x->dtype, RDL_F32);
    assert_int_equal(x->rank, 2);
    assert_int_equal(x->dims[0], -1);
    assert_string_equal(x->dim_names[0], "N");
    assert_int_equal(x->dims[1], 2);
    assert_null(x->dim_names[1]);
    assert_int_equal(graph->n_outputs, 1);
    assert_string_equal(graph->values[graph->outputs[0]].name, "y");
    assert_int_equal(value_of(graph, "sum")->rank, 2);
    MAKER_ASSERT_OPS(graph, "Add Clip");
    const struct rdl__node *clip = graph->nodes[1];
    assert_string_equal(clip->name, "clip");
    assert_int_equal(clip->index, 0);
    assert_int_equal(clip->n_inputs, 3);
    assert_int_equal(clip->inputs[1], RDL__NO_VALUE);
    const struct rdl__desc *top = graph->values[clip->inputs[2]].constant;
    assert_int_equal(top->shape.rank, 0);
    assert_true(*(const float *)top->data == 6);
    const struct rdl__desc *w = value_of(graph, "w")->constant;
    assert_true(((const float *)w->data)[1] == -1);
    assert_int_equal((uintptr_t)w->data % 64, 0);
    imported_fini(&m);
}

static void fill_attrs(struct writer *w)
{
    begin_xy(w);
    writer_node(w, "Identity", "n", "x", "y");
    writer_attr(w, "i", RDL__ATTR_INT);
    writer_int(w, ATTR_I, -3);
    writer_close(w);
    writer_attr(w, "f", RDL__ATTR_FLOAT);
    writer_float(w, ATTR_F, 0.5F);
    writer_close(w);
    writer_attr(w, "s", RDL__ATTR_STRING);
    writer_blob(w, ATTR_S, "a\0b", 3);
    writer_close(w);
    writer_attr(w, "none", RDL__ATTR_INTS);
    writer_close(w);
    writer_attr(w, "ints", RDL__ATTR_INTS);
    writer_int(w, ATTR_INTS, 7);
    writer_int(w, ATTR_INTS, -8);
    writer_close(w);
    writer_attr(w, "floats", RDL__ATTR_FLOATS);
    writer_float(w, ATTR_FLOATS, 1.5F);
    writer_close(w);
    writer_attr(w, "strings", RDL__ATTR_STRINGS);
    writer_text(w, ATTR_STRINGS, "");
    writer_text(w, ATTR_STRINGS, "tanh");
    writer_close(w);
    writer_attr(w, "t", RDL__ATTR_TENSOR);
    writer_tensor(w, ATTR_T, "", RDL_I64, 1, (int64_t[]){1});
    writer_int(w, TENSOR_INT64S, 9);
    writer_close(w);
    writer_close(w);
    writer_open(w, NODE_ATTR); /* IR version 1: no type */
    writer_text(w, ATTR_NAME, "untyped");
    writer_int(w, ATTR_I, 5);
    writer_close(w);
}

static void import_attributes_of_every_type(void **state)
{
    (void)state;
    struct imported m;
    size_t count;
    import_model(&m, fill_attrs);
    assert_int_equal(m.status, RDL_OK);
    const struct rdl__node *node = m.graph->nodes[0];
    assert_int_equal(rdl__attr_int(node, "i", 0), -3);
    assert_true(rdl__attr_float(node, "f", 0) == 0.5F);
    const struct rdl__attr *s = rdl__attr_find(node, "s");
    assert_int_equal(s->s.size, 3);
    assert_memory_equal(s->s.bytes, "a\0b", 4);
    assert_non_null(rdl__attr_ints(node, "none", &count));
    assert_int_equal(count, 0);
    assert_int_equal(rdl__attr_ints(node, "ints", &count)[1], -8);
    assert_int_equal(count, 2);
    const struct rdl__attr *floats = rdl__attr_find(node, "floats");
    assert_int_equal(floats->count, 1);
    assert_true(floats->floats[0] == 1.5F);
    const struct rdl__attr *strings = rdl__attr_find(node, "strings");
    assert_int_equal(strings->count, 2);
    assert_string_equal(strings->strings[1].bytes, "tanh");
    assert_int_equal(*(const int64_t *)rdl__attr_find(node, "t")->tensor->data, 9);
    assert_int_equal(rdl__attr_int(node, "untyped", 0), 5);
    imported_fini(&m);
}

/* Constants from every attribute that a Constant node may have. */
static void fill_constants(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Identity", "n", "x", "y");
    static const struct {
        const char *name;
        int type;
    } kinds[] = {{"value_float", 1},  {"value_int", 2},  {"value_string", 3}, {"value", 4},
                 {"value_floats", 6}, {"value_ints", 7}, {"value_strings", 8}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        writer_node(w, "Constant", "", "", kinds[i].name);
        writer_attr(w, kinds[i].name, kinds[i].type);
        writer_float(w, ATTR_F, 2);
        writer_int(w, ATTR_I, 3);
        writer_text(w, ATTR_S, "four");
        writer_tensor(w, ATTR_T, "", RDL_BOOL, 2, (int64_t[]){1, 1});
        writer_blob(w, TENSOR_RAW, "\1", 1);
        writer_close(w);
        for (int k = 0; k < 3; k++) {
            writer_float(w, ATTR_FLOATS, (float)k);
            writer_int(w, ATTR_INTS, k);
            writer_text(w, ATTR_STRINGS, "s");
        }
        writer_close(w);
        writer_close(w);
    }
}

static void import_constant_nodes_become_constants(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum rdl_dtype dtype;
        int32_t rank;
        size_t count;
    } cases[] = {{"value_float", RDL_F32, 0, 1},     {"value_int", RDL_I64, 0, 1},
                 {"value_string", RDL_STRING, 0, 1}, {"value", RDL_BOOL, 2, 1},
                 {"value_floats", RDL_F32, 1, 3},    {"value_ints", RDL_I64, 1, 3},
                 {"value_strings", RDL_STRING, 1, 3}};
    struct imported m;
    import_model(&m, fill_constants);
    assert_int_equal(m.status, RDL_OK);
    assert_int_equal(m.graph->n_nodes, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct rdl__desc *desc = value_of(m.graph, cases[i].name)->constant;
        assert_non_null(desc);
        assert_int_equal(desc->dtype, cases[i].dtype);
        assert_int_equal(desc->shape.rank, cases[i].rank);
        assert_int_equal(rdl__shape_count(&desc->shape), cases[i].count);
        assert_non_null(desc->data);
    }
    const struct rdl__string *text = value_of(m.graph, "value_string")->constant->data;
    assert_string_equal(text->bytes, "four");
    assert_int_equal(text->size, 4);
    imported_fini(&m);
}

static void fill_every_dtype(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Identity", "n", "x", "y");
#define RAW_AND_TYPED(name, value, text, size)                                                     \
    writer_tensor(w, GRAPH_INITIALISER, "typed_" text, (value), 1, (int64_t[]){2});                \
    for (int i = 1; i < 3; i++) {                                                                  \
        const double real = i;                                                                     \
        if ((value) == RDL_F32)                                                                    \
            writer_float(w, TENSOR_FLOATS, (float)i);                                              \
        else if ((value) == RDL_F64)                                                               \
            writer_tag(w, TENSOR_DOUBLES, 1), writer_bytes(w, &real, sizeof real);                 \
        else if ((value) == RDL_STRING)                                                            \
            writer_text(w, TENSOR_STRINGS, i == 1 ? "one" : "two");                                \
        else if ((value) == RDL_I64)                                                               \
            writer_int(w, TENSOR_INT64S, -i);                                                      \
        else if ((value) == RDL_U32 || (value) == RDL_U64)                                         \
            writer_int(w, TENSOR_UINT64S, i);                                                      \
        else                                                                                       \
            writer_int(w, TENSOR_INT32S, (value) == RDL_BOOL ? 1 : i);                             \
    }                                                                                              \
    writer_close(w);                                                                               \
    if ((value) != RDL_STRING)                                                                     \
        writer_raw(w, "raw_" text, (value), 1, (int64_t[]){2}, "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0",   \
                   2 * (size_t)(size));
    RDL_DTYPE_LIST(RAW_AND_TYPED)
#undef RAW_AND_TYPED
}

static void import_every_dtype_raw_and_typed(void **state)
{
    (void)state;
    struct imported m;
    import_model(&m, fill_every_dtype);
    assert_int_equal(m.status, RDL_OK);
#define CHECK(name, value, text, bytes)                                                            \
    {                                                                                              \
        const struct rdl__desc *desc = value_of(m.graph, "typed_" text)->constant;                 \
        assert_int_equal(desc->dtype, (value));                                                    \
        assert_int_equal((uintptr_t)desc->data % 64, 0);                                           \
        if ((value) != RDL_STRING)                                                                 \
            assert_int_equal(value_of(m.graph, "raw_" text)->constant->dtype, (value));            \
    }
    RDL_DTYPE_LIST(CHECK)
#undef CHECK
#define DATA(type, name) ((const type *)value_of(m.graph, name)->constant->data)
    assert_true(DATA(float, "typed_f32")[1] == 2);
    assert_true(DATA(double, "typed_f64")[1] == 2);
    assert_int_equal(DATA(int64_t, "typed_i64")[1], -2);
    assert_int_equal(DATA(uint64_t, "typed_u64")[1], 2);
    assert_int_equal(DATA(uint32_t, "typed_u32")[1], 2);
    assert_int_equal(DATA(int32_t, "typed_i32")[1], 2);
    assert_int_equal(DATA(uint16_t, "typed_f16")[1], 2); /* by its bits */
    assert_int_equal(DATA(uint16_t, "typed_bf16")[1], 2);
    assert_int_equal(DATA(int8_t, "typed_i8")[1], 2);
    assert_int_equal(DATA(uint8_t, "typed_bool")[1], 1);
    assert_string_equal(DATA(struct rdl__string, "typed_string")[1].bytes, "two");
    assert_int_equal(DATA(uint8_t, "raw_u8")[0], 1);
    assert_int_equal(DATA(int64_t, "raw_i64")[1], 1);
#undef DATA
    imported_fini(&m);
}

static void fill_odd_bools(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Identity", "n", "x", "y");
    writer_raw(w, "b", RDL_BOOL, 1, (int64_t[]){3}, "\0\xff\2", 3);
    writer_raw(w, "empty", RDL_F32, 2, (int64_t[]){0, 3}, NULL, 0);
    writer_tensor(w, GRAPH_INITIALISER, "empty_typed", RDL_STRING, 1, (int64_t[]){0});
}

static void import_odd_bools_and_empty_tensors_are_normal(void **state)
{
    (void)state;
    struct imported m;
    import_model(&m, fill_odd_bools);
    assert_int_equal(m.status, RDL_OK);
    assert_memory_equal(value_of(m.graph, "b")->constant->data, "\0\1\1", 3);
    assert_non_null(value_of(m.graph, "empty")->constant->data);
    assert_non_null(value_of(m.graph, "empty_typed")->constant->data);
    imported_fini(&m);
}

/* cond and x; If whose branches nest one more If that takes x, a constant and a middle value. */
static void fill_nested(struct writer *w)
{
    static const float one = 1;
    writer_begin(w, 8, 17);
    writer_value(w, GRAPH_INPUT, "cond", RDL_BOOL, 0, NULL);
    writer_value(w, GRAPH_INPUT, "x", RDL_F32, 1, (int64_t[]){2});
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 1, (int64_t[]){2});
    writer_raw(w, "k", RDL_F32, 0, NULL, &one, sizeof one);
    writer_node(w, "If", "outer_if", "cond", "y");
    open_branch(w, "then_branch");
    {
        writer_plain(w, "Relu", "mid_relu", "late", "mid");
        writer_node(w, "If", "inner_if", "cond", "z");
        open_branch(w, "then_branch");
        writer_plain(w, "Add", "a", "x k", "s");
        writer_plain(w, "Add", "b", "s mid", "t");
        writer_value(w, GRAPH_OUTPUT, "t", RDL_F32, -1, NULL);
        writer_close(w);
        writer_close(w);
        writer_close(w);
        writer_value(w, GRAPH_OUTPUT, "z", RDL_F32, -1, NULL);
    }
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_plain(w, "Relu", "late_relu", "x", "late");
}

static void import_subgraphs_take_values_from_outside(void **state)
{
    (void)state;
    struct imported m;
    import_model(&m, fill_nested);
    assert_int_equal(m.status, RDL_OK);
    MAKER_ASSERT_OPS(m.graph, "Relu If"); /* late is made before the If whose branch uses it */
    const struct rdl__graph *middle = m.graph->nodes[1]->attrs[0].graph;
    assert_ptr_equal(middle->outer, m.graph);
    assert_int_equal(middle->opset, 17);
    MAKER_ASSERT_OPS(middle, "Relu If");
    const struct rdl__graph *inner = middle->nodes[1]->attrs[0].graph;
    assert_ptr_equal(inner->outer, middle);
    /* x goes through the middle graph; k is a constant everywhere; mid is the middle graph's own */
    assert_int_equal(value_of(inner, "x")->outer, find_value(middle, "x"));
    assert_int_equal(value_of(middle, "x")->outer, find_value(m.graph, "x"));
    assert_int_equal(value_of(inner, "k")->outer, RDL__NO_VALUE);
    assert_ptr_equal(value_of(inner, "k")->constant, value_of(m.graph, "k")->constant);
    assert_int_equal(value_of(inner, "mid")->outer, find_value(middle, "mid"));
    assert_int_equal(value_of(m.graph, "late")->n_uses, 1);
    imported_fini(&m);
}

static void fill_default_domain_by_name(struct writer *w)
{
    writer_int(w, MODEL_IR, 3);
    writer_opset(w, "ai.onnx", 9);
    writer_open(w, MODEL_GRAPH);
    writer_value(w, GRAPH_INPUT, "x", RDL_F32, 1, (int64_t[]){-1});
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 1, (int64_t[]){-1});
    writer_node(w, "Relu", "r", "x", "y");
    writer_text(w, NODE_DOMAIN, "ai.onnx");
}

static void import_default_domain_has_two_names(void **state)
{
    (void)state;
    struct imported m;
    import_model(&m, fill_default_domain_by_name);
    assert_int_equal(m.status, RDL_OK);
    assert_int_equal(m.graph->opset, 9);
    assert_string_equal(m.graph->nodes[0]->domain, "");
    assert_string_equal(m.graph->producer, "");
    imported_fini(&m);
}

static void fill_types(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Identity", "n", "x", "y");
    writer_open(w, GRAPH_INPUT);
    writer_text(w, VALUE_NAME, "sequence");
    writer_open(w, VALUE_TYPE);
    writer_open(w, TYPE_SEQUENCE);
    writer_open(w, 1);
    writer_tensor_type(w, RDL_I64, -1, NULL);
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_open(w, GRAPH_INPUT);
    writer_text(w, VALUE_NAME, "optional");
    writer_open(w, VALUE_TYPE);
    writer_open(w, TYPE_OPTIONAL);
    writer_open(w, 1);
    writer_tensor_type(w, RDL_U8, 1, (int64_t[]){4});
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_close(w);
    writer_open(w, GRAPH_INPUT);
    writer_text(w, VALUE_NAME, "free");
    writer_open(w, VALUE_TYPE);
    writer_open(w, TYPE_TENSOR);
    writer_int(w, TENSOR_TYPE_ELEM, RDL_F32);
    writer_open(w, TENSOR_TYPE_SHAPE);
    writer_open(w, SHAPE_DIM); /* neither a number nor a name */
    writer_close(w);
    writer_open(w, SHAPE_DIM);
    writer_int(w, DIM_VALUE, -1);
    writer_close(w);
}

static void import_types_of_inputs(void **state)
{
    (void)state;
    struct imported m;
    import_model(&m, fill_types);
    assert_int_equal(m.status, RDL_OK);
    assert_int_equal(value_of(m.graph, "sequence")->kind, RDL_VALUE_SEQUENCE);
    assert_int_equal(value_of(m.graph, "sequence")->dtype, RDL_I64);
    assert_int_equal(value_of(m.graph, "optional")->kind, RDL_VALUE_OPTIONAL);
    assert_int_equal(value_of(m.graph, "optional")->dtype, RDL_U8);
    const struct rdl__value_info *free_dims = value_of(m.graph, "free");
    assert_int_equal(free_dims->kind, RDL_VALUE_TENSOR);
    assert_int_equal(free_dims->rank, 2);
    assert_int_equal(free_dims->dims[0], -1);
    assert_int_equal(free_dims->dims[1], -1);
    imported_fini(&m);
}

/* A weight whose bytes begin at a multiple of 4 in the file, or one byte beyond. */
static void import_referenced(struct imported *m, bool aligned)
{
    static const float weight[2] = {3, 4};
    const struct rdl__onnx_options options = {.reference_weights = true, .find = maker_find};
    for (size_t padding = 1;; padding++) {
        struct writer w = {0};
        const char text[16] = "";
        writer_blob(&w, 100, text, padding);
        begin_xyw(&w);
        writer_raw(&w, "w", RDL_F32, 1, (int64_t[]){2}, weight, sizeof weight);
        import_bytes(m, &w, &options);
        assert_int_equal(m->status, RDL_OK);
        const char *at = memmem(m->data, m->size, weight, sizeof weight);
        assert_non_null(at);
        if (((uintptr_t)at % 4 == 0) == aligned)
            return;
        imported_fini(m);
    }
}

static void import_weights_are_referenced_where_aligned(void **state)
{
    (void)state;
    struct imported m;
    for (int aligned = 0; aligned < 2; aligned++) {
        import_referenced(&m, aligned == 1);
        const char *data = value_of(m.graph, "w")->constant->data;
        const bool inside = data >= (char *)m.data && data < (char *)m.data + m.size;
        assert_int_equal(inside, aligned);
        assert_true(((const float *)(const void *)data)[1] == 4);
        imported_fini(&m);
    }
}

static void import_copied_weights_outlive_the_file(void **state)
{
    (void)state;
    struct imported m;
    import_model(&m, fill_good);
    assert_int_equal(m.status, RDL_OK);
    memset(m.data, 0xa5, m.size);
    assert_true(*(const float *)value_of(m.graph, "w")->constant->data == 0.5F);
    assert_string_equal(m.graph->nodes[1]->name, "clip");
    assert_string_equal(m.graph->metadata[0].key, "labels");
    imported_fini(&m);
}

static void import_twice_gives_the_same_graph(void **state)
{
    (void)state;
    /* The name table is seeded by an address; nothing of that may show. */
    struct imported a, b;
    import_model(&a, fill_nested);
    import_model(&b, fill_nested);
    assert_int_equal(a.graph->n_values, b.graph->n_values);
    for (uint32_t i = 0; i < a.graph->n_values; i++)
        assert_string_equal(a.graph->values[i].name, b.graph->values[i].name);
    imported_fini(&a);
    imported_fini(&b);
}

static void import_cut_model_is_refused_at_every_byte(void **state)
{
    (void)state;
    struct writer w = {0};
    fill_nested(&w);
    writer_end(&w);
    size_t n_refused = 0;
    for (size_t n = 0; n < w.n; n++) {
        struct rdl__arena arena;
        struct rdl__graph *graph;
        struct rdl_error error = {0};
        const struct rdl__onnx_options options = {.find = maker_find};
        void *data = malloc(n == 0 ? 1 : n);
        assert_non_null(data);
        memcpy(data, w.data, n);
        rdl__arena_init(&arena, SIZE_MAX);
        const enum rdl_status status = rdl__onnx_import(data, n, &options, &arena, &graph, &error);
        assert_int_equal(status, RDL_ERR_MODEL);
        assert_true(strlen(error.message) > 10);
        n_refused++;
        rdl__arena_fini(&arena);
        free(data);
    }
    assert_int_equal(n_refused, w.n);
    writer_free(&w);
}

/* ---- limits, stop, files ----------------------------------------------------------------------- */

static void import_memory_limit_is_kept(void **state)
{
    (void)state;
    struct writer w = {0};
    fill_nested(&w);
    writer_end(&w);
    bool passed = false;
    for (size_t limit = 0; limit < 64 << 10; limit += 512) {
        struct rdl__arena arena;
        struct rdl__graph *graph;
        struct rdl_error error = {0};
        const struct rdl__onnx_options options = {.find = maker_find};
        rdl__arena_init(&arena, limit);
        const enum rdl_status status =
            rdl__onnx_import(w.data, w.n, &options, &arena, &graph, &error);
        assert_true(status == RDL_OK || status == RDL_ERR_NO_MEMORY);
        assert_true(status != RDL_OK || limit > 0);
        assert_true(arena.reserved_bytes <= limit);
        assert_true(!passed || status == RDL_OK);
        passed = status == RDL_OK;
        rdl__arena_fini(&arena);
    }
    assert_true(passed);
    writer_free(&w);
}

static bool count_down(void *user)
{
    int *left = user;
    return --*left <= 0;
}

static void import_stops_when_told(void **state)
{
    (void)state;
    for (int after = 1; after <= 3; after++) {
        struct writer w = {0};
        struct imported m;
        int left = after;
        const struct rdl__onnx_options options = {.find = maker_find, .stop = {count_down, &left}};
        fill_good(&w);
        import_bytes(&m, &w, &options);
        assert_int_equal(m.status, RDL_ERR_CANCELLED);
        assert_string_equal(m.error.message, "stopped while importing the model");
        imported_fini(&m);
    }
}

static void write_file(const char *path, const void *data, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(close(fd), 0);
}

/* A model in a folder of its own whose weight w [2, 2] lies in "w.bin". */
static void write_model(const char *folder, const char *length, const char *location)
{
    static const float weight[5] = {9, 1, 2, 3, 4};
    char path[256];
    struct writer w = {0};
    begin_xyw(&w);
    writer_tensor(&w, GRAPH_INITIALISER, "w", RDL_F32, 2, (int64_t[]){2, 2});
    writer_int(&w, TENSOR_LOCATION, 1);
    const char *const pairs[3][2] = {{"location", location}, {"offset", "4"}, {"length", length}};
    for (int i = 0; i < 3; i++) {
        writer_open(&w, TENSOR_EXTERNAL);
        writer_text(&w, PAIR_KEY, pairs[i][0]);
        writer_text(&w, PAIR_VALUE, pairs[i][1]);
        writer_close(&w);
    }
    writer_end(&w);
    (void)snprintf(path, sizeof path, "%s/m.onnx", folder);
    write_file(path, w.data, w.n);
    (void)snprintf(path, sizeof path, "%s/w.bin", folder);
    write_file(path, weight, sizeof weight);
    writer_free(&w);
}

static void import_file_reads_external_data(void **state)
{
    (void)state;
    static const struct {
        const char *length, *location, *end;
        enum rdl_status status;
    } cases[] = {
        {"16", "w.bin", NULL, RDL_OK},
        {"15", "w.bin", "external data of 15 bytes, dtype and shape need 16", RDL_ERR_MODEL},
        {"0x10", "w.bin", "the length of external data is not a number", RDL_ERR_MODEL},
        {"99999999999999999999", "w.bin", "the length of external data is not a number",
         RDL_ERR_MODEL},
        {"16", "", "the location of external data is not a path", RDL_ERR_MODEL},
        {"16", "no.bin", "external data cannot be opened: No such file or directory", RDL_ERR_IO},
        {"16", "../w.bin",
         "external data \"../w.bin\": the path must be relative, without \"..\", \".\" or empty "
         "parts",
         RDL_ERR_MODEL},
        {"16", "/w.bin",
         "external data \"/w.bin\": the path must be relative, without \"..\", \".\" or empty parts",
         RDL_ERR_MODEL},
        {"16", "m.onnx", NULL, RDL_OK}, /* any regular file that is long enough */
    };
    char folder[] = "/tmp/raddle_import_test.XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rdl__arena arena;
        struct rdl__graph *graph;
        struct rdl_error error = {0};
        const struct rdl__onnx_options options = {.find = maker_find};
        write_model(folder, cases[i].length, cases[i].location);
        (void)snprintf(path, sizeof path, "%s/m.onnx", folder);
        rdl__arena_init(&arena, SIZE_MAX);
        assert_int_equal(rdl__onnx_import_file(path, &options, &arena, &graph, &error),
                         cases[i].status);
        if (i == 0)
            assert_true(((const float *)value_of(graph, "w")->constant->data)[3] == 4);
        if (cases[i].end != NULL) {
            assert_memory_equal(error.message, "\"/tmp/raddle_import_test.", 24);
            assert_non_null(strstr(error.message, "m.onnx\": initialiser \"w\": "));
            assert_string_equal(error.message + strlen(error.message) - strlen(cases[i].end),
                                cases[i].end);
        }
        rdl__arena_fini(&arena);
    }
    (void)snprintf(path, sizeof path, "%s/w.bin", folder);
    assert_int_equal(remove(path), 0);
    (void)snprintf(path, sizeof path, "%s/m.onnx", folder);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(folder), 0);
}

static void import_external_data_from_memory_needs_a_folder(void **state)
{
    (void)state;
    struct writer w = {0};
    struct imported m;
    begin_xyw(&w);
    writer_tensor(&w, GRAPH_INITIALISER, "w", RDL_F32, 0, NULL);
    writer_int(&w, TENSOR_LOCATION, 1);
    writer_open(&w, TENSOR_EXTERNAL);
    writer_text(&w, PAIR_KEY, "location");
    writer_text(&w, PAIR_VALUE, "w.bin");
    import_bytes(&m, &w, NULL);
    assert_int_equal(m.status, RDL_ERR_MODEL);
    assert_string_equal(m.error.message,
                        "initialiser \"w\": external data \"w.bin\": no folder was "
                        "given to read it from");
    imported_fini(&m);
}

static void import_missing_file_is_refused(void **state)
{
    (void)state;
    struct rdl__arena arena;
    struct rdl__graph *graph;
    struct rdl_error error;
    rdl__arena_init(&arena, SIZE_MAX);
    assert_int_equal(rdl__onnx_import_file("/nowhere/m.onnx", NULL, &arena, &graph, &error),
                     RDL_ERR_IO);
    assert_string_equal(error.message,
                        "\"/nowhere/m.onnx\": cannot be opened: No such file or directory");
    assert_null(graph);
    rdl__arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(import_good_model_is_whole),
        cmocka_unit_test(import_attributes_of_every_type),
        cmocka_unit_test(import_constant_nodes_become_constants),
        cmocka_unit_test(import_every_dtype_raw_and_typed),
        cmocka_unit_test(import_odd_bools_and_empty_tensors_are_normal),
        cmocka_unit_test(import_subgraphs_take_values_from_outside),
        cmocka_unit_test(import_default_domain_has_two_names),
        cmocka_unit_test(import_types_of_inputs),
        cmocka_unit_test(import_weights_are_referenced_where_aligned),
        cmocka_unit_test(import_copied_weights_outlive_the_file),
        cmocka_unit_test(import_twice_gives_the_same_graph),
        cmocka_unit_test(import_cut_model_is_refused_at_every_byte),
        cmocka_unit_test(import_memory_limit_is_kept),
        cmocka_unit_test(import_stops_when_told),
        cmocka_unit_test(import_file_reads_external_data),
        cmocka_unit_test(import_external_data_from_memory_needs_a_folder),
        cmocka_unit_test(import_missing_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
