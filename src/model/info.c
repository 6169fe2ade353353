/*
 * Facts about a model, copied out of its program: counted, unchanging, and free of the model's life.
 */
#include "model/model.h"

#include "base/mem.h"
#include "base/status.h"
#include "raddle/inspect.h"
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct rdl_model_info {
    _Atomic uint32_t references;
    struct rdl__arena arena;
    struct rdl_port *inputs, *outputs;
    size_t n_inputs, n_outputs;
    struct rdl__text_pair *metadata;
    size_t n_metadata;
    struct rdl_node_info *nodes; /* [n_all_nodes] */
    size_t n_file_nodes, n_nodes, n_all_nodes, weight_bytes;
    uint64_t parameter_count, parameter_bytes;
};

static bool copy_port(struct rdl__arena *arena, struct rdl_port *to,
                      const struct rdl__program_port *from)
{
    *to = (struct rdl_port){.name = rdl__arena_text(arena, from->name, strlen(from->name)),
                            .kind = from->kind,
                            .dtype = from->dtype,
                            .rank = from->rank};
    for (int32_t i = 0; i < from->rank; i++) {
        to->dims[i] = from->dims[i];
        if (from->dim_names[i] != NULL)
            to->dim_names[i] =
                rdl__arena_text(arena, from->dim_names[i], strlen(from->dim_names[i]));
    }
    return to->name != NULL;
}

static size_t count_nodes(const struct rdl__program *program)
{
    size_t count = program->n_nodes;
    for (uint32_t i = 0; i < program->n_nodes; i++)
        if (program->nodes[i].body != NULL)
            count += count_nodes(program->nodes[i].body);
    return count;
}

static bool copy_node(struct rdl_model_info *info, const struct rdl__node *node, uint32_t depth)
{
    struct rdl_node_info *to = &info->nodes[info->n_all_nodes++];
    *to = (struct rdl_node_info){.name =
                                     rdl__arena_text(&info->arena, node->name, strlen(node->name)),
                                 .op = node->op->name, /* the registry's tables are constant */
                                 .domain = node->op->domain,
                                 .index = node->index,
                                 .depth = depth};
    return to->name != NULL;
}

static void count_parameters(struct rdl_model_info *info, const struct rdl__program *program)
{
    for (uint32_t i = 0; i < program->n_values; i++) {
        const struct rdl__program_value *value = &program->values[i];
        size_t bytes;
        if (!value->is_constant || value->n_uses == 0 ||
            !rdl__tensor_bytes(value->constant.dtype, &value->constant.shape, &bytes))
            continue;
        info->parameter_count += rdl__shape_count(&value->constant.shape);
        info->parameter_bytes += bytes;
    }
}

/* The nodes of a program, each body's behind its node. Bodies lie as deep as the importer allows. */
static bool copy_nodes(struct rdl_model_info *info, const struct rdl__program *program,
                       uint32_t depth)
{
    count_parameters(info, program);
    for (uint32_t i = 0; i < program->n_nodes; i++) {
        const struct rdl__program_node *own = &program->nodes[i];
        if (!copy_node(info, &own->node, depth) ||
            (own->body != NULL && !copy_nodes(info, own->body, depth + 1)))
            return false;
    }
    return true;
}

static bool copy(struct rdl_model_info *info, const struct rdl__program *program)
{
    struct rdl__arena *arena = &info->arena;
    info->inputs = RDL__ARENA_ARRAY(arena, struct rdl_port, program->n_inputs + 1);
    info->outputs = RDL__ARENA_ARRAY(arena, struct rdl_port, program->n_outputs + 1);
    info->metadata = RDL__ARENA_ARRAY(arena, struct rdl__text_pair, program->n_metadata + 1);
    info->nodes = RDL__ARENA_ARRAY(arena, struct rdl_node_info, count_nodes(program) + 1);
    if (info->inputs == NULL || info->outputs == NULL || info->metadata == NULL ||
        info->nodes == NULL || !copy_nodes(info, program, 0))
        return false;
    for (uint32_t i = 0; i < program->n_inputs; i++)
        if (!copy_port(arena, &info->inputs[i], &program->inputs[i]))
            return false;
    for (uint32_t i = 0; i < program->n_outputs; i++)
        if (!copy_port(arena, &info->outputs[i], &program->outputs[i]))
            return false;
    for (uint32_t i = 0; i < program->n_metadata; i++) {
        const struct rdl__text_pair *from = &program->metadata[i];
        info->metadata[i].key = rdl__arena_text(arena, from->key, strlen(from->key));
        info->metadata[i].value = rdl__arena_text(arena, from->value, strlen(from->value));
        if (info->metadata[i].key == NULL || info->metadata[i].value == NULL)
            return false;
    }
    info->n_inputs = program->n_inputs;
    info->n_outputs = program->n_outputs;
    info->n_metadata = program->n_metadata;
    info->n_file_nodes = program->n_file_nodes;
    info->n_nodes = program->n_nodes;
    info->weight_bytes = program->weight_bytes;
    return true;
}

struct rdl_model_info *rdl__model_info_new(const struct rdl__program *program)
{
    struct rdl_model_info *info = rdl__alloc_zeroed(1, sizeof *info);
    if (info == NULL)
        return NULL;
    rdl__store_relaxed(&info->references, 1); /* nobody else knows it yet */
    rdl__arena_init(&info->arena, SIZE_MAX);
    if (copy(info, program))
        return info;
    rdl_model_info_release(info);
    return NULL;
}

struct rdl_model_info *rdl__model_info_retain(struct rdl_model_info *info)
{
    rdl__add_relaxed(&info->references, 1); /* from a reference that the caller holds */
    return info;
}

void rdl_model_info_release(struct rdl_model_info *info)
{
    if (info == NULL || rdl__sub_acq_rel(&info->references, 1) != 1)
        return;
    rdl__arena_fini(&info->arena);
    rdl__free(info);
}

enum rdl_status rdl_model_get_info(struct rdl_model handle, struct rdl_model_info **out,
                                   struct rdl_error *error)
{
    if (out == NULL)
        return rdl__fail(error, RDL_ERR_ARGUMENT, "rdl_model_get_info: out is NULL");
    *out = NULL;
    enum rdl_status status;
    struct rdl__model *model = rdl__model_pin(handle, &status, error);
    if (model == NULL)
        return status;
    *out = rdl__model_info_retain(model->info);
    rdl__model_unpin(handle);
    return RDL_OK;
}

size_t rdl_model_info_input_count(const struct rdl_model_info *info)
{
    return info->n_inputs;
}

size_t rdl_model_info_output_count(const struct rdl_model_info *info)
{
    return info->n_outputs;
}

const struct rdl_port *rdl_model_info_input(const struct rdl_model_info *info, size_t index)
{
    return index < info->n_inputs ? &info->inputs[index] : NULL;
}

const struct rdl_port *rdl_model_info_output(const struct rdl_model_info *info, size_t index)
{
    return index < info->n_outputs ? &info->outputs[index] : NULL;
}

size_t rdl_model_info_metadata_count(const struct rdl_model_info *info)
{
    return info->n_metadata;
}

bool rdl_model_info_metadata(const struct rdl_model_info *info, size_t index, const char **key,
                             const char **value)
{
    if (index >= info->n_metadata)
        return false;
    *key = info->metadata[index].key;
    *value = info->metadata[index].value;
    return true;
}

size_t rdl_model_info_node_count(const struct rdl_model_info *info)
{
    return info->n_file_nodes;
}

size_t rdl_model_info_compiled_node_count(const struct rdl_model_info *info)
{
    return info->n_nodes;
}

size_t rdl_model_info_all_node_count(const struct rdl_model_info *info)
{
    return info->n_all_nodes;
}

bool rdl_model_info_node(const struct rdl_model_info *info, size_t index, struct rdl_node_info *out)
{
    if (index >= info->n_all_nodes)
        return false;
    *out = info->nodes[index];
    return true;
}

uint64_t rdl_model_info_parameter_count(const struct rdl_model_info *info)
{
    return info->parameter_count;
}

uint64_t rdl_model_info_parameter_bytes(const struct rdl_model_info *info)
{
    return info->parameter_bytes;
}

size_t rdl_model_info_weight_bytes(const struct rdl_model_info *info)
{
    return info->weight_bytes;
}

enum rdl_status rdl_model_get_stats(struct rdl_model handle, struct rdl_model_stats *stats)
{
    if (stats == NULL || stats->size != sizeof *stats)
        return RDL_ERR_ARGUMENT;
    enum rdl_status status;
    struct rdl__model *model = rdl__model_pin(handle, &status, NULL);
    if (model == NULL)
        return status;
    *stats = (struct rdl_model_stats){.size = sizeof *stats};
    rdl__plans_count(model, stats);
    rdl__model_unpin(handle);
    return RDL_OK;
}
