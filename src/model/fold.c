/*
 * Folding; see fold.h. A node is lowered as in a plan, without prepared weights, and its steps are run
 * here, on host memory. No state; any thread.
 */
#include "model/fold.h"

#include "base/mem.h"
#include "base/size.h"
#include "graph/lowering.h"
#include "tensor/tensor.h"

bool rdl__can_fold(const struct rdl__node *node, const struct rdl__desc *in)
{
    if ((node->op->flags & (RDL__OP_RANDOM | RDL__OP_LOOP)) != 0)
        return false;
    for (uint32_t i = 0; (node->op->flags & RDL__OP_OF_SHAPE) == 0 && i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE && in[i].data == NULL &&
            rdl__node_wants(node, &in[0], i))
            return false;
    return true;
}

static enum rdl_status allocate_outputs(const struct rdl__node *node, struct rdl__desc *out,
                                        void **data, struct rdl__arena *arena,
                                        struct rdl_error *error)
{
    size_t total = 0;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        size_t bytes;
        if (!rdl__tensor_bytes(out[i].dtype, &out[i].shape, &bytes) ||
            !rdl__add_size(total, bytes, &total) || total > RDL__FOLD_BYTES)
            return rdl__fail(error, RDL_ERR_UNSUPPORTED, "outputs are too large to fold");
        data[i] = rdl__arena_alloc_aligned(arena, RDL_ALIGN, bytes > 0 ? bytes : 1);
        if (data[i] == NULL)
            return rdl__fail_memory(error, "folded constant", bytes);
    }
    return RDL_OK;
}

struct places {
    const struct rdl__desc *in;
    void *const *out;
    void *const *temps;
};

static void *find(const struct rdl__operand *operand, const struct places *places)
{
    const char *base = NULL;
    if (operand->kind == RDL__OPERAND_INPUT)
        base = places->in[operand->index].data;
    else if (operand->kind == RDL__OPERAND_OUTPUT)
        base = places->out[operand->index];
    else if (operand->kind == RDL__OPERAND_TEMP)
        base = places->temps[operand->index];
    return base != NULL ? (void *)((uintptr_t)base + operand->offset_bytes) : NULL;
}

static enum rdl_status run_step(const struct rdl__lowered *step, const struct places *places,
                                struct rdl__arena *arena, struct rdl_error *error)
{
    void *bind[RDL__MAX_BINDINGS];
    struct rdl__kernel_call call = {
        .params = step->spec.params, .bind = bind, .tile_end = step->spec.tiles};
    for (uint32_t i = 0; i < step->spec.n_bind; i++)
        bind[i] = find(&step->spec.bind[i], places);
    if (step->spec.scratch_bytes > 0) {
        call.scratch = rdl__arena_alloc_aligned(arena, RDL_ALIGN, step->spec.scratch_bytes);
        if (call.scratch == NULL)
            return rdl__fail_memory(error, "scratch", step->spec.scratch_bytes);
    }
    const enum rdl_status status = step->spec.fn(&call);
    return status == RDL_OK ? RDL_OK : rdl__fail(error, status, "%s", rdl_status_text(status));
}

static enum rdl_status run_steps(const struct rdl__lowering *list, struct places *places,
                                 struct rdl__arena *arena, struct rdl_error *error)
{
    void **temps = rdl__arena_zeroed(arena, list->n_temps + 1, sizeof *temps);
    if (temps == NULL)
        return rdl__fail_memory(error, "fold", list->n_temps * sizeof *temps);
    for (uint32_t i = 0; i < list->n_temps; i++) {
        temps[i] = rdl__arena_alloc_aligned(arena, RDL_ALIGN, list->temps[i] + 1);
        if (temps[i] == NULL)
            return rdl__fail_memory(error, "fold", list->temps[i]);
    }
    places->temps = temps;
    for (uint32_t i = 0; i < list->n_steps; i++)
        RDL_TRY(run_step(&list->steps[i], places, arena, error));
    return RDL_OK;
}

enum rdl_status rdl__fold(const struct rdl__node *node, const struct rdl__desc *in,
                          struct rdl__desc *out, const void *kept, struct rdl__arena *arena,
                          enum rdl__isa isa, struct rdl_error *error)
{
    struct rdl__lowering list;
    rdl__lowering_init(&list, arena);
    rdl__lowering_begin(&list, 0);
    const struct rdl__lower lower = {.node = node,
                                     .in = in,
                                     .out = out,
                                     .kept = kept,
                                     .isa = isa,
                                     .list = &list,
                                     .error = error};
    void **data = rdl__arena_zeroed(arena, node->n_outputs + 1, sizeof *data);
    if (data == NULL)
        return rdl__fail_memory(error, "fold", node->n_outputs * sizeof *data);
    RDL_TRY(allocate_outputs(node, out, data, arena, error));
    bool empty = true;
    for (uint32_t i = 0; i < node->n_outputs; i++)
        empty = empty && rdl__shape_count(&out[i].shape) == 0;
    if (!empty)
        RDL_TRY(node->op->lower(&lower));
    struct places places = {.in = in, .out = data};
    RDL_TRY(run_steps(&list, &places, arena, error));
    for (uint32_t i = 0; i < node->n_outputs; i++)
        out[i].data = data[i];
    for (uint32_t i = 0; i < list.n_aliases; i++) /* the same bytes, and constants never change */
        out[list.aliases[i].out].data = in[list.aliases[i].in].data;
    return RDL_OK;
}

enum rdl_status rdl__infer_node(const struct rdl__node *node, const struct rdl__desc *in,
                                struct rdl__desc *out, struct rdl__effort *effort,
                                struct rdl_error *error)
{
    char text[RDL__NODE_TEXT_BYTES];
    for (uint32_t i = 0; i < node->n_inputs && i < 32; i++)
        if ((node->op->value_inputs >> i & 1) != 0 && node->inputs[i] != RDL__NO_VALUE &&
            in[i].data == NULL)
            return rdl__fail(error, RDL_ERR_INTERNAL,
                             "%s: input %u decides a shape, and its elements are not known",
                             rdl__node_text(node, text, sizeof text), i);
    const struct rdl__infer infer = {
        .node = node, .in = in, .out = out, .effort = effort, .error = error};
    const enum rdl_status status = node->op->infer(&infer);
    if (status != RDL_OK)
        return rdl__fail_within(error, status, "%s", rdl__node_text(node, text, sizeof text));
    return RDL_OK;
}
