/*
 * Products taken apart: what exporters spell as a tree of Mul and Div, in any order.
 */
#ifndef RDL_GRAPH_PASSES_PRODUCT_H
#define RDL_GRAPH_PASSES_PRODUCT_H

#include "graph/passes/rewrite.h"

#define RDL__PRODUCT_FACTORS 3

/** A constant times factors that are not constant. */
struct rdl__product {
    int32_t factor[RDL__PRODUCT_FACTORS];
    uint32_t n; /* factors; more than RDL__PRODUCT_FACTORS: too many, or a division by one */
    double constant;
};

/** Takes apart what a Mul or Div gives: products below it go in if nothing else uses them. A constant
 * is one f32 element of at most `rank` dimensions, so that it gives no operand dimensions that it lacks. */
struct rdl__product rdl__product_of(const struct rdl__graph *graph, const struct rdl__node *node,
                                    int32_t rank);
/** The same of a value: itself times 1, if it is no product that nothing else uses. */
struct rdl__product rdl__product_of_value(const struct rdl__graph *graph, int32_t value,
                                          int32_t rank);

/**
 * Says of which x a Mul or Div is a function of one input, an f32 of at least one dimension; RDL__NO_VALUE
 * if it is something else. attr, zeroed, receives an attribute of that function's node if it needs one.
 */
typedef int32_t (*rdl__match_fn)(const struct rdl__graph *graph, const struct rdl__fact *facts,
                                 const struct rdl__node *node, struct rdl__attr *attr);

/** Makes every product that matches a call of op; op NULL: none. @return RDL_ERR_NO_MEMORY */
enum rdl_status rdl__fuse_products(struct rdl__graph *graph,
                                   const struct rdl__pass_context *context,
                                   const struct rdl__op *op, rdl__match_fn match, bool *changed);

/** Whether a constant is the one of a formula, as far as exporters round. */
bool rdl__is_near(double value, double expected);

#endif
