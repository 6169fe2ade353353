/*
 * The driver of the passes.
 */
#include "graph/passes/passes.h"

/* Rounds until nothing changes; a bound against passes that undo one another. */
#define MAX_ROUNDS 8

static const rdl__pass_fn passes[] = {
    rdl__pass_constant_fold, rdl__pass_resolve_select,  rdl__pass_eliminate_identity,
    rdl__pass_fuse_affine,   rdl__pass_fuse_hard_swish, rdl__pass_fuse_gelu,
    rdl__pass_fuse_one_hot,  rdl__pass_fuse_bias,       rdl__pass_fuse_activation,
};

/* Runs a pass on a graph, then on its subgraphs, which see what became constant. */
static enum rdl_status run(rdl__pass_fn pass, struct rdl__graph *graph,
                           const struct rdl__pass_context *context, bool *changed)
{
    RDL_TRY(pass(graph, context, changed));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct rdl__node *node = graph->nodes[i];
        for (uint32_t k = 0; k < node->n_attrs; k++)
            if (node->attrs[k].type == RDL__ATTR_GRAPH)
                RDL_TRY(run(pass, node->attrs[k].graph, context, changed));
    }
    return RDL_OK;
}

enum rdl_status rdl__graph_optimize(struct rdl__graph *graph, rdl__op_find_fn find,
                                    rdl__fold_fn fold, void *user, struct rdl_error *error)
{
    const struct rdl__pass_context context = {find, fold, user, error};
    RDL_TRY(rdl__graph_tidy(graph, error));
    for (int round = 0; round < MAX_ROUNDS; round++) {
        bool changed = false;
        for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
            bool now = false;
            RDL_TRY(run(passes[i], graph, &context, &now));
            if (now)
                RDL_TRY(rdl__graph_tidy(graph, error));
            changed = changed || now;
        }
        if (!changed)
            break;
    }
    return RDL_OK;
}
