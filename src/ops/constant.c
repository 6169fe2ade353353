/*
 * Constant: a tensor out of an attribute. Importers fold it away; it stands here so that a graph that
 * still holds one means the same.
 */
#include "ops/common.h"

#include <string.h>

/* The one attribute that says the value. */
static const struct rdl__attr *value_of(const struct rdl__node *node)
{
    return node->n_attrs == 1 ? &node->attrs[0] : NULL;
}

static enum rdl_status check_constant(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {
        {"value", RDL__ATTR_TENSOR, false},        {"value_float", RDL__ATTR_FLOAT, false},
        {"value_floats", RDL__ATTR_FLOATS, false}, {"value_int", RDL__ATTR_INT, false},
        {"value_ints", RDL__ATTR_INTS, false},
    };
    char text[RDL__NODE_TEXT_BYTES];
    if (value_of(node) == NULL)
        return rdl__fail(error, RDL_ERR_MODEL, "%s: has %u attributes, expected one value",
                         rdl__node_text(node, text, sizeof text), node->n_attrs);
    const char *name = value_of(node)->name;
    if (strcmp(name, "sparse_value") == 0 || strncmp(name, "value_string", 12) == 0)
        return rdl__fail(error, RDL_ERR_UNSUPPORTED, "%s: attribute \"%s\" is not supported",
                         rdl__node_text(node, text, sizeof text), name);
    return RDL__CHECK_ATTRS(node, rules, error);
}

static enum rdl_status infer_constant(const struct rdl__infer *infer)
{
    const struct rdl__attr *value = value_of(infer->node);
    switch (value->type) {
    case RDL__ATTR_TENSOR:
        return rdl__op_out(infer, 0, value->tensor->dtype, value->tensor->shape.rank,
                           value->tensor->shape.dims);
    case RDL__ATTR_FLOATS:
    case RDL__ATTR_INTS:
        return rdl__op_out(infer, 0, value->type == RDL__ATTR_FLOATS ? RDL_F32 : RDL_I64, 1,
                           (const int64_t[]){(int64_t)value->count});
    default:
        return rdl__op_out(infer, 0, value->type == RDL__ATTR_FLOAT ? RDL_F32 : RDL_I64, 0, NULL);
    }
}

static enum rdl_status lower_constant(const struct rdl__lower *lower)
{
    const struct rdl__attr *value = value_of(lower->node);
    const size_t size =
        rdl__shape_count(&lower->out[0].shape) * rdl_dtype_size(lower->out[0].dtype);
    switch (value->type) {
    case RDL__ATTR_TENSOR:
        if (value->tensor->dtype == RDL_STRING)
            return rdl__op_no_kernel(lower, RDL_STRING);
        return rdl__op_store(lower, value->tensor->data, size, RDL__OUT(0));
    case RDL__ATTR_FLOATS:
        return rdl__op_store(lower, value->floats, size, RDL__OUT(0));
    case RDL__ATTR_INTS:
        return rdl__op_store(lower, value->ints, size, RDL__OUT(0));
    case RDL__ATTR_FLOAT:
        return rdl__op_store(lower, &value->f, size, RDL__OUT(0));
    default:
        return rdl__op_store(lower, &value->i, size, RDL__OUT(0));
    }
}

/* Constant@1 (11: sparse_value, 12: value_*; 9, 13, ...: more dtypes). */
RDL__OPERATOR(Constant, 1, 0, 0, 1, 1, .check = check_constant, .infer = infer_constant,
              .lower = lower_constant);
