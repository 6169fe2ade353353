/*
 * Completing a graph: operators are found, nodes checked and sorted, uses counted, dead nodes dropped.
 *
 * Every step is linear and none recurses but into subgraphs, whose depth is bounded: a hostile file
 * may hold a million nodes in one chain. Scratch memory is the process's and is freed on every path.
 *
 * Threading: one user a graph.
 */
#include "graph/graph.h"

#include "base/mem.h"
#include "base/size.h"
#include "graph/op.h"
#include "graph/uses.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- operators --------------------------------------------------------------------------------- */

/* Different unknown operators that a message can list; further ones are counted. */
#define MAX_UNKNOWN 16

struct unknown {
    const struct rdl__node *first;
    int64_t version;
    size_t n_nodes;
};

struct unknown_list {
    struct unknown item[MAX_UNKNOWN];
    size_t n;
    size_t n_further; /* nodes of operators that found no place */
};

static int64_t domain_version(const struct rdl__graph *graph, const char *domain)
{
    if (domain[0] == '\0')
        return graph->opset;
    for (uint32_t i = 0; i < graph->n_opsets; i++)
        if (strcmp(graph->opsets[i].domain, domain) == 0)
            return graph->opsets[i].version;
    return 1;
}

static void add_unknown(struct unknown_list *list, const struct rdl__node *node, int64_t version)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i].first->op_type, node->op_type) == 0 &&
            strcmp(list->item[i].first->domain, node->domain) == 0) {
            list->item[i].n_nodes++;
            return;
        }
    if (list->n == MAX_UNKNOWN)
        list->n_further++;
    else
        list->item[list->n++] = (struct unknown){node, version, 1};
}

/* Gives every node of the graph and of its subgraphs its operator. */
static enum rdl_status find_ops(struct rdl__graph *graph, rdl__op_find_fn find, int depth,
                                struct unknown_list *unknown, struct rdl_error *error)
{
    if (depth > RDL__MAX_GRAPH_DEPTH)
        return rdl__fail(error, RDL_ERR_MODEL, "subgraphs lie more than %d deep",
                         RDL__MAX_GRAPH_DEPTH);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__node *node = graph->nodes[i];
        const int64_t version = domain_version(graph, node->domain);
        node->op = find(node->domain, node->op_type, version);
        if (node->op == NULL)
            add_unknown(unknown, node, version);
        for (uint32_t k = 0; k < node->n_attrs; k++)
            if (node->attrs[k].type == RDL__ATTR_GRAPH)
                RDL_TRY(find_ops(node->attrs[k].graph, find, depth + 1, unknown, error));
    }
    return RDL_OK;
}

static enum rdl_status fail_unknown(const struct unknown_list *list, struct rdl_error *error)
{
    char text[RDL_ERROR_MESSAGE_BYTES] = "";
    size_t at = 0;
    for (size_t i = 0; i < list->n && at < sizeof text; i++) {
        const struct unknown *item = &list->item[i];
        const char *domain = item->first->domain[0] == '\0' ? "ai.onnx" : item->first->domain;
        char op_text[48], domain_text[48];
        const int n = snprintf(
            text + at, sizeof text - at, "%s%s (%s version %" PRId64 ", %zu node%s, first %s)",
            i == 0 ? "" : "; ", rdl__name_text(item->first->op_type, op_text, sizeof op_text),
            rdl__name_text(domain, domain_text, sizeof domain_text), item->version, item->n_nodes,
            item->n_nodes == 1 ? "" : "s", RDL__NODE_TEXT(item->first));
        at += n > 0 ? (size_t)n : 0;
    }
    if (list->n_further > 0)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED,
                         "more than %d operators are not supported (%zu nodes beyond these): %s",
                         MAX_UNKNOWN, list->n_further, text);
    return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%zu operator%s not supported: %s", list->n,
                     list->n == 1 ? " is" : "s are", text);
}

/* "2" where the bounds agree, "1 to 3", "at least 1". */
static const char *count_text(uint8_t min, uint8_t max, char out[32])
{
    if (max == RDL__VARIADIC)
        (void)snprintf(out, 32, "at least %u", min);
    else if (min == max)
        (void)snprintf(out, 32, "%u", min);
    else
        (void)snprintf(out, 32, "%u to %u", min, max);
    return out;
}

static enum rdl_status check_slots(const struct rdl__node *node, const char *what,
                                   const int32_t *slots, uint32_t n, uint8_t min, uint8_t max,
                                   struct rdl_error *error)
{
    char bounds[32];
    if (n < min || (n > max && max != RDL__VARIADIC))
        return rdl__fail(error, RDL_ERR_MODEL, "%s has %" PRIu32 " %ss, the operator takes %s",
                         RDL__NODE_TEXT(node), n, what, count_text(min, max, bounds));
    for (uint32_t i = 0; i < min; i++)
        if (slots[i] == RDL__NO_VALUE)
            return rdl__fail(error, RDL_ERR_MODEL, "%s: %s %" PRIu32 " is missing",
                             RDL__NODE_TEXT(node), what, i);
    return RDL_OK;
}

static enum rdl_status check_node(const struct rdl__node *node, struct rdl_error *error)
{
    const struct rdl__op *op = node->op;
    RDL_TRY(check_slots(node, "input", node->inputs, node->n_inputs, op->min_inputs, op->max_inputs,
                        error));
    RDL_TRY(check_slots(node, "output", node->outputs, node->n_outputs, op->min_outputs,
                        op->max_outputs, error));
    return op->check == NULL ? RDL_OK : op->check(node, error);
}

/* ---- makers and uses --------------------------------------------------------------------------- */

/* How a value comes to be. */
enum maker { MADE_NOT = 0, MADE_INPUT, MADE_CONSTANT, MADE_NODE, MADE_OUTER };

static const char *maker_text(const struct rdl__graph *graph, const struct rdl__value_info *value,
                              enum maker maker, char out[RDL__NODE_TEXT_BYTES])
{
    switch (maker) {
    case MADE_INPUT:
        return "the caller (it is a graph input)";
    case MADE_CONSTANT:
        return "an initialiser or constant";
    case MADE_NODE:
        return rdl__node_text(graph->nodes[value->producer], out, RDL__NODE_TEXT_BYTES);
    case MADE_OUTER:
        return "the graph outside";
    case MADE_NOT:
        break;
    }
    return "nothing";
}

static enum rdl_status fail_twice(const struct rdl__graph *graph, int32_t value, enum maker first,
                                  const char *second, struct rdl_error *error)
{
    char text[RDL__NODE_TEXT_BYTES];
    const struct rdl__value_info *info = &graph->values[value];
    return rdl__fail(error, RDL_ERR_MODEL, "value \"%s\" is made twice: by %s and by %s",
                     RDL__NAME_TEXT(info->name), maker_text(graph, info, first, text), second);
}

/* Fills producer, and made[] by value: each is made at most once. */
static enum rdl_status find_makers(struct rdl__graph *graph, unsigned char *made,
                                   struct rdl_error *error)
{
    for (uint32_t i = 0; i < graph->n_values; i++) {
        struct rdl__value_info *value = &graph->values[i];
        value->producer = -1;
        made[i] = value->constant != NULL         ? MADE_CONSTANT
                  : value->outer != RDL__NO_VALUE ? MADE_OUTER
                                                  : MADE_NOT;
    }
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        const int32_t v = graph->inputs[i];
        if (made[v] != MADE_NOT)
            return fail_twice(graph, v, made[v], maker_text(graph, NULL, MADE_INPUT, NULL), error);
        made[v] = MADE_INPUT;
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct rdl__node *node = graph->nodes[i];
        for (uint32_t k = 0; k < node->n_outputs; k++) {
            const int32_t v = node->outputs[k];
            if (v == RDL__NO_VALUE)
                continue;
            if (made[v] != MADE_NOT)
                return fail_twice(graph, v, made[v], RDL__NODE_TEXT(node), error);
            made[v] = MADE_NODE;
            graph->values[v].producer = (int32_t)i;
        }
    }
    return RDL_OK;
}

/* Fills n_uses; every value that is used is made. */
static enum rdl_status count_uses(struct rdl__graph *graph, const unsigned char *made,
                                  struct rdl_error *error)
{
    for (uint32_t i = 0; i < graph->n_values; i++)
        graph->values[i].n_uses = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__uses uses = rdl__uses_of(graph->nodes[i]);
        for (const int32_t *use; (use = rdl__uses_next(&uses)) != NULL;) {
            if (made[*use] == MADE_NOT)
                return rdl__fail(error, RDL_ERR_MODEL, "%s uses value \"%s\", which nothing makes",
                                 RDL__NODE_TEXT(graph->nodes[i]),
                                 RDL__NAME_TEXT(graph->values[*use].name));
            graph->values[*use].n_uses++;
        }
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++) {
        const int32_t v = graph->outputs[i];
        if (made[v] == MADE_NOT)
            return rdl__fail(error, RDL_ERR_MODEL, "nothing makes graph output \"%s\"",
                             RDL__NAME_TEXT(graph->values[v].name));
        graph->values[v].n_uses++;
    }
    return RDL_OK;
}

static enum rdl_status link_values(struct rdl__graph *graph, struct rdl_error *error)
{
    unsigned char *made = rdl__alloc_zeroed(graph->n_values, 1);
    if (made == NULL)
        return rdl__fail_memory(error, "graph", graph->n_values);
    enum rdl_status status = find_makers(graph, made, error);
    if (status == RDL_OK)
        status = count_uses(graph, made, error);
    rdl__free(made);
    return status;
}

/* ---- order ------------------------------------------------------------------------------------- */

enum mark {
    MARK_NEW = 0,
    MARK_OPEN, /* on the stack */
    MARK_DONE
};

struct frame {
    uint32_t node;
    struct rdl__uses uses; /* what is left to look at */
};

struct order {
    unsigned char *marks;     /* [n_nodes] */
    struct frame *stack;      /* [n_nodes] */
    struct rdl__node **nodes; /* [n_nodes], sorted */
    uint32_t n;               /* nodes in it */
};

/* Appends node `root` after all that it needs. */
static enum rdl_status place(const struct rdl__graph *graph, struct order *order, uint32_t root,
                             struct rdl_error *error)
{
    size_t depth = 0;
    order->stack[depth++] = (struct frame){root, rdl__uses_of(graph->nodes[root])};
    order->marks[root] = MARK_OPEN;
    while (depth > 0) {
        struct frame *top = &order->stack[depth - 1];
        const int32_t *use = rdl__uses_next(&top->uses);
        if (use == NULL) {
            order->marks[top->node] = MARK_DONE;
            order->nodes[order->n++] = graph->nodes[top->node];
            depth--;
            continue;
        }
        const int32_t producer = graph->values[*use].producer;
        if (producer < 0 || order->marks[producer] == MARK_DONE)
            continue;
        if (order->marks[producer] == MARK_OPEN)
            return rdl__fail(error, RDL_ERR_MODEL,
                             "cycle: %s uses value \"%s\", which depends on the node's own result",
                             RDL__NODE_TEXT(graph->nodes[top->node]),
                             RDL__NAME_TEXT(graph->values[*use].name));
        order->marks[producer] = MARK_OPEN;
        order->stack[depth++] =
            (struct frame){(uint32_t)producer, rdl__uses_of(graph->nodes[producer])};
    }
    return RDL_OK;
}

/* Sorts nodes topologically, moving a node forward only where a node before it needs it. */
static enum rdl_status sort_nodes(struct rdl__graph *graph, struct rdl_error *error)
{
    const uint32_t n = graph->n_nodes;
    struct order order = {.marks = rdl__alloc_zeroed(n, 1),
                          .stack = rdl__alloc_zeroed(n, sizeof *order.stack),
                          .nodes = rdl__alloc_zeroed(n, sizeof *order.nodes)};
    enum rdl_status status = RDL_OK;
    if (order.marks == NULL || order.stack == NULL || order.nodes == NULL)
        status = rdl__fail_memory(error, "graph", n * sizeof *order.stack);
    for (uint32_t i = 0; i < n && status == RDL_OK; i++)
        if (order.marks[i] == MARK_NEW)
            status = place(graph, &order, i, error);
    if (status == RDL_OK && n > 0) {
        memcpy(graph->nodes, order.nodes, n * sizeof *order.nodes);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t k = 0; k < graph->nodes[i]->n_outputs; k++)
                if (graph->nodes[i]->outputs[k] != RDL__NO_VALUE)
                    graph->values[graph->nodes[i]->outputs[k]].producer = (int32_t)i;
    }
    rdl__free(order.nodes);
    rdl__free(order.stack);
    rdl__free(order.marks);
    return status;
}

/* ---- dead nodes -------------------------------------------------------------------------------- */

static bool is_dead(const struct rdl__graph *graph, const struct rdl__node *node)
{
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE && graph->values[node->outputs[i]].n_uses > 0)
            return false;
    return true;
}

/* Takes the uses of a dead node away; appends the producers that die of it to stack [*n]. */
static void bury(struct rdl__graph *graph, const struct rdl__node *node, uint32_t *stack, size_t *n)
{
    struct rdl__uses uses = rdl__uses_of(node);
    for (const int32_t *use; (use = rdl__uses_next(&uses)) != NULL;) {
        struct rdl__value_info *value = &graph->values[*use];
        if (--value->n_uses == 0 && value->producer >= 0 &&
            is_dead(graph, graph->nodes[value->producer]))
            stack[(*n)++] = (uint32_t)value->producer;
    }
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE)
            graph->values[node->outputs[i]].producer = -1;
}

/* Drops the nodes that no output needs. A node dies once: when its last used output loses its last
 * use, or at the start. */
static enum rdl_status drop_dead(struct rdl__graph *graph, struct rdl_error *error)
{
    uint32_t *stack = rdl__alloc_zeroed(graph->n_nodes, sizeof *stack);
    unsigned char *dead = rdl__alloc_zeroed(graph->n_nodes, 1);
    enum rdl_status status = RDL_OK;
    if (stack == NULL || dead == NULL) {
        status = rdl__fail_memory(error, "graph", graph->n_nodes * sizeof *stack);
        goto done;
    }
    size_t n = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (is_dead(graph, graph->nodes[i]))
            stack[n++] = i;
    while (n > 0) {
        const uint32_t i = stack[--n];
        dead[i] = 1;
        bury(graph, graph->nodes[i], stack, &n);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (!dead[i])
            graph->nodes[kept++] = graph->nodes[i];
    if (kept < graph->n_nodes) {
        graph->n_nodes = kept;
        for (uint32_t i = 0; i < kept; i++)
            for (uint32_t k = 0; k < graph->nodes[i]->n_outputs; k++)
                if (graph->nodes[i]->outputs[k] != RDL__NO_VALUE)
                    graph->values[graph->nodes[i]->outputs[k]].producer = (int32_t)i;
    }
done:
    rdl__free(dead);
    rdl__free(stack);
    return status;
}

/* ---- the two doors ----------------------------------------------------------------------------- */

static enum rdl_status finish_graph(struct rdl__graph *graph, struct rdl_error *error)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct rdl__node *node = graph->nodes[i];
        for (uint32_t k = 0; k < node->n_attrs; k++) {
            if (node->attrs[k].type != RDL__ATTR_GRAPH)
                continue;
            const enum rdl_status status = finish_graph(node->attrs[k].graph, error);
            if (status != RDL_OK)
                return rdl__fail_within(error, status, "%s: subgraph \"%s\"", RDL__NODE_TEXT(node),
                                        RDL__NAME_TEXT(node->attrs[k].name));
        }
        RDL_TRY(check_node(node, error));
    }
    RDL_TRY(link_values(graph, error));
    return sort_nodes(graph, error);
}

enum rdl_status rdl__graph_finish(struct rdl__graph *graph, rdl__op_find_fn find,
                                  struct rdl_error *error)
{
    struct unknown_list unknown = {.n = 0};
    RDL_TRY(find_ops(graph, find, 1, &unknown, error));
    if (unknown.n > 0)
        return fail_unknown(&unknown, error);
    return finish_graph(graph, error);
}

enum rdl_status rdl__graph_tidy(struct rdl__graph *graph, struct rdl_error *error)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct rdl__node *node = graph->nodes[i];
        for (uint32_t k = 0; k < node->n_attrs; k++)
            if (node->attrs[k].type == RDL__ATTR_GRAPH)
                RDL_TRY(rdl__graph_tidy(node->attrs[k].graph, error));
    }
    RDL_TRY(link_values(graph, error));
    RDL_TRY(drop_dead(graph, error));
    for (uint32_t i = 0; i < graph->n_values; i++)
        if (graph->values[i].n_uses == 0)
            graph->values[i].outer = RDL__NO_VALUE; /* the graph outside need not keep it */
    return sort_nodes(graph, error);
}
