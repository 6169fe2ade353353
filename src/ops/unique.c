/*
 * Unique: the different elements of a tensor, or its different slices along an axis. The result's shape is
 * found by computing it: infer sorts and groups, and lower stores the places and gathers the slices.
 */
#include "kernels/unique.h"
#include "base/mem.h"
#include "ops/common.h"

/* Elements compared between two looks for a stop, about. */
#define LOOK_ELEMS 32768

static enum rdl_status check_unique(const struct rdl__node *node, struct rdl_error *error)
{
    static const struct rdl__attr_rule rules[] = {{"axis", RDL__ATTR_INT, false},
                                                  {"sorted", RDL__ATTR_INT, false}};
    return RDL__CHECK_ATTRS(node, rules, error);
}

/* The input as [outer, n, inner]; flat, and *axis is -1, if no axis is given. */
static enum rdl_status read_slices(const struct rdl__node *node, const struct rdl__desc *x,
                                   struct rdl__k_unique *u, int32_t *axis, struct rdl_error *error)
{
    *axis = -1;
    *u = (struct rdl__k_unique){.dtype = x->dtype,
                                .x = x->data,
                                .outer = 1,
                                .n = (int64_t)rdl__shape_count(&x->shape),
                                .inner = 1};
    if (rdl__attr_find(node, "axis") == NULL)
        return RDL_OK;
    RDL_TRY(rdl__op_axis(error, rdl__attr_int(node, "axis", 0), x->shape.rank, axis));
    u->outer = rdl__shape_product(&x->shape, 0, *axis);
    u->n = x->shape.dims[*axis];
    u->inner = rdl__shape_product(&x->shape, *axis + 1, x->shape.rank);
    return RDL_OK;
}

/* What infer leaves to lower: [n] each, found of first and count in use. */
struct kept {
    int64_t *first, *group, *count;
};

static enum rdl_status sort(const struct rdl__infer *infer, struct rdl__k_unique *u)
{
    const int64_t slice = u->outer * u->inner;
    const int64_t steps = slice < LOOK_ELEMS / 32 ? LOOK_ELEMS / 32 / (slice + 1) + 1 : 1;
    while (!rdl__k_unique_sort(u, steps))
        RDL_TRY(rdl__op_stop(infer));
    return RDL_OK;
}

/* Sorts and groups; the places stay in the effort's arena, the order of the sort does not. */
static enum rdl_status find_groups(const struct rdl__infer *infer, struct rdl__k_unique *u,
                                   int64_t *found)
{
    struct rdl__arena *arena = infer->effort->arena;
    struct kept *kept = RDL__ARENA_NEW(arena, struct kept);
    const size_t n = (size_t)u->n + 1;
    u->order = rdl__alloc_zeroed(n, sizeof *u->order);
    if (kept != NULL) {
        kept->first = RDL__ARENA_ARRAY(arena, int64_t, n);
        kept->group = RDL__ARENA_ARRAY(arena, int64_t, n);
        kept->count = RDL__ARENA_ARRAY(arena, int64_t, n);
    }
    enum rdl_status status = RDL_OK;
    if (u->order == NULL || kept == NULL || kept->first == NULL || kept->group == NULL ||
        kept->count == NULL)
        status = rdl__fail_memory(infer->error, "order of slices", n * 4 * sizeof(int64_t));
    if (status == RDL_OK)
        status = sort(infer, u);
    if (status == RDL_OK) {
        *found = rdl__k_unique_group(u, kept->first, kept->group);
        if (rdl__attr_int(infer->node, "sorted", 1) == 0)
            rdl__k_unique_by_place(u, kept->first, kept->group, u->order);
        for (int64_t i = 0; i < u->n; i++)
            kept->count[kept->group[i]]++;
        infer->effort->kept = kept;
    }
    rdl__free(u->order);
    return status;
}

static enum rdl_status infer_unique(const struct rdl__infer *infer)
{
    struct rdl__k_unique u;
    struct rdl__shape out = infer->in[0].shape;
    int64_t found;
    int32_t axis;
    if (!rdl__k_unique_takes(infer->in[0].dtype))
        return rdl__op_bad_dtype(infer, 0);
    RDL_TRY(read_slices(infer->node, &infer->in[0], &u, &axis, infer->error));
    RDL_TRY(find_groups(infer, &u, &found));
    if (axis < 0)
        rdl__shape_set(&out, 1, &found);
    else
        out.dims[axis] = found;
    RDL_TRY(rdl__op_out(infer, 0, infer->in[0].dtype, out.rank, out.dims));
    for (uint32_t i = 1; i < infer->node->n_outputs; i++)
        RDL_TRY(rdl__op_out(infer, i, RDL_I64, 1, i == 2 ? &u.n : &found));
    return RDL_OK;
}

static bool wants(const struct rdl__lower *lower, uint32_t i)
{
    return i < lower->node->n_outputs && lower->node->outputs[i] != RDL__NO_VALUE;
}

/* Adds the step that gathers the first slices of all groups, whose places are stored already. */
static enum rdl_status gather(const struct rdl__lower *lower, int64_t found,
                              struct rdl__operand places)
{
    struct rdl__k_unique u;
    int32_t axis;
    RDL_TRY(read_slices(lower->node, &lower->in[0], &u, &axis, lower->error));
    struct rdl__k_gather params = {.elem_bytes = (int32_t)rdl_dtype_size(u.dtype),
                                   .wide = true,
                                   .outer = u.outer,
                                   .axis = u.n,
                                   .inner = u.inner,
                                   .count = found};
    places.written = false;
    const struct rdl__operand bind[] = {RDL__IN(0), places, RDL__OUT(0)};
    const size_t tiles = rdl__k_gather_plan(&params);
    return RDL__OP_STEP(lower, rdl__k_gather, params, tiles, bind);
}

static enum rdl_status lower_unique(const struct rdl__lower *lower)
{
    const struct kept *kept = lower->kept;
    const struct rdl__desc *x = &lower->in[0];
    struct rdl__k_unique u;
    int32_t axis;
    RDL_TRY(read_slices(lower->node, x, &u, &axis, lower->error));
    const int64_t found = lower->out[0].shape.dims[axis < 0 ? 0 : axis];
    struct rdl__operand places = RDL__OUT(1);
    if (!wants(lower, 1)) {
        uint32_t temp;
        RDL_TRY(rdl__lower_temp(lower, (size_t)found * sizeof(int64_t), &temp));
        places = RDL__TEMP_WRITE(temp);
    }
    RDL_TRY(rdl__op_store_ints(lower, kept->first, found, places));
    if (wants(lower, 0) && rdl__shape_count(&lower->out[0].shape) > 0)
        RDL_TRY(gather(lower, found, places));
    if (wants(lower, 2))
        RDL_TRY(rdl__op_store_ints(lower, kept->group, u.n, RDL__OUT(2)));
    return wants(lower, 3) ? rdl__op_store_ints(lower, kept->count, found, RDL__OUT(3)) : RDL_OK;
}

/* Unique@11 (28: more dtypes). */
RDL__OPERATOR(Unique, 11, 1, 1, 1, 4, .value_inputs = 1u << 0, .flags = RDL__OP_COUNTS,
              .check = check_unique, .infer = infer_unique, .lower = lower_unique);
