/*
 * Ifs dissolved into the graph around them; see passes.h. Subgraphs first, so that a branch holds no If
 * when it moves. What moves is renumbered: values of the branch get places in the graph around it, those
 * that stood for values outside become these. Nodes move behind all others; rdl__graph_tidy sorts.
 */
#include "graph/passes/rewrite.h"
#include "graph/uses.h"

static enum rdl_status no_memory(struct rdl_error *error)
{
    return rdl__fail(error, RDL_ERR_NO_MEMORY, "no memory for the branches of an If");
}

/* Gives each used value of a branch its place in the graph around it; NULL if there is no memory. */
static int32_t *place_values(struct rdl__graph *graph, const struct rdl__graph *branch)
{
    int32_t *places = RDL__ARENA_ARRAY(graph->arena, int32_t, branch->n_values + 1);
    for (uint32_t i = 0; places != NULL && i < branch->n_values; i++) {
        const struct rdl__value_info *from = &branch->values[i];
        places[i] = from->outer;
        if (from->outer != RDL__NO_VALUE)
            continue;
        places[i] = rdl__graph_add_value(graph, from->name);
        if (places[i] == RDL__NO_VALUE)
            return NULL;
        const char *name = graph->values[places[i]].name;
        graph->values[places[i]] = *from;
        graph->values[places[i]].name = name;
        graph->values[places[i]].producer = -1;
    }
    return places;
}

/* Moves the nodes of a branch; *places says where its values lie now. */
static bool move_branch(struct rdl__graph *graph, const struct rdl__graph *branch, int32_t **places)
{
    *places = place_values(graph, branch);
    if (*places == NULL)
        return false;
    for (uint32_t i = 0; i < branch->n_nodes; i++) {
        struct rdl__node *node = branch->nodes[i];
        struct rdl__uses uses = rdl__uses_of(node);
        for (int32_t *use; (use = rdl__uses_next(&uses)) != NULL;)
            *use = (*places)[*use];
        for (uint32_t k = 0; k < node->n_outputs; k++)
            if (node->outputs[k] != RDL__NO_VALUE)
                node->outputs[k] = (*places)[node->outputs[k]];
        for (uint32_t k = 0; k < node->n_attrs; k++)
            if (node->attrs[k].type == RDL__ATTR_GRAPH)
                node->attrs[k].graph->outer = graph;
        node->guarded = true;
        if (!rdl__graph_take_node(graph, node))
            return false;
    }
    return true;
}

static enum rdl_status dissolve(struct rdl__graph *graph, struct rdl__node *node,
                                rdl__op_find_fn find, struct rdl_error *error)
{
    static const char *const branches[2] = {"then_branch", "else_branch"};
    const uint32_t n = node->n_outputs;
    int32_t *inputs = RDL__ARENA_ARRAY(graph->arena, int32_t, 1 + 2 * (size_t)n);
    if (inputs == NULL)
        return no_memory(error);
    inputs[0] = node->inputs[0];
    for (uint32_t side = 0; side < 2; side++) {
        const struct rdl__graph *branch = rdl__attr_find(node, branches[side])->graph;
        int32_t *places;
        if (!move_branch(graph, branch, &places))
            return no_memory(error);
        for (uint32_t k = 0; k < n; k++)
            inputs[1 + side * n + k] = places[branch->outputs[k]];
    }
    node->op = find("raddle", "Select", 1);
    node->op_type = node->op->name;
    node->domain = node->op->domain;
    node->inputs = inputs;
    node->n_inputs = 1 + 2 * n;
    node->n_attrs = 0;
    return RDL_OK;
}

/* Recursion is as deep as graphs lie in one another. */
static enum rdl_status dissolve_all(struct rdl__graph *graph, rdl__op_find_fn find, bool *changed,
                                    struct rdl_error *error)
{
    const uint32_t n_nodes = graph->n_nodes; /* those that move in hold no If any more */
    for (uint32_t i = 0; i < n_nodes; i++) {
        struct rdl__node *node = graph->nodes[i];
        for (uint32_t k = 0; k < node->n_attrs; k++)
            if (node->attrs[k].type == RDL__ATTR_GRAPH)
                RDL_TRY(dissolve_all(node->attrs[k].graph, find, changed, error));
        if (!rdl__node_is(node, "If"))
            continue;
        RDL_TRY(dissolve(graph, node, find, error));
        *changed = true;
    }
    return RDL_OK;
}

enum rdl_status rdl__graph_dissolve_ifs(struct rdl__graph *graph, rdl__op_find_fn find,
                                        struct rdl_error *error)
{
    bool changed = false;
    RDL_TRY(dissolve_all(graph, find, &changed, error));
    return changed ? rdl__graph_tidy(graph, error) : RDL_OK;
}
