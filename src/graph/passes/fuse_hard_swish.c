/*
 * Hard-swish, as exporters spell it: a product of x, of a clipped sum and of a constant in any order.
 *
 * The product below a node is taken apart into factors that are not constant and one constant; only
 * products that nothing else uses are taken apart. Two factors of which one is made of the other are a
 * hard-swish.
 */
#include "graph/passes/product.h"

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
           rdl__is_near((double)rdl__attr_float(node, "alpha", 0.2F), 1.0 / 6) &&
           rdl__is_near((double)rdl__attr_float(node, "beta", 0.5F), 0.5);
}

/* The x of which node is the hard-swish; RDL__NO_VALUE if it is something else. */
static int32_t match(const struct rdl__graph *graph, const struct rdl__fact *facts,
                     const struct rdl__node *node, struct rdl__attr *attr)
{
    (void)facts;
    (void)attr;
    const struct rdl__product product = rdl__product_of(graph, node, 1);
    if (product.n != 2)
        return RDL__NO_VALUE;
    for (int i = 0; i < 2; i++) {
        const int32_t x = product.factor[i], other = product.factor[1 - i];
        if (rdl__is_near(product.constant, 1.0 / 6) && is_clipped_sum(graph, other, x))
            return x;
        if (rdl__is_near(product.constant, 1) && is_hard_sigmoid(graph, other, x))
            return x;
    }
    return RDL__NO_VALUE;
}

enum rdl_status rdl__pass_fuse_hard_swish(struct rdl__graph *graph,
                                          const struct rdl__pass_context *context, bool *changed)
{
    /* Whatever opset the file has: the operator came with 14. */
    return rdl__fuse_products(graph, context, context->find("", "HardSwish", 14), match, changed);
}
