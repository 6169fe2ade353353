/*
 * Conv + BatchNormalization with constant parameters.
 *
 * y = (conv(x) - mean) * s + B with s = scale / sqrt(var + epsilon) is a Conv of weights W * s and
 * bias (b - mean) * s + B. Everything is computed in double and rounded once.
 */
#include "graph/passes/rewrite.h"

#include <math.h>

/* The constant parameters of a pair: [channels] each, but weights [channels, ...]. */
struct pair {
    const struct rdl__desc *weights;
    const struct rdl__desc *bias;    /* NULL: none */
    const struct rdl__desc *norm[4]; /* scale, B, mean, var */
    double epsilon;
};

/* The elements of value if they are f32 [channels]. */
static const struct rdl__desc *channel_constant(const struct rdl__graph *graph, int32_t value,
                                                int64_t channels)
{
    const struct rdl__desc *desc = rdl__constant_f32(graph, value);
    return desc != NULL && desc->shape.rank == 1 && desc->shape.dims[0] == channels ? desc : NULL;
}

static bool match(const struct rdl__graph *graph, const struct rdl__node *conv,
                  const struct rdl__node *norm, struct pair *pair)
{
    *pair = (struct pair){.epsilon = (double)rdl__attr_float(norm, "epsilon", 1e-5F)};
    if (rdl__attr_int(norm, "training_mode", 0) != 0 || rdl__attr_int(norm, "spatial", 1) != 1)
        return false;
    for (uint32_t i = 1; i < norm->n_outputs; i++)
        if (norm->outputs[i] != RDL__NO_VALUE)
            return false;
    pair->weights = rdl__constant_f32(graph, conv->inputs[1]);
    if (pair->weights == NULL || pair->weights->shape.rank < 1)
        return false;
    const int64_t channels = pair->weights->shape.dims[0];
    const bool has_bias = conv->n_inputs > 2 && conv->inputs[2] != RDL__NO_VALUE;
    if (has_bias && (pair->bias = channel_constant(graph, conv->inputs[2], channels)) == NULL)
        return false;
    for (uint32_t i = 0; i < 4; i++)
        if ((pair->norm[i] = channel_constant(graph, norm->inputs[i + 1], channels)) == NULL)
            return false;
    const float *var = pair->norm[3]->data;
    for (int64_t c = 0; c < channels; c++)
        if (!((double)var[c] + pair->epsilon > 0)) /* also if it is no number */
            return false;
    return true;
}

static enum rdl_status fuse(struct rdl__graph *graph, struct rdl__node *conv,
                            struct rdl__node *norm, const struct pair *pair,
                            const struct rdl__pass_context *context)
{
    const int64_t channels = pair->weights->shape.dims[0];
    const int64_t each = rdl__shape_product(&pair->weights->shape, 1, pair->weights->shape.rank);
    int32_t inputs[3] = {conv->inputs[0]};
    float *weights = rdl__new_constant_f32(graph, &pair->weights->shape, &inputs[1]);
    float *bias = rdl__new_constant_f32(graph, &pair->norm[0]->shape, &inputs[2]);
    if (weights == NULL || bias == NULL || !rdl__set_inputs(graph, conv, 3, inputs))
        return rdl__pass_no_memory(context);
    const float *scale = pair->norm[0]->data, *shift = pair->norm[1]->data;
    const float *mean = pair->norm[2]->data, *var = pair->norm[3]->data;
    const float *from = pair->weights->data;
    for (int64_t c = 0; c < channels; c++) {
        const double s = (double)scale[c] / sqrt((double)var[c] + pair->epsilon);
        const double b = pair->bias == NULL ? 0 : (double)((const float *)pair->bias->data)[c];
        for (int64_t i = c * each; i < (c + 1) * each; i++)
            weights[i] = (float)((double)from[i] * s);
        bias[c] = (float)((b - (double)mean[c]) * s + (double)shift[c]);
    }
    conv->activation = norm->activation;
    rdl__take_result(graph, conv, norm);
    return RDL_OK;
}

enum rdl_status rdl__pass_fuse_batch_norm(struct rdl__graph *graph,
                                          const struct rdl__pass_context *context, bool *changed)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__node *norm = graph->nodes[i];
        if (!rdl__node_is(norm, "BatchNormalization") || norm->outputs[0] == RDL__NO_VALUE)
            continue;
        struct pair pair;
        struct rdl__node *conv = rdl__sole_producer(graph, norm->inputs[0], "Conv");
        if (conv == NULL || !match(graph, conv, norm, &pair))
            continue;
        RDL_TRY(fuse(graph, conv, norm, &pair, context));
        *changed = true;
    }
    return RDL_OK;
}
