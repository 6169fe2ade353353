/*
 * Activations move into the node before them.
 */
#include "base/mem.h"
#include "graph/passes/rewrite.h"

/* The activation that node applies to its input 0; kind NONE if it is no activation. */
static struct rdl__activation activation_of(const struct rdl__graph *graph,
                                            const struct rdl__node *node)
{
    struct rdl__activation act = {.kind = RDL__ACT_NONE};
    if (rdl__node_is(node, "Relu")) {
        act.kind = RDL__ACT_RELU;
    } else if (rdl__node_is(node, "HardSwish")) {
        act.kind = RDL__ACT_HARD_SWISH;
    } else if (rdl__node_is(node, "HardSigmoid")) {
        act.kind = RDL__ACT_HARD_SIGMOID;
        act.a = rdl__attr_float(node, "alpha", 0.2F);
        act.b = rdl__attr_float(node, "beta", 0.5F);
    } else if (rdl__node_is(node, "Clip") && rdl__clip_bounds(graph, node, &act.a, &act.b)) {
        act.kind = RDL__ACT_CLIP;
    } else {
        act.a = act.b = 0;
    }
    return act;
}

/* The node that may take over what node does to its input 0; NULL if there is none. */
static struct rdl__node *host_of(const struct rdl__graph *graph, const struct rdl__fact *facts,
                                 const struct rdl__node *node)
{
    const int32_t value = node->inputs[0];
    struct rdl__node *host = rdl__producer_of(graph, value);
    if (host == NULL || graph->values[value].n_uses != 1 || host->outputs[0] != value ||
        facts[value].dtype != RDL_F32 || (host->op->flags & RDL__OP_FUSES) == 0 ||
        host->activation.kind != RDL__ACT_NONE)
        return NULL;
    return host;
}

enum rdl_status rdl__pass_fuse_activation(struct rdl__graph *graph,
                                          const struct rdl__pass_context *context, bool *changed)
{
    struct rdl__fact *facts = rdl__find_facts(graph);
    if (facts == NULL)
        return rdl__pass_no_memory(context);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__node *node = graph->nodes[i];
        if (node->n_inputs == 0 || node->n_outputs == 0 || node->outputs[0] == RDL__NO_VALUE ||
            node->activation.kind != RDL__ACT_NONE)
            continue;
        const struct rdl__activation act = activation_of(graph, node);
        struct rdl__node *host = act.kind == RDL__ACT_NONE ? NULL : host_of(graph, facts, node);
        if (host == NULL)
            continue;
        host->activation = act;
        rdl__take_result(graph, host, node);
        *changed = true;
    }
    rdl__free(facts);
    return RDL_OK;
}
