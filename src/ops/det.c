/*
 * Det.
 */
#include "kernels/det.h"
#include "ops/common.h"

#include <inttypes.h>

static enum rdl_status infer(const struct rdl__infer *infer)
{
    const struct rdl__shape *x = &infer->in[0].shape;
    if (infer->in[0].dtype != RDL_F32 && infer->in[0].dtype != RDL_F64)
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(rdl__op_rank(infer, 0, 2, RDL_MAX_RANK));
    if (x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return rdl__fail(infer->error, RDL_ERR_SHAPE,
                         "input 0: matrices of %" PRId64 " by %" PRId64 " are not square",
                         x->dims[x->rank - 2], x->dims[x->rank - 1]);
    return rdl__op_out(infer, 0, infer->in[0].dtype, x->rank - 2, x->rank > 2 ? x->dims : NULL);
}

static enum rdl_status lower(const struct rdl__lower *lower)
{
    const struct rdl__shape *x = &lower->in[0].shape;
    const struct rdl__k_det params = {.dtype = lower->in[0].dtype, .n = x->dims[x->rank - 1]};
    struct rdl__step_spec spec = {.fn = rdl__k_det,
                                  .params = &params,
                                  .params_bytes = sizeof params,
                                  .tiles = rdl__shape_count(&lower->out[0].shape),
                                  .n_bind = 2,
                                  .bind = {RDL__IN(0), RDL__OUT(0)}};
    size_t elems;
    if (!rdl__mul_size((size_t)params.n, (size_t)params.n, &elems) ||
        !rdl__mul_size(elems, sizeof(double), &spec.scratch_bytes))
        return rdl__fail(lower->error, RDL_ERR_OVERFLOW, "the matrices are too large");
    return rdl__lower_step(lower, &spec);
}

/* Det@11 (22: more dtypes). */
RDL__OPERATOR(Det, 11, 1, 1, 1, 1, .infer = infer, .lower = lower);
