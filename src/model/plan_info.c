/*
 * Describing a plan; see plan_info.h. The description is read off the plan's making, the moment it is
 * complete, so that plans themselves carry nothing for it.
 */
#include "model/plan_info.h"

#include "base/mem.h"
#include "base/status.h"
#include "model/model.h"
#include "model/plan_making.h"
#include "os/fpenv.h"
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- shapes */

/* Appends formatted text as far as there is room; the length that all of it has. */
static size_t append(char *out, size_t room, size_t length, const char *text)
{
    const size_t more = strlen(text);
    if (length < room)
        (void)snprintf(out + length, room - length, "%s", text);
    return length + more;
}

static size_t append_shape(char *out, size_t room, size_t length, const struct rdl__desc *desc)
{
    char number[24];
    if (desc->dtype == RDL_DTYPE_NONE)
        return append(out, room, length, "-");
    if (desc->shape.rank == 0)
        return append(out, room, length, "[]");
    for (int32_t d = 0; d < desc->shape.rank; d++) {
        (void)snprintf(number, sizeof number, "%s%" PRId64, d > 0 ? "x" : "", desc->shape.dims[d]);
        length = append(out, room, length, number);
    }
    return length;
}

/* "2x8,3x8 -> 2x3" into out [room], cut if it is too long; the length that all of it has. */
static size_t write_shapes(const struct rdl__node *node, const struct rdl__desc *in,
                           const struct rdl__desc *out, char *text, size_t room)
{
    size_t length = 0;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        length = append(text, room, length, i > 0 ? "," : "");
        length = append_shape(text, room, length, &in[i]);
    }
    length = append(text, room, length, node->n_inputs > 0 ? " -> " : "-> ");
    for (uint32_t k = 0; k < node->n_outputs; k++) {
        length = append(text, room, length, k > 0 ? "," : "");
        length = append_shape(text, room, length, &out[k]);
    }
    return length;
}

static const char *shapes_text(struct rdl__arena *arena, const struct rdl__node *node,
                               const struct rdl__desc *in, const struct rdl__desc *out)
{
    const size_t length = write_shapes(node, in, out, NULL, 0);
    char *text = rdl__arena_alloc(arena, length + 1);
    if (text != NULL)
        (void)write_shapes(node, in, out, text, length + 1);
    return text;
}

/* ----------------------------------------------------------------------------------------- steps */

static const char *copy_text(struct rdl__arena *arena, const char *text)
{
    return rdl__arena_text(arena, text, strlen(text));
}

bool rdl__plan_info_node(struct rdl_plan_info *info, const struct rdl__node *node, uint32_t depth,
                         const struct rdl__desc *in, const struct rdl__desc *out,
                         struct rdl_step_info *step)
{
    step->node = copy_text(&info->arena, node->name);
    step->op = node->op->name; /* the registry's tables are constant */
    step->shapes = shapes_text(&info->arena, node, in, out);
    step->index = node->index;
    step->depth = depth;
    step->flop = node->op->flop != NULL ? node->op->flop(node, in, out) : 0;
    return step->node != NULL && step->shapes != NULL;
}

struct rdl_step_info *rdl__plan_info_extend(struct rdl_plan_info *info, size_t n)
{
    struct rdl_step_info *steps =
        RDL__ARENA_ARRAY(&info->arena, struct rdl_step_info, info->n_steps + n + 1);
    if (steps == NULL)
        return NULL;
    if (info->n_steps > 0)
        memcpy(steps, info->steps, info->n_steps * sizeof *steps);
    info->steps = steps;
    return steps + info->n_steps;
}

/* The steps of one node follow one another; descs are looked up at the first. */
static bool describe_steps(const struct rdl__making *making, struct rdl_plan_info *info)
{
    const struct rdl__segment *segment = &making->plan->segment;
    struct rdl_step_info *steps = rdl__plan_info_extend(info, segment->n_steps);
    if (steps == NULL)
        return false;
    for (uint32_t s = 0; s < segment->n_steps; s++) {
        const struct rdl__step *from = &segment->steps[s];
        struct rdl_step_info *to = &steps[s];
        *to = (struct rdl_step_info){.node = "", .op = "Copy", .shapes = "", .index = RDL_NO_NODE};
        if (s > 0 && from->node == segment->steps[s - 1].node && from->node != UINT32_MAX) {
            *to = steps[s - 1];
            to->flop = 0;
        } else if (from->node != UINT32_MAX) {
            const struct rdl__node *node = &making->program->nodes[from->node].node;
            struct rdl__desc *descs =
                rdl__alloc_zeroed((size_t)node->n_inputs + node->n_outputs + 1, sizeof *descs);
            if (descs == NULL)
                return false;
            rdl__making_inputs(making, node, descs);
            for (uint32_t k = 0; k < node->n_outputs; k++)
                if (node->outputs[k] != RDL__NO_VALUE)
                    descs[node->n_inputs + k] = making->descs[node->outputs[k]];
            const bool good = rdl__plan_info_node(info, node, 0, descs, descs + node->n_inputs, to);
            rdl__free(descs);
            if (!good)
                return false;
        }
        to->tiles = from->tiles;
        to->bytes = rdl__step_bytes(segment, s);
        to->calls = 1;
    }
    info->n_steps += segment->n_steps;
    return true;
}

/* --------------------------------------------------------------------------------------- buffers */

/* The storage whose memory a storage has. */
static uint32_t root_of(const struct rdl__making *making, uint32_t index)
{
    while (making->storages[index].shares != index)
        index = making->storages[index].shares;
    return index;
}

/* The first value, in the order of the program, that lies in each storage. */
static const char **name_storages(const struct rdl__making *making, struct rdl_plan_info *info)
{
    const struct rdl__program *program = making->program;
    const char **names =
        RDL__ARENA_ARRAY(&info->arena, const char *, (size_t)making->n_storages + 1);
    if (names == NULL)
        return NULL;
    for (uint32_t v = 0; v < program->n_values; v++) {
        if (making->storage_of[v] == RDL__NO_STORAGE)
            continue;
        const uint32_t storage = root_of(making, making->storage_of[v]);
        if (names[storage] == NULL)
            names[storage] = program->values[v].name;
    }
    for (uint32_t c = 0; c < making->n_copies; c++) {
        const struct rdl__storage *to = &making->storages[making->copies[c].to];
        names[making->copies[c].to] = program->outputs[to->port].name;
    }
    return names;
}

static enum rdl_buffer_place place_of(enum rdl__storage_kind kind)
{
    switch (kind) {
    case RDL__IN_INPUT:
        return RDL_BUFFER_INPUT;
    case RDL__IN_OUTPUT:
        return RDL_BUFFER_OUTPUT;
    case RDL__IN_WEIGHTS:
        return RDL_BUFFER_WEIGHTS;
    case RDL__IN_CONSTANTS:
        return RDL_BUFFER_FOLDED;
    case RDL__IN_ARENA:
        break;
    }
    return RDL_BUFFER_ARENA;
}

/* Weights that operators packed: what the steps bind in the program's block by that kind of operand.
 * seen [n_nodes * RDL__MAX_WEIGHTS], zeroed: the number of each one's buffer, counted from 1. */
static void describe_packed(const struct rdl__making *making, uint32_t *seen,
                            struct rdl_plan_info *info)
{
    for (uint32_t s = 0; s < making->list.n_steps; s++) {
        const struct rdl__lowered *step = &making->list.steps[s];
        const struct rdl__program_node *own = &making->program->nodes[step->node];
        for (uint32_t b = 0; b < step->spec.n_bind; b++) {
            const struct rdl__operand *operand = &step->spec.bind[b];
            if (operand->kind != RDL__OPERAND_WEIGHT)
                continue;
            uint32_t *number = &seen[(size_t)step->node * RDL__MAX_WEIGHTS + operand->index];
            if (*number == 0) {
                info->buffers[info->n_buffers] =
                    (struct rdl_plan_buffer){.value = "",
                                             .place = RDL_BUFFER_WEIGHTS,
                                             .offset_bytes = own->weight_offsets[operand->index],
                                             .size_bytes = own->weight_bytes[operand->index],
                                             .first_step = s};
                *number = (uint32_t)++info->n_buffers;
            }
            info->buffers[*number - 1].last_step = s;
        }
    }
}

static bool describe_buffers(const struct rdl__making *making, struct rdl_plan_info *info)
{
    const char **names = name_storages(making, info);
    uint32_t *seen = RDL__ARENA_ARRAY(&info->arena, uint32_t,
                                      (size_t)making->program->n_nodes *RDL__MAX_WEIGHTS + 1);
    size_t most = (size_t)making->n_storages + 1;
    for (uint32_t s = 0; s < making->list.n_steps; s++)
        most += making->list.steps[s].spec.n_bind;
    info->buffers = RDL__ARENA_ARRAY(&info->arena, struct rdl_plan_buffer, most);
    if (names == NULL || seen == NULL || info->buffers == NULL)
        return false;
    for (uint32_t i = 0; i < making->n_storages; i++) {
        const struct rdl__storage *storage = &making->storages[i];
        if (storage->shares != i || storage->first_step == RDL__NO_STEP)
            continue;
        struct rdl_plan_buffer *to = &info->buffers[info->n_buffers++];
        *to = (struct rdl_plan_buffer){.value = names[i] != NULL ? copy_text(&info->arena, names[i])
                                                                 : "",
                                       .place = place_of(storage->kind),
                                       .offset_bytes = storage->offset_bytes,
                                       .size_bytes = storage->bytes,
                                       .first_step = storage->first_step,
                                       .last_step = storage->last_step};
        if (to->value == NULL)
            return false;
    }
    describe_packed(making, seen, info);
    return true;
}

/* --------------------------------------------------------------------------------------- the plan */

static size_t count_folded(const struct rdl__making *making)
{
    size_t count = 0;
    for (uint32_t n = 0; n < making->program->n_nodes; n++) {
        const struct rdl__node *node = &making->program->nodes[n].node;
        bool known = making->nodes[n] == RDL__NODE_KNOWN && !making->executed[n];
        for (uint32_t k = 0; known && k < node->n_outputs; k++)
            known =
                node->outputs[k] == RDL__NO_VALUE || making->descs[node->outputs[k]].data != NULL;
        count += known;
    }
    return count;
}

static enum rdl_status describe(const struct rdl__making *making, void *user)
{
    struct rdl_plan_info *info = user;
    const struct rdl__plan *plan = making->plan;
    info->arena_bytes = plan->arena_bytes;
    info->scratch_bytes = plan->segment.scratch_bytes;
    info->has_deferred = plan->has_deferred;
    info->n_folded = count_folded(making);
    return describe_steps(making, info) && describe_buffers(making, info)
               ? RDL_OK
               : rdl__making_no_memory(making);
}

/* All outputs, for descs of the inputs. */
static enum rdl_status make_plan(struct rdl__program *program, const struct rdl__desc *descs,
                                 struct rdl_plan_info *info, struct rdl__plan **plan,
                                 struct rdl_error *error)
{
    const uint64_t all =
        program->n_outputs < 64 ? (UINT64_C(1) << program->n_outputs) - 1 : UINT64_MAX;
    const struct rdl__plan_key key = {descs, program->n_inputs, all};
    const struct rdl__compile_limits limits = {RDL_FOREVER, NULL};
    const struct rdl__plan_watcher watcher = {describe, info};
    const rdl__fpenv callers = rdl__fpenv_enter(); /* folding computes */
    const enum rdl_status status =
        rdl__plan_make_watched(program, &key, &limits, &watcher, plan, error);
    rdl__fpenv_leave(callers);
    return status;
}

enum rdl_status rdl__plan_info_make(struct rdl__program *program, struct rdl_value *const *inputs,
                                    struct rdl__plan **plan, struct rdl_plan_info **out,
                                    struct rdl_error *error)
{
    struct rdl__plan *made = NULL;
    struct rdl_plan_info *info = rdl__plan_info_new();
    struct rdl__desc *descs = rdl__alloc_zeroed((size_t)program->n_inputs + 1, sizeof *descs);
    char (*room)[RDL__DECIDING_BYTES] =
        rdl__alloc_aligned(RDL_ALIGN, ((size_t)program->n_inputs + 1) * sizeof *room);
    enum rdl_status status;
    if (info == NULL || descs == NULL || room == NULL)
        status = rdl__fail_memory(error, "plan", program->n_inputs * sizeof *descs);
    else
        status = rdl__describe_inputs(program, inputs, descs, room, error);
    if (status == RDL_OK)
        status = make_plan(program, descs, info, &made, error);
    rdl__free(descs);
    rdl__free(room);
    if (status != RDL_OK) {
        rdl_plan_info_release(info);
        return status;
    }
    if (plan != NULL)
        *plan = made;
    else
        rdl__plan_free(made);
    *out = info;
    return RDL_OK;
}

struct rdl_plan_info *rdl__plan_info_new(void)
{
    struct rdl_plan_info *info = rdl__alloc_zeroed(1, sizeof *info);
    if (info != NULL)
        rdl__arena_init(&info->arena, SIZE_MAX);
    return info;
}

/* ------------------------------------------------------------------------------------ the readers */

void rdl_plan_info_release(struct rdl_plan_info *plan)
{
    if (plan == NULL)
        return;
    rdl__arena_fini(&plan->arena);
    rdl__free(plan);
}

size_t rdl_plan_info_step_count(const struct rdl_plan_info *plan)
{
    return plan->n_steps;
}

bool rdl_plan_info_step(const struct rdl_plan_info *plan, size_t index, struct rdl_step_info *out)
{
    if (index >= plan->n_steps)
        return false;
    *out = plan->steps[index];
    return true;
}

size_t rdl_plan_info_buffer_count(const struct rdl_plan_info *plan)
{
    return plan->n_buffers;
}

bool rdl_plan_info_buffer(const struct rdl_plan_info *plan, size_t index,
                          struct rdl_plan_buffer *out)
{
    if (index >= plan->n_buffers)
        return false;
    *out = plan->buffers[index];
    return true;
}

size_t rdl_plan_info_arena_bytes(const struct rdl_plan_info *plan)
{
    return plan->arena_bytes;
}

size_t rdl_plan_info_scratch_bytes(const struct rdl_plan_info *plan)
{
    return plan->scratch_bytes;
}

size_t rdl_plan_info_folded_nodes(const struct rdl_plan_info *plan)
{
    return plan->n_folded;
}

bool rdl_plan_info_has_deferred(const struct rdl_plan_info *plan)
{
    return plan->has_deferred;
}
