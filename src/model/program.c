/*
 * Compiling a graph into a program; see program.h.
 *
 * The graph and its weights lie in the importer's arena, which goes when the load is done: nodes are
 * cloned into the program's arena, weights are packed in a third, temporary one, and everything that
 * kernels read is copied once into the program's block on the device.
 */
#include "model/program.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/status.h"
#include "os/clock.h"
#include "runtime/stream.h"
#include "tensor/tensor.h"

#include <string.h>

enum rdl_status rdl__limits_check(const struct rdl__compile_limits *limits, struct rdl_error *error)
{
    if (rdl__cancelled(limits->cancel))
        return rdl__fail(error, RDL_ERR_CANCELLED, "cancelled while compiling");
    if (rdl__deadline_passed(limits->deadline_ns))
        return rdl__fail(error, RDL_ERR_DEADLINE, "deadline passed while compiling");
    return RDL_OK;
}

/* --------------------------------------------------------------------------------------- cloning */

static void *clone_bytes(struct rdl__arena *arena, const void *bytes, size_t size)
{
    void *copy = rdl__arena_alloc_aligned(arena, RDL_ALIGN, size > 0 ? size : 1);
    if (copy != NULL && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

static char *clone_text(struct rdl__arena *arena, const char *text)
{
    return rdl__arena_text(arena, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static bool clone_string(struct rdl__arena *arena, struct rdl__string *to,
                         const struct rdl__string *from)
{
    to->bytes = rdl__arena_text(arena, from->bytes, from->size);
    to->size = from->size;
    return to->bytes != NULL;
}

static bool clone_desc(struct rdl__arena *arena, struct rdl__desc *to, const struct rdl__desc *from)
{
    size_t bytes = 0;
    *to = *from;
    if (from->dtype == RDL_STRING)
        to->data = NULL; /* no kernel reads strings, and plans refuse them as outputs */
    if (to->data == NULL)
        return true;
    if (!rdl__tensor_bytes(from->dtype, &from->shape, &bytes))
        return false;
    return (to->data = clone_bytes(arena, from->data, bytes)) != NULL;
}

static bool clone_attr(struct rdl__arena *arena, struct rdl__attr *to, const struct rdl__attr *from)
{
    *to = *from;
    to->name = clone_text(arena, from->name);
    if (to->name == NULL)
        return false;
    switch (from->type) {
    case RDL__ATTR_FLOAT:
    case RDL__ATTR_INT:
        return true;
    case RDL__ATTR_STRING:
        return clone_string(arena, &to->s, &from->s);
    case RDL__ATTR_FLOATS:
        return (to->floats = clone_bytes(arena, from->floats, from->count * sizeof(float))) != NULL;
    case RDL__ATTR_INTS:
        return (to->ints = clone_bytes(arena, from->ints, from->count * sizeof(int64_t))) != NULL;
    case RDL__ATTR_STRINGS: {
        struct rdl__string *strings = RDL__ARENA_ARRAY(arena, struct rdl__string, from->count + 1);
        for (size_t i = 0; strings != NULL && i < from->count; i++)
            if (!clone_string(arena, &strings[i], &from->strings[i]))
                return false;
        return (to->strings = strings) != NULL;
    }
    case RDL__ATTR_TENSOR: {
        struct rdl__desc *desc = RDL__ARENA_NEW(arena, struct rdl__desc);
        return (to->tensor = desc) != NULL && clone_desc(arena, desc, from->tensor);
    }
    case RDL__ATTR_GRAPH:
        to->graph = NULL; /* operators with subgraphs are refused before */
        return true;
    }
    return false;
}

static bool clone_node(struct rdl__arena *arena, struct rdl__node *to, const struct rdl__node *from)
{
    *to = *from;
    to->name = clone_text(arena, from->name);
    to->op_type = clone_text(arena, from->op_type);
    to->domain = clone_text(arena, from->domain);
    to->inputs = clone_bytes(arena, from->inputs, from->n_inputs * sizeof *from->inputs);
    to->outputs = clone_bytes(arena, from->outputs, from->n_outputs * sizeof *from->outputs);
    to->attrs = RDL__ARENA_ARRAY(arena, struct rdl__attr, from->n_attrs + 1);
    if (to->name == NULL || to->op_type == NULL || to->domain == NULL || to->inputs == NULL ||
        to->outputs == NULL || to->attrs == NULL)
        return false;
    for (uint32_t i = 0; i < from->n_attrs; i++)
        if (!clone_attr(arena, &to->attrs[i], &from->attrs[i]))
            return false;
    return true;
}

static bool clone_port(struct rdl__arena *arena, struct rdl__program_port *to,
                       const struct rdl__graph *graph, int32_t value)
{
    const struct rdl__value_info *from = &graph->values[value];
    *to = (struct rdl__program_port){.name = clone_text(arena, from->name),
                                     .value = value,
                                     .dtype = from->dtype,
                                     .kind = from->kind,
                                     .rank = from->rank};
    for (int32_t i = 0; i < from->rank; i++) {
        to->dims[i] = from->dims[i];
        if (from->dim_names[i] != NULL)
            to->dim_names[i] = clone_text(arena, from->dim_names[i]);
    }
    return to->name != NULL;
}

/* ------------------------------------------------------------------------------ the compile state */

struct compile {
    const struct rdl__graph *graph;
    struct rdl__program *program;
    struct rdl__arena packed; /* packed weights, until they are on the device */
    struct rdl__weight (*weights)[RDL__MAX_WEIGHTS]; /* [n_nodes] */
    bool *bound; /* [n_values] constants that a kernel may read */
    bool *known; /* [n_values] constants whose elements plans need */
    struct rdl_error *error;
};

static enum rdl_status no_memory(struct compile *compile)
{
    return rdl__fail(compile->error, RDL_ERR_NO_MEMORY, "program: no memory, or over its limit");
}

static enum rdl_status clone_graph(struct compile *compile)
{
    const struct rdl__graph *graph = compile->graph;
    struct rdl__program *program = compile->program;
    struct rdl__arena *arena = &program->arena;
    program->n_values = graph->n_values;
    program->n_nodes = graph->n_nodes;
    program->n_inputs = graph->n_inputs;
    program->n_outputs = graph->n_outputs;
    program->n_metadata = graph->n_metadata;
    program->values = RDL__ARENA_ARRAY(arena, struct rdl__program_value, graph->n_values + 1);
    program->nodes = RDL__ARENA_ARRAY(arena, struct rdl__program_node, graph->n_nodes + 1);
    program->inputs = RDL__ARENA_ARRAY(arena, struct rdl__program_port, graph->n_inputs + 1);
    program->outputs = RDL__ARENA_ARRAY(arena, struct rdl__program_port, graph->n_outputs + 1);
    program->metadata = RDL__ARENA_ARRAY(arena, struct rdl__text_pair, graph->n_metadata + 1);
    if (program->values == NULL || program->nodes == NULL || program->inputs == NULL ||
        program->outputs == NULL || program->metadata == NULL)
        return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (!clone_node(arena, &program->nodes[i].node, graph->nodes[i]))
            return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        if (!clone_port(arena, &program->inputs[i], graph, graph->inputs[i]))
            return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (!clone_port(arena, &program->outputs[i], graph, graph->outputs[i]))
            return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_metadata; i++) {
        program->metadata[i].key = clone_text(arena, graph->metadata[i].key);
        program->metadata[i].value = clone_text(arena, graph->metadata[i].value);
        if (program->metadata[i].key == NULL || program->metadata[i].value == NULL)
            return no_memory(compile);
    }
    return RDL_OK;
}

static bool has_subgraph(const struct rdl__node *node)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == RDL__ATTR_GRAPH)
            return true;
    return false;
}

/* Prepares a node, and notes which of its constants kernels and plans still need. */
static enum rdl_status prepare_node(struct compile *compile, uint32_t index)
{
    const struct rdl__graph *graph = compile->graph;
    const struct rdl__node *node = graph->nodes[index];
    struct rdl__program_node *own = &compile->program->nodes[index];
    char text[RDL__NODE_TEXT_BYTES];
    if (has_subgraph(node))
        return rdl__fail(compile->error, RDL_ERR_UNSUPPORTED, "%s: subgraphs are not supported",
                         rdl__node_text(node, text, sizeof text));
    struct rdl__desc *in = RDL__ARENA_ARRAY(&compile->packed, struct rdl__desc, node->n_inputs + 1);
    if (in == NULL)
        return no_memory(compile);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != RDL__NO_VALUE && graph->values[node->inputs[i]].constant != NULL)
            in[i] = *graph->values[node->inputs[i]].constant;
    struct rdl__prepare prepare = {.node = &own->node,
                                   .in = in,
                                   .isa = compile->program->isa,
                                   .arena = &compile->program->arena,
                                   .packed = &compile->packed,
                                   .weights = compile->weights[index],
                                   .error = compile->error};
    if (node->op->prepare != NULL) {
        const enum rdl_status status = node->op->prepare(&prepare);
        if (status != RDL_OK)
            return rdl__fail_within(compile->error, status, "%s",
                                    rdl__node_text(node, text, sizeof text));
    }
    own->state = prepare.state;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const int32_t value = node->inputs[i];
        if (value == RDL__NO_VALUE || graph->values[value].constant == NULL)
            continue;
        if (i >= 32 || (prepare.absorbed >> i & 1) == 0)
            compile->bound[value] = true;
        if (i < 32 && (node->op->value_inputs >> i & 1) != 0)
            compile->known[value] = true;
    }
    return RDL_OK;
}

/* Gives the constants and packed weights their places in the block. */
static enum rdl_status lay_out(struct compile *compile, size_t *total)
{
    struct rdl__program *program = compile->program;
    *total = 0;
    for (uint32_t i = 0; i < program->n_values; i++) {
        const struct rdl__desc *constant = compile->graph->values[i].constant;
        struct rdl__program_value *value = &program->values[i];
        size_t bytes;
        value->name = clone_text(&program->arena, compile->graph->values[i].name);
        value->producer = compile->graph->values[i].producer;
        value->offset_bytes = RDL__NO_OFFSET;
        if (value->name == NULL)
            return no_memory(compile);
        if (constant == NULL)
            continue;
        value->is_constant = true;
        value->constant = *constant;
        value->constant.data = NULL;
        if (!rdl__tensor_bytes(constant->dtype, &constant->shape, &bytes))
            return no_memory(compile);
        if ((compile->known[i] || bytes <= RDL__HOST_CONSTANT_BYTES) &&
            !clone_desc(&program->arena, &value->constant, constant))
            return no_memory(compile);
        if (compile->bound[i] && constant->dtype != RDL_STRING) {
            value->offset_bytes = *total;
            if (!rdl__add_size(*total, bytes, total) || !rdl__align_size(*total, RDL_ALIGN, total))
                return no_memory(compile);
        }
    }
    for (uint32_t i = 0; i < program->n_nodes; i++)
        for (uint32_t k = 0; k < RDL__MAX_WEIGHTS; k++) {
            const struct rdl__weight *weight = &compile->weights[i][k];
            program->nodes[i].weight_offsets[k] = weight->data != NULL ? *total : RDL__NO_OFFSET;
            program->nodes[i].weight_bytes[k] = weight->size_bytes;
            if (weight->data != NULL && (!rdl__add_size(*total, weight->size_bytes, total) ||
                                         !rdl__align_size(*total, RDL_ALIGN, total)))
                return no_memory(compile);
        }
    return RDL_OK;
}

static void fill(const struct compile *compile, char *image)
{
    const struct rdl__program *program = compile->program;
    for (uint32_t i = 0; i < program->n_values; i++) {
        const struct rdl__desc *constant = compile->graph->values[i].constant;
        size_t bytes = 0;
        if (constant == NULL || program->values[i].offset_bytes == RDL__NO_OFFSET)
            continue;
        (void)rdl__tensor_bytes(constant->dtype, &constant->shape, &bytes); /* fits: see lay_out */
        if (bytes > 0)
            memcpy(image + program->values[i].offset_bytes, constant->data, bytes);
    }
    for (uint32_t i = 0; i < program->n_nodes; i++)
        for (uint32_t k = 0; k < RDL__MAX_WEIGHTS; k++)
            if (compile->weights[i][k].data != NULL)
                memcpy(image + program->nodes[i].weight_offsets[k], compile->weights[i][k].data,
                       compile->weights[i][k].size_bytes);
}

enum rdl_status rdl__device_upload(struct rdl__device *device, struct rdl__block *block,
                                   const void *src, size_t size_bytes,
                                   const struct rdl__compile_limits *limits,
                                   struct rdl_error *error)
{
    struct rdl__lane *lane;
    struct rdl__progress progress = {0};
    enum rdl_status status = rdl__lane_acquire(device, limits->deadline_ns, limits->cancel, &lane);
    if (status != RDL_OK)
        return rdl__fail(error, status, "weights: no lane: %s", rdl_status_text(status));
    status = rdl__lane_stream(lane);
    if (status == RDL_OK)
        status = device->backend->copy_in(lane->stream, block->address, src, size_bytes, &progress);
    if (status == RDL_OK) {
        const struct rdl__point point = device->backend->tail(lane->stream);
        status = rdl__device_wait(device, point, limits->deadline_ns, limits->cancel);
        if (status != RDL_OK) {
            rdl__store_relaxed(&progress.stop, (uint32_t)status); /* carries no data */
            rdl__device_drain(device, point);
        }
        const uint64_t failed = rdl__load_acquire(&progress.failed);
        if (failed != 0)
            status = (enum rdl_status)(failed >> 32);
    }
    rdl__lane_release(lane);
    (void)rdl__device_note(device, status);
    if (status != RDL_OK)
        return rdl__fail(error, status, "weights: copy to the device: %s", rdl_status_text(status));
    return RDL_OK;
}

/* Puts constants and weights on the device. Where the host can reach its memory they are written in
 * place, else through an image. */
static enum rdl_status place_weights(struct compile *compile, size_t total,
                                     const struct rdl__compile_limits *limits)
{
    struct rdl__program *program = compile->program;
    struct rdl__device *device = program->device;
    program->weight_bytes = total;
    if (total == 0)
        return RDL_OK;
    struct rdl__memory_want want = {.size_bytes = total};
    RDL_TRY(rdl__memory_alloc(device, NULL, &want, 1, limits->deadline_ns, limits->cancel,
                              compile->error));
    program->block = want.block;
    if (device->backend->host_memory) {
        fill(compile, program->block->address);
        return RDL_OK;
    }
    char *image = rdl__alloc_aligned(RDL_ALIGN, total);
    if (image == NULL)
        return no_memory(compile);
    fill(compile, image);
    const enum rdl_status status =
        rdl__device_upload(device, program->block, image, total, limits, compile->error);
    rdl__free(image);
    return status;
}

static enum rdl_status compile_graph(struct compile *compile,
                                     const struct rdl__compile_limits *limits)
{
    const struct rdl__graph *graph = compile->graph;
    RDL_TRY(clone_graph(compile));
    compile->weights =
        rdl__arena_zeroed(&compile->packed, graph->n_nodes + 1, sizeof *compile->weights);
    compile->bound = RDL__ARENA_ARRAY(&compile->packed, bool, graph->n_values + 1);
    compile->known = RDL__ARENA_ARRAY(&compile->packed, bool, graph->n_values + 1);
    if (compile->weights == NULL || compile->bound == NULL || compile->known == NULL)
        return no_memory(compile);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        RDL_TRY(rdl__limits_check(limits, compile->error));
        RDL_TRY(prepare_node(compile, i));
    }
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        compile->bound[graph->outputs[i]] = true; /* a constant that is an output is copied out */
    size_t total;
    RDL_TRY(lay_out(compile, &total));
    return place_weights(compile, total, limits);
}

enum rdl_status rdl__program_compile(const struct rdl__graph *graph, uint32_t n_file_nodes,
                                     struct rdl__device *device,
                                     const struct rdl__compile_limits *limits,
                                     struct rdl__program **out, struct rdl_error *error)
{
    *out = NULL;
    struct rdl__program *program = rdl__alloc_zeroed(1, sizeof *program);
    if (program == NULL)
        return rdl__fail_memory(error, "program", sizeof *program);
    rdl__store_relaxed(&program->references, 1); /* nobody else knows it yet */
    program->device = device;
    program->isa = rdl__isa_best();
    program->n_file_nodes = n_file_nodes;
    rdl__arena_init(&program->arena, SIZE_MAX);
    struct compile compile = {.graph = graph, .program = program, .error = error};
    rdl__arena_init(&compile.packed, SIZE_MAX);
    const enum rdl_status status = compile_graph(&compile, limits);
    rdl__arena_fini(&compile.packed);
    if (status != RDL_OK) {
        rdl__program_release(program);
        return status;
    }
    *out = program;
    return RDL_OK;
}

struct rdl__program *rdl__program_retain(struct rdl__program *program)
{
    rdl__add_relaxed(&program->references, 1); /* from a reference that the caller holds */
    return program;
}

void rdl__program_release(struct rdl__program *program)
{
    if (program == NULL || rdl__sub_acq_rel(&program->references, 1) != 1)
        return;
    if (program->block != NULL)
        rdl__memory_free_idle(program->device, program->block);
    rdl__arena_fini(&program->arena);
    rdl__free(program);
}
