/*
 * What passes share; see rewrite.h. No state.
 */
#include "graph/passes/rewrite.h"

#include "base/mem.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

bool rdl__node_is(const struct rdl__node *node, const char *op)
{
    return strcmp(node->op_type, op) == 0 &&
           (node->domain[0] == '\0' || strcmp(node->domain, "raddle") == 0);
}

struct rdl__node *rdl__producer_of(const struct rdl__graph *graph, int32_t value)
{
    if (value == RDL__NO_VALUE || graph->values[value].producer < 0)
        return NULL;
    return graph->nodes[graph->values[value].producer];
}

struct rdl__node *rdl__sole_producer(const struct rdl__graph *graph, int32_t value, const char *op)
{
    struct rdl__node *node = rdl__producer_of(graph, value);
    if (node == NULL || graph->values[value].n_uses != 1 || node->outputs[0] != value ||
        node->activation.kind != RDL__ACT_NONE || !rdl__node_is(node, op))
        return NULL;
    return node;
}

const struct rdl__desc *rdl__constant_f32(const struct rdl__graph *graph, int32_t value)
{
    if (value == RDL__NO_VALUE)
        return NULL;
    const struct rdl__desc *desc = graph->values[value].constant;
    return desc != NULL && desc->dtype == RDL_F32 ? desc : NULL;
}

bool rdl__element_f32(const struct rdl__graph *graph, int32_t value, int32_t rank, float *out)
{
    const struct rdl__desc *desc = rdl__constant_f32(graph, value);
    if (desc == NULL || (desc->shape.rank > rank && desc->shape.rank > 1) ||
        rdl__shape_count(&desc->shape) != 1)
        return false;
    *out = *(const float *)desc->data;
    return true;
}

bool rdl__scalar_f32(const struct rdl__graph *graph, int32_t value, float *out)
{
    return rdl__element_f32(graph, value, 1, out);
}

bool rdl__clip_bounds(const struct rdl__graph *graph, const struct rdl__node *clip, float *low,
                      float *high)
{
    *low = rdl__attr_float(clip, "min", -FLT_MAX);
    *high = rdl__attr_float(clip, "max", FLT_MAX);
    float *const bounds[2] = {low, high};
    for (uint32_t i = 1; i < clip->n_inputs && i < 3; i++)
        if (clip->inputs[i] != RDL__NO_VALUE &&
            !rdl__scalar_f32(graph, clip->inputs[i], bounds[i - 1]))
            return false;
    return true;
}

bool rdl__set_inputs(struct rdl__graph *graph, struct rdl__node *node, uint32_t n,
                     const int32_t *inputs)
{
    int32_t *list = RDL__ARENA_ARRAY(graph->arena, int32_t, n);
    if (list == NULL)
        return false;
    memcpy(list, inputs, n * sizeof *list);
    node->inputs = list;
    node->n_inputs = n;
    return true;
}

bool rdl__become_unary(struct rdl__graph *graph, struct rdl__node *node, const struct rdl__op *op,
                       int32_t input, const struct rdl__attr *attr)
{
    node->attrs = RDL__ARENA_ARRAY(graph->arena, struct rdl__attr, 1);
    if (node->attrs == NULL || !rdl__set_inputs(graph, node, 1, &input))
        return false;
    node->n_attrs = attr != NULL;
    if (attr != NULL)
        node->attrs[0] = *attr;
    node->op = op;
    node->op_type = op->name;
    node->domain = op->domain;
    return true;
}

void rdl__take_result(struct rdl__graph *graph, struct rdl__node *node, struct rdl__node *last)
{
    const int32_t old = node->outputs[0], result = last->outputs[0];
    graph->values[result].producer = graph->values[old].producer;
    graph->values[old].producer = -1;
    node->outputs[0] = result;
    last->outputs[0] = RDL__NO_VALUE;
    last->n_inputs = 0; /* a dead node too must not use what nothing makes */
}

float *rdl__new_constant_f32(struct rdl__graph *graph, const struct rdl__shape *like,
                             int32_t *value)
{
    char name[32];
    struct rdl__desc desc = {.dtype = RDL_F32, .shape = *like};
    const size_t bytes = rdl__shape_count(like) * sizeof(float);
    float *data = rdl__arena_alloc_aligned(graph->arena, RDL_ALIGN, bytes == 0 ? 1 : bytes);
    if (data == NULL)
        return NULL;
    desc.data = data;
    (void)snprintf(name, sizeof name, "raddle.%u", graph->n_values);
    *value = rdl__graph_add_constant(graph, name, &desc);
    return *value == RDL__NO_VALUE ? NULL : data;
}

/* ---- facts ------------------------------------------------------------------------------------- */

/* Operators whose result has the dtype of their first input; what their rank is. */
enum rank_rule {
    RANK_ANY,  /* not known */
    RANK_SAME, /* that of the widest input */
    RANK_DIMS  /* at least 1 */
};

static const struct {
    const char *op;
    enum rank_rule rank;
    uint32_t n_same; /* leading inputs that have that dtype too */
} same_dtype[] = {
    {"Abs", RANK_SAME, 1},           {"Add", RANK_SAME, 2},
    {"AveragePool", RANK_DIMS, 1},   {"BatchNormalization", RANK_DIMS, 1},
    {"Clip", RANK_SAME, 3},          {"Concat", RANK_DIMS, UINT32_MAX},
    {"Conv", RANK_DIMS, 3},          {"ConvTranspose", RANK_DIMS, 3},
    {"Div", RANK_SAME, 2},           {"Dropout", RANK_SAME, 1},
    {"Erf", RANK_SAME, 1},           {"Exp", RANK_SAME, 1},
    {"Gemm", RANK_DIMS, 3},          {"GlobalAveragePool", RANK_DIMS, 1},
    {"GlobalMaxPool", RANK_DIMS, 1}, {"HardSigmoid", RANK_SAME, 1},
    {"HardSwish", RANK_SAME, 1},     {"Identity", RANK_SAME, 1},
    {"MatMul", RANK_ANY, 2},         {"MatMulBias", RANK_DIMS, 3},
    {"MaxPool", RANK_DIMS, 1},       {"Mul", RANK_SAME, 2},
    {"Relu", RANK_SAME, 1},          {"Reshape", RANK_ANY, 1},
    {"Sigmoid", RANK_SAME, 1},       {"Softmax", RANK_SAME, 1},
    {"Sub", RANK_SAME, 2},           {"Tanh", RANK_SAME, 1},
    {"Transpose", RANK_SAME, 1},
};

static struct rdl__fact result_fact(const struct rdl__node *node, const struct rdl__fact *facts)
{
    struct rdl__fact fact = {RDL_DTYPE_NONE, 0};
    if (rdl__node_is(node, "Cast")) {
        fact.dtype = (enum rdl_dtype)rdl__attr_int(node, "to", RDL_DTYPE_NONE);
        fact.min_rank = node->inputs[0] != RDL__NO_VALUE ? facts[node->inputs[0]].min_rank : 0;
        return fact;
    }
    for (size_t i = 0; i < sizeof same_dtype / sizeof same_dtype[0]; i++) {
        if (!rdl__node_is(node, same_dtype[i].op))
            continue;
        for (uint32_t k = 0; k < node->n_inputs && k < same_dtype[i].n_same; k++) {
            if (node->inputs[k] == RDL__NO_VALUE)
                continue;
            const struct rdl__fact *in = &facts[node->inputs[k]];
            if (fact.dtype == RDL_DTYPE_NONE)
                fact.dtype = in->dtype;
            if (in->min_rank > fact.min_rank)
                fact.min_rank = in->min_rank;
        }
        if (same_dtype[i].rank != RANK_SAME)
            fact.min_rank = same_dtype[i].rank == RANK_DIMS ? 1 : 0;
        break;
    }
    return fact;
}

struct rdl__fact *rdl__find_facts(const struct rdl__graph *graph)
{
    struct rdl__fact *facts = rdl__alloc_zeroed((size_t)graph->n_values + 1, sizeof *facts);
    if (facts == NULL)
        return NULL;
    for (uint32_t i = 0; i < graph->n_values; i++)
        if (graph->values[i].constant != NULL)
            facts[i] = (struct rdl__fact){graph->values[i].dtype, graph->values[i].rank};
    for (uint32_t i = 0; i < graph->n_inputs && graph->outer == NULL; i++) {
        const struct rdl__value_info *value = &graph->values[graph->inputs[i]];
        if (value->kind == RDL_VALUE_TENSOR)
            facts[graph->inputs[i]] =
                (struct rdl__fact){value->dtype, value->rank > 0 ? value->rank : 0};
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->n_outputs > 0 && graph->nodes[i]->outputs[0] != RDL__NO_VALUE)
            facts[graph->nodes[i]->outputs[0]] = result_fact(graph->nodes[i], facts);
    return facts;
}

enum rdl_status rdl__pass_no_memory(const struct rdl__pass_context *context)
{
    return rdl__fail(context->error, RDL_ERR_NO_MEMORY, "no memory for the optimised graph");
}
