/*
 * A convolution and an affine map a channel behind it: one convolution.
 *
 * BatchNormalization of constants, and Add, Sub, Mul and Div of one constant element, or one a channel,
 * are y = s * conv(x) + t: a convolution of weights W * s and bias b * s + t, computed in double and
 * rounded once.
 */
#include "graph/passes/rewrite.h"

#include <math.h>

/* Conv or ConvTranspose. Its weights are slices of `each` elements that make one channel. */
struct host {
    struct rdl__node *node;
    const struct rdl__desc *weights;
    const struct rdl__desc *bias; /* [channels]; NULL: none */
    int64_t channels, slices, each;
    int64_t per_group; /* ConvTranspose: channels of a group, whose slices take turns */
    int64_t rows;      /* ConvTranspose: slices of a group */
};

enum map_kind { MAP_NORM, MAP_ADD, MAP_SUB, MAP_MUL, MAP_DIV };

/* The constants of an affine map: each one element, or one a channel. */
struct map {
    enum map_kind kind;
    const struct rdl__desc *operand[4]; /* NORM: scale, B, mean, var; else the first alone */
    double epsilon;                     /* NORM */
};

struct factors {
    double s, t;
};

static double element(const struct rdl__desc *desc, int64_t channel)
{
    return (double)((const float *)desc->data)[rdl__shape_count(&desc->shape) == 1 ? 0 : channel];
}

static struct factors factors_of(const struct map *map, int64_t channel)
{
    const double k = element(map->operand[0], channel);
    switch (map->kind) {
    case MAP_NORM: {
        const double s = k / sqrt(element(map->operand[3], channel) + map->epsilon);
        return (struct factors){s, element(map->operand[1], channel) -
                                       element(map->operand[2], channel) * s};
    }
    case MAP_ADD:
        return (struct factors){1, k};
    case MAP_SUB:
        return (struct factors){1, -k};
    case MAP_MUL:
        return (struct factors){k, 0};
    case MAP_DIV:
        break;
    }
    return (struct factors){1 / k, 0};
}

/* The f32 constant value if it is [C, 1, ..] or [1, C, 1, ..] beside results [N, C, ..] of rank `rank`,
 * or one element of no more dimensions. */
static const struct rdl__desc *channel_constant(const struct rdl__graph *graph, int32_t value,
                                                int32_t rank, int64_t channels)
{
    const struct rdl__desc *desc = rdl__constant_f32(graph, value);
    if (desc == NULL || desc->shape.rank > rank)
        return NULL;
    if (rdl__shape_count(&desc->shape) == 1)
        return desc;
    const int32_t at = desc->shape.rank - (rank - 1); /* of the channels */
    if (at < 0 || desc->shape.dims[at] != channels)
        return NULL;
    for (int32_t i = 0; i < desc->shape.rank; i++)
        if (i != at && desc->shape.dims[i] != 1)
            return NULL;
    return desc;
}

static const struct rdl__desc *row_constant(const struct rdl__graph *graph, int32_t value,
                                            int64_t channels)
{
    const struct rdl__desc *desc = rdl__constant_f32(graph, value);
    return desc != NULL && desc->shape.rank == 1 && desc->shape.dims[0] == channels ? desc : NULL;
}

/* The convolution that alone makes value, if its parameters are constant. */
static bool find_host(const struct rdl__graph *graph, int32_t value, struct host *host)
{
    struct rdl__node *node = rdl__sole_producer(graph, value, "Conv");
    const bool turned = node == NULL;
    if (turned && (node = rdl__sole_producer(graph, value, "ConvTranspose")) == NULL)
        return false;
    *host = (struct host){.node = node, .weights = rdl__constant_f32(graph, node->inputs[1])};
    if (host->weights == NULL || host->weights->shape.rank < 2)
        return false;
    const struct rdl__shape *shape = &host->weights->shape;
    const int64_t group = turned ? rdl__attr_int(node, "group", 1) : 1;
    if (group < 1 || shape->dims[0] % group != 0)
        return false;
    host->channels = turned ? shape->dims[1] * group : shape->dims[0];
    host->slices = turned ? shape->dims[0] * shape->dims[1] : shape->dims[0];
    host->each = rdl__shape_product(shape, turned ? 2 : 1, shape->rank);
    host->per_group = turned ? shape->dims[1] : host->channels;
    host->rows = turned ? shape->dims[0] / group * shape->dims[1] : host->channels;
    if (host->slices == 0)
        return false;
    if (node->n_inputs < 3 || node->inputs[2] == RDL__NO_VALUE)
        return true;
    host->bias = row_constant(graph, node->inputs[2], host->channels);
    return host->bias != NULL;
}

/* BatchNormalization as it is in inference. */
static bool find_norm(const struct rdl__graph *graph, const struct rdl__node *norm,
                      struct host *host, struct map *map)
{
    if (rdl__attr_int(norm, "training_mode", 0) != 0 || rdl__attr_int(norm, "spatial", 1) != 1)
        return false;
    for (uint32_t i = 1; i < norm->n_outputs; i++)
        if (norm->outputs[i] != RDL__NO_VALUE)
            return false;
    if (!find_host(graph, norm->inputs[0], host))
        return false;
    *map =
        (struct map){.kind = MAP_NORM, .epsilon = (double)rdl__attr_float(norm, "epsilon", 1e-5F)};
    for (uint32_t i = 0; i < 4; i++)
        if ((map->operand[i] = row_constant(graph, norm->inputs[i + 1], host->channels)) == NULL)
            return false;
    return true;
}

/* Arithmetic of the convolution's result, on the left if the order matters, and a constant. */
static bool find_arithmetic(const struct rdl__graph *graph, const struct rdl__node *node,
                            struct host *host, struct map *map)
{
    static const struct {
        const char *op;
        enum map_kind kind;
        bool commutes;
    } known[] = {{"Add", MAP_ADD, true},
                 {"Sub", MAP_SUB, false},
                 {"Mul", MAP_MUL, true},
                 {"Div", MAP_DIV, false}};
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        if (!rdl__node_is(node, known[k].op))
            continue;
        for (uint32_t i = 0; i < (known[k].commutes ? 2 : 1); i++) {
            if (!find_host(graph, node->inputs[i], host))
                continue;
            *map = (struct map){.kind = known[k].kind};
            map->operand[0] = channel_constant(graph, node->inputs[1 - i],
                                               host->weights->shape.rank, host->channels);
            return map->operand[0] != NULL;
        }
    }
    return false;
}

/* Division by zero, a variance without a root, or no number at all: left to the run. */
static bool is_finite(const struct map *map, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        const struct factors f = factors_of(map, c);
        if (!isfinite(f.s) || !isfinite(f.t))
            return false;
    }
    return true;
}

static enum rdl_status fuse(struct rdl__graph *graph, const struct host *host,
                            const struct map *map, struct rdl__node *last,
                            const struct rdl__pass_context *context)
{
    struct rdl__shape row;
    int32_t inputs[3] = {host->node->inputs[0], host->node->inputs[1]};
    const bool scales = map->kind != MAP_ADD && map->kind != MAP_SUB;
    rdl__shape_set(&row, 1, &host->channels);
    float *bias = rdl__new_constant_f32(graph, &row, &inputs[2]);
    float *weights =
        scales ? rdl__new_constant_f32(graph, &host->weights->shape, &inputs[1]) : NULL;
    if (bias == NULL || (scales && weights == NULL) ||
        !rdl__set_inputs(graph, host->node, 3, inputs))
        return rdl__pass_no_memory(context);
    for (int64_t c = 0; c < host->channels; c++) {
        const struct factors f = factors_of(map, c);
        bias[c] = (float)((host->bias == NULL ? 0 : element(host->bias, c)) * f.s + f.t);
    }
    const float *from = host->weights->data;
    for (int64_t i = 0; scales && i < host->slices; i++) {
        const int64_t c = i / host->rows * host->per_group + i % host->per_group;
        const double s = factors_of(map, c).s;
        for (int64_t k = i * host->each; k < (i + 1) * host->each; k++)
            weights[k] = (float)((double)from[k] * s);
    }
    host->node->activation = last->activation;
    rdl__take_result(graph, host->node, last);
    return RDL_OK;
}

enum rdl_status rdl__pass_fuse_affine(struct rdl__graph *graph,
                                      const struct rdl__pass_context *context, bool *changed)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct rdl__node *node = graph->nodes[i];
        struct host host;
        struct map map;
        if (node->n_outputs == 0 || node->outputs[0] == RDL__NO_VALUE)
            continue;
        const bool found = rdl__node_is(node, "BatchNormalization")
                               ? find_norm(graph, node, &host, &map)
                               : find_arithmetic(graph, node, &host, &map);
        if (!found || !is_finite(&map, host.channels))
            continue;
        RDL_TRY(fuse(graph, &host, &map, node, context));
        *changed = true;
    }
    return RDL_OK;
}
