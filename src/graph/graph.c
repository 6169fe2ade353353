/*
 * Building a graph, and the names by which messages call its parts.
 *
 * Everything lies in the graph's arena; arrays grow by doubling and leave the old one behind.
 * Neighbours: src/onnx fills graphs, finish.c completes them, passes/ rewrites them.
 *
 * Threading: one user a graph.
 */
#include "graph/graph.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Room for one more element in an array of *cap, of which n are used; NULL if there is no memory. */
static void *grow(struct rdl__arena *arena, void *array, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    if (n >= INT32_MAX / 2)
        return NULL; /* indices are int32_t */
    const uint32_t wider = n < 8 ? 16 : n * 2;
    void *copy = rdl__arena_zeroed(arena, wider, size);
    if (copy == NULL)
        return NULL;
    if (n > 0)
        memcpy(copy, array, n * size);
    *cap = wider;
    return copy;
}

struct rdl__graph *rdl__graph_new(struct rdl__arena *arena)
{
    struct rdl__graph *graph = RDL__ARENA_NEW(arena, struct rdl__graph);
    if (graph == NULL)
        return NULL;
    graph->arena = arena;
    graph->name = "";
    graph->producer = "";
    return graph;
}

int32_t rdl__graph_add_value(struct rdl__graph *graph, const char *name)
{
    struct rdl__value_info *values =
        grow(graph->arena, graph->values, graph->n_values, &graph->cap_values, sizeof *values);
    if (values == NULL)
        return RDL__NO_VALUE;
    graph->values = values;
    const char *copy = rdl__arena_text(graph->arena, name, strlen(name));
    if (copy == NULL)
        return RDL__NO_VALUE;
    struct rdl__value_info *value = &values[graph->n_values];
    *value = (struct rdl__value_info){
        .name = copy, .kind = RDL_VALUE_TENSOR, .rank = -1, .producer = -1, .outer = RDL__NO_VALUE};
    for (int i = 0; i < RDL_MAX_RANK; i++)
        value->dims[i] = -1;
    return (int32_t)graph->n_values++;
}

int32_t rdl__graph_add_constant(struct rdl__graph *graph, const char *name,
                                const struct rdl__desc *desc)
{
    struct rdl__desc *kept = RDL__ARENA_NEW(graph->arena, struct rdl__desc);
    if (kept == NULL)
        return RDL__NO_VALUE;
    const int32_t index = rdl__graph_add_value(graph, name);
    if (index == RDL__NO_VALUE)
        return RDL__NO_VALUE;
    *kept = *desc;
    rdl__value_set_constant(&graph->values[index], kept);
    return index;
}

void rdl__value_set_constant(struct rdl__value_info *value, const struct rdl__desc *desc)
{
    value->constant = desc;
    value->dtype = desc->dtype;
    value->rank = desc->shape.rank;
    for (int i = 0; i < RDL_MAX_RANK; i++) {
        value->dims[i] = i < desc->shape.rank ? desc->shape.dims[i] : -1;
        value->dim_names[i] = NULL;
    }
}

static int32_t *no_values(struct rdl__arena *arena, uint32_t count)
{
    int32_t *list = RDL__ARENA_ARRAY(arena, int32_t, count);
    for (uint32_t i = 0; list != NULL && i < count; i++)
        list[i] = RDL__NO_VALUE;
    return list;
}

bool rdl__graph_take_node(struct rdl__graph *graph, struct rdl__node *node)
{
    struct rdl__node **nodes =
        grow(graph->arena, graph->nodes, graph->n_nodes, &graph->cap_nodes, sizeof *nodes);
    if (nodes == NULL)
        return false;
    graph->nodes = nodes;
    nodes[graph->n_nodes++] = node;
    return true;
}

struct rdl__node *rdl__graph_add_node(struct rdl__graph *graph, const char *op_type,
                                      const char *domain, uint32_t n_inputs, uint32_t n_outputs,
                                      uint32_t n_attrs)
{
    struct rdl__arena *arena = graph->arena;
    struct rdl__node *node = RDL__ARENA_NEW(arena, struct rdl__node);
    if (node == NULL)
        return NULL;
    *node = (struct rdl__node){.name = "",
                               .op_type = rdl__arena_text(arena, op_type, strlen(op_type)),
                               .domain = rdl__arena_text(arena, domain, strlen(domain)),
                               .inputs = no_values(arena, n_inputs),
                               .outputs = no_values(arena, n_outputs),
                               .n_inputs = n_inputs,
                               .n_outputs = n_outputs,
                               .n_attrs = n_attrs,
                               .attrs = RDL__ARENA_ARRAY(arena, struct rdl__attr, n_attrs),
                               .index = graph->n_nodes};
    if (node->op_type == NULL || node->domain == NULL || node->inputs == NULL ||
        node->outputs == NULL || node->attrs == NULL)
        return NULL;
    return rdl__graph_take_node(graph, node) ? node : NULL;
}

/* Bytes of the well-formed, printable UTF-8 character at text; 0 if there is none. */
static size_t printable(const unsigned char *text)
{
    const unsigned char c = text[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f ? 1 : 0;
    const size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0; /* also where the text ends */
    const unsigned second = text[1];
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
        return 0;                              /* overlong, a surrogate, beyond U+10FFFF */
    return c == 0xc2 && second < 0xa0 ? 0 : n; /* U+0080..9F are control characters */
}

const char *rdl__name_text(const char *name, char *out, size_t size_bytes)
{
    static const char cut[] = "...";
    const size_t last = size_bytes - sizeof cut; /* what is written ends here or before */
    size_t at = 0;
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0';) {
        const size_t n = printable(c), width = n == 0 ? 4 : n;
        if (at + width > last) {
            memcpy(out + at, cut, sizeof cut);
            return out;
        }
        if (n == 0)
            (void)snprintf(out + at, 5, "\\x%02x", *c);
        else
            memcpy(out + at, c, n);
        at += width;
        c += n == 0 ? 1 : n;
    }
    out[at] = '\0';
    return out;
}

const char *rdl__node_text(const struct rdl__node *node, char *out, size_t size_bytes)
{
    char op[32];
    (void)rdl__name_text(node->op_type, op, sizeof op);
    if (node->name[0] != '\0')
        (void)snprintf(out, size_bytes, "node \"%s\" (%s)", RDL__NAME_TEXT(node->name), op);
    else
        (void)snprintf(out, size_bytes, "node #%" PRIu32 " (%s)", node->index, op);
    return out;
}
