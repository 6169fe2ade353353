/*
 * Gelu, as exporters spell it:  0.5 x (1 + erf(x / sqrt 2))  and its approximation
 * 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))),  products in any order, the cube as a product or Pow.
 * Nothing else uses what lies between. Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016;
 * ONNX Gelu@20.
 */
#include "graph/passes/product.h"

#define HALF_ROOT 0.70710678118654752440 /* 1 / sqrt 2 */
#define ROOT_2_PI 0.79788456080286535588 /* sqrt(2 / pi) */
#define CUBE_FACTOR 0.044715

/* A place in the graph where the rank of x is at least `rank`. */
struct place {
    const struct rdl__graph *graph;
    int32_t x, rank;
};

/* The value that a sole `op` takes; RDL__NO_VALUE if value is made otherwise. */
static int32_t below(const struct place *place, int32_t value, const char *op)
{
    const struct rdl__node *node = rdl__sole_producer(place->graph, value, op);
    return node != NULL ? node->inputs[0] : RDL__NO_VALUE;
}

/* The other operand of a sole Add of x or, if constant is given, of that constant; RDL__NO_VALUE: none. */
static int32_t other_of_sum(const struct place *place, int32_t value, const float *constant)
{
    const struct rdl__node *sum = rdl__sole_producer(place->graph, value, "Add");
    for (uint32_t i = 0; sum != NULL && i < 2; i++) {
        float element;
        if (constant == NULL
                ? sum->inputs[i] == place->x
                : rdl__element_f32(place->graph, sum->inputs[i], place->rank, &element) &&
                      element == *constant)
            return sum->inputs[1 - i];
    }
    return RDL__NO_VALUE;
}

/* Whether value is 0.044715 x^3. */
static bool is_cube(const struct place *place, int32_t value)
{
    const struct rdl__product cube = rdl__product_of_value(place->graph, value, place->rank);
    float exponent;
    if (!rdl__is_near(cube.constant, CUBE_FACTOR))
        return false;
    if (cube.n == 3)
        return cube.factor[0] == place->x && cube.factor[1] == place->x &&
               cube.factor[2] == place->x;
    const struct rdl__node *power =
        cube.n == 1 ? rdl__sole_producer(place->graph, cube.factor[0], "Pow") : NULL;
    return power != NULL && power->inputs[0] == place->x &&
           rdl__element_f32(place->graph, power->inputs[1], place->rank, &exponent) &&
           exponent == 3;
}

/* Whether value is the argument of the tangent. */
static bool is_tanh_argument(const struct place *place, int32_t value)
{
    const struct rdl__product scaled = rdl__product_of_value(place->graph, value, place->rank);
    if (scaled.n != 1 || !rdl__is_near(scaled.constant, ROOT_2_PI))
        return false;
    const int32_t cube = other_of_sum(place, scaled.factor[0], NULL);
    return cube != RDL__NO_VALUE && is_cube(place, cube);
}

static bool is_erf_argument(const struct place *place, int32_t value)
{
    const struct rdl__product scaled = rdl__product_of_value(place->graph, value, place->rank);
    return scaled.n == 1 && scaled.factor[0] == place->x &&
           rdl__is_near(scaled.constant, HALF_ROOT);
}

/* "none" or "tanh" if value is one plus such a function of x; NULL if not. */
static const char *form_of(const struct place *place, int32_t value)
{
    const float one = 1;
    const int32_t function = other_of_sum(place, value, &one);
    if (function == RDL__NO_VALUE)
        return NULL;
    const int32_t tangent = below(place, function, "Tanh"), error = below(place, function, "Erf");
    if (tangent != RDL__NO_VALUE && is_tanh_argument(place, tangent))
        return "tanh";
    return error != RDL__NO_VALUE && is_erf_argument(place, error) ? "none" : NULL;
}

/* The x of which node is the Gelu; RDL__NO_VALUE if it is something else. */
static int32_t match(const struct rdl__graph *graph, const struct rdl__fact *facts,
                     const struct rdl__node *node, struct rdl__attr *attr)
{
    if (node->outputs[0] == RDL__NO_VALUE)
        return RDL__NO_VALUE;
    const int32_t rank = facts[node->outputs[0]].min_rank;
    const struct rdl__product product = rdl__product_of(graph, node, rank);
    if (product.n != 2 || !rdl__is_near(product.constant, 0.5))
        return RDL__NO_VALUE;
    for (int i = 0; i < 2; i++) {
        const struct place place = {graph, product.factor[i], facts[product.factor[i]].min_rank};
        const char *form = form_of(&place, product.factor[1 - i]);
        /* No constant may have given the product dimensions that x lacks. */
        if (form == NULL || rank > place.rank)
            continue;
        *attr = (struct rdl__attr){
            .name = "approximate", .type = RDL__ATTR_STRING, .count = 1, .s = {form, 4}};
        return place.x;
    }
    return RDL__NO_VALUE;
}

enum rdl_status rdl__pass_fuse_gelu(struct rdl__graph *graph,
                                    const struct rdl__pass_context *context, bool *changed)
{
    /* Whatever opset the file has: the operator came with 20. */
    return rdl__fuse_products(graph, context, context->find("", "Gelu", 20), match, changed);
}
