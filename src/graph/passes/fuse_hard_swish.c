/*
 * Hard-swish, as exporters spell it: a product of x, of a clipped sum and of a constant in any order.
 *
 * The product below a node is taken apart into factors that are not constant and one constant; only
 * products that nothing else uses are taken apart. Two factors of which one is made of the other are a
 * hard-swish.
 */
#include "base/mem.h"
#include "graph/passes/rewrite.h"

#include <math.h>

/* Products within products: x * (t * (1/6)) has two. */
#define MAX_NESTING 3

struct product {
    int32_t factor[2];
    int n; /* factors found; 3: too many */
    double constant;
};

static bool near(double value, double expected)
{
    return fabs(value - expected) <= 1e-5 * fabs(expected);
}

static void add_factor(struct product *product, int32_t value)
{
    if (product->n < 2)
        product->factor[product->n] = value;
    if (product->n < 3)
        product->n++;
}

static void take_apart(const struct rdl__graph *graph, const struct rdl__node *node, int nesting,
                       struct product *product)
{
    const bool divides = rdl__node_is(node, "Div");
    for (uint32_t i = 0; i < 2; i++) {
        const int32_t value = node->inputs[i];
        float constant;
        if (rdl__scalar_f32(graph, value, &constant)) {
            product->constant *= divides ? 1 / (double)constant : (double)constant;
            continue;
        }
        if (divides && i == 1)
            product->n = 3; /* something over what is not constant */
        const struct rdl__node *below = rdl__sole_producer(graph, value, "Mul");
        if (below == NULL)
            below = rdl__sole_producer(graph, value, "Div");
        if (below != NULL && nesting < MAX_NESTING)
            take_apart(graph, below, nesting + 1, product);
        else
            add_factor(product, value);
    }
}

/* Whether value is clip(x + 3, 0, 6). */
static bool is_clipped_sum(const struct rdl__graph *graph, int32_t value, int32_t x)
{
    float low, high, three;
    const struct rdl__node *clip = rdl__sole_producer(graph, value, "Clip");
    if (clip == NULL || !rdl__clip_bounds(graph, clip, &low, &high) || low != 0 || high != 6)
        return false;
    const struct rdl__node *sum = rdl__sole_producer(graph, clip->inputs[0], "Add");
    return sum != NULL &&
           ((sum->inputs[0] == x && rdl__scalar_f32(graph, sum->inputs[1], &three) && three == 3) ||
            (sum->inputs[1] == x && rdl__scalar_f32(graph, sum->inputs[0], &three) && three == 3));
}

/* Whether value is HardSigmoid(x, alpha = 1/6, beta = 1/2). */
static bool is_hard_sigmoid(const struct rdl__graph *graph, int32_t value, int32_t x)
{
    const struct rdl__node *node = rdl__sole_producer(graph, value, "HardSigmoid");
    return node != NULL && node->inputs[0] == x &&
           near((double)rdl__attr_float(node, "alpha", 0.2F), 1.0 / 6) &&
           near((double)rdl__attr_float(node, "beta", 0.5F), 0.5);
}

/* The x of which node is the hard-swish; RDL__NO_VALUE if it is something else. */
static int32_t match(const struct rdl__graph *graph, const struct rdl__node *node)
{
    struct product product = {.constant = 1};
    take_apart(graph, node, 1, &product);
    if (product.n != 2)
        return RDL__NO_VALUE;
    for (int i = 0; i < 2; i++) {
        const int32_t x = product.factor[i], other = product.factor[1 - i];
        if (near(product.constant, 1.0 / 6) && is_clipped_sum(graph, other, x))
            return x;
        if (near(product.constant, 1) && is_hard_sigmoid(graph, other, x))
            return x;
    }
    return RDL__NO_VALUE;
}

static enum rdl_status fuse(struct rdl__graph *graph, struct rdl__node *node, int32_t x,
                            const struct rdl__op *op, const struct rdl__pass_context *context)
{
    if (!rdl__set_inputs(graph, node, 1, &x))
        return rdl__pass_no_memory(context);
    node->op = op;
    node->op_type = op->name;
    node->domain = op->domain;
    node->n_attrs = 0;
    return RDL_OK;
}

enum rdl_status rdl__pass_fuse_hard_swish(struct rdl__graph *graph,
                                          const struct rdl__pass_context *context, bool *changed)
{
    /* Whatever opset the file has: the operator came with 14. */
    const struct rdl__op *op = context->find("", "HardSwish", 14);
    if (op == NULL)
        return RDL_OK;
    struct rdl__fact *facts = rdl__find_facts(graph);
    if (facts == NULL)
        return rdl__pass_no_memory(context);
    enum rdl_status status = RDL_OK;
    for (uint32_t i = 0; i < graph->n_nodes && status == RDL_OK; i++) {
        struct rdl__node *node = graph->nodes[i];
        if (node->activation.kind != RDL__ACT_NONE ||
            (!rdl__node_is(node, "Mul") && !rdl__node_is(node, "Div")))
            continue;
        const int32_t x = match(graph, node);
        /* has_dims: a constant [1] would give a scalar x a dimension. */
        if (x == RDL__NO_VALUE || facts[x].dtype != RDL_F32 || !facts[x].has_dims)
            continue;
        status = fuse(graph, node, x, op, context);
        *changed = true;
    }
    rdl__free(facts);
    return status;
}
