/*
 * Small graphs for tests: an operator table without kernels, and one-line makers of values and nodes.
 * A maker that fails fails the test.
 */
#ifndef TESTS_SUPPORT_GRAPH_MAKER_H
#define TESTS_SUPPORT_GRAPH_MAKER_H

#include "graph/graph.h"
#include "graph/op.h"
#include "support/cmocka.h"

#include <stdio.h>
#include <string.h>

/** Operators of the tests: names, counts and flags as the registry's, no kernels. */
static inline const struct rdl__op *maker_find(const char *domain, const char *name, int64_t opset)
{
    enum { FUSES = RDL__OP_FUSES, IN_PLACE = RDL__OP_IN_PLACE };
    static const struct rdl__op ops[] = {
        {.domain = "", .name = "Add", .since = 7, 2, 2, 1, 1, .flags = IN_PLACE | FUSES},
        {.domain = "",
         .name = "BatchNormalization",
         .since = 7,
         5,
         5,
         1,
         5,
         .flags = IN_PLACE | FUSES},
        {.domain = "", .name = "Cast", .since = 6, 1, 1, 1, 1},
        {.domain = "", .name = "Clip", .since = 6, 1, 3, 1, 1},
        {.domain = "", .name = "Concat", .since = 4, 1, RDL__VARIADIC, 1, 1},
        {.domain = "", .name = "Conv", .since = 1, 2, 3, 1, 1, .flags = FUSES},
        {.domain = "", .name = "ConvTranspose", .since = 1, 2, 3, 1, 1, .flags = FUSES},
        {.domain = "", .name = "Div", .since = 7, 2, 2, 1, 1, .flags = IN_PLACE},
        {.domain = "", .name = "Dropout", .since = 7, 1, 3, 1, 2},
        {.domain = "raddle", .name = "Embedding", .since = 1, 2, 2, 1, 1},
        {.domain = "", .name = "Equal", .since = 7, 2, 2, 1, 1},
        {.domain = "", .name = "Expand", .since = 8, 2, 2, 1, 1, .value_inputs = 2},
        {.domain = "", .name = "Gemm", .since = 7, 2, 3, 1, 1, .flags = FUSES},
        {.domain = "", .name = "HardSigmoid", .since = 6, 1, 1, 1, 1},
        {.domain = "", .name = "HardSwish", .since = 14, 1, 1, 1, 1},
        {.domain = "", .name = "Identity", .since = 1, 1, 1, 1, 1},
        {.domain = "", .name = "If", .since = 1, 1, 1, 0, RDL__VARIADIC},
        {.domain = "", .name = "MatMul", .since = 1, 2, 2, 1, 1, .flags = FUSES},
        {.domain = "raddle", .name = "MatMulBias", .since = 1, 3, 3, 1, 1, .flags = FUSES},
        {.domain = "", .name = "Mul", .since = 7, 2, 2, 1, 1, .flags = IN_PLACE},
        {.domain = "", .name = "RandomNormalLike", .since = 1, 1, 1, 1, 1, .flags = RDL__OP_RANDOM},
        {.domain = "", .name = "Relu", .since = 6, 1, 1, 1, 1},
        {.domain = "", .name = "Reshape", .since = 5, 2, 2, 1, 1, .value_inputs = 2},
        {.domain = "", .name = "Split", .since = 2, 1, 2, 1, RDL__VARIADIC},
        {.domain = "", .name = "Sub", .since = 7, 2, 2, 1, 1, .flags = IN_PLACE},
    };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strcmp(ops[i].name, name) == 0 && opset >= ops[i].since &&
            strcmp(ops[i].domain, domain) == 0)
            return &ops[i];
    return NULL;
}

/** An empty graph of opset 17. */
static inline struct rdl__graph *maker_graph(struct rdl__arena *arena)
{
    rdl__arena_init(arena, SIZE_MAX);
    struct rdl__graph *graph = rdl__graph_new(arena);
    assert_non_null(graph);
    graph->opset = 17;
    return graph;
}

static inline int32_t maker_value(struct rdl__graph *graph, const char *name)
{
    const int32_t v = rdl__graph_add_value(graph, name);
    assert_int_not_equal(v, RDL__NO_VALUE);
    return v;
}

static inline int32_t *maker_append(struct rdl__graph *graph, const int32_t *list, uint32_t n,
                                    int32_t value)
{
    int32_t *longer = RDL__ARENA_ARRAY(graph->arena, int32_t, n + 1);
    assert_non_null(longer);
    for (uint32_t i = 0; i < n; i++)
        longer[i] = list[i];
    longer[n] = value;
    return longer;
}

/** A graph input of a dtype and no declared shape. */
static inline int32_t maker_input(struct rdl__graph *graph, const char *name, enum rdl_dtype dtype)
{
    const int32_t v = maker_value(graph, name);
    graph->values[v].dtype = dtype;
    graph->inputs = maker_append(graph, graph->inputs, graph->n_inputs++, v);
    return v;
}

static inline void maker_output(struct rdl__graph *graph, int32_t value)
{
    graph->outputs = maker_append(graph, graph->outputs, graph->n_outputs++, value);
}

/** A constant; data [product of dims] must outlive the graph. */
static inline int32_t maker_constant(struct rdl__graph *graph, const char *name,
                                     enum rdl_dtype dtype, int32_t rank, const int64_t *dims,
                                     const void *data)
{
    struct rdl__desc desc = {.dtype = dtype, .data = data};
    rdl__shape_set(&desc.shape, rank, dims);
    const int32_t v = rdl__graph_add_constant(graph, name, &desc);
    assert_int_not_equal(v, RDL__NO_VALUE);
    return v;
}

/** A constant f32 scalar. */
static inline int32_t maker_scalar(struct rdl__graph *graph, const char *name, float value)
{
    float *data = RDL__ARENA_NEW(graph->arena, float);
    assert_non_null(data);
    *data = value;
    return maker_constant(graph, name, RDL_F32, 0, NULL, data);
}

/** A node of up to five inputs (an unused one is RDL__NO_VALUE) and one output, named as the node;
 * returns the output. */
static inline int32_t maker_node(struct rdl__graph *graph, const char *op, const char *name,
                                 uint32_t n_inputs, const int32_t *inputs)
{
    struct rdl__node *node = rdl__graph_add_node(graph, op, "", n_inputs, 1, 0);
    assert_non_null(node);
    const int32_t out = maker_value(graph, name);
    node->name = graph->values[out].name;
    for (uint32_t i = 0; i < n_inputs; i++)
        node->inputs[i] = inputs[i];
    node->outputs[0] = out;
    return out;
}

#define MAKER_NODE(graph, op, name, ...)                                                           \
    maker_node((graph), (op), (name),                                                              \
               (uint32_t)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)),                     \
               (int32_t[]){__VA_ARGS__})

/** The last node, to give it attributes. */
static inline struct rdl__node *maker_last(const struct rdl__graph *graph)
{
    return graph->nodes[graph->n_nodes - 1];
}

/** Adds an attribute to the last node. */
static inline struct rdl__attr *maker_attr(struct rdl__graph *graph, const char *name,
                                           enum rdl__attr_type type)
{
    struct rdl__node *node = maker_last(graph);
    struct rdl__attr *attrs = RDL__ARENA_ARRAY(graph->arena, struct rdl__attr, node->n_attrs + 1);
    assert_non_null(attrs);
    for (uint32_t i = 0; i < node->n_attrs; i++)
        attrs[i] = node->attrs[i];
    node->attrs = attrs;
    attrs[node->n_attrs] = (struct rdl__attr){.name = name, .type = type};
    return &attrs[node->n_attrs++];
}

/** The nodes' operators in order, "Conv Relu"; out [size]. */
static inline const char *maker_ops(const struct rdl__graph *graph, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < graph->n_nodes && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i == 0 ? "" : " ",
                               graph->nodes[i]->op_type);
    return out;
}

#define MAKER_ASSERT_OPS(graph, text)                                                              \
    assert_string_equal(maker_ops((graph), (char[512]){0}, 512), (text))

#endif
