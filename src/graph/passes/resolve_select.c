/*
 * Selects whose condition is constant; see passes.h. Each of their results becomes an Identity of the
 * value that is taken, which the next pass eliminates; what the other side hung on dies.
 */
#include "graph/passes/rewrite.h"

static bool is_decided(const struct rdl__graph *graph, const struct rdl__node *node)
{
    return rdl__node_is(node, "Select") && graph->values[node->inputs[0]].constant != NULL;
}

static enum rdl_status resolve(struct rdl__graph *graph, struct rdl__node *node,
                               const struct rdl__pass_context *context)
{
    const struct rdl__desc *condition = graph->values[node->inputs[0]].constant;
    for (uint32_t k = 0; k < node->n_outputs; k++) {
        if (node->outputs[k] == RDL__NO_VALUE)
            continue;
        struct rdl__node *copy = rdl__graph_add_node(graph, "Identity", "", 1, 1, 0);
        if (copy == NULL)
            return rdl__pass_no_memory(context);
        copy->op = context->find("", "Identity", graph->opset);
        copy->name = node->name;
        copy->index = node->index;
        copy->guarded = node->guarded;
        copy->inputs[0] = node->inputs[1 + (rdl__select_side(condition) ? 0 : node->n_outputs) + k];
        copy->outputs[0] = node->outputs[k];
        node->outputs[k] = RDL__NO_VALUE;
    }
    return RDL_OK;
}

enum rdl_status rdl__pass_resolve_select(struct rdl__graph *graph,
                                         const struct rdl__pass_context *context, bool *changed)
{
    const uint32_t n_nodes = graph->n_nodes; /* Identities come behind */
    for (uint32_t i = 0; i < n_nodes; i++) {
        struct rdl__node *node = graph->nodes[i];
        if (!is_decided(graph, node))
            continue;
        RDL_TRY(resolve(graph, node, context));
        *changed = true;
    }
    return RDL_OK;
}
