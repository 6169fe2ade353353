/*
 * Making a plan; see plan.h. The order of work:
 *
 *   need      which nodes the wanted outputs hang on
 *   infer     dtypes and shapes, node by node; nodes whose inputs are known are folded at once
 *   lower     what is left becomes steps and aliases
 *   place     each value's memory: an input's or output's own, the program's constants, the plan's, or
 *             the arena; aliases and operators that work in place share it
 *   emit      steps with bindings by base and offset, parameters and constants moved into the plan
 *
 * Everything but the result lies in an arena of the call.
 */
#include "base/mem.h"
#include "base/size.h"
#include "base/status.h"
#include "graph/memory_plan.h"
#include "model/plan_making.h"

#include <inttypes.h>
#include <string.h>

#define COPY_TILE ((size_t)256 << 10)

/* -------------------------------------------------------------------------------------- the key */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash ^= word;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

uint64_t rdl__plan_hash(const struct rdl__plan_key *key)
{
    uint64_t hash = mix(key->n_inputs, key->wanted);
    for (uint32_t i = 0; i < key->n_inputs; i++) {
        const struct rdl__desc *input = &key->inputs[i];
        hash = mix(hash, (uint64_t)input->dtype << 32 | (uint32_t)input->shape.rank);
        for (int32_t d = 0; d < input->shape.rank; d++)
            hash = mix(hash, (uint64_t)input->shape.dims[d]);
        const size_t bytes = input->data != NULL ? rdl__desc_bytes(input) : 0;
        for (size_t k = 0; k < bytes; k++)
            hash = mix(hash, ((const unsigned char *)input->data)[k]);
    }
    return hash != 0 ? hash : 1;
}

bool rdl__plan_input_equal(const struct rdl__desc *a, const struct rdl__desc *b)
{
    if (a->dtype != b->dtype || !rdl__shape_equal(&a->shape, &b->shape) ||
        (a->data == NULL) != (b->data == NULL))
        return false;
    return a->data == NULL || memcmp(a->data, b->data, rdl__desc_bytes(a)) == 0;
}

bool rdl__plan_matches(const struct rdl__plan *plan, const struct rdl__plan_key *key)
{
    if (plan->wanted != key->wanted)
        return false;
    for (uint32_t i = 0; i < key->n_inputs; i++) {
        const struct rdl__plan_port *port = &plan->inputs[i];
        const struct rdl__desc own = {port->dtype, port->shape, port->host_data};
        if (!rdl__plan_input_equal(&own, &key->inputs[i]))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------ the plan's making */

static enum rdl_status allocate(struct rdl__making *making)
{
    const struct rdl__program *program = making->program;
    struct rdl__arena *arena = &making->arena;
    making->descs = RDL__ARENA_ARRAY(arena, struct rdl__desc, program->n_values + 1);
    making->storage_of = RDL__ARENA_ARRAY(arena, uint32_t, program->n_values + 1);
    making->needed = RDL__ARENA_ARRAY(arena, bool, program->n_values + 1);
    making->executed = RDL__ARENA_ARRAY(arena, bool, program->n_nodes + 1);
    making->exported = RDL__ARENA_ARRAY(arena, bool, program->n_values + 1);
    making->nodes = RDL__ARENA_ARRAY(arena, enum rdl__node_state, program->n_nodes + 1);
    making->copies = RDL__ARENA_ARRAY(arena, struct rdl__output_copy, program->n_outputs + 1);
    if (making->descs == NULL || making->storage_of == NULL || making->needed == NULL ||
        making->executed == NULL || making->exported == NULL || making->nodes == NULL ||
        making->copies == NULL)
        return rdl__making_no_memory(making);
    for (uint32_t i = 0; i < program->n_values; i++)
        making->storage_of[i] = RDL__NO_STORAGE;
    rdl__lowering_init(&making->list, arena);
    return RDL_OK;
}

/* ---------------------------------------------------------------------------------------- lower */

static enum rdl_status lower_node(struct rdl__making *making, uint32_t index)
{
    const struct rdl__program_node *own = &making->program->nodes[index];
    const struct rdl__node *node = &own->node;
    struct rdl__desc *in = RDL__ARENA_ARRAY(&making->arena, struct rdl__desc, node->n_inputs + 1);
    struct rdl__desc *out = RDL__ARENA_ARRAY(&making->arena, struct rdl__desc, node->n_outputs + 1);
    if (in == NULL || out == NULL)
        return rdl__making_no_memory(making);
    rdl__making_inputs(making, node, in);
    bool empty = true;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        if (node->outputs[i] != RDL__NO_VALUE)
            out[i] = making->descs[node->outputs[i]];
        empty = empty && rdl__shape_count(&out[i].shape) == 0;
    }
    if (empty)
        return RDL_OK;
    const struct rdl__lower lower = {.node = node,
                                     .in = in,
                                     .out = out,
                                     .state = own->state,
                                     .isa = making->program->isa,
                                     .list = &making->list,
                                     .error = making->error};
    rdl__lowering_begin(&making->list, index);
    const enum rdl_status status = node->op->lower(&lower);
    if (status != RDL_OK) {
        char text[RDL__NODE_TEXT_BYTES];
        return rdl__fail_within(making->error, status, "%s",
                                rdl__node_text(node, text, sizeof text));
    }
    return RDL_OK;
}

static enum rdl_status lower(struct rdl__making *making)
{
    for (uint32_t n = 0; n < making->program->n_nodes; n++)
        if (making->executed[n])
            RDL_TRY(lower_node(making, n));
    return RDL_OK;
}

/* ---------------------------------------------------------------------------------------- place */

static uint32_t add_storage(struct rdl__making *making, struct rdl__storage storage)
{
    storage.first_step = RDL__NO_STEP;
    storage.last_step = 0;
    storage.shares = making->n_storages;
    making->storages[making->n_storages] = storage;
    return making->n_storages++;
}

/* The storage of a value that exists before the first step. */
static enum rdl_status place_known(struct rdl__making *making, int32_t value)
{
    const struct rdl__program_value *own = &making->program->values[value];
    const struct rdl__desc *desc = &making->descs[value];
    const size_t bytes = rdl__desc_bytes(desc);
    if (own->is_constant && own->offset_bytes != RDL__NO_OFFSET) {
        making->storage_of[value] = add_storage(
            making, (struct rdl__storage){RDL__IN_WEIGHTS, 0, own->offset_bytes, bytes, 0, 0, 0});
        return RDL_OK;
    }
    if (desc->data == NULL)
        return rdl__fail(making->error, RDL_ERR_INTERNAL, "plan: value \"%s\" has no memory",
                         own->name);
    making->storage_of[value] =
        add_storage(making, (struct rdl__storage){RDL__IN_CONSTANTS, 0, making->constants_bytes,
                                                  bytes, 0, 0, 0});
    if (!rdl__add_size(making->constants_bytes, bytes, &making->constants_bytes) ||
        !rdl__align_size(making->constants_bytes, RDL_ALIGN, &making->constants_bytes))
        return rdl__making_no_memory(making);
    return RDL_OK;
}

/* The input whose bytes output `out` of a node has; RDL__NO_VALUE: none. Aliases lie in the order of
 * their nodes, and *first, the node's first one, moves on with them. */
static int32_t alias_source(const struct rdl__making *making, uint32_t node, uint32_t out,
                            uint32_t *first)
{
    const struct rdl__lowering *list = &making->list;
    while (*first < list->n_aliases && list->aliases[*first].node < node)
        ++*first;
    for (uint32_t i = *first; i < list->n_aliases && list->aliases[i].node == node; i++)
        if (list->aliases[i].out == out)
            return making->program->nodes[node].node.inputs[list->aliases[i].in];
    return RDL__NO_VALUE;
}

/* Gives a storage to each output of an executed node: an alias's source's, or a new one. */
static enum rdl_status place_outputs(struct rdl__making *making, uint32_t n, uint32_t *first_alias)
{
    const struct rdl__node *node = &making->program->nodes[n].node;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const int32_t value = node->outputs[i];
        if (value == RDL__NO_VALUE)
            continue;
        const int32_t source = alias_source(making, n, i, first_alias);
        if (source != RDL__NO_VALUE) {
            if (making->storage_of[source] == RDL__NO_STORAGE)
                RDL_TRY(place_known(making, source));
            making->storage_of[value] = making->storage_of[source];
        } else {
            making->storage_of[value] = add_storage(
                making, (struct rdl__storage){RDL__IN_ARENA, 0, 0,
                                              rdl__desc_bytes(&making->descs[value]), 0, 0, 0});
        }
    }
    return RDL_OK;
}

static enum rdl_status place_values(struct rdl__making *making)
{
    const struct rdl__program *program = making->program;
    const size_t most = (size_t)program->n_values + program->n_outputs + making->list.n_temps + 1;
    making->storages = RDL__ARENA_ARRAY(&making->arena, struct rdl__storage, most);
    making->temp_storage = RDL__ARENA_ARRAY(&making->arena, uint32_t, making->list.n_temps + 1);
    if (making->storages == NULL || making->temp_storage == NULL)
        return rdl__making_no_memory(making);
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const int32_t value = program->inputs[i].value;
        making->storage_of[value] = add_storage(
            making, (struct rdl__storage){RDL__IN_INPUT, i, 0,
                                          rdl__desc_bytes(&making->descs[value]), 0, 0, 0});
    }
    uint32_t first_alias = 0;
    for (uint32_t n = 0; n < program->n_nodes; n++)
        if (making->executed[n])
            RDL_TRY(place_outputs(making, n, &first_alias));
    for (uint32_t i = 0; i < making->list.n_temps; i++)
        making->temp_storage[i] = add_storage(
            making, (struct rdl__storage){RDL__IN_ARENA, 0, 0, making->list.temps[i], 0, 0, 0});
    return RDL_OK;
}

/* Says how each wanted output comes about. The first output that names a computed storage gets it as
 * its own memory; others, and inputs and constants that are outputs, are copied. */
static enum rdl_status place_ports(struct rdl__making *making)
{
    const struct rdl__program *program = making->program;
    for (uint32_t k = 0; k < program->n_outputs; k++) {
        if (!rdl__making_wants(making, k))
            continue;
        const int32_t value = program->outputs[k].value;
        const struct rdl__desc *desc = &making->descs[value];
        if (desc->dtype == RDL_DTYPE_NONE) {
            making->plan->outputs[k].kind = RDL__PLAN_DEFERRED;
            continue;
        }
        struct rdl__plan_port *port = &making->plan->outputs[k];
        if (desc->dtype == RDL_STRING)
            return rdl__fail(making->error, RDL_ERR_UNSUPPORTED,
                             "output \"%s\": string tensors are not supported",
                             program->outputs[k].name);
        *port = (struct rdl__plan_port){
            .dtype = desc->dtype, .shape = desc->shape, .bytes = rdl__desc_bytes(desc)};
        if (desc->data != NULL) {
            port->kind = RDL__PLAN_CONSTANT;
            port->host_data = desc->data; /* moved into the plan by keep_constants */
            continue;
        }
        if (making->storage_of[value] == RDL__NO_STORAGE)
            RDL_TRY(place_known(making, value));
        struct rdl__storage *storage = &making->storages[making->storage_of[value]];
        if (storage->kind == RDL__IN_ARENA) {
            storage->kind = RDL__IN_OUTPUT;
            storage->port = k;
            continue;
        }
        if (port->bytes == 0)
            continue;
        const uint32_t to =
            add_storage(making, (struct rdl__storage){RDL__IN_OUTPUT, k, 0, port->bytes, 0, 0, 0});
        making->copies[making->n_copies++] =
            (struct rdl__output_copy){making->storage_of[value], to, port->bytes};
    }
    return RDL_OK;
}

/* The storage whose memory a storage has, after sharing. Chains are as short as runs of operators that
 * work in place; the walk halves them. */
static uint32_t resolve(struct rdl__making *making, uint32_t index)
{
    while (making->storages[index].shares != index) {
        making->storages[index].shares = making->storages[making->storages[index].shares].shares;
        index = making->storages[index].shares;
    }
    return index;
}

/* The storage that an operand of a lowered step lies in; RDL__NO_STORAGE: absent, or a packed weight. */
static enum rdl_status storage_of_operand(struct rdl__making *making,
                                          const struct rdl__lowered *step,
                                          const struct rdl__operand *operand, uint32_t *out)
{
    const struct rdl__node *node = &making->program->nodes[step->node].node;
    int32_t value = RDL__NO_VALUE;
    *out = RDL__NO_STORAGE;
    if (operand->kind == RDL__OPERAND_TEMP) {
        *out = resolve(making, making->temp_storage[step->first_temp + operand->index]);
        return RDL_OK;
    }
    if (operand->kind == RDL__OPERAND_INPUT)
        value = node->inputs[operand->index];
    else if (operand->kind == RDL__OPERAND_OUTPUT)
        value = node->outputs[operand->index];
    if (value == RDL__NO_VALUE)
        return RDL_OK;
    if (making->storage_of[value] == RDL__NO_STORAGE)
        RDL_TRY(place_known(making, value));
    *out = resolve(making, making->storage_of[value]);
    return RDL_OK;
}

/* What the deferred part reads has a place too. */
static enum rdl_status place_exports(struct rdl__making *making)
{
    for (uint32_t v = 0; v < making->program->n_values; v++)
        if (making->exported[v] && making->storage_of[v] == RDL__NO_STORAGE)
            RDL_TRY(place_known(making, (int32_t)v));
    return RDL_OK;
}

static void touch(struct rdl__storage *storage, uint32_t step)
{
    if (step < storage->first_step)
        storage->first_step = step;
    if (step > storage->last_step)
        storage->last_step = step;
}

/* Notes from which step to which each storage is in use. */
static enum rdl_status find_lifetimes(struct rdl__making *making)
{
    for (uint32_t s = 0; s < making->list.n_steps; s++) {
        const struct rdl__lowered *step = &making->list.steps[s];
        for (uint32_t b = 0; b < step->spec.n_bind; b++) {
            uint32_t storage;
            RDL_TRY(storage_of_operand(making, step, &step->spec.bind[b], &storage));
            if (storage != RDL__NO_STORAGE)
                touch(&making->storages[storage], s);
        }
    }
    for (uint32_t c = 0; c < making->n_copies; c++) {
        touch(&making->storages[making->copies[c].from], making->list.n_steps + c);
        touch(&making->storages[making->copies[c].to], making->list.n_steps + c);
    }
    for (uint32_t v = 0; v < making->program->n_values; v++)
        if (making->exported[v]) /* stays until the run is over */
            touch(&making->storages[resolve(making, making->storage_of[v])],
                  making->list.n_steps + making->n_copies);
    return RDL_OK;
}

/* Lets output 0 of a step whose operator works in place take the memory of an input that dies there. */
static void share_in_place(struct rdl__making *making, uint32_t s)
{
    const struct rdl__lowered *step = &making->list.steps[s];
    const struct rdl__node *node = &making->program->nodes[step->node].node;
    if ((node->op->flags & RDL__OP_IN_PLACE) == 0 || node->outputs[0] == RDL__NO_VALUE)
        return;
    const uint32_t out_index = resolve(making, making->storage_of[node->outputs[0]]);
    struct rdl__storage *out = &making->storages[out_index];
    if (out->kind != RDL__IN_ARENA || out->first_step != s)
        return;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const int32_t value = node->inputs[i];
        if (value == RDL__NO_VALUE || making->storage_of[value] == RDL__NO_STORAGE)
            continue;
        const uint32_t in_index = resolve(making, making->storage_of[value]);
        struct rdl__storage *in = &making->storages[in_index];
        if (in_index == out_index || in->kind != RDL__IN_ARENA || in->last_step != s ||
            in->bytes != out->bytes ||
            rdl_dtype_size(making->descs[value].dtype) !=
                rdl_dtype_size(making->descs[node->outputs[0]].dtype))
            continue;
        touch(in, out->last_step);
        out->shares = in_index;
        return;
    }
}

static enum rdl_status plan_memory(struct rdl__making *making, size_t *total)
{
    struct rdl__memory_buffer *buffers =
        RDL__ARENA_ARRAY(&making->arena, struct rdl__memory_buffer, making->n_storages + 1);
    uint32_t *which = RDL__ARENA_ARRAY(&making->arena, uint32_t, making->n_storages + 1);
    if (buffers == NULL || which == NULL)
        return rdl__making_no_memory(making);
    uint32_t n = 0;
    for (uint32_t i = 0; i < making->n_storages; i++) {
        const struct rdl__storage *storage = &making->storages[i];
        if (storage->kind != RDL__IN_ARENA || storage->first_step == RDL__NO_STEP ||
            storage->shares != i)
            continue;
        buffers[n] = (struct rdl__memory_buffer){.size_bytes = storage->bytes,
                                                 .first_use = storage->first_step,
                                                 .last_use = storage->last_step};
        which[n++] = i;
    }
    RDL_TRY(rdl__memory_plan(buffers, n, total, making->error));
    for (uint32_t i = 0; i < n; i++)
        making->storages[which[i]].offset_bytes = buffers[i].offset_bytes;
    return RDL_OK;
}

static enum rdl_status place(struct rdl__making *making, size_t *total)
{
    RDL_TRY(place_values(making));
    RDL_TRY(place_ports(making));
    RDL_TRY(place_exports(making));
    RDL_TRY(find_lifetimes(making));
    for (uint32_t s = 0; s < making->list.n_steps; s++)
        share_in_place(making, s);
    return plan_memory(making, total);
}

/* ----------------------------------------------------------------------------------------- emit */

struct copy_params {
    size_t bytes;
};

static enum rdl_status copy_kernel(const struct rdl__kernel_call *call)
{
    const struct copy_params *params = call->params;
    const size_t begin = call->tile_begin * COPY_TILE, end = call->tile_end * COPY_TILE;
    const size_t stop = end < params->bytes ? end : params->bytes;
    memcpy((char *)call->bind[1] + begin, (const char *)call->bind[0] + begin, stop - begin);
    return RDL_OK;
}

static struct rdl__binding binding_of(const struct rdl__making *making, uint32_t index,
                                      const struct rdl__operand *operand)
{
    const struct rdl__storage *storage = &making->storages[index];
    struct rdl__binding binding = {.written = operand->written,
                                   .offset_bytes = storage->offset_bytes + operand->offset_bytes,
                                   .size_bytes = storage->bytes - operand->offset_bytes};
    switch (storage->kind) {
    case RDL__IN_ARENA:
        binding.base = RDL__BASE_ARENA;
        break;
    case RDL__IN_INPUT:
        binding.base = RDL__BASE_FIRST_PORT + storage->port;
        break;
    case RDL__IN_OUTPUT:
        binding.base = RDL__BASE_FIRST_PORT + making->program->n_inputs + storage->port;
        break;
    case RDL__IN_WEIGHTS:
        binding.base = RDL__BASE_WEIGHTS;
        break;
    case RDL__IN_CONSTANTS:
        binding.base = RDL__BASE_CONSTANTS;
        break;
    }
    return binding;
}

static enum rdl_status emit_binding(struct rdl__making *making, const struct rdl__lowered *step,
                                    const struct rdl__operand *operand, struct rdl__binding *out)
{
    const struct rdl__program_node *own = &making->program->nodes[step->node];
    if (operand->kind == RDL__OPERAND_WEIGHT) {
        *out = (struct rdl__binding){
            .base = RDL__BASE_WEIGHTS,
            .offset_bytes = own->weight_offsets[operand->index] + operand->offset_bytes,
            .size_bytes = own->weight_bytes[operand->index] - operand->offset_bytes};
        return RDL_OK;
    }
    uint32_t storage;
    RDL_TRY(storage_of_operand(making, step, operand, &storage));
    *out = storage == RDL__NO_STORAGE ? (struct rdl__binding){.base = RDL__BASE_NONE}
                                      : binding_of(making, storage, operand);
    return RDL_OK;
}

static enum rdl_status emit_steps(struct rdl__making *making)
{
    struct rdl__plan *plan = making->plan;
    const uint32_t n_lowered = making->list.n_steps, n_steps = n_lowered + making->n_copies;
    uint32_t n_bindings = 2 * making->n_copies;
    for (uint32_t s = 0; s < n_lowered; s++)
        n_bindings += making->list.steps[s].spec.n_bind;
    struct rdl__step *steps = RDL__ARENA_ARRAY(&plan->arena, struct rdl__step, n_steps + 1);
    struct rdl__binding *bindings =
        RDL__ARENA_ARRAY(&plan->arena, struct rdl__binding, n_bindings + 1);
    if (steps == NULL || bindings == NULL)
        return rdl__making_no_memory(making);
    uint32_t at = 0;
    for (uint32_t s = 0; s < n_lowered; s++) {
        const struct rdl__lowered *from = &making->list.steps[s];
        void *params = rdl__arena_alloc_aligned(&plan->arena, RDL_ALIGN, from->spec.params_bytes);
        if (params == NULL)
            return rdl__making_no_memory(making);
        if (from->spec.params_bytes > 0)
            memcpy(params, from->spec.params, from->spec.params_bytes);
        steps[s] = (struct rdl__step){from->spec.fn,     params, from->spec.tiles,
                                      from->spec.n_bind, at,     from->node};
        for (uint32_t b = 0; b < from->spec.n_bind; b++)
            RDL_TRY(emit_binding(making, from, &from->spec.bind[b], &bindings[at++]));
        if (from->spec.scratch_bytes > plan->segment.scratch_bytes)
            plan->segment.scratch_bytes = from->spec.scratch_bytes;
    }
    for (uint32_t c = 0; c < making->n_copies; c++) {
        const struct rdl__output_copy *copy = &making->copies[c];
        struct copy_params *params = RDL__ARENA_NEW(&plan->arena, struct copy_params);
        if (params == NULL)
            return rdl__making_no_memory(making);
        params->bytes = copy->bytes;
        steps[n_lowered + c] = (struct rdl__step){
            copy_kernel, params, (copy->bytes + COPY_TILE - 1) / COPY_TILE, 2, at, UINT32_MAX};
        bindings[at++] = binding_of(making, copy->from, &(struct rdl__operand){0});
        bindings[at++] = binding_of(making, copy->to, &(struct rdl__operand){.written = true});
    }
    plan->segment.steps = steps;
    plan->segment.bindings = bindings;
    plan->segment.n_steps = n_steps;
    return RDL_OK;
}

/* Says where the values lie that the deferred part reads. What is known of them moves into the plan. */
static enum rdl_status emit_exports(struct rdl__making *making)
{
    struct rdl__plan *plan = making->plan;
    struct rdl__plan_export *exports =
        RDL__ARENA_ARRAY(&plan->arena, struct rdl__plan_export, making->n_exported + 1);
    if (exports == NULL)
        return rdl__making_no_memory(making);
    for (uint32_t v = 0; v < making->program->n_values; v++) {
        if (!making->exported[v])
            continue;
        const struct rdl__binding place =
            binding_of(making, resolve(making, making->storage_of[v]), &(struct rdl__operand){0});
        struct rdl__plan_export *export = &exports[plan->n_exports++];
        *export =
            (struct rdl__plan_export){(int32_t)v, making->descs[v], place.base, place.offset_bytes};
        if (export->desc.data == NULL)
            continue;
        const size_t bytes = rdl__desc_bytes(&export->desc);
        void *copy = rdl__arena_alloc_aligned(&plan->arena, RDL_ALIGN, bytes + 1);
        if (copy == NULL)
            return rdl__making_no_memory(making);
        memcpy(copy, export->desc.data, bytes);
        export->desc.data = copy;
    }
    plan->exports = exports;
    return RDL_OK;
}

/* Adds size bytes to the arena; their offset. */
static enum rdl_status reserve(struct rdl__making *making, size_t size_bytes, size_t *offset)
{
    struct rdl__plan *plan = making->plan;
    *offset = plan->arena_bytes;
    if (!rdl__add_size(plan->arena_bytes, size_bytes, &plan->arena_bytes) ||
        !rdl__align_size(plan->arena_bytes, RDL_ALIGN, &plan->arena_bytes))
        return rdl__fail(making->error, RDL_ERR_OVERFLOW, "plan: the arena's size overflows");
    return RDL_OK;
}

/* Scratch behind the values, and on devices that the host cannot reach a place for each port. */
static enum rdl_status reserve_rest(struct rdl__making *making)
{
    const struct rdl__program *program = making->program;
    struct rdl__plan *plan = making->plan;
    RDL_TRY(reserve(making, plan->segment.scratch_bytes, &plan->segment.scratch_offset_bytes));
    if (program->device->backend->host_memory)
        return RDL_OK;
    for (uint32_t i = 0; i < program->n_inputs; i++)
        RDL_TRY(reserve(making, plan->inputs[i].bytes, &plan->inputs[i].staging_bytes));
    for (uint32_t k = 0; k < program->n_outputs; k++)
        if (rdl__making_wants(making, k))
            RDL_TRY(reserve(making, plan->outputs[k].bytes, &plan->outputs[k].staging_bytes));
    return RDL_OK;
}

/* Moves folded constants out of the call's arena: outputs into the plan, what kernels read to where the
 * device reads it. */
static enum rdl_status keep_constants(struct rdl__making *making,
                                      const struct rdl__compile_limits *limits)
{
    const struct rdl__program *program = making->program;
    struct rdl__plan *plan = making->plan;
    for (uint32_t k = 0; k < program->n_outputs; k++) {
        struct rdl__plan_port *port = &plan->outputs[k];
        if (!rdl__making_wants(making, k) || port->kind != RDL__PLAN_CONSTANT)
            continue;
        void *copy = rdl__arena_alloc_aligned(&plan->arena, RDL_ALIGN, port->bytes + 1);
        if (copy == NULL)
            return rdl__making_no_memory(making);
        if (port->bytes > 0)
            memcpy(copy, port->host_data, port->bytes);
        port->host_data = copy;
    }
    if (making->constants_bytes == 0)
        return RDL_OK;
    const bool direct = program->device->backend->host_memory;
    char *image = rdl__arena_alloc_aligned(direct ? &plan->arena : &making->arena, RDL_ALIGN,
                                           making->constants_bytes);
    if (image == NULL)
        return rdl__making_no_memory(making);
    for (uint32_t v = 0; v < program->n_values; v++) {
        if (making->storage_of[v] == RDL__NO_STORAGE || making->descs[v].data == NULL)
            continue;
        const struct rdl__storage *storage = &making->storages[making->storage_of[v]];
        if (storage->kind == RDL__IN_CONSTANTS && storage->bytes > 0)
            memcpy(image + storage->offset_bytes, making->descs[v].data, storage->bytes);
    }
    plan->constants = image;
    if (direct)
        return RDL_OK;
    struct rdl__memory_want want = {.size_bytes = making->constants_bytes};
    RDL_TRY(rdl__memory_alloc(program->device, NULL, &want, 1, limits->deadline_ns, limits->cancel,
                              making->error));
    plan->block = want.block;
    plan->constants = plan->block->address;
    return rdl__device_upload(program->device, plan->block, image, making->constants_bytes, limits,
                              making->error);
}

static enum rdl_status make(struct rdl__making *making, const struct rdl__compile_limits *limits)
{
    RDL_TRY(allocate(making));
    RDL_TRY(rdl__making_infer(making, limits));
    RDL_TRY(lower(making));
    RDL_TRY(place(making, &making->plan->arena_bytes));
    RDL_TRY(emit_steps(making));
    RDL_TRY(emit_exports(making));
    RDL_TRY(reserve_rest(making));
    return keep_constants(making, limits);
}

/* --------------------------------------------------------------------------------- make and free */

static enum rdl_status init_plan(struct rdl__plan *plan, struct rdl__program *program,
                                 const struct rdl__plan_key *key)
{
    rdl__arena_init(&plan->arena, SIZE_MAX);
    plan->program = rdl__program_retain(program);
    plan->hash = rdl__plan_hash(key);
    plan->wanted = key->wanted;
    plan->n_bases = RDL__BASE_FIRST_PORT + program->n_inputs + program->n_outputs;
    plan->inputs = RDL__ARENA_ARRAY(&plan->arena, struct rdl__plan_port, program->n_inputs + 1);
    plan->outputs = RDL__ARENA_ARRAY(&plan->arena, struct rdl__plan_port, program->n_outputs + 1);
    if (plan->inputs == NULL || plan->outputs == NULL)
        return RDL_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        plan->inputs[i].dtype = key->inputs[i].dtype;
        plan->inputs[i].shape = key->inputs[i].shape;
        plan->inputs[i].bytes = rdl__desc_bytes(&key->inputs[i]);
        if (key->inputs[i].data == NULL)
            continue;
        void *elements =
            rdl__arena_alloc_aligned(&plan->arena, RDL_ALIGN, plan->inputs[i].bytes + 1);
        if (elements == NULL)
            return RDL_ERR_NO_MEMORY;
        memcpy(elements, key->inputs[i].data, plan->inputs[i].bytes);
        plan->inputs[i].host_data = elements;
        plan->has_deciding = true;
    }
    return RDL_OK;
}

enum rdl_status rdl__plan_make(struct rdl__program *program, const struct rdl__plan_key *key,
                               const struct rdl__compile_limits *limits, struct rdl__plan **out,
                               struct rdl_error *error)
{
    return rdl__plan_make_watched(program, key, limits, NULL, out, error);
}

enum rdl_status rdl__plan_make_watched(struct rdl__program *program,
                                       const struct rdl__plan_key *key,
                                       const struct rdl__compile_limits *limits,
                                       const struct rdl__plan_watcher *watcher,
                                       struct rdl__plan **out, struct rdl_error *error)
{
    *out = NULL;
    struct rdl__plan *plan = rdl__alloc_zeroed(1, sizeof *plan);
    if (plan == NULL)
        return rdl__fail_memory(error, "plan", sizeof *plan);
    struct rdl__making making = {.program = program, .plan = plan, .key = key, .error = error};
    rdl__arena_init(&making.arena, SIZE_MAX);
    enum rdl_status status = init_plan(plan, program, key);
    if (status == RDL_OK)
        status = make(&making, limits);
    else
        status = rdl__making_no_memory(&making);
    if (status == RDL_OK && watcher != NULL)
        status = watcher->see(&making, watcher->user);
    rdl__arena_fini(&making.arena);
    if (status != RDL_OK) {
        rdl__plan_free(plan);
        return status;
    }
    *out = plan;
    return RDL_OK;
}

void rdl__plan_free(struct rdl__plan *plan)
{
    struct rdl__program *program = plan->program;
    if (plan->block != NULL)
        rdl__memory_free_idle(program->device, plan->block);
    rdl__arena_fini(&plan->arena);
    rdl__free(plan);
    rdl__program_release(program);
}
