/*
 * Activations with parameters, and those that are no plain function of C.
 */
#include "ops/unary.h"

#include <string.h>

static enum rdl_status check_alpha(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"alpha", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_selu(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"alpha", RDL__ATTR_FLOAT, false},
                                                  {"gamma", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status check_celu(const struct rdl__node *node, struct rdl_error *error)
{
    RDL_TRY(check_alpha(node, error));
    if (rdl__attr_float(node, "alpha", 1.0f) == 0.0f)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: alpha is 0", RDL__NODE_TEXT(node));
    return RDL_OK;
}

static enum rdl_status check_shrink(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"bias", RDL__ATTR_FLOAT, false},
                                                  {"lambd", RDL__ATTR_FLOAT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

static float alpha(const struct rdl__lower *lower, float fallback)
{
    return rdl__attr_float(lower->node, "alpha", fallback);
}

/* Each holds to the newest opset; later versions added dtypes. */
UNARY_OP(Celu, 12, CELU, check_celu, alpha(lower, 1.0f), 0.0f)
UNARY_OP(Elu, 6, ELU, check_alpha, alpha(lower, 1.0f), 0.0f)
UNARY_OP(LeakyRelu, 6, LEAKY_RELU, check_alpha, alpha(lower, 0.01f), 0.0f)
UNARY_OP(Mish, 18, MISH, NULL, 0.0f, 0.0f)
UNARY_OP(Selu, 6, SELU, check_selu, alpha(lower, 1.67326319217681884765625f),
         rdl__attr_float(lower->node, "gamma", 1.05070102214813232421875f))
UNARY_OP(Shrink, 9, SHRINK, check_shrink, rdl__attr_float(lower->node, "bias", 0.0f),
         rdl__attr_float(lower->node, "lambd", 0.5f))
UNARY_OP(Softplus, 1, SOFTPLUS, NULL, 0.0f, 0.0f)
UNARY_OP(Softsign, 1, SOFTSIGN, NULL, 0.0f, 0.0f)
UNARY_OP(Swish, 24, SWISH, check_alpha, alpha(lower, 1.0f), 0.0f)
UNARY_OP(ThresholdedRelu, 10, THRESHOLDED_RELU, check_alpha, alpha(lower, 1.0f), 0.0f)

/* ------------------------------------------------------------------------------------------- Gelu */

static enum rdl_status check_gelu(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"approximate", RDL__ATTR_STRING, false}};
    RDL_TRY(RDL__CHECK_ATTRS(node, rules, error));
    const char *form = rdl__attr_text(node, "approximate", "none");
    if (strcmp(form, "none") == 0 || strcmp(form, "tanh") == 0)
        return RDL_OK;
    return rdl__fail(error, RDL_ERR_MODEL, "%s: approximate \"%s\" is neither none nor tanh",
                     RDL__NODE_TEXT(node), RDL__NAME_TEXT(form));
}

static enum rdl_status infer_gelu(const struct rdl__infer *infer)
{
    return rdl__unary_infer(infer, RDL__K_UNARY_GELU);
}

static enum rdl_status lower_gelu(const struct rdl__lower *lower)
{
    const bool exact = strcmp(rdl__attr_text(lower->node, "approximate", "none"), "none") == 0;
    return rdl__unary_lower(lower, exact ? RDL__K_UNARY_GELU : RDL__K_UNARY_GELU_TANH, 0.0f, 0.0f);
}

/* Gelu@20. */
RDL__OPERATOR(Gelu, 20, 1, 1, 1, 1, .flags = RDL__OP_IN_PLACE, .check = check_gelu,
              .infer = infer_gelu, .lower = lower_gelu);
