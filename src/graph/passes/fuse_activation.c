/*
 * Activations move into the node before them, and what scales or shifts a hard-swish into that.
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
        act.a = 1;
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
                                 int32_t value)
{
    struct rdl__node *host = rdl__producer_of(graph, value);
    if (host == NULL || graph->values[value].n_uses != 1 || host->outputs[0] != value ||
        facts[value].dtype != RDL_F32 || (host->op->flags & RDL__OP_FUSES) == 0)
        return NULL;
    return host;
}

static struct rdl__node *free_host(const struct rdl__graph *graph, const struct rdl__fact *facts,
                                   const struct rdl__node *node, struct rdl__activation *act)
{
    *act = activation_of(graph, node);
    struct rdl__node *host =
        act->kind == RDL__ACT_NONE ? NULL : host_of(graph, facts, node->inputs[0]);
    return host != NULL && host->activation.kind == RDL__ACT_NONE ? host : NULL;
}

/* The node that ends in a hard-swish which node, a Mul or Add of one constant element, scales or shifts.
 * The element has no more dimensions than what it meets is known to have. */
static struct rdl__node *swish_host(const struct rdl__graph *graph, const struct rdl__fact *facts,
                                    const struct rdl__node *node, struct rdl__activation *act)
{
    const bool adds = rdl__node_is(node, "Add");
    if (!adds && !rdl__node_is(node, "Mul"))
        return NULL;
    for (uint32_t i = 0; i < 2; i++) {
        float k;
        const int32_t value = node->inputs[i];
        struct rdl__node *host = host_of(graph, facts, value);
        if (host == NULL || host->activation.kind != RDL__ACT_HARD_SWISH ||
            facts[value].min_rank == 0 ||
            !rdl__element_f32(graph, node->inputs[1 - i], facts[value].min_rank, &k))
            continue;
        *act = host->activation;
        act->a = adds ? act->a : act->a * k;
        act->b = adds ? act->b + k : act->b * k;
        return host;
    }
    return NULL;
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
        struct rdl__activation act;
        struct rdl__node *host = free_host(graph, facts, node, &act);
        if (host == NULL && (host = swish_host(graph, facts, node, &act)) == NULL)
            continue;
        host->activation = act;
        rdl__take_result(graph, host, node);
        *changed = true;
    }
    rdl__free(facts);
    return RDL_OK;
}
