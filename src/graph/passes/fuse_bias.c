/*
 * An Add of a constant behind a product becomes the product's bias.
 */
#include "graph/passes/rewrite.h"

/* The Add's input that `op` alone makes, and its other one; NULL if there is none. */
static struct rdl__node *split_add(const struct rdl__graph *graph, const struct rdl__node *add,
                                   const char *op, const struct rdl__desc **constant,
                                   int32_t *value)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct rdl__node *node = rdl__sole_producer(graph, add->inputs[i], op);
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
    const struct rdl__node *matmul = split_add(graph, add, "MatMul", &row, &value);
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

/* Whether shape is [C, 1, ..] or [1, C, 1, ..] beside results [N, C, ..] of rank `rank`. */
static bool is_per_channel(const struct rdl__shape *shape, int32_t rank, int64_t channels)
{
    const int32_t at = shape->rank - (rank - 1); /* of the channels */
    if (at < 0 || at > 1 || shape->dims[at] != channels)
        return false;
    for (int32_t i = 0; i < shape->rank; i++)
        if (i != at && shape->dims[i] != 1)
            return false;
    return true;
}

/* Conv(x, W [C, ..], b) + a constant a channel. */
static enum rdl_status fuse_conv(struct rdl__graph *graph, struct rdl__node *add,
                                 const struct rdl__pass_context *context, bool *changed)
{
    int32_t value;
    const struct rdl__desc *more, *old = NULL;
    struct rdl__node *conv = split_add(graph, add, "Conv", &more, &value);
    const struct rdl__desc *weights =
        conv == NULL ? NULL : rdl__constant_f32(graph, conv->inputs[1]);
    if (weights == NULL || weights->shape.rank < 2)
        return RDL_OK;
    const int64_t channels = weights->shape.dims[0];
    if (!is_per_channel(&more->shape, weights->shape.rank, channels))
        return RDL_OK;
    if (conv->n_inputs > 2 && conv->inputs[2] != RDL__NO_VALUE) {
        old = rdl__constant_f32(graph, conv->inputs[2]);
        if (old == NULL || old->shape.rank != 1 || old->shape.dims[0] != channels)
            return RDL_OK;
    }
    struct rdl__shape shape;
    int32_t inputs[3] = {conv->inputs[0], conv->inputs[1]};
    rdl__shape_set(&shape, 1, &channels);
    float *bias = rdl__new_constant_f32(graph, &shape, &inputs[2]);
    if (bias == NULL || !rdl__set_inputs(graph, conv, 3, inputs))
        return rdl__pass_no_memory(context);
    for (int64_t c = 0; c < channels; c++)
        bias[c] =
            ((const float *)more->data)[c] + (old == NULL ? 0 : ((const float *)old->data)[c]);
    conv->activation = add->activation;
    rdl__take_result(graph, conv, add);
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
        if (rdl__node_is(add, "Add") && add->outputs[0] != RDL__NO_VALUE)
            RDL_TRY(fuse_conv(graph, add, context, changed));
    }
    return RDL_OK;
}
