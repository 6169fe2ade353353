/*
 * Nodes that give what they take: their result's users take the input instead. Where the result is a
 * graph output, which keeps its name, the node before makes it directly.
 */
#include "base/mem.h"
#include "graph/passes/rewrite.h"
#include "graph/uses.h"

/* The pass at work, by value. */
struct work {
    struct rdl__fact *facts;
    int32_t *instead;         /* [n_values] value to use in place of this one; itself if none */
    unsigned char *is_output; /* [n_values] of the graph */
};

static int32_t stand_in(const struct work *work, int32_t value)
{
    while (work->instead[value] != value)
        value = work->instead[value] = work->instead[work->instead[value]];
    return value;
}

/* Dropout does nothing but in training, which its third input asks for. */
static bool is_dropout(const struct rdl__graph *graph, const struct rdl__node *node)
{
    if (!rdl__node_is(node, "Dropout"))
        return false;
    for (uint32_t i = 1; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE && graph->values[node->outputs[i]].n_uses > 0)
            return false;
    if (node->n_inputs < 3 || node->inputs[2] == RDL__NO_VALUE)
        return true;
    const struct rdl__desc *training = graph->values[node->inputs[2]].constant;
    return training != NULL && training->dtype == RDL_BOOL &&
           rdl__shape_count(&training->shape) == 1 && *(const uint8_t *)training->data == 0;
}

static bool gives_what_it_takes(const struct rdl__graph *graph, const struct work *work,
                                const struct rdl__node *node)
{
    if (node->n_outputs == 0 || node->outputs[0] == RDL__NO_VALUE || node->n_inputs == 0 ||
        node->inputs[0] == RDL__NO_VALUE || node->activation.kind != RDL__ACT_NONE)
        return false;
    if (rdl__node_is(node, "Cast")) {
        const enum rdl_dtype from = work->facts[node->inputs[0]].dtype;
        return from != RDL_DTYPE_NONE && (int64_t)from == rdl__attr_int(node, "to", 0);
    }
    return rdl__node_is(node, "Identity") || is_dropout(graph, node);
}

static void eliminate(struct rdl__graph *graph, struct work *work, struct rdl__node *node,
                      bool *changed)
{
    const int32_t in = stand_in(work, node->inputs[0]), out = node->outputs[0];
    if (!work->is_output[out]) {
        work->instead[out] = in;
    } else {
        struct rdl__node *producer = rdl__producer_of(graph, in);
        if (producer == NULL || work->is_output[in])
            return;
        for (uint32_t k = 0; k < producer->n_outputs; k++)
            if (producer->outputs[k] == in)
                producer->outputs[k] = out;
        graph->values[out].producer = graph->values[in].producer;
        graph->values[in].producer = -1;
        work->instead[in] = out;
    }
    for (uint32_t k = 0; k < node->n_outputs; k++)
        node->outputs[k] = RDL__NO_VALUE;
    *changed = true;
}

static void eliminate_all(struct rdl__graph *graph, struct work *work, bool *changed)
{
    bool mine = false;
    for (uint32_t i = 0; i < graph->n_values; i++)
        work->instead[i] = (int32_t)i;
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        work->is_output[graph->outputs[i]] = 1;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (gives_what_it_takes(graph, work, graph->nodes[i]))
            eliminate(graph, work, graph->nodes[i], &mine);
    for (uint32_t i = 0; i < graph->n_nodes && mine; i++) {
        struct rdl__uses uses = rdl__uses_of(graph->nodes[i]);
        for (int32_t *use; (use = rdl__uses_next(&uses)) != NULL;)
            *use = stand_in(work, *use);
    }
    *changed = *changed || mine;
}

enum rdl_status rdl__pass_eliminate_identity(struct rdl__graph *graph,
                                             const struct rdl__pass_context *context, bool *changed)
{
    struct work work = {.facts = rdl__find_facts(graph),
                        .instead =
                            rdl__alloc_zeroed((size_t)graph->n_values + 1, sizeof *work.instead),
                        .is_output = rdl__alloc_zeroed((size_t)graph->n_values + 1, 1)};
    enum rdl_status status = RDL_OK;
    if (work.facts == NULL || work.instead == NULL || work.is_output == NULL)
        status = rdl__pass_no_memory(context);
    else
        eliminate_all(graph, &work, changed);
    rdl__free(work.is_output);
    rdl__free(work.instead);
    rdl__free(work.facts);
    return status;
}
