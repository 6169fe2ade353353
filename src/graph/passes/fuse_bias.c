/*
 * An Add of a constant row behind a matrix product becomes the product's bias.
 */
#include "graph/passes/rewrite.h"

/* The Add's input that a MatMul alone makes, and its other one; NULL if there is none. */
static struct rdl__node *split_add(const struct rdl__graph *graph, const struct rdl__node *add,
                                   const struct rdl__desc **constant, int32_t *value)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct rdl__node *node = rdl__sole_producer(graph, add->inputs[i], "MatMul");
        *value = add->inputs[1 - i];
        *constant = rdl__constant_f32(graph, *value);
        if (node != NULL && *constant != NULL)
            return node;
    }
    return NULL;
}

/* MatMul(A, B [K, N]) + [N]. */
static enum rdl_status fuse_matmul(struct rdl__graph *graph, struct rdl__node *add,
                                   const struct rdl__pass_context *context, bool *changed)
{
    int32_t value;
    const struct rdl__desc *row;
    const struct rdl__op *op = context->find("raddle", "MatMulBias", 1);
    const struct rdl__node *matmul = split_add(graph, add, &row, &value);
    if (op == NULL || matmul == NULL || row->shape.rank != 1)
        return RDL_OK;
    const struct rdl__desc *b = rdl__constant_f32(graph, matmul->inputs[1]);
    if (b == NULL || b->shape.rank != 2 || b->shape.dims[1] != row->shape.dims[0])
        return RDL_OK;
    const int32_t inputs[3] = {matmul->inputs[0], matmul->inputs[1], value};
    if (!rdl__set_inputs(graph, add, 3, inputs))
        return rdl__pass_no_memory(context);
    add->op = op;
    add->op_type = op->name;
    add->domain = op->domain;
    add->n_attrs = 0;
    *changed = true;
    return RDL_OK;
}

enum rdl_status rdl__pass_fuse_bias(struct rdl__graph *graph,
                                    const struct rdl__pass_context *context, bool *changed)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__node *add = graph->nodes[i];
        if (rdl__node_is(add, "Add") && add->outputs[0] != RDL__NO_VALUE)
            RDL_TRY(fuse_matmul(graph, add, context, changed));
    }
    return RDL_OK;
}
