/*
 * What a plan knows: dtypes, shapes and folded elements, by need; see plan_making.h.
 *
 * The walk goes from the wanted outputs backwards and infers each node after its inputs. A Select whose
 * condition is known leads to one side only; where it is not known, or a shape hangs on data, the node
 * is deferred, and so is all that hangs on it. What is behind an undecided Select is not looked at at
 * all: it may never be computed, and need not even fit.
 *
 * Afterwards two sweeps against the order of the nodes say what the run needs: first what the deferred
 * nodes may read (exports), then which nodes compute that and the outputs, now that folding has cut
 * branches off.
 */
#include "model/plan_making.h"

#include "model/fold.h"

#include <string.h>

enum rdl_status rdl__making_no_memory(const struct rdl__making *making)
{
    return rdl__fail(making->error, RDL_ERR_NO_MEMORY, "plan: no memory");
}

bool rdl__making_wants(const struct rdl__making *making, uint32_t output)
{
    return (making->key->wanted >> output & 1) != 0;
}

void rdl__making_inputs(const struct rdl__making *making, const struct rdl__node *node,
                        struct rdl__desc *in)
{
    for (uint32_t i = 0; i < node->n_inputs; i++)
        in[i] = node->inputs[i] != RDL__NO_VALUE ? making->descs[node->inputs[i]]
                                                 : (struct rdl__desc){0};
}

static bool is_known(const struct rdl__making *making, int32_t value)
{
    return making->descs[value].dtype != RDL_DTYPE_NONE;
}

/* Whether the node looks at its input i, as far as is known: an undecided Select at its condition only. */
static bool wants_input(const struct rdl__making *making, const struct rdl__node *node, uint32_t i)
{
    if (node->inputs[i] == RDL__NO_VALUE)
        return false;
    if ((node->op->flags & RDL__OP_SELECT) == 0 || i == 0)
        return true;
    const struct rdl__desc *condition = &making->descs[node->inputs[0]];
    return condition->data != NULL && rdl__node_wants(node, condition, i);
}

/* ---------------------------------------------------------------------------------------- infer */

static void load_known(struct rdl__making *making)
{
    const struct rdl__program *program = making->program;
    for (uint32_t i = 0; i < program->n_values; i++)
        if (program->values[i].is_constant)
            making->descs[i] = program->values[i].constant;
    for (uint32_t i = 0; i < program->n_inputs; i++)
        making->descs[program->inputs[i].value] = making->key->inputs[i];
}

static void scatter(struct rdl__making *making, const struct rdl__node *node,
                    const struct rdl__desc *out)
{
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE)
            making->descs[node->outputs[i]] = out[i];
}

static enum rdl_status stop_making(const void *limits, struct rdl_error *error)
{
    return rdl__limits_check(limits, error);
}

static enum rdl_status infer_node(struct rdl__making *making, const struct rdl__node *node,
                                  const struct rdl__compile_limits *limits)
{
    struct rdl__desc *in = RDL__ARENA_ARRAY(&making->arena, struct rdl__desc, node->n_inputs + 1);
    struct rdl__desc *out = RDL__ARENA_ARRAY(&making->arena, struct rdl__desc, node->n_outputs + 1);
    if (in == NULL || out == NULL)
        return rdl__making_no_memory(making);
    rdl__making_inputs(making, node, in);
    struct rdl__effort effort = {.arena = &making->arena, .stop = stop_making, .user = limits};
    RDL_TRY(rdl__infer_node(node, in, out, &effort, making->error));
    if (rdl__can_fold(node, in)) {
        const enum rdl_status status = rdl__fold(node, in, out, effort.kept, &making->arena,
                                                 making->program->isa, making->error);
        if (status != RDL_OK && status != RDL_ERR_UNSUPPORTED)
            return rdl__fail_within(making->error, status, "%s", RDL__NODE_TEXT(node));
    }
    scatter(making, node, out);
    return RDL_OK;
}

/* Whether the node cannot be inferred before the run: its inputs have been looked at. */
static bool is_deferred(const struct rdl__making *making, const struct rdl__node *node)
{
    if ((node->op->flags & RDL__OP_LOOP) != 0)
        return true;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (node->inputs[i] == RDL__NO_VALUE)
            continue;
        const struct rdl__desc *in = &making->descs[node->inputs[i]];
        if (i < 32 && (node->op->value_inputs >> i & 1) != 0 && in->data == NULL)
            return true;
        if (wants_input(making, node, i) && in->dtype == RDL_DTYPE_NONE)
            return true;
    }
    return false;
}

struct visit {
    uint32_t node;
    uint32_t next; /* input to look at */
};

/* Infers a node that is not, after all that it looks at. */
static enum rdl_status infer_after_inputs(struct rdl__making *making, struct visit *stack,
                                          uint32_t root, const struct rdl__compile_limits *limits)
{
    const struct rdl__program *program = making->program;
    size_t depth = 0;
    stack[depth++] = (struct visit){root, 0};
    making->nodes[root] = RDL__NODE_OPEN;
    while (depth > 0) {
        struct visit *top = &stack[depth - 1];
        const struct rdl__node *node = &program->nodes[top->node].node;
        if (top->next < node->n_inputs) {
            const uint32_t i = top->next++;
            const int32_t producer =
                wants_input(making, node, i) ? program->values[node->inputs[i]].producer : -1;
            if (producer >= 0 && making->nodes[producer] == RDL__NODE_NEW) {
                making->nodes[producer] = RDL__NODE_OPEN;
                stack[depth++] = (struct visit){(uint32_t)producer, 0};
            }
            continue;
        }
        RDL_TRY(rdl__limits_check(limits, making->error));
        const bool deferred = is_deferred(making, node);
        if (!deferred)
            RDL_TRY(infer_node(making, node, limits));
        making->nodes[top->node] = deferred ? RDL__NODE_DEFERRED : RDL__NODE_KNOWN;
        depth--;
    }
    return RDL_OK;
}

static enum rdl_status infer_wanted(struct rdl__making *making,
                                    const struct rdl__compile_limits *limits)
{
    const struct rdl__program *program = making->program;
    struct visit *stack = RDL__ARENA_ARRAY(&making->arena, struct visit, program->n_nodes + 1);
    if (stack == NULL)
        return rdl__making_no_memory(making);
    for (uint32_t k = 0; k < program->n_outputs; k++) {
        const int32_t producer = program->values[program->outputs[k].value].producer;
        if (rdl__making_wants(making, k) && producer >= 0 &&
            making->nodes[producer] == RDL__NODE_NEW)
            RDL_TRY(infer_after_inputs(making, stack, (uint32_t)producer, limits));
    }
    return RDL_OK;
}

/* ----------------------------------------------------------------------------------------- need */

/* Whether one of the node's outputs is in the set. */
static bool makes_one_of(const struct rdl__node *node, const bool *set)
{
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != RDL__NO_VALUE && set[node->outputs[i]])
            return true;
    return false;
}

/* Notes the known values that nodes left to the run may read. The nodes stand in order, so that a sweep
 * against it meets each after all that read its outputs. */
static enum rdl_status find_exports(struct rdl__making *making)
{
    const struct rdl__program *program = making->program;
    bool *reached = RDL__ARENA_ARRAY(&making->arena, bool, program->n_values + 1);
    if (reached == NULL)
        return rdl__making_no_memory(making);
    for (uint32_t k = 0; k < program->n_outputs; k++) {
        const int32_t value = program->outputs[k].value;
        if (!rdl__making_wants(making, k) || is_known(making, value))
            continue;
        reached[value] = true;
        making->plan->has_deferred = true;
    }
    for (uint32_t n = program->n_nodes; n-- > 0;) {
        const struct rdl__node *node = &program->nodes[n].node;
        if (making->nodes[n] == RDL__NODE_KNOWN || !makes_one_of(node, reached))
            continue;
        for (uint32_t i = 0; i < node->n_inputs; i++) {
            const int32_t value = node->inputs[i];
            /* Constants are the program's: kernels may have absorbed them, and frames know the rest. */
            if (value == RDL__NO_VALUE || program->values[value].is_constant)
                continue;
            if (!is_known(making, value)) {
                reached[value] = true;
            } else if (!making->exported[value]) {
                making->exported[value] = true;
                making->n_exported++;
            }
        }
    }
    return RDL_OK;
}

/* Says which nodes become steps. */
static void mark_needed(struct rdl__making *making)
{
    const struct rdl__program *program = making->program;
    memcpy(making->needed, making->exported, program->n_values * sizeof *making->needed);
    for (uint32_t k = 0; k < program->n_outputs; k++)
        if (rdl__making_wants(making, k))
            making->needed[program->outputs[k].value] = true;
    for (uint32_t n = program->n_nodes; n-- > 0;) {
        const struct rdl__node *node = &program->nodes[n].node;
        bool runs = false;
        for (uint32_t i = 0; i < node->n_outputs; i++) {
            const int32_t value = node->outputs[i];
            runs = runs || (value != RDL__NO_VALUE && making->needed[value] &&
                            making->descs[value].data == NULL);
        }
        making->executed[n] = runs && making->nodes[n] == RDL__NODE_KNOWN;
        for (uint32_t i = 0; making->executed[n] && i < node->n_inputs; i++)
            if (wants_input(making, node, i))
                making->needed[node->inputs[i]] = true;
    }
}

enum rdl_status rdl__making_infer(struct rdl__making *making,
                                  const struct rdl__compile_limits *limits)
{
    load_known(making);
    RDL_TRY(infer_wanted(making, limits));
    RDL_TRY(find_exports(making));
    mark_needed(making);
    return RDL_OK;
}
