/*
 * Unique: the different elements of a tensor, or its different slices along an axis.
 */
#include "kernels/unique.h"
#include "base/mem.h"
#include "ops/common.h"

static enum rdl_status check_unique(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"sorted", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* The input as [outer, n, inner]; flat, and *axis is -1, if no axis is given. */
static enum rdl_status make_params(const struct rdl__node *node, const struct rdl__desc *x,
                                   struct rdl__k_unique *p, int32_t *axis, struct rdl_error *error)
{
    *axis = -1;
    *p = (struct rdl__k_unique){.dtype = x->dtype,
                                .sorted = rdl__attr_int(node, "sorted", 1) != 0,
                                .outer = 1,
                                .n = (int64_t)rdl__shape_count(&x->shape),
                                .inner = 1};
    if (rdl__attr_find(node, "axis") == NULL)
        return RDL_OK;
    RDL_TRY(rdl__op_axis(error, rdl__attr_int(node, "axis", 0), x->shape.rank, axis));
    p->outer = rdl__shape_product(&x->shape, 0, *axis);
    p->n = x->shape.dims[*axis];
    p->inner = rdl__shape_product(&x->shape, *axis + 1, x->shape.rank);
    return RDL_OK;
}

static enum rdl_status count_unique(const struct rdl__infer *infer, struct rdl__k_unique *params)
{
    size_t bytes;
    if (!rdl__k_unique_scratch(params, &bytes))
        return rdl__fail(infer->error, RDL_ERR_OVERFLOW, "input 0 is too large");
    void *scratch = rdl__alloc(bytes);
    if (scratch == NULL)
        return rdl__fail_memory(infer->error, "order of slices", bytes);
    params->found = rdl__k_unique_count(params, infer->in[0].data, scratch);
    rdl__free(scratch);
    return RDL_OK;
}

static enum rdl_status infer_unique(const struct rdl__infer *infer)
{
    struct rdl__k_unique params;
    struct rdl__shape out = infer->in[0].shape;
    int32_t axis;
    if (!rdl__k_unique_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(make_params(infer->node, &infer->in[0], &params, &axis, infer->error));
    RDL_TRY(count_unique(infer, &params));
    if (axis < 0)
        rdl__shape_set(&out, 1, &params.found);
    else
        out.dims[axis] = params.found;
    RDL_TRY(rdl__op_out(infer, 0, infer->in[0].dtype, out.rank, out.dims));
    for (uint32_t i = 1; i < infer->node->n_outputs; i++)
        RDL_TRY(rdl__op_out(infer, i, RDL_I64, 1, i == 2 ? &params.n : &params.found));
    return RDL_OK;
}

static enum rdl_status lower_unique(const struct rdl__lower *lower)
{
    struct rdl__k_unique params;
    int32_t axis;
    RDL_TRY(make_params(lower->node, &lower->in[0], &params, &axis, lower->error));
    params.found = lower->out[0].shape.dims[axis < 0 ? 0 : axis];
    struct rdl__step_spec spec = {.fn = rdl__k_unique,
                                  .params = &params,
                                  .params_bytes = sizeof params,
                                  .tiles = 1,
                                  .n_bind = 5,
                                  .bind = {RDL__IN(0)}};
    if (!rdl__k_unique_scratch(&params, &spec.scratch_bytes))
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "input 0 is too large");
    for (uint32_t i = 0; i < lower->node->n_outputs; i++)
        if (lower->node->outputs[i] != RDL__NO_VALUE)
            spec.bind[1 + i] = RDL__OUT(i);
    return rdl__lower_step(lower, &spec);
}

/* Unique@11 (28: more dtypes). */
RDL__OPERATOR(Unique, 11, 1, 1, 1, 4, .value_inputs = 1u << 0, .flags = RDL__OP_COUNTS,
              .check = check_unique, .infer = infer_unique, .lower = lower_unique);
