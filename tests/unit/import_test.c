/*
 * Importing: what a good model becomes, and the message of every bad one.
 */
#include "onnx/onnx.h"
#include "support/graph_maker.h"
#include "support/onnx_writer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A model as a function that fills the writer; what it leaves open is closed. */
typedef void (*model_fn)(struct writer *w);

struct imported {
    struct rdl__arena arena;
    struct rdl__graph *graph;
    struct rdl_error error;
    enum rdl_status status;
    void *data; /* the file; exactly its size */
    size_t size;
};

static void import_bytes(struct imported *m, struct writer *w,
                         const struct rdl__onnx_options *given)
{
    struct rdl__onnx_options options = {.find = maker_find};
    *m = (struct imported){.size = w->n};
    writer_end(w);
    m->size = w->n;
    m->data = malloc(w->n == 0 ? 1 : w->n);
    assert_non_null(m->data);
    if (w->n > 0)
        memcpy(m->data, w->data, w->n);
    rdl__arena_init(&m->arena, SIZE_MAX);
    m->status = rdl__onnx_import(m->data, m->size, given == NULL ? &options : given, &m->arena,
                                 &m->graph, &m->error);
    writer_free(w);
}

static void import_model(struct imported *m, model_fn fill)
{
    struct writer w = {0};
    fill(&w);
    import_bytes(m, &w, NULL);
}

static void imported_fini(struct imported *m)
{
    rdl__arena_fini(&m->arena);
    free(m->data);
}

static int32_t find_value(const struct rdl__graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->n_values; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return (int32_t)i;
    fail_msg("no value \"%s\"", name);
    return -1;
}

static const struct rdl__value_info *value_of(const struct rdl__graph *graph, const char *name)
{
    return &graph->values[find_value(graph, name)];
}

/* Input x [N, 2] and output y of f32, in a model whose nodes are still to come. */
static void begin_xy(struct writer *w)
{
    writer_begin(w, 8, 17);
    writer_value(w, GRAPH_INPUT, "x", RDL_F32, 2, (int64_t[]){-1, 2});
    writer_value(w, GRAPH_OUTPUT, "y", RDL_F32, 2, (int64_t[]){-1, 2});
}

/* A node y = Add(x, w), whose initialiser w is still to come. */
static void begin_xyw(struct writer *w)
{
    begin_xy(w);
    writer_plain(w, "Add", "sum", "x w", "y");
}

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
static void open_branch(struct writer *w, const char *name)
{
    writer_attr(w, name, RDL__ATTR_GRAPH);
    writer_open(w, ATTR_G);
}

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

/* ---- bad models -------------------------------------------------------------------------------- */

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
        cmocka_unit_test(import_bad_models_are_refused_by_message),
        cmocka_unit_test(import_bad_models_need_no_error),
        cmocka_unit_test(import_cut_model_is_refused_at_every_byte),
        cmocka_unit_test(import_memory_limit_is_kept),
        cmocka_unit_test(import_stops_when_told),
        cmocka_unit_test(import_file_reads_external_data),
        cmocka_unit_test(import_external_data_from_memory_needs_a_folder),
        cmocka_unit_test(import_missing_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
