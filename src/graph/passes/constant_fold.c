/*
 * Constant folding: nodes in order, so that a chain folds in one go.
 */
#include "graph/passes/rewrite.h"

/* Whether all inputs are constant and the result is the same each time. */
static bool is_foldable(const struct rdl__graph *graph, const struct rdl__node *node)
{
    if ((node->op->flags & RDL__OP_RANDOM) != 0 || node->n_outputs == 0)
        return false;
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE && graph->values[node->inputs[i]].constant == NULL)
            return false;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == RDL__ATTR_GRAPH)
            return false;
    return true;
}

/* Whether a failure to fold is no failure of the graph's. */
static bool leaves_node(const struct rdl__graph *graph, const struct rdl__node *node,
                        enum rdl_status status)
{
    return status == RDL_ERR_UNSUPPORTED ||
           ((graph->outer != NULL || node->guarded) && status != RDL_ERR_NO_MEMORY &&
            status != RDL_ERR_CANCELLED);
}

static enum rdl_status fold_node(struct rdl__graph *graph, struct rdl__node *node,
                                 const struct rdl__pass_context *context, bool *changed)
{
    struct rdl_error error = {.status = RDL_OK}; /* of attempts that do not count */
    struct rdl__desc *out = RDL__ARENA_ARRAY(graph->arena, struct rdl__desc, node->n_outputs);
    if (out == NULL)
        return rdl__pass_no_memory(context);
    const enum rdl_status status = context->fold(context->user, graph, node, out, &error);
    if (status != RDL_OK && leaves_node(graph, node, status))
        return RDL_OK;
    if (status != RDL_OK)
        return rdl__fail(context->error, status, "%s", error.message);
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE && out[i].data == NULL)
            return RDL_OK; /* not all is known */
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        if (node->outputs[i] == RDL__NO_VALUE)
            continue;
        rdl__value_set_constant(&graph->values[node->outputs[i]], &out[i]);
        node->outputs[i] = RDL__NO_VALUE;
    }
    *changed = true;
    return RDL_OK;
}

/* Tells a node's subgraphs which of the values that they take from outside are constants by now. */
static void pass_down(const struct rdl__graph *graph, const struct rdl__node *node, bool *changed)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].type != RDL__ATTR_GRAPH)
            continue;
        struct rdl__graph *inner = node->attrs[i].graph;
        for (uint32_t k = 0; k < inner->n_values; k++) {
            struct rdl__value_info *value = &inner->values[k];
            if (value->outer == RDL__NO_VALUE || graph->values[value->outer].constant == NULL)
                continue;
            rdl__value_set_constant(value, graph->values[value->outer].constant);
            value->outer = RDL__NO_VALUE;
            *changed = true;
        }
    }
}

enum rdl_status rdl__pass_constant_fold(struct rdl__graph *graph,
                                        const struct rdl__pass_context *context, bool *changed)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__node *node = graph->nodes[i];
        if (context->fold != NULL && is_foldable(graph, node))
            RDL_TRY(fold_node(graph, node, context, changed));
        pass_down(graph, node, changed);
    }
    return RDL_OK;
}
