/*
 * Products taken apart; see product.h.
 */
#include "graph/passes/product.h"

#include "base/mem.h"

#include <math.h>

/* Products within products: x * (t * (1/6)) has two. */
#define MAX_NESTING 4

bool rdl__is_near(double value, double expected)
{
    return fabs(value - expected) <= 1e-5 * fabs(expected);
}

static void add_factor(struct rdl__product *product, int32_t value)
{
    if (product->n < RDL__PRODUCT_FACTORS)
        product->factor[product->n] = value;
    product->n++;
}

static struct rdl__node *product_below(const struct rdl__graph *graph, int32_t value)
{
    struct rdl__node *below = rdl__sole_producer(graph, value, "Mul");
    return below != NULL ? below : rdl__sole_producer(graph, value, "Div");
}

/* Recursion is as deep as MAX_NESTING. */
static void take_apart(const struct rdl__graph *graph, const struct rdl__node *node, int32_t rank,
                       int nesting, struct rdl__product *product)
{
    const bool divides = rdl__node_is(node, "Div");
    for (uint32_t i = 0; i < 2; i++) {
        const int32_t value = node->inputs[i];
        float constant;
        if (rdl__element_f32(graph, value, rank, &constant)) {
            product->constant *= divides && i == 1 ? 1 / (double)constant : (double)constant;
            continue;
        }
        if (divides && i == 1)
            product->n = RDL__PRODUCT_FACTORS + 1; /* something over what is not constant */
        const struct rdl__node *below = product_below(graph, value);
        if (below != NULL && nesting < MAX_NESTING)
            take_apart(graph, below, rank, nesting + 1, product);
        else
            add_factor(product, value);
    }
}

struct rdl__product rdl__product_of(const struct rdl__graph *graph, const struct rdl__node *node,
                                    int32_t rank)
{
    struct rdl__product product = {.constant = 1};
    take_apart(graph, node, rank, 1, &product);
    return product;
}

struct rdl__product rdl__product_of_value(const struct rdl__graph *graph, int32_t value,
                                          int32_t rank)
{
    const struct rdl__node *node = product_below(graph, value);
    if (node != NULL)
        return rdl__product_of(graph, node, rank);
    return (struct rdl__product){.factor = {value}, .n = 1, .constant = 1};
}

enum rdl_status rdl__fuse_products(struct rdl__graph *graph,
                                   const struct rdl__pass_context *context,
                                   const struct rdl__op *op, rdl__match_fn match, bool *changed)
{
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
        struct rdl__attr attr = {.name = NULL, .type = RDL__ATTR_FLOAT};
        const int32_t x = match(graph, facts, node, &attr);
        /* A constant [1] would give a scalar x a dimension. */
        if (x == RDL__NO_VALUE || facts[x].dtype != RDL_F32 || facts[x].min_rank == 0)
            continue;
        if (!rdl__become_unary(graph, node, op, x, attr.name != NULL ? &attr : NULL))
            status = rdl__pass_no_memory(context);
        *changed = true;
    }
    rdl__free(facts);
    return status;
}
